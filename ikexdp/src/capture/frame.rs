//! A frame as it was captured.

use std::time::Duration;

/// What passed an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// When, since 1970.
    pub(super) time: Duration,
    /// Whether it left.
    pub(super) outgoing: bool,
    /// How long it was, in octets.
    pub(super) length: u32,
    /// Its octets, or the first of them.
    pub(super) octets: Vec<u8>,
}

/// A VLAN tag that the NIC has taken off a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// Its type (TPID).
    pub(super) kind: u16,
    /// Priority and VLAN (TCI).
    pub(super) control: u16,
}

/// Octets of both MAC addresses, behind which tags stand.
const ADDRESSES: usize = 12;

impl Frame {
    /// Puts a tag back to where it was on the wire (IEEE 802.1Q).
    pub(super) fn tagged(mut self, tag: Tag) -> Self {
        if self.octets.len() >= ADDRESSES {
            let [a, b] = tag.kind.to_be_bytes();
            let [c, d] = tag.control.to_be_bytes();
            let behind = self.octets.split_off(ADDRESSES);
            self.octets.extend([a, b, c, d]);
            self.octets.extend(behind);
            self.length = self.length.saturating_add(4);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_behind_the_addresses() {
        let frame = |octets: &[u8]| Frame {
            time: Duration::ZERO,
            outgoing: false,
            length: octets.len() as u32,
            octets: octets.to_vec(),
        };
        let tag = Tag {
            kind: 0x8100,
            control: 7,
        };
        let tagged = frame(b"abcdefghijkl\x08\x00x").tagged(tag);
        assert_eq!(tagged, frame(b"abcdefghijkl\x81\x00\x00\x07\x08\x00x"));
        assert_eq!(frame(b"short").tagged(tag), frame(b"short"));
    }
}
