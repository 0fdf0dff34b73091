//! IKE SAs of users whom somebody else has let in, who wants to hear what becomes
//! of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ikexdp_proto::eap::Account;
use ikexdp_proto::event::Event;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::IkeSaId;

use crate::clock::Clock;
use crate::radius::{Facts, Selector, Session, TerminateCause};

/// Those that are up. The packet loop tells what happens, the control plane asks
/// who is there.
#[derive(Debug)]
pub(super) struct Accounts {
    clock: Clock,
    live: Mutex<BTreeMap<IkeSaId, Live>>,
}

/// One that is up.
#[derive(Debug)]
struct Live {
    account: Account,
    addresses: Vec<IpAddr>,
    since: Instant,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            clock: Clock::start(),
            live: Mutex::default(),
        }
    }
}

impl Live {
    fn facts(&self, now: Instant) -> Facts {
        Facts {
            addresses: self.addresses.clone(),
            // The kernel has forgotten it when the end of an SA is told.
            volume: None,
            age: now.since(self.since),
        }
    }
}

impl Accounts {
    /// Hears what has happened, and passes it on. Nobody is waited for.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::Established(sa) => {
                let Some(account) = &sa.account else { return };
                let live = Live {
                    account: account.clone(),
                    addresses: sa.addresses.clone(),
                    since: self.clock.now(),
                };
                if let Some(session) = Session::of(account) {
                    session.started(&live.facts(self.clock.now()));
                }
                self.live().insert(sa.id, live);
            }
            Event::Rekeyed { id, new, .. } => {
                let mut all = self.live();
                if let Some(live) = all.remove(id) {
                    all.insert(*new, live);
                }
            }
            Event::Closed { id, reason, .. } => {
                let Some(live) = self.live().remove(id) else {
                    return;
                };
                if let Some(session) = Session::of(&live.account) {
                    session.stopped(&live.facts(self.clock.now()), TerminateCause::from(*reason));
                }
            }
            _ => {}
        }
    }

    /// The daemon ends, and with it those that are left: their peers have not
    /// answered, or were not told.
    pub(super) fn finish(&self) {
        for live in std::mem::take(&mut *self.live()).into_values() {
            if let Some(session) = Session::of(&live.account) {
                session.stopped(&live.facts(self.clock.now()), TerminateCause::ADMIN_REBOOT);
            }
        }
    }

    /// Those that a request to disconnect is about.
    pub(super) fn selected(&self, selector: &Selector) -> Vec<IkeSaId> {
        let all = self.live();
        let fits = |live: &Live| selector.selects(&live.account, &live.addresses);
        let fitting = all.iter().filter(|(_, live)| fits(live));
        fitting.map(|(id, _)| *id).collect()
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<IkeSaId, Live>> {
        // Nothing is done under it that could panic half way.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
