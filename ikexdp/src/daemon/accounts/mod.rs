//! Sessions of users whom somebody else has let in, who wants to hear what becomes
//! of them, and what they carry.

mod errand;
mod live;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ikexdp_proto::data_plane::DataPlaneEvent;
use ikexdp_proto::eap::Account;
use ikexdp_proto::event::{CloseReason, Event};
use ikexdp_proto::job::{Job, JobId, JobResult};
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::IkeSaId;

use self::errand::{Errand, Outcome};
use self::live::Live;
use crate::clock::Clock;
use crate::radius::{Selector, Session, SessionId, TerminateCause};

/// Sessions measured in a turn of the packet loop, so that they do not make
/// datagrams wait; those left over are in the next.
const MEASURED_MAX: usize = 32;

/// Those that are up, and those that are being counted up. The packet loop tells
/// what happens, the control plane asks who is there.
///
/// The kernel forgets what an SA has carried when it removes it. So a session has
/// ended when its IKE SA is closed and the last job is done that removes an SA of it.
#[derive(Debug)]
pub(super) struct Accounts {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<SessionId, Live>,
    /// Whose an IKE SA is.
    by_sa: BTreeMap<IkeSaId, SessionId>,
    /// Jobs that are out and tell what was carried.
    errands: BTreeMap<JobId, Errand>,
    /// When which session is to be measured.
    due: BTreeSet<(Instant, SessionId)>,
    /// Whether the daemon is told to end.
    leaving: bool,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            clock: Clock::start(),
            state: Mutex::default(),
        }
    }
}

impl Accounts {
    /// The clock that all times here are of.
    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Hears what has happened, and passes it on. Nobody is waited for.
    pub(super) fn hear(&self, now: Instant, event: &Event) {
        match event {
            Event::Established(sa) => {
                if let Some(account) = &sa.account {
                    self.state().begin(now, sa.id, account, &sa.addresses);
                }
            }
            Event::Rekeyed { id, new, .. } => self.state().rekey(*id, *new),
            Event::Closed { id, reason, .. } => self.state().close(now, *id, *reason),
            _ => {}
        }
    }

    /// Hears what the kernel says by itself of a CHILD SA of `sa`: one that it has given
    /// up tells no more.
    pub(super) fn hear_kernel(&self, sa: IkeSaId, event: &DataPlaneEvent) {
        let DataPlaneEvent::Expired {
            direction,
            hard: true,
            carried,
            ..
        } = *event
        else {
            return;
        };
        let mut state = self.state();
        let session = state.by_sa.get(&sa).copied();
        let live = session.and_then(|session| state.sessions.get_mut(&session));
        if let Some(live) = live {
            live.expired(direction, carried);
        }
    }

    /// A job is about to be handed to who does it.
    pub(super) fn submitted(&self, id: JobId, job: &Job) {
        let Some((account, kind)) = Errand::of(job) else {
            return;
        };
        let mut state = self.state();
        // Before the IKE SA is up there is no session.
        let session = Session::of(account).map(|session| session.id());
        let live = session.and_then(|session| state.sessions.get_mut(&session));
        if let Some(errand) = live.map(|live| live.begin_errand(kind)) {
            state.errands.insert(id, errand);
        }
    }

    /// A job is done, or nobody could do it.
    pub(super) fn done(&self, now: Instant, id: JobId, result: &JobResult) {
        let mut state = self.state();
        let Some(errand) = state.errands.remove(&id) else {
            return;
        };
        let session = errand.session;
        let Some(live) = state.sessions.get_mut(&session) else {
            return;
        };
        match errand.outcome(result) {
            Outcome::Removed(volume) => live.removed(volume),
            Outcome::Measured(volume) => live.measured(now, volume),
        }
        state.settle(session);
    }

    /// The next time that somebody is [`Self::due`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state().due.first().map(|(due, _)| *due)
    }

    /// IKE SAs whose sessions are to be measured now, some of them, and not again
    /// before their interval is over.
    pub(super) fn due(&self, now: Instant) -> Vec<IkeSaId> {
        self.state().due(now)
    }

    /// The daemon is told to end. To be called before its IKE SAs are.
    pub(super) fn leave(&self) {
        self.state().leaving = true;
    }

    /// IKE SAs that are up and have a session.
    pub(super) fn sas(&self) -> Vec<IkeSaId> {
        self.state().by_sa.keys().copied().collect()
    }

    /// Whether somebody has yet to tell what was carried.
    pub(super) fn is_owed(&self) -> bool {
        !self.state().errands.is_empty()
    }

    /// The daemon ends, and with it those that are left: their peers have not
    /// answered, or were not told.
    pub(super) fn finish(&self, now: Instant) {
        for mut live in std::mem::take(&mut *self.state()).sessions.into_values() {
            live.close(now, TerminateCause::ADMIN_REBOOT);
            live.stop();
        }
    }

    /// Those that a request to disconnect is about.
    pub(super) fn selected(&self, selector: &Selector) -> Vec<IkeSaId> {
        let state = self.state();
        let of_sa = |session| state.sessions.get(session);
        let fits = |live: &Live| selector.selects(&live.session, &live.addresses);
        let all = state.by_sa.iter();
        let fitting = all.filter(|(_, session)| of_sa(session).is_some_and(fits));
        fitting.map(|(id, _)| *id).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is done under it that could panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An IKE SA is up.
    fn begin(&mut self, now: Instant, sa: IkeSaId, account: &Account, addresses: &[IpAddr]) {
        let Some(session) = Session::of(account) else {
            return;
        };
        let id = session.id();
        let live = Live::begin(now, sa, session, addresses.to_vec());
        self.by_sa.insert(sa, id);
        self.due.extend(live.due.map(|due| (due, id)));
        self.sessions.insert(id, live);
    }

    /// The IKE SA has another in its place.
    fn rekey(&mut self, sa: IkeSaId, new: IkeSaId) {
        let Some(session) = self.by_sa.remove(&sa) else {
            return;
        };
        self.by_sa.insert(new, session);
        if let Some(live) = self.sessions.get_mut(&session) {
            live.sa = new;
        }
    }

    /// The IKE SA is gone; its SAs in the kernel may not be.
    fn close(&mut self, now: Instant, sa: IkeSaId, reason: CloseReason) {
        let cause = match TerminateCause::from(reason) {
            TerminateCause::ADMIN_RESET if self.leaving => TerminateCause::ADMIN_REBOOT,
            cause => cause,
        };
        let Some(session) = self.by_sa.remove(&sa) else {
            return;
        };
        let Some(live) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(due) = live.due.take() {
            self.due.remove(&(due, session));
        }
        live.close(now, cause);
        self.settle(session);
    }

    /// Ends a session of which everything is known.
    fn settle(&mut self, session: SessionId) {
        let is_over = self.sessions.get(&session).is_some_and(Live::is_over);
        if let Some(live) = is_over.then(|| self.sessions.remove(&session)).flatten() {
            // It has been closed, and knows when and why.
            live.stop();
        }
    }

    fn due(&mut self, now: Instant) -> Vec<IkeSaId> {
        let mut due = Vec::new();
        while due.len() < MEASURED_MAX
            && let Some((at, session)) = self.due.first().copied()
            && at <= now
        {
            self.due.remove(&(at, session));
            let Some(live) = self.sessions.get_mut(&session) else {
                continue;
            };
            live.due = live.next_after(at, now);
            self.due.extend(live.due.map(|due| (due, session)));
            // A kernel that is slow is not asked again before it has answered.
            if !live.is_being_measured {
                due.push(live.sa);
            }
        }
        due
    }
}
