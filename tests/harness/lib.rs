//! What the test tiers share: networks, simulated and real, peers, captures.
//!
//! A test that goes wrong in here has nothing to test: the harness panics and says what it was
//! doing.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "a test ends by a panic, and its input is its own"
)]

pub mod addresses;
pub mod answer;
pub mod bpf;
pub mod browser;
pub mod capture;
pub mod check;
pub mod confined;
pub mod cpu;
pub mod credentials;
pub mod crowd;
pub mod datagram;
pub mod eap;
pub mod emulator;
pub mod flood;
pub mod frames;
pub mod freeradius;
pub mod fuzz;
pub mod gateway;
pub mod generator;
pub mod host;
pub mod journal;
pub mod kernel;
pub mod lab;
pub mod libreswan;
pub mod namespace;
pub mod net;
pub mod openiked;
pub mod packet;
pub mod parties;
pub mod patience;
pub mod pki;
pub mod process;
pub mod prometheus;
pub mod script;
pub mod strongswan;
pub mod systemd;
pub mod traffic;
pub mod udp;
pub mod xfrm;
