//! The clients' ends of the kernel's UDP: a socket for each, as each would have on a
//! host of its own.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use ikexdp_proto::types::{Datagram, NAT_T_PORT, Path};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::bench::error::BenchError;
use crate::bench::plan::Plan;

/// Octets of the longest UDP payload, so that none is ever cut.
const LENGTH_MAX: usize = 65_535;

/// What precedes IKE on port 4500 (RFC 3948 §2.2).
const MARKER: [u8; 4] = [0; 4];

/// All there is in a NAT-keepalive packet (RFC 3948 §2.3).
const KEEPALIVE: [u8; 1] = [0xff];

/// Descriptors of a process for other things than clients.
const SPARE_DESCRIPTORS: u64 = 256;

/// The sockets of the clients of one thread.
pub(in crate::bench) struct Udp {
    /// With where each is bound.
    sockets: Vec<(UdpSocket, SocketAddr)>,
    places: HashMap<SocketAddr, usize>,
    received: Box<[u8]>,
    /// Whose socket was told of.
    ready: Option<usize>,
    /// A message behind its marker.
    marked: Vec<u8>,
}

/// Sees to it that this process may have a socket for each of so many clients, as far
/// as it is allowed to.
pub(in crate::bench) fn make_room(clients: u32) {
    let wanted = u64::from(clients).saturating_add(SPARE_DESCRIPTORS);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < wanted {
        // Beyond the hard limit for the privileged only; who gets no socket is told.
        let raised = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted));
        let _ = raised.or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    }
}

impl Udp {
    /// Binds one for each of the clients `numbers`; `epoll` tells of each by its place.
    ///
    /// # Errors
    /// [`BenchError`] if one cannot be had.
    pub(super) fn open(
        plan: &Plan,
        numbers: impl Iterator<Item = u32>,
        epoll: &Epoll,
    ) -> Result<Self, BenchError> {
        let mut all = Self {
            sockets: Vec::new(),
            places: HashMap::new(),
            received: vec![0; LENGTH_MAX].into(),
            ready: None,
            marked: Vec::new(),
        };
        for (token, number) in (0..).zip(numbers) {
            let address = plan.source.address(number);
            let bound = |source| BenchError::Bind { address, source };
            let socket = UdpSocket::bind((address, 0)).map_err(bound)?;
            socket.set_nonblocking(true).map_err(bound)?;
            let local = socket.local_addr().map_err(bound)?;
            let readable = EpollEvent::new(EpollFlags::EPOLLIN, token);
            epoll.add(&socket, readable).map_err(BenchError::Poll)?;
            all.places.insert(local, all.sockets.len());
            all.sockets.push((socket, local));
        }
        Ok(all)
    }

    /// Where the client at this place is.
    pub(super) fn local(&self, place: usize) -> Option<SocketAddr> {
        self.sockets.get(place).map(|(_, local)| *local)
    }

    /// The client that is there.
    pub(super) fn place(&self, local: SocketAddr) -> Option<usize> {
        self.places.get(&local).copied()
    }

    /// One datagram at a time: sockets have rarely more, and are told of again.
    pub(super) fn poll(&mut self, token: u64) {
        self.ready = usize::try_from(token).ok();
    }

    /// The message that waits, if it is one of IKE, and the client it is for.
    pub(super) fn next(&mut self) -> Option<(usize, Datagram<'_>)> {
        let place = self.ready.take()?;
        let (socket, local) = self.sockets.get(place)?;
        let (length, remote) = socket.recv_from(&mut self.received).ok()?;
        let payload = self.received.get(..length)?;
        let marker = remote.port() == NAT_T_PORT;
        let payload = if marker {
            payload.strip_prefix(&MARKER)?
        } else {
            payload
        };
        let path = Path {
            local: *local,
            remote,
            marker,
        };
        let datagram = Datagram {
            is_allowed: false,
            path,
            slot: None,
            payload,
        };
        Some((place, datagram))
    }

    /// Sends a message for the client that is at one end of `path`.
    ///
    /// # Errors
    /// [`io::Error`] of the system; the message is lost then.
    pub(super) fn send(&mut self, path: &Path, message: &[u8]) -> io::Result<()> {
        if !path.marker {
            return self.send_bare(path, message);
        }
        let mut marked = std::mem::take(&mut self.marked);
        marked.clear();
        marked.extend_from_slice(&MARKER);
        marked.extend_from_slice(message);
        let sent = self.send_bare(path, &marked);
        self.marked = marked;
        sent
    }

    /// Sends a NAT-keepalive packet; if it is lost, there will be another.
    pub(super) fn keep_alive(&self, path: &Path) {
        let _ = self.send_bare(path, &KEEPALIVE);
    }

    fn send_bare(&self, path: &Path, payload: &[u8]) -> io::Result<()> {
        let socket = self.place(path.local).and_then(|it| self.sockets.get(it));
        let (socket, _) = socket.ok_or(io::ErrorKind::NotFound)?;
        socket.send_to(payload, path.remote).map(drop)
    }
}
