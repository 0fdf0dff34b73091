//! One socket.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockname, setsockopt, socket,
    sockopt,
};

use super::call::{self, Letter};
use super::inherited::Inherited;
use super::{BindError, Outgoing, Owner, SendError, options};

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
    /// Whether the kernel fragments what leaves by it.
    fragments: Cell<bool>,
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
        let socket = Self {
            fd,
            local,
            marker,
            fragments: Cell::new(false),
        };
        options::set_fragmentation(&socket, false).map_err(refused("set Don't Fragment"))?;
        Ok(socket)
    }

    /// Sends `datagrams`, in IP fragments where need be if they `may_fragment`, and says of each what became of it.
    pub(super) fn send(
        &self,
        datagrams: &[Outgoing],
        may_fragment: bool,
        told: &mut impl FnMut(&Outgoing, Result<(), SendError>),
    ) {
        // It stays as it is until others leave: one thread sends.
        if self.fragments.get() != may_fragment {
            if let Err(error) = options::set_fragmentation(self, may_fragment) {
                let refused = SendError::Refused(error);
                return datagrams.iter().for_each(|it| told(it, Err(refused)));
            }
            self.fragments.set(may_fragment);
        }
        self.send_each(datagrams, told);
    }

    fn send_each(
        &self,
        datagrams: &[Outgoing],
        told: &mut impl FnMut(&Outgoing, Result<(), SendError>),
    ) {
        let letters: Vec<_> = datagrams
            .iter()
            .map(|it| Letter::new(it.parts(self.marker), it.path.local, it.path.remote))
            .collect();
        let mut done = 0;
        while let (Some(letters), Some([first, ..])) = (letters.get(done..), datagrams.get(done..))
            && !letters.is_empty()
        {
            match call::send(self, letters) {
                Ok(sent) => {
                    let gone = datagrams.iter().skip(done).take(sent);
                    gone.for_each(|datagram| told(datagram, Ok(())));
                    done = done.saturating_add(sent.max(1));
                }
                Err(error) => {
                    told(first, Err(self.error(error, first)));
                    done = done.saturating_add(1);
                }
            }
        }
    }

    fn error(&self, error: Errno, datagram: &Outgoing) -> SendError {
        match error {
            Errno::EMSGSIZE => SendError::TooLong {
                length: datagram.parts(self.marker).iter().map(|it| it.len()).sum(),
            },
            error => SendError::Refused(error),
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
