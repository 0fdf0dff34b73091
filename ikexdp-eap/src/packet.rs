//! EAP packets (RFC 3748 §4).
//!
//! ```text
//!  0                   1                   2                   3
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Code      |  Identifier   |            Length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Type      |  Type-Data ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
//! ```

/// Codes (RFC 3748 §4).
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

/// The octets before the type.
const HEADER_LEN: usize = 4;

/// What a packet is about (RFC 3748 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Type(pub(crate) u8);

impl Type {
    pub(crate) const IDENTITY: Self = Self(1);
    pub(crate) const NOTIFICATION: Self = Self(2);
    pub(crate) const NAK: Self = Self(3);
    pub(crate) const TLS: Self = Self(13);
    pub(crate) const MSCHAPV2: Self = Self(26);
}

/// What an authenticator sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Request(Request<'a>),
    Success,
    Failure,
}

/// A packet of code Request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) identifier: u8,
    pub(crate) kind: Type,
    pub(crate) data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    pub(crate) fn decode(packet: &'a [u8]) -> Option<Self> {
        let (&[code, identifier, high, low], _) = packet.split_first_chunk::<HEADER_LEN>()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let rest = packet.get(HEADER_LEN..len)?;
        match code {
            REQUEST => {
                let (&kind, data) = rest.split_first()?;
                Some(Self::Request(Request {
                    identifier,
                    kind: Type(kind),
                    data,
                }))
            }
            SUCCESS => Some(Self::Success),
            FAILURE => Some(Self::Failure),
            _ => None,
        }
    }
}

/// A packet of code Response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) identifier: u8,
    pub(crate) kind: Type,
    pub(crate) data: &'a [u8],
}

impl<'a> Response<'a> {
    /// Reads a packet. Octets behind its length are padding of a link layer
    /// (RFC 3748 §4.1).
    pub(crate) fn decode(packet: &'a [u8]) -> Option<Self> {
        let (&[code, identifier, high, low], _) = packet.split_first_chunk::<HEADER_LEN>()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (&kind, data) = packet.get(HEADER_LEN..len)?.split_first()?;
        (code == RESPONSE).then_some(Self {
            identifier,
            kind: Type(kind),
            data,
        })
    }
}

/// Writes a packet of code Request.
pub(crate) fn request(identifier: u8, kind: Type, data: &[u8]) -> Vec<u8> {
    write(REQUEST, identifier, kind, data)
}

/// Writes a packet of code Response.
pub(crate) fn response(identifier: u8, kind: Type, data: &[u8]) -> Vec<u8> {
    write(RESPONSE, identifier, kind, data)
}

fn write(code: u8, identifier: u8, kind: Type, data: &[u8]) -> Vec<u8> {
    let len = data.len().saturating_add(HEADER_LEN).saturating_add(1);
    // No method has more to say at once than a fragment of ours holds.
    let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = Vec::with_capacity(len);
    packet.extend([code, identifier, high, low, kind.0]);
    packet.extend_from_slice(data);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn a_response_is_read() {
        let packet = hex!("02 07 0008 01 616263");
        let response = Response {
            identifier: 7,
            kind: Type::IDENTITY,
            data: b"abc",
        };
        assert_eq!(Response::decode(&packet), Some(response));
        let padded = hex!("02 07 0008 01 616263 0000");
        assert_eq!(Response::decode(&padded), Some(response));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for (packet, why) in [
            (&hex!("")[..], "empty"),
            (&hex!("02 07 00"), "half a header"),
            (&hex!("02 07 0004"), "no type"),
            (&hex!("02 07 0000 01"), "no length"),
            (&hex!("02 07 0009 01 616263"), "longer than it is"),
            (&hex!("01 07 0005 01"), "a request"),
            (&hex!("03 07 0004"), "a success"),
        ] {
            assert_eq!(Response::decode(packet), None, "{why}");
        }
    }

    #[test]
    fn a_request_is_written() {
        let packet = request(7, Type::TLS, &[0x20]);
        assert_eq!(packet, hex!("01 07 0006 0d 20"));
    }

    #[test]
    fn what_an_authenticator_sends_is_read() {
        let request = Request {
            identifier: 7,
            kind: Type::MSCHAPV2,
            data: &[1],
        };
        let packet = hex!("01 07 0006 1a 01");
        assert_eq!(Packet::decode(&packet), Some(Packet::Request(request)));
        let success = hex!("03 07 0004");
        assert_eq!(Packet::decode(&success), Some(Packet::Success));
        let failure = hex!("04 07 0004");
        assert_eq!(Packet::decode(&failure), Some(Packet::Failure));
        for (packet, why) in [
            (&hex!("")[..], "empty"),
            (&hex!("01 07 0004"), "no type"),
            (&hex!("01 07 0009 1a"), "longer than it is"),
            (&hex!("03 07 0000"), "no length"),
            (&hex!("02 07 0005 01"), "a response"),
            (&hex!("05 07 0004"), "no code"),
        ] {
            assert_eq!(Packet::decode(packet), None, "{why}");
        }
    }
}
