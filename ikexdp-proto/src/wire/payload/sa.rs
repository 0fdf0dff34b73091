//! Security Association payload (RFC 7296 §3.3): proposals of transforms.
//!
//! ```text
//! Proposal   | last or more 2 | RESERVED | length (2) | num | protocol | SPI size | transforms |
//!            | SPI (variable) | transforms |
//! Transform  | last or more 3 | RESERVED | length (2) | type | RESERVED | ID (2) | attributes |
//! Attribute  | 1, type (15 bits) | value (2) |   or   | 0, type | length (2) | value |
//! ```

use alloc::vec::Vec;

use crate::error::{Error, Fault, Limit, Malformed};
use crate::limits::PROPOSALS_MAX;
use crate::wire::iana::{PayloadType, ProtocolId, TransformAttribute, TransformType};
use crate::wire::reader::Reader;
use crate::wire::writer::{ChainWriter, Writer};

/// One alternative: transforms for one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its number; the chosen proposal is returned under it.
    pub number: u8,
    /// IKE, ESP or AH.
    pub protocol: ProtocolId,
    /// The sender's SPI: empty in IKE_SA_INIT, 8 octets in an IKE rekey, 4 for ESP.
    pub spi: Vec<u8>,
    /// The transforms, in the sender's order.
    pub transforms: Vec<Transform>,
}

/// An algorithm on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transform {
    /// What it is for.
    pub kind: TransformType,
    /// Its number in the registry of that kind.
    pub id: u16,
    /// The Key Length attribute in bits.
    pub key_length: Option<u16>,
    /// Whether it has an attribute we do not know; such a transform cannot be
    /// chosen (RFC 7296 §3.3.6).
    pub unknown_attribute: bool,
}

impl Transform {
    /// A transform with a Key Length attribute, or without.
    #[must_use]
    pub const fn new(kind: TransformType, id: u16, key_length: Option<u16>) -> Self {
        Self {
            kind,
            id,
            key_length,
            unknown_attribute: false,
        }
    }
}

const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;

/// Reads the body of an SA payload.
///
/// # Errors
/// [`Malformed`], or [`Limit::Proposals`].
pub fn decode(body: &[u8]) -> Result<Vec<Proposal>, Error> {
    let mut reader = Reader::new(body);
    let mut proposals = Vec::new();
    // OpenIKED sends an SA payload without proposals: no choice, but no fault.
    while !reader.is_empty() {
        if proposals.len() == PROPOSALS_MAX {
            return Err(Limit::Proposals.into());
        }
        proposals.push(decode_proposal(&mut reader)?);
    }
    Ok(proposals)
}

fn decode_proposal(outer: &mut Reader<'_>) -> Result<Proposal, Malformed> {
    const FIELD: &str = "proposal";
    let more = outer.u8(FIELD)?;
    outer.u8(FIELD)?;
    let length = outer.u16(FIELD)?;
    let mut reader = Reader::new(outer.take_rest_of(length, 4, FIELD)?);
    let number = reader.u8(FIELD)?;
    let protocol = ProtocolId(reader.u8(FIELD)?);
    let spi_size = reader.u8(FIELD)?;
    let count = reader.u8(FIELD)?;
    let spi = reader.take(usize::from(spi_size), FIELD)?.to_vec();
    let mut transforms = Vec::with_capacity(usize::from(count).min(reader.remaining() / 8));
    for _ in 0..count {
        transforms.push(decode_transform(&mut reader)?);
    }
    reader.end(FIELD)?;
    check_last(more, MORE_PROPOSALS, outer.is_empty(), FIELD)?;
    Ok(Proposal {
        number,
        protocol,
        spi,
        transforms,
    })
}

fn decode_transform(outer: &mut Reader<'_>) -> Result<Transform, Malformed> {
    const FIELD: &str = "transform";
    let more = outer.u8(FIELD)?;
    outer.u8(FIELD)?;
    let length = outer.u16(FIELD)?;
    let mut reader = Reader::new(outer.take_rest_of(length, 4, FIELD)?);
    let kind = TransformType(reader.u8(FIELD)?);
    reader.u8(FIELD)?;
    let id = reader.u16(FIELD)?;
    let mut transform = Transform::new(kind, id, None);
    while !reader.is_empty() {
        const FIELD: &str = "transform attribute";
        let format_and_type = reader.u16(FIELD)?;
        let kind = TransformAttribute(format_and_type & 0x7fff);
        let value = reader.u16(FIELD)?;
        if format_and_type & 0x8000 == 0 {
            reader.take(usize::from(value), FIELD)?;
            transform.unknown_attribute = true;
        } else if kind == TransformAttribute::KEY_LENGTH {
            transform.key_length = Some(value);
        } else {
            transform.unknown_attribute = true;
        }
    }
    check_last(more, MORE_TRANSFORMS, outer.is_empty(), FIELD)?;
    Ok(transform)
}

/// The first octet says whether another of its kind follows; it must be true.
fn check_last(value: u8, more: u8, last: bool, field: &'static str) -> Result<(), Malformed> {
    if value == if last { 0 } else { more } {
        Ok(())
    } else {
        Err(Malformed {
            field,
            fault: Fault::Value,
        })
    }
}

/// Appends an SA payload.
pub fn encode(chain: &mut ChainWriter, proposals: &[Proposal]) {
    chain.payload(PayloadType::SECURITY_ASSOCIATION, |body| {
        let mut left = proposals.len();
        for proposal in proposals {
            left = left.saturating_sub(1);
            let more = if left == 0 { 0 } else { MORE_PROPOSALS };
            body.structure(&[more, 0], |body| encode_proposal(body, proposal));
        }
    });
}

fn encode_proposal(body: &mut Writer, proposal: &Proposal) {
    body.u8(proposal.number);
    body.u8(proposal.protocol.0);
    body.u8(u8::try_from(proposal.spi.len()).unwrap_or(u8::MAX));
    body.u8(u8::try_from(proposal.transforms.len()).unwrap_or(u8::MAX));
    body.bytes(&proposal.spi);
    let mut left = proposal.transforms.len();
    for transform in &proposal.transforms {
        left = left.saturating_sub(1);
        let more = if left == 0 { 0 } else { MORE_TRANSFORMS };
        body.structure(&[more, 0], |body| {
            body.u8(transform.kind.0);
            body.u8(0);
            body.u16(transform.id);
            if let Some(bits) = transform.key_length {
                body.u16(0x8000 | TransformAttribute::KEY_LENGTH.0);
                body.u16(bits);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const BODY: [u8; 52] = hex!(
        "02 00 0018 01 01 00 02"                  // proposal 1, IKE, 2 transforms
        "03 00 0008 02 00 0005"                   // PRF_HMAC_SHA2_256
        "00 00 0008 04 00 001f"                   // CURVE25519
        "00 00 001c 07 03 04 01 c0ffee01"         // proposal 7, ESP
        "00 00 0010 01 00 000c 800e 0100 8055 0001" // AES_CBC-256 and something new
    );

    #[test]
    fn proposals_survive_decoding() {
        let proposals = decode(&BODY).unwrap();
        assert_eq!(proposals.len(), 2);
        assert_eq!(proposals[0].transforms[1].id, 31);
        assert_eq!(proposals[1].number, 7);
        assert_eq!(proposals[1].spi, hex!("c0ffee01"));
        assert_eq!(proposals[1].transforms[0].key_length, Some(256));
        assert!(proposals[1].transforms[0].unknown_attribute);
    }

    #[test]
    fn what_is_encoded_decodes() {
        let mut proposals = decode(&BODY).unwrap();
        proposals[1].transforms[0].unknown_attribute = false;
        let mut chain = ChainWriter::default();
        encode(&mut chain, &proposals);
        let chain = chain.finish();
        assert_eq!(decode(&chain.octets[4..]).unwrap(), proposals);
    }

    #[test]
    fn every_cut_is_refused_except_between_proposals_marked_last() {
        for end in 1..BODY.len() {
            assert!(decode(&BODY[..end]).is_err(), "{end}");
        }
        assert_eq!(decode(&[]).unwrap(), []);
    }

    #[test]
    fn more_proposals_than_the_limit_are_refused() {
        let mut proposal = hex!("02 00 0008 01 01 00 00");
        let mut body = proposal.repeat(PROPOSALS_MAX);
        proposal[0] = 0;
        body.extend(proposal);
        assert_eq!(decode(&body), Err(Limit::Proposals.into()));
    }
}
