use super::*;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice, VlanId};

const US: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const MTU: u32 = 1500;

/// An IKE_AUTH message of so many octets.
fn message(length: u8) -> Vec<u8> {
    let mut message: Vec<u8> = (1..=length).collect();
    message[17..20].copy_from_slice(&[0x20, 35, 0x08]);
    message[24..28].copy_from_slice(&[0, 0, 0, length]);
    message
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    is_v4: bool,
    tags: usize,
    port: u16,
}

/// Every kind of headers.
fn flows() -> Vec<Flow> {
    let mut flows = Vec::new();
    for is_v4 in [true, false] {
        for tags in 0..=2 {
            for port in [500, 4500] {
                flows.push(Flow { is_v4, tags, port });
            }
        }
    }
    flows
}

/// A frame from the peer, with all that a reply must not echo.
fn request(flow: Flow) -> Vec<u8> {
    let Flow { is_v4, tags, port } = flow;
    let link = PacketBuilder::ethernet2(PEER, US);
    let id = |id| VlanId::try_new(id).unwrap();
    let marker = if port == 4500 { 4 } else { 0 };
    let payload = [vec![0; marker], message(60)].concat();
    let network = match (is_v4, tags) {
        (true, 0) => link.ipv4([192, 0, 2, 2], [192, 0, 2, 1], 7),
        (true, 1) => link
            .single_vlan(id(5))
            .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 7),
        (true, _) => link
            .double_vlan(id(6), id(5))
            .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 7),
        (false, 0) => link.ipv6(octets("2001:db8::2"), octets("2001:db8::1"), 7),
        (false, 1) => link
            .single_vlan(id(5))
            .ipv6(octets("2001:db8::2"), octets("2001:db8::1"), 7),
        (false, _) => {
            link.double_vlan(id(6), id(5))
                .ipv6(octets("2001:db8::2"), octets("2001:db8::1"), 7)
        }
    };
    let mut frame = Vec::new();
    network.udp(port, port).write(&mut frame, &payload).unwrap();
    let l3 = 14 + 4 * tags;
    if is_v4 {
        frame[l3 + 1] = 0xbb;
    } else {
        frame[l3..l3 + 4].copy_from_slice(&[0x6b, 0xb1, 0x23, 0x45]);
    }
    // Ethernet padding.
    frame.extend([0xee; 9]);
    frame
}

fn octets(address: &str) -> [u8; 16] {
    address.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

fn reply(flow: Flow, message: &[u8]) -> Vec<u8> {
    let reply = Request::parse(&request(flow), MTU).unwrap().reply;
    let mut frame = vec![0xdd; reply.frame_len(message).unwrap()];
    reply.write(message, 0x1234, &mut frame).unwrap();
    frame
}

#[test]
fn a_request_is_taken_apart() {
    for flow in flows() {
        let frame = request(flow);
        let request = Request::parse(&frame, MTU).unwrap();
        let end = |v4: &str, v6: &str| -> SocketAddr {
            let address = if flow.is_v4 { v4 } else { v6 };
            SocketAddr::new(address.parse().unwrap(), flow.port)
        };
        let path = Path {
            local: end("192.0.2.1", "2001:db8::1"),
            remote: end("192.0.2.2", "2001:db8::2"),
            marker: flow.port == 4500,
        };
        assert_eq!(request.path, path, "{flow:?}");
        assert_eq!(frame[request.message], message(60), "{flow:?}");
    }
}

#[test]
fn a_frame_that_is_not_for_us_is_refused() {
    let mut frame = request(Flow {
        is_v4: true,
        tags: 0,
        port: 500,
    });
    frame[37] = 53;
    let verdict = Request::parse(&frame, MTU).err();
    assert_eq!(verdict, Some(Verdict::PassOtherPort));
}

/// Of many clients with one gateway, the first to hear of it knows the way for all.
#[test]
fn headers_serve_other_addresses_of_ours() {
    for flow in flows() {
        let reply = Request::parse(&request(flow), MTU).unwrap().reply;
        let [v4, v6]: [IpAddr; 2] = ["192.0.2.77", "2001:db8::77"].map(|it| it.parse().unwrap());
        let (ours, others) = if flow.is_v4 { (v4, v6) } else { (v6, v4) };
        assert!(reply.from(others).is_none());
        let reply = reply.from(ours).unwrap();
        let mut frame = vec![0xdd; reply.frame_len(&message(60)).unwrap()];
        reply.write(&message(60), 7, &mut frame).unwrap();
        let back = Request::parse(&frame, MTU).unwrap();
        assert_eq!(back.path.remote, SocketAddr::new(ours, flow.port));
        assert_eq!(frame[back.message], message(60), "{flow:?}");
        // With checksums that are right.
        let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
        let (Some(NetSlice::Ipv4(_) | NetSlice::Ipv6(_)), Some(TransportSlice::Udp(udp))) =
            (&parsed.net, &parsed.transport)
        else {
            panic!("{flow:?}");
        };
        let checksum = match &parsed.net {
            Some(NetSlice::Ipv4(ip)) => udp
                .to_header()
                .calc_checksum_ipv4(&ip.header().to_header(), udp.payload()),
            Some(NetSlice::Ipv6(ip)) => udp
                .to_header()
                .calc_checksum_ipv6(&ip.header().to_header(), udp.payload()),
            _ => panic!("{flow:?}"),
        };
        assert_eq!(udp.checksum(), checksum.unwrap(), "{flow:?}");
    }
}

#[test]
fn a_reply_is_a_request_the_other_way() {
    for flow in flows() {
        for length in [28, 29, 60, 255] {
            let there = Request::parse(&request(flow), MTU).unwrap().path;
            let frame = reply(flow, &message(length));
            let back = Request::parse(&frame, MTU).unwrap();
            assert_eq!(back.path.local, there.remote, "{flow:?}");
            assert_eq!(back.path.remote, there.local, "{flow:?}");
            assert_eq!(frame[back.message], message(length), "{flow:?}");
            assert_eq!((&frame[..6], &frame[6..12]), (&PEER[..], &US[..]));
            let tags = ..14 + 4 * flow.tags;
            assert_eq!(frame[tags][12..], request(flow)[tags][12..], "{flow:?}");
        }
    }
}

#[test]
fn the_headers_of_a_reply_are_right() {
    for flow in flows() {
        // Odd and even, and no multiple of anything.
        for length in 28..=67 {
            let frame = reply(flow, &message(length));
            check_headers(&frame);
        }
    }
}

fn check_headers(frame: &[u8]) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(TransportSlice::Udp(udp)) = packet.transport else {
        panic!("no UDP")
    };
    assert_eq!(udp.slice().len(), usize::from(udp.length()));
    let header = udp.to_header();
    let checksum = match packet.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let ip = ip.header().to_header();
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            assert!(ip.dont_fragment && !ip.more_fragments);
            assert_eq!((ip.dscp.value(), ip.ecn.value()), (0, 0));
            assert_eq!((ip.time_to_live, ip.identification), (64, 0x1234));
            header.calc_checksum_ipv4(&ip, udp.payload())
        }
        NetSlice::Ipv6(ip) => {
            let ip = ip.header().to_header();
            assert_eq!((ip.traffic_class, ip.flow_label.value()), (0, 0));
            assert_eq!(ip.hop_limit, 64);
            header.calc_checksum_ipv6(&ip, udp.payload())
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert_eq!(udp.checksum(), checksum.unwrap());
}

#[test]
fn a_checksum_of_zero_is_sent_as_ones() {
    for flow in flows() {
        let mut message = message(60);
        message[58..].fill(0);
        let frame = reply(flow, &message);
        let checksum = 14 + 4 * flow.tags + if flow.is_v4 { 26 } else { 46 };
        // What is missing to a sum of all ones, where nothing was before.
        message[58..].copy_from_slice(&frame[checksum..checksum + 2]);
        let frame = reply(flow, &message);
        assert_eq!(frame[checksum..checksum + 2], [0xff; 2], "{flow:?}");
    }
}

#[test]
fn a_reply_can_ride_in_the_frame_that_asked() {
    for flow in flows() {
        let mut frame = request(flow);
        let request = Request::parse(&frame, MTU).unwrap();
        let message = message(40);
        let octets = request.reply.frame_len(&message).unwrap();
        request.reply.write(&message, 0x1234, &mut frame).unwrap();
        assert_eq!(frame[..octets], reply(flow, &message), "{flow:?}");
    }
}

#[test]
fn a_reply_that_does_not_fit_is_refused() {
    let flow = Flow {
        is_v4: false,
        tags: 1,
        port: 4500,
    };
    let reply = Request::parse(&request(flow), 1280).unwrap().reply;
    let longest = vec![0; 1280 - 40 - 8 - 4];
    let octets = reply.frame_len(&longest).unwrap();
    assert_eq!(octets, 18 + 1280);
    reply.write(&longest, 0, &mut vec![0; octets]).unwrap();
    let max = octets - 1;
    let refused = reply.write(&longest, 0, &mut vec![0; max]);
    assert_eq!(refused, Err(TooLong { octets, max }));
    let longer = [longest, vec![0]].concat();
    let refused = reply.frame_len(&longer);
    assert_eq!(
        refused,
        Err(TooLong {
            octets: octets + 1,
            max: octets
        })
    );
}
