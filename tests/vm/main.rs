//! The data plane, on a kernel that has ESP: `cargo xtask vm` boots one.
//!
//! Every machine of a lab is a network namespace, with SAs and policies of its own.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

mod accounts;
mod carries;
mod dhcp;
mod esp;
mod guest;
mod lives;
mod probe;
mod tunnel;

/// The daemon that was built along with these tests.
const IKEXDP: &str = env!("CARGO_BIN_EXE_ikexdp");
