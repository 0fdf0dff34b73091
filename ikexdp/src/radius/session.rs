//! What a server wants back with what becomes of a user: accounting (RFC 2866).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ikexdp_proto::eap::{Account, Caller};
use ring::rand::{SecureRandom, SystemRandom};

use super::attribute::Kind;
use super::ledger::{Record, SessionId, Status};
use super::packet::{Code, Draft, TooLong};
use super::table::{Table, start_of, station};
use super::terminate_cause::TerminateCause;
use crate::clock::unix_time;

/// A user that a server has let in. It travels with the IKE SA as its [`Account`].
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    table: Arc<Table>,
    caller: Caller,
    user: String,
    classes: Vec<Vec<u8>>,
    interim_interval: Option<Duration>,
}

/// What is known of an IKE SA when it is accounted for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The addresses of the user.
    pub addresses: Vec<IpAddr>,
    /// What it has carried, if that is known.
    pub volume: Option<Volume>,
    /// How long the IKE SA exists, with those that it replaced.
    pub age: Duration,
}

/// What an IKE SA has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Octets that came from the user.
    pub octets_in: u64,
    /// Octets that went to the user.
    pub octets_out: u64,
    /// Packets that came from the user.
    pub packets_in: u64,
    /// Packets that went to the user.
    pub packets_out: u64,
}

impl Session {
    pub(super) fn new(
        table: &Arc<Table>,
        caller: &Caller,
        user: String,
        classes: Vec<Vec<u8>>,
        interim_interval: Option<Duration>,
    ) -> Self {
        let mut random = [0; 8];
        // Keys were made from the same source a moment ago.
        let _ = SystemRandom::new().fill(&mut random);
        let accounting = table.settings.accounting.as_ref();
        let interim_interval = accounting.and_then(|accounting| {
            // What the server says of this user goes before what is said of all.
            interim_interval.or(accounting.interim_interval)
        });
        Self {
            id: SessionId(u64::from_be_bytes(random)),
            table: Arc::clone(table),
            caller: caller.clone(),
            user,
            classes,
            interim_interval,
        }
    }

    /// The session that an IKE SA carries, if a RADIUS server let its user in.
    #[must_use]
    pub fn of(account: &Account) -> Option<&Self> {
        account.0.downcast_ref()
    }

    /// Acct-Session-Id: random, so that it is nobody else's after a restart either.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// Who the user is.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Where the user calls from, as the server was told.
    #[must_use]
    pub fn calling_station(&self) -> String {
        station(&self.caller.remote)
    }

    /// The table whose servers let the user in.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table.settings.name
    }

    /// How often to call [`Self::interim`], if at all.
    #[must_use]
    pub const fn interim_interval(&self) -> Option<Duration> {
        self.interim_interval
    }

    /// The IKE SA is up.
    pub fn started(&self, facts: &Facts) {
        self.record(Status::Start, facts, None);
    }

    /// It still is.
    pub fn interim(&self, facts: &Facts) {
        self.record(Status::Interim, facts, None);
    }

    /// It is gone; to be called once.
    pub fn stopped(&self, facts: &Facts, cause: TerminateCause) {
        self.record(Status::Stop, facts, Some(cause));
    }

    fn record(&self, status: Status, facts: &Facts, cause: Option<TerminateCause>) {
        let (Some(ledger), Some(runtime)) = (&self.table.ledger, self.table.runtime.get()) else {
            return;
        };
        // Every attribute is bounded, and all of them are less than a packet.
        if let Ok(draft) = self.draft(status, facts, cause) {
            ledger.add(runtime, Record::new(self.id, status, draft));
        }
    }

    fn draft(
        &self,
        status: Status,
        facts: &Facts,
        cause: Option<TerminateCause>,
    ) -> Result<Draft, TooLong> {
        /// Acct-Authentic (RFC 2866 §5.6).
        const BY_RADIUS: u32 = 1;

        let mut draft = Draft::unsigned(Code::ACCOUNTING_REQUEST);
        draft.push_number(Kind::ACCT_STATUS_TYPE, status.number())?;
        draft.push(Kind::ACCT_SESSION_ID, self.id().as_bytes())?;
        draft.push(Kind::USER_NAME, start_of(self.user.as_bytes()))?;
        self.table.describe(&mut draft, &self.caller)?;
        draft.push_number(Kind::ACCT_AUTHENTIC, BY_RADIUS)?;
        let now = u32::try_from(unix_time().as_secs()).unwrap_or(u32::MAX);
        draft.push_number(Kind::EVENT_TIMESTAMP, now)?;
        for class in &self.classes {
            // The server may have sent an empty one.
            if !class.is_empty() {
                draft.push(Kind::CLASS, class)?;
            }
        }
        for address in &facts.addresses {
            match address {
                IpAddr::V4(address) => draft.push(Kind::FRAMED_IP_ADDRESS, &address.octets())?,
                IpAddr::V6(address) => draft.push(Kind::FRAMED_IPV6_ADDRESS, &address.octets())?,
            }
        }
        if status != Status::Start {
            let seconds = u32::try_from(facts.age.as_secs()).unwrap_or(u32::MAX);
            draft.push_number(Kind::ACCT_SESSION_TIME, seconds)?;
            if let Some(volume) = &facts.volume {
                measure(&mut draft, volume)?;
            }
        }
        if let Some(TerminateCause(cause)) = cause {
            draft.push_number(Kind::ACCT_TERMINATE_CAUSE, cause)?;
        }
        Ok(draft)
    }
}

/// Adds what a session has carried.
fn measure(draft: &mut Draft, volume: &Volume) -> Result<(), TooLong> {
    let low = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
    for (octets, kind, gigawords) in [
        (
            volume.octets_in,
            Kind::ACCT_INPUT_OCTETS,
            Kind::ACCT_INPUT_GIGAWORDS,
        ),
        (
            volume.octets_out,
            Kind::ACCT_OUTPUT_OCTETS,
            Kind::ACCT_OUTPUT_GIGAWORDS,
        ),
    ] {
        draft.push_number(kind, low(octets))?;
        // RFC 2869 §5.1: how often the other has wrapped around.
        draft.push_number(gigawords, low(octets >> 32))?;
    }
    draft.push_number(Kind::ACCT_INPUT_PACKETS, low(volume.packets_in))?;
    draft.push_number(Kind::ACCT_OUTPUT_PACKETS, low(volume.packets_out))
}
