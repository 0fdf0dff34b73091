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
    /// It asks whether the gateway lives.
    Probe(IkeSaId),
}

/// The clients of one thread.
#[derive(Debug)]
pub(super) struct Fleet {
    load: Load,
    thread: usize,
    /// How long an exchange may take.
    exchange: Duration,
    /// How often who holds its SA asks for life.
    liveness: Option<Duration>,
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
struct Course {
    phase: Phase,
    turns: Turns,
    under_way: usize,
    /// When who must have come to an end that began then, in this order.
    patience: VecDeque<(Instant, Instant, usize)>,
    /// Until when it is waited for the last answers, once all have come to an end.
    last_answers: Option<Instant>,
}

/// Whose turn it is.
#[derive(Debug)]
enum Turns {
    /// Everybody's, once.
    Once {
        pace: Pace,
        /// The place of the next who may begin.
        next: usize,
    },
    /// Until then everybody's, after every interval.
    Again {
        until: Instant,
        interval: Duration,
        /// When it is whose turn, in this order.
        queue: VecDeque<(Instant, usize)>,
    },
}

impl Turns {
    /// Of `clients` who ask after every `interval`, spread over it.
    fn again(clients: usize, interval: Option<Duration>, (now, until): (Instant, Instant)) -> Self {
        let each = u32::try_from(clients).unwrap_or(u32::MAX);
        let step = interval.and_then(|it| it.checked_div(each));
        let places = (0..clients).zip(0_u32..);
        let turn = |(place, number)| Some((now + step?.saturating_mul(number), place));
        Self::Again {
            until,
            interval: interval.unwrap_or_default(),
            queue: places.filter_map(turn).collect(),
        }
    }
}

impl Course {
    /// The next whose turn it is by now, and since when.
    fn turn(&mut self, now: Instant) -> Option<(Instant, usize)> {
        match &mut self.turns {
            Turns::Once { pace, next } => {
                let due = pace.due(now, self.under_way).filter(|due| *due <= now)?;
                let place = *next;
                *next = next.saturating_add(1);
                Some((due, place))
            }
            Turns::Again {
                until,
                interval,
                queue,
            } => {
                let (due, place) = queue.pop_front_if(|(due, _)| *due <= now && *due < *until)?;
                queue.push_back((due + *interval, place));
                Some((due, place))
            }
        }
    }

    /// When it is the next one's turn of so many clients, or nobody's any more.
    fn due(&self, now: Instant, clients: usize) -> Option<Instant> {
        match &self.turns {
            Turns::Once { pace, next } if *next < clients => pace.due(now, self.under_way),
            Turns::Once { .. } => None,
            Turns::Again { until, queue, .. } => {
                let next = queue.front().map(|(due, _)| *due);
                (*until > now).then(|| next.map_or(*until, |next| next.min(*until)))
            }
        }
    }

    /// Whether everybody has had a turn, and come to an end.
    fn is_done(&self, now: Instant, clients: usize) -> bool {
        self.under_way == 0
            && match &self.turns {
                Turns::Once { next, .. } => *next >= clients,
                Turns::Again { until, .. } => *until <= now,
            }
    }
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
            liveness: plan.liveness,
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
        let turns = match phase {
            Phase::Hold(time) => {
                self.record.extend(now, now + time);
                Turns::again(self.clients.len(), self.liveness, (now, now + time))
            }
            Phase::Connect | Phase::Rekey | Phase::Delete => Turns::Once {
                pace: self.load.pace(self.thread, threads, now),
                next: 0,
            },
        };
        self.course = Some(Course {
            phase,
            turns,
            under_way: 0,
            patience: VecDeque::new(),
            last_answers: None,
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
        let Some(course) = &mut self.course else {
            return Ok(None);
        };
        if !self.is_stopped {
            if !course.is_done(now, self.clients.len()) {
                return Ok(None);
            }
            let until = *course.last_answers.get_or_insert(now + self.exchange);
            self.leaving.retain(|id| is_there(*id));
            if !self.leaving.is_empty() && now < until {
                return Ok(None);
            }
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
        let course = self.course.as_ref()?;
        let patience = course.patience.front().map(|(end, ..)| *end);
        let next = course.due(now, self.clients.len());
        let dues = [next, patience, course.last_answers];
        dues.into_iter().flatten().min()
    }

    /// The next whose time has come, and what it wants. It is under way from the moment
    /// at which it should have begun: a generator that is late does not hide it.
    pub(super) fn next(&mut self, now: Instant) -> Option<(usize, Wish)> {
        let course = self.course.as_mut()?;
        loop {
            let (due, place) = course.turn(now)?;
            let client = self.clients.get_mut(place)?;
            let wish = match (course.phase, client.sa) {
                (Phase::Connect, _) => Wish::Connect(client.number),
                (Phase::Rekey, Some(id)) => Wish::Rekey(id),
                (Phase::Delete, Some(id)) => Wish::Delete(id),
                (Phase::Hold(_), Some(id)) if client.since.is_none() => Wish::Probe(id),
                // Who has no SA, or waits for an answer, sits this one out.
                _ => continue,
            };
            if let Turns::Once { pace, .. } = &mut course.turns {
                pace.begin();
            }
            course.under_way = course.under_way.saturating_add(1);
            let timeout = self.exchange.saturating_mul(EXCHANGES);
            course.patience.push_back((due + timeout, due, place));
            client.since = Some(due);
            client.exchanged = Exchanged::default();
            self.record.begun = self.record.begun.saturating_add(1);
            self.record.extend(due, due);
            return Some((place, wish));
        }
    }

    /// Gives up on those of whom the engine says nothing.
    pub(super) fn give_up(&mut self, now: Instant) {
        while let Some(course) = &mut self.course
            && let Some((_, since, place)) = course.patience.pop_front_if(|(end, ..)| *end <= now)
        {
            // It may be about the next one already.
            let client = self.clients.get(place);
            if client.is_some_and(|client| client.since == Some(since)) {
                self.fail(place, now, NO_END);
            }
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
                    // The gateway may do so as well, while clients are about something else.
                    if self.is_in(|phase| phase == Phase::Rekey) {
                        self.succeed(place, now);
                    }
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

    fn is_in(&self, is: impl FnOnce(Phase) -> bool) -> bool {
        self.course.as_ref().is_some_and(|course| is(course.phase))
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

    /// A datagram came for the client at this place: it may be the answer to its question.
    pub(super) fn look_at_question(&mut self, now: Instant, place: usize, engine: &Endpoint) {
        let client = self.clients.get(place);
        if self.is_in(|phase| matches!(phase, Phase::Hold(_)))
            && let Some(id) = client.and_then(|client| client.since.and(client.sa))
            && !engine.is_asking(id)
        {
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
        let course = self.course.as_mut()?;
        let client = self.clients.get_mut(place)?;
        let since = client.since.take()?;
        course.under_way = course.under_way.saturating_sub(1);
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
