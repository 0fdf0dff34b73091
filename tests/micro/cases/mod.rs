//! The operations.

mod handshakes;
mod kex;
mod messages;
mod parts;
mod protection;
mod signatures;

use crate::Case;

/// Octets of a message, or of a part of one, that is protected: what a datagram has room for.
const MESSAGE_LEN: usize = 1200;

/// Every operation. A group is made when it is asked for: certificates and signatures have not always
/// the same length, and memory that was taken and given back for them would be in the way of groups
/// that have none.
pub fn all() -> impl Iterator<Item = Case> {
    let groups = [
        messages::cases,
        parts::cases,
        handshakes::parts,
        protection::cases,
        kex::cases,
        handshakes::wholes,
        signatures::cases,
    ];
    groups.into_iter().flat_map(|cases| cases())
}
