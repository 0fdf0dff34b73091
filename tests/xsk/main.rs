//! XDP and AF_XDP between network namespaces.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic, and its input is its own"
)]

mod attaching;
mod echo;
mod frames;
mod gateway;
mod passing;
mod wire;

use harness::namespace::Namespace;
use ikexdp::xdp::Mode;

use wire::Wire;

/// Runs `test` on the gateway of a wire, once in each mode.
fn in_both_modes(test: fn(Mode, &Namespace)) {
    for mode in Mode::ALL {
        let Wire { gateway, peer } = Wire::new();
        gateway.run(move || test(mode, &peer));
    }
}
