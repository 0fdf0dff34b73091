//! One IKE message as a capture shows it.

use std::net::SocketAddr;

use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::sk::FragmentNumber;

use crate::contents::Contents;
use crate::model::Piece;
use crate::time::Moment;
use crate::verdict::Direction;

/// One IKE message, or one SKF fragment of it, in one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Index of the capture.
    pub capture: usize,
    /// The frames it came in, from 1; several if the datagram was in IP fragments.
    pub frames: Vec<u64>,
    /// When its first frame was captured; by the first capture's clock if there are two.
    pub time: Moment,
    /// Where it came from.
    pub source: SocketAddr,
    /// Where it went.
    pub destination: SocketAddr,
    /// Who sent it.
    pub direction: Direction,
    /// The fixed header.
    pub header: Header,
    /// Octets of the IP datagram, headers included, if it was whole; as far as is known if not.
    pub datagram_len: usize,
    /// Octets of the IKE message, by its header.
    pub message_len: usize,
    /// What IP numbers its fragments by; IPv6 does so only where there are some.
    pub ip_id: Option<u32>,
    /// Whether routers were asked not to fragment it.
    pub dont_fragment: bool,
    /// Hop limit (TTL) it had when it was captured.
    pub hop_limit: u8,
    /// The IP fragments it came in; empty if it came in one piece.
    pub pieces: Vec<Piece>,
    /// Whether all of the datagram passed here: `false` only if IP fragments of it are missing.
    pub whole: bool,
    /// Which fragment of IKE it is, if it is one.
    pub fragment: Option<FragmentNumber>,
    /// What it says in the clear.
    pub contents: Contents,
    /// The message from its header on, if all of it was captured and is within
    /// [`OCTETS_PER_ATTEMPT`](crate::limits::OCTETS_PER_ATTEMPT); for who has keys.
    pub octets: Option<Vec<u8>>,
    /// Index in the attempt's messages of the one that this repeats.
    pub repeat_of: Option<usize>,
    /// Index in the attempt's messages of the same datagram, seen before at another interface, or in
    /// the other capture.
    pub seen_as: Option<usize>,
    /// A digest of the message, to know it again.
    pub digest: u64,
}

impl Message {
    /// Whether it says what it says in the clear.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        matches!(self.contents, Contents::Clear(_))
    }
}
