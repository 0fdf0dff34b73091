//! The daemon and its command line: XDP, AF_XDP, kernel sockets, configuration.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute on their own numbers"
    )
)]

pub mod frame;
pub mod xdp;
pub mod xsk;
