//! Ethernet frames: as they should be, and wrong where a test says so.

use std::net::IpAddr;

use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, UdpHeader};

/// MAC address of the gateway.
pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// MAC address that the client's frames come from.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A UDP datagram in an Ethernet frame, with right lengths and checksums.
///
/// What is to be wrong is written over the finished frame, at an offset into
/// one of its headers.
#[derive(Clone, Debug)]
pub struct Packet {
    source: IpAddr,
    destination: IpAddr,
    source_port: u16,
    destination_port: u16,
    payload: Vec<u8>,
    tags: Vec<u16>,
    between: Between,
    padding: usize,
    edits: Vec<(Header, usize, Vec<u8>)>,
}

/// What is between the IP and the UDP header.
#[derive(Clone, Debug)]
enum Between {
    Nothing,
    /// IPv4 options, in whole words.
    Options(Vec<u8>),
    /// An IPv6 extension header of this number.
    Extension(u8, Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
enum Header {
    Link,
    Ip,
    Udp,
    Payload,
}

impl Packet {
    /// A datagram of one empty payload between two addresses of a family.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr, port: u16) -> Self {
        Self {
            source,
            destination,
            source_port: 40_000,
            destination_port: port,
            payload: Vec::new(),
            tags: Vec::new(),
            between: Between::Nothing,
            padding: 0,
            edits: Vec::new(),
        }
    }

    /// With this UDP payload.
    #[must_use]
    pub fn carrying(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// From this UDP port.
    #[must_use]
    pub const fn from_port(mut self, port: u16) -> Self {
        self.source_port = port;
        self
    }

    /// With one more VLAN tag, inside of those before, of this EtherType.
    #[must_use]
    pub fn tag(mut self, ether_type: u16) -> Self {
        self.tags.push(ether_type);
        self
    }

    /// With IPv4 options, a multiple of four octets.
    #[must_use]
    pub fn options(mut self, options: impl Into<Vec<u8>>) -> Self {
        self.between = Between::Options(options.into());
        self
    }

    /// With an IPv6 extension header of this number.
    #[must_use]
    pub fn extension(mut self, number: u8, header: impl Into<Vec<u8>>) -> Self {
        self.between = Between::Extension(number, header.into());
        self
    }

    /// With octets behind the IP packet.
    #[must_use]
    pub const fn padded(mut self, octets: usize) -> Self {
        self.padding = octets;
        self
    }

    /// With `octets` written over the Ethernet header.
    #[must_use]
    pub fn link(self, offset: usize, octets: impl Into<Vec<u8>>) -> Self {
        self.edit(Header::Link, offset, octets.into())
    }

    /// With `octets` written over the IP header.
    #[must_use]
    pub fn ip(self, offset: usize, octets: impl Into<Vec<u8>>) -> Self {
        self.edit(Header::Ip, offset, octets.into())
    }

    /// With `octets` written over the UDP header.
    #[must_use]
    pub fn udp(self, offset: usize, octets: impl Into<Vec<u8>>) -> Self {
        self.edit(Header::Udp, offset, octets.into())
    }

    /// With `octets` written over the payload.
    #[must_use]
    pub fn payload(self, offset: usize, octets: impl Into<Vec<u8>>) -> Self {
        self.edit(Header::Payload, offset, octets.into())
    }

    fn edit(mut self, header: Header, offset: usize, octets: Vec<u8>) -> Self {
        self.edits.push((header, offset, octets));
        self
    }

    /// The frame.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut frame = self.ethernet();
        let ip = frame.len();
        frame.extend(self.headers());
        let udp = frame.len() - UdpHeader::LEN;
        let payload = frame.len();
        frame.extend(&self.payload);
        frame.resize(frame.len() + self.padding, 0xee);
        for (header, offset, octets) in &self.edits {
            let start = offset
                + match header {
                    Header::Link => 0,
                    Header::Ip => ip,
                    Header::Udp => udp,
                    Header::Payload => payload,
                };
            frame[start..start + octets.len()].copy_from_slice(octets);
        }
        frame
    }

    fn ethernet(&self) -> Vec<u8> {
        const VLAN_ID: u16 = 7;

        let network = match self.destination {
            IpAddr::V4(_) => EtherType::IPV4.0,
            IpAddr::V6(_) => EtherType::IPV6.0,
        };
        let mut types = self.tags.iter().copied().chain([network]);
        let mut frame = Vec::from(GATEWAY_MAC);
        frame.extend(CLIENT_MAC);
        frame.extend(types.next().unwrap().to_be_bytes());
        for ether_type in types {
            frame.extend(VLAN_ID.to_be_bytes());
            frame.extend(ether_type.to_be_bytes());
        }
        assert_eq!(frame.len(), Ethernet2Header::LEN + 4 * self.tags.len());
        frame
    }

    /// The headers of IP and UDP, and what is between them.
    fn headers(&self) -> Vec<u8> {
        let (from, to) = (self.source_port, self.destination_port);
        let mut octets = Vec::new();
        let udp = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(UdpHeader::LEN + self.payload.len()).unwrap();
                let mut ip = Ipv4Header::new(
                    length,
                    64,
                    IpNumber::UDP,
                    source.octets(),
                    destination.octets(),
                )
                .unwrap();
                if let Between::Options(options) = &self.between {
                    ip.options = options.as_slice().try_into().unwrap();
                }
                ip.set_payload_len(usize::from(length)).unwrap();
                ip.write(&mut octets).unwrap();
                UdpHeader::with_ipv4_checksum(from, to, &ip, &self.payload)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let (next_header, extension) = match &self.between {
                    Between::Extension(number, header) => (IpNumber(*number), header.as_slice()),
                    _ => (IpNumber::UDP, [].as_slice()),
                };
                let ip = Ipv6Header {
                    payload_length: u16::try_from(
                        extension.len() + UdpHeader::LEN + self.payload.len(),
                    )
                    .unwrap(),
                    next_header,
                    hop_limit: 64,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                ip.write(&mut octets).unwrap();
                octets.extend(extension);
                UdpHeader::with_ipv6_checksum(from, to, &ip, &self.payload)
            }
            _ => panic!("two addresses of different families"),
        };
        udp.unwrap().write(&mut octets).unwrap();
        octets
    }
}

/// An IKE_SA_INIT request of `length` octets, well-formed up to its header.
#[must_use]
pub fn ike_sa_init(length: usize) -> Vec<u8> {
    let mut message = vec![0xab; length];
    // SPIs, next payload, version, exchange, flags, message ID (RFC 7296 §3.1).
    message[..8].fill(0x11);
    message[8..16].fill(0);
    message[16..20].copy_from_slice(&[33, 0x20, 34, 0x08]);
    message[20..24].fill(0);
    message[24..28].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    message
}

/// The same, as it travels on port 4500.
#[must_use]
pub fn marked(length: usize) -> Vec<u8> {
    [vec![0; 4], ike_sa_init(length)].concat()
}
