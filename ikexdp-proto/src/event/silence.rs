//! What is known of a peer that fell silent: how far its last message came, and ours.

use alloc::vec::Vec;

use crate::wire::iana::ExchangeType;

/// A message of the peer of which fragments are missing (RFC 7383).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// The fragments that did not come, in order, counted from 1.
    pub missing: Vec<u16>,
    /// How many there are in all.
    pub total: u16,
}

/// A response of ours that the peer asked for again and again.
///
/// Whoever has it goes on; whoever asks again has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unacknowledged {
    /// The exchange it belongs to.
    pub exchange: ExchangeType,
    /// How often it was sent again.
    pub times: u8,
    /// In how many datagrams it went out first.
    pub fragments: u16,
    /// Octets of the longest of them, as an IP datagram.
    pub datagram_len: u16,
    /// Whether it was sent in smaller datagrams as well.
    pub lowered: bool,
}
