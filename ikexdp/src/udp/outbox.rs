//! What waits to be sent, so that many datagrams take one system call.

use bytes::Bytes;
use ikexdp_proto::types::Path;

use super::{KEEPALIVE, MARKER, SendError, Sockets};

/// Datagrams that wait at most: enough to make the cost of a call small, few enough that the first
/// does not wait long for the last.
const WAITING_MAX: usize = 8;

/// A datagram on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// From `path.local` to `path.remote`.
    pub path: Path,
    /// Whether it leaves in IP fragments rather than not at all.
    pub may_fragment: bool,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// An IKE message, without the non-ESP marker.
    Message(Bytes),
    Keepalive,
}

impl Outgoing {
    /// An IKE message, which leaves as one IP datagram.
    #[must_use]
    pub const fn message(path: Path, message: Bytes) -> Self {
        Self {
            path,
            may_fragment: false,
            content: Content::Message(message),
        }
    }

    /// A NAT-keepalive packet (RFC 3948 §2.3).
    #[must_use]
    pub const fn keepalive(path: Path) -> Self {
        Self {
            path,
            may_fragment: false,
            content: Content::Keepalive,
        }
    }

    /// Whether it is a NAT-keepalive packet.
    #[must_use]
    pub const fn is_keepalive(&self) -> bool {
        matches!(self.content, Content::Keepalive)
    }

    /// Which socket it leaves by.
    pub(super) const fn place(&self) -> (bool, u16) {
        (self.path.local.is_ipv4(), self.path.local.port())
    }

    /// Octets of the IP datagram.
    #[must_use]
    pub fn datagram_len(&self) -> usize {
        let message = match &self.content {
            Content::Message(message) => message.len(),
            Content::Keepalive => KEEPALIVE.len(),
        };
        message.saturating_add(self.path.overhead())
    }

    /// The UDP payload, in two parts that nobody has to copy together; with `marker`, IKE is behind it.
    pub(super) fn parts(&self, marker: bool) -> [&[u8]; 2] {
        match &self.content {
            Content::Message(message) if marker => [&MARKER, message],
            Content::Message(message) => [&[], message],
            Content::Keepalive => [&[], &KEEPALIVE],
        }
    }
}

/// Datagrams that wait to be sent together.
#[derive(Debug)]
pub struct Outbox {
    waiting: Vec<Outgoing>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            waiting: Vec::with_capacity(WAITING_MAX),
        }
    }
}

impl Outbox {
    /// Puts a datagram behind the others. Says whether it is full: they are to be sent before the next comes.
    #[must_use]
    pub fn push(&mut self, datagram: Outgoing) -> bool {
        self.waiting.push(datagram);
        self.waiting.len() >= WAITING_MAX
    }

    /// Sends what waits, in its order for each path, and says of each what became of it.
    pub fn send(&mut self, sockets: &Sockets, told: impl FnMut(&Outgoing, Result<(), SendError>)) {
        // A system call is for one socket.
        self.waiting.sort_by_key(Outgoing::place);
        sockets.send_all(&self.waiting, told);
        self.waiting.clear();
    }
}
