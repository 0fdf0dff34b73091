//! How what is ours is known among the SAs and policies of the host.
//!
//! ```text
//! | 0101100 | direction | lineage (24 bits) |      0x58…… inbound, 0x59…… outbound
//! ```
//!
//! The kernel keeps a number with each SA and with each template of a policy, the
//! reqid, by which policies find their SAs. That of ours begins with bits that
//! nobody else is likely to use: other programs count from 1. The kernel tells
//! the reqid along with every event, but not the direction of an SA, so that this
//! is in it as well.

use ikexdp_proto::data_plane::{Direction, Lineage};

/// The upper seven bits of every reqid of ours.
const TAG: u32 = 0x5800_0000;
const TAG_MASK: u32 = 0xfe00_0000;
const OUTBOUND: u32 = 0x0100_0000;

/// The reqid of the SAs of a lineage, and of the policies that use them.
pub(super) const fn reqid(lineage: Lineage, direction: Direction) -> u32 {
    let direction = match direction {
        Direction::Inbound => 0,
        Direction::Outbound => OUTBOUND,
    };
    TAG | direction | lineage.0 & Lineage::MAX
}

/// Whose SAs have this reqid, and which way they go; `None` if it is not ours.
pub(super) const fn owner(reqid: u32) -> Option<(Lineage, Direction)> {
    let direction = if reqid & OUTBOUND == 0 {
        Direction::Inbound
    } else {
        Direction::Outbound
    };
    if reqid & TAG_MASK == TAG {
        Some((Lineage(reqid & Lineage::MAX), direction))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reqid_of_ours_tells_whose_it_is() {
        for lineage in [1, 0x1234, Lineage::MAX].map(Lineage) {
            for way in [Direction::Inbound, Direction::Outbound] {
                assert_eq!(owner(reqid(lineage, way)), Some((lineage, way)));
            }
        }
        assert_eq!(reqid(Lineage(0x1234), Direction::Outbound), 0x5900_1234);
    }

    #[test]
    fn what_others_use_is_not_ours() {
        for foreign in [0, 1, 0x3fff, 0x5a00_0001, 0x5700_0001, u32::MAX] {
            assert_eq!(owner(foreign), None, "{foreign:#x}");
        }
    }
}
