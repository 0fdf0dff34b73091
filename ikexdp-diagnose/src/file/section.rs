//! A section of pcapng: its interfaces, and the frames on them.

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, Linktype, OptionCode, SectionHeaderBlock,
    SimplePacketBlock,
};

use super::Frame;
use crate::limits::{COMMENTS_MAX, INTERFACES_MAX};
use crate::time::Moment;

/// The interfaces that frames of this section refer to.
#[derive(Debug, Default)]
pub(super) struct Section {
    interfaces: Vec<Interface>,
    /// Time of the last frame that had one: simple packets have none.
    last: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Linktype,
    /// As the file has it: a power of ten, or of two with the highest bit set.
    resolution: u8,
    /// Seconds.
    offset: i64,
}

/// A frame on an interface that the section does not describe.
const UNDESCRIBED: Interface = Interface {
    link: Linktype(-1),
    resolution: MICROSECONDS,
    offset: 0,
};
/// The resolution of an interface that names none.
const MICROSECONDS: u8 = 6;
/// Option `if_tsoffset`.
const OFFSET: OptionCode = OptionCode(14);
/// Option `epb_flags`.
const FLAGS: OptionCode = OptionCode(2);
/// Block type of an interface description, as a little-endian file has it.
const INTERFACE_DESCRIPTION: u32 = 1;
/// Octets of a block without content: its type, and its length at both ends.
const BLOCK_MIN: u32 = 12;

/// Whether `rest` may begin with a block: its length covers at least itself.
///
/// pcap-parser 0.17 takes [`BLOCK_MIN`] from the length of a Process Information Block unseen. In the other byte
/// order a length below it is one of 16 MB or more, which is too long for us: so it can be asked for in both.
pub(super) fn is_a_block(rest: &[u8]) -> bool {
    let length = rest.get(4..8).and_then(|octets| octets.try_into().ok());
    length.is_none_or(|octets| {
        u32::from_le_bytes(octets) >= BLOCK_MIN && u32::from_be_bytes(octets) >= BLOCK_MIN
    })
}

impl Section {
    /// A new section knows none of the interfaces before it.
    pub(super) fn begin(&mut self, header: &SectionHeaderBlock<'_>, comments: &mut Vec<String>) {
        self.interfaces.clear();
        let texts = header
            .options
            .iter()
            .filter(|option| option.code == OptionCode::Comment);
        for text in texts.filter_map(|option| option.as_bytes().ok()) {
            if comments.len() < COMMENTS_MAX {
                comments.push(String::from_utf8_lossy(text).into_owned());
            }
        }
    }

    pub(super) fn add(&mut self, block: &InterfaceDescriptionBlock<'_>) {
        if self.interfaces.len() < INTERFACES_MAX {
            self.interfaces.push(Interface {
                link: block.linktype,
                resolution: block.if_tsresol,
                offset: offset(block),
            });
        }
    }

    pub(super) fn enhanced<'a>(
        &mut self,
        number: u64,
        block: &'a EnhancedPacketBlock<'_>,
    ) -> Frame<'a> {
        let index = usize::try_from(block.if_id).unwrap_or(usize::MAX);
        let interface = self.interfaces.get(index).copied().unwrap_or(UNDESCRIBED);
        let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
        self.last = interface.moment(ticks);
        let is_little = !block.big_endian();
        let flags = block.options.iter().find(|option| option.code == FLAGS);
        let flags = flags.and_then(|option| <[u8; 4]>::try_from(option.value()).ok());
        let direction = flags.map(|flags| {
            let flags = if is_little {
                u32::from_le_bytes(flags)
            } else {
                u32::from_be_bytes(flags)
            };
            flags & 3
        });
        Frame {
            number,
            time: self.last,
            link: interface.link,
            octets: block.packet_data(),
            outgoing: match direction {
                Some(1) => Some(false),
                Some(2) => Some(true),
                _ => None,
            },
        }
    }

    /// A packet without interface, which is the first, and without time, which is that of the one before.
    pub(super) fn simple<'a>(&self, number: u64, block: &'a SimplePacketBlock<'_>) -> Frame<'a> {
        Frame {
            number,
            time: self.last,
            link: self.interfaces.first().unwrap_or(&UNDESCRIBED).link,
            octets: block.packet_data(),
            outgoing: None,
        }
    }
}

impl Interface {
    fn moment(&self, ticks: u64) -> Moment {
        let ticks = u128::from(ticks);
        let per_second: u128 = if self.resolution & 0x80 == 0 {
            10u128.saturating_pow(u32::from(self.resolution))
        } else {
            2u128.saturating_pow(u32::from(self.resolution & 0x7f))
        };
        let nanoseconds = ticks
            .saturating_mul(1_000_000_000)
            .checked_div(per_second)
            .unwrap_or(0);
        let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        Moment(nanoseconds).shifted(self.offset.saturating_mul(1_000_000_000))
    }
}

/// The parser reads it as little-endian whatever the section is.
fn offset(block: &InterfaceDescriptionBlock<'_>) -> i64 {
    let option = block.options.iter().find(|option| option.code == OFFSET);
    let octets = option.and_then(|option| <[u8; 8]>::try_from(option.value()).ok());
    octets.map_or(0, |octets| {
        if block.block_type == INTERFACE_DESCRIPTION {
            i64::from_le_bytes(octets)
        } else {
            i64::from_be_bytes(octets)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_resolution() {
        for (resolution, ticks, nanoseconds) in [
            (6, 1_500_000, 1_500_000_000),
            (9, 1_500_000, 1_500_000),
            (0x80 | 10, 1536, 1_500_000_000),
            (0, 3, 3_000_000_000),
            (255, u64::MAX, 0),
        ] {
            let interface = Interface {
                resolution,
                ..UNDESCRIBED
            };
            assert_eq!(interface.moment(ticks), Moment(nanoseconds), "{resolution}");
        }
        let later = Interface {
            offset: 2,
            ..UNDESCRIBED
        };
        assert_eq!(later.moment(0), Moment(2_000_000_000));
    }
}
