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
#[cfg(test)]
extern crate std;

pub mod config;
pub mod crypto;
pub mod data_plane;
pub mod eap;
mod endpoint;
pub mod error;
pub mod event;
mod fragment;
mod gate;
pub mod identity;
pub mod job;
pub mod lease;
pub mod limits;
#[cfg(feature = "measure")]
pub mod measure;
pub mod message;
pub mod mismatch;
pub mod nat;
mod path_size;
pub mod pattern;
mod pool;
mod prefix;
pub mod profile;
mod sa;
pub mod spi;
pub mod stats;
pub mod suite;
mod table;
mod throttle;
pub mod time;
pub mod types;
pub mod windows;
pub mod wire;

pub use endpoint::{Command, Endpoint, ExposedKeys, Input, Output};

#[cfg(test)]
mod testing;
