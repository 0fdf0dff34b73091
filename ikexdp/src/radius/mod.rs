//! RADIUS (RFC 2865): users that somebody else knows.
//!
//! A [`Radius`] is what a table `[[radius]]` says. It passes EAP between peers and
//! the servers of the table (RFC 3579), tells them what becomes of those they let
//! in ([`Session`], RFC 2866), and ends what they want ended ([`Disconnections`],
//! RFC 5176).
//!
//! ```text
//! peer's EAP -> Talk -> Servers -> Server -> Socket -> UDP
//!                          ^
//! Session -> Ledger -------'         UDP -> Disconnections -> the daemon
//! ```

mod admission;
mod attribute;
mod conversation;
mod counters;
mod crypto;
mod disconnect;
mod eap;
mod ledger;
pub mod limits;
mod packet;
mod server;
mod servers;
mod session;
mod settings;
mod socket;
mod table;
mod terminate_cause;

use std::sync::Arc;

use ikexdp_proto::eap::{Authenticator, Caller, Conversation};
use tokio::runtime::Handle;

pub use self::counters::{Counters, Records, Role, ServerStatus};
pub use self::disconnect::{DisconnectCounters, Disconnections, ListenError, Selector};
pub use self::ledger::SessionId;
pub use self::session::{Facts, Session};
pub use self::settings::{
    ACCOUNTING_PORT, AUTHENTICATION_PORT, AccountingSettings, DISCONNECT_PORT, DisconnectSettings,
    Settings,
};
pub use self::terminate_cause::TerminateCause;

use self::conversation::Talk;
use self::ledger::Status;
use self::table::Table;

/// Servers that know users.
#[derive(Debug)]
pub struct Radius {
    table: Arc<Table>,
}

impl Radius {
    /// What the settings say; nothing is opened or sent.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            table: Arc::new(Table::new(settings)),
        }
    }

    /// Has everything run on `runtime` from now on. Before that no user is let in.
    pub fn start(&self, runtime: &Handle) {
        // The first stays: there is one runtime.
        let _ = self.table.runtime.set(runtime.clone());
    }

    /// Whether sessions go on that its servers let in, or there is something left to
    /// tell them.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        let waits = |records: Records| records.records_waiting > 0;
        Arc::strong_count(&self.table) > 1 || self.records().is_some_and(waits)
    }

    /// What it was made of.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.table.settings
    }

    /// How its servers are doing, those of accounting last.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerStatus> {
        let accounting = self.table.ledger.iter().flat_map(|ledger| ledger.status());
        self.table.servers.status().chain(accounting).collect()
    }

    /// How accounting records are doing, if servers hear of sessions.
    #[must_use]
    pub fn records(&self) -> Option<Records> {
        let (waiting, lost) = self.table.ledger.as_ref()?.waiting_and_lost();
        Some(Records {
            records_waiting: u64::try_from(waiting).unwrap_or(u64::MAX),
            records_lost: lost,
        })
    }

    /// Tells that accounting begins: servers forget what the gateway had before.
    /// For the start of the daemon, before the first session.
    pub fn begin_accounting(&self) {
        self.table.announce(Status::On);
    }

    /// Tells that accounting ends: for the end of the daemon, after the last session
    /// has stopped.
    pub fn end_accounting(&self) {
        self.table.announce(Status::Off);
    }

    /// Waits until the servers have taken all records, at most
    /// [`SETTLE_TIME_MAX`](limits::SETTLE_TIME_MAX); how many they have not.
    pub async fn settle(&self) -> usize {
        match &self.table.ledger {
            Some(ledger) => ledger.settle().await,
            None => 0,
        }
    }
}

impl Authenticator for Radius {
    fn begin(&self, caller: Caller) -> Box<dyn Conversation> {
        Box::new(Talk {
            table: Arc::clone(&self.table),
            caller,
            progress: None,
        })
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
