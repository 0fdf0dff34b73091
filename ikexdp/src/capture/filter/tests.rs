//! The kernel runs the program, on a pair of Unix sockets: what is sent is the frame.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;

use etherparse::{
    Icmpv4Type, Icmpv6Type, IpFragOffset, IpNumber, Ipv4Header, PacketBuilder, icmpv4, icmpv6,
};

use super::*;

/// Octets of the frame that the program takes.
fn taken(link: Link, frame: &[u8]) -> usize {
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    let attached = SockRef::from(&receiver).attach_filter(&program(link));
    attached.unwrap();
    receiver.set_nonblocking(true).unwrap();
    sender.send(frame).unwrap();
    let mut buffer = vec![0; 70_000];
    match receiver.recv(&mut buffer) {
        Ok(length) => length,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            0
        }
    }
}

use socket2::SockRef;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Whole,
    /// So many octets of the IP packet.
    First(usize),
    Not,
}
use Taken::{First, Not, Whole};

const A: [u8; 4] = [192, 0, 2, 1];
const B: [u8; 4] = [198, 51, 100, 2];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn udp(v6: bool, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let ip = if v6 {
        PacketBuilder::ipv6([1; 16], [2; 16], 64)
    } else {
        PacketBuilder::ipv4(A, B, 64)
    };
    let mut packet = Vec::new();
    ip.udp(ports.0, ports.1)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

/// ESP with a sequence number, behind `head`.
fn esp(sequence: u32) -> Vec<u8> {
    let mut esp = vec![0xc0, 0xde, 0, 1];
    esp.extend(sequence.to_be_bytes());
    esp.resize(1000, 0xaa);
    esp
}

/// An IP packet of another protocol.
fn bare(v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let ip = if v6 {
        PacketBuilder::ipv6([1; 16], [2; 16], 64)
    } else {
        PacketBuilder::ipv4(A, B, 64)
    };
    let mut packet = Vec::new();
    ip.write(&mut packet, IpNumber(protocol), payload).unwrap();
    packet
}

/// An ICMP error of this type about a packet.
fn error(v6: bool, kind: u8, about: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    if v6 {
        let kind = Icmpv6Type::Unknown {
            type_u8: kind,
            code_u8: 0,
            bytes5to8: [0; 4],
        };
        let icmp = PacketBuilder::ipv6([3; 16], [1; 16], 64).icmpv6(kind);
        icmp.write(&mut packet, about).unwrap();
    } else {
        let kind = Icmpv4Type::Unknown {
            type_u8: kind,
            code_u8: 0,
            bytes5to8: [0; 4],
        };
        let icmp = PacketBuilder::ipv4([203, 0, 113, 1], A, 64).icmpv4(kind);
        icmp.write(&mut packet, about).unwrap();
    }
    packet
}

fn fragment(v6: bool, protocol: u8, offset: u8) -> Vec<u8> {
    if v6 {
        let more = u8::from(offset == 0);
        let mut payload = vec![protocol, 0, 0, offset << 3 | more, 0, 0, 0, 7];
        payload.extend([0xab; 100]);
        return bare(true, 44, &payload);
    }
    let mut header = Ipv4Header::new(100, 64, IpNumber(protocol), A, B).unwrap();
    header.more_fragments = offset == 0;
    header.fragment_offset = IpFragOffset::try_new(offset.into()).unwrap();
    let mut packet = Vec::new();
    header.write(&mut packet).unwrap();
    packet.extend([0xab; 100]);
    packet
}

/// IP packets by name, and what becomes of them.
fn packets() -> Vec<(String, Vec<u8>, Taken)> {
    let mut packets = Vec::new();
    for v6 in [false, true] {
        let family = if v6 { "IPv6" } else { "IPv4" };
        let mut row = |name: &str, packet: Vec<u8>, taken| {
            packets.push((format!("{name} over {family}"), packet, taken));
        };
        let ike = [&[0; 4][..], &[7; 1200]].concat();
        row("IKE to 500", udp(v6, (500, 500), &[7; 300]), Whole);
        row("IKE behind a NAT", udp(v6, (1025, 500), &[7; 300]), Whole);
        row("the answer", udp(v6, (500, 1025), &[7; 300]), Whole);
        row("IKE to 4500", udp(v6, (40_000, 4500), &ike), Whole);
        row("IKE from 4500", udp(v6, (4500, 40_000), &ike), Whole);
        row("a keepalive", udp(v6, (4500, 4500), &[0xff]), Not);
        row("nothing on 4500", udp(v6, (4500, 4500), &[]), Not);
        row("DNS", udp(v6, (53, 40_000), &[0; 300]), Not);
        let ip = if v6 { 40 } else { 20 };
        for (sequence, is_taken) in [(1, true), (ESP_PACKETS, true), (ESP_PACKETS + 1, false)] {
            let taken = |octets| if is_taken { First(octets) } else { Not };
            let esp = esp(sequence);
            let name = format!("ESP {sequence}");
            row(&name, bare(v6, 50, &esp), taken(ip + 8));
            let name = format!("ESP {sequence} in UDP");
            row(&name, udp(v6, (4500, 4500), &esp), taken(ip + 8 + 8));
        }
        for offset in [0, 9] {
            let name = format!("a fragment of UDP at {offset}");
            row(&name, fragment(v6, 17, offset), Whole);
            let name = format!("a fragment of ESP at {offset}");
            row(&name, fragment(v6, 50, offset), Not);
        }
        row("TCP", bare(v6, 6, &[1; 60]), Not);
        let kinds: [(u8, Taken); 3] = if v6 {
            [
                (icmpv6::TYPE_DST_UNREACH, Whole),
                (icmpv6::TYPE_PACKET_TOO_BIG, Whole),
                (icmpv6::TYPE_ECHO_REQUEST, Not),
            ]
        } else {
            [
                (icmpv4::TYPE_DEST_UNREACH, Whole),
                (icmpv4::TYPE_TIME_EXCEEDED, Whole),
                (icmpv4::TYPE_ECHO_REQUEST, Not),
            ]
        };
        for (kind, taken) in kinds {
            let about = udp(v6, (4500, 4500), &ike);
            row(&format!("ICMP {kind}"), error(v6, kind, &about), taken);
            let about = udp(v6, (40_000, 53), &ike);
            row(&format!("ICMP {kind} of DNS"), error(v6, kind, &about), Not);
            let about = fragment(v6, 17, 9);
            row(
                &format!("ICMP {kind} of a fragment"),
                error(v6, kind, &about),
                taken,
            );
        }
    }
    packets
}

fn ethernet(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let kind: u16 = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    let mut frame = [MAC, MAC].concat();
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 5]);
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(packet);
    frame
}

#[test]
fn the_kernel_takes_ike_and_no_traffic() {
    for (name, packet, expected) in packets() {
        let frames = [
            (Link::Ip, 0, packet.clone()),
            (Link::Ethernet, 14, ethernet(&[], &packet)),
            (Link::Ethernet, 18, ethernet(&[0x8100], &packet)),
            (Link::Ethernet, 22, ethernet(&[0x88a8, 0x8100], &packet)),
        ];
        for (link, start, frame) in frames {
            let expected = match expected {
                Whole => frame.len(),
                First(octets) => start + octets,
                Not => 0,
            };
            assert_eq!(taken(link, &frame), expected, "{name}, at {start}");
        }
        let deep = ethernet(&[0x8100, 0x8100, 0x8100], &packet);
        assert_eq!(taken(Link::Ethernet, &deep), 0, "{name}, too many tags");
    }
}

/// A frame may end anywhere.
#[test]
fn what_is_cut_short_is_not_taken() {
    let frame = ethernet(&[], &udp(false, (500, 500), &[7; 300]));
    for length in 0..14 + 20 + 4 {
        let cut = frame.get(1..=length).unwrap_or_default();
        assert_eq!(taken(Link::Ethernet, cut), 0, "{length}");
    }
}

#[test]
fn options_of_ipv4_are_stepped_over() {
    let mut packet = vec![0x46, 0, 0, 52, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend([A, B, [1, 1, 1, 1]].concat());
    packet.extend([1, 0xf4, 1, 0xf4, 0, 28, 0, 0]);
    packet.extend([7; 20]);
    assert_eq!(taken(Link::Ip, &packet), packet.len());
    // Where the ports would be without them.
    packet[20..24].copy_from_slice(&[1, 0xf4, 1, 0xf4]);
    packet[24..28].copy_from_slice(&[0, 53, 0, 53]);
    assert_eq!(taken(Link::Ip, &packet), 0);
    // Nothing behind the header of ESP, wherever that ends.
    packet[24..28].copy_from_slice(&[17, 148, 17, 148]);
    packet[32..40].copy_from_slice(&[7, 7, 7, 7, 0, 0, 0, 1]);
    assert_eq!(taken(Link::Ip, &packet), 24 + 8 + 8);
}

/// Else a jump would lead elsewhere.
#[test]
fn branches_are_short() {
    for link in [Link::Ethernet, Link::Ip] {
        let mut code = Assembler::default();
        match link {
            Link::Ethernet => code.ethernet(),
            Link::Ip => code.bare_ip(),
        }
        let mut number = 0_usize;
        let mut places = std::collections::BTreeMap::new();
        let mut branches = Vec::new();
        for step in &code.steps {
            match step {
                Step::Here(label) => {
                    places.insert(label.0, number);
                    continue;
                }
                Step::Branch(_, _, yes, no) => branches.push((number, [yes.0, no.0])),
                Step::Plain(..) | Step::Jump(_) => {}
            }
            number += 1;
        }
        for (number, targets) in branches {
            for target in targets {
                let distance = places[&target] - number - 1;
                assert!(u8::try_from(distance).is_ok(), "{number} to {target}");
            }
        }
    }
}
