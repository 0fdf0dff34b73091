//! Where questions come in and answers leave.
//!
//! A raw socket needs no port: whatever else of the host has port 67 keeps it, and
//! the daemon needs no capability that it does not have. Bound to the address that
//! questions go to it sees broadcasts and nothing else. The kernel hands over only
//! what its policies let in, and has taken fragments together.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind,
    recv, sendmsg, setsockopt, socket, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Why nobody can be answered.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot answer DHCP in tunnels: {step}; hint: the daemon needs CAP_NET_RAW, or remove `dhcp` from the pools"
)]
pub struct OpenError {
    /// What could not be done.
    pub step: &'static str,
    /// Why not.
    pub source: io::Error,
}

/// The socket; the type is only what the runtime knows to watch.
#[derive(Debug)]
pub(super) struct Socket(UdpSocket);

/// Where an answer goes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Our own address, which need not be on any interface.
    pub(super) from: Ipv4Addr,
    /// The client's.
    pub(super) to: Ipv4Addr,
}

impl Socket {
    /// Opens it; to be called in a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`] if the system does not let us.
    pub(super) fn open() -> Result<Self, OpenError> {
        let refused = |step| {
            move |error: Errno| OpenError {
                step,
                source: error.into(),
            }
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Udp);
        let fd = fd.map_err(refused("open a raw socket"))?;
        let broadcast = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::BROADCAST, 0));
        bind(fd.as_raw_fd(), &broadcast).map_err(refused("bind a raw socket"))?;
        // Else an answer could leave only from an address on an interface.
        setsockopt(&fd, sockopt::IpTransparent, &true)
            .map_err(refused("answer from the address in the tunnel"))?;
        let watched = UdpSocket::from_std(fd.into());
        let watched = watched.map_err(|source| OpenError {
            step: "watch a raw socket",
            source,
        })?;
        Ok(Self(watched))
    }

    /// Sends a UDP datagram.
    ///
    /// # Errors
    /// [`Errno`] if the kernel refuses, as where it has no route.
    pub(super) fn send(&self, way: &Way, datagram: &[u8]) -> Result<(), Errno> {
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from_ne_bytes(way.from.octets()),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let to = SockaddrIn::from(SocketAddrV4::new(way.to, 0));
        let (iov, flags) = ([IoSlice::new(datagram)], MsgFlags::empty());
        sendmsg(self.0.as_raw_fd(), &iov, &control, flags, Some(&to)).map(drop)
    }

    /// Waits for an IP packet: its octets in `buffer`, cut where that ends.
    ///
    /// # Errors
    /// [`io::Error`] if the socket cannot be read.
    pub(super) async fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let fd = self.0.as_raw_fd();
        let receive = || Ok(recv(fd, buffer, MsgFlags::empty())?);
        let length = self.0.async_io(Interest::READABLE, receive).await?;
        Ok(buffer.get(..length).unwrap_or_default())
    }
}
