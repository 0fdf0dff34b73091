//! What the XDP program and user space must agree on.
//!
//! The crate has no dependencies and no operating system beneath it, so the
//! same code runs in the kernel's BPF machine, in the daemon and in tests.
#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute on their own numbers"
    )
)]

pub mod address;
pub mod challenge;
pub mod checksum;
pub mod classify;
pub mod cookie;
pub mod counter;
pub mod filter;
pub mod guard;
pub mod header;
pub mod judge;
pub mod limit;
pub mod maps;
pub mod siphash;
pub mod spi;
pub mod verdict;
