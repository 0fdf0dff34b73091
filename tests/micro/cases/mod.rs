//! The operations.

mod handshakes;
mod kex;
mod messages;
mod protection;
mod signatures;

use crate::Case;

/// Octets of a message, or of a part of one, that is protected: what a datagram has room for.
const MESSAGE_LEN: usize = 1200;

/// Every operation.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        messages::cases(),
        handshakes::cases(),
        protection::cases(),
        kex::cases(),
        signatures::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
