//! Delete payload (RFC 7296 §3.11).
//!
//! ```text
//! | protocol | SPI size | number of SPIs (2) | SPIs |
//! ```

use alloc::vec::Vec;

use crate::error::{Fault, Malformed};
use crate::types::EspSpi;
use crate::wire::iana::{PayloadType, ProtocolId};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// SAs that the sender has deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delete {
    /// The IKE SA the message came in.
    Ike,
    /// CHILD SAs, by the SPIs the sender receives on.
    Esp(Vec<EspSpi>),
    /// SAs of a protocol that we have none of.
    Other(ProtocolId),
}

impl Delete {
    /// Reads the body.
    ///
    /// # Errors
    /// [`Malformed`] if the SPIs do not add up.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "delete payload";
        let mut reader = Reader::new(body);
        let protocol = ProtocolId(reader.u8(FIELD)?);
        let spi_size = reader.u8(FIELD)?;
        let count = reader.u16(FIELD)?;
        let spis = reader.rest();
        let expected = usize::from(spi_size).checked_mul(usize::from(count));
        let fault = Malformed {
            field: FIELD,
            fault: Fault::Length,
        };
        if expected != Some(spis.len()) {
            return Err(fault);
        }
        match protocol {
            ProtocolId::IKE if spis.is_empty() => Ok(Self::Ike),
            ProtocolId::ESP if spi_size == 4 => {
                let (spis, _) = spis.as_chunks();
                let spi = |octets: &[u8; 4]| EspSpi(u32::from_be_bytes(*octets));
                Ok(Self::Esp(spis.iter().map(spi).collect()))
            }
            ProtocolId::IKE | ProtocolId::ESP => Err(fault),
            other => Ok(Self::Other(other)),
        }
    }

    /// Appends the payload.
    pub fn encode(&self, chain: &mut ChainWriter) {
        chain.payload(PayloadType::DELETE, |body| match self {
            Self::Ike => {
                body.bytes(&[ProtocolId::IKE.0, 0]);
                body.u16(0);
            }
            Self::Esp(spis) => {
                body.bytes(&[ProtocolId::ESP.0, 4]);
                body.u16(u16::try_from(spis.len()).unwrap_or(u16::MAX));
                for spi in spis {
                    body.u32(spi.0);
                }
            }
            Self::Other(protocol) => {
                body.bytes(&[protocol.0, 0]);
                body.u16(0);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn deletes_are_told_apart() {
        for (body, delete) in [
            (&hex!("01 00 0000")[..], Ok(Delete::Ike)),
            (
                &hex!("03 04 0002 00000102 c0ffee00"),
                Ok(Delete::Esp(alloc::vec![EspSpi(0x102), EspSpi(0xc0ff_ee00)])),
            ),
            (
                &hex!("02 04 0001 00000102"),
                Ok(Delete::Other(ProtocolId::AH)),
            ),
            (&hex!("03 04 0002 00000102"), Err(Fault::Length)),
            (&hex!("03 08 0001 0000010200000000"), Err(Fault::Length)),
            (&hex!("01 00 00"), Err(Fault::Truncated)),
        ] {
            assert_eq!(Delete::decode(body).map_err(|e| e.fault), delete);
        }
    }
}
