//! Payloads, and the chain they form (RFC 7296 §3.2).
//!
//! ```text
//!  0               8               16              24
//! +---------------+-+-------------+---------------+---------------+
//! | Next Payload  |C|  RESERVED   |        Payload Length         |
//! +---------------+-+-------------+---------------+---------------+
//! ```

pub mod auth;
pub mod cert;
pub mod configuration;
pub mod delete;
pub mod eap;
pub mod id;
pub mod ke;
pub mod nonce;
pub mod notify;
pub mod sa;
pub mod ts;

use super::iana::PayloadType;
use super::reader::Reader;
use crate::error::{Error, Malformed, Violation};

/// Octets of the generic header.
pub const GENERIC_LEN: usize = 4;

/// A payload with its body still unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPayload<'a> {
    /// Its type.
    pub kind: PayloadType,
    /// Whether its sender insists that it be understood.
    pub critical: bool,
    /// What follows the generic header.
    pub body: &'a [u8],
}

/// Walks a chain of payloads; ends after the first fault.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    next: PayloadType,
    reader: Reader<'a>,
}

impl<'a> Payloads<'a> {
    /// Starts with a payload of type `first` at the beginning of `octets`.
    #[must_use]
    pub const fn new(first: PayloadType, octets: &'a [u8]) -> Self {
        Self {
            next: first,
            reader: Reader::new(octets),
        }
    }

    fn read(&mut self) -> Result<RawPayload<'a>, Malformed> {
        const FIELD: &str = "generic payload header";
        let kind = self.next;
        self.next = PayloadType(self.reader.u8(FIELD)?);
        let critical = self.reader.u8(FIELD)? & 0x80 != 0;
        let length = self.reader.u16(FIELD)?;
        let body = self
            .reader
            .take_rest_of(length, GENERIC_LEN, "payload length")?;
        // The next-payload field of SK and SKF speaks of what is inside.
        if kind == PayloadType::ENCRYPTED || kind == PayloadType::ENCRYPTED_FRAGMENT {
            self.next = PayloadType::NONE;
        }
        Ok(RawPayload {
            kind,
            critical,
            body,
        })
    }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = Result<RawPayload<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == PayloadType::NONE {
            let rest = core::mem::replace(&mut self.reader, Reader::new(&[]));
            return rest.end("payload chain").err().map(Err);
        }
        let payload = self.read();
        if payload.is_err() {
            self.next = PayloadType::NONE;
            self.reader = Reader::new(&[]);
        }
        Some(payload)
    }
}

/// Lets an unexpected payload pass, unless it is critical and unknown.
/// Payloads of RFC 7296 itself are all known (§2.5).
///
/// # Errors
/// [`Violation::UnknownCritical`].
pub const fn skip(payload: &RawPayload<'_>) -> Result<(), Violation> {
    let known = matches!(payload.kind.0, 33..=48) || payload.kind.0 == 53;
    if payload.critical && !known {
        Err(Violation::UnknownCritical(payload.kind))
    } else {
        Ok(())
    }
}

/// Fills a place that takes one payload of type `kind`.
///
/// # Errors
/// [`Violation::Duplicate`] if it is taken.
pub fn once<T>(place: &mut Option<T>, kind: PayloadType, value: T) -> Result<(), Violation> {
    if place.replace(value).is_some() {
        Err(Violation::Duplicate(kind))
    } else {
        Ok(())
    }
}

/// Takes a payload that must be there.
///
/// # Errors
/// [`Violation::Missing`] if it is not.
pub fn require<T>(place: Option<T>, kind: PayloadType) -> Result<T, Error> {
    place.ok_or(Error::Violation(Violation::Missing(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;
    use alloc::vec::Vec;
    use hex_literal::hex;

    fn walk(first: u8, octets: &[u8]) -> Result<Vec<RawPayload<'_>>, Malformed> {
        Payloads::new(PayloadType(first), octets).collect()
    }

    #[test]
    fn a_chain_ends_with_its_octets() {
        let chain = hex!("29 00 0006 abcd" "00 80 0004");
        let payloads = walk(40, &chain).unwrap();
        assert_eq!(payloads.len(), 2);
        assert_eq!(payloads[0].body, hex!("abcd"));
        assert!(payloads[1].critical);
        assert_eq!(walk(0, &[]).unwrap(), []);
        assert_eq!(walk(0, &[1]).unwrap_err().fault, Fault::Trailing);
        assert_eq!(walk(40, &chain[..9]).unwrap_err().fault, Fault::Truncated);
        assert_eq!(
            walk(40, &hex!("00000003")).unwrap_err().fault,
            Fault::Length
        );
        assert_eq!(
            walk(40, &hex!("00000005")).unwrap_err().fault,
            Fault::Length
        );
    }

    /// RFC 7296 §2.5: "If the critical flag is set and the payload type is
    /// unrecognized, the message MUST be rejected".
    #[test]
    fn only_unknown_critical_payloads_are_refused() {
        for (kind, critical, refused) in [
            (PayloadType(200), true, true),
            (PayloadType(200), false, false),
            (PayloadType::VENDOR_ID, true, false),
            (PayloadType(49), true, true),
        ] {
            let payload = RawPayload {
                kind,
                critical,
                body: &[],
            };
            assert_eq!(skip(&payload).is_err(), refused, "{kind}");
        }
    }
}
