//! IP packets, as far as IKE is concerned: UDP, IP fragments, ESP, and ICMP errors.

use std::net::{IpAddr, SocketAddr};

use etherparse::LaxIpSlice;
use ikexdp_proto::wire::reader::Reader;

use crate::ipv6::FragmentHeader;
use crate::model::IcmpError;

/// An IP packet, perhaps captured in part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) dont_fragment: bool,
    /// Identification, which IPv6 has with fragments alone.
    pub(crate) id: Option<u32>,
    /// Octets of all of it, by its header.
    pub(crate) length: usize,
    pub(crate) body: Body<'a>,
}

/// What it carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    Udp(Udp<'a>),
    Fragment(Fragment<'a>),
    /// ESP without UDP, and its SPI.
    Esp(u32),
    /// An error about the packet that is quoted.
    Icmp(IcmpError, &'a [u8]),
    Other,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Udp<'a> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// Its payload, as far as that was captured.
    pub(crate) payload: &'a [u8],
    /// Octets of all of the payload, by the header.
    pub(crate) length: usize,
}

/// A fragment of an IP packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) id: u32,
    pub(crate) protocol: u8,
    /// Where its data belong, in octets.
    pub(crate) offset: usize,
    pub(crate) more: bool,
    /// Its data, as far as they were captured.
    pub(crate) data: &'a [u8],
    /// Octets of all of its data, by the header.
    pub(crate) length: usize,
    /// Octets of the headers before them, that of fragmentation left out.
    pub(crate) header_len: usize,
}

/// Where a fragment says it is.
struct Place {
    id: u32,
    offset: usize,
    more: bool,
}

pub(crate) const UDP: u8 = 17;
const ESP: u8 = 50;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const UDP_HEADER_LEN: usize = 8;
const IPV6_HEADER_LEN: usize = 40;
const FRAGMENT_HEADER_LEN: usize = 8;
/// Where an IPv6 header says what follows it.
const IPV6_NEXT_HEADER: usize = 6;
const FIELD: &str = "packet";

impl<'a> Packet<'a> {
    /// Reads a packet that begins at its IP header.
    pub(crate) fn read(octets: &'a [u8]) -> Option<Self> {
        let (ip, _) = LaxIpSlice::from_slice(octets).ok()?;
        let (length, hop_limit, dont_fragment, place) = header(&ip, octets);
        // By the position of what is behind, because a borrow of `ip` would not live long enough.
        let ip_payload = ip.payload();
        let header_len = offset_in(octets, ip_payload.payload)?;
        let data = octets.get(header_len..)?;
        let data_len = length.saturating_sub(header_len);
        // Ethernet pads what is short.
        let data = data.get(..data_len).unwrap_or(data);
        let protocol = ip_payload.ip_number.0;
        let id = place.as_ref().map(|place| place.id);
        let body = match place {
            Some(place) if place.more || place.offset > 0 => Body::Fragment(Fragment {
                id: place.id,
                protocol,
                offset: place.offset,
                more: place.more,
                data,
                length: data_len,
                header_len: match &ip {
                    LaxIpSlice::Ipv4(_) => header_len,
                    LaxIpSlice::Ipv6(_) => header_len.saturating_sub(FRAGMENT_HEADER_LEN),
                },
            }),
            _ => Body::read(protocol, data, data_len),
        };
        Some(Self {
            source: ip.source_addr(),
            destination: ip.destination_addr(),
            hop_limit,
            dont_fragment,
            id,
            length,
            body,
        })
    }
}

impl<'a> Body<'a> {
    fn read(protocol: u8, data: &'a [u8], length: usize) -> Self {
        match protocol {
            UDP => Udp::read(data, length).map(Self::Udp),
            ESP => Reader::new(data).u32(FIELD).ok().map(Self::Esp),
            ICMP => icmp(data),
            ICMPV6 => icmpv6(data),
            _ => None,
        }
        .unwrap_or(Self::Other)
    }
}

impl<'a> Udp<'a> {
    /// Reads a datagram of `length` octets in all, of which `data` are known.
    pub(crate) fn read(data: &'a [u8], length: usize) -> Option<Self> {
        let mut reader = Reader::new(data);
        let source_port = reader.u16(FIELD).ok()?;
        let destination_port = reader.u16(FIELD).ok()?;
        let claimed = usize::from(reader.u16(FIELD).ok()?);
        reader.u16(FIELD).ok()?;
        // 0 stands for more than the field can say; captures before segmentation have more as well.
        let length = if claimed < UDP_HEADER_LEN {
            length
        } else {
            claimed.min(length)
        };
        let length = length.saturating_sub(UDP_HEADER_LEN);
        let payload = reader.rest();
        Some(Self {
            source_port,
            destination_port,
            payload: payload.get(..length).unwrap_or(payload),
            length,
        })
    }

    /// Both ends, between two hosts.
    pub(crate) const fn ends(
        &self,
        source: IpAddr,
        destination: IpAddr,
    ) -> (SocketAddr, SocketAddr) {
        (
            SocketAddr::new(source, self.source_port),
            SocketAddr::new(destination, self.destination_port),
        )
    }
}

/// Length, hop limit, whether it must not be fragmented, and whether and where it is a fragment.
fn header(ip: &LaxIpSlice<'_>, octets: &[u8]) -> (usize, u8, bool, Option<Place>) {
    let captured = octets.len();
    match ip {
        LaxIpSlice::Ipv4(ip) => {
            let header = ip.header();
            let place = Place {
                id: u32::from(header.identification()),
                offset: usize::from(header.fragments_offset().value()).saturating_mul(8),
                more: header.more_fragments(),
            };
            let length = or_captured(usize::from(header.total_len()), captured);
            (length, header.ttl(), header.dont_fragment(), Some(place))
        }
        LaxIpSlice::Ipv6(ip) => {
            let header = ip.header();
            let length = or_captured(
                usize::from(header.payload_length()),
                captured.saturating_sub(IPV6_HEADER_LEN),
            );
            // Routers do not fragment IPv6.
            (
                length.saturating_add(IPV6_HEADER_LEN),
                header.hop_limit(),
                true,
                place(octets),
            )
        }
    }
}

/// Where an IPv6 packet says that it is, if it is a fragment.
fn place(octets: &[u8]) -> Option<Place> {
    let next = octets.get(IPV6_NEXT_HEADER)?;
    let header = FragmentHeader::find(*next, octets.get(IPV6_HEADER_LEN..)?)?;
    Some(Place {
        id: header.identification,
        offset: usize::from(header.offset),
        more: header.more,
    })
}

/// Captures of what the NIC is to cut into segments have no length.
const fn or_captured(length: usize, captured: usize) -> usize {
    if length == 0 { captured } else { length }
}

/// Where `inner`, which is a part of `outer`, begins.
fn offset_in(outer: &[u8], inner: &[u8]) -> Option<usize> {
    let offset = inner.as_ptr().addr().checked_sub(outer.as_ptr().addr())?;
    (offset <= outer.len()).then_some(offset)
}

/// RFC 792: `| type | code | checksum (2) | unused (2) | next-hop MTU (2) | quoted packet |`
fn icmp(data: &[u8]) -> Option<Body<'_>> {
    let mut reader = Reader::new(data);
    let kind = (reader.u8(FIELD).ok()?, reader.u8(FIELD).ok()?);
    reader.array::<4>(FIELD).ok()?;
    let mtu = reader.u16(FIELD).ok()?;
    let error = match kind {
        (3, 3) => IcmpError::PortUnreachable,
        (3, 4) => IcmpError::TooBig(u32::from(mtu)),
        (3, 9 | 10 | 13) => IcmpError::Prohibited,
        (3, _) => IcmpError::Unreachable,
        (11, 1) => IcmpError::ReassemblyTime,
        _ => return None,
    };
    Some(Body::Icmp(error, reader.rest()))
}

/// RFC 4443: `| type | code | checksum (2) | MTU (4) | quoted packet |`
fn icmpv6(data: &[u8]) -> Option<Body<'_>> {
    let mut reader = Reader::new(data);
    let kind = (reader.u8(FIELD).ok()?, reader.u8(FIELD).ok()?);
    reader.u16(FIELD).ok()?;
    let mtu = reader.u32(FIELD).ok()?;
    let error = match kind {
        (1, 4) => IcmpError::PortUnreachable,
        (1, 1 | 5 | 6) => IcmpError::Prohibited,
        (1, _) => IcmpError::Unreachable,
        (2, _) => IcmpError::TooBig(mtu),
        (3, 1) => IcmpError::ReassemblyTime,
        _ => return None,
    };
    Some(Body::Icmp(error, reader.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 192.0.2.7 to 192.0.2.1, with this second word and protocol.
    fn ipv4(length: u16, flags: u16, protocol: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 9]);
        packet.extend(flags.to_be_bytes());
        packet.extend([63, protocol, 0, 0, 192, 0, 2, 7, 192, 0, 2, 1]);
        packet.extend(data);
        packet
    }

    const DATAGRAM: [u8; 12] = [1, 0xf4, 1, 0xf4, 0, 12, 0, 0, 1, 2, 3, 4];

    #[test]
    fn udp_is_read_without_what_ethernet_adds() {
        let mut octets = ipv4(32, 0x4000, 17, &DATAGRAM);
        octets.extend([0; 14]);
        let packet = Packet::read(&octets).unwrap();
        assert!(packet.dont_fragment && packet.hop_limit == 63 && packet.length == 32);
        let Body::Udp(udp) = packet.body else {
            panic!("{:?}", packet.body)
        };
        assert_eq!(
            (udp.source_port, udp.payload, udp.length),
            (500, &[1, 2, 3, 4][..], 4)
        );
    }

    #[test]
    fn a_snapshot_keeps_the_lengths() {
        let octets = ipv4(1500, 0, 17, &[1, 0xf4, 1, 0xf4, 5, 0xc8, 0, 0, 1]);
        let packet = Packet::read(&octets).unwrap();
        let Body::Udp(udp) = packet.body else {
            panic!("{:?}", packet.body)
        };
        assert_eq!(
            (packet.length, udp.length, udp.payload),
            (1500, 1472, &[1][..])
        );
    }

    #[test]
    fn fragments_say_where_they_belong() {
        let octets = ipv4(28, 0x2000 | 185, 17, &[0; 8]);
        let Body::Fragment(fragment) = Packet::read(&octets).unwrap().body else {
            panic!("a fragment")
        };
        assert_eq!(
            (fragment.id, fragment.offset, fragment.length, fragment.more),
            (9, 1480, 8, true)
        );
        // IPv6: fragment header of UDP, offset 1448, the last, ID 7.
        let mut octets = vec![0x60, 0, 0, 0, 0, 16, 44, 64];
        octets.extend([0x20; 32]);
        octets.extend([17, 0, 5, 0xa8, 0, 0, 0, 7]);
        octets.extend([0; 8]);
        let Body::Fragment(fragment) = Packet::read(&octets).unwrap().body else {
            panic!("a fragment")
        };
        assert_eq!(
            (fragment.id, fragment.offset, fragment.length, fragment.more),
            (7, 1448, 8, false)
        );
        assert_eq!(fragment.header_len, 40);
    }

    #[test]
    fn icmp_quotes_what_it_is_about() {
        let quoted = ipv4(1500, 0x4000, 17, &DATAGRAM);
        let mut icmp = vec![3, 4, 0, 0, 0, 0, 5, 0x78];
        icmp.extend(&quoted);
        let octets = ipv4(u16::try_from(20 + icmp.len()).unwrap(), 0, 1, &icmp);
        let Body::Icmp(error, inner) = Packet::read(&octets).unwrap().body else {
            panic!("ICMP")
        };
        assert_eq!(error, IcmpError::TooBig(1400));
        assert_eq!(inner, quoted);
    }
}
