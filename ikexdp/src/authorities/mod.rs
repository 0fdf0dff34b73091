//! What authorities say of the certificates they issued: had by HTTP from where
//! each certificate says, and remembered.
//!
//! Nobody is asked before the peer has proved that it holds a certificate of an
//! authority that is trusted: the addresses are that authority's then, and not
//! whatever a stranger has written.

mod http;
mod memory;
mod turns;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ikexdp_proto::crypto::cert::{
    AnswerError, Issued, RevocationList, RevocationListError, Status, StatusSource, Unknown,
};
use ikexdp_proto::limits::REVOCATION_LIST_LEN_MAX;
use rustls_pki_types::UnixTime;
use tracing::{debug, warn};

use crate::clock::Clock;

use self::http::{Client, HttpError};
use self::memory::{Memory, Place};
use self::turns::Turns;

/// How long all that is asked about a certificate may take: a client repeats its
/// request for longer than that, and gives up after some ten seconds at the least.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Asks authorities, and remembers what they said.
#[derive(Debug)]
pub struct Authorities {
    client: Client,
    memory: Mutex<Memory>,
    turns: Turns,
    time_max: Duration,
}

/// Longest answer of a responder taken, in octets: one has 500 to 5,000.
const ANSWER_LEN_MAX: usize = 64 << 10;

/// Why an authority gave no answer that stands.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    List(#[from] RevocationListError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("no request can be made of the certificate")]
    Request,
    #[error("the responder does not know the certificate")]
    Unknown,
    #[error("not signed by the issuer of the certificate")]
    Signer,
    #[error("not about this certificate")]
    Scope,
    #[error("not current: {0}")]
    Old(String),
}

impl Authorities {
    /// Asks whoever is at an address for which `reach` holds, for at most
    /// `time_max` in all.
    fn new(reach: fn(IpAddr) -> bool, time_max: Duration) -> Self {
        Self {
            client: Client::new(reach),
            memory: Mutex::default(),
            turns: Turns::default(),
            time_max,
        }
    }

    /// Nothing is done while it is held that could panic half-way.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(
        &self,
        issued: &Issued,
        place: &Place,
        now: UnixTime,
        time: Duration,
    ) -> Result<(), FetchError> {
        if place.serial.is_some() {
            self.fetch_answer(issued, place, now, time)
        } else {
            self.fetch_list(issued, place, now, time)
        }
    }

    fn fetch_answer(
        &self,
        issued: &Issued,
        place: &Place,
        now: UnixTime,
        time: Duration,
    ) -> Result<(), FetchError> {
        let request = issued.status_request().ok_or(FetchError::Request)?;
        let response = self
            .client
            .post(&place.address, &request, ANSWER_LEN_MAX, time)?;
        let answer = issued.read_status(&response, now)?;
        debug!(address = place.address, ?answer, "responder answered");
        self.memory().keep_answer(place, answer);
        match answer.status {
            Status::Unknown(_) => Err(FetchError::Unknown),
            Status::Good | Status::Revoked(_) => Ok(()),
        }
    }

    fn fetch_list(
        &self,
        issued: &Issued,
        place: &Place,
        now: UnixTime,
        time: Duration,
    ) -> Result<(), FetchError> {
        let address = &place.address;
        let encoded = self.client.get(address, REVOCATION_LIST_LEN_MAX, time)?;
        let list = RevocationList::from_der(&encoded)?;
        let list = list.of(&issued.issuer).ok_or(FetchError::Signer)?;
        if !list.is_about(issued) {
            return Err(FetchError::Scope);
        }
        debug!(%address, %list, "revocation list fetched");
        let is_old =
            now >= list.next_update() || matches!(list.status(issued, now), Status::Unknown(_));
        let list = Arc::new(list);
        // Whoever is in it is revoked all the same, if there is nothing newer.
        let is_kept = self.memory().keep(place, Arc::clone(&list));
        if is_old || !is_kept {
            return Err(FetchError::Old(list.to_string()));
        }
        Ok(())
    }
}

impl Default for Authorities {
    fn default() -> Self {
        Self::new(may_be_asked, TIME_MAX)
    }
}

impl StatusSource for Authorities {
    fn known(&self, issued: &Issued, now: UnixTime) -> Option<Status> {
        self.memory().known(issued, now)
    }

    fn ask(&self, issued: &Issued, now: UnixTime) -> Status {
        let clock = Clock::start();
        let begun = clock.now();
        let left = || self.time_max.saturating_sub(clock.now().since(begun));
        let places = memory::places(issued);
        for place in &places {
            let Some(_turn) = self.turns.take(place, left()) else {
                break;
            };
            // Whoever had the turn before may have asked the same.
            if let Some(status) = self.known(issued, now) {
                return status;
            }
            if self.memory().has_failed(place, now) {
                continue;
            }
            if let Err(error) = self.fetch(issued, place, now, left()) {
                let (address, subject) = (&place.address, &issued.subject);
                warn!(%address, %subject, %error, "whether a certificate is revoked was not said");
                self.memory().fail(place, now);
            }
        }
        let no_answer = Status::Unknown(Unknown::NoAnswer);
        self.known(issued, now).unwrap_or(no_answer)
    }
}

/// Whether somebody at `address` may be an authority: not this machine, and nobody
/// who is only found on a link of it, where services believe whoever asks.
fn may_be_asked(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast())
        }
        IpAddr::V6(address) => {
            !(address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_unspecified()
                || address.is_multicast())
        }
    }
}

#[cfg(test)]
mod tests;
