//! Ethernet, IP and UDP around an IKE message: off a request, onto its replies.
//!
//! ```text
//! | Ethernet, VLAN tags | IPv4 or IPv6 | UDP | marker on 4500 | message |
//! 0                     l3             l4                     ike
//! ```
//!
//! A reply goes back the way its request came, by the same headers with their
//! ends exchanged, so it needs neither a route nor a neighbour. Else they are
//! what the kernel's UDP sockets would write, for a reply may go either way:
//! ECN is not echoed, and neither is DSCP, which was a wish of the sender's and
//! may have been rewritten on its path.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use ikexdp_common::checksum::{checksum, sum, udp_checksum};
use ikexdp_common::classify::{Gateway, Load, Located, locate};
use ikexdp_common::header::{ethernet, ike, ipv4, ipv6, udp};
use ikexdp_common::verdict::Verdict;
use ikexdp_proto::types::Path;

/// Octets of the longest headers: two VLAN tags, IPv6, and the marker.
const HEADERS_MAX: usize =
    ethernet::LEN + 2 * ethernet::TAG_LEN + ipv6::LEN + udp::LEN + ike::MARKER_LEN;

/// Time to live and hop limit of what we send.
const HOPS: u8 = 64;

/// A frame that was redirected to us.
#[derive(Clone, Debug)]
pub struct Request {
    /// The UDP flow it is of.
    pub path: Path,
    /// Where in the frame the IKE message is.
    pub message: Range<usize>,
    /// How to answer it.
    pub reply: Reply,
}

impl Request {
    /// Takes apart a frame from an interface of this MTU.
    ///
    /// # Errors
    ///
    /// What the classifier says of a frame that it would not have redirected.
    pub fn parse(frame: &[u8], mtu: u32) -> Result<Self, Verdict> {
        let located = locate(frame, &Anywhere)?;
        // The classifier has read all of these.
        let end = |is_source| socket_address(frame, located, is_source);
        let (Some(remote), Some(local)) = (end(true), end(false)) else {
            return Err(Verdict::PassTruncated);
        };
        let path = Path {
            local,
            remote,
            marker: local.port() == ike::NAT_PORT,
        };
        let reply = Reply::to(frame, located, mtu).ok_or(Verdict::PassTruncated)?;
        let message = located.ike..located.ike.saturating_add(located.length);
        Ok(Self {
            path,
            message,
            reply,
        })
    }
}

/// The program has compared the addresses, and the policy for IKEv1 is its own.
struct Anywhere;

impl Gateway for Anywhere {
    fn owns_v4(&self, _: u32) -> bool {
        true
    }

    fn owns_v6(&self, _: u128) -> bool {
        true
    }

    fn drops_ikev1(&self) -> bool {
        false
    }
}

fn is_ipv4(Located { l3, l4, .. }: Located) -> bool {
    l4.saturating_sub(l3) == ipv4::LEN
}

fn socket_address(frame: &[u8], located: Located, is_source: bool) -> Option<SocketAddr> {
    let (v4, v6, port) = if is_source {
        (ipv4::SOURCE, ipv6::SOURCE, udp::SOURCE)
    } else {
        (ipv4::DESTINATION, ipv6::DESTINATION, udp::DESTINATION)
    };
    let address = if is_ipv4(located) {
        IpAddr::from(frame.load::<4>(located.l3, v4)?)
    } else {
        IpAddr::from(frame.load::<16>(located.l3, v6)?)
    };
    let port = u16::from_be_bytes(frame.load(located.l4, port)?);
    Some(SocketAddr::new(address, port))
}

/// The headers of the replies to a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Lacks lengths, identification and checksums.
    headers: [u8; HEADERS_MAX],
    located: Located,
    /// Octets of the longest frame.
    frame_max: usize,
}

/// A reply does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too long for a frame of {max} octets: {octets}")]
pub struct TooLong {
    /// Octets there would be.
    pub octets: usize,
    /// Octets there may be.
    pub max: usize,
}

impl Reply {
    fn to(frame: &[u8], located: Located, mtu: u32) -> Option<Self> {
        let Located { l3, l4, ike, .. } = located;
        let mut headers = [0; HEADERS_MAX];
        headers.get_mut(..ike)?.copy_from_slice(frame.get(..ike)?);
        exchange::<6>(&mut headers, 0, ethernet::SOURCE, ethernet::DESTINATION)?;
        exchange::<2>(&mut headers, l4, udp::SOURCE, udp::DESTINATION)?;
        if is_ipv4(located) {
            exchange::<4>(&mut headers, l3, ipv4::SOURCE, ipv4::DESTINATION)?;
            store(&mut headers, l3, ipv4::DSCP_ECN, [0])?;
            let flags = ipv4::DONT_FRAGMENT.to_be_bytes();
            store(&mut headers, l3, ipv4::FRAGMENT, flags)?;
            store(&mut headers, l3, ipv4::TIME_TO_LIVE, [HOPS])?;
        } else {
            exchange::<16>(&mut headers, l3, ipv6::SOURCE, ipv6::DESTINATION)?;
            // No traffic class, no flow label.
            store(&mut headers, l3, ipv6::VERSION, [0x60, 0, 0, 0])?;
            store(&mut headers, l3, ipv6::HOP_LIMIT, [HOPS])?;
        }
        let packet_max = usize::from(u16::try_from(mtu).unwrap_or(u16::MAX));
        let frame_max = l3.saturating_add(packet_max);
        Some(Self {
            headers,
            located,
            frame_max,
        })
    }

    /// Octets of the frame that carries `message`.
    ///
    /// # Errors
    ///
    /// When it is more than the interface sends.
    pub fn frame_len(&self, message: &[u8]) -> Result<usize, TooLong> {
        let octets = self.located.ike.saturating_add(message.len());
        let max = self.frame_max;
        if octets > max {
            return Err(TooLong { octets, max });
        }
        Ok(octets)
    }

    /// Writes `message` with its headers to the start of `frame`: that of the
    /// request, or any other.
    ///
    /// `identification` is to differ between packets of a flow (RFC 6864).
    ///
    /// # Errors
    ///
    /// When `frame` is shorter than [`frame_len`](Self::frame_len).
    pub fn write(
        &self,
        message: &[u8],
        identification: u16,
        frame: &mut [u8],
    ) -> Result<(), TooLong> {
        let octets = self.frame_len(message)?;
        let too_long = TooLong {
            octets,
            max: frame.len(),
        };
        let frame = frame.get_mut(..octets).ok_or(too_long)?;
        self.fill(message, identification, frame).ok_or(too_long)
    }

    fn fill(&self, message: &[u8], identification: u16, frame: &mut [u8]) -> Option<()> {
        let Located { l3, l4, ike, .. } = self.located;
        let (headers, payload) = frame.split_at_mut_checked(ike)?;
        headers.copy_from_slice(self.headers.get(..ike)?);
        payload.copy_from_slice(message);

        let end = frame.len();
        let length = |start| u16::try_from(end.checked_sub(start)?).ok();
        let udp_length = length(l4)?.to_be_bytes();
        store(frame, l4, udp::LENGTH, udp_length)?;
        let addresses = if is_ipv4(self.located) {
            store(frame, l3, ipv4::TOTAL_LENGTH, length(l3)?.to_be_bytes())?;
            store(
                frame,
                l3,
                ipv4::IDENTIFICATION,
                identification.to_be_bytes(),
            )?;
            store(frame, l3, ipv4::CHECKSUM, [0; 2])?;
            let checksum = checksum(sum(frame.get(l3..l4)?));
            store(frame, l3, ipv4::CHECKSUM, checksum.to_be_bytes())?;
            ipv4::SOURCE
        } else {
            store(frame, l3, ipv6::PAYLOAD_LENGTH, udp_length)?;
            ipv6::SOURCE
        };
        store(frame, l4, udp::CHECKSUM, [0; 2])?;
        // The pseudo-header, and then all that follows the IP header. The
        // addresses end that header, so one run of octets has it all.
        let pseudo = u32::from(udp::NUMBER).saturating_add(length(l4)?.into());
        let covered = frame.get(l3.checked_add(addresses)?..)?;
        let checksum = udp_checksum(pseudo.saturating_add(sum(covered)));
        store(frame, l4, udp::CHECKSUM, checksum.to_be_bytes())
    }
}

fn exchange<const N: usize>(
    headers: &mut [u8],
    layer: usize,
    field: usize,
    other: usize,
) -> Option<()> {
    let octets: [u8; N] = headers.load(layer, field)?;
    let others: [u8; N] = headers.load(layer, other)?;
    store(headers, layer, field, others)?;
    store(headers, layer, other, octets)
}

fn store<const N: usize>(
    headers: &mut [u8],
    layer: usize,
    field: usize,
    octets: [u8; N],
) -> Option<()> {
    let start = layer.checked_add(field)?;
    *headers.get_mut(start..)?.first_chunk_mut()? = octets;
    Some(())
}

#[cfg(test)]
mod tests {
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
            (false, 1) => {
                link.single_vlan(id(5))
                    .ipv6(octets("2001:db8::2"), octets("2001:db8::1"), 7)
            }
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
}
