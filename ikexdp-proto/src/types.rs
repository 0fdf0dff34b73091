//! The nouns of RFC 7296 that more than one part of the engine uses.

use core::fmt;
use core::net::SocketAddr;

use bytes::Bytes;
use zeroize::Zeroize;

/// UDP port of IKE (RFC 7296 §2).
pub const IKE_PORT: u16 = 500;

/// UDP port of IKE and ESP behind a NAT (RFC 7296 §2.23, RFC 3948).
pub const NAT_T_PORT: u16 = 4500;

/// The SPI of one end of an IKE SA. Zero stands for "not known yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(pub u64);

impl Spi {
    /// The responder's SPI in the first message of an exchange.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Both SPIs of an IKE SA, as every header carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spis {
    /// Chosen by the original initiator.
    pub initiator: Spi,
    /// Chosen by the original responder.
    pub responder: Spi,
}

impl fmt::Display for Spis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_i {}_r", self.initiator, self.responder)
    }
}

/// The SPI of one direction of a CHILD SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EspSpi(pub u32);

impl EspSpi {
    /// Whether it is one of those that no SA may have (RFC 4303 §2.1).
    pub(crate) const fn is_reserved(self) -> bool {
        self.0 < 256
    }
}

impl fmt::Display for EspSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The number of a request and of its response (RFC 7296 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u32);

impl MessageId {
    /// The number of the next request; `None` when the SA has used them all.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }
}

/// Who began an IKE SA; it never changes while the SA lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sent the IKE_SA_INIT request.
    Initiator,
    /// Answered it.
    Responder,
}

/// The engine's own name of an IKE SA, for people and for commands; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IkeSaId(pub u64);

impl fmt::Display for IkeSaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The two ends of a UDP flow, and how IKE is framed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port, as we see them.
    pub remote: SocketAddr,
    /// Whether four zero octets, the non-ESP marker, precede each IKE message
    /// (RFC 3948 §2.2). The host puts them on and takes them off.
    pub marker: bool,
}

impl Path {
    /// Octets around an IKE message in its IP datagram: IP header without
    /// options, UDP header, and marker.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        const IPV4: usize = 20;
        const IPV6: usize = 40;
        const UDP: usize = 8;
        const MARKER: usize = 4;

        match (self.remote.is_ipv4(), self.marker) {
            (true, false) => IPV4 + UDP,
            (true, true) => IPV4 + UDP + MARKER,
            (false, false) => IPV6 + UDP,
            (false, true) => IPV6 + UDP + MARKER,
        }
    }
}

/// The host's handle of a received frame in which a reply can ride back.
///
/// The host may forget a slot at any time; a reply to a forgotten slot takes
/// the ordinary way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplySlot(pub u64);

/// A received IKE message.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where it came from and to.
    pub path: Path,
    /// The frame it came in, if a reply can use it.
    pub slot: Option<ReplySlot>,
    /// Whether the host vouches for where it says that it came from: that has no more
    /// than all have, but is not held to what one source may have.
    pub is_allowed: bool,
    /// The UDP payload without the non-ESP marker.
    pub payload: &'a [u8],
}

/// An IKE message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub path: Path,
    /// The frame that asked for it, if it answers one.
    pub slot: Option<ReplySlot>,
    /// The UDP payload without the non-ESP marker.
    pub payload: Bytes,
    /// Whether it is lost rather than cut by IP: it answers a stranger, or tells how long a datagram may be.
    pub is_whole: bool,
}

/// Octets that are wiped when dropped and never printed.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value to code that computes with it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_id_is_used_twice() {
        assert_eq!(MessageId(7).next(), Some(MessageId(8)));
        assert_eq!(MessageId(u32::MAX).next(), None);
    }
}
