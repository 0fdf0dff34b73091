//! Answers questions, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ikexdp_proto::event::ChildSummary;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::ack::Ack;
use super::inform::Inform;
use super::limits::{PACKET_LEN_MAX, PERIOD, QUESTIONS_MAX, RECEIVE_PAUSE, TURN, TURN_PAUSE};
use super::routes::{carries, routes};
use super::socket::{OpenError, Socket, Way};
use super::{Counters, Scope};

/// Who has an address.
#[derive(Clone, Debug)]
pub struct Client {
    /// The connection that it is of.
    pub connection: String,
    /// Its CHILD SAs.
    pub children: Vec<ChildSummary>,
}

/// Where questions are answered.
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    scopes: Vec<Scope>,
    counters: Arc<Counters>,
}

impl Server {
    /// Opens the socket, if there is anything to answer; to be called in a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`OpenError`] if the system does not let us.
    pub fn open(scopes: &[Scope], counters: &Arc<Counters>) -> Result<Option<Self>, OpenError> {
        if scopes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            socket: Socket::open()?,
            scopes: scopes.to_vec(),
            counters: Arc::clone(counters),
        }))
    }

    /// Answers for ever. `find` tells the client that has an address.
    pub async fn serve<F>(&self, find: F) -> Infallible
    where
        F: AsyncFn(Ipv4Addr) -> Option<Client>,
    {
        let mut buffer = vec![0; PACKET_LEN_MAX];
        let mut questions = Questions::new(Instant::now());
        let mut complaints = Complaints::default();
        loop {
            for _ in 0..TURN {
                let Ok(packet) = self.socket.receive(&mut buffer).await else {
                    sleep(RECEIVE_PAUSE).await;
                    continue;
                };
                let answer = self.answer(packet, &mut questions, &find).await;
                let sent = answer.is_some_and(|answer| {
                    complaints.consider(&answer);
                    self.send(&answer, &mut complaints)
                });
                self.counters.count(sent);
            }
            sleep(TURN_PAUSE).await;
        }
    }

    /// `None` if the packet is nothing to answer.
    async fn answer<F>(
        &self,
        packet: &[u8],
        questions: &mut Questions,
        find: &F,
    ) -> Option<Answer<'_>>
    where
        F: AsyncFn(Ipv4Addr) -> Option<Client>,
    {
        let inform = match Inform::read(packet) {
            Ok(inform) => inform,
            Err(reason) => {
                debug!(%reason, "broadcast ignored");
                return None;
            }
        };
        let address = inform.client;
        if !questions.admit(Instant::now(), address) {
            return None;
        }
        let Some(client) = find(address).await else {
            debug!(%address, "DHCPINFORM ignored: no client has the address");
            return None;
        };
        let mut scopes = self.scopes.iter();
        let scope = scopes.find(|scope| scope.connection == client.connection)?;
        let mut children = client.children.iter();
        let Some(child) = children.find(|child| carries(child, scope.gateway, address)) else {
            debug!(%address, "DHCPINFORM ignored: no CHILD SA carries it and its answer");
            return None;
        };
        let ack = Ack::new(&inform, scope, &routes(child));
        Some(Answer {
            scope,
            address,
            ack,
        })
    }

    /// Whether it could be sent.
    fn send(&self, answer: &Answer<'_>, complaints: &mut Complaints) -> bool {
        let Answer {
            scope,
            address,
            ack,
        } = answer;
        let way = Way {
            from: scope.gateway,
            to: *address,
        };
        let sent = self.socket.send(&way, &ack.datagram(way.from, way.to));
        let Err(error) = sent else {
            debug!(%address, "DHCPINFORM answered");
            return true;
        };
        let connection = &scope.connection;
        if complaints.is_new("cannot send", connection) {
            warn!(connection, %address, gateway = %way.from, %error, "cannot send a DHCPACK");
        }
        false
    }
}

/// An answer, and to whom.
#[derive(Debug)]
struct Answer<'a> {
    scope: &'a Scope,
    address: Ipv4Addr,
    ack: Ack,
}

/// What has been said once, and need not be said of each client.
#[derive(Debug, Default)]
struct Complaints(BTreeSet<(&'static str, String)>);

impl Complaints {
    fn is_new(&mut self, kind: &'static str, connection: &str) -> bool {
        self.0.insert((kind, connection.to_owned()))
    }

    fn consider(&mut self, answer: &Answer<'_>) {
        let (connection, left_out) = (&answer.scope.connection, answer.ack.left_out);
        if left_out > 0 && self.is_new("does not fit", connection) {
            let hint = "have fewer, wider `local-networks`";
            warn!(
                connection,
                left_out, hint, "routes do not fit in a DHCPACK, and clients do not learn them"
            );
        }
    }
}

/// How often each address has asked in a period. An address takes part in it only once
/// its question has been read, of which there are not many in a period.
#[derive(Debug)]
struct Questions {
    begun: Instant,
    asked: BTreeMap<Ipv4Addr, u32>,
}

impl Questions {
    const fn new(now: Instant) -> Self {
        Self {
            begun: now,
            asked: BTreeMap::new(),
        }
    }

    /// Whether another question of `address` is to be looked into.
    fn admit(&mut self, now: Instant, address: Ipv4Addr) -> bool {
        if now.saturating_duration_since(self.begun) >= PERIOD {
            *self = Self::new(now);
        }
        let asked = self.asked.entry(address).or_default();
        *asked = asked.saturating_add(1);
        *asked <= QUESTIONS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_asks_too_often_keeps_no_other_from_asking() {
        let begin = Instant::now();
        let mut questions = Questions::new(begin);
        let [one, other] = [1, 2].map(|last| Ipv4Addr::new(10, 9, 0, last));
        let admitted = (0..100).filter(|_| questions.admit(begin, one)).count();
        assert_eq!(u32::try_from(admitted), Ok(QUESTIONS_MAX));
        assert!(questions.admit(begin, other));
        assert!(!questions.admit(begin + PERIOD / 2, one));
        assert!(questions.admit(begin + PERIOD, one));
        assert_eq!(questions.asked.len(), 1);
    }
}
