//! Encrypted payloads: SK (RFC 7296 §3.14) and SKF (RFC 7383 §2.5).
//!
//! ```text
//! SK   | generic header |                                       | IV, ciphertext, ICV |
//! SKF  | generic header | Fragment Number (2) | Total Fragments (2) | IV, ciphertext, ICV |
//! ```

use super::header::{HEADER_LEN, Header};
use super::iana::PayloadType;
use super::payload::{GENERIC_LEN, Payloads, skip};
use super::reader::Reader;
use crate::error::{Error, Fault, Malformed, Violation};

/// Octets between the generic header of an SKF payload and its IV.
pub const FRAGMENT_LEN: usize = 4;

/// Where the encrypted part of a message is, and what the clear part says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// Type of the first payload inside; of the whole message if it is in fragments.
    pub first: PayloadType,
    /// Octets before the IV: what is authenticated in the clear.
    pub associated: usize,
    /// Which fragment this is, if the message is in fragments.
    pub fragment: Option<FragmentNumber>,
}

/// A fragment's place in its message, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentNumber {
    /// Fragment Number.
    pub number: u16,
    /// Total Fragments.
    pub total: u16,
}

impl Encrypted {
    /// Finds the SK or SKF payload of `message`, whose header is `header`.
    ///
    /// # Errors
    /// [`Malformed`], among them fragment numbers that make no sense
    /// (RFC 7383 §2.6); [`Violation::Missing`] if nothing is encrypted, as in
    /// IKE_SA_INIT.
    pub fn locate(header: &Header, message: &[u8]) -> Result<Self, Error> {
        let octets = message.get(HEADER_LEN..).unwrap_or_default();
        let mut payloads = Payloads::new(header.next_payload, octets);
        while let Some(payload) = payloads.next() {
            let payload = payload?;
            if payload.kind != PayloadType::ENCRYPTED
                && payload.kind != PayloadType::ENCRYPTED_FRAGMENT
            {
                skip(&payload)?;
                continue;
            }
            // It is the last payload, so its body ends where the message does.
            payloads.next().transpose()?;
            let before_body = message.len().saturating_sub(payload.body.len());
            return Self::read(payload.kind, message, before_body);
        }
        Err(Violation::Missing(PayloadType::ENCRYPTED).into())
    }

    fn read(kind: PayloadType, message: &[u8], body: usize) -> Result<Self, Error> {
        const FIELD: &str = "encrypted payload";
        let generic = body.saturating_sub(GENERIC_LEN);
        let mut reader = Reader::new(message.get(generic..).unwrap_or_default());
        let first = PayloadType(reader.u8(FIELD)?);
        reader.array::<3>(FIELD)?;
        if kind == PayloadType::ENCRYPTED {
            return Ok(Self {
                first,
                associated: body,
                fragment: None,
            });
        }
        let number = reader.u16("fragment number")?;
        let total = reader.u16("total fragments")?;
        if number == 0 || number > total {
            return Err(Malformed {
                field: "fragment number",
                fault: Fault::Value,
            }
            .into());
        }
        // RFC 7383 §2.5: only the first fragment tells the type.
        if number > 1 && first != PayloadType::NONE {
            return Err(Malformed {
                field: "next payload of a fragment",
                fault: Fault::Value,
            }
            .into());
        }
        Ok(Self {
            first,
            associated: body.saturating_add(FRAGMENT_LEN),
            fragment: Some(FragmentNumber { number, total }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use hex_literal::hex;

    /// A message of one exchange with `payloads` behind the header.
    fn locate(first: PayloadType, payloads: &[u8]) -> Result<Encrypted, Error> {
        let mut message: Vec<u8> =
            hex!("0102030405060708 1112131415161718 00 20 23 08 00000001 00000000").to_vec();
        message.extend(payloads);
        message[16] = first.0;
        message[27] = message.len() as u8;
        let (header, _) = Header::decode(&message).unwrap();
        Encrypted::locate(&header, &message)
    }

    #[test]
    fn the_encrypted_payload_is_found_behind_others() {
        let alone = locate(PayloadType::ENCRYPTED, &hex!("23 00 0006 abcd")).unwrap();
        assert_eq!(alone.first, PayloadType::ID_INITIATOR);
        assert_eq!(alone.associated, HEADER_LEN + 4);
        let behind = locate(
            PayloadType::VENDOR_ID,
            &hex!("2e 00 0005 77 23 00 0006 abcd"),
        );
        assert_eq!(behind.unwrap().associated, HEADER_LEN + 5 + 4);
    }

    #[test]
    fn nothing_may_follow_and_something_must_be_there() {
        assert!(locate(PayloadType::ENCRYPTED, &hex!("23 00 0006 abcd 00")).is_err());
        assert_eq!(
            locate(PayloadType::VENDOR_ID, &hex!("00 00 0005 77")),
            Err(Violation::Missing(PayloadType::ENCRYPTED).into())
        );
    }

    #[test]
    fn fragment_numbers_count_from_one_to_the_total() {
        for (payload, number) in [
            (&hex!("23 00 000a 0001 0003 abcd"), Some((1, 3))),
            (&hex!("00 00 000a 0003 0003 abcd"), Some((3, 3))),
            (&hex!("23 00 000a 0002 0003 abcd"), None),
            (&hex!("00 00 000a 0004 0003 abcd"), None),
            (&hex!("23 00 000a 0000 0003 abcd"), None),
            (&hex!("23 00 000a 0000 0000 abcd"), None),
        ] {
            let found = locate(PayloadType::ENCRYPTED_FRAGMENT, payload).ok();
            let fragment = found.and_then(|found| found.fragment);
            assert_eq!(fragment.map(|f| (f.number, f.total)), number);
        }
    }
}
