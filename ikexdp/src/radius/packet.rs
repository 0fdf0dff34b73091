//! Packets (RFC 2865 §3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Code      |  Identifier   |            Length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Authenticator (16)                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Attributes ...
//! +-+-+-+-+-+-+-+-
//! ```

use super::attribute::{Attribute, Attributes, Kind};
use super::crypto::{AUTHENTICATOR_LEN, Authenticator, equal, hmac, md5};
use super::limits::{PACKET_LEN_MAX, VALUE_LEN_MAX};

/// Octets before the attributes.
pub(super) const HEADER_LEN: usize = 4 + AUTHENTICATOR_LEN;

/// The authenticator that goes into computations in which there is none yet.
pub(super) const NONE: Authenticator = [0; AUTHENTICATOR_LEN];

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u8);

impl Code {
    pub(super) const ACCESS_REQUEST: Self = Self(1);
    pub(super) const ACCESS_ACCEPT: Self = Self(2);
    pub(super) const ACCESS_REJECT: Self = Self(3);
    pub(super) const ACCOUNTING_REQUEST: Self = Self(4);
    pub(super) const ACCOUNTING_RESPONSE: Self = Self(5);
    pub(super) const ACCESS_CHALLENGE: Self = Self(11);
    pub(super) const DISCONNECT_REQUEST: Self = Self(40);
    pub(super) const DISCONNECT_ACK: Self = Self(41);
    pub(super) const DISCONNECT_NAK: Self = Self(42);
    pub(super) const COA_REQUEST: Self = Self(43);
    pub(super) const COA_NAK: Self = Self(45);
}

/// Octets that are no packet; with what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// A packet whose attributes are whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) code: Code,
    pub(super) identifier: u8,
    pub(super) authenticator: Authenticator,
    /// Code, identifier and length.
    head: [u8; 4],
    attributes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram. What is behind the packet's own length is padding
    /// (RFC 2865 §3).
    pub(super) fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let short = Malformed("shorter than a header");
        let (head, _) = datagram.split_first_chunk::<4>().ok_or(short)?;
        let [code, identifier, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > PACKET_LEN_MAX {
            return Err(Malformed("longer than a packet may be"));
        }
        let packet = datagram
            .get(..length)
            .ok_or(Malformed("shorter than it says"))?;
        let rest = packet.get(head.len()..).ok_or(short)?;
        let (authenticator, attributes) = rest.split_first_chunk().ok_or(short)?;
        let mut behind = attributes;
        while !behind.is_empty() {
            let wrong = Malformed("length of an attribute");
            (_, behind) = Attribute::split(behind).ok_or(wrong)?;
        }
        Ok(Self {
            code: Code(code),
            identifier,
            authenticator: *authenticator,
            head: *head,
            attributes,
        })
    }

    /// All its attributes.
    pub(super) const fn attributes(&self) -> Attributes<'a> {
        Attributes(self.attributes)
    }

    /// Those of one kind.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.attributes().filter(move |it| it.kind == kind)
    }

    /// The first of one kind.
    pub(super) fn first(&self, kind: Kind) -> Option<Attribute<'a>> {
        self.all(kind).next()
    }

    /// The value of all EAP-Messages (RFC 3579 §3.1); empty if there is none.
    pub(super) fn eap(&self) -> Vec<u8> {
        let parts = self.all(Kind::EAP_MESSAGE);
        parts.flat_map(|it| it.value).copied().collect()
    }

    /// Whether the packet's authenticator is that of one which knows the secret:
    /// of a response with the authenticator of its request (RFC 2865 §3), of a
    /// request of accounting or to disconnect with [`NONE`] (RFC 2866 §3).
    pub(super) fn is_authentic(&self, secret: &[u8], request: &Authenticator) -> bool {
        let expected = md5(&[&self.head, request, self.attributes, secret]);
        equal(&expected, &self.authenticator)
    }

    /// Whether the Message-Authenticator is right (RFC 3579 §3.2); `None` if there
    /// is none. `request` is as in [`Self::is_authentic`].
    pub(super) fn is_signed(&self, secret: &[u8], request: &Authenticator) -> Option<bool> {
        let mut before = 0_usize;
        for attribute in self.attributes() {
            if attribute.kind == Kind::MESSAGE_AUTHENTICATOR {
                break;
            }
            before = before
                .saturating_add(attribute.value.len())
                .saturating_add(2);
        }
        let mut signatures = self.all(Kind::MESSAGE_AUTHENTICATOR);
        let signature = signatures.next()?;
        if signatures.next().is_some() || signature.value.len() != AUTHENTICATOR_LEN {
            return Some(false);
        }
        let start = before.saturating_add(2);
        let end = start.saturating_add(AUTHENTICATOR_LEN);
        let (head, tail) = (self.attributes.get(..start)?, self.attributes.get(end..)?);
        let expected = hmac(secret, &[&self.head, request, head, &NONE, tail]);
        Some(equal(&expected, signature.value))
    }
}

/// More than a packet, or an attribute, can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A packet to be, without identifier and authenticator.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    code: Code,
    attributes: Vec<u8>,
    is_signed: bool,
}

impl Draft {
    /// With a Message-Authenticator, before all else: so nothing can be put before it
    /// that makes up for a prefix of somebody's choice (CVE-2024-3596).
    pub(super) fn signed(code: Code) -> Self {
        let mut draft = Self::unsigned(code);
        draft.is_signed = true;
        draft.attributes.extend([Kind::MESSAGE_AUTHENTICATOR.0, 18]);
        draft.attributes.extend(NONE);
        draft
    }

    /// Without, as accounting has it.
    pub(super) const fn unsigned(code: Code) -> Self {
        Self {
            code,
            attributes: Vec::new(),
            is_signed: false,
        }
    }

    /// Adds an attribute.
    pub(super) fn push(&mut self, kind: Kind, value: &[u8]) -> Result<(), TooLong> {
        if value.is_empty() || value.len() > VALUE_LEN_MAX {
            return Err(TooLong);
        }
        let length = u8::try_from(value.len()).map_err(|_| TooLong)?;
        self.attributes.extend([kind.0, length.saturating_add(2)]);
        self.attributes.extend(value);
        let length = HEADER_LEN.saturating_add(self.attributes.len());
        (length <= PACKET_LEN_MAX).then_some(()).ok_or(TooLong)
    }

    /// Adds a number.
    pub(super) fn push_number(&mut self, kind: Kind, value: u32) -> Result<(), TooLong> {
        self.push(kind, &value.to_be_bytes())
    }

    /// Adds an attribute as often as it takes to carry `value` (RFC 3579 §3.1).
    pub(super) fn push_parts(&mut self, kind: Kind, value: &[u8]) -> Result<(), TooLong> {
        value
            .chunks(VALUE_LEN_MAX)
            .try_for_each(|part| self.push(kind, part))
    }

    /// An Access-Request, whose authenticator is random (RFC 2865 §3).
    pub(super) fn request(&self, identifier: u8, random: Authenticator, secret: &[u8]) -> Vec<u8> {
        self.encode(identifier, random, secret)
    }

    /// A request of accounting or to disconnect (RFC 2866 §3).
    pub(super) fn computed(&self, identifier: u8, secret: &[u8]) -> Vec<u8> {
        self.response(identifier, &NONE, secret)
    }

    /// A response to the request with the authenticator `request`.
    pub(super) fn response(
        &self,
        identifier: u8,
        request: &Authenticator,
        secret: &[u8],
    ) -> Vec<u8> {
        let mut packet = self.encode(identifier, *request, secret);
        let digest = md5(&[&packet, secret]);
        overwrite(&mut packet, 4, &digest);
        packet
    }

    fn encode(&self, identifier: u8, authenticator: Authenticator, secret: &[u8]) -> Vec<u8> {
        let length = HEADER_LEN.saturating_add(self.attributes.len());
        let mut packet = Vec::with_capacity(length);
        packet.extend([self.code.0, identifier]);
        // `push` has seen to it that it fits.
        packet.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend(authenticator);
        packet.extend(&self.attributes);
        if self.is_signed {
            let signature = hmac(secret, &[&packet]);
            overwrite(&mut packet, HEADER_LEN.saturating_add(2), &signature);
        }
        packet
    }
}

/// Puts an authenticator in its place.
fn overwrite(packet: &mut [u8], start: usize, authenticator: &Authenticator) {
    let end = start.saturating_add(AUTHENTICATOR_LEN);
    if let Some(place) = packet.get_mut(start..end) {
        place.copy_from_slice(authenticator);
    }
}

#[cfg(test)]
mod tests;
