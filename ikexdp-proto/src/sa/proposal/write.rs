//! Proposals as we write them: what we offer, and what we have chosen.

use alloc::vec::Vec;

use super::{Chosen, ChosenEsp};
use crate::config::{EspAlgorithms, IkeAlgorithms};
use crate::crypto::cipher::{Cipher, Encryption, Integrity};
use crate::crypto::kex::Group;
use crate::suite::IkeSuite;
use crate::types::{EspSpi, Spi};
use crate::wire::iana::{ProtocolId, SequenceNumbers, TransformType};
use crate::wire::payload::sa::{Proposal, Transform};

/// The proposal that says what was chosen; in CREATE_CHILD_SA with our SPI.
pub(crate) fn chosen_ike(chosen: &Chosen<IkeSuite>, spi: Option<Spi>) -> Proposal {
    let IkeSuite { cipher, prf, group } = chosen.suite;
    let mut transforms = cipher_transforms(cipher);
    transforms.push(Transform::new(TransformType::PRF, prf.id().0, None));
    transforms.push(group_transform(group));
    Proposal {
        number: chosen.number,
        protocol: ProtocolId::IKE,
        spi: ike_spi(spi),
        transforms,
    }
}

fn ike_spi(spi: Option<Spi>) -> Vec<u8> {
    spi.map(|spi| spi.0.to_be_bytes().to_vec())
        .unwrap_or_default()
}

/// The proposal that says what was chosen, with the SPI we receive on.
pub(crate) fn chosen_esp(chosen: &ChosenEsp, spi: EspSpi) -> Proposal {
    let mut transforms = cipher_transforms(chosen.suite.cipher);
    transforms.extend(chosen.group.map(group_transform));
    let esn = if chosen.suite.extended_sequence_numbers {
        SequenceNumbers::EXTENDED
    } else {
        SequenceNumbers::SHORT
    };
    transforms.push(Transform::new(TransformType::SEQUENCE_NUMBERS, esn.0, None));
    Proposal {
        number: chosen.number,
        protocol: ProtocolId::ESP,
        spi: spi.0.to_be_bytes().to_vec(),
        transforms,
    }
}

fn cipher_transforms(cipher: Cipher) -> Vec<Transform> {
    let encryption = encryption_transform(cipher.encryption());
    let integrity = cipher.integrity().map(integrity_transform);
    core::iter::once(encryption).chain(integrity).collect()
}

fn encryption_transform(encryption: Encryption) -> Transform {
    let id = encryption.id().0;
    Transform::new(TransformType::ENCRYPTION, id, encryption.key_length())
}

fn group_transform(group: Group) -> Transform {
    Transform::new(TransformType::KEY_EXCHANGE, group.id().0, None)
}

fn integrity_transform(integrity: Integrity) -> Transform {
    Transform::new(TransformType::INTEGRITY, integrity.id().0, None)
}

/// Everything we take, as an initiator offers it: AEAD ciphers and the others
/// in proposals of their own (RFC 7296 §3.3); in CREATE_CHILD_SA with our SPI.
pub(crate) fn offer_ike(ours: &IkeAlgorithms, spi: Option<Spi>) -> Vec<Proposal> {
    let mut common: Vec<Transform> = Vec::new();
    common.extend(
        ours.prf
            .iter()
            .map(|prf| Transform::new(TransformType::PRF, prf.id().0, None)),
    );
    common.extend(ours.groups.iter().copied().map(group_transform));
    offers(
        &ours.encryption,
        &ours.integrity,
        &common,
        ProtocolId::IKE,
        &ike_spi(spi),
    )
}

/// The same for a CHILD SA that we receive on `spi`, with a key exchange of its
/// own by one of `groups`, if there are any.
pub(crate) fn offer_esp(ours: &EspAlgorithms, groups: &[Group], spi: EspSpi) -> Vec<Proposal> {
    let groups = groups.iter().copied().map(group_transform);
    let numbers = [SequenceNumbers::EXTENDED, SequenceNumbers::SHORT]
        .map(|esn| Transform::new(TransformType::SEQUENCE_NUMBERS, esn.0, None));
    let common: Vec<Transform> = groups.chain(numbers).collect();
    let spi = spi.0.to_be_bytes();
    offers(
        &ours.encryption,
        &ours.integrity,
        &common,
        ProtocolId::ESP,
        &spi,
    )
}

fn offers(
    encryption: &[Encryption],
    integrity: &[Integrity],
    common: &[Transform],
    protocol: ProtocolId,
    spi: &[u8],
) -> Vec<Proposal> {
    let (aead, block): (Vec<Encryption>, Vec<Encryption>) =
        encryption.iter().partition(|algorithm| algorithm.is_aead());
    let mut proposals = Vec::new();
    for (algorithms, integrity) in [(aead, &[][..]), (block, integrity)] {
        if algorithms.is_empty() {
            continue;
        }
        let mut transforms: Vec<Transform> =
            algorithms.into_iter().map(encryption_transform).collect();
        transforms.extend(integrity.iter().copied().map(integrity_transform));
        transforms.extend_from_slice(common);
        proposals.push(Proposal {
            number: u8::try_from(proposals.len().saturating_add(1)).unwrap_or(u8::MAX),
            protocol,
            spi: spi.to_vec(),
            transforms,
        });
    }
    proposals
}
