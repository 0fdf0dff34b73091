//! An attempt with all that is asked about it.

use std::time::Duration;

use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};

use super::sight::Sight;
use crate::attempt::exchange::{Exchange, Transfer, View};
use crate::contents::Clear;
use crate::limits::EVIDENCE_FRAMES_MAX;
use crate::message::Message;
use crate::model::{Attempt, Capture, Confidence, Evidence, Finding, Vantage};
use crate::time::Moment;
use crate::verdict::{Direction, Verdict};

/// An attempt under judgement.
pub(super) struct Case<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) exchanges: Vec<Exchange<'a>>,
    pub(super) captures: &'a [Capture],
    pub(super) sight: Sight,
    /// Whether two captures have a message in common, so that they are of one time.
    pub(super) is_aligned: bool,
    /// When the last frame was seen.
    pub(super) end: Moment,
    /// When the same client began anew.
    pub(super) next: Option<Moment>,
    /// What is known of others from its address.
    pub(super) crowd: Crowd,
    /// Whether the client did soon afterwards what a refusal asked it to.
    pub(super) is_followed: bool,
    /// Whether another attempt between the same sockets has traffic.
    pub(super) other_lives: bool,
}

/// Attempts from the same address to the same gateway.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crowd {
    /// How many that began before were answered, each from another socket, and were not closed long before.
    pub(super) answered_before: usize,
    /// Whether one that began later was answered.
    pub(super) answered_later: bool,
    /// Whether the gateway was heard, by anybody, after this one began.
    pub(super) gateway_lives: bool,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Judgement {
    Established,
    Failed(Finding),
    Open,
}

/// Whether a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Whole,
    /// Some fragments did, of IP or of IKE.
    Part,
    Not,
    Unknown,
}

/// A client that has asked three times has asked in vain.
const TIMES_IN_VAIN: usize = 3;
/// How long one repeat waits; Windows repeats after a second, strongSwan after four.
const REPEAT_IN_VAIN: Duration = Duration::from_secs(3);
/// How long nobody waits for an answer without a repeat.
const SILENCE_IN_VAIN: Duration = Duration::from_secs(10);

impl<'a> Case<'a> {
    /// Where the only capture was made that shows the attempt; `None` if there are those of both ends.
    pub(super) const fn vantage(&self) -> Option<Vantage> {
        match self.sight {
            Sight::Both => None,
            Sight::One(_, vantage) => Some(vantage),
        }
    }

    /// Whether there are captures of both ends.
    pub(super) const fn has_both(&self) -> bool {
        matches!(self.sight, Sight::Both)
    }

    /// Whether what reaches the gateway is seen where it arrives.
    pub(super) const fn sees_gateway(&self) -> bool {
        matches!(self.vantage(), None | Some(Vantage::Gateway))
    }

    /// The capture that is nearest to who receives what goes that way.
    pub(super) const fn receiving(&self, direction: Direction) -> usize {
        match (self.sight, direction) {
            (Sight::One(index, _), _) => index,
            (Sight::Both, Direction::FromClient) => 1,
            (Sight::Both, Direction::FromGateway) => 0,
        }
    }

    /// The view at the end that a message was for, if there is one.
    pub(super) const fn at_receiver<'t>(&self, transfer: &'t Transfer<'a>) -> Option<&'t View<'a>> {
        match (self.vantage(), transfer.direction) {
            (None, _)
            | (Some(Vantage::Gateway), Direction::FromClient)
            | (Some(Vantage::Client), Direction::FromGateway) => {
                Some(transfer.view(self.receiving(transfer.direction)))
            }
            _ => None,
        }
    }

    /// The view at the end that sent it.
    pub(super) const fn at_sender<'t>(&self, transfer: &'t Transfer<'a>) -> Option<&'t View<'a>> {
        match (self.vantage(), transfer.direction) {
            (None, _)
            | (Some(Vantage::Client), Direction::FromClient)
            | (Some(Vantage::Gateway), Direction::FromGateway) => {
                Some(transfer.view(self.receiving(transfer.direction.reverse())))
            }
            _ => None,
        }
    }

    /// Whether a message arrived where it was to go, by what is seen of itself.
    pub(super) fn arrival(&self, transfer: &Transfer<'a>) -> Arrival {
        if let Some(view) = self.at_receiver(transfer) {
            return match (view.is_seen(), view.is_whole()) {
                (_, true) => Arrival::Whole,
                (true, false) => Arrival::Part,
                (false, false) => Arrival::Not,
            };
        }
        let is_sent_here = self.at_sender(transfer).is_some();
        if transfer.is_seen() && !transfer.is_whole() && !is_sent_here {
            return Arrival::Part;
        }
        Arrival::Unknown
    }

    /// Whether nobody waits any more for the answer to a request.
    pub(super) fn is_in_vain(&self, request: &Transfer<'a>) -> bool {
        let (_, view) = request.fullest();
        let waited = request
            .asked()
            .map_or(Duration::ZERO, |first| self.end.since(first));
        self.next.is_some()
            || view.times_sent() >= TIMES_IN_VAIN
            || (view.times_sent() > 1 && waited >= REPEAT_IN_VAIN)
            || waited >= SILENCE_IN_VAIN
    }

    /// The exchanges of a kind that the client began, in order.
    pub(super) fn of_client(
        &self,
        kinds: &[ExchangeType],
    ) -> impl DoubleEndedIterator<Item = &Exchange<'a>> {
        let is_of = |exchange: &&Exchange<'_>| {
            kinds.contains(&exchange.kind)
                && exchange.by() == Direction::FromClient
                && exchange.request.is_seen()
        };
        self.exchanges.iter().filter(is_of)
    }

    /// IKE_SA_INIT.
    pub(super) fn init(&self) -> Option<&Exchange<'a>> {
        self.exchanges
            .iter()
            .find(|exchange| exchange.kind == ExchangeType::IKE_SA_INIT)
    }

    /// The answer by which the gateway goes on.
    pub(super) fn accepted(&self) -> Option<(&'a Message, &'a Clear)> {
        let is_accepting =
            |(_, clear): &(&Message, &Clear)| !clear.proposals.is_empty() && clear.error.is_none();
        self.init()?.response.clear().find(is_accepting)
    }

    /// What the client offers last.
    pub(super) fn offer(&self) -> Option<(&'a Message, &'a Clear)> {
        self.init()?.request.clear().last()
    }

    /// Whether the client announced IKE fragmentation.
    pub(super) fn client_announced(&self) -> Option<bool> {
        self.offer().map(|(_, clear)| announces(clear))
    }

    /// Whether the gateway did.
    pub(super) fn gateway_announced(&self) -> Option<bool> {
        self.accepted().map(|(_, clear)| announces(clear))
    }

    /// The longest datagram that demonstrably arrived, in one direction: requests that were answered, answers that were
    /// followed by something.
    pub(super) fn passed(&self, direction: Direction) -> usize {
        let arrived = |exchange: &Exchange<'a>| match direction {
            Direction::FromClient => {
                if exchange.by() == direction && exchange.response.is_seen() {
                    exchange.request.fullest().1.longest()
                } else {
                    0
                }
            }
            Direction::FromGateway => {
                let later =
                    self.of_client(&[ExchangeType::IKE_AUTH, ExchangeType::IKE_INTERMEDIATE]);
                let mut later = later.filter(|later| later.start() > exchange.start());
                if exchange.response.direction == direction && later.next().is_some() {
                    exchange.response.fullest().1.longest()
                } else {
                    0
                }
            }
        };
        self.exchanges.iter().map(arrived).max().unwrap_or(0)
    }

    /// Evidence by messages of a transfer, as the capture has it that shows it best.
    pub(super) fn shown_by(&self, transfer: &Transfer<'a>, says: impl Into<String>) -> Evidence {
        let (capture, view) = transfer.fullest();
        evidence(capture, view.frames(), says)
    }
}

fn announces(clear: &Clear) -> bool {
    clear
        .notifies
        .contains(&NotifyType::IKEV2_FRAGMENTATION_SUPPORTED)
}

/// Something that was seen in these frames.
pub(super) fn evidence(
    capture: usize,
    frames: impl Iterator<Item = u64>,
    says: impl Into<String>,
) -> Evidence {
    let mut frames: Vec<u64> = frames.take(EVIDENCE_FRAMES_MAX).collect();
    frames.sort_unstable();
    frames.dedup();
    Evidence {
        capture,
        frames,
        says: says.into(),
    }
}

/// Something that was not seen, or that more than a frame shows.
pub(super) fn remark(says: impl Into<String>) -> Evidence {
    evidence(0, std::iter::empty(), says)
}

/// An end in failure.
pub(super) fn failed(
    verdict: Verdict,
    confidence: Confidence,
    evidence: Vec<Evidence>,
) -> Judgement {
    Judgement::Failed(Finding {
        verdict,
        confidence,
        evidence,
    })
}

/// "once", "twice, after 1.000 s", "4 times, …": how often something was sent, and when.
pub(super) fn times(view: &View<'_>) -> String {
    let first = view
        .messages
        .iter()
        .map(|message| message.time)
        .min()
        .unwrap_or_default();
    let is_start =
        |message: &&&Message| message.fragment.is_none_or(|fragment| fragment.number == 1);
    let starts = view
        .messages
        .iter()
        .filter(is_start)
        .filter(|message| message.time > first);
    let after: Vec<String> = starts
        .take(SHOWN)
        .map(|message| format!("{:.3}", message.time.since(first).as_secs_f64()))
        .collect();
    let count = view.times_sent();
    if after.is_empty() || count < 2 {
        return if count < 2 {
            "once".to_owned()
        } else {
            format!("{count} times")
        };
    }
    format!("{count} times, again after {} s", after.join(", "))
}

/// Repeats whose times are shown.
const SHOWN: usize = 8;
