//! EAP payload (RFC 7296 §3.16): an EAP packet (RFC 3748 §4).
//!
//! ```text
//! | code | identifier | length (2) | type | type data |
//! ```

use crate::error::{Fault, Malformed};
use crate::limits::EAP_LEN_MAX;
use crate::wire::iana::{EapCode, EapType, PayloadType};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

const FIELD: &str = "EAP packet";

/// An EAP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapPacket<'a> {
    /// What it is.
    pub code: EapCode,
    /// Joins a response to its request.
    pub identifier: u8,
    /// The method and what it says, in a request or response.
    pub method: Option<(EapType, &'a [u8])>,
    octets: &'a [u8],
}

impl<'a> EapPacket<'a> {
    /// Reads a packet; what lies behind the length it gives is padding and ignored
    /// (RFC 3748 §4.1).
    ///
    /// # Errors
    /// [`Malformed`] if it ends before that or is longer than anybody needs, or a
    /// request or response has no type.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let fault = |fault| Malformed {
            field: FIELD,
            fault,
        };
        let length = match body {
            [_, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return Err(fault(Fault::Truncated)),
        };
        let octets = body.get(..length).ok_or(fault(Fault::Truncated))?;
        if length > EAP_LEN_MAX {
            return Err(fault(Fault::Length));
        }
        let mut reader = Reader::new(octets);
        let code = EapCode(reader.u8(FIELD)?);
        let identifier = reader.u8(FIELD)?;
        reader.u16(FIELD)?;
        let method = match code {
            EapCode::REQUEST | EapCode::RESPONSE => {
                let kind = EapType(reader.u8("EAP type")?);
                Some((kind, reader.rest()))
            }
            _ if reader.rest().is_empty() => None,
            _ => return Err(fault(Fault::Trailing)),
        };
        Ok(Self {
            code,
            identifier,
            method,
            octets,
        })
    }

    /// The whole packet.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }
}

/// A request for the peer's identity (RFC 3748 §5.1), without a text to show.
#[must_use]
pub const fn identity_request(identifier: u8) -> [u8; 5] {
    [EapCode::REQUEST.0, identifier, 0, 5, EapType::IDENTITY.0]
}

/// What ends a conversation: EAP-Success or EAP-Failure (RFC 3748 §4.2).
#[must_use]
pub const fn end(code: EapCode, identifier: u8) -> [u8; 4] {
    [code.0, identifier, 0, 4]
}

/// Appends an EAP payload.
pub fn encode(chain: &mut ChainWriter, packet: &[u8]) {
    chain.payload(PayloadType::EAP, |body| body.bytes(packet));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_up_to_its_length() {
        let response = [2, 7, 0, 8, 1, b'b', b'o', b'b', 0, 0];
        let packet = EapPacket::decode(&response).unwrap();
        assert_eq!(packet.code, EapCode::RESPONSE);
        assert_eq!(packet.identifier, 7);
        assert_eq!(packet.method, Some((EapType::IDENTITY, &b"bob"[..])));
        assert_eq!(packet.octets(), &response[..8]);
    }

    #[test]
    fn what_we_write_is_read() {
        let request = identity_request(9);
        let packet = EapPacket::decode(&request).unwrap();
        assert_eq!(packet.method, Some((EapType::IDENTITY, &[][..])));
        let success = end(EapCode::SUCCESS, 9);
        let packet = EapPacket::decode(&success).unwrap();
        assert_eq!((packet.code, packet.method), (EapCode::SUCCESS, None));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let too_long = {
            let mut octets = alloc::vec![0; EAP_LEN_MAX + 1];
            let length = u16::try_from(octets.len()).unwrap().to_be_bytes();
            octets[..4].copy_from_slice(&[2, 7, length[0], length[1]]);
            octets
        };
        for (octets, fault) in [
            (&[][..], Fault::Truncated),
            (&[2, 7, 0], Fault::Truncated),
            (&[2, 7, 0, 9, 1, 2], Fault::Truncated),
            (&[2, 7, 0, 2], Fault::Truncated),
            (&[2, 7, 0, 4], Fault::Truncated),
            (&[3, 7, 0, 5, 1], Fault::Trailing),
            (&too_long, Fault::Length),
        ] {
            let error = EapPacket::decode(octets).unwrap_err();
            assert_eq!(error.fault, fault, "{octets:?}");
        }
    }
}
