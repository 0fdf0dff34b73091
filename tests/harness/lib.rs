//! What the test tiers share: networks, peers, captures.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    clippy::allow_attributes,
    missing_debug_implementations,
    reason = "a test that goes wrong shall panic"
)]

pub mod check;
pub mod net;
pub mod parties;
