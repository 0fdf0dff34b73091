//! Offers, and what is chosen of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ikexdp_proto::wire::payload::sa::Proposal;
use ikexdp_proto::wire::payload::ts::TrafficSelector;

/// Whether `chosen` is of the proposal with its number, with one transform of each type.
pub(crate) fn is_of<'a>(
    mut offered: impl Iterator<Item = &'a Proposal>,
    chosen: &Proposal,
) -> bool {
    let same = |it: &&Proposal| it.number == chosen.number && it.protocol == chosen.protocol;
    let transforms = &chosen.transforms;
    let once = |place: usize| {
        let mut before = transforms[..place].iter();
        !before.any(|it| it.kind == transforms[place].kind)
    };
    offered.find(same).is_some_and(|offered| {
        let is_offered = transforms.iter().all(|it| offered.transforms.contains(it));
        is_offered && (0..transforms.len()).all(once)
    })
}

/// The same proposals for an SA that is received on `spi`.
pub(crate) fn with_spi(proposals: &[Proposal], spi: &[u8]) -> Vec<Proposal> {
    let with = |proposal: &Proposal| Proposal {
        spi: spi.to_vec(),
        ..proposal.clone()
    };
    proposals.iter().map(with).collect()
}

/// All addresses of both families.
pub(crate) fn everything() -> Vec<TrafficSelector> {
    let v4 = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST].map(IpAddr::V4);
    let v6 = [Ipv6Addr::UNSPECIFIED, Ipv6Addr::from(u128::MAX)].map(IpAddr::V6);
    let both = [v4, v6].map(|[first, last]| TrafficSelector::addresses(first, last));
    both.to_vec()
}
