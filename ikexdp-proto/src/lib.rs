//! IKEv2 (RFC 7296) with fragmentation (RFC 7383), sans I/O.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute on their own numbers"
    )
)]

extern crate alloc;

pub mod crypto;
pub mod error;
pub mod identity;
pub mod limits;
pub mod time;
pub mod types;
pub mod wire;

#[cfg(test)]
mod testing;
