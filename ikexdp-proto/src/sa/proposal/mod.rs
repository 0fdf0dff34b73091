//! Choice of algorithms (RFC 7296 §2.7, §3.3): the peer offers, our order decides.

mod nearest;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use self::nearest::{esp_mismatch, ike_mismatch};
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
    /// The sender's SPI of the new IKE SA; none in IKE_SA_INIT.
    pub(crate) spi: Option<Spi>,
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

impl<'a> Lists<'a> {
    fn ike(ours: &'a IkeAlgorithms) -> Self {
        Self {
            encryption: &ours.encryption,
            integrity: &ours.integrity,
            prf: &ours.prf,
            groups: &ours.groups,
        }
    }

    fn esp(ours: &'a EspAlgorithms, pfs: Pfs<'a>) -> Self {
        Self {
            encryption: &ours.encryption,
            integrity: &ours.integrity,
            prf: &[],
            groups: match pfs {
                Pfs::Never => &[],
                Pfs::Allowed { groups, .. } => groups,
            },
        }
    }
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

/// Chooses for an IKE SA: what cannot be broken first, then by cipher, integrity,
/// PRF and group, each by our order of preference.
pub(crate) fn choose_ike(proposals: &[Proposal], ours: &IkeAlgorithms) -> Option<Chosen<IkeSuite>> {
    let lists = Lists::ike(ours);
    let candidate = |proposal: &Proposal| {
        if proposal.protocol != ProtocolId::IKE {
            return None;
        }
        let offer = Offer::read(proposal, &lists)?;
        let (cipher, [encryption_rank, integrity_rank]) = offer.cipher(&lists)?;
        let (prf_rank, prf) = places(lists.prf, offer.prf).next()?;
        let (group_rank, group) = places(lists.groups, offer.groups).next()?;
        let is_weak = is_weak(cipher) || prf.is_weak() || group.is_weak();
        let chosen = Chosen {
            suite: IkeSuite { cipher, prf, group },
            number: proposal.number,
            spi: ike_spi_of(proposal),
        };
        Some((
            (
                is_weak,
                [encryption_rank, integrity_rank, prf_rank, group_rank],
            ),
            chosen,
        ))
    };
    let best = proposals
        .iter()
        .filter_map(candidate)
        .min_by_key(|(rank, _)| *rank);
    best.map(|(_, chosen)| chosen)
}

fn is_weak(cipher: Cipher) -> bool {
    cipher.integrity().is_some_and(Integrity::is_weak)
}

/// Chooses for a CHILD SA and finds the SPI the peer will receive on: what cannot
/// be broken first, then by cipher, integrity, and a key exchange of its own.
/// Extended sequence numbers are taken if offered.
pub(crate) fn choose_esp(
    proposals: &[Proposal],
    ours: &EspAlgorithms,
    pfs: Pfs<'_>,
) -> Option<ChosenEsp> {
    let lists = Lists::esp(ours, pfs);
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
        let is_weak = is_weak(cipher) || group.is_some_and(Group::is_weak);
        let rank = (is_weak, [encryption_rank, integrity_rank, group_rank]);
        Some((rank, chosen))
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

/// The sender's SPI of the new IKE SA, if there is one.
fn ike_spi_of(proposal: &Proposal) -> Option<Spi> {
    let spi = u64::from_be_bytes(proposal.spi.as_slice().try_into().ok()?);
    (spi != 0).then_some(Spi(spi))
}
