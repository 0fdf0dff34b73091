//! Options of the sockets that IKE takes.

use std::os::fd::AsFd;

use nix::Result;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use super::Socket;
use crate::socket_option::set;

/// Lets the kernel take ESP out of UDP before it gets to us (RFC 3948). NAT
/// keepalives end there as well.
pub(super) fn set_esp_in_udp(socket: &Socket) -> Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_ENCAP, UDP_ENCAP_ESPINUDP)
}

/// Lets the kernel fragment what it sends, or has it set Don't Fragment and
/// refuse what the link does not carry. What it believes of the path counts in
/// neither case: anybody can forge the ICMP messages it believes.
pub(super) fn set_fragmentation(socket: &Socket, allowed: bool) -> Result<()> {
    set_fragmentation_of(socket, socket.local.is_ipv4(), allowed)
}

/// The same for any socket of a family.
pub(crate) fn set_fragmentation_of(socket: &impl AsFd, is_ipv4: bool, allowed: bool) -> Result<()> {
    if is_ipv4 {
        let discovery = if allowed {
            libc::IP_PMTUDISC_DONT
        } else {
            libc::IP_PMTUDISC_PROBE
        };
        return set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discovery);
    }
    let discovery = if allowed {
        libc::IPV6_PMTUDISC_DONT
    } else {
        libc::IPV6_PMTUDISC_PROBE
    };
    set(
        socket,
        libc::IPPROTO_IPV6,
        libc::IPV6_MTU_DISCOVER,
        discovery,
    )?;
    setsockopt(socket, sockopt::Ipv6DontFrag, &!allowed)
}

/// `linux/udp.h`: as opposed to the draft that RFC 3948 replaced.
const UDP_ENCAP_ESPINUDP: libc::c_int = 2;
