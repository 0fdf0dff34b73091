//! What authorities have said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ikexdp_proto::crypto::cert::{Answer, Issued, Issuer, RevocationList, Status, Unknown};
use rustls_pki_types::UnixTime;

/// Most lists that are kept: an authority has one or two.
const LISTS_MAX: usize = 64;

/// Octets that they take all together: four of the longest, or thousands as
/// companies have them.
const SIZE_MAX: usize = 128 << 20;

/// Most answers of responders that are kept, each about one certificate.
const ANSWERS_MAX: usize = 4096;

/// Most places that are remembered for having said nothing.
const FAILURES_MAX: usize = 1024;

/// How long a place is left alone that has said nothing.
const PAUSE: Duration = Duration::from_secs(60);

/// Where an authority is asked: for its list, or about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) address: String,
    /// The same address may be named by two authorities.
    pub(super) issuer: Issuer,
    /// The certificate's serial number, if it is a responder that is asked.
    pub(super) serial: Option<Vec<u8>>,
}

/// What was said until it no longer counts or there is no room, and failures for a
/// while.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lists: BTreeMap<Place, Arc<RevocationList>>,
    answers: BTreeMap<Place, Answer>,
    /// Until when each is left alone, in seconds of Unix time.
    failures: BTreeMap<Place, u64>,
}

/// Where `issued` says to ask: responders first, for their answers are short.
pub(super) fn places(issued: &Issued) -> Vec<Place> {
    let place = |address: &String, serial| Place {
        address: address.clone(),
        issuer: issued.issuer.clone(),
        serial,
    };
    let responders = issued.responders.iter();
    let responders = responders.map(|address| place(address, Some(issued.serial.clone())));
    let lists = issued.lists.iter().map(|address| place(address, None));
    responders.chain(lists).collect()
}

impl Memory {
    /// What is known of `issued`; `None` if there is somebody to ask.
    pub(super) fn known(&self, issued: &Issued, now: UnixTime) -> Option<Status> {
        let places = places(issued);
        let mut last = Status::Unknown(if places.is_empty() {
            Unknown::NoSource
        } else {
            Unknown::NoAnswer
        });
        for (status, until) in places.iter().filter_map(|it| self.said(issued, it, now)) {
            if now < until && !matches!(status, Status::Unknown(_)) {
                return Some(status);
            }
            last = status;
        }
        let is_left = places.iter().any(|place| !self.has_failed(place, now));
        (!is_left).then_some(last)
    }

    /// What was said at `place`, and until when it counts.
    fn said(&self, issued: &Issued, place: &Place, now: UnixTime) -> Option<(Status, UnixTime)> {
        if let Some(Answer { status, until }) = self.answers.get(place) {
            return (now < *until).then_some((*status, *until));
        }
        let list = self.lists.get(place).filter(|list| list.is_about(issued))?;
        Some((list.status(issued, now), list.next_update()))
    }

    /// Whether `place` is left alone.
    pub(super) fn has_failed(&self, place: &Place, now: UnixTime) -> bool {
        let until = self.failures.get(place);
        until.is_some_and(|until| now.as_secs() < *until)
    }

    /// Keeps what was found at `place`, and throws out what ends first if there is
    /// no room. Says whether it did: an older list than the one that is known may be
    /// there because somebody on the path likes it better.
    pub(super) fn keep(&mut self, place: &Place, list: Arc<RevocationList>) -> bool {
        let known = self.lists.get(place);
        if known.is_some_and(|known| known.this_update() > list.this_update()) {
            return false;
        }
        self.failures.remove(place);
        self.lists.insert(place.clone(), list);
        while self.lists.len() > LISTS_MAX || self.size() > SIZE_MAX {
            let others = self.lists.iter().filter(|(other, _)| *other != place);
            let first = others.min_by_key(|(_, list)| list.next_update());
            let Some(first) = first.map(|(other, _)| other.clone()) else {
                break;
            };
            self.lists.remove(&first);
        }
        true
    }

    /// The same of an answer.
    pub(super) fn keep_answer(&mut self, place: &Place, answer: Answer) {
        self.failures.remove(place);
        self.answers.insert(place.clone(), answer);
        if self.answers.len() > ANSWERS_MAX {
            let others = self.answers.iter().filter(|(other, _)| *other != place);
            let first = others.min_by_key(|(_, answer)| answer.until);
            if let Some(first) = first.map(|(other, _)| other.clone()) {
                self.answers.remove(&first);
            }
        }
    }

    /// Leaves `place` alone for a while.
    pub(super) fn fail(&mut self, place: &Place, now: UnixTime) {
        self.failures.retain(|_, until| now.as_secs() < *until);
        if self.failures.len() >= FAILURES_MAX {
            self.failures.pop_first();
        }
        let until = now.as_secs().saturating_add(PAUSE.as_secs());
        self.failures.insert(place.clone(), until);
    }

    fn size(&self) -> usize {
        self.lists.values().map(|list| list.size()).sum()
    }
}
