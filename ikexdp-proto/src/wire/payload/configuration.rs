//! Configuration payload (RFC 7296 §3.15).
//!
//! ```text
//! | CFG type | RESERVED (3) | attributes |
//! | R, attribute type (15 bits) | length (2) | value |
//! ```

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::error::Malformed;
use crate::wire::iana::{ConfigurationAttribute, ConfigurationType, PayloadType};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// A request for configuration, or the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration<'a> {
    /// Request or reply.
    pub kind: ConfigurationType,
    /// What is asked for or given.
    pub attributes: Vec<Attribute<'a>>,
}

/// An attribute; its value is empty where a request leaves the choice to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// What it configures.
    pub kind: ConfigurationAttribute,
    /// Its value.
    pub value: alloc::borrow::Cow<'a, [u8]>,
}

impl Attribute<'_> {
    /// The address in an INTERNAL_IP4_ADDRESS or INTERNAL_IP6_ADDRESS; `None` if
    /// it is left open, or this is something else. Behind an IPv6 address there
    /// is a prefix length.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.kind {
            ConfigurationAttribute::INTERNAL_IP4_ADDRESS => {
                self.value.first_chunk::<4>().copied().map(IpAddr::from)
            }
            ConfigurationAttribute::INTERNAL_IP6_ADDRESS => {
                self.value.first_chunk::<16>().copied().map(IpAddr::from)
            }
            _ => None,
        }
    }
}

impl<'a> Configuration<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "configuration payload";
        let mut reader = Reader::new(body);
        let kind = ConfigurationType(reader.u8(FIELD)?);
        reader.array::<3>(FIELD)?;
        let mut attributes = Vec::new();
        while !reader.is_empty() {
            let kind = ConfigurationAttribute(reader.u16(FIELD)? & 0x7fff);
            let length = reader.u16(FIELD)?;
            let value = reader.take(usize::from(length), FIELD)?.into();
            attributes.push(Attribute { kind, value });
        }
        Ok(Self { kind, attributes })
    }

    /// Appends the payload.
    pub fn encode(&self, chain: &mut ChainWriter) {
        chain.payload(PayloadType::CONFIGURATION, |body| {
            body.bytes(&[self.kind.0, 0, 0, 0]);
            for attribute in &self.attributes {
                body.u16(attribute.kind.0);
                body.value(&attribute.value);
            }
        });
    }

    /// Whether an attribute is there.
    #[must_use]
    pub fn has(&self, kind: ConfigurationAttribute) -> bool {
        self.attributes
            .iter()
            .any(|attribute| attribute.kind == kind)
    }
}
