//! One socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ikexdp_proto::types::Path;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrStorage, bind,
    getsockname, sendmsg, setsockopt, socket, sockopt,
};

use super::inherited::Inherited;
use super::{BindError, MARKER, Owner, SendError, options};

/// Octets the kernel may hold for a socket until we read them: a burst of some
/// thousand datagrams.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A bound socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    pub(super) local: SocketAddr,
    /// Whether four zero octets precede each IKE message.
    pub(super) marker: bool,
}

impl Socket {
    /// The address and port it is bound to.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// The socket on `address`, inherited or bound.
    ///
    /// # Errors
    /// [`BindError`] if there can be none.
    pub(super) fn open(
        address: SocketAddr,
        marker: bool,
        inherited: &mut Inherited,
    ) -> Result<Self, BindError> {
        let port = address.port();
        let refused = |step| move |source| BindError::Refused { step, port, source };
        let bound = inherited.remove(address);
        let is_bound = bound.is_some();
        let fd = bound.map_or_else(|| create(address), Ok);
        let fd = fd.map_err(refused("open a socket"))?;
        set_up(&fd, address).map_err(refused("set up a socket"))?;
        if !is_bound {
            bind_to(&fd, address)?;
        }
        let local = local_address(&fd).unwrap_or(address);
        let socket = Self { fd, local, marker };
        options::set_fragmentation(&socket, false).map_err(refused("set Don't Fragment"))?;
        Ok(socket)
    }

    pub(super) fn send(&self, path: &Path, payload: &[u8]) -> Result<(), SendError> {
        let marker: &[u8] = if self.marker { &MARKER } else { &[] };
        self.send_bare(path, [marker, payload])
    }

    /// Sends `parts` one behind the other, with nothing in front.
    pub(super) fn send_bare(&self, path: &Path, parts: [&[u8]; 2]) -> Result<(), SendError> {
        let iov = parts.map(io::IoSlice::new);
        let remote = SockaddrStorage::from(path.remote);
        let flags = MsgFlags::empty();
        let fd = self.fd.as_raw_fd();
        // The reply leaves from where the request came to, whatever the routes.
        let sent = match path.local {
            SocketAddr::V4(local) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(local.ip().octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(fd, &iov, &control, flags, Some(&remote))
            }
            SocketAddr::V6(local) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: local.ip().octets(),
                    },
                    ipi6_ifindex: local.scope_id(),
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(fd, &iov, &control, flags, Some(&remote))
            }
        };
        match sent {
            Ok(_) => Ok(()),
            Err(Errno::EMSGSIZE) => Err(SendError::TooLong {
                length: iov.iter().map(|part| part.len()).sum(),
            }),
            Err(error) => Err(SendError::Refused(error)),
        }
    }
}

/// A socket that is not bound.
fn create(address: SocketAddr) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    if address.is_ipv4() {
        return socket(AddressFamily::Inet, SockType::Datagram, flags, None);
    }
    let fd = socket(AddressFamily::Inet6, SockType::Datagram, flags, None)?;
    setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    Ok(fd)
}

/// Has the kernel tell the local address of datagrams, and keep many.
fn set_up(fd: &OwnedFd, address: SocketAddr) -> nix::Result<()> {
    if address.is_ipv4() {
        setsockopt(fd, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        setsockopt(fd, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    // Beyond the system's limit only for the privileged; less will do.
    setsockopt(fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(fd, sockopt::RcvBuf, &RECEIVE_BUFFER))
}

fn bind_to(fd: &OwnedFd, address: SocketAddr) -> Result<(), BindError> {
    let port = address.port();
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).map_err(|error| match error {
        Errno::EADDRINUSE => BindError::Taken {
            port,
            owner: Owner::of(address),
        },
        Errno::EACCES => BindError::NotAllowed { port },
        source => BindError::Refused {
            step: "bind a socket",
            port,
            source,
        },
    })
}

/// Where a socket is bound.
pub(super) fn local_address(fd: &OwnedFd) -> Option<SocketAddr> {
    let address: SockaddrStorage = getsockname(fd.as_raw_fd()).ok()?;
    socket_address(&address)
}

pub(super) fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || {
        address
            .as_sockaddr_in()
            .map(|address| SocketAddr::V4((*address).into()))
    };
    let v6 = || {
        address
            .as_sockaddr_in6()
            .map(|address| SocketAddr::V6((*address).into()))
    };
    v4().or_else(v6)
}
