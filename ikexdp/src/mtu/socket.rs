//! What the kernel is to do with datagrams that are too long, and what routers say of them.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use serde::Serialize;

use crate::udp::set_fragmentation_of;

/// Messages of routers that are read at a time; more of them say the same.
const MESSAGES_MAX: usize = 16;

/// What a router says of a datagram: so many octets would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TooBig {
    /// Who says so; this host itself if nobody.
    pub from: Option<IpAddr>,
    /// The MTU of the next link.
    pub mtu: u16,
}

/// Has the kernel tell what routers say.
///
/// # Errors
/// [`io::Error`] of the system.
pub(super) fn listen(socket: &UdpSocket, is_ipv4: bool) -> io::Result<()> {
    if is_ipv4 {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
    }
    Ok(())
}

/// Sets Don't Fragment, or lets the kernel and routers fragment.
///
/// # Errors
/// [`io::Error`] of the system.
pub(super) fn fragment(socket: &UdpSocket, is_ipv4: bool, allowed: bool) -> io::Result<()> {
    Ok(set_fragmentation_of(socket, is_ipv4, allowed)?)
}

/// What has been said of datagrams that were too long, since it was asked last.
pub(super) fn too_big(socket: &UdpSocket) -> Vec<TooBig> {
    let mut said = Vec::new();
    // Errors of other kinds are read as well, so that none is left in the way.
    for _ in 0..MESSAGES_MAX {
        match read(socket) {
            Some(Some(message)) => said.push(message),
            Some(None) => {}
            None => break,
        }
    }
    said
}

/// The next error, if there is one; what it says, if it is about length.
fn read(socket: &UdpSocket) -> Option<Option<TooBig>> {
    let mut payload = [0; 64];
    let mut iov = [IoSliceMut::new(&mut payload)];
    let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut iov, Some(&mut space), flags).ok()?;
    let found = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, from) => {
            let from = from.map(|it| Ipv4Addr::from(u32::from_be(it.sin_addr.s_addr)).into());
            Some((error, from))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) => {
            let from = from.map(|it| Ipv6Addr::from(it.sin6_addr.s6_addr).into());
            Some((error, from))
        }
        _ => None,
    });
    let (error, from) = found?;
    let is_about_length = i32::try_from(error.ee_errno) == Ok(libc::EMSGSIZE);
    Some(is_about_length.then(|| TooBig {
        from: from.filter(|_| error.ee_origin != libc::SO_EE_ORIGIN_LOCAL),
        mtu: u16::try_from(error.ee_info).unwrap_or(u16::MAX),
    }))
}
