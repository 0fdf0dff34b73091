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

    /// The headers of messages that go the same way from another address of ours;
    /// `None` if it is of another family.
    #[must_use]
    pub fn from(&self, local: IpAddr) -> Option<Self> {
        let mut other = self.clone();
        let l3 = self.located.l3;
        match (local, is_ipv4(self.located)) {
            (IpAddr::V4(local), true) => {
                store(&mut other.headers, l3, ipv4::SOURCE, local.octets())?;
            }
            (IpAddr::V6(local), false) => {
                store(&mut other.headers, l3, ipv6::SOURCE, local.octets())?;
            }
            _ => return None,
        }
        Some(other)
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
mod tests;
