//! A socket to one server, and the 256 requests that can be under way on it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ikexdp_proto::types::Secret;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::counters::{Counters, Role};
use super::crypto::Authenticator;
use super::limits::{IDENTIFIER_REST, PACKET_LEN_MAX, RECEIVE_PAUSE};
use super::packet::{Code, Packet};

/// Requests that can be under way: the identifier has eight bits.
pub(super) const IDENTIFIERS: usize = 256;

/// An answer that stands.
#[derive(Debug)]
pub(super) struct Answer {
    /// The packet.
    pub(super) octets: Vec<u8>,
    /// The authenticator of the request.
    pub(super) request: Authenticator,
}

/// A socket that hears one server only: the kernel drops what others send.
#[derive(Debug)]
pub(super) struct Socket {
    socket: Arc<UdpSocket>,
    slots: Arc<Mutex<Slots>>,
    reader: AbortHandle,
}

impl Socket {
    /// Opens a socket to `server`; to be called in a runtime.
    pub(super) fn open(
        server: SocketAddr,
        source: Option<IpAddr>,
        verifier: Verifier,
    ) -> io::Result<Arc<Self>> {
        let any = match server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = StdSocket::bind((source.unwrap_or(any), 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let slots = Arc::new(Mutex::new(Slots::default()));
        let reader = tokio::spawn(read(Arc::clone(&socket), Arc::clone(&slots), verifier));
        let reader = reader.abort_handle();
        Ok(Arc::new(Self {
            socket,
            slots,
            reader,
        }))
    }

    /// The address that the server sees, unless there is a NAT.
    pub(super) fn address(&self) -> Option<IpAddr> {
        Some(self.socket.local_addr().ok()?.ip())
    }

    /// Takes an identifier that nobody has, if there is one. `place` is what stands
    /// for one of all identifiers of a server.
    pub(super) fn reserve(
        self: &Arc<Self>,
        place: OwnedSemaphorePermit,
    ) -> Result<Reservation, OwnedSemaphorePermit> {
        match lock(&self.slots).take() {
            Some(identifier) => Ok(Reservation {
                socket: Arc::clone(self),
                identifier,
                place: Some(place),
                is_answered: false,
            }),
            None => Err(place),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// An identifier in use.
#[derive(Debug)]
pub(super) struct Reservation {
    socket: Arc<Socket>,
    pub(super) identifier: u8,
    place: Option<OwnedSemaphorePermit>,
    is_answered: bool,
}

impl Reservation {
    /// Has answers to a request with this authenticator handed on.
    pub(super) fn expect(&self, request: Authenticator) -> oneshot::Receiver<Answer> {
        let (told, answer) = oneshot::channel();
        let slot = Slot::Waiting { request, told };
        lock(&self.socket.slots).used.insert(self.identifier, slot);
        answer
    }

    /// Sends the request, once or once more. What cannot be sent is as if it were
    /// lost: the next try may fare better.
    pub(super) async fn send(&self, octets: &[u8]) {
        // An ICMP error about the last datagram is told here, in place of sending
        // this one.
        if self.socket.socket.send(octets).await.is_err() {
            let _ = self.socket.socket.send(octets).await;
        }
    }

    /// Nothing more will come for it: others may have the identifier at once.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (socket, identifier) = (Arc::clone(&self.socket), self.identifier);
        let place = self.place.take();
        let free = move || {
            lock(&socket.slots).used.remove(&identifier);
            drop(place);
        };
        match Handle::try_current() {
            Ok(runtime) if !self.is_answered => {
                lock(&self.socket.slots)
                    .used
                    .insert(identifier, Slot::Resting);
                runtime.spawn(async move {
                    sleep(IDENTIFIER_REST).await;
                    free();
                });
            }
            _ => free(),
        }
    }
}

#[derive(Debug)]
enum Slot {
    /// Somebody waits for the answer to a request with this authenticator.
    Waiting {
        request: Authenticator,
        told: oneshot::Sender<Answer>,
    },
    /// Nobody waits yet, or any more.
    Resting,
}

#[derive(Debug, Default)]
struct Slots {
    used: BTreeMap<u8, Slot>,
    /// Where to look for a free one: as far from those that were used last as can
    /// be, because servers know a repeat by its identifier.
    next: u8,
}

impl Slots {
    fn take(&mut self) -> Option<u8> {
        let mut candidates = (self.next..=u8::MAX).chain(0..self.next);
        let identifier = candidates.find(|identifier| !self.used.contains_key(identifier))?;
        self.next = identifier.wrapping_add(1);
        self.used.insert(identifier, Slot::Resting);
        Some(identifier)
    }
}

/// What an answer must be.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    pub(super) role: Role,
    pub(super) secret: Arc<Secret<Vec<u8>>>,
    pub(super) counters: Arc<Mutex<Counters>>,
}

impl Verifier {
    /// Hands a datagram to whoever waits for it, or drops and counts it.
    fn take(&self, datagram: &[u8], slots: &Mutex<Slots>) {
        let mut slots = lock(slots);
        let verified = self.verify(datagram, &slots);
        let mut counters = lock(&self.counters);
        let counter = match verified {
            Ok(packet) => {
                // Until whoever waits is awake, the identifier is taken.
                let slot = slots.used.insert(packet.identifier, Slot::Resting);
                if let Some(Slot::Waiting { request, told }) = slot {
                    let octets = datagram.to_vec();
                    // If nobody waits any more, it was too late.
                    let _ = told.send(Answer { octets, request });
                }
                counters.answers = counters.answers.saturating_add(1);
                match packet.code {
                    Code::ACCESS_ACCEPT => &mut counters.accepts,
                    Code::ACCESS_REJECT => &mut counters.rejects,
                    Code::ACCESS_CHALLENGE => &mut counters.challenges,
                    _ => return,
                }
            }
            Err(Unfit::Malformed) => &mut counters.dropped_malformed,
            Err(Unfit::Unexpected) => &mut counters.dropped_unexpected,
            Err(Unfit::Unauthentic) => &mut counters.dropped_unauthentic,
            Err(Unfit::Unsigned) => &mut counters.dropped_unsigned,
        };
        *counter = counter.saturating_add(1);
    }

    fn verify<'a>(&self, datagram: &'a [u8], slots: &Slots) -> Result<Packet<'a>, Unfit> {
        let packet = Packet::decode(datagram).map_err(|_| Unfit::Malformed)?;
        let Some(Slot::Waiting { request, .. }) = slots.used.get(&packet.identifier) else {
            return Err(Unfit::Unexpected);
        };
        let is_expected = match self.role {
            Role::Authentication => matches!(
                packet.code,
                Code::ACCESS_ACCEPT | Code::ACCESS_REJECT | Code::ACCESS_CHALLENGE
            ),
            Role::Accounting => packet.code == Code::ACCOUNTING_RESPONSE,
        };
        if !is_expected {
            return Err(Unfit::Unexpected);
        }
        let secret = self.secret.expose();
        if !packet.is_authentic(secret, request) {
            return Err(Unfit::Unauthentic);
        }
        match (packet.is_signed(secret, request), self.role) {
            (Some(true), _) | (None, Role::Accounting) => Ok(packet),
            (Some(false), _) => Err(Unfit::Unauthentic),
            (None, Role::Authentication) => Err(Unfit::Unsigned),
        }
    }
}

/// Why a datagram is no answer.
enum Unfit {
    Malformed,
    Unexpected,
    Unauthentic,
    Unsigned,
}

/// Reads for ever.
async fn read(socket: Arc<UdpSocket>, slots: Arc<Mutex<Slots>>, verifier: Verifier) {
    // One octet more than any packet: what fills it is longer than it says.
    let mut buffer = vec![0; PACKET_LEN_MAX.saturating_add(1)];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                verifier.take(datagram, &slots);
            }
            // ICMP says that nobody is there. Anybody can say so: we go on waiting.
            Err(_) => sleep(RECEIVE_PAUSE).await,
        }
    }
}

/// Nobody panics with one of these locks held.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
