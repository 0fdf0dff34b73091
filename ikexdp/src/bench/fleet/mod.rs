//! The clients of one thread: who is about what, and what came of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use ikexdp_proto::Endpoint;
use ikexdp_proto::event::{CloseReason, Event};
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::IkeSaId;

use super::error::BenchError;
use super::line::Line;
use super::pace::{Load, Pace};
use super::plan::{Phase, Plan};
use super::record::{Exchanged, Record, count, name};

/// What an exchange that came to no end is called.
const TIMEOUT: &str = "timeout INFORMATIONAL";

/// What is called so that the engine has not told the end of.
const NO_END: &str = "no end";

/// How many times the time of one exchange a client has for all that it is about: a
/// handshake may be told twice to begin anew, and has seven exchanges itself with EAP.
const EXCHANGES: u32 = 10;

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It connects; its number.
    Connect(u32),
    /// It has its IKE SA replaced.
    Rekey(IkeSaId),
    /// It deletes its IKE SA.
    Delete(IkeSaId),
}

/// The clients of one thread.
#[derive(Debug)]
pub(super) struct Fleet {
    load: Load,
    thread: usize,
    /// How long an exchange may take.
    exchange: Duration,
    clients: Vec<Client>,
    /// Whose the IKE SAs are that are up.
    owners: HashMap<IkeSaId, usize>,
    /// Those that are being deleted.
    closing: BTreeMap<usize, IkeSaId>,
    /// Those that the gateway has been told are over, and may answer to: they were
    /// replaced, or refused.
    leaving: BTreeSet<IkeSaId>,
    course: Option<Course>,
    /// Whether nothing more is to be begun.
    is_stopped: bool,
    record: Record,
    /// Those that have succeeded and failed since somebody asked.
    news: (u64, u64),
}

#[derive(Debug)]
struct Client {
    number: u32,
    sa: Option<IkeSaId>,
    /// Since when it is about something.
    since: Option<Instant>,
    /// What it has exchanged since then.
    exchanged: Exchanged,
}

/// A phase under way.
#[derive(Debug)]
enum Course {
    /// Until then.
    Hold(Instant),
    Each {
        phase: Phase,
        pace: Pace,
        /// The place of the next who may begin.
        next: usize,
        under_way: usize,
        /// When who must have come to an end, in this order.
        patience: VecDeque<(Instant, usize)>,
        /// Until when it is waited for the last answers, once all have come to an end.
        last_answers: Option<Instant>,
    },
}

impl Fleet {
    /// Clients with these numbers.
    ///
    /// # Errors
    /// [`BenchError`] if there is no memory for what they do.
    pub(super) fn new(
        plan: &Plan,
        thread: usize,
        numbers: impl Iterator<Item = u32>,
    ) -> Result<Self, BenchError> {
        let client = |number| Client {
            number,
            sa: None,
            since: None,
            exchanged: Exchanged::default(),
        };
        Ok(Self {
            load: plan.load,
            thread,
            exchange: plan.timeout,
            clients: numbers.map(client).collect(),
            owners: HashMap::new(),
            closing: BTreeMap::new(),
            leaving: BTreeSet::new(),
            course: None,
            is_stopped: false,
            record: Record::new()?,
            news: (0, 0),
        })
    }

    /// Begins a phase, of which other threads do their shares.
    pub(super) fn begin_phase(&mut self, phase: Phase, threads: NonZeroUsize, now: Instant) {
        self.record.busy = Duration::ZERO;
        self.course = Some(match phase {
            Phase::Hold(time) => {
                self.record.extend(now, now + time);
                Course::Hold(now + time)
            }
            Phase::Connect | Phase::Rekey | Phase::Delete => Course::Each {
                phase,
                pace: self.load.pace(self.thread, threads, now),
                next: 0,
                under_way: 0,
                patience: VecDeque::new(),
                last_answers: None,
            },
        });
    }

    /// What was measured, if the phase is over: everybody has come to an end, and nothing
    /// of it will be answered in the next.
    ///
    /// # Errors
    /// [`BenchError`] if there is no memory for the next one.
    pub(super) fn conclude(
        &mut self,
        now: Instant,
        is_there: impl Fn(IkeSaId) -> bool,
    ) -> Result<Option<Record>, BenchError> {
        let is_over = match &mut self.course {
            None => false,
            Some(_) if self.is_stopped => true,
            Some(Course::Hold(until)) => *until <= now,
            Some(Course::Each {
                next,
                under_way,
                last_answers,
                ..
            }) => {
                *under_way == 0 && *next >= self.clients.len() && {
                    let until = *last_answers.get_or_insert(now + self.exchange);
                    self.leaving.retain(|id| is_there(*id));
                    self.leaving.is_empty() || until <= now
                }
            }
        };
        if !is_over {
            return Ok(None);
        }
        self.course = None;
        self.leaving.clear();
        Ok(Some(std::mem::replace(&mut self.record, Record::new()?)))
    }

    /// Ends the phase under way, whoever is about something in it.
    pub(super) fn stop(&mut self, now: Instant) {
        self.is_stopped = true;
        self.record.stop(now);
        for client in &mut self.clients {
            client.since = None;
        }
    }

    /// When something is to be done if nothing comes earlier.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        match &self.course {
            None => None,
            Some(Course::Hold(until)) => Some(*until),
            Some(Course::Each {
                pace,
                next,
                under_way,
                patience,
                last_answers,
                ..
            }) => {
                let next = (*next < self.clients.len()).then(|| pace.due(now, *under_way));
                let patience = patience.front().map(|(end, _)| *end);
                let dues = [next.flatten(), patience, *last_answers];
                dues.into_iter().flatten().min()
            }
        }
    }

    /// The next whose time has come, and what it wants. It is under way from the moment
    /// at which it should have begun: a generator that is late does not hide it.
    pub(super) fn next(&mut self, now: Instant) -> Option<(usize, Wish)> {
        let Some(Course::Each {
            phase,
            pace,
            next,
            under_way,
            patience,
            ..
        }) = &mut self.course
        else {
            return None;
        };
        loop {
            let place = *next;
            let client = self.clients.get_mut(place)?;
            let due = pace.due(now, *under_way).filter(|due| *due <= now)?;
            *next = next.saturating_add(1);
            let wish = match (*phase, client.sa) {
                (Phase::Connect, _) => Wish::Connect(client.number),
                (Phase::Rekey, Some(id)) => Wish::Rekey(id),
                (Phase::Delete, Some(id)) => Wish::Delete(id),
                // Who has no SA sits this one out.
                _ => continue,
            };
            pace.begin();
            *under_way = under_way.saturating_add(1);
            let timeout = self.exchange.saturating_mul(EXCHANGES);
            patience.push_back((due + timeout, place));
            client.since = Some(due);
            client.exchanged = Exchanged::default();
            self.record.begun = self.record.begun.saturating_add(1);
            self.record.extend(due, due);
            return Some((place, wish));
        }
    }

    /// Gives up on those of whom the engine says nothing.
    pub(super) fn give_up(&mut self, now: Instant) {
        while let Some(Course::Each { patience, .. }) = &mut self.course
            && let Some((end, place)) = patience.front().copied()
            && end <= now
        {
            patience.pop_front();
            // Nobody begins twice in a phase.
            self.fail(place, now, NO_END);
        }
    }

    /// What happens to somebody.
    pub(super) fn hear(&mut self, now: Instant, event: &Event, line: &Line) {
        match event {
            Event::Established(up) => {
                if let Some(place) = line.place(up.path.local) {
                    self.record.suite = Some(up.suite);
                    self.own(place, up.id);
                    self.succeed(place, now);
                }
            }
            Event::HandshakeFailed(failure) => {
                if let Some(place) = line.place(failure.path.local) {
                    self.fail(place, now, &name(&failure.reason));
                }
                self.leaving.extend(failure.id);
            }
            Event::Rekeyed { id, new, .. } => {
                self.leaving.insert(*id);
                if let Some(place) = self.owners.remove(id) {
                    self.own(place, *new);
                    self.succeed(place, now);
                }
            }
            Event::RekeyRefused { id, reason } => {
                if let Some(place) = self.owners.get(id).copied() {
                    self.fail(place, now, &reason.to_string());
                }
            }
            Event::Closed { id, reason, .. } => self.closed(now, *id, *reason),
            Event::ChildRefused { .. } => {
                self.record.children_refused = self.record.children_refused.saturating_add(1);
            }
            Event::FragmentsLowered { .. } => {
                self.record.fragments_lowered = self.record.fragments_lowered.saturating_add(1);
            }
            _ => {}
        }
    }

    fn own(&mut self, place: usize, id: IkeSaId) {
        self.owners.insert(id, place);
        if let Some(client) = self.clients.get_mut(place) {
            client.sa = Some(id);
        }
    }

    fn closed(&mut self, now: Instant, id: IkeSaId, reason: CloseReason) {
        let Some(place) = self.owners.remove(&id) else {
            return;
        };
        if let Some(client) = self.clients.get_mut(place) {
            client.sa = None;
        }
        if reason == CloseReason::Terminated {
            // Its end is when the gateway has answered.
            self.closing.insert(place, id);
            return;
        }
        let reason = reason.to_string();
        if !self.fail(place, now, &reason) {
            count(&mut self.record.lost, &reason, 1);
        }
    }

    /// A datagram came for the client at this place: it may end its deletion.
    pub(super) fn look_at_deletion(&mut self, now: Instant, place: usize, engine: &Endpoint) {
        if let Some(id) = self.closing.get(&place)
            && engine.summary(*id).is_none()
        {
            self.closing.remove(&place);
            self.succeed(place, now);
        }
    }

    /// Time has passed: whose deletion is over now was not answered.
    pub(super) fn look_at_deletions(&mut self, now: Instant, engine: &Endpoint) {
        let closing = self.closing.iter();
        let over = closing.filter(|(_, id)| engine.summary(**id).is_none());
        let over: Vec<usize> = over.map(|(place, _)| *place).collect();
        for place in over {
            self.closing.remove(&place);
            self.fail(place, now, TIMEOUT);
        }
    }

    fn succeed(&mut self, place: usize, now: Instant) {
        if let Some((since, exchanged)) = self.end(place, now) {
            self.record.succeed(since, now, exchanged);
            self.news.0 = self.news.0.saturating_add(1);
        }
    }

    /// Returns whether it was about something.
    fn fail(&mut self, place: usize, now: Instant, reason: &str) -> bool {
        let is_about = self.end(place, now).is_some();
        if is_about {
            count(&mut self.record.failures, reason, 1);
            self.news.1 = self.news.1.saturating_add(1);
        }
        is_about
    }

    /// The client at this place is no longer about something, if it was.
    fn end(&mut self, place: usize, now: Instant) -> Option<(Instant, Exchanged)> {
        let Some(Course::Each { under_way, .. }) = &mut self.course else {
            return None;
        };
        let client = self.clients.get_mut(place)?;
        let since = client.since.take()?;
        *under_way = under_way.saturating_sub(1);
        self.record.extend(now, now);
        Some((since, client.exchanged))
    }

    /// The client at this place has sent an IP datagram of so many octets.
    pub(super) fn sent(&mut self, place: usize, octets: u64) {
        self.record.traffic.sent.count(octets);
        if let Some(client) = self.clients.get_mut(place) {
            client.exchanged.sent.count(octets);
        }
    }

    /// The client at this place has received an IP datagram of so many octets.
    pub(super) fn received(&mut self, place: usize, octets: u64) {
        self.record.traffic.received.count(octets);
        if let Some(client) = self.clients.get_mut(place) {
            client.exchanged.received.count(octets);
        }
    }

    /// Where datagrams are counted that did not leave.
    pub(super) const fn unsent(&mut self) -> &mut BTreeMap<String, u64> {
        &mut self.record.unsent
    }

    /// The thread had something to do for so long.
    pub(super) const fn busy(&mut self, time: Duration) {
        self.record.busy = self.record.busy.saturating_add(time);
    }

    /// How many have succeeded and failed since the last time.
    pub(super) fn take_news(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests;
