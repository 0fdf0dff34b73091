//! Requests to end sessions (RFC 5176).

mod answers;
mod request;
mod selector;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

pub use self::selector::Selector;

use self::answers::Answers;
use self::request::{ErrorCause, Unfit, Verdict};
use super::counters::tally;
use super::limits::{DISCONNECT_TIME_MAX, PACKET_LEN_MAX, RECEIVE_PAUSE};
use super::packet::Packet;
use super::settings::{DisconnectSettings, Settings};
use super::socket::lock;
use crate::clock::unix_time;

/// Why nobody can ask us to end sessions.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen for Disconnect-Requests on {address}; hint: see who has the port with \
     `ss -lunp`, or set `radius.disconnect.listen`"
)]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

tally! {
    /// What came of requests to end sessions.
    pub struct DisconnectCounters {
        /// Requests to end sessions that were answered, without repeats.
        pub requests,
        /// Requests that ended a session.
        pub acknowledged,
        /// Requests that were refused, or were for nobody.
        pub refused,
        /// Repeats, answered as the first time.
        pub repeats,
        /// Requests thrown away: from an address that may not ask.
        pub dropped_strangers,
        /// Requests thrown away: no packets, or not such.
        pub dropped_malformed,
        /// Requests thrown away: an authenticator is wrong or missing.
        pub dropped_unauthentic,
        /// Requests thrown away: too old, or of the future.
        pub dropped_stale,
    }
}

/// Where requests to end sessions come to.
#[derive(Debug)]
pub struct Disconnections {
    socket: StdSocket,
    settings: Arc<Settings>,
    disconnect: DisconnectSettings,
    counters: Arc<Mutex<DisconnectCounters>>,
}

impl Disconnections {
    /// Opens the socket, if the table wants one.
    ///
    /// # Errors
    /// [`ListenError`] if the address is not ours, or somebody else has the port.
    pub fn open(settings: &Arc<Settings>) -> Result<Option<Self>, ListenError> {
        let Some(disconnect) = settings.disconnect.clone() else {
            return Ok(None);
        };
        let address = disconnect.listen;
        let open = || {
            let socket = StdSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| ListenError { address, source })?;
        Ok(Some(Self {
            socket,
            settings: Arc::clone(settings),
            disconnect,
            counters: Arc::default(),
        }))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`io::Error`] if the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The table whose servers may ask.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.settings.name
    }

    /// What came of requests so far.
    #[must_use]
    pub fn counters(&self) -> DisconnectCounters {
        *lock(&self.counters)
    }

    /// Answers requests, one after the other, for ever; to be called in a tokio
    /// runtime. `disconnect` ends all sessions that the selector selects, and says
    /// how many.
    ///
    /// # Errors
    /// [`io::Error`] if the runtime cannot watch the socket.
    pub async fn serve<D, F>(&self, disconnect: D) -> io::Result<Infallible>
    where
        D: Fn(Selector) -> F,
        F: Future<Output = usize>,
    {
        let socket = UdpSocket::from_std(self.socket.try_clone()?)?;
        let mut answers = Answers::default();
        let mut buffer = vec![0; PACKET_LEN_MAX.saturating_add(1)];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                sleep(RECEIVE_PAUSE).await;
                continue;
            };
            let datagram = buffer.get(..length).unwrap_or_default();
            if let Some(answer) = self.answer(from, datagram, &mut answers, &disconnect).await {
                // If it is lost, the request comes again.
                let _ = socket.send_to(&answer, from).await;
            }
        }
    }

    async fn answer<D, F>(
        &self,
        from: SocketAddr,
        datagram: &[u8],
        answers: &mut Answers,
        disconnect: &D,
    ) -> Option<Vec<u8>>
    where
        D: Fn(Selector) -> F,
        F: Future<Output = usize>,
    {
        let packet = match self.read(from, datagram) {
            Ok(packet) => packet,
            Err(unfit) => {
                self.count(|counters| match unfit {
                    Unfit::Stranger => &mut counters.dropped_strangers,
                    Unfit::Malformed => &mut counters.dropped_malformed,
                    Unfit::Unauthentic => &mut counters.dropped_unauthentic,
                    Unfit::Stale => &mut counters.dropped_stale,
                });
                return None;
            }
        };
        let now = Instant::now();
        let name = (from.ip(), packet.identifier, packet.authenticator);
        if let Some(answer) = answers.find(now, &name) {
            self.count(|counters| &mut counters.repeats);
            return Some(answer.to_vec());
        }
        let (table, nas) = (&self.settings.name, &self.settings.nas_identifier);
        let verdict = match request::selected(&packet, table, nas) {
            Ok(selector) => self.disconnect(from, selector, disconnect).await,
            Err(cause) => Verdict::Refused(cause),
        };
        self.count(|counters| &mut counters.requests);
        self.count(|counters| match verdict {
            Verdict::Done => &mut counters.acknowledged,
            Verdict::Refused(_) => &mut counters.refused,
        });
        let answer = request::answer(&packet, verdict, self.settings.secret.expose())?;
        answers.keep(now, name, answer.clone());
        Some(answer)
    }

    /// The packet, if somebody sent it who may.
    fn read<'a>(&self, from: SocketAddr, datagram: &'a [u8]) -> Result<Packet<'a>, Unfit> {
        let address = from.ip().to_canonical();
        if !self.disconnect.clients.contains(&address) {
            return Err(Unfit::Stranger);
        }
        let now = unix_time().as_secs();
        let secret = self.settings.secret.expose();
        let is_signed = self.disconnect.require_message_authenticator;
        request::verify(datagram, secret, Duration::from_secs(now), is_signed)
    }

    async fn disconnect<D, F>(
        &self,
        from: SocketAddr,
        selector: Selector,
        disconnect: &D,
    ) -> Verdict
    where
        D: Fn(Selector) -> F,
        F: Future<Output = usize>,
    {
        let (client, table) = (from, &self.settings.name);
        let whom = selector.to_string();
        match timeout(DISCONNECT_TIME_MAX, disconnect(selector)).await {
            Ok(0) => Verdict::Refused(ErrorCause::SESSION_CONTEXT_NOT_FOUND),
            Ok(sessions) => {
                info!(%client, table, sessions, "Disconnect-Request for {whom}");
                Verdict::Done
            }
            Err(_) => Verdict::Refused(ErrorCause::RESOURCES_UNAVAILABLE),
        }
    }

    fn count(&self, counter: impl FnOnce(&mut DisconnectCounters) -> &mut u64) {
        let mut counters = lock(&self.counters);
        let counter = counter(&mut counters);
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
