//! Accounting records on their way to a server.
//!
//! They wait in memory while no server takes them. Of a session they go in order,
//! one after the other; those of different sessions go side by side.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::attribute::Kind;
use super::counters::ServerStatus;
use super::limits::{
    RECORD_PAUSE, RECORDS_MAX, RECORDS_UNDER_WAY_MAX, REFUSALS_MAX, SETTLE_TIME_MAX,
};
use super::packet::{Code, Draft, TooLong};
use super::servers::{Servers, Unanswered};
use super::socket::lock;
use crate::clock::unix_time;

/// Acct-Session-Id: random, so that it is nobody else's after a restart either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub(super) u64);

impl SessionId {
    pub(super) fn random() -> Self {
        let mut random = [0; 8];
        // Keys were made from the same source a moment ago.
        let _ = SystemRandom::new().fill(&mut random);
        Self(u64::from_be_bytes(random))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Acct-Status-Type (RFC 2866 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Start,
    Stop,
    Interim,
    /// We begin: no session of before goes on.
    On,
    /// We end: no session goes on.
    Off,
}

impl Status {
    const fn number(self) -> u32 {
        match self {
            Self::Start => 1,
            Self::Stop => 2,
            Self::Interim => 3,
            Self::On => 7,
            Self::Off => 8,
        }
    }

    /// The beginning of a record of now.
    pub(super) fn draft(self, id: SessionId) -> Result<Draft, TooLong> {
        let mut draft = Draft::unsigned(Code::ACCOUNTING_REQUEST);
        draft.push_number(Kind::ACCT_STATUS_TYPE, self.number())?;
        draft.push(Kind::ACCT_SESSION_ID, id.to_string().as_bytes())?;
        let now = u32::try_from(unix_time().as_secs()).unwrap_or(u32::MAX);
        draft.push_number(Kind::EVENT_TIMESTAMP, now)?;
        Ok(draft)
    }
}

/// Something that a server is to write down.
#[derive(Debug)]
pub(super) struct Record {
    /// The session that it is about; all of them if there is none.
    session: Option<SessionId>,
    status: Status,
    draft: Draft,
    made: Instant,
}

impl Record {
    pub(super) fn new(session: Option<SessionId>, status: Status, draft: Draft) -> Self {
        Self {
            session,
            status,
            draft,
            made: Instant::now(),
        }
    }

    /// What goes to a server at this moment (RFC 2866 §5.2).
    fn draft(&self) -> Result<Draft, TooLong> {
        let mut draft = self.draft.clone();
        let delay = u32::try_from(self.made.elapsed().as_secs()).unwrap_or(u32::MAX);
        draft.push_number(Kind::ACCT_DELAY_TIME, delay)?;
        Ok(draft)
    }
}

/// The records of a table.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The table, for the log.
    name: String,
    servers: Servers,
    book: Mutex<Book>,
    /// A record was added.
    added: Notify,
    /// There is none left.
    settled: Notify,
}

/// A record that holds up others is not sent any more.
struct GivenUp;

#[derive(Debug, Default)]
struct Book {
    waiting: VecDeque<Record>,
    /// Sessions of which a record is being sent.
    under_way: BTreeSet<Option<SessionId>>,
    /// Sessions of which an interim record waits.
    interim: BTreeSet<Option<SessionId>>,
    /// How often no server took a record about all sessions, for which others waited.
    refusals: u32,
    /// Somebody sends them.
    is_worked_on: bool,
    /// The last attempt found no server.
    is_stuck: bool,
    lost: u64,
}

impl Ledger {
    pub(super) fn new(name: String, servers: Servers) -> Self {
        Self {
            name,
            servers,
            book: Mutex::default(),
            added: Notify::new(),
            settled: Notify::new(),
        }
    }

    /// How its servers are doing.
    pub(super) fn status(&self) -> impl Iterator<Item = ServerStatus> {
        self.servers.status()
    }

    /// Records that no server has taken yet, and those that none ever will.
    pub(super) fn waiting_and_lost(&self) -> (usize, u64) {
        let book = lock(&self.book);
        let under_way = book.under_way.len();
        (book.waiting.len().saturating_add(under_way), book.lost)
    }

    /// Has a record sent; whoever calls does not wait.
    pub(super) fn add(self: &Arc<Self>, runtime: &Handle, record: Record) {
        let mut book = lock(&self.book);
        let is_first = book.lost == 0;
        book.push(record);
        if is_first && book.lost > 0 {
            let (table, hint) = (&self.name, "look after the servers");
            warn!(
                table,
                hint, "too many accounting records wait; some are lost"
            );
        }
        if std::mem::replace(&mut book.is_worked_on, true) {
            self.added.notify_one();
        } else {
            drop(runtime.spawn(Arc::clone(self).work()));
        }
    }

    /// Waits until all records are taken, but not for long; how many are not.
    pub(super) async fn settle(&self) -> usize {
        let all = async {
            loop {
                // Before the look, so that what happens after it is not missed.
                let settled = self.settled.notified();
                if self.waiting_and_lost().0 == 0 {
                    return;
                }
                settled.await;
            }
        };
        let _ = timeout(SETTLE_TIME_MAX, all).await;
        self.waiting_and_lost().0
    }

    /// Sends records until there are none.
    async fn work(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < RECORDS_UNDER_WAY_MAX
                && let Some(record) = self.next()
            {
                under_way.spawn(Arc::clone(&self).send(record));
            }
            if under_way.is_empty() && self.rest() {
                return;
            }
            tokio::select! {
                Some(sent) = under_way.join_next() => {
                    if !sent.unwrap_or(false) {
                        sleep(RECORD_PAUSE).await;
                        // What has failed meanwhile has waited as well.
                        while under_way.try_join_next().is_some() {}
                    }
                }
                () = self.added.notified() => {}
            }
        }
    }

    fn next(&self) -> Option<Record> {
        lock(&self.book).next()
    }

    /// Whether there is nothing to do; then whoever asks must end.
    fn rest(&self) -> bool {
        let mut book = lock(&self.book);
        book.is_worked_on = !book.waiting.is_empty();
        !book.is_worked_on
    }

    /// Whether a server has taken the record; if not it waits again.
    async fn send(self: Arc<Self>, record: Record) -> bool {
        let sent = self.servers.exchange(&|| record.draft()).await;
        let mut book = lock(&self.book);
        book.under_way.remove(&record.session);
        let table = &self.name;
        match sent {
            Ok(_) => {
                if std::mem::take(&mut book.is_stuck) {
                    info!(table, "accounting records are taken again");
                }
            }
            Err(Unanswered::TooLong) => book.lost = book.lost.saturating_add(1),
            Err(Unanswered::Silent(_)) => {
                if !std::mem::replace(&mut book.is_stuck, true) {
                    warn!(table, "no server takes accounting records; they wait");
                }
                if book.put_back(record).is_err() {
                    let hint = "it may show sessions of before as if they went on";
                    warn!(table, hint, "no server takes that accounting begins");
                }
                return false;
            }
        }
        if book.waiting.is_empty() && book.under_way.is_empty() {
            self.settled.notify_waiters();
        }
        true
    }
}

impl Book {
    fn push(&mut self, record: Record) {
        // A later record of a session says more than an interim one.
        if self.interim.remove(&record.session) {
            self.waiting.retain(|waiting| {
                waiting.session != record.session || waiting.status != Status::Interim
            });
        }
        if self.waiting.len() >= RECORDS_MAX {
            self.lose_one();
        }
        if record.status == Status::Interim {
            self.interim.insert(record.session);
        }
        self.waiting.push_back(record);
    }

    /// Gives up the record that is worth least: the oldest interim one, or else the
    /// oldest.
    fn lose_one(&mut self) {
        let mut waiting = self.waiting.iter();
        let interim = waiting.position(|record| record.status == Status::Interim);
        if let Some(lost) = self.waiting.remove(interim.unwrap_or(0)) {
            if interim.is_some() {
                self.interim.remove(&lost.session);
            }
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// The oldest record of a session of which none is being sent. One about all
    /// sessions goes after all before it, and before all behind it.
    fn next(&mut self) -> Option<Record> {
        let is_barred = self.under_way.contains(&None);
        let mut waiting = self.waiting.iter().take_while(|_| !is_barred);
        let place = waiting.position(|record| {
            record.session.is_none() || !self.under_way.contains(&record.session)
        })?;
        let is_about_all = self.waiting.get(place)?.session.is_none();
        if is_about_all && (place > 0 || !self.under_way.is_empty()) {
            return None;
        }
        let record = self.waiting.remove(place)?;
        if record.status == Status::Interim {
            self.interim.remove(&record.session);
        }
        self.under_way.insert(record.session);
        Some(record)
    }

    /// It is the oldest of its session still; one that is interim is worth nothing
    /// if there is a later one.
    ///
    /// # Errors
    /// [`GivenUp`] if others have waited for it in vain: a server may not know such
    /// a record, and take those.
    fn put_back(&mut self, record: Record) -> Result<(), GivenUp> {
        if record.session.is_none() && !self.waiting.is_empty() {
            self.refusals = self.refusals.saturating_add(1);
            if self.refusals >= REFUSALS_MAX {
                self.lost = self.lost.saturating_add(1);
                return Err(GivenUp);
            }
        }
        let mut waiting = self.waiting.iter();
        let is_interim = record.status == Status::Interim;
        if is_interim && waiting.any(|later| later.session == record.session) {
            return Ok(());
        }
        if is_interim {
            self.interim.insert(record.session);
        }
        self.waiting.push_front(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Session 0 is all of them.
    fn record(session: u64, status: Status) -> Record {
        let draft = Draft::unsigned(Code::ACCOUNTING_REQUEST);
        let session = (session > 0).then_some(SessionId(session));
        Record::new(session, status, draft)
    }

    fn book(records: &[(u64, Status)]) -> Book {
        let mut book = Book::default();
        for (session, status) in records {
            book.push(record(*session, *status));
        }
        book
    }

    fn drain(book: &mut Book) -> Vec<(u64, Status)> {
        std::iter::from_fn(|| book.next())
            .map(|record| (record.session.map_or(0, |id| id.0), record.status))
            .collect()
    }

    #[test]
    fn records_of_a_session_go_one_after_the_other() {
        use Status::{Start, Stop};
        let mut book = book(&[(1, Start), (1, Stop), (2, Start)]);
        assert_eq!(drain(&mut book), [(1, Start), (2, Start)]);
        book.under_way.remove(&Some(SessionId(1)));
        assert_eq!(drain(&mut book), [(1, Stop)]);
    }

    #[test]
    fn a_later_record_replaces_an_interim_one() {
        use Status::{Interim, Start, Stop};
        let mut book = book(&[
            (1, Start),
            (2, Interim),
            (1, Interim),
            (1, Interim),
            (1, Stop),
        ]);
        assert_eq!(drain(&mut book), [(1, Start), (2, Interim)]);
        let waiting: Vec<_> = book.waiting.iter().map(|it| it.status).collect();
        assert_eq!(waiting, [Stop]);
        book.push(record(2, Stop));
        book.under_way.clear();
        assert!(book.put_back(record(2, Interim)).is_ok());
        assert_eq!(drain(&mut book), [(1, Stop), (2, Stop)]);
    }

    #[test]
    fn what_was_not_taken_goes_first_again() {
        use Status::{Start, Stop};
        let mut book = book(&[(1, Start), (1, Stop)]);
        let first = book.next().unwrap();
        book.under_way.clear();
        assert!(book.put_back(first).is_ok());
        assert_eq!(book.next().unwrap().status, Start);
        assert!(book.next().is_none());
    }

    #[test]
    fn too_many_records_cost_the_least_worth_first() {
        let mut book = Book::default();
        book.push(record(1, Status::Start));
        book.push(record(2, Status::Interim));
        for session in 3..RECORDS_MAX as u64 + 2 {
            book.push(record(session, Status::Start));
        }
        assert_eq!((book.waiting.len(), book.lost), (RECORDS_MAX, 1));
        assert_eq!(book.waiting[0].session, Some(SessionId(1)));
        assert_eq!(book.waiting[1].session, Some(SessionId(3)));
        book.push(record(1, Status::Stop));
        assert_eq!((book.waiting.len(), book.lost), (RECORDS_MAX, 2));
        assert_eq!(book.waiting[0].session, Some(SessionId(3)));
        assert!(book.interim.is_empty());
    }

    #[test]
    fn a_record_about_all_sessions_goes_between_those_before_and_behind() {
        use Status::{Interim, Off, On, Start, Stop};
        let mut book = book(&[(0, On), (1, Start), (2, Start), (1, Stop), (0, Off)]);
        assert_eq!(drain(&mut book), [(0, On)]);
        book.under_way.clear();
        assert_eq!(drain(&mut book), [(1, Start), (2, Start)]);
        book.under_way.remove(&Some(SessionId(1)));
        assert_eq!(drain(&mut book), [(1, Stop)]);
        book.under_way.remove(&Some(SessionId(2)));
        assert_eq!(drain(&mut book), []);
        book.under_way.clear();
        book.push(record(3, Interim));
        assert_eq!(drain(&mut book), [(0, Off)]);
    }

    /// Nobody may lose all accounting by a server that takes no such record.
    #[test]
    fn a_record_about_all_sessions_holds_up_others_for_a_while_only() {
        use Status::{On, Start};
        let refuse = |book: &mut Book| {
            let record = book.next().unwrap();
            assert_eq!(record.status, On);
            book.under_way.clear();
            book.put_back(record).is_err()
        };
        let mut book = book(&[(0, On)]);
        for _ in 0..10 * REFUSALS_MAX {
            assert!(!refuse(&mut book), "nobody waits");
        }
        book.push(record(1, Start));
        for refusal in 1..=REFUSALS_MAX {
            assert_eq!(refuse(&mut book), refusal == REFUSALS_MAX);
        }
        assert_eq!((drain(&mut book), book.lost), (vec![(1, Start)], 1));
    }
}
