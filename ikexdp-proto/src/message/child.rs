//! What makes a CHILD SA, in whatever exchange it is negotiated (RFC 7296 §1.2, §1.3).

use alloc::vec::Vec;

use crate::wire::iana::{NotifyType, PayloadType};
use crate::wire::payload::notify::Notify;
use crate::wire::payload::sa::{self, Proposal};
use crate::wire::payload::ts::{self, TrafficSelector};
use crate::wire::writer::ChainWriter;

/// SA, TSi and TSr: an offer in a request, with one proposal an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildPayloads {
    /// SAi2 or SAr2.
    pub proposals: Vec<Proposal>,
    /// TSi and TSr.
    pub selectors: Selectors,
}

/// TSi and TSr.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// TSi.
    pub initiator: Vec<TrafficSelector>,
    /// TSr.
    pub responder: Vec<TrafficSelector>,
    /// ADDITIONAL_TS_POSSIBLE, in answers: more is allowed than fits
    /// (RFC 7296 §2.9).
    pub more: bool,
}

impl ChildPayloads {
    /// Appends the payloads.
    pub fn encode(&self, chain: &mut ChainWriter) {
        sa::encode(chain, &self.proposals);
        self.selectors.encode(chain);
    }
}

impl Selectors {
    /// All that there are.
    #[must_use]
    pub const fn new(initiator: Vec<TrafficSelector>, responder: Vec<TrafficSelector>) -> Self {
        Self {
            initiator,
            responder,
            more: false,
        }
    }

    /// Appends the payloads.
    pub fn encode(&self, chain: &mut ChainWriter) {
        let initiator = PayloadType::TRAFFIC_SELECTOR_INITIATOR;
        ts::encode(chain, initiator, &self.initiator);
        let responder = PayloadType::TRAFFIC_SELECTOR_RESPONDER;
        ts::encode(chain, responder, &self.responder);
        if self.more {
            Notify::new(NotifyType::ADDITIONAL_TS_POSSIBLE, &[]).encode(chain);
        }
    }
}
