//! A captured IP datagram, as far as IKE over UDP is concerned.
//!
//! The headers are read here once more, not by the project's own parser: what checks must not share
//! the errors of what is checked.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use etherparse::{
    EtherType, Ethernet2Slice, IpHeaders, IpNumber, IpSlice, UdpHeader, UdpHeaderSlice,
};

/// Where IKE is spoken, and where it shares the port with ESP behind a marker (RFC 3948 §2.2).
const IKE_PORT: u16 = 500;
const NAT_T_PORT: u16 = 4500;
/// IP's protocol number of ESP.
const ESP: u8 = 50;
/// Next Payload for Encrypted and Authenticated Fragment (RFC 7383 §2.5).
const SKF: u8 = 53;

/// One IP datagram as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When it was captured, since 1970.
    pub time: Duration,
    /// The sender's address.
    pub source: IpAddr,
    /// The receiver's address.
    pub destination: IpAddr,
    /// The length of the IP datagram in bytes, IP header included.
    pub length: usize,
    /// Where it belongs if it is an IP fragment.
    pub fragment: Option<IpFragment>,
    /// Whether a router may not fragment it; always so in IPv6.
    pub dont_fragment: bool,
    /// Whether the checksums are right, IP's and, unless this is a fragment, UDP's.
    pub checksums_right: bool,
    /// What comes after the IP header.
    pub payload: Payload,
}

/// The place of an IP fragment in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpFragment {
    /// Common to all fragments of the datagram.
    pub identification: u32,
    /// The first byte's place in the datagram's payload.
    pub offset: u16,
    /// Whether others follow.
    pub more: bool,
}

/// What a datagram carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// UDP; of a first fragment, its part.
    Udp {
        /// The sender's port.
        source: u16,
        /// The receiver's port.
        destination: u16,
        /// What stands after the UDP header.
        data: Vec<u8>,
    },
    /// Everything else, later fragments included, by IP's protocol number.
    Other(u8),
}

/// What stands between IP's header and ESP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// Nothing (RFC 4303).
    None,
    /// A UDP header (RFC 3948).
    Udp,
}

/// The header of an IKE message (RFC 7296 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeHeader {
    /// Chosen by the initiator.
    pub initiator_spi: u64,
    /// Chosen by the responder; 0 in the first request.
    pub responder_spi: u64,
    /// 34 IKE_SA_INIT, 35 IKE_AUTH, 36 CREATE_CHILD_SA, 37 INFORMATIONAL.
    pub exchange: u8,
    /// Whether this is a response.
    pub response: bool,
    /// Common to a request and its response.
    pub message_id: u32,
    /// The message's length in bytes, this header included.
    pub length: u32,
    /// Fragment Number and Total Fragments if the message is a fragment (RFC 7383 §2.5).
    pub fragment: Option<(u16, u16)>,
}

impl Datagram {
    /// Reads an Ethernet frame; `None` if it carries no IP.
    #[must_use]
    pub fn parse(time: Duration, frame: &[u8]) -> Option<Self> {
        let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).ok()?;
        if ![EtherType::IPV4, EtherType::IPV6].contains(&ethernet.ether_type()) {
            return None;
        }
        let ip = IpSlice::from_slice(ethernet.payload_slice()).ok()?;
        let headers = ip.to_header();
        let (length, dont_fragment, fragment) = fragmentation(&headers);
        Some(Self {
            time,
            source: ip.source_addr(),
            destination: ip.destination_addr(),
            length,
            fragment,
            dont_fragment,
            checksums_right: checksums_right(&headers, ip.payload().payload),
            payload: Payload::parse(&ip, fragment),
        })
    }

    /// Both ends, of a datagram that says them.
    #[must_use]
    pub fn sockets(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self.payload {
            Payload::Udp {
                source,
                destination,
                ..
            } => Some((
                SocketAddr::new(self.source, source),
                SocketAddr::new(self.destination, destination),
            )),
            Payload::Other(_) => None,
        }
    }

    /// The IKE header, if this is IKE.
    ///
    /// The first IP fragment of an IKE message has one too.
    #[must_use]
    pub fn ike(&self) -> Option<IkeHeader> {
        let Payload::Udp {
            source,
            destination,
            data,
        } = &self.payload
        else {
            return None;
        };
        let uses = |port| *source == port || *destination == port;
        if uses(NAT_T_PORT) {
            IkeHeader::parse(data.strip_prefix(&[0; 4])?)
        } else if uses(IKE_PORT) {
            IkeHeader::parse(data)
        } else {
            None
        }
    }

    /// How this carries ESP, if it does.
    #[must_use]
    pub fn esp(&self) -> Option<Encapsulation> {
        match &self.payload {
            Payload::Other(ESP) => Some(Encapsulation::None),
            Payload::Udp {
                source,
                destination,
                data,
            } => {
                // A keepalive is shorter, and an SPI is not zero.
                let is_esp = [*source, *destination].contains(&NAT_T_PORT)
                    && data.get(..4).is_some_and(|spi| spi != [0; 4]);
                is_esp.then_some(Encapsulation::Udp)
            }
            Payload::Other(_) => None,
        }
    }
}

impl Payload {
    fn parse(ip: &IpSlice<'_>, fragment: Option<IpFragment>) -> Self {
        let is_first = fragment.is_none_or(|fragment| fragment.offset == 0);
        let bytes = ip.payload().payload;
        match UdpHeaderSlice::from_slice(bytes) {
            Ok(udp) if is_first && ip.payload_ip_number() == IpNumber::UDP => Self::Udp {
                source: udp.source_port(),
                destination: udp.destination_port(),
                data: bytes[udp.slice().len()..].to_vec(),
            },
            _ => Self::Other(ip.payload_ip_number().0),
        }
    }
}

impl IkeHeader {
    fn parse(message: &[u8]) -> Option<Self> {
        let be64 = |at: usize| {
            Some(u64::from_be_bytes(
                message.get(at..at + 8)?.try_into().ok()?,
            ))
        };
        let be32 = |at: usize| {
            Some(u32::from_be_bytes(
                message.get(at..at + 4)?.try_into().ok()?,
            ))
        };
        let be16 = |at: usize| {
            Some(u16::from_be_bytes(
                message.get(at..at + 2)?.try_into().ok()?,
            ))
        };
        Some(Self {
            initiator_spi: be64(0)?,
            responder_spi: be64(8)?,
            exchange: *message.get(18)?,
            response: message.get(19)? & 0x20 != 0,
            message_id: be32(20)?,
            length: be32(24)?,
            fragment: if message.get(16) == Some(&SKF) {
                Some((be16(32)?, be16(34)?))
            } else {
                None
            },
        })
    }

    /// The exchange's name in RFC 7296, or its number.
    #[must_use]
    pub fn exchange_name(&self) -> String {
        match self.exchange {
            34 => "IKE_SA_INIT".to_owned(),
            35 => "IKE_AUTH".to_owned(),
            36 => "CREATE_CHILD_SA".to_owned(),
            37 => "INFORMATIONAL".to_owned(),
            other => format!("exchange {other}"),
        }
    }
}

/// One line without time and addresses: what it is and how long.
impl fmt::Display for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} bytes  ", self.length)?;
        match (self.ike(), &self.payload) {
            (Some(ike), _) => write!(f, "{ike}")?,
            (None, Payload::Udp { data, .. }) => write!(f, "UDP with {} bytes", data.len())?,
            (None, Payload::Other(protocol)) => write!(f, "IP protocol {protocol}")?,
        }
        match self.fragment {
            Some(IpFragment {
                offset, more: true, ..
            }) => write!(f, ", IP FRAGMENT at {offset}, more"),
            Some(IpFragment {
                offset,
                more: false,
                ..
            }) => write!(f, ", IP FRAGMENT at {offset}, last"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for IkeHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.response { "response" } else { "request" };
        write!(f, "{} {kind} {}", self.exchange_name(), self.message_id)?;
        match self.fragment {
            Some((number, total)) => write!(f, ", fragment {number} of {total}"),
            None => Ok(()),
        }
    }
}

/// A capture as people read it: one line a datagram, times relative to the first, addresses by
/// name.
#[must_use]
pub fn timeline(datagrams: &[Datagram], names: &[(IpAddr, &str)]) -> String {
    let start = datagrams
        .first()
        .map(|first| first.time)
        .unwrap_or_default();
    let name = |address: IpAddr| {
        let known = names.iter().find(|(known, _)| *known == address);
        known.map_or_else(|| address.to_string(), |(_, name)| (*name).to_owned())
    };
    let line = |datagram: &Datagram| {
        let time = datagram.time.saturating_sub(start).as_secs_f64();
        let (source, destination) = match datagram.payload {
            Payload::Udp {
                source,
                destination,
                ..
            } => (format!(":{source}"), format!(":{destination}")),
            Payload::Other(_) => (String::new(), String::new()),
        };
        let source = name(datagram.source) + &source;
        let destination = name(datagram.destination) + &destination;
        format!("{time:6.3} s  {source:>12} > {destination:<12} {datagram}\n")
    };
    datagrams.iter().map(line).collect()
}

/// The IP datagram's length, whether it must not be fragmented, and its place if it is a fragment.
fn fragmentation(headers: &IpHeaders) -> (usize, bool, Option<IpFragment>) {
    match headers {
        IpHeaders::Ipv4(header, _) => {
            let fragment = header.is_fragmenting_payload().then(|| IpFragment {
                identification: header.identification.into(),
                offset: header.fragment_offset.value() * 8,
                more: header.more_fragments,
            });
            (header.total_len.into(), header.dont_fragment, fragment)
        }
        IpHeaders::Ipv6(header, extensions) => {
            let fragment = extensions.fragment.as_ref().map(|fragment| IpFragment {
                identification: fragment.identification,
                offset: fragment.fragment_offset.value() * 8,
                more: fragment.more_fragments,
            });
            (40 + usize::from(header.payload_length), true, fragment)
        }
    }
}

fn checksums_right(headers: &IpHeaders, payload: &[u8]) -> bool {
    let ip_right = match headers {
        IpHeaders::Ipv4(ip, _) => ip.calc_header_checksum() == ip.header_checksum,
        IpHeaders::Ipv6(..) => true,
    };
    ip_right && (headers.is_fragmenting_payload() || udp_checksum_right(headers, payload))
}

/// Whether the UDP checksum is right; what is not UDP has none.
fn udp_checksum_right(headers: &IpHeaders, payload: &[u8]) -> bool {
    if headers.next_header() != Ok(IpNumber::UDP) {
        return true;
    }
    let Ok((udp, data)) = UdpHeader::from_slice(payload) else {
        return false;
    };
    let checksum = match headers {
        IpHeaders::Ipv4(ip, _) => udp.calc_checksum_ipv4(ip, data),
        IpHeaders::Ipv6(ip, _) => udp.calc_checksum_ipv6(ip, data),
    };
    // What IPv4 lets a sender leave out (RFC 768) is not right here: IKE needs it (RFC 3948 §2.1
    // exempts ESP alone).
    checksum == Ok(udp.checksum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    /// An IKE header with next payload SKF, an SKF header, and nothing behind.
    const SKF_MESSAGE: [u8; 36] = [
        1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, // SPIs
        53, 0x20, 35, 0x20, // SKF, version 2.0, IKE_AUTH, response
        0, 0, 0, 1, 0, 0, 0, 36, // message ID, length
        36, 0, 0, 8, 0, 2, 0, 5, // SKF payload: number 2, total 5
    ];

    fn frame(port: u16, payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([192, 0, 2, 2], [198, 51, 100, 2], 64)
            .udp(port, port);
        let mut frame = Vec::new();
        builder.write(&mut frame, payload).unwrap();
        frame
    }

    #[test]
    fn a_fragment_on_port_500_is_read() {
        let datagram = Datagram::parse(Duration::ZERO, &frame(500, &SKF_MESSAGE)).unwrap();
        assert_eq!(datagram.length, 20 + 8 + 36);
        assert_eq!(datagram.fragment, None);
        let ike = datagram.ike().unwrap();
        assert_eq!(
            (ike.initiator_spi, ike.responder_spi),
            (0x0101_0101_0101_0101, 0x0202_0202_0202_0202)
        );
        assert_eq!(
            datagram.to_string(),
            "  64 bytes  IKE_AUTH response 1, fragment 2 of 5"
        );
    }

    #[test]
    fn a_wrong_checksum_is_seen() {
        let frame = frame(500, &SKF_MESSAGE);
        let right = |frame: &[u8]| {
            Datagram::parse(Duration::ZERO, frame)
                .unwrap()
                .checksums_right
        };
        assert!(right(&frame));
        // Time to live, UDP checksum, last octet.
        for wrong in [14 + 8, 14 + 20 + 6, frame.len() - 1] {
            let mut frame = frame.clone();
            frame[wrong] ^= 1;
            assert!(!right(&frame), "octet {wrong}");
        }
    }

    #[test]
    fn port_4500_needs_the_marker() {
        let marked = [&[0; 4][..], &SKF_MESSAGE].concat();
        assert_eq!(
            Datagram::parse(Duration::ZERO, &frame(4500, &marked))
                .unwrap()
                .ike()
                .unwrap()
                .fragment,
            Some((2, 5))
        );
        assert_eq!(
            Datagram::parse(Duration::ZERO, &frame(4500, &SKF_MESSAGE))
                .unwrap()
                .ike(),
            None
        );
    }

    #[test]
    fn a_later_ip_fragment_has_no_ports() {
        let mut frame = frame(500, &SKF_MESSAGE);
        frame[14 + 6..14 + 8].copy_from_slice(&[0, 185]); // offset 185 * 8, no more
        let datagram = Datagram::parse(Duration::ZERO, &frame).unwrap();
        assert_eq!(
            datagram
                .fragment
                .map(|fragment| (fragment.offset, fragment.more)),
            Some((1480, false))
        );
        assert_eq!((datagram.sockets(), datagram.ike()), (None, None));
        assert_eq!(
            datagram.to_string(),
            "  64 bytes  IP protocol 17, IP FRAGMENT at 1480, last"
        );
    }

    #[test]
    fn a_timeline_names_the_ends() {
        let datagram = Datagram::parse(Duration::from_secs(5), &frame(500, &SKF_MESSAGE)).unwrap();
        let later = Datagram {
            time: Duration::from_millis(5250),
            ..datagram.clone()
        };
        let text = timeline(&[datagram, later], &[([192, 0, 2, 2].into(), "client")]);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with(" 0.000 s    client:500 > 198.51.100.2:500 "),
            "{text}"
        );
        assert!(lines[1].starts_with(" 0.250 s"), "{text}");
    }
}
