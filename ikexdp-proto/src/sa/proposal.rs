//! Choice of algorithms (RFC 7296 §2.7, §3.3): the peer offers, our order decides.

use alloc::vec::Vec;

use crate::config::{EspAlgorithms, IkeAlgorithms};
use crate::crypto::cipher::{Cipher, Encryption, Integrity};
use crate::crypto::kex::Group;
use crate::crypto::prf::Prf;
use crate::suite::{EspSuite, IkeSuite};
use crate::types::EspSpi;
use crate::wire::iana::{IntegrityId, ProtocolId, SequenceNumbers, TransformType};
use crate::wire::payload::sa::{Proposal, Transform};

/// A choice, and the number of the proposal it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen<T> {
    pub(crate) suite: T,
    pub(crate) number: u8,
}

/// What one proposal has of our lists: a bit for each place in them. Reading it
/// costs one pass, however large the offer.
#[derive(Clone, Copy, Default)]
struct Offer {
    encryption: u32,
    integrity: u32,
    /// Whether integrity is offered at all, and whether "none" is.
    any_integrity: bool,
    no_integrity: bool,
    prf: u32,
    groups: u32,
    short_sequence_numbers: bool,
    extended_sequence_numbers: bool,
}

impl Offer {
    /// Nothing if a transform is of a type we do not know: whoever chose the
    /// proposal would have to choose one of that type too (RFC 7296 §3.3.6).
    fn read(proposal: &Proposal, ours: &Lists<'_>) -> Option<Self> {
        let mut offer = Self::default();
        for transform in &proposal.transforms {
            match transform.kind {
                kind if !is_known(kind) => return None,
                _ if transform.unknown_attribute => {}
                TransformType::ENCRYPTION => {
                    offer.encryption |= bit(ours.encryption, |algorithm| {
                        algorithm.id().0 == transform.id
                            && algorithm.key_length() == transform.key_length
                    });
                }
                TransformType::INTEGRITY if transform.id == IntegrityId::NONE.0 => {
                    offer.no_integrity = true;
                }
                TransformType::INTEGRITY => {
                    offer.any_integrity = true;
                    offer.integrity |=
                        bit(ours.integrity, |algorithm| algorithm.id().0 == transform.id);
                }
                TransformType::PRF => {
                    offer.prf |= bit(ours.prf, |algorithm| algorithm.id().0 == transform.id);
                }
                TransformType::KEY_EXCHANGE => {
                    offer.groups |= bit(ours.groups, |group| group.id().0 == transform.id);
                }
                TransformType::SEQUENCE_NUMBERS => {
                    offer.short_sequence_numbers |= transform.id == SequenceNumbers::SHORT.0;
                    offer.extended_sequence_numbers |= transform.id == SequenceNumbers::EXTENDED.0;
                }
                _ => {}
            }
        }
        Some(offer)
    }

    /// The first cipher of ours in the offer, with its rank for comparison.
    fn cipher(&self, ours: &Lists<'_>) -> Option<(Cipher, [u32; 2])> {
        places(ours.encryption, self.encryption).find_map(|(rank, encryption)| {
            if encryption.is_aead() {
                let alone = self.no_integrity || !self.any_integrity;
                let cipher = Cipher::new(encryption, None).filter(|_| alone)?;
                return Some((cipher, [rank, 0]));
            }
            let (integrity_rank, integrity) = places(ours.integrity, self.integrity).next()?;
            let cipher = Cipher::new(encryption, Some(integrity))?;
            Some((cipher, [rank, integrity_rank]))
        })
    }
}

/// Our lists, as far as a protocol has them.
struct Lists<'a> {
    encryption: &'a [Encryption],
    integrity: &'a [Integrity],
    prf: &'a [Prf],
    groups: &'a [Group],
}

const fn is_known(kind: TransformType) -> bool {
    matches!(
        kind,
        TransformType::ENCRYPTION
            | TransformType::INTEGRITY
            | TransformType::PRF
            | TransformType::KEY_EXCHANGE
            | TransformType::SEQUENCE_NUMBERS
    )
}

fn bit<T>(list: &[T], fits: impl Fn(&T) -> bool) -> u32 {
    let place = list
        .iter()
        .position(fits)
        .and_then(|place| u32::try_from(place).ok());
    place
        .and_then(|place| 1_u32.checked_shl(place))
        .unwrap_or(0)
}

/// The entries of `list` whose bit is set, each with its place.
fn places<T: Copy>(list: &[T], bits: u32) -> impl Iterator<Item = (u32, T)> {
    (0..u32::BITS)
        .zip(list.iter().copied())
        .filter(move |(place, _)| bits.checked_shr(*place).unwrap_or(0) & 1 == 1)
}

/// Chooses for an IKE SA: cipher first, then integrity, PRF and group, each by
/// our order of preference.
pub(crate) fn choose_ike(proposals: &[Proposal], ours: &IkeAlgorithms) -> Option<Chosen<IkeSuite>> {
    let lists = Lists {
        encryption: &ours.encryption,
        integrity: &ours.integrity,
        prf: &ours.prf,
        groups: &ours.groups,
    };
    let candidate = |proposal: &Proposal| {
        if proposal.protocol != ProtocolId::IKE {
            return None;
        }
        let offer = Offer::read(proposal, &lists)?;
        let (cipher, [encryption_rank, integrity_rank]) = offer.cipher(&lists)?;
        let (prf_rank, prf) = places(lists.prf, offer.prf).next()?;
        let (group_rank, group) = places(lists.groups, offer.groups).next()?;
        let chosen = Chosen {
            suite: IkeSuite { cipher, prf, group },
            number: proposal.number,
        };
        Some((
            [encryption_rank, integrity_rank, prf_rank, group_rank],
            chosen,
        ))
    };
    let best = proposals
        .iter()
        .filter_map(candidate)
        .min_by_key(|(rank, _)| *rank);
    best.map(|(_, chosen)| chosen)
}

/// Chooses for a CHILD SA that needs no key exchange of its own, and finds the
/// SPI the peer will receive on. Extended sequence numbers are taken if offered.
pub(crate) fn choose_esp(
    proposals: &[Proposal],
    ours: &EspAlgorithms,
) -> Option<(Chosen<EspSuite>, EspSpi)> {
    let lists = Lists {
        encryption: &ours.encryption,
        integrity: &ours.integrity,
        prf: &[],
        groups: &[],
    };
    let candidate = |proposal: &Proposal| {
        if proposal.protocol != ProtocolId::ESP {
            return None;
        }
        let spi = EspSpi(u32::from_be_bytes(proposal.spi.as_slice().try_into().ok()?));
        let offer = Offer::read(proposal, &lists)?;
        let (cipher, rank) = offer.cipher(&lists)?;
        let chosen = Chosen {
            suite: EspSuite {
                cipher,
                extended_sequence_numbers: offer.extended_sequence_numbers,
            },
            number: proposal.number,
        };
        Some((rank, (chosen, spi)))
    };
    let best = proposals
        .iter()
        .filter_map(candidate)
        .min_by_key(|(rank, _)| *rank);
    best.map(|(_, chosen)| chosen)
}

/// The proposal that says what was chosen.
pub(crate) fn chosen_ike(chosen: &Chosen<IkeSuite>) -> Proposal {
    let IkeSuite { cipher, prf, group } = chosen.suite;
    let mut transforms = cipher_transforms(cipher);
    transforms.push(Transform::new(TransformType::PRF, prf.id().0, None));
    transforms.push(Transform::new(
        TransformType::KEY_EXCHANGE,
        group.id().0,
        None,
    ));
    Proposal {
        number: chosen.number,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms,
    }
}

/// The proposal that says what was chosen, with the SPI we receive on.
pub(crate) fn chosen_esp(chosen: &Chosen<EspSuite>, spi: EspSpi) -> Proposal {
    let mut transforms = cipher_transforms(chosen.suite.cipher);
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

fn integrity_transform(integrity: Integrity) -> Transform {
    Transform::new(TransformType::INTEGRITY, integrity.id().0, None)
}

/// Everything we take, as an initiator offers it: AEAD ciphers and the others
/// in proposals of their own (RFC 7296 §3.3).
pub(crate) fn offer_ike(ours: &IkeAlgorithms) -> Vec<Proposal> {
    let mut common: Vec<Transform> = Vec::new();
    common.extend(
        ours.prf
            .iter()
            .map(|prf| Transform::new(TransformType::PRF, prf.id().0, None)),
    );
    common.extend(
        ours.groups
            .iter()
            .map(|group| Transform::new(TransformType::KEY_EXCHANGE, group.id().0, None)),
    );
    offers(
        &ours.encryption,
        &ours.integrity,
        &common,
        ProtocolId::IKE,
        &[],
    )
}

/// The same for a CHILD SA that we receive on `spi`.
pub(crate) fn offer_esp(ours: &EspAlgorithms, spi: EspSpi) -> Vec<Proposal> {
    let common = [SequenceNumbers::EXTENDED, SequenceNumbers::SHORT]
        .map(|esn| Transform::new(TransformType::SEQUENCE_NUMBERS, esn.0, None));
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn ike(number: u8, transforms: &[(TransformType, u16, Option<u16>)]) -> Proposal {
        Proposal {
            number,
            protocol: ProtocolId::IKE,
            spi: Vec::new(),
            transforms: transforms
                .iter()
                .map(|(kind, id, bits)| Transform::new(*kind, *id, *bits))
                .collect(),
        }
    }

    const ENCR: TransformType = TransformType::ENCRYPTION;
    const INTEG: TransformType = TransformType::INTEGRITY;
    const PRF: TransformType = TransformType::PRF;
    const KE: TransformType = TransformType::KEY_EXCHANGE;

    fn chosen(proposals: &[Proposal]) -> Option<(String, u8)> {
        choose_ike(proposals, &IkeAlgorithms::default())
            .map(|chosen| (chosen.suite.to_string(), chosen.number))
    }

    #[test]
    fn our_order_decides_and_the_number_is_the_peers() {
        // A client that prefers CBC and MODP, and counts from 7.
        let cbc = ike(
            7,
            &[
                (ENCR, 12, Some(256)),
                (ENCR, 12, Some(128)),
                (INTEG, 14, None),
                (INTEG, 12, None),
                (PRF, 7, None),
                (PRF, 5, None),
                (KE, 14, None),
                (KE, 19, None),
            ],
        );
        let expected = "aes256-cbc-sha2-256/prf-sha2-256/ecp256".to_string();
        assert_eq!(chosen(core::slice::from_ref(&cbc)), Some((expected, 7)));
        let gcm = ike(
            8,
            &[
                (ENCR, 20, Some(128)),
                (PRF, 5, None),
                (KE, 31, None),
                (KE, 14, None),
            ],
        );
        let expected = "aes128-gcm16/prf-sha2-256/x25519".to_string();
        assert_eq!(chosen(&[cbc, gcm]), Some((expected, 8)));
    }

    /// RFC 5282 §8: an AEAD goes with no integrity algorithm, or with NONE.
    #[test]
    fn an_aead_goes_without_integrity() {
        let gcm = |integrity: u16| {
            ike(
                1,
                &[
                    (ENCR, 20, Some(256)),
                    (INTEG, integrity, None),
                    (PRF, 5, None),
                    (KE, 19, None),
                ],
            )
        };
        assert!(chosen(&[gcm(0)]).is_some());
        assert!(chosen(&[gcm(12)]).is_none());
    }

    /// RFC 9370 §2.2.1: additional key exchanges are transforms of types of
    /// their own; whoever does not know them takes the proposal without.
    #[test]
    fn a_proposal_with_an_unknown_transform_type_is_passed_over() {
        let classical = [(ENCR, 20, Some(256)), (PRF, 5, None), (KE, 31, None)];
        let mut hybrid = classical.to_vec();
        hybrid.push((TransformType(6), 36, None));
        let (_, number) = chosen(&[ike(1, &hybrid), ike(2, &classical)]).unwrap();
        assert_eq!(number, 2);
        assert_eq!(chosen(&[ike(1, &hybrid)]), None);
        let mut odd = ike(1, &hybrid);
        for transform in &mut odd.transforms {
            transform.unknown_attribute = !is_known(transform.kind);
        }
        assert_eq!(chosen(&[odd]), None);
        let mut esp = offer_esp(&EspAlgorithms::default(), EspSpi(1));
        for proposal in &mut esp {
            let additional = Transform::new(TransformType(6), 36, None);
            proposal.transforms.push(additional);
        }
        assert!(choose_esp(&esp, &EspAlgorithms::default()).is_none());
    }

    #[test]
    fn nothing_is_chosen_where_something_is_missing() {
        for transforms in [
            &[(ENCR, 12, Some(256)), (PRF, 5, None), (KE, 19, None)][..],
            &[(ENCR, 20, Some(256)), (KE, 19, None)],
            &[(ENCR, 20, Some(256)), (PRF, 5, None)],
            &[(ENCR, 20, Some(192)), (PRF, 5, None), (KE, 19, None)],
            &[(ENCR, 20, None), (PRF, 5, None), (KE, 19, None)],
            &[(ENCR, 28, Some(256)), (PRF, 5, None), (KE, 19, None)],
            &[
                (ENCR, 3, None),
                (INTEG, 2, None),
                (PRF, 2, None),
                (KE, 2, None),
            ],
        ] {
            assert_eq!(chosen(&[ike(1, transforms)]), None, "{transforms:?}");
        }
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn what_we_offer_we_would_choose() {
        let offer = offer_ike(&IkeAlgorithms::default());
        let numbers: Vec<u8> = offer.iter().map(|proposal| proposal.number).collect();
        assert_eq!(numbers, [1, 2]);
        let (suite, number) = chosen(&offer).unwrap();
        assert_eq!(suite, "aes256-gcm16/prf-sha2-256/x25519");
        assert_eq!(number, 1);
        let offer = offer_esp(&EspAlgorithms::default(), EspSpi(0xc0ff_ee00));
        let (chosen, spi) = choose_esp(&offer, &EspAlgorithms::default()).unwrap();
        assert_eq!(chosen.suite.to_string(), "aes256-gcm16/esn");
        assert_eq!(spi, EspSpi(0xc0ff_ee00));
    }

    /// Clients offer groups in IKE_AUTH, where there is no key exchange
    /// (RFC 7296 §1.2), and some leave ESN out.
    #[test]
    fn groups_in_an_esp_offer_do_not_matter() {
        let proposal = Proposal {
            number: 1,
            protocol: ProtocolId::ESP,
            spi: alloc::vec![1, 2, 3, 4],
            transforms: alloc::vec![
                Transform::new(ENCR, 20, Some(256)),
                Transform::new(KE, 19, None),
            ],
        };
        let (chosen, spi) = choose_esp(&[proposal], &EspAlgorithms::default()).unwrap();
        assert_eq!(chosen.suite.to_string(), "aes256-gcm16");
        assert_eq!(spi, EspSpi(0x0102_0304));
        let answer = chosen_esp(&chosen, EspSpi(9));
        assert!(
            answer
                .transforms
                .iter()
                .all(|transform| transform.kind != KE)
        );
    }
}
