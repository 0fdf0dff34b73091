//! Writes payload chains; length and next-payload fields are filled in when
//! what they describe has been written.

use alloc::vec::Vec;

use super::iana::PayloadType;

/// Octets under construction.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Appends an octet.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Appends two octets.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends four octets.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends octets.
    pub fn bytes(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// Writes a structure that begins with `head` and two octets that hold the
    /// length of the whole structure, head and length included.
    pub fn structure(&mut self, head: &[u8], body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes(head);
        self.u16(0);
        body(self);
        let length = self.bytes.len().saturating_sub(start);
        self.patch_length(start.saturating_add(head.len()), length);
    }

    /// Writes a value behind two octets that hold its length.
    pub fn value(&mut self, value: &[u8]) {
        self.u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        self.bytes(value);
    }

    // Nothing we write comes near 64 KiB: certificates are bounded when the
    // configuration is read, everything else by its nature.
    fn patch_length(&mut self, place: usize, length: usize) {
        debug_assert!(
            length <= usize::from(u16::MAX),
            "structure of {length} octets"
        );
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let field = self
            .bytes
            .get_mut(place..)
            .and_then(<[u8]>::first_chunk_mut);
        if let Some(field) = field {
            *field = length;
        }
    }
}

/// A chain of payloads under construction.
#[derive(Debug)]
pub struct ChainWriter {
    writer: Writer,
    first: PayloadType,
    /// Where the next-payload field of the last payload is.
    last: Option<usize>,
}

impl Default for ChainWriter {
    fn default() -> Self {
        Self {
            writer: Writer::default(),
            first: PayloadType::NONE,
            last: None,
        }
    }
}

impl ChainWriter {
    /// Appends a payload with the generic header of RFC 7296 §3.2.
    pub fn payload(&mut self, kind: PayloadType, body: impl FnOnce(&mut Writer)) {
        let start = self.writer.bytes.len();
        match self.last {
            None => self.first = kind,
            Some(place) => {
                if let Some(next) = self.writer.bytes.get_mut(place) {
                    *next = kind.0;
                }
            }
        }
        self.last = Some(start);
        // No payload that we write is critical: all are of RFC 7296 §3 itself.
        self.writer.structure(&[PayloadType::NONE.0, 0], body);
    }

    /// The type of the first payload and the octets of all.
    #[must_use]
    pub fn finish(self) -> Chain {
        Chain {
            first: self.first,
            octets: self.writer.bytes,
        }
    }
}

/// A chain of payloads as it goes on the wire or came from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The type of the first payload.
    pub first: PayloadType,
    /// The payloads with their generic headers.
    pub octets: Vec<u8>,
}
