//! Reads many datagrams with one system call, into memory that is taken once.

use std::fmt;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use ikexdp_proto::types::{Datagram, Path};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg,
};

use super::socket::socket_address;
use super::{MARKER, Socket};

/// Datagrams read with one call: enough to make its cost small, few enough to
/// give every other source its turn.
const DATAGRAMS: usize = 16;

/// Octets of the longest UDP payload, so that none is ever cut.
const LENGTH_MAX: usize = 65_535;

/// Why a datagram is none of the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// It came to port 4500 without the non-ESP marker: a NAT keepalive, or ESP
    /// that the kernel did not take.
    NotIke,
    /// The kernel did not say to which address it came.
    NoAddress,
}

/// Memory for the datagrams of one call.
pub struct Batch {
    buffers: Vec<[u8; LENGTH_MAX]>,
    /// The kernel writes into the headers how much of them it used, and nix
    /// leaves that there for the next call. Datagrams of one family all use the
    /// same, and so they fit again; those of the other do not.
    headers_v4: MultiHeaders<SockaddrStorage>,
    headers_v6: MultiHeaders<SockaddrStorage>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            buffers: vec![[0; LENGTH_MAX]; DATAGRAMS],
            headers_v4: headers(),
            headers_v6: headers(),
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    // The larger of the two families.
    MultiHeaders::preallocate(DATAGRAMS, Some(cmsg_space!(libc::in6_pktinfo)))
}

impl Batch {
    /// Hands each datagram that waits at `socket` to `handle`, up to as many as
    /// one call reads, and says whether more may wait.
    ///
    /// # Errors
    /// [`Errno`] of the system call.
    pub fn receive(
        &mut self,
        socket: &Socket,
        mut handle: impl FnMut(Result<Datagram<'_>, Discard>),
    ) -> nix::Result<bool> {
        let headers = if socket.local.is_ipv4() {
            &mut self.headers_v4
        } else {
            &mut self.headers_v6
        };
        let mut count = 0_usize;
        let mut spoiled = false;
        {
            let (buffers, _) = self.buffers.as_chunks_mut::<DATAGRAMS>();
            let Some(buffers) = buffers.first_mut() else {
                return Ok(false);
            };
            let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let fd = socket.as_fd().as_raw_fd();
            let received = match recvmmsg(fd, headers, &mut slices, MsgFlags::empty(), None) {
                Ok(received) => received,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
                Err(error) => return Err(error),
            };
            for message in received {
                count = count.saturating_add(1);
                let datagram = datagram(socket, &message);
                spoiled |= matches!(datagram, Err(Discard::NoAddress));
                handle(datagram);
            }
        }
        if spoiled {
            *headers = self::headers();
        }
        Ok(count == DATAGRAMS)
    }
}

fn datagram<'a>(
    socket: &Socket,
    message: &'a RecvMsg<'_, '_, SockaddrStorage>,
) -> Result<Datagram<'a>, Discard> {
    let payload = message.iovs().next().unwrap_or_default();
    let payload = if socket.marker {
        payload.strip_prefix(&MARKER).ok_or(Discard::NotIke)?
    } else {
        payload
    };
    let remote = message.address.as_ref().and_then(socket_address);
    let local = message
        .cmsgs()
        .ok()
        .and_then(|mut messages| messages.find_map(|message| local(&message)));
    let (Some(remote), Some((local, scope))) = (remote, local) else {
        return Err(Discard::NoAddress);
    };
    let port = socket.local.port();
    let local = match local {
        IpAddr::V4(address) => SocketAddr::V4(SocketAddrV4::new(address, port)),
        IpAddr::V6(address) => SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope)),
    };
    Ok(Datagram {
        path: Path {
            local,
            remote,
            marker: socket.marker,
        },
        slot: None,
        is_allowed: false,
        payload,
    })
}

/// The address that a datagram came to; of a link-local one, the link as well.
fn local(message: &ControlMessageOwned) -> Option<(IpAddr, u32)> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let octets = info.ipi_addr.s_addr.to_ne_bytes();
            Some((Ipv4Addr::from(octets).into(), 0))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let scope = if address.is_unicast_link_local() {
                info.ipi6_ifindex
            } else {
                0
            };
            Some((address.into(), scope))
        }
        _ => None,
    }
}
