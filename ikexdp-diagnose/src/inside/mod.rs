//! What messages say behind their encryption, for who has the keys.
//!
//! ```text
//! table.rs ─ keys ─> open.rs ─ plaintexts ─> contents.rs ─ payloads ─> rules.rs ─ remarks ─┐
//!                                                  └── certificate.rs ──┘    judge.rs <────┘
//! ```

#[cfg(test)]
mod anything;
mod certificate;
mod contents;
mod judge;
mod open;
mod rules;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use ikexdp_proto::types::MessageId;
use ikexdp_proto::wire::iana::ExchangeType;

use crate::model::{Attempt, Report};
use crate::time::Moment;
use crate::verdict::Direction;

use contents::Facts;
pub use table::{Keys, Unusable};

/// What keys have shown of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Messages that were opened, in their order, each once.
    pub messages: Vec<Opened>,
    /// Datagrams that could not be: with these keys, or because they are not there whole.
    pub sealed: usize,
    /// What is notable about who shows what to whom.
    pub remarks: Vec<Remark>,
}

/// A message that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Index of the capture.
    pub capture: usize,
    /// The frames it came in, from 1.
    pub frames: Vec<u64>,
    /// When its first part was captured.
    pub time: Moment,
    /// Who sent it.
    pub direction: Direction,
    /// The exchange.
    pub exchange: ExchangeType,
    /// Whether it is a response.
    pub response: bool,
    /// Common to a request and its response.
    pub message_id: MessageId,
    /// IKE fragments it came in; 1 if it was not cut.
    pub fragments: u16,
    /// Octets of its payloads.
    pub length: usize,
    /// Its payloads.
    pub payloads: Vec<Described>,
    /// The same for who judges.
    facts: Facts,
}

/// A payload in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name as RFC 7296 has it, as "IDi".
    pub name: String,
    /// Octets, its header included.
    pub length: usize,
    /// What it says; peers may have written some of it.
    pub says: String,
}

/// Something notable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Whether it explains a failure by itself.
    pub weight: Weight,
    /// Whose certificate or choice it is about.
    pub about: Direction,
    /// A sentence without a full stop.
    pub says: String,
}

/// What a remark weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Good to know.
    Note,
    /// This client refuses it.
    Fault,
}

/// Opens what `keys` open in all attempts, and says more exactly what became of them; `dialed` is the
/// name that the client was told to connect to, if it is known.
pub fn look(report: &mut Report, keys: &Keys, dialed: Option<&str>) {
    for attempt in &mut report.attempts {
        let inside = of(attempt, keys, dialed);
        judge::revise(attempt, &inside);
        attempt.inside = Some(inside);
    }
}

/// What keys show of one attempt.
fn of(attempt: &Attempt, keys: &Keys, dialed: Option<&str>) -> Inside {
    let (plaintexts, sealed) = open::all(attempt, keys);
    let messages = plaintexts.into_iter().map(contents::describe).collect();
    let mut inside = Inside {
        messages,
        sealed,
        remarks: Vec::new(),
    };
    inside.remarks = rules::remarks(attempt, &inside, dialed);
    inside
}
