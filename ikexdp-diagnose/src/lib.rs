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

pub mod contents;
pub mod inside;
pub mod limits;
pub mod message;
pub mod model;
pub mod time;
pub mod verdict;
