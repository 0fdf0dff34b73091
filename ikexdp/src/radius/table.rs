//! What the settings of a table come to.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use ikexdp_proto::eap::Caller;
use tokio::runtime::Handle;

use super::attribute::{FRAMED, Kind, VIRTUAL};
use super::counters::Role;
use super::ledger::{Ledger, Record, SessionId, Status};
use super::limits::VALUE_LEN_MAX;
use super::packet::{Draft, TooLong};
use super::servers::Servers;
use super::settings::Settings;

/// The servers of a table, and what waits for them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) settings: Arc<Settings>,
    /// Who knows users.
    pub(super) servers: Servers,
    /// Who hears of sessions.
    pub(super) ledger: Option<Arc<Ledger>>,
    /// Where all of it runs, once that is known.
    pub(super) runtime: OnceLock<Handle>,
}

impl Table {
    pub(super) fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let servers = Servers::new(&settings.servers, Role::Authentication, &settings);
        let ledger = settings.accounting.as_ref().map(|accounting| {
            let servers = Servers::new(&accounting.servers, Role::Accounting, &settings);
            Arc::new(Ledger::new(settings.name.clone(), servers))
        });
        Self {
            settings,
            servers,
            ledger,
            runtime: OnceLock::new(),
        }
    }

    /// Tells those who hear of sessions that accounting begins or ends
    /// (RFC 2866 §5.1).
    pub(super) fn announce(&self, status: Status) {
        let (Some(ledger), Some(runtime)) = (&self.ledger, self.runtime.get()) else {
            return;
        };
        // The record has a name like a session, which is of none.
        let draft = status.draft(SessionId::random()).and_then(|mut draft| {
            self.identify(&mut draft)?;
            Ok(draft)
        });
        // It is shorter than any of a session.
        if let Ok(draft) = draft {
            ledger.add(runtime, Record::new(None, status, draft));
        }
    }

    /// Adds who we are.
    fn identify(&self, draft: &mut Draft) -> Result<(), TooLong> {
        let name = start_of(self.settings.nas_identifier.as_bytes());
        draft.push(Kind::NAS_IDENTIFIER, name)
    }

    /// Adds who we are, and who calls whom.
    pub(super) fn describe(&self, draft: &mut Draft, caller: &Caller) -> Result<(), TooLong> {
        self.identify(draft)?;
        draft.push_number(Kind::NAS_PORT_TYPE, VIRTUAL)?;
        draft.push_number(Kind::SERVICE_TYPE, FRAMED)?;
        // An attribute is never empty.
        if !caller.connection.is_empty() {
            draft.push(Kind::NAS_PORT_ID, start_of(caller.connection.as_bytes()))?;
        }
        let (called, calling) = (station(&caller.local), station(&caller.remote));
        draft.push(Kind::CALLED_STATION_ID, called.as_bytes())?;
        draft.push(Kind::CALLING_STATION_ID, calling.as_bytes())
    }
}

/// An end of a call, for Called-Station-Id and Calling-Station-Id: its address.
/// Ports change when a NAT forgets, and nobody writes rules for them.
pub(super) fn station(end: &SocketAddr) -> String {
    end.ip().to_canonical().to_string()
}

/// As much of `value` as an attribute holds.
pub(super) fn start_of(value: &[u8]) -> &[u8] {
    value.get(..VALUE_LEN_MAX).unwrap_or(value)
}
