//! The daemon, as users run it, and strongSwan across a network.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

mod addresses;
mod bench;
mod capture;
mod case;
mod connects;
mod counters;
mod decrypt;
mod defence;
mod diagnose;
mod eap;
mod emulator;
mod flood;
mod hostile;
mod inside;
mod interface;
mod ip_fragments;
mod journal;
mod lifecycle;
mod lists;
mod loss;
mod malformed;
mod metrics;
mod mtu;
mod onboarding;
mod page;
mod probe;
mod radius;
mod refusals;
mod reload;
mod repeats;
mod service;
mod suites;
mod transit;
mod views;
mod wire;

/// The daemon that was built along with these tests.
const IKEXDP: &str = env!("CARGO_BIN_EXE_ikexdp");
