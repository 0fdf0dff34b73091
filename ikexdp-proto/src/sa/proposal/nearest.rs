//! What was missing where nothing could be chosen.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::slice;

use super::{Lists, Offer, Pfs, choose_esp, choose_ike};
use crate::config::{EspAlgorithms, IkeAlgorithms};
use crate::mismatch::Mismatch;
use crate::profile::Profile;
use crate::sa::described::describe;
use crate::wire::iana::ProtocolId;
use crate::wire::payload::sa::Proposal;

/// Why none of `proposals` does for an IKE SA.
pub(crate) fn ike_mismatch(
    proposals: &[Proposal],
    ours: &IkeAlgorithms,
    is_windows: bool,
) -> Box<Mismatch> {
    let lists = Lists::ike(ours);
    let lacks = |offer: &Offer| {
        let mut lacks = cipher_lacks(offer, &lists);
        lacks.extend((offer.prf == 0).then_some("PRF"));
        lacks.extend((offer.groups == 0).then_some("group"));
        lacks
    };
    let takes = |profile: &Profile| choose_ike(proposals, &IkeAlgorithms::of(*profile)).is_some();
    let is_ours = |profile| IkeAlgorithms::of(profile) == *ours;
    Box::new(Mismatch {
        offered: describe(proposals),
        ours: ours.to_string(),
        nearest: nearest(proposals, ProtocolId::IKE, &lists, lacks),
        profile: Profile::ALL.into_iter().find(takes),
        lists_of_our_own: !Profile::ALL.into_iter().any(is_ours),
        is_windows,
    })
}

/// Why none of `proposals` does for a CHILD SA.
pub(crate) fn esp_mismatch(
    proposals: &[Proposal],
    ours: &EspAlgorithms,
    pfs: Pfs<'_>,
    is_windows: bool,
) -> Box<Mismatch> {
    let lists = Lists::esp(ours, pfs);
    let lacks = |offer: &Offer| {
        let mut lacks = cipher_lacks(offer, &lists);
        lacks.extend(offer.pfs(pfs).is_none().then_some("group"));
        let numbers = offer.extends_sequence_numbers();
        lacks.extend(numbers.is_none().then_some("sequence numbers"));
        lacks
    };
    let takes = |profile: &Profile| {
        let pfs = match pfs {
            Pfs::Never => Pfs::Never,
            Pfs::Allowed { sent, .. } => Pfs::Allowed {
                groups: profile.groups(),
                sent,
            },
        };
        choose_esp(proposals, &EspAlgorithms::of(*profile), pfs).is_some()
    };
    let is_ours = |profile| {
        let EspAlgorithms {
            encryption,
            integrity,
            ..
        } = EspAlgorithms::of(profile);
        (&encryption, &integrity) == (&ours.encryption, &ours.integrity)
    };
    let groups: Vec<_> = lists.groups.iter().map(ToString::to_string).collect();
    let ours_for_people = match pfs {
        Pfs::Never => ours.to_string(),
        Pfs::Allowed { .. } => alloc::format!("{ours} / {}", groups.join(", ")),
    };
    Box::new(Mismatch {
        offered: describe(proposals),
        ours: ours_for_people,
        nearest: nearest(proposals, ProtocolId::ESP, &lists, lacks),
        profile: Profile::ALL.into_iter().find(takes),
        lists_of_our_own: !Profile::ALL.into_iter().any(is_ours),
        is_windows,
    })
}

fn cipher_lacks(offer: &Offer, lists: &Lists<'_>) -> Vec<&'static str> {
    let lacks = match (offer.cipher(lists), offer.encryption) {
        (Some(_), _) => None,
        (None, 0) => Some("cipher"),
        (None, _) => Some("integrity"),
    };
    lacks.into_iter().collect()
}

/// The proposal that lacks least, with what it lacks.
fn nearest(
    proposals: &[Proposal],
    protocol: ProtocolId,
    lists: &Lists<'_>,
    lacks: impl Fn(&Offer) -> Vec<&'static str>,
) -> Option<String> {
    let candidates = proposals.iter().filter(|it| it.protocol == protocol);
    let read = candidates.filter_map(|it| Some((it, lacks(&Offer::read(it, lists)?))));
    let (nearest, mut lacks) = read.min_by_key(|(_, lacks)| lacks.len())?;
    // With all algorithms, it is a reserved SPI that is in the way.
    lacks.extend(lacks.is_empty().then_some("SPI"));
    let offered = describe(slice::from_ref(nearest));
    Some(alloc::format!(
        "{offered}, but for its {}",
        lacks.join(" and ")
    ))
}
