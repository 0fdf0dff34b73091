//! What makes a CHILD SA, in whatever exchange it is negotiated (RFC 7296 §1.2, §1.3).

use alloc::vec::Vec;

use crate::wire::iana::PayloadType;
use crate::wire::payload::sa::{self, Proposal};
use crate::wire::payload::ts::{self, TrafficSelector};
use crate::wire::writer::ChainWriter;

/// SA, TSi and TSr: an offer in a request, with one proposal an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildPayloads {
    /// SAi2 or SAr2.
    pub proposals: Vec<Proposal>,
    /// TSi.
    pub initiator: Vec<TrafficSelector>,
    /// TSr.
    pub responder: Vec<TrafficSelector>,
}

impl ChildPayloads {
    /// Appends the payloads.
    pub fn encode(&self, chain: &mut ChainWriter) {
        sa::encode(chain, &self.proposals);
        ts::encode(
            chain,
            PayloadType::TRAFFIC_SELECTOR_INITIATOR,
            &self.initiator,
        );
        ts::encode(
            chain,
            PayloadType::TRAFFIC_SELECTOR_RESPONDER,
            &self.responder,
        );
    }
}
