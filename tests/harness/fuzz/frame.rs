//! Frames, read by two readers.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use ikexdp::frame::Request;

/// Where there is a marker before a message (RFC 3948 §2.2).
const NAT_PORT: u16 = 4500;
const MARKER: [u8; 4] = [0; 4];
const MTU: u32 = 1500;

/// The octets are a frame: what is taken for IKE is where another reader finds it, and so is our
/// answer.
pub fn frame(octets: &[u8]) {
    let Ok(Request {
        path,
        message,
        reply,
    }) = Request::parse(octets, MTU)
    else {
        return;
    };
    let message = &octets[message];
    let marker: &[u8] = if path.local.port() == NAT_PORT {
        &MARKER
    } else {
        &[]
    };
    let payload = [marker, message].concat();
    let asked = Udp::read(octets);
    assert_eq!((asked.source, asked.destination), (path.remote, path.local));
    assert_eq!(asked.payload, payload);

    let mut frame = vec![0xaa; usize::from(u16::MAX)];
    let Ok(length) = reply.frame_len(message) else {
        assert!(payload.len() + 20 + 8 > MTU as usize);
        return;
    };
    reply
        .write(message, 7, &mut frame)
        .expect("there is room for every frame");
    let answered = Udp::read(&frame[..length]);
    assert_eq!(
        (answered.source, answered.destination),
        (path.local, path.remote)
    );
    assert_eq!(answered.payload, payload);
    assert_eq!(answered.checksum, answered.right_checksum);
}

/// What a frame holds.
struct Udp {
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
    checksum: u16,
    right_checksum: u16,
}

impl Udp {
    fn read(frame: &[u8]) -> Self {
        let packet = SlicedPacket::from_ethernet(frame).expect("headers that can be read");
        let (Some(net), Some(TransportSlice::Udp(udp))) = (packet.net, packet.transport) else {
            panic!("no UDP in {frame:02x?}");
        };
        let header = udp.to_header();
        let (source, destination, checksum): (IpAddr, IpAddr, _) = match net {
            NetSlice::Ipv4(ip) => {
                let ip = ip.header().to_header();
                (
                    ip.source.into(),
                    ip.destination.into(),
                    header.calc_checksum_ipv4(&ip, udp.payload()),
                )
            }
            NetSlice::Ipv6(ip) => {
                let ip = ip.header().to_header();
                (
                    ip.source.into(),
                    ip.destination.into(),
                    header.calc_checksum_ipv6(&ip, udp.payload()),
                )
            }
            NetSlice::Arp(_) => panic!("ARP is no UDP"),
        };
        Self {
            source: SocketAddr::new(source, udp.source_port()),
            destination: SocketAddr::new(destination, udp.destination_port()),
            payload: udp.payload().to_vec(),
            checksum: udp.checksum(),
            right_checksum: checksum.expect("a payload of a length that UDP can say"),
        }
    }
}
