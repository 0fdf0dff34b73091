//! The kernel's UDP sockets on 500 and 4500: the slow path beside XDP, and the
//! whole transport without it.
//!
//! Those on 4500 also tell the kernel to decrypt the ESP that comes in UDP
//! (RFC 3948): what it hands up from there is IKE.

mod batch;
mod call;
mod inherited;
mod options;
mod outbox;
mod socket;
mod table;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ikexdp_proto::types::{IKE_PORT, NAT_T_PORT, Path};
use nix::errno::Errno;
use nix::sys::stat::fstat;

use inherited::Inherited;

pub use batch::{Batch, Discard};
pub(crate) use options::set_fragmentation_of;
pub use outbox::{Outbox, Outgoing};
pub use socket::Socket;
pub use table::{Drops, Owner};

/// All there is in a NAT-keepalive packet (RFC 3948 §2.3).
const KEEPALIVE: [u8; 1] = [0xff];

/// Octets of the non-ESP marker (RFC 3948 §2.2).
const MARKER: [u8; 4] = [0; 4];

/// The ports to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For IKE alone.
    pub ike: u16,
    /// For IKE behind the non-ESP marker, and ESP.
    pub nat_t: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            ike: IKE_PORT,
            nat_t: NAT_T_PORT,
        }
    }
}

/// Why there are no sockets.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error("UDP port {port} is taken by {owner}; hint: {}", owner.remedy())]
    Taken {
        /// The port.
        port: u16,
        /// Who has it.
        owner: Owner,
    },
    /// Low ports are for the privileged.
    #[error(
        "not allowed to bind UDP port {port}; \
         hint: have systemd do it (ikexdp.socket), or run as root or with CAP_NET_BIND_SERVICE"
    )]
    NotAllowed {
        /// The port.
        port: u16,
    },
    /// The system refused.
    #[error("cannot {step} for UDP port {port}")]
    Refused {
        /// What was to be done.
        step: &'static str,
        /// The port.
        port: u16,
        /// Why not.
        source: Errno,
    },
    /// What systemd handed over is not what it said, or no UDP socket.
    #[error(
        "cannot use the sockets that systemd handed over; \
         hint: look at `systemctl cat ikexdp.socket`"
    )]
    Inherited(#[source] io::Error),
    /// systemd bound an address that we do not serve.
    #[error(
        "systemd handed over a socket that is not for IKE: {address}; \
         hint: in ikexdp.socket, keep `ListenDatagram=` to ports 500 and 4500 of 0.0.0.0 and [::], \
         and BindIPv6Only=ipv6-only"
    )]
    Foreign {
        /// The address.
        address: SocketAddr,
    },
}

/// What the sockets have to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcoming {
    /// This host has no IPv6.
    NoIpv6(Errno),
    /// The kernel cannot decrypt ESP in UDP.
    NoEncapsulation(Errno),
}

impl fmt::Display for Shortcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIpv6(error) => write!(f, "no IPv6 on this host, IPv4 only: {}", error.desc()),
            Self::NoEncapsulation(error) => write!(
                f,
                "the kernel takes no ESP in UDP: {}; hint: it needs CONFIG_XFRM",
                error.desc()
            ),
        }
    }
}

/// Why a datagram did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It is longer than the link carries and must not be fragmented.
    #[error("datagram is longer than the link carries: {length} octets")]
    TooLong {
        /// Octets of its UDP payload.
        length: usize,
    },
    /// We have no socket with that address family and port.
    #[error("no socket on {0}")]
    NoSocket(SocketAddr),
    /// The kernel refused.
    #[error("{}", .0.desc())]
    Refused(Errno),
}

/// All our sockets: IPv4 and, where the host has it, IPv6, on both ports.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<Socket>,
    shortcomings: Vec<Shortcoming>,
}

impl Sockets {
    /// Binds `ports` on every address of this host, unless systemd has done so.
    ///
    /// # Errors
    /// [`BindError`] if a port cannot be had; without IPv6 or ESP in UDP it goes
    /// on, see [`Self::shortcomings`].
    pub fn bind(ports: Ports) -> Result<Self, BindError> {
        let mut inherited = Inherited::take().map_err(BindError::Inherited)?;
        let mut all = Self {
            sockets: Vec::with_capacity(4),
            shortcomings: Vec::new(),
        };
        for (port, marker) in [(ports.ike, false), (ports.nat_t, true)] {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            let socket = Socket::open(address, marker, &mut inherited)?;
            all.add(socket);
        }
        for (port, marker) in [(ports.ike, false), (ports.nat_t, true)] {
            let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            match Socket::open(address, marker, &mut inherited) {
                Ok(socket) => all.add(socket),
                Err(BindError::Refused {
                    source: error @ (Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL),
                    ..
                }) => {
                    all.shortcomings.push(Shortcoming::NoIpv6(error));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        match inherited.left_over() {
            Some(address) => Err(BindError::Foreign { address }),
            None => Ok(all),
        }
    }

    fn add(&mut self, socket: Socket) {
        if socket.marker
            && let Err(error) = options::set_esp_in_udp(&socket)
        {
            self.shortcomings.push(Shortcoming::NoEncapsulation(error));
        }
        self.sockets.push(socket);
    }

    /// What they have to do without.
    #[must_use]
    pub fn shortcomings(&self) -> &[Shortcoming] {
        &self.shortcomings
    }

    /// Each socket.
    pub fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.sockets.iter()
    }

    /// What counts datagrams that the kernel dropped before we read them.
    #[must_use]
    pub fn drops(&self) -> Drops {
        let inode = |socket: &Socket| fstat(socket).ok().map(|stat| stat.st_ino);
        Drops::of(self.sockets.iter().filter_map(inode).collect())
    }

    /// Sends `datagrams` in their order, each as one IP datagram unless it `may_fragment`, and says of each what
    /// became of it; what did not leave is lost, as it might be on the way.
    pub fn send_all(
        &self,
        datagrams: &[Outgoing],
        mut told: impl FnMut(&Outgoing, Result<(), SendError>),
    ) {
        let leave_alike = |one: &Outgoing, other: &Outgoing| {
            one.place() == other.place() && one.may_fragment == other.may_fragment
        };
        for alike in datagrams.chunk_by(leave_alike) {
            let Some(first) = alike.first() else { continue };
            match self.serving(&first.path) {
                Ok(socket) => socket.send(alike, first.may_fragment, &mut told),
                Err(error) => alike.iter().for_each(|it| told(it, Err(error))),
            }
        }
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// [`SendError`], as [`Self::send_all`] would say it.
    pub fn send(&self, datagram: Outgoing) -> Result<(), SendError> {
        let mut result = Ok(());
        self.send_all(&[datagram], |_, sent| result = sent);
        result
    }

    fn serving(&self, path: &Path) -> Result<&Socket, SendError> {
        let serves = |socket: &&Socket| {
            socket.local.is_ipv4() == path.local.is_ipv4()
                && socket.local.port() == path.local.port()
        };
        let mut sockets = self.sockets.iter();
        sockets.find(serves).ok_or(SendError::NoSocket(path.local))
    }
}

#[cfg(test)]
mod tests;
