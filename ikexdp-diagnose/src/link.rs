//! Link layers: what stands before IP.

use ikexdp_proto::wire::reader::Reader;
use pcap_parser::Linktype;

use crate::limits::TAGS_MAX;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried<'a> {
    /// An IP packet, and whether the capturing host sent it, if the link layer says so.
    Ip(&'a [u8], Option<bool>),
    /// Something else, or less than a header.
    Other,
    /// A link type that is not read.
    UnknownLink,
}

const FIELD: &str = "link layer";
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const PPPOE_SESSION: u16 = 0x8864;
/// Customer, provider, and what came before the standard.
const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// "Outgoing" in the packet types of Linux.
const PACKET_OUTGOING: u16 = 4;

/// Takes the link layer off a frame of type `link`, by its number at <https://www.tcpdump.org/linktypes.html>.
pub(crate) fn strip(link: Linktype, frame: &[u8]) -> Carried<'_> {
    match link.0 {
        // PKTAP, and its number where it is a file of Apple's own.
        258 | 149 => pktap(frame).unwrap_or(Carried::Other),
        other => plain(other, frame),
    }
}

/// What a link type is called, for those that are met and not read.
pub(crate) const fn name(link: Linktype) -> &'static str {
    match link.0 {
        -1 => "an interface that the file does not describe",
        105 => "IEEE 802.11",
        119 | 127 => "IEEE 802.11 in monitor mode",
        138 | 203 => "Apple's IP over IEEE 1394",
        147..=162 => "for private use",
        187 | 201 => "Bluetooth",
        189 | 220 | 249 => "USB",
        226 => "Solaris' IPNET",
        239 => "NFLOG",
        252 => "Wireshark's upper layers",
        _ => "unknown here",
    }
}

fn plain(link: i32, frame: &[u8]) -> Carried<'_> {
    let carried = match link {
        0 => null(frame),
        1 => ethernet(frame),
        9 => ppp(frame, 0),
        50 => ppp(frame, 2),
        51 => pppoe(frame),
        // RAW, and what BSDs write for it.
        12 | 14 | 101 | 228 | 229 => Some((frame, None)),
        108 => loopback(frame),
        113 => cooked(frame),
        276 => cooked2(frame),
        _ => return Carried::UnknownLink,
    };
    match carried {
        Some((packet, outgoing)) if is_ip(packet) => Carried::Ip(packet, outgoing),
        _ => Carried::Other,
    }
}

type Found<'a> = Option<(&'a [u8], Option<bool>)>;

fn is_ip(packet: &[u8]) -> bool {
    packet
        .first()
        .is_some_and(|first| matches!(first >> 4, 4 | 6))
}

/// `| family (4, in the byte order of the capturing host) |`
fn null(frame: &[u8]) -> Found<'_> {
    let mut reader = Reader::new(frame);
    let family = reader.array::<4>(FIELD).ok()?;
    is_family(u32::from_le_bytes(family).min(u32::from_be_bytes(family)))
        .then(|| (reader.rest(), None))
}

/// The same in network byte order.
fn loopback(frame: &[u8]) -> Found<'_> {
    let mut reader = Reader::new(frame);
    let family = reader.u32(FIELD).ok()?;
    is_family(family).then(|| (reader.rest(), None))
}

/// AF_INET everywhere; AF_INET6 of Linux and Windows, the BSDs, and Apple.
const fn is_family(family: u32) -> bool {
    matches!(family, 2 | 10 | 23 | 24 | 28 | 30)
}

/// `| destination (6) | source (6) | type (2) |`
fn ethernet(frame: &[u8]) -> Found<'_> {
    let mut reader = Reader::new(frame);
    reader.array::<12>(FIELD).ok()?;
    Some((typed(reader)?, None))
}

/// `| type (2) |`, behind any tags.
fn typed(mut reader: Reader<'_>) -> Option<&[u8]> {
    for _ in 0..=TAGS_MAX {
        match reader.u16(FIELD).ok()? {
            IPV4 | IPV6 => return Some(reader.rest()),
            PPPOE_SESSION => return Some(pppoe(reader.rest())?.0),
            tag if VLAN.contains(&tag) => {
                reader.u16(FIELD).ok()?;
            }
            _ => return None,
        }
    }
    None
}

/// `| version, type | code | session (2) | length (2) | PPP protocol (2) |`
fn pppoe(frame: &[u8]) -> Found<'_> {
    ppp(frame, 6)
}

/// `| address, control (2, or what else is skipped) | protocol (2) |`; address and control may be left out.
fn ppp(frame: &[u8], skipped: usize) -> Found<'_> {
    let mut reader = Reader::new(frame);
    reader.take(skipped, FIELD).ok()?;
    let mut protocol = reader.u16(FIELD).ok()?;
    if protocol == 0xff03 {
        protocol = reader.u16(FIELD).ok()?;
    }
    matches!(protocol, 0x0021 | 0x0057).then(|| (reader.rest(), None))
}

/// `| packet type (2) | ARPHRD (2) | length (2) | address (8) | type (2) |`
fn cooked(frame: &[u8]) -> Found<'_> {
    let mut reader = Reader::new(frame);
    let kind = reader.u16(FIELD).ok()?;
    reader.array::<12>(FIELD).ok()?;
    Some((typed(reader)?, Some(kind == PACKET_OUTGOING)))
}

/// `| type (2) | reserved (2) | interface (4) | ARPHRD (2) | packet type (1) | length (1) | address (8) |`
fn cooked2(frame: &[u8]) -> Found<'_> {
    let mut reader = Reader::new(frame);
    let kind = reader.array::<2>(FIELD).ok()?;
    reader.array::<8>(FIELD).ok()?;
    let packet_type = reader.u8(FIELD).ok()?;
    reader.array::<9>(FIELD).ok()?;
    let outgoing = Some(u16::from(packet_type) == PACKET_OUTGOING);
    match u16::from_be_bytes(kind) {
        IPV4 | IPV6 => Some((reader.rest(), outgoing)),
        tag if VLAN.contains(&tag) => {
            reader.u16(FIELD).ok()?;
            Some((typed(reader)?, outgoing))
        }
        _ => None,
    }
}

/// `| length (4) | type of what is next (4) | link type (4) | interface … |`, little-endian; the frame behind it has
/// the link type that is named.
fn pktap(frame: &[u8]) -> Option<Carried<'_>> {
    let word = |offset: usize| {
        let octets = frame.get(offset..)?.first_chunk()?;
        Some(u32::from_le_bytes(*octets))
    };
    let (length, link) = (word(0)?, word(8)?);
    let inner = frame.get(usize::try_from(length).ok()?..)?;
    Some(plain(i32::try_from(link).ok()?, inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 3] = [0x45, 0, 0];

    fn carried(link: i32, before: &[u8]) -> Option<Option<bool>> {
        let frame = [before, &PACKET].concat();
        match strip(Linktype(link), &frame) {
            Carried::Ip(packet, outgoing) => {
                assert_eq!(packet, PACKET);
                Some(outgoing)
            }
            _ => None,
        }
    }

    #[test]
    fn ip_is_found_behind_every_link_layer() {
        let macs = [0u8; 12];
        let tagged = [&macs[..], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0]].concat();
        let session = [&macs[..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 5, 0, 0x21]].concat();
        let sll = [&[0, 4, 0, 1, 0, 6][..], &[0; 8], &[8, 0]].concat();
        let sll_tagged = [&[0, 0, 0, 1, 0, 6][..], &[0; 8], &[0x81, 0, 0, 7, 8, 0]].concat();
        let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6][..], &[0; 8]].concat();
        let mut tap = [0u8; 32];
        tap[0] = 32;
        tap[8] = 101;
        for (link, before, outgoing) in [
            (1, &[&macs[..], &[8, 0]].concat()[..], None),
            (1, &tagged, None),
            (1, &session, None),
            (0, &[2, 0, 0, 0], None),
            (0, &[0, 0, 0, 30], None),
            (108, &[0, 0, 0, 2], None),
            (101, &[], None),
            (9, &[0xff, 3, 0, 0x21], None),
            (9, &[0, 0x21], None),
            (113, &sll, Some(true)),
            (113, &sll_tagged, Some(false)),
            (276, &sll2, Some(true)),
            (258, &tap, None),
        ] {
            assert_eq!(carried(link, before), Some(outgoing), "{link} {before:x?}");
        }
    }

    #[test]
    fn what_is_not_ip_or_not_known_is_told_apart() {
        let arp = [&[0u8; 12][..], &[8, 6, 0, 1]].concat();
        assert_eq!(strip(Linktype(1), &arp), Carried::Other);
        assert_eq!(strip(Linktype(105), &arp), Carried::UnknownLink);
        assert_eq!(strip(Linktype(1), &[0; 13]), Carried::Other);
    }
}
