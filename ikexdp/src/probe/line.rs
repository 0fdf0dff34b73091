//! A UDP socket toward a gateway: requests, repeated as a client repeats them, and what answers them.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{NAT_T_PORT, Path};
use ikexdp_proto::wire::header::Header;
use nix::sys::socket::{
    self, AddressFamily, SockFlag, SockType, SockaddrStorage, setsockopt, socket, sockopt,
};

use super::error::ProbeError;
use crate::clock::Clock;

/// Octets of the longest UDP payload, so that none is ever cut.
const LENGTH_MAX: usize = 65_535;

/// What precedes IKE on port 4500 (RFC 3948 §2.2).
const MARKER: [u8; 4] = [0; 4];

/// How long a client waits before it repeats a request the first time; each time it waits twice as long.
const PATIENCE: Duration = Duration::from_secs(1);

/// The shortest wait that a socket takes for one.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// A socket that talks to one port of a gateway.
#[derive(Debug)]
pub struct Line {
    socket: UdpSocket,
    clock: Clock,
    remote: SocketAddr,
}

/// What a request has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The answer, a whole IKE message.
    pub message: Option<Vec<u8>>,
    /// How often the request was sent.
    pub tries: u32,
    /// From the last time that it was sent to the answer, or to the end.
    pub round_trip: Duration,
    /// Datagrams that were no answer.
    pub ignored: u32,
    /// Whether ICMP has said that nobody listens on that port.
    pub is_refused: bool,
    /// Whether the socket has something to tell of a datagram that was too long; it ends the wait.
    pub is_too_long: bool,
}

impl Line {
    /// Opens one to `address`, from a port of ours; 0 for any.
    ///
    /// # Errors
    /// [`ProbeError`] if there is no such socket, or no way.
    pub fn open(address: IpAddr, source_port: u16, port: u16) -> Result<Self, ProbeError> {
        let socket = bind(address, source_port).map_err(|source| ProbeError::Bind {
            address,
            port: source_port,
            source,
        })?;
        let remote = SocketAddr::new(address, port);
        let connected = socket.connect(remote);
        connected.map_err(|source| ProbeError::NoRoute { remote, source })?;
        Ok(Self {
            socket,
            clock: Clock::start(),
            remote,
        })
    }

    /// Another, from the same port of ours to another port of the gateway.
    ///
    /// # Errors
    /// [`ProbeError`] if there is no such socket, or no way.
    pub fn beside(&self, port: u16) -> Result<Self, ProbeError> {
        let local = self.socket.local_addr().map_err(ProbeError::Socket)?;
        Self::open(self.remote.ip(), local.port(), port)
    }

    /// Both ends, as this host sees them.
    ///
    /// # Errors
    /// [`ProbeError::Socket`].
    pub fn path(&self) -> Result<Path, ProbeError> {
        Ok(Path {
            local: self.socket.local_addr().map_err(ProbeError::Socket)?,
            remote: self.remote,
            marker: self.remote.port() == NAT_T_PORT,
        })
    }

    /// The socket, for its options.
    #[must_use]
    pub const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The clock by which it waits.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends a request, and again after 1, 3, 7 … seconds, until `is_answer` says of a message that it is
    /// one, or `timeout` is over.
    ///
    /// # Errors
    /// [`ProbeError`] if it cannot be sent.
    pub fn ask(
        &self,
        request: &[u8],
        timeout: Duration,
        is_answer: impl Fn(&Header) -> bool,
    ) -> Result<Heard, ProbeError> {
        let end = self.clock.now() + timeout;
        let mut patience = PATIENCE;
        let mut heard = Heard::default();
        while heard.message.is_none() {
            let sent = self.clock.now();
            if sent >= end {
                break;
            }
            self.send(request, &mut heard)
                .map_err(|source| self.unsent(source))?;
            heard.tries = heard.tries.saturating_add(1);
            // A repeat with less time left than the wait before it is left out, and that wait is longer.
            let next = sent + patience;
            let until = if next + patience < end { next } else { end };
            heard.message = self.hear(until, &mut heard, &is_answer)?;
            heard.round_trip = self.clock.now().since(sent);
            patience = patience.saturating_mul(2);
        }
        Ok(heard)
    }

    /// Sends one datagram; refusals that ICMP has told of meanwhile are noted.
    ///
    /// # Errors
    /// [`io::Error`] of the system.
    pub fn send(&self, message: &[u8], heard: &mut Heard) -> io::Result<()> {
        let marked;
        let datagram = if self.remote.port() == NAT_T_PORT {
            marked = [&MARKER, message].concat();
            &marked
        } else {
            message
        };
        match self.socket.send(datagram) {
            // Of an earlier datagram: this one was not sent.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                heard.is_refused = true;
                self.socket.send(datagram).map(drop)
            }
            sent => sent.map(drop),
        }
    }

    /// The first message until then that is an answer.
    ///
    /// # Errors
    /// [`ProbeError`] if the socket does not receive.
    pub fn hear(
        &self,
        until: Instant,
        heard: &mut Heard,
        is_answer: impl Fn(&Header) -> bool,
    ) -> Result<Option<Vec<u8>>, ProbeError> {
        let mut buffer = vec![0; LENGTH_MAX];
        loop {
            let left = until.since(self.clock.now());
            if left < WAIT_MIN {
                return Ok(None);
            }
            let waits = self.socket.set_read_timeout(Some(left));
            waits.map_err(ProbeError::Socket)?;
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) => match error.kind() {
                    ErrorKind::ConnectionRefused => {
                        heard.is_refused = true;
                        continue;
                    }
                    // The time is over, or a signal has come, or ICMP has told of something that the
                    // sender is to look at: what is not answered says so in the end.
                    ErrorKind::WouldBlock
                    | ErrorKind::TimedOut
                    | ErrorKind::Interrupted
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable => continue,
                    _ if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
                        heard.is_too_long = true;
                        return Ok(None);
                    }
                    _ => return Err(ProbeError::Socket(error)),
                },
            };
            let datagram = buffer.get(..length).unwrap_or_default();
            let message = self.unmarked(datagram);
            let header = message.and_then(|it| Header::decode(it).ok());
            match (message, header) {
                (Some(message), Some((header, _))) if is_answer(&header) => {
                    return Ok(Some(message.to_vec()));
                }
                _ => heard.ignored = heard.ignored.saturating_add(1),
            }
        }
    }

    /// What is wrong if nothing can be sent.
    #[must_use]
    pub fn unsent(&self, source: io::Error) -> ProbeError {
        let remote = self.remote;
        match source.kind() {
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                ProbeError::NoRoute { remote, source }
            }
            _ => ProbeError::Send { remote, source },
        }
    }

    fn unmarked<'a>(&self, datagram: &'a [u8]) -> Option<&'a [u8]> {
        if self.remote.port() == NAT_T_PORT {
            datagram.strip_prefix(&MARKER)
        } else {
            Some(datagram)
        }
    }
}

/// A socket at a port of ours, which others of this user may share.
fn bind(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let (family, any): (_, IpAddr) = if address.is_ipv4() {
        (AddressFamily::Inet, Ipv4Addr::UNSPECIFIED.into())
    } else {
        (AddressFamily::Inet6, Ipv6Addr::UNSPECIFIED.into())
    };
    let fd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    let at = SockaddrStorage::from(SocketAddr::new(any, port));
    socket::bind(fd.as_raw_fd(), &at)?;
    Ok(fd.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::request::{sealed_by_nobody, spis};
    use ikexdp_proto::types::Spi;
    use std::thread;

    /// A gateway on the loopback interface; it does with the first datagram what it is told to.
    fn gateway(reply: impl FnOnce(&UdpSocket, &[u8], SocketAddr) + Send + 'static) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut buffer = [0; 2000];
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            reply(&socket, &buffer[..length], from);
        });
        port
    }

    fn line(port: u16) -> Line {
        Line::open("127.0.0.1".parse().unwrap(), 0, port).unwrap()
    }

    fn request() -> Vec<u8> {
        sealed_by_nobody(spis(Spi(3), Spi(4))).unwrap()
    }

    #[test]
    fn what_is_no_answer_is_counted_and_the_answer_found() {
        let port = gateway(|socket, request, from| {
            for datagram in [&b"noise"[..], &[0xff], request] {
                socket.send_to(datagram, from).unwrap();
            }
        });
        let timeout = Duration::from_secs(60);
        let is_answer = |header: &Header| header.spis == spis(Spi(3), Spi(4));
        let heard = line(port).ask(&request(), timeout, is_answer).unwrap();
        let (header, _) = Header::decode(heard.message.as_deref().unwrap()).unwrap();
        assert!(is_answer(&header));
        assert_eq!((heard.tries, heard.ignored), (1, 2));
        assert!(!heard.is_refused);
    }

    #[test]
    fn what_is_lost_is_sent_again() {
        let port = gateway(|socket, first, from| {
            // The first was lost.
            let mut buffer = [0; 2000];
            let (length, _) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], first, "a repeat has the same octets");
            socket.send_to(first, from).unwrap();
        });
        let timeout = Duration::from_secs(60);
        let heard = line(port).ask(&request(), timeout, |_| true).unwrap();
        assert_eq!(heard.tries, 2);
    }

    #[test]
    fn where_nobody_listens_it_is_said() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        drop(socket);
        let timeout = Duration::from_millis(200);
        let heard = line(port).ask(&request(), timeout, |_| true).unwrap();
        assert_eq!(heard.message, None);
        assert!(heard.is_refused);
    }
}
