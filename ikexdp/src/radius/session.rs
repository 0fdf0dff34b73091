//! What a server wants back with what becomes of a user: accounting (RFC 2866).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ikexdp_proto::data_plane::Volume;
use ikexdp_proto::eap::{Account, Caller};

use super::attribute::Kind;
use super::ledger::{Record, SessionId, Status};
use super::packet::{Draft, TooLong};
use super::table::{Table, start_of, station};
use super::terminate_cause::TerminateCause;

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
    /// What it has carried.
    pub volume: Volume,
    /// How long the IKE SA exists, with those that it replaced.
    pub age: Duration,
}

impl Session {
    pub(super) fn new(
        table: &Arc<Table>,
        caller: &Caller,
        user: String,
        classes: Vec<Vec<u8>>,
        interim_interval: Option<Duration>,
    ) -> Self {
        let accounting = table.settings.accounting.as_ref();
        let interim_interval = accounting.and_then(|accounting| {
            // What the server says of this user goes before what is said of all.
            interim_interval.or(accounting.interim_interval)
        });
        Self {
            id: SessionId::random(),
            table: Arc::clone(table),
            caller: caller.clone(),
            user,
            classes,
            interim_interval,
        }
    }

    /// The session that an IKE SA carries, if a RADIUS server let its user in.
    #[must_use]
    pub fn of(account: &Account) -> Option<Arc<Self>> {
        Arc::clone(&account.0).downcast().ok()
    }

    /// Acct-Session-Id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
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

    /// How long after the start to do so first: between half an interval and a whole
    /// one, another for each, so that sessions that began together do not stay so.
    #[must_use]
    pub fn first_interim(&self) -> Option<Duration> {
        let half = self.interim_interval?.checked_div(2)?;
        // The number is random.
        let [part, ..] = self.id.0.to_be_bytes();
        let part = half.saturating_mul(part.into()).checked_div(256)?;
        Some(half.saturating_add(part))
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
            ledger.add(runtime, Record::new(Some(self.id), status, draft));
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

        let mut draft = status.draft(self.id)?;
        draft.push(Kind::USER_NAME, start_of(self.user.as_bytes()))?;
        self.table.describe(&mut draft, &self.caller)?;
        draft.push_number(Kind::ACCT_AUTHENTIC, BY_RADIUS)?;
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
            measure(&mut draft, &facts.volume)?;
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
    // RFC 2866 §5.3: input is what has come from the user.
    for (carried, octets, gigawords, packets) in [
        (
            volume.received,
            Kind::ACCT_INPUT_OCTETS,
            Kind::ACCT_INPUT_GIGAWORDS,
            Kind::ACCT_INPUT_PACKETS,
        ),
        (
            volume.sent,
            Kind::ACCT_OUTPUT_OCTETS,
            Kind::ACCT_OUTPUT_GIGAWORDS,
            Kind::ACCT_OUTPUT_PACKETS,
        ),
    ] {
        draft.push_number(octets, low(carried.octets))?;
        // RFC 2869 §5.1: how often the other has wrapped around.
        draft.push_number(gigawords, low(carried.octets >> 32))?;
        draft.push_number(packets, low(carried.packets))?;
    }
    Ok(())
}
