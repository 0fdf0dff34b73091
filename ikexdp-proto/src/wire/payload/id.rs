//! Identification payloads (RFC 7296 §3.5).
//!
//! ```text
//! | ID type | RESERVED (3) | identification data |
//! ```

use crate::error::{Error, Limit};
use crate::identity::Identity;
use crate::limits::IDENTITY_LEN_MAX;
use crate::wire::iana::{IdType, PayloadType};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// An identity with the very octets it came in: AUTH covers those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification<'a> {
    /// Who.
    pub identity: Identity,
    /// The body of the payload.
    pub body: &'a [u8],
}

impl<'a> Identification<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`crate::error::Malformed`], or [`Limit::IdentityLength`].
    pub fn decode(body: &'a [u8]) -> Result<Self, Error> {
        const FIELD: &str = "identification payload";
        let mut reader = Reader::new(body);
        let kind = IdType(reader.u8(FIELD)?);
        reader.array::<3>(FIELD)?;
        let data = reader.rest();
        if data.len() > IDENTITY_LEN_MAX {
            return Err(Limit::IdentityLength.into());
        }
        Ok(Self {
            identity: Identity::decode(kind, data)?,
            body,
        })
    }
}

/// The body of the payload that names `identity`.
#[must_use]
pub fn body(identity: &Identity) -> alloc::vec::Vec<u8> {
    let mut body = alloc::vec![identity.kind().0, 0, 0, 0];
    body.extend(identity.data());
    body
}

/// Appends a payload of type `kind` (IDi or IDr) with `body`.
pub fn encode(chain: &mut ChainWriter, kind: PayloadType, body: &[u8]) {
    chain.payload(kind, |writer| writer.bytes(body));
}
