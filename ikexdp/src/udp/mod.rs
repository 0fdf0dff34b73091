//! The kernel's UDP sockets on 500 and 4500: the slow path beside XDP, and the
//! whole transport without it.
//!
//! Those on 4500 also tell the kernel to decrypt the ESP that comes in UDP
//! (RFC 3948): what it hands up from there is IKE.

mod batch;
mod inherited;
mod options;
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

    /// Sends an IKE message from `path.local` to `path.remote`, as one IP
    /// datagram unless it `may_fragment`.
    ///
    /// # Errors
    /// [`SendError`]; the message is lost then, as it might be on the way.
    pub fn send(&self, path: &Path, payload: &[u8], may_fragment: bool) -> Result<(), SendError> {
        let socket = self.serving(path)?;
        if !may_fragment {
            return socket.send(path, payload);
        }
        // One thread sends, so that no other datagram leaves in between.
        let refused = SendError::Refused;
        options::set_fragmentation(socket, true).map_err(refused)?;
        let sent = socket.send(path, payload);
        options::set_fragmentation(socket, false).map_err(refused)?;
        sent
    }

    /// Sends a NAT-keepalive packet (RFC 3948 §2.3).
    ///
    /// # Errors
    /// [`SendError`]; there will be another.
    pub fn keep_alive(&self, path: &Path) -> Result<(), SendError> {
        self.serving(path)?.send_bare(path, [&KEEPALIVE, &[]])
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
mod tests {
    use super::*;
    use ikexdp_proto::types::Datagram;
    use std::net::UdpSocket;
    use std::time::Duration;

    /// Whatever is free.
    const ANY: Ports = Ports { ike: 0, nat_t: 0 };

    fn port(sockets: &Sockets, v4: bool, marker: bool) -> u16 {
        let wanted = |socket: &&Socket| socket.local.is_ipv4() == v4 && socket.marker == marker;
        sockets.iter().find(wanted).unwrap().local.port()
    }

    fn client(address: &str) -> UdpSocket {
        let client = UdpSocket::bind((address, 0)).unwrap();
        let long = Some(Duration::from_secs(5));
        client.set_read_timeout(long).unwrap();
        client
    }

    /// Everything that comes until `count` IKE messages did.
    fn receive(sockets: &Sockets, count: usize) -> Vec<(Path, Vec<u8>)> {
        let mut batch = Batch::default();
        let mut received = Vec::new();
        while received.len() < count {
            for socket in sockets.iter() {
                let keep = |datagram: Result<Datagram<'_>, Discard>| {
                    let datagram = datagram.unwrap();
                    received.push((datagram.path, datagram.payload.to_vec()));
                };
                batch.receive(socket, keep).unwrap();
            }
        }
        received
    }

    fn echo(sockets: &Sockets, client: &UdpSocket, may_fragment: bool) -> (SocketAddr, Vec<u8>) {
        let (path, payload) = receive(sockets, 1).pop().unwrap();
        sockets.send(&path, &payload, may_fragment).unwrap();
        let mut buffer = vec![0; 65_536];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        buffer.truncate(length);
        (from, buffer)
    }

    #[test]
    fn a_reply_leaves_from_where_the_request_came_to() {
        let sockets = Sockets::bind(ANY).unwrap();
        let port = port(&sockets, true, false);
        for address in ["127.0.0.1", "127.0.0.5"] {
            let client = client("127.0.0.9");
            client.send_to(b"ike", (address, port)).unwrap();
            let (from, payload) = echo(&sockets, &client, false);
            assert_eq!(from, SocketAddr::new(address.parse().unwrap(), port));
            assert_eq!(payload, b"ike");
        }
    }

    #[test]
    fn on_4500_only_ike_gets_through_and_its_marker_is_ours_to_handle() {
        let sockets = Sockets::bind(ANY).unwrap();
        let port = port(&sockets, true, true);
        let client = client("127.0.0.1");
        for datagram in [b"\xff".as_slice(), &[1; 64], b"\0\0\0\0ike"] {
            client.send_to(datagram, ("127.0.0.1", port)).unwrap();
        }
        let received = receive(&sockets, 1);
        let [(path, payload)] = received.as_slice() else {
            panic!("{received:?}");
        };
        assert_eq!((path.marker, payload.as_slice()), (true, b"ike".as_slice()));
        sockets.send(path, payload, false).unwrap();
        let mut buffer = [0; 16];
        let (length, _) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer[..length], *b"\0\0\0\0ike");
    }

    #[test]
    fn more_datagrams_come_than_one_call_reads() {
        let sockets = Sockets::bind(ANY).unwrap();
        let port = port(&sockets, true, false);
        let client = client("127.0.0.1");
        for number in 0..100_u8 {
            client.send_to(&[number], ("127.0.0.1", port)).unwrap();
        }
        let received = receive(&sockets, 100);
        let numbers: Vec<u8> = received.iter().map(|(_, payload)| payload[0]).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    }

    /// A datagram of 65,568 octets does not fit the 65,536 of the loopback
    /// interface; over IPv4 there is none so long.
    #[test]
    fn what_the_link_does_not_carry_is_fragmented_only_if_it_may() {
        let sockets = Sockets::bind(ANY).unwrap();
        if !sockets.iter().any(|socket| socket.local.is_ipv6()) {
            return;
        }
        let port = port(&sockets, false, false);
        let client = client("::1");
        client.send_to(b"ike", ("::1", port)).unwrap();
        let (path, _) = receive(&sockets, 1).pop().unwrap();
        let long = vec![7; 65_520];
        let refused = Err(SendError::TooLong { length: long.len() });
        assert_eq!(sockets.send(&path, &long, false), refused);
        assert_eq!(sockets.send(&path, &long, true), Ok(()));
        assert_eq!(sockets.send(&path, &long, false), refused);
        let mut buffer = vec![0; 65_536];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((length, from.port()), (long.len(), port));
    }

    #[test]
    fn whoever_has_a_port_is_named() {
        let sockets = Sockets::bind(ANY).unwrap();
        let taken = Ports {
            ike: port(&sockets, true, false),
            nat_t: 0,
        };
        let error = Sockets::bind(taken).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(error.contains(&format!("(pid {pid})")), "{error}");
        assert!(error.contains("hint: "), "{error}");
    }

    #[test]
    fn what_nobody_reads_is_counted() {
        let sockets = Sockets::bind(ANY).unwrap();
        let drops = sockets.drops();
        assert_eq!(drops.count(), 0);
        let port = port(&sockets, true, false);
        let client = client("127.0.0.1");
        let datagram = [0; 60_000];
        while drops.count() == 0 {
            client.send_to(&datagram, ("127.0.0.1", port)).unwrap();
        }
    }
}
