//! Exchanges, each drawn and then held: of two endpoints on a quiet network, and
//! of an endpoint with a client whose every message a script writes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

mod account;
mod applicant;
mod auth;
mod certificates;
mod channel;
mod childless;
mod clients;
mod collision;
mod configuration;
mod create_child;
mod eap;
mod exposed;
mod form;
mod gate;
mod informational;
mod init;
mod line;
mod moving;
mod pair;
mod reconfigure;
mod rekey;
mod revocation;
mod selectors;
mod silence;
mod size_test;
mod spi;
mod succession;
mod unique;
mod windows;
