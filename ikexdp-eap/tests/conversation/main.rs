//! Conversations of the authenticator with peers that compute for themselves.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic, and its input is its own"
)]

mod mschapv2;
mod peer;
mod properties;
mod tls;
