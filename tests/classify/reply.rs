//! The replies of the guard, as another reader of packets sees them.

use std::net::IpAddr;

use etherparse::{NetSlice, SlicedPacket, TransportSlice, UdpSlice};
use harness::frames::{Case, Here, cases, secrets};
use harness::packet::{CLIENT_MAC, GATEWAY_MAC, Packet};
use ikexdp_common::verdict::Action;

/// Source and destination.
fn ends(packet: &SlicedPacket<'_>) -> (IpAddr, IpAddr) {
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(slice) => {
            let header = slice.header();
            let from = header.source_addr().into();
            (from, header.destination_addr().into())
        }
        NetSlice::Ipv6(slice) => {
            let header = slice.header();
            let from = header.source_addr().into();
            (from, header.destination_addr().into())
        }
        NetSlice::Arp(_) => panic!("no ARP is answered"),
    }
}

/// The IP header has nothing of the request's but the addresses.
fn is_fresh(name: &str, packet: &SlicedPacket<'_>) {
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(slice) => {
            let header = slice.header().to_header();
            let fields = (header.dscp.value(), header.ecn.value(), header.time_to_live);
            assert_eq!(fields, (0, 0, 64), "{name}");
            assert_eq!(header.identification, 0, "{name}");
            assert!(header.dont_fragment && !header.more_fragments, "{name}");
            let checksum = header.calc_header_checksum();
            assert_eq!(header.header_checksum, checksum, "{name}");
        }
        NetSlice::Ipv6(slice) => {
            let header = slice.header();
            let (class, flow) = (header.traffic_class(), header.flow_label().value());
            assert_eq!((class, flow, header.hop_limit()), (0, 0, 64), "{name}");
        }
        NetSlice::Arp(_) => panic!("no ARP is answered"),
    }
}

/// Where the IP header begins.
fn l3(frame: &[u8]) -> usize {
    let is_tag = |at: usize| matches!(frame[at..at + 2], [0x81, 0] | [0x88, 0xa8]);
    let mut at = 12;
    while is_tag(at) {
        at += 4;
    }
    at + 2
}

/// The frame with other fields wherever the reply's are not the request's: priorities in
/// tags, and in the IP header all that says nothing about where it goes.
fn disguised(mut frame: Vec<u8>) -> Vec<u8> {
    let l3 = l3(&frame);
    for tag in (14..l3 - 2).step_by(4) {
        frame[tag] |= 0xe0;
        frame[tag + 1] = 0x5a;
    }
    if frame[l3] >> 4 == 4 {
        // DSCP and ECN; identification; may be fragmented; time to live.
        for (field, octet) in [(1, 0xff), (4, 0xbe), (5, 0xef), (6, 0), (8, 3)] {
            frame[l3 + field] = octet;
        }
    } else {
        // Traffic class and flow label; hop limit.
        for (field, octet) in [(0, 0x6f), (1, 0xff), (2, 0xff), (3, 0xff), (7, 3)] {
            frame[l3 + field] = octet;
        }
    }
    frame
}

fn udp<'a>(packet: &SlicedPacket<'a>) -> UdpSlice<'a> {
    match packet.transport.as_ref().unwrap() {
        TransportSlice::Udp(udp) => udp.clone(),
        other => panic!("{other:?}"),
    }
}

fn checksum(packet: &SlicedPacket<'_>) -> u16 {
    let udp = udp(packet);
    let header = udp.to_header();
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(slice) => {
            let header_v4 = slice.header().to_header();
            header
                .calc_checksum_ipv4(&header_v4, udp.payload())
                .unwrap()
        }
        NetSlice::Ipv6(slice) => {
            let header_v6 = slice.header().to_header();
            header
                .calc_checksum_ipv6(&header_v6, udp.payload())
                .unwrap()
        }
        NetSlice::Arp(_) => panic!("no ARP is answered"),
    }
}

/// Without what may lie behind the packet.
fn sliced(frame: &[u8]) -> SlicedPacket<'_> {
    SlicedPacket::from_ethernet(frame).unwrap()
}

/// The IKE message in a UDP payload.
fn message<'a>(udp: &UdpSlice<'a>, port: u16) -> &'a [u8] {
    match port {
        4500 => {
            let (marker, message) = udp.payload().split_at(4);
            assert_eq!(marker, [0; 4]);
            message
        }
        _ => udp.payload(),
    }
}

#[test]
fn a_challenge_goes_back_to_where_its_request_came_from() {
    let mut replies = 0;
    for Case { name, told, frames } in cases() {
        let here = Here::new(told);
        for (packet, verdict) in frames {
            let request = disguised(packet.build());
            let (_, reply) = here.judge(&request);
            if verdict.action() != Action::Reply {
                assert_eq!(reply, request, "{name}");
                continue;
            }
            replies += 1;
            assert!(reply.len() < request.len(), "{name}");
            check(name, &request, &reply);
            // Two gateways that take each other for clients have nothing to say.
            let (from, to) = ends(&sliced(&request));
            let sent = sliced(&reply);
            let sent = udp(&sent);
            let back = Packet::new(from, to, sent.source_port());
            let back = back.carrying(sent.payload()).build();
            let (verdict, _) = here.judge(&back);
            assert_eq!(verdict.action(), Action::Redirect, "{name}");
        }
    }
    assert!(replies > 30, "{replies}");
}

fn check(name: &str, request: &[u8], reply: &[u8]) {
    assert_eq!(
        (&reply[..6], &reply[6..12]),
        (&CLIENT_MAC[..], &GATEWAY_MAC[..])
    );
    let (asked, answer) = (sliced(request), sliced(reply));
    let l3 = l3(request);
    assert_eq!(reply[12..l3], request[12..l3], "{name}: tags");
    let (from, to) = ends(&asked);
    assert_eq!(ends(&answer), (to, from), "{name}");
    is_fresh(name, &answer);
    let (question, udp) = (udp(&asked), udp(&answer));
    let port = question.destination_port();
    assert_eq!(udp.source_port(), port, "{name}");
    assert_eq!(udp.destination_port(), question.source_port(), "{name}");
    assert_eq!(udp.checksum(), checksum(&answer), "{name}");

    let (question, answer) = (message(&question, port), message(&udp, port));
    // SPIs, notification, version 2.0, IKE_SA_INIT, response, message ID 0, length.
    assert_eq!(answer[..8], question[..8], "{name}");
    let rest = [
        0, 0, 0, 0, 0, 0, 0, 0, 41, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 45,
    ];
    assert_eq!(answer[8..28], rest, "{name}");
    assert_eq!(answer[28..36], [0, 0, 0, 17, 0, 0, 0x40, 0x06], "{name}");
    let spi = u64::from_be_bytes(*question.first_chunk().unwrap());
    let nonce = nonce(question);
    assert!(
        secrets().cookies.verify(&answer[36..], from, spi, nonce),
        "{name}"
    );
    assert_eq!(answer.len(), 45, "{name}");
}

/// The nonce data, found as a reader does who has time.
fn nonce(message: &[u8]) -> &[u8] {
    let (mut kind, mut rest) = (message[16], &message[28..]);
    loop {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if kind == 40 {
            return &rest[4..length];
        }
        (kind, rest) = (rest[0], &rest[length..]);
    }
}
