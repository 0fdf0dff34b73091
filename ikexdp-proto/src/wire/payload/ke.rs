//! Key Exchange payload (RFC 7296 §3.4).
//!
//! ```text
//! | method (2) | RESERVED (2) | key exchange data |
//! ```

use crate::error::Malformed;
use crate::wire::iana::{GroupId, PayloadType};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// A public value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExchange<'a> {
    /// The group it belongs to.
    pub group: GroupId,
    /// The value.
    pub data: &'a [u8],
}

impl<'a> KeyExchange<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "KE payload";
        let mut reader = Reader::new(body);
        let group = GroupId(reader.u16(FIELD)?);
        reader.u16(FIELD)?;
        Ok(Self {
            group,
            data: reader.rest(),
        })
    }

    /// Appends the payload.
    pub fn encode(&self, chain: &mut ChainWriter) {
        chain.payload(PayloadType::KEY_EXCHANGE, |body| {
            body.u16(self.group.0);
            body.u16(0);
            body.bytes(self.data);
        });
    }
}
