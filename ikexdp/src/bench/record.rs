//! What is measured, by one thread in one phase, and added up.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::errors::CreationError;
use ikexdp_proto::eap::Refusal;
use ikexdp_proto::event::FailureReason;
use ikexdp_proto::suite::IkeSuite;
use ikexdp_proto::time::Instant;

use crate::failure::FailureKind;

/// The longest latency that is told from longer ones, in microseconds: an hour.
const LATENCY_MAX: u64 = 3_600_000_000;

/// What it is called that who answers is not whom clients want.
const ANOTHER_GATEWAY: &str = "another_gateway";

/// Digits of a latency that are right.
const DIGITS: u8 = 3;

/// Datagrams one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) datagrams: u64,
    /// Of IP datagrams, headers included.
    pub(super) octets: u64,
}

impl Traffic {
    pub(super) const fn count(&mut self, octets: u64) {
        self.add(Self {
            datagrams: 1,
            octets,
        });
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.datagrams = self.datagrams.saturating_add(other.datagrams);
        self.octets = self.octets.saturating_add(other.octets);
    }
}

/// Datagrams both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exchanged {
    pub(super) sent: Traffic,
    pub(super) received: Traffic,
}

impl Exchanged {
    pub(super) const fn add(&mut self, other: Self) {
        self.sent.add(other.sent);
        self.received.add(other.received);
    }
}

/// What came of a phase.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// From the first beginning to the last end.
    pub(super) span: Option<(Instant, Instant)>,
    /// When the last of those ended that succeeded: who fails, fails late.
    pub(super) last: Option<Instant>,
    /// How many began.
    pub(super) begun: u64,
    /// In microseconds, of those that succeeded.
    pub(super) latency: Histogram<u64>,
    /// How many failed, by reason.
    pub(super) failures: BTreeMap<String, u64>,
    /// SAs that ended although nobody wanted it, by reason.
    pub(super) lost: BTreeMap<String, u64>,
    /// What those that succeeded exchanged until they did.
    pub(super) useful: Exchanged,
    /// All there was.
    pub(super) traffic: Exchanged,
    pub(super) retransmissions: u64,
    /// Datagrams that this host did not send, by reason.
    pub(super) unsent: BTreeMap<String, u64>,
    /// CHILD SAs that the gateway refused.
    pub(super) children_refused: u64,
    /// Clients that found out that only smaller fragments arrive.
    pub(super) fragments_lowered: u64,
    /// The algorithms that were agreed on last.
    pub(super) suite: Option<IkeSuite>,
    /// How long threads had something to do.
    pub(super) busy: Duration,
    /// How long the one had that had the most to do.
    pub(super) busiest: Duration,
    /// What went by the kernel, with AF_XDP.
    pub(super) by_kernel: Exchanged,
    /// How AF_XDP is attached.
    pub(super) attached: Option<Attached>,
}

/// How AF_XDP is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    /// Where the program runs.
    pub(super) mode: String,
    /// How frames come to us and go.
    pub(super) transfer: String,
}

impl Record {
    /// Nothing yet.
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            span: None,
            last: None,
            begun: 0,
            latency: Histogram::new_with_max(LATENCY_MAX, DIGITS)?,
            failures: BTreeMap::new(),
            lost: BTreeMap::new(),
            useful: Exchanged::default(),
            traffic: Exchanged::default(),
            retransmissions: 0,
            unsent: BTreeMap::new(),
            children_refused: 0,
            fragments_lowered: 0,
            suite: None,
            busy: Duration::ZERO,
            busiest: Duration::ZERO,
            by_kernel: Exchanged::default(),
            attached: None,
        })
    }

    /// One that was due at `since` has succeeded, and exchanged so much for it.
    pub(super) fn succeed(&mut self, since: Instant, now: Instant, exchanged: Exchanged) {
        let latency = now.since(since);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.last = self.last.max(Some(now));
        self.latency.saturating_record(micros);
        self.useful.add(exchanged);
    }

    /// Something happened between these moments.
    pub(super) fn extend(&mut self, from: Instant, to: Instant) {
        let (start, end) = self.span.unwrap_or((from, to));
        self.span = Some((start.min(from), end.max(to)));
    }

    /// It has ended then, before its time.
    pub(super) fn stop(&mut self, now: Instant) {
        self.span = self.span.map(|(start, _)| (start, now.max(start)));
    }

    /// Adds what another phase of the kind has measured.
    pub(super) fn append(&mut self, next: &Self) {
        let busiest = self.busiest.saturating_add(next.busiest);
        self.merge(next);
        self.busiest = busiest;
    }

    /// Adds what another thread has measured.
    pub(super) fn merge(&mut self, other: &Self) {
        if let Some((start, end)) = other.span {
            self.extend(start, end);
        }
        self.last = self.last.max(other.last);
        self.begun = self.begun.saturating_add(other.begun);
        // Both have the same bounds, so that all of it fits.
        let _ = self.latency.add(&other.latency);
        for (own, others) in [
            (&mut self.failures, &other.failures),
            (&mut self.lost, &other.lost),
            (&mut self.unsent, &other.unsent),
        ] {
            for (reason, times) in others {
                count(own, reason, *times);
            }
        }
        self.useful.add(other.useful);
        self.traffic.add(other.traffic);
        self.retransmissions = self.retransmissions.saturating_add(other.retransmissions);
        self.children_refused = self.children_refused.saturating_add(other.children_refused);
        self.fragments_lowered = self
            .fragments_lowered
            .saturating_add(other.fragments_lowered);
        self.suite = other.suite.or(self.suite);
        self.busy = self.busy.saturating_add(other.busy);
        self.busiest = self.busiest.max(other.busiest);
        self.by_kernel.add(other.by_kernel);
        if self.attached.is_none() {
            self.attached.clone_from(&other.attached);
        }
    }
}

/// Counts a reason so many times more.
pub(super) fn count(reasons: &mut BTreeMap<String, u64>, reason: &str, times: u64) {
    match reasons.get_mut(reason) {
        Some(sum) => *sum = sum.saturating_add(times),
        None => drop(reasons.insert(reason.to_owned(), times)),
    }
}

/// What a failure is counted as: what the gateway said, the exchange that it left
/// unanswered, or the name by which the daemon counts it.
pub(super) fn name(reason: &FailureReason) -> String {
    match reason {
        FailureReason::PeerRefused(notify) => notify.to_string(),
        FailureReason::Timeout { waiting_for } => format!("timeout {waiting_for}"),
        FailureReason::NoConnection { .. } => ANOTHER_GATEWAY.to_owned(),
        FailureReason::EapRefused(refusal) => eap_name(*refusal),
        other => FailureKind::from(other).name().to_owned(),
    }
}

fn eap_name(refusal: Refusal) -> String {
    match refusal {
        Refusal::Unexplained => "EAP-Failure".to_owned(),
        Refusal::Reason(number) => format!("E={number}"),
        Refusal::NoCommonMethod => "no_common_method".to_owned(),
        Refusal::Unproved => "gateway_without_password".to_owned(),
        Refusal::Protocol(_) => "eap".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};

    #[test]
    fn a_failure_has_the_name_that_the_gateway_gives_it() {
        let refused = FailureReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
        assert_eq!(name(&refused), "AUTHENTICATION_FAILED");
        let timeout = FailureReason::Timeout {
            waiting_for: ExchangeType::IKE_AUTH,
        };
        assert_eq!(name(&timeout), "timeout IKE_AUTH");
        assert_eq!(name(&FailureReason::SharedKey), "shared_key");
        let wrong_password = FailureReason::EapRefused(Refusal::Reason(691));
        assert_eq!(name(&wrong_password), "E=691");
        let another = FailureReason::NoConnection { wanted: None };
        assert_eq!(name(&another), "another_gateway");
    }

    #[test]
    fn what_threads_measure_adds_up() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let exchanged = Exchanged {
            sent: Traffic {
                datagrams: 2,
                octets: 900,
            },
            received: Traffic::default(),
        };
        let mut one = Record::new().unwrap();
        one.extend(at(3), at(5));
        one.succeed(at(3), at(4), exchanged);
        count(&mut one.failures, "timeout", 1);
        let mut other = Record::new().unwrap();
        other.extend(at(2), at(4));
        other.succeed(at(2), at(3), exchanged);
        count(&mut other.failures, "timeout", 2);
        count(&mut other.failures, "shared_key", 1);

        one.merge(&other);
        assert_eq!(one.span, Some((at(2), at(5))));
        assert_eq!((one.last, one.latency.len()), (Some(at(4)), 2));
        assert_eq!(one.useful.sent.octets, 1800);
        let failures: Vec<_> = one.failures.into_iter().collect();
        let expected = [("shared_key".to_owned(), 1), ("timeout".to_owned(), 3)];
        assert_eq!(failures, expected);
    }
}
