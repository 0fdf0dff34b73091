//! The fixed header of every message (RFC 7296 §3.1).
//!
//! ```text
//!  0               8               16              24
//! +---------------+---------------+---------------+---------------+
//! |                   Initiator's SPI (8 octets)                  |
//! |                   Responder's SPI (8 octets)                  |
//! +---------------+-------+-------+---------------+---------------+
//! | Next Payload  | Major | Minor | Exchange Type |     Flags     |
//! +---------------+-------+-------+---------------+---------------+
//! |                          Message ID                           |
//! |                            Length                             |
//! +---------------+---------------+---------------+---------------+
//! ```

use alloc::vec::Vec;
use core::fmt;

use super::iana::{ExchangeType, PayloadType};
use super::reader::Reader;
use crate::error::{Fault, Malformed};
use crate::types::{MessageId, Role, Spi, Spis};

/// Octets of the header.
pub const HEADER_LEN: usize = 28;

/// The version we speak: major 2, minor 0.
pub const VERSION: u8 = 0x20;

const FLAG_INITIATOR: u8 = 0x08;
const FLAG_RESPONSE: u8 = 0x20;

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Both SPIs.
    pub spis: Spis,
    /// Type of the first payload.
    pub next_payload: PayloadType,
    /// Major version in the high four bits, minor in the low.
    pub version: u8,
    /// What kind of exchange the message belongs to.
    pub exchange: ExchangeType,
    /// Whether the sender is the original initiator of the IKE SA.
    pub from: Role,
    /// Whether the message is a response.
    pub response: bool,
    /// Number of the request.
    pub message_id: MessageId,
}

impl Header {
    /// Splits `message` into its header and the payloads.
    ///
    /// # Errors
    /// [`Malformed`] if it is shorter than a header or its length field is not
    /// the length of `message`.
    pub fn decode(message: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        const FIELD: &str = "IKE header";
        let mut reader = Reader::new(message);
        let initiator = Spi(reader.u64(FIELD)?);
        let responder = Spi(reader.u64(FIELD)?);
        let next_payload = PayloadType(reader.u8(FIELD)?);
        let version = reader.u8(FIELD)?;
        let exchange = ExchangeType(reader.u8(FIELD)?);
        let flags = reader.u8(FIELD)?;
        let message_id = MessageId(reader.u32(FIELD)?);
        let length = reader.u32(FIELD)?;
        if usize::try_from(length) != Ok(message.len()) {
            return Err(Malformed {
                field: "length of the IKE header",
                fault: Fault::Length,
            });
        }
        let header = Self {
            spis: Spis {
                initiator,
                responder,
            },
            next_payload,
            version,
            exchange,
            from: if flags & FLAG_INITIATOR == 0 {
                Role::Responder
            } else {
                Role::Initiator
            },
            response: flags & FLAG_RESPONSE != 0,
            message_id,
        };
        Ok((header, reader.rest()))
    }

    /// Appends the header of a message of `length` octets in all.
    pub fn encode(&self, length: usize, message: &mut Vec<u8>) {
        let from = match self.from {
            Role::Initiator => FLAG_INITIATOR,
            Role::Responder => 0,
        };
        let response = if self.response { FLAG_RESPONSE } else { 0 };
        message.extend_from_slice(&self.spis.initiator.0.to_be_bytes());
        message.extend_from_slice(&self.spis.responder.0.to_be_bytes());
        message.extend_from_slice(&[
            self.next_payload.0,
            self.version,
            self.exchange.0,
            from | response,
        ]);
        message.extend_from_slice(&self.message_id.0.to_be_bytes());
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        message.extend_from_slice(&length.to_be_bytes());
    }

    /// The major version.
    #[must_use]
    pub const fn major_version(&self) -> u8 {
        self.version >> 4
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.response { "response" } else { "request" };
        write!(
            f,
            "{} {kind} {} [{}]",
            self.exchange, self.message_id.0, self.spis
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const INIT: [u8; HEADER_LEN] = hex!(
        "0102030405060708 0000000000000000" // SPIs
        "21 20 22 08"                       // SA, 2.0, IKE_SA_INIT, initiator
        "00000000 0000001c"                 // message ID, length
    );

    #[test]
    fn a_header_survives_decoding_and_encoding() {
        let (header, payloads) = Header::decode(&INIT).unwrap();
        assert_eq!(header.spis.initiator, Spi(0x0102_0304_0506_0708));
        assert_eq!(header.exchange, ExchangeType::IKE_SA_INIT);
        assert_eq!(header.from, Role::Initiator);
        assert!(!header.response);
        assert!(payloads.is_empty());
        let mut encoded = Vec::new();
        header.encode(HEADER_LEN, &mut encoded);
        assert_eq!(encoded, INIT);
    }

    #[test]
    fn the_length_must_be_that_of_the_datagram() {
        let mut longer = INIT.to_vec();
        longer.push(0);
        assert_eq!(Header::decode(&longer).unwrap_err().fault, Fault::Length);
        for end in 0..HEADER_LEN {
            let cut = Header::decode(&INIT[..end]).unwrap_err();
            assert_eq!(cut.fault, Fault::Truncated);
        }
    }
}
