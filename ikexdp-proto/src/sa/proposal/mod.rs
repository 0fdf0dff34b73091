//! Choice of algorithms (RFC 7296 §2.7, §3.3): the peer offers, our order decides.

mod write;

pub(crate) use self::write::{chosen_esp, chosen_ike, offer_esp, offer_ike};
use crate::config::{EspAlgorithms, IkeAlgorithms};
use crate::crypto::cipher::{Cipher, Encryption, Integrity};
use crate::crypto::kex::Group;
use crate::crypto::prf::Prf;
use crate::suite::{EspSuite, IkeSuite};
use crate::types::{EspSpi, Spi};
use crate::wire::iana::{GroupId, IntegrityId, ProtocolId, SequenceNumbers, TransformType};
use crate::wire::payload::sa::Proposal;

/// A choice, and the number of the proposal it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen<T> {
    pub(crate) suite: T,
    pub(crate) number: u8,
}

/// What was chosen for a CHILD SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChosenEsp {
    pub(crate) suite: EspSuite,
    /// The group of its own key exchange, if it has one.
    pub(crate) group: Option<Group>,
    /// The SPI the peer receives on.
    pub(crate) spi: EspSpi,
    number: u8,
}

/// Whether what makes a CHILD SA may have a key exchange of its own.
#[derive(Clone, Copy)]
pub(crate) enum Pfs<'a> {
    /// There is none in IKE_AUTH, whatever is offered (RFC 7296 §1.2).
    Never,
    /// In CREATE_CHILD_SA it is the peer's choice whether, and ours with which
    /// group.
    Allowed {
        /// The groups that we take.
        groups: &'a [Group],
        /// That of the peer's KE payload.
        sent: Option<GroupId>,
    },
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
    /// Whether a group is offered at all, and whether "none" is.
    any_group: bool,
    no_group: bool,
    /// Whether sequence numbers are offered at all, of 32 bits, and of 64.
    any_sequence_numbers: bool,
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
                TransformType::KEY_EXCHANGE if transform.id == GroupId::NONE.0 => {
                    offer.no_group = true;
                }
                TransformType::KEY_EXCHANGE => {
                    offer.any_group = true;
                    offer.groups |= bit(ours.groups, |group| group.id().0 == transform.id);
                }
                TransformType::SEQUENCE_NUMBERS => {
                    offer.any_sequence_numbers = true;
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

    /// The group of a CHILD SA's own key exchange, if there is to be one, with
    /// its rank: the one the peer has sent a value of saves a round trip.
    fn pfs(&self, pfs: Pfs<'_>) -> Option<(Option<Group>, u32)> {
        let Pfs::Allowed { groups, sent } = pfs else {
            return Some((None, 0));
        };
        let offered = || places(groups, self.groups).map(|(_, group)| group);
        let fits = offered().find(|group| sent == Some(group.id()));
        if fits.is_some() {
            return Some((fits, 0));
        }
        if self.no_group || !self.any_group {
            return Some((None, 1));
        }
        offered().next().map(|group| (Some(group), 2))
    }

    /// Whether sequence numbers are extended: if they may be. Some clients that
    /// have never heard of them leave the transform out.
    fn extends_sequence_numbers(&self) -> Option<bool> {
        let short = self.short_sequence_numbers || !self.any_sequence_numbers;
        (self.extended_sequence_numbers || short).then_some(self.extended_sequence_numbers)
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

/// Chooses for a CHILD SA and finds the SPI the peer will receive on: cipher
/// first, then integrity, then a key exchange of its own. Extended sequence
/// numbers are taken if offered.
pub(crate) fn choose_esp(
    proposals: &[Proposal],
    ours: &EspAlgorithms,
    pfs: Pfs<'_>,
) -> Option<ChosenEsp> {
    let lists = Lists {
        encryption: &ours.encryption,
        integrity: &ours.integrity,
        prf: &[],
        groups: match pfs {
            Pfs::Never => &[],
            Pfs::Allowed { groups, .. } => groups,
        },
    };
    let candidate = |proposal: &Proposal| {
        if proposal.protocol != ProtocolId::ESP {
            return None;
        }
        let spi = esp_spi_of(proposal)?;
        let offer = Offer::read(proposal, &lists)?;
        let (cipher, [encryption_rank, integrity_rank]) = offer.cipher(&lists)?;
        let (group, group_rank) = offer.pfs(pfs)?;
        let extended_sequence_numbers = offer.extends_sequence_numbers()?;
        let chosen = ChosenEsp {
            suite: EspSuite {
                cipher,
                extended_sequence_numbers,
            },
            group,
            spi,
            number: proposal.number,
        };
        Some(([encryption_rank, integrity_rank, group_rank], chosen))
    };
    let best = proposals
        .iter()
        .filter_map(candidate)
        .min_by_key(|(rank, _)| *rank);
    best.map(|(_, chosen)| chosen)
}

/// The SPI that the sender receives on; none if nothing may be sent on it.
fn esp_spi_of(proposal: &Proposal) -> Option<EspSpi> {
    let spi = proposal.spi.as_slice().try_into().ok()?;
    let spi = EspSpi(u32::from_be_bytes(spi));
    (!spi.is_reserved()).then_some(spi)
}

/// The sender's SPI of the new IKE SA, in the proposal `number` of CREATE_CHILD_SA.
pub(crate) fn ike_spi_of(proposals: &[Proposal], number: u8) -> Option<Spi> {
    let mut proposals = proposals.iter();
    let proposal = proposals.find(|proposal| proposal.number == number)?;
    let spi = u64::from_be_bytes(proposal.spi.as_slice().try_into().ok()?);
    (spi != 0).then_some(Spi(spi))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::sa::Transform;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

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
        let mut esp = offer_esp(&EspAlgorithms::default(), &[], EspSpi(256));
        for proposal in &mut esp {
            let additional = Transform::new(TransformType(6), 36, None);
            proposal.transforms.push(additional);
        }
        assert!(choose_esp(&esp, &EspAlgorithms::default(), Pfs::Never).is_none());
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
        let mut odd = ike(1, &[(ENCR, 20, Some(256)), (PRF, 5, None), (KE, 19, None)]);
        assert!(chosen(core::slice::from_ref(&odd)).is_some());
        odd.transforms[1].unknown_attribute = true;
        assert_eq!(chosen(&[odd]), None);
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn what_we_offer_we_would_choose() {
        let offer = offer_ike(&IkeAlgorithms::default(), None);
        let numbers: Vec<u8> = offer.iter().map(|proposal| proposal.number).collect();
        assert_eq!(numbers, [1, 2]);
        let (suite, number) = chosen(&offer).unwrap();
        assert_eq!(suite, "aes256-gcm16/prf-sha2-256/x25519");
        assert_eq!(number, 1);
        let offer = offer_esp(&EspAlgorithms::default(), &[], EspSpi(0xc0ff_ee00));
        let chosen = choose_esp(&offer, &EspAlgorithms::default(), Pfs::Never).unwrap();
        assert_eq!(chosen.suite.to_string(), "aes256-gcm16/esn");
        assert_eq!(chosen.spi, EspSpi(0xc0ff_ee00));
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
        let chosen = choose_esp(&[proposal], &EspAlgorithms::default(), Pfs::Never).unwrap();
        assert_eq!(chosen.suite.to_string(), "aes256-gcm16");
        assert_eq!(chosen.spi, EspSpi(0x0102_0304));
        let answer = chosen_esp(&chosen, EspSpi(9));
        assert!(
            answer
                .transforms
                .iter()
                .all(|transform| transform.kind != KE)
        );
    }

    /// What clients offer when they rekey a CHILD SA: with a key exchange,
    /// without, or both.
    #[test]
    fn a_key_exchange_of_its_own_is_taken_with_the_group_that_was_sent() {
        let ours = [Group::Curve25519, Group::Ecp256];
        let esp = |groups: &[u16]| {
            let mut transforms = alloc::vec![Transform::new(ENCR, 20, Some(256))];
            transforms.extend(groups.iter().map(|id| Transform::new(KE, *id, None)));
            [Proposal {
                number: 1,
                protocol: ProtocolId::ESP,
                spi: alloc::vec![1, 2, 3, 4],
                transforms,
            }]
        };
        let chosen = |groups: &[u16], sent: Option<GroupId>| {
            let pfs = Pfs::Allowed {
                groups: &ours,
                sent,
            };
            choose_esp(&esp(groups), &EspAlgorithms::default(), pfs).map(|chosen| chosen.group)
        };
        let (x25519, ecp256) = (Some(Some(ours[0])), Some(Some(ours[1])));
        let sent = Some(GroupId::ECP_256);
        assert_eq!(chosen(&[31, 19], sent), ecp256);
        assert_eq!(chosen(&[19, 0], sent), ecp256);
        assert_eq!(chosen(&[], sent), Some(None));
        assert_eq!(chosen(&[31, 0], None), Some(None));
        // The caller asks for a value of that group.
        assert_eq!(chosen(&[31, 19], None), x25519);
        assert_eq!(chosen(&[31], sent), x25519);
        assert_eq!(chosen(&[14], sent), None);
        assert_eq!(chosen(&[14, 0], sent), Some(None));
    }
}
