//! One server: whether it answers, and how it is asked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::attribute::Kind;
use super::counters::{Counters, Role, ServerStatus};
use super::crypto::{AUTHENTICATOR_LEN, Authenticator};
use super::limits::{SOCKETS_MAX, TIMEOUT_MAX, WAITING_MAX};
use super::packet::{Draft, Packet, TooLong};
use super::settings::Settings;
use super::socket::{Answer, IDENTIFIERS, Reservation, Socket, Verifier, lock};

/// A server that is asked one kind of thing.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    role: Role,
    settings: Arc<Settings>,
    random: SystemRandom,
    counters: Arc<Mutex<Counters>>,
    health: Mutex<Health>,
    sockets: Mutex<Vec<Arc<Socket>>>,
    /// One for each identifier of every socket there may be.
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    last_answer: Option<Instant>,
    /// Since it last answered it did not, and is passed over until then.
    down_until: Option<Instant>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It does not answer, or cannot be asked.
    Silent,
    /// The request does not fit a packet.
    TooLong,
}

impl From<TooLong> for Failure {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

impl Server {
    pub(super) fn new(address: SocketAddr, role: Role, settings: &Arc<Settings>) -> Arc<Self> {
        Arc::new(Self {
            address,
            role,
            settings: Arc::clone(settings),
            random: SystemRandom::new(),
            counters: Arc::default(),
            health: Mutex::default(),
            sockets: Mutex::default(),
            places: Arc::new(Semaphore::new(SOCKETS_MAX.saturating_mul(IDENTIFIERS))),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Whether it is to be asked before others.
    pub(super) fn is_up(&self) -> bool {
        let until = lock(&self.health).down_until;
        until.is_none_or(|until| until <= Instant::now())
    }

    /// How it is doing.
    pub(super) fn status(&self) -> ServerStatus {
        ServerStatus {
            address: self.address,
            role: self.role,
            is_up: self.is_up(),
            counters: *lock(&self.counters),
        }
    }

    /// It is asked in the place of another.
    pub(super) fn steps_in(&self) {
        self.count(|counters| &mut counters.failovers);
    }

    /// Asks, as often as the settings say; every try has the same octets
    /// (RFC 2865 §2.5), so that the server knows it for a repeat.
    pub(super) async fn exchange(&self, draft: &Draft) -> Result<Answer, Failure> {
        let Some(place) = self.place().await else {
            self.count(|counters| &mut counters.overflows);
            return Err(Failure::Silent);
        };
        let reserved = self.random().and_then(|random| {
            let (address, reservation) = self.reserve(place)?;
            Ok((random, address, reservation))
        });
        let Ok((random, address, reservation)) = reserved else {
            self.count(|counters| &mut counters.unsent);
            return Err(Failure::Silent);
        };
        let octets = self.encode(draft, address, reservation.identifier, random)?;
        let packet = Packet::decode(&octets).map_err(|_| Failure::TooLong)?;
        let mut answer = reservation.expect(packet.authenticator);
        let (begin, before) = (Instant::now(), *lock(&self.counters));
        let mut wait = self.settings.timeout;
        for repeat in 0..self.settings.tries {
            self.count(|counters| match repeat {
                0 => &mut counters.requests,
                _ => &mut counters.retransmissions,
            });
            reservation.send(&octets).await;
            if let Ok(Ok(answer)) = timeout(self.jitter(wait), &mut answer).await {
                reservation.answered();
                self.answered();
                return Ok(answer);
            }
            wait = wait.saturating_mul(2).min(TIMEOUT_MAX);
        }
        self.count(|counters| &mut counters.timeouts);
        self.silent_since(begin, &before);
        Err(Failure::Silent)
    }

    /// The request with what depends on the way to the server.
    fn encode(
        &self,
        draft: &Draft,
        address: Option<IpAddr>,
        identifier: u8,
        random: Authenticator,
    ) -> Result<Vec<u8>, TooLong> {
        let mut draft = draft.clone();
        match address {
            Some(IpAddr::V4(address)) => draft.push(Kind::NAS_IP_ADDRESS, &address.octets())?,
            Some(IpAddr::V6(address)) => draft.push(Kind::NAS_IPV6_ADDRESS, &address.octets())?,
            None => {}
        }
        let secret = self.settings.secret.expose();
        Ok(match self.role {
            Role::Authentication => draft.request(identifier, random, secret),
            Role::Accounting => draft.computed(identifier, secret),
        })
    }

    /// Waits for an identifier to be free; `None` if too many wait.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let places = Arc::clone(&self.places);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            return Some(place);
        }
        let _waiting = Waiting::enter(&self.waiting)?;
        places.acquire_owned().await.ok()
    }

    /// An identifier of a socket that has one, or of a new socket.
    fn reserve(
        &self,
        mut place: OwnedSemaphorePermit,
    ) -> io::Result<(Option<IpAddr>, Reservation)> {
        let mut sockets = lock(&self.sockets);
        for socket in sockets.iter() {
            match socket.reserve(place) {
                Ok(reservation) => return Ok((socket.address(), reservation)),
                Err(back) => place = back,
            }
        }
        let verifier = Verifier {
            role: self.role,
            secret: Arc::clone(&self.settings.secret),
            counters: Arc::clone(&self.counters),
        };
        let socket = Socket::open(self.address, self.settings.source_address, verifier);
        let socket = socket.inspect_err(|error| {
            let (server, table) = (self.address, &self.settings.name);
            warn!(%server, table, %error, "RADIUS server cannot be reached");
        })?;
        sockets.push(Arc::clone(&socket));
        let reserved = socket.reserve(place);
        let reservation = reserved.map_err(|_| io::Error::other("no identifier"))?;
        Ok((socket.address(), reservation))
    }

    fn random(&self) -> io::Result<Authenticator> {
        let mut random = [0; AUTHENTICATOR_LEN];
        let filled = self.random.fill(&mut random);
        filled.map_err(|_| io::Error::other("no random numbers"))?;
        Ok(random)
    }

    /// `timeout`, give or take a tenth, so that what began together does not go on
    /// together (RFC 5080 §2.2.1).
    fn jitter(&self, timeout: Duration) -> Duration {
        let mut random = [0; 1];
        // Without randomness nothing would have been sent.
        let _ = self.random.fill(&mut random);
        let [random] = random;
        let share = |time: Duration, of| time.checked_div(of).unwrap_or_default();
        let span = share(timeout, 5);
        let part = share(span.saturating_mul(random.into()), u8::MAX.into());
        timeout.saturating_sub(share(span, 2)).saturating_add(part)
    }

    fn answered(&self) {
        let mut health = lock(&self.health);
        health.last_answer = Some(Instant::now());
        if health.down_until.take().is_some() {
            let (server, table) = (self.address, &self.settings.name);
            info!(%server, table, "RADIUS server answers again");
        }
    }

    /// Passes it over for a while, unless it has answered somebody else meanwhile.
    fn silent_since(&self, begin: Instant, before: &Counters) {
        let mut health = lock(&self.health);
        if health.last_answer.is_some_and(|last| last >= begin) {
            return;
        }
        let until = Instant::now().checked_add(self.settings.dead_time);
        if std::mem::replace(&mut health.down_until, until).is_none() {
            let (server, table) = (self.address, &self.settings.name);
            let hint = self.remedy(before);
            warn!(%server, table, hint, "RADIUS server does not answer");
        }
        // The address they are bound to may be gone: the next request opens others.
        lock(&self.sockets).clear();
    }

    /// What to do about silence, as what was dropped since `before` says.
    fn remedy(&self, before: &Counters) -> &'static str {
        let now = lock(&self.counters);
        if now.dropped_unsigned > before.dropped_unsigned {
            "it does answer, but without Message-Authenticator: update it, or have it send one \
             (FreeRADIUS: `eap` in `Post-Auth-Type REJECT`)"
        } else if now.dropped_unauthentic > before.dropped_unauthentic {
            "it does answer, but with another secret: give it the one of this table"
        } else {
            "look whether it runs, knows this gateway by this address, and has the same secret"
        }
    }

    fn count(&self, counter: impl FnOnce(&mut Counters) -> &mut u64) {
        let mut counters = lock(&self.counters);
        let counter = counter(&mut counters);
        *counter = counter.saturating_add(1);
    }
}

/// Somebody in the queue for an identifier.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(waiting);
        (before < WAITING_MAX).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
