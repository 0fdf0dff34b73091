//! Why an IKEv2 attempt failed: reads captures, follows each attempt, and says whose side
//! it is and what helps.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute on their own numbers"
    )
)]

mod attempt;
mod collect;
mod compare;
pub mod contents;
mod file;
mod fragments;
pub mod inside;
pub mod ipv6;
mod judge;
pub mod limits;
mod link;
pub mod message;
pub mod model;
mod packet;
pub mod printable;
pub mod report;
pub mod time;
pub mod verdict;

pub use collect::{Reading, read};
pub use file::{FileError, Foreign};
pub use judge::judge;

#[cfg(test)]
mod tests;
