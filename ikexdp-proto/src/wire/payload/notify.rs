//! Notify payload (RFC 7296 §3.10).
//!
//! ```text
//! | protocol | SPI size | type (2) | SPI | notification data |
//! ```

use crate::error::Malformed;
use crate::wire::iana::{GroupId, NotifyType, PayloadType, ProtocolId};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// A notify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify<'a> {
    /// The protocol of the SA it is about, if it is about one.
    pub protocol: ProtocolId,
    /// The SPI of that SA.
    pub spi: &'a [u8],
    /// What it says.
    pub kind: NotifyType,
    /// Data that go with the type.
    pub data: &'a [u8],
}

impl<'a> Notify<'a> {
    /// A notify about no SA in particular.
    #[must_use]
    pub const fn new(kind: NotifyType, data: &'a [u8]) -> Self {
        Self {
            protocol: ProtocolId::NONE,
            spi: &[],
            kind,
            data,
        }
    }

    /// The group that INVALID_KE_PAYLOAD asks for (RFC 7296 §1.3).
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        let group = self.data.try_into().ok()?;
        Some(GroupId(u16::from_be_bytes(group)))
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "notify payload";
        let mut reader = Reader::new(body);
        let protocol = ProtocolId(reader.u8(FIELD)?);
        let spi_size = reader.u8(FIELD)?;
        let kind = NotifyType(reader.u16(FIELD)?);
        let spi = reader.take(usize::from(spi_size), FIELD)?;
        Ok(Self {
            protocol,
            spi,
            kind,
            data: reader.rest(),
        })
    }

    /// Appends the payload.
    pub fn encode(&self, chain: &mut ChainWriter) {
        chain.payload(PayloadType::NOTIFY, |body| {
            body.u8(self.protocol.0);
            body.u8(u8::try_from(self.spi.len()).unwrap_or(u8::MAX));
            body.u16(self.kind.0);
            body.bytes(self.spi);
            body.bytes(self.data);
        });
    }
}
