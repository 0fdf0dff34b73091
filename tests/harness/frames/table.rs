//! The rows: what a gateway may meet, and what it makes of it.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{self, Packet};
use ikexdp_common::maps::Config;
use ikexdp_common::verdict::Verdict::{self, *};

/// The gateway's address.
pub const OURS_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The broadcast address of its network.
pub const BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);
/// The gateway's address, in the other family.
pub const OURS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const PEER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const PEER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 2);

/// The EtherType of a customer's tag.
pub const CUSTOMER: u16 = 0x8100;
/// The EtherType of a provider's tag.
pub const SERVICE: u16 = 0x88a8;

// Offsets into the IKE header (RFC 7296 §3.1).
const SPI_R: usize = 8;
const VERSION: usize = 17;
const EXCHANGE: usize = 18;
const FLAGS: usize = 19;
const MESSAGE_ID: usize = 20;
const LENGTH: usize = 24;

/// A frame with a name, and what must become of it.
pub struct Row {
    /// What it is about.
    pub name: &'static str,
    /// What comes.
    pub packet: Packet,
    /// What becomes of it.
    pub verdict: Verdict,
}

const fn row(name: &'static str, packet: Packet, verdict: Verdict) -> Row {
    Row {
        name,
        packet,
        verdict,
    }
}

/// Every row, with what becomes of it under a configuration of [`configs`](super::configs).
#[must_use]
pub fn table(config: Config) -> Vec<Row> {
    let parts = [
        link(),
        ipv4(),
        ipv6(),
        ipv6_fragments(),
        udp(),
        nat(),
        ike(),
        ikev1(config),
    ];
    parts.into_iter().flatten().collect()
}

/// From a stranger, to this port of the gateway.
#[must_use]
pub fn v4(port: u16) -> Packet {
    Packet::new(PEER_V4.into(), OURS_V4.into(), port)
}

/// The same, in the other family.
#[must_use]
pub fn v6(port: u16) -> Packet {
    Packet::new(PEER_V6.into(), OURS_V6.into(), port)
}

/// An IKE_SA_INIT request of 128 octets.
#[must_use]
pub fn init() -> Vec<u8> {
    packet::ike_sa_init(128)
}

/// The same, as it travels on port 4500.
#[must_use]
pub fn marked() -> Vec<u8> {
    packet::marked(128)
}

/// ESP as it travels on port 4500: an SPI, a sequence number, ciphertext.
fn esp() -> Vec<u8> {
    let header = vec![0xc0, 0xff, 0xee, 0x01, 0, 0, 0, 9];
    [header, vec![0x5a; 96]].concat()
}

fn link() -> Vec<Row> {
    let ike = || v4(500).carrying(init());
    let ike6 = || v6(500).carrying(init());
    let nat = || v4(4500).carrying(marked());
    let ether_type = |value: u16| ike().link(12, value.to_be_bytes());
    vec![
        row("IKE over IPv4", ike(), RedirectIke),
        row("IKE over IPv6", ike6(), RedirectIke),
        row("802.1Q", ike().tag(CUSTOMER), RedirectIke),
        row("802.1Q, IPv6", ike6().tag(CUSTOMER), RedirectIke),
        row("802.1Q, 4500", nat().tag(CUSTOMER), RedirectIkeNat),
        row("802.1ad", ike().tag(SERVICE), RedirectIke),
        row("QinQ", ike().tag(SERVICE).tag(CUSTOMER), RedirectIke),
        row("QinQ, IPv6", ike6().tag(SERVICE).tag(CUSTOMER), RedirectIke),
        row(
            "QinQ, 4500",
            nat().tag(SERVICE).tag(CUSTOMER),
            RedirectIkeNat,
        ),
        row("two 802.1Q", ike().tag(CUSTOMER).tag(CUSTOMER), RedirectIke),
        row(
            "three tags",
            ike().tag(SERVICE).tag(CUSTOMER).tag(CUSTOMER),
            PassVlanDepth,
        ),
        row("ARP", ether_type(0x0806), PassNotIp),
        row("802.3 length", ether_type(0x0040), PassNotIp),
        row("old QinQ", ether_type(0x9100), PassNotIp),
        row(
            "tagged ARP",
            ike().tag(CUSTOMER).link(16, [8, 6]),
            PassNotIp,
        ),
        row("to broadcast", ike().link(0, [0xff; 6]), PassMartian),
        row("to multicast", ike().link(0, [0x01]), PassMartian),
        row("from a group", ike().link(6, [0x03]), PassMartian),
    ]
}

fn ipv4() -> Vec<Row> {
    let ike = || v4(500).carrying(init());
    let nat = || v4(4500).carrying(marked());
    let esp = || v4(4500).carrying(esp());
    let from = |source: [u8; 4]| ike().ip(12, source);
    let to = |destination: [u8; 4]| ike().ip(16, destination);
    let total = |length: u16| ike().ip(2, length.to_be_bytes());
    let dns = || v4(53).carrying(init());
    vec![
        row(
            "IPv4 that says IPv6",
            ike().link(12, [0x86, 0xdd]),
            PassNotIp,
        ),
        row("IP version 5", ike().ip(0, [0x55]), PassNotIp),
        row("header too short", ike().ip(0, [0x44]), PassIpOptions),
        row(
            "router alert",
            ike().options([0x94, 4, 0, 0]),
            PassIpOptions,
        ),
        row("all the options", ike().options([1; 40]), PassIpOptions),
        row("options, ESP", esp().options([1; 4]), PassIpOptions),
        row("TCP", ike().ip(9, [6]), PassNotUdp),
        row("ESP without UDP", ike().ip(9, [50]), PassNotUdp),
        row("options, TCP", ike().options([1; 4]).ip(9, [6]), PassNotUdp),
        row("don't fragment", ike().ip(6, [0x40, 0]), RedirectIke),
        row("reserved flag", ike().ip(6, [0x80, 0]), RedirectIke),
        row("first fragment", ike().ip(6, [0x20, 0]), PassFirstFragment),
        row(
            "first fragment, 4500",
            nat().ip(6, [0x20, 0]),
            PassFirstFragment,
        ),
        row("first fragment, ESP", esp().ip(6, [0x20, 0]), PassEsp),
        row("first fragment, DNS", dns().ip(6, [0x20, 0]), PassOtherPort),
        row(
            "first fragment, transit",
            to([8; 4]).ip(6, [0x20, 0]),
            PassTransit,
        ),
        row("last fragment", ike().ip(6, [0, 0x10]), PassFragment),
        row("middle fragment", ike().ip(6, [0x20, 0x10]), PassFragment),
        row("furthest fragment", ike().ip(6, [0x1f, 0xff]), PassFragment),
        row(
            "last fragment, TCP",
            ike().ip(6, [0, 0x10]).ip(9, [6]),
            PassNotUdp,
        ),
        row("transit", to([192, 0, 2, 2]), PassTransit),
        row("to broadcast address", to([255; 4]), PassTransit),
        row("to multicast address", to([224, 0, 0, 1]), PassTransit),
        row("from 0.0.0.0", from([0; 4]), PassMartian),
        row("from this network", from([0, 1, 2, 3]), PassMartian),
        row("from loopback", from([127, 0, 0, 1]), PassMartian),
        row(
            "from below multicast",
            from([223, 255, 255, 255]),
            RedirectIke,
        ),
        row("from multicast", from([224, 0, 0, 1]), PassMartian),
        row("from class E", from([240, 0, 0, 1]), PassMartian),
        row("from broadcast", from([255; 4]), PassMartian),
        row("total length too large", total(157), PassTruncated),
        row("total length too small", total(155), DropUdpLength),
        row("total length of nothing", total(20), DropUdpLength),
        row("total length absurd", total(19), PassTruncated),
        row("wrong header checksum", ike().ip(10, [0, 0]), RedirectIke),
    ]
}

fn ipv6() -> Vec<Row> {
    let ike = || v6(500).carrying(init());
    let esp = || v6(4500).carrying(esp());
    let from = |source| ike().ip(8, v6_octets(source));
    let to = |destination| ike().ip(24, v6_octets(destination));
    let header = |number| ike().extension(number, [17, 0, 1, 4, 0, 0, 0, 0]);
    let length = |length: u16| ike().ip(4, length.to_be_bytes());
    vec![
        row("IPv6 that says IPv4", ike().link(12, [8, 0]), PassNotIp),
        row("IP version 7", ike().ip(0, [0x70]), PassNotIp),
        row(
            "class and flow label",
            ike().ip(0, [0x6f, 0xff, 0xff, 0xff]),
            RedirectIke,
        ),
        row("TCP, IPv6", ike().ip(6, [6]), PassNotUdp),
        row("ICMPv6", ike().ip(6, [58]), PassNotUdp),
        row("ESP without UDP, IPv6", ike().ip(6, [50]), PassNotUdp),
        row("no next header", ike().ip(6, [59]), PassNotUdp),
        row("hop-by-hop options", header(0), PassExtensionHeader),
        row("routing header", header(43), PassExtensionHeader),
        row("authentication header", header(51), PassExtensionHeader),
        row("destination options", header(60), PassExtensionHeader),
        row("mobility header", header(135), PassExtensionHeader),
        row("HIP", header(139), PassExtensionHeader),
        row("shim6", header(140), PassExtensionHeader),
        row("transit, IPv6", to("2001:db8::2"), PassTransit),
        row("transit, other prefix", to("2001:db8:1::1"), PassTransit),
        row("from ::", from("::"), PassMartian),
        row("from ::1", from("::1"), PassMartian),
        row(
            "from a mapped address",
            from("::ffff:198.51.100.2"),
            PassMartian,
        ),
        row("from multicast, IPv6", from("ff02::1"), PassMartian),
        row("from link-local", from("fe80::2"), PassLinkLocal),
        row("from the end of link-local", from("febf::2"), PassLinkLocal),
        row("from site-local", from("fec0::2"), RedirectIke),
        row("from unique local", from("fd00::2"), RedirectIke),
        row("no checksum, IPv6", ike().udp(6, [0, 0]), PassNoChecksum),
        row("no checksum, ESP, IPv6", esp().udp(6, [0, 0]), PassEsp),
        row("payload length too large", length(137), PassTruncated),
        row("payload length too small", length(135), DropUdpLength),
        row("payload length zero", length(0), DropUdpLength),
    ]
}

fn ipv6_fragments() -> Vec<Row> {
    // Next header, reserved, offset and more fragments, identification.
    let fragment = |next, offset| [next, 0, 0, offset, 0, 0, 0, 1];
    let of = |packet: Packet, offset| packet.extension(44, fragment(17, offset));
    let ike = || v6(500).carrying(init());
    let nat = v6(4500).carrying(marked());
    let esp = v6(4500).carrying(esp());
    let dns = v6(53).carrying(init());
    let transit = ike().ip(24, v6_octets("2001:db8::2"));
    let martian = ike().ip(8, v6_octets("ff02::1"));
    let local = ike().ip(8, v6_octets("fe80::2"));
    let options = ike().extension(44, fragment(60, 1));
    vec![
        row("first fragment, IPv6", of(ike(), 1), PassFirstFragment),
        row("first fragment, 4500, IPv6", of(nat, 1), PassFirstFragment),
        row("first fragment, ESP, IPv6", of(esp, 1), PassEsp),
        row("first fragment, DNS, IPv6", of(dns, 1), PassOtherPort),
        row("first fragment, transit, IPv6", of(transit, 1), PassTransit),
        row("first fragment, martian", of(martian, 1), PassMartian),
        row("first fragment, link-local", of(local, 1), PassLinkLocal),
        row("last fragment, IPv6", of(ike(), 8), PassFragment),
        row("middle fragment, IPv6", of(ike(), 9), PassFragment),
        row("atomic fragment", of(ike(), 0), PassExtensionHeader),
        row(
            "fragment, TCP",
            ike().extension(44, fragment(6, 1)),
            PassNotUdp,
        ),
        row("fragment, options", options, PassExtensionHeader),
    ]
}

fn v6_octets(address: &str) -> [u8; 16] {
    address.parse::<Ipv6Addr>().unwrap().octets()
}

fn udp() -> Vec<Row> {
    let ike = || v4(500).carrying(init());
    let length = |length: u16| ike().udp(4, length.to_be_bytes());
    let with_trailer = v4(500).carrying([init(), vec![0; 9]].concat());
    vec![
        row("another port", v4(501).carrying(init()), PassOtherPort),
        row(
            "another port, IPv6",
            v6(4501).carrying(init()),
            PassOtherPort,
        ),
        row(
            "from 500 to another",
            v4(4000).from_port(500),
            PassOtherPort,
        ),
        row("from 500 to 500", ike().from_port(500), RedirectIke),
        row("from port 0", ike().from_port(0), PassMartian),
        row("no checksum, IPv4", ike().udp(6, [0, 0]), RedirectIke),
        row("wrong checksum", ike().udp(6, [0x12, 0x34]), RedirectIke),
        row("padded", ike().padded(40), RedirectIke),
        row(
            "padded, IPv6",
            v6(500).carrying(init()).padded(40),
            RedirectIke,
        ),
        row("UDP length zero", length(0), DropUdpLength),
        row("UDP length below the header", length(7), DropUdpLength),
        row("UDP length beyond the packet", length(137), DropUdpLength),
        row(
            "UDP length into padding",
            length(137).padded(10),
            DropUdpLength,
        ),
        row("UDP length within the packet", length(135), DropLength),
        row(
            "trailer after UDP",
            with_trailer.udp(4, [0, 136]),
            RedirectIke,
        ),
        row("empty, 500", v4(500), DropShort),
    ]
}

fn nat() -> Vec<Row> {
    let nat = |payload: &[u8]| v4(4500).carrying(payload);
    let nat6 = |payload: &[u8]| v6(4500).carrying(payload);
    let wrong = nat(&marked()).payload(4 + LENGTH, 132_u32.to_be_bytes());
    vec![
        row("IKE, 4500", nat(&marked()), RedirectIkeNat),
        row("IKE, 4500, IPv6", nat6(&marked()), RedirectIkeNat),
        row("IKE without a marker", nat(&init()), PassEsp),
        row("length with the marker", wrong, DropLength),
        row("ESP", nat(&esp()), PassEsp),
        row("ESP, IPv6", nat6(&esp()), PassEsp),
        row("ESP, transit", nat(&esp()).ip(16, [8; 4]), PassEsp),
        row("ESP, martian", nat(&esp()).ip(12, [0; 4]), PassEsp),
        row("four octets", nat(&[0, 0, 0, 1]), PassEsp),
        row("keepalive", nat(&[0xff]), DropKeepalive),
        row("keepalive, IPv6", nat6(&[0xff]), DropKeepalive),
        row("keepalive, padded", nat(&[0xff]).padded(17), DropKeepalive),
        row(
            "keepalive, transit",
            nat(&[0xff]).ip(16, [8; 4]),
            PassTransit,
        ),
        row("keepalive, 500", v4(500).carrying([0xff]), DropShort),
        row("empty, 4500", nat(&[]), DropKeepalive),
        row("empty, 4500, padded", nat(&[]).padded(18), DropKeepalive),
        row("one octet", nat(&[0xfe]), DropShort),
        row("two octets", nat(&[0xff; 2]), DropShort),
        row(
            "three octets, padded",
            nat(&[0xff; 3]).padded(15),
            DropShort,
        ),
        row("a marker and nothing", nat(&[0; 4]), DropShort),
        row("a marker and 27 octets", nat(&[0; 31]), DropShort),
    ]
}

fn ike() -> Vec<Row> {
    let edit = |offset, octets: &[u8]| v4(500).carrying(init()).payload(offset, octets);
    let length = |length: u32| edit(LENGTH, &length.to_be_bytes());
    let exchange = |exchange| edit(EXCHANGE, &[exchange]);
    let response = |offset, octets: &[u8]| edit(FLAGS, &[0x20]).payload(offset, octets);
    let header = v4(500).carrying(&init()[..28]);
    let noise = edit(0, &[0; 8]).payload(VERSION, [0xff; 7]);
    vec![
        row("27 octets", v4(500).carrying(&init()[..27]), DropShort),
        row(
            "only a header",
            header.payload(LENGTH, [0, 0, 0, 28]),
            RedirectIke,
        ),
        row("length too small", length(127), DropLength),
        row("length too large", length(129), DropLength),
        row("length modulo 2^16", length(128 + 0x1_0000), DropLength),
        row("IKEv0", edit(VERSION, &[0x0f]), DropVersion),
        row("IKEv2.15", edit(VERSION, &[0x2f]), RedirectIke),
        row("IKEv3", edit(VERSION, &[0x30]), RedirectVersion),
        row("IKEv15, all else unknown", noise, RedirectVersion),
        row(
            "IKEv3, wrong length",
            length(127).payload(VERSION, [0x30]),
            DropLength,
        ),
        row("no initiator SPI", edit(0, &[0; 8]), DropInitiatorSpi),
        row(
            "initiator SPI of one bit",
            edit(0, &[0, 0, 0, 0, 0, 0, 0, 1]),
            RedirectIke,
        ),
        row("exchange 33", exchange(33), DropExchange),
        row("IKE_AUTH", exchange(35), RedirectIke),
        row(
            "IKE_AUTH 1",
            exchange(35).payload(MESSAGE_ID, [0, 0, 0, 1]),
            RedirectIke,
        ),
        row(
            "IKE_AUTH to an SPI",
            exchange(35).payload(SPI_R, [9; 8]),
            RedirectIke,
        ),
        row("CREATE_CHILD_SA", exchange(36), RedirectIke),
        row("INFORMATIONAL", exchange(37), RedirectIke),
        row("IKE_SESSION_RESUME", exchange(38), DropExchange),
        row("exchange 42", exchange(42), DropExchange),
        row("IKE_INTERMEDIATE", exchange(43), RedirectIke),
        row("IKE_FOLLOWUP_KE", exchange(44), RedirectIke),
        row("exchange 45", exchange(45), DropExchange),
        row("request 1", edit(MESSAGE_ID, &[0, 0, 0, 1]), DropMessageId),
        row(
            "request 2^31",
            edit(MESSAGE_ID, &[0x80, 0, 0, 0]),
            DropMessageId,
        ),
        row("request to an SPI", edit(SPI_R + 7, &[1]), DropResponderSpi),
        row("response", response(SPI_R, &[9; 8]), RedirectIke),
        row(
            "response without an SPI",
            response(SPI_R, &[0; 8]),
            RedirectIke,
        ),
        row(
            "response 1",
            response(MESSAGE_ID, &[0, 0, 0, 1]),
            RedirectIke,
        ),
    ]
}

fn ikev1(config: Config) -> Vec<Row> {
    let ike = v4(500).carrying(init()).payload(VERSION, [0x10]);
    let nat = v4(4500).carrying(marked()).payload(4 + VERSION, [0x10]);
    let wrong = ike.clone().payload(LENGTH, [0; 4]);
    let verdict = if config.drop_ikev1 {
        DropIkev1
    } else {
        PassIkev1
    };
    vec![
        row("IKEv1", ike, verdict),
        row("IKEv1, 4500", nat, verdict),
        row("IKEv1, wrong length", wrong, DropLength),
    ]
}
