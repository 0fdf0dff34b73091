//! The DHCPACK that answers a DHCPINFORM (RFC 2131 §4.3.5): no address, no lease.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOpCode, DhcpOption, DhcpOptionWriter,
    DhcpPacket, UdpPacket, UdpRepr,
};

use super::Scope;
use super::inform::Inform;
use super::routes::encode;

/// Options (RFC 2132; RFC 3397, RFC 3442 and MS-DHCPE for the last three).
const DOMAIN_NAME_SERVER: u8 = 6;
const DOMAIN_NAME: u8 = 15;
const MESSAGE_TYPE: u8 = 53;
const SERVER_IDENTIFIER: u8 = 54;
const DOMAIN_SEARCH: u8 = 119;
const CLASSLESS_STATIC_ROUTES: u8 = 121;
const MICROSOFT_CLASSLESS_STATIC_ROUTES: u8 = 249;

/// Octets of an IP datagram before its message: IPv4 and UDP.
const HEADERS_LEN: usize = 20 + 8;

/// Octets of a message before its options, the magic cookie included.
const FIXED_LEN: usize = 240;

/// Octets that a message has at least: relics of BOOTP take nothing shorter.
const MESSAGE_LEN_MIN: usize = 300;

/// Octets in one option; what is longer takes several (RFC 3396).
const OPTION_LEN_MAX: usize = 255;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    /// The message.
    pub(super) message: Vec<u8>,
    /// Routes that did not fit.
    pub(super) left_out: usize,
}

impl Ack {
    /// What `inform` asks for of `scope`, and `routes`.
    pub(super) fn new(inform: &Inform<'_>, scope: &Scope, routes: &[Ipv4Net]) -> Self {
        let mut message = vec![0; inform.answer_len_max.saturating_sub(HEADERS_LEN)];
        for (octet, asked) in message.iter_mut().zip(inform.message).take(FIXED_LEN) {
            *octet = *asked;
        }
        let mut packet = DhcpPacket::new_unchecked(&mut message[..]);
        packet.set_opcode(DhcpOpCode::Reply);
        packet.set_hops(0);
        packet.set_secs(0);
        packet.set_your_ip(Ipv4Addr::UNSPECIFIED);
        packet.set_server_ip(Ipv4Addr::UNSPECIFIED);
        packet.set_sname_and_boot_file_to_zero();
        let mut options = Options::new(packet.options_mut(), inform.answer_len_max);
        options.put(MESSAGE_TYPE, &[DhcpMessageType::Ack.into()]);
        options.put(SERVER_IDENTIFIER, &scope.gateway.octets());
        let servers: Vec<u8> = scope
            .name_servers
            .iter()
            .flat_map(Ipv4Addr::octets)
            .collect();
        if inform.asks(DOMAIN_NAME_SERVER) {
            options.put(DOMAIN_NAME_SERVER, &servers);
        }
        if let Some(domain) = scope.domains.first().filter(|_| inform.asks(DOMAIN_NAME)) {
            options.put(DOMAIN_NAME, domain.trim_end_matches('.').as_bytes());
        }
        let left_out = options.routes(inform, routes);
        if inform.asks(DOMAIN_SEARCH) {
            let list: Vec<u8> = scope.domains.iter().flat_map(|it| labels(it)).collect();
            options.put(DOMAIN_SEARCH, &list);
        }
        let length = options.end();
        message.truncate(length.max(MESSAGE_LEN_MIN));
        Self { message, left_out }
    }

    /// The answer as a UDP datagram.
    pub(super) fn datagram(&self, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let header = UdpRepr {
            src_port: DHCP_SERVER_PORT,
            dst_port: DHCP_CLIENT_PORT,
        };
        let length = self.message.len();
        let mut datagram = vec![0; header.header_len().saturating_add(length)];
        header.emit(
            &mut UdpPacket::new_unchecked(&mut datagram[..]),
            &from.into(),
            &to.into(),
            length,
            |payload| payload.copy_from_slice(&self.message),
            &ChecksumCapabilities::default(),
        );
        datagram
    }
}

/// A domain as a list of labels (RFC 1035 §3.1); it has been found to be one.
fn labels(domain: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(domain.len().saturating_add(2));
    for label in domain.trim_end_matches('.').split('.') {
        octets.push(u8::try_from(label.len()).unwrap_or_default());
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

/// The options of a message, as far as there is room for them.
struct Options<'a> {
    writer: DhcpOptionWriter<'a>,
    /// Octets of the message so far.
    length: usize,
    /// Octets that options may still have.
    room: usize,
}

impl<'a> Options<'a> {
    fn new(writer: DhcpOptionWriter<'a>, answer_len_max: usize) -> Self {
        const END_LEN: usize = 1;
        Self {
            writer,
            length: FIXED_LEN,
            room: answer_len_max.saturating_sub(HEADERS_LEN + FIXED_LEN + END_LEN),
        }
    }

    /// Appends an option, if there is anything to say and there is room for it.
    fn put(&mut self, kind: u8, data: &[u8]) -> bool {
        if data.is_empty() || cost(data.len()) > self.room {
            return false;
        }
        for data in data.chunks(OPTION_LEN_MAX) {
            let cost = cost(data.len());
            self.room = self.room.saturating_sub(cost);
            self.length = self.length.saturating_add(cost);
            if self.writer.emit(DhcpOption { kind, data }).is_err() {
                return false;
            }
        }
        true
    }

    /// Appends as many routes as fit, and says how many do not. Both options say the
    /// same: the other one comes only if all of it fits.
    fn routes(&mut self, inform: &Inform<'_>, routes: &[Ipv4Net]) -> usize {
        let kinds = [MICROSOFT_CLASSLESS_STATIC_ROUTES, CLASSLESS_STATIC_ROUTES];
        let mut asked = kinds.into_iter().filter(|kind| inform.asks(*kind));
        let Some(first) = asked.next() else {
            return 0;
        };
        let mut option = Vec::new();
        let mut told: usize = 0;
        for route in routes {
            let before = option.len();
            encode(*route, &mut option);
            if cost(option.len()) > self.room {
                option.truncate(before);
                break;
            }
            told = told.saturating_add(1);
        }
        self.put(first, &option);
        let left_out = routes.len().saturating_sub(told);
        if let Some(other) = asked.next().filter(|_| left_out == 0) {
            self.put(other, &option);
        }
        left_out
    }

    /// Ends the options, and says how long the message is.
    fn end(mut self) -> usize {
        // There is always room for it.
        let _ = self.writer.end();
        self.length.saturating_add(1)
    }
}

/// Octets of a message that it takes to say so many.
const fn cost(length: usize) -> usize {
    const HEADER_LEN: usize = 2;
    length.saturating_add(length.div_ceil(OPTION_LEN_MAX).saturating_mul(HEADER_LEN))
}

#[cfg(test)]
mod tests {
    use super::super::inform::tests::{CLIENT, message, packet, windows};
    use super::*;

    fn scope() -> Scope {
        Scope {
            connection: "staff".to_owned(),
            gateway: [10, 8, 0, 1].into(),
            name_servers: vec![[10, 8, 0, 53].into(), [10, 8, 0, 54].into()],
            domains: vec!["corp.example.com".to_owned(), "example.net.".to_owned()],
        }
    }

    fn routes(count: u8) -> Vec<Ipv4Net> {
        let net = |third| Ipv4Net::new([10, 8, third, 0].into(), 24).unwrap();
        (0..count).map(net).collect()
    }

    /// The answer to `message`, and its options in their order.
    fn answer(message: &[u8], routes: &[Ipv4Net]) -> (Ack, Vec<(u8, Vec<u8>)>) {
        let octets = packet(CLIENT, [68, 67], message);
        let ack = Ack::new(&Inform::read(&octets).unwrap(), &scope(), routes);
        let packet = DhcpPacket::new_checked(&ack.message[..]).unwrap();
        let options = packet.options().map(|it| (it.kind, it.data.to_vec()));
        let options = options.collect();
        (ack, options)
    }

    fn kinds(options: &[(u8, Vec<u8>)]) -> Vec<u8> {
        options.iter().map(|(kind, _)| *kind).collect()
    }

    #[test]
    fn windows_learns_what_it_asks_for_and_gets_no_address() {
        let (ack, options) = answer(&windows(), &routes(2));
        assert_eq!(ack.left_out, 0);
        let header = &ack.message[..44];
        // A reply on its hardware, with its number, from it.
        assert_eq!(header[..8], [2, 8, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(header[12..16], CLIENT.octets());
        assert_eq!(header[16..28], [0; 12]);
        assert_eq!(header[28..34], *b"RAS \x01\x02");
        assert_eq!(ack.message.len(), MESSAGE_LEN_MIN);
        let expected: [(u8, &[u8]); 5] = [
            (53, &[5]),
            (54, &[10, 8, 0, 1]),
            (6, &[10, 8, 0, 53, 10, 8, 0, 54]),
            (15, b"corp.example.com"),
            (249, &[24, 10, 8, 0, 0, 0, 0, 0, 24, 10, 8, 1, 0, 0, 0, 0]),
        ];
        let options: Vec<_> = options
            .iter()
            .map(|(kind, data)| (*kind, &data[..]))
            .collect();
        assert_eq!(options, expected);
    }

    #[test]
    fn whoever_asks_for_all_gets_all() {
        let (_, options) = answer(&message(&[&[53, 1, 8, 255]]), &routes(1));
        assert_eq!(kinds(&options), [53, 54, 6, 15, 249, 121, 119]);
        assert_eq!(options[4].1, options[5].1);
        assert_eq!(
            options[6].1,
            *b"\x04corp\x07example\x03com\0\x07example\x03net\0"
        );
        let only = message(&[&[53, 1, 8, 55, 1, 121, 255]]);
        assert_eq!(kinds(&answer(&only, &routes(1)).1), [53, 54, 121]);
        let none = message(&[&[53, 1, 8, 55, 0, 255]]);
        assert_eq!(kinds(&answer(&none, &routes(1)).1), [53, 54]);
        assert_eq!(kinds(&answer(&windows(), &[]).1), [53, 54, 6, 15]);
    }

    #[test]
    fn an_answer_is_no_longer_than_the_client_takes() {
        for (length, count) in [(576, 200), (576, 20), (1000, 200), (1200, 109), (9000, 255)] {
            let [high, low] = u16::to_be_bytes(length);
            let octets = message(&[&[53, 1, 8, 57, 2, high, low, 255]]);
            let (ack, options) = answer(&octets, &routes(count));
            let taken = usize::from(length).min(1200);
            assert!(ack.message.len() <= taken - HEADERS_LEN, "{length}");
            let told = options.iter().filter(|(kind, _)| *kind == 249);
            let told: usize = told.map(|(_, data)| data.len()).sum();
            assert_eq!(told / 8 + ack.left_out, usize::from(count), "{length}");
            assert_eq!(told % 8, 0, "whole routes");
            let is_full = kinds(&options).contains(&121);
            assert!(ack.left_out == 0 || !is_full, "{length}");
        }
    }

    #[test]
    fn a_datagram_goes_from_server_to_client() {
        let (ack, _) = answer(&windows(), &routes(1));
        let (from, to) = (Ipv4Addr::new(10, 8, 0, 1), CLIENT);
        let datagram = ack.datagram(from, to);
        let udp = UdpPacket::new_checked(&datagram[..]).unwrap();
        assert_eq!((udp.src_port(), udp.dst_port()), (67, 68));
        assert_ne!(udp.checksum(), 0);
        assert!(udp.verify_checksum(&from.into(), &to.into()));
        assert_eq!(udp.payload(), ack.message);
    }
}
