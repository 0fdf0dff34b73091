//! Attempts that do not get past IKE_SA_INIT.

use ikexdp_proto::config::IkeAlgorithms;
use ikexdp_proto::mismatch::Mismatch;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::wire::iana::NotifyType;

use super::case::{Case, Judgement, evidence, failed, remark, times};
use crate::attempt::exchange::Exchange;
use crate::contents::Clear;
use crate::message::Message;
use crate::model::{Confidence, Evidence, IcmpError, IcmpSeen};
use crate::verdict::{Direction, Policy, Unanswered, Verdict};

/// Attempts of one address that must have been answered before a limit is behind it that a later one is not: RRAS
/// answers ten, and few gateways less than three.
const CROWD_MIN: usize = 3;

pub(super) fn judge(case: &Case<'_>) -> Judgement {
    let Some(init) = case.init() else {
        return Judgement::Open;
    };
    if case.is_followed {
        // Another attempt goes on where this one ends.
        return Judgement::Open;
    }
    match last_word(init) {
        Some((message, clear)) => refused(case, init, message, clear),
        // There is an answer, and the capture does not have enough of it.
        None if init.response.is_seen() && init.response.clear().next().is_none() => {
            Judgement::Open
        }
        None => unanswered(case, init),
    }
}

/// The gateway's last answer, if the client did not ask in another way since.
fn last_word<'a>(init: &Exchange<'a>) -> Option<(&'a Message, &'a Clear)> {
    let (answer, clear) = init
        .response
        .clear()
        .max_by_key(|(message, _)| message.time)?;
    let answered = init
        .request
        .messages()
        .filter(|request| request.time <= answer.time);
    let answered = answered.max_by_key(|request| request.time);
    let is_other = |request: &Message| {
        request.time > answer.time
            && answered.is_some_and(|answered| answered.digest != request.digest)
    };
    (!init.request.messages().any(is_other)).then_some((answer, clear))
}

fn refused(case: &Case<'_>, init: &Exchange<'_>, message: &Message, clear: &Clear) -> Judgement {
    let seen = |says: String| {
        vec![evidence(
            message.capture,
            message.frames.iter().copied(),
            says,
        )]
    };
    if let Some(to) = &clear.redirect {
        let verdict = Verdict::Redirected { to: to.clone() };
        return failed(
            verdict,
            Confidence::Certain,
            seen("the gateway answers with REDIRECT".to_owned()),
        );
    }
    if let Some(status) = clear.status {
        let says = format!("the answer to IKE_SA_INIT has N(12345): {status}");
        return failed(
            Verdict::WindowsStatus(status),
            Confidence::Certain,
            seen(says),
        );
    }
    let said = |error: NotifyType| seen(format!("the gateway answers with {error}"));
    match clear.error {
        Some(NotifyType::NO_PROPOSAL_CHOSEN) => {
            no_policy(case, said(NotifyType::NO_PROPOSAL_CHOSEN))
        }
        Some(NotifyType::INVALID_MAJOR_VERSION) => failed(
            Verdict::VersionRefused,
            Confidence::Certain,
            said(NotifyType::INVALID_MAJOR_VERSION),
        ),
        Some(error @ NotifyType::INVALID_KE_PAYLOAD) => {
            if !case.is_in_vain(&init.request) {
                return Judgement::Open;
            }
            let sent = case.offer().and_then(|(_, offer)| offer.group);
            let verdict = Verdict::KeyExchangeRefused {
                sent,
                wanted: clear.wanted,
            };
            let mut evidence = said(error);
            evidence.push(remark("no request with that group follows under this SPI"));
            failed(verdict, Confidence::Likely, evidence)
        }
        Some(error) => failed(
            Verdict::InitRefused(error),
            Confidence::Certain,
            said(error),
        ),
        None if clear.cookie && case.is_in_vain(&init.request) => failed(
            Verdict::CookieNotReturned,
            Confidence::Likely,
            seen("the gateway answers with COOKIE, and no request brings it back".to_owned()),
        ),
        None => Judgement::Open,
    }
}

/// NO_PROPOSAL_CHOSEN: what was offered, and what of it is in a profile of ours.
fn no_policy(case: &Case<'_>, mut seen: Vec<Evidence>) -> Judgement {
    let Some((request, offer)) = case.offer() else {
        return failed(
            Verdict::InitRefused(NotifyType::NO_PROPOSAL_CHOSEN),
            Confidence::Certain,
            seen,
        );
    };
    let frames = request.frames.iter().copied();
    let count = offer.proposals.len();
    let says = format!(
        "the client offers {count} proposals in {} octets",
        request.message_len
    );
    seen.push(evidence(request.capture, frames, says));
    let verdict = Verdict::NoCommonPolicy(Box::new(policy(offer)));
    failed(verdict, Confidence::Certain, seen)
}

fn policy(offer: &Clear) -> Policy {
    let is_windows = offer.is_windows();
    let compatible = IkeAlgorithms::of(Profile::Compatible);
    let mismatch = Mismatch::of_ike(&offer.proposals, &compatible, is_windows);
    Policy {
        // What the gateway takes, an answer in the clear does not say.
        taken: None,
        nearest: mismatch.nearest.clone(),
        ..Policy::from(&mismatch)
    }
}

fn unanswered(case: &Case<'_>, init: &Exchange<'_>) -> Judgement {
    let (capture, view) = init.request.fullest();
    let longest = view.longest();
    let asked = format!("IKE_SA_INIT of {longest} octets, sent {}", times(view));
    let mut seen = vec![evidence(capture, view.frames(), asked)];
    if !case.is_in_vain(&init.request) {
        return Judgement::Open;
    }
    if let Some(icmp) = case.attempt.icmp.iter().find(|icmp| is_too_big(icmp)) {
        let says = format!("ICMP says of it: {}", said(icmp.error));
        seen.push(evidence(icmp.capture, std::iter::once(icmp.frame), says));
        let verdict = Verdict::LargeDatagramsLost {
            direction: Direction::FromClient,
            datagram_len: longest,
            passed: 0,
        };
        return failed(verdict, Confidence::Certain, seen);
    }
    let unreachable = case.attempt.icmp.iter().find(|icmp| {
        icmp.direction == Direction::FromClient
            && matches!(
                icmp.error,
                IcmpError::PortUnreachable | IcmpError::Prohibited | IcmpError::Unreachable
            )
    });
    if let Some(icmp) = unreachable {
        let says = format!("ICMP says of it: {}", said(icmp.error));
        seen.push(evidence(icmp.capture, std::iter::once(icmp.frame), says));
        return failed(
            Verdict::InitUnanswered(Unanswered::Unreachable),
            Confidence::Certain,
            seen,
        );
    }
    let crowd = case.crowd;
    if crowd.answered_before >= CROWD_MIN && !crowd.answered_later {
        let answered = crowd.answered_before;
        seen.push(remark(format!(
            "{answered} attempts from the same address, each from a port of its own, were answered before, and none that began later"
        )));
        let confidence = if crowd.gateway_lives {
            Confidence::Likely
        } else {
            seen.push(remark(
                "nor does anybody hear the gateway after that: it may be down",
            ));
            Confidence::Possible
        };
        return failed(Verdict::PerSourceLimit { answered }, confidence, seen);
    }
    let (unanswered, confidence, says) = whose_silence(case, init);
    seen.push(remark(says));
    failed(Verdict::InitUnanswered(unanswered), confidence, seen)
}

fn is_too_big(icmp: &IcmpSeen) -> bool {
    icmp.direction == Direction::FromClient && matches!(icmp.error, IcmpError::TooBig(_))
}

/// Where a request goes that nobody answers.
fn whose_silence(case: &Case<'_>, init: &Exchange<'_>) -> (Unanswered, Confidence, &'static str) {
    match (case.has_both(), case.sees_gateway()) {
        (true, _) if init.request.view(1).is_seen() => (
            Unanswered::Silent,
            Confidence::Certain,
            "the gateway's capture has the request and no answer",
        ),
        (true, _) if case.is_aligned => (
            Unanswered::RequestLost,
            Confidence::Certain,
            "the gateway's capture has nothing of it",
        ),
        (true, _) => (
            Unanswered::RequestLost,
            Confidence::Likely,
            "the gateway's capture has nothing of it, nor anything else in common, so that it may be of another time",
        ),
        (false, true) => (
            Unanswered::Silent,
            Confidence::Certain,
            "hop limits or directions show that the capture was made at the gateway, where it arrives",
        ),
        (false, false) => (
            Unanswered::Unknown,
            Confidence::Certain,
            "no answer is in this capture; with the gateway's capture it is known who is silent",
        ),
    }
}

/// What ICMP says.
pub(super) fn said(error: IcmpError) -> String {
    match error {
        IcmpError::TooBig(0) => "the datagram is too big for a link on the way".to_owned(),
        IcmpError::TooBig(mtu) => {
            format!("the datagram is too big for a link of {mtu} octets on the way")
        }
        IcmpError::PortUnreachable => "nobody listens on the port".to_owned(),
        IcmpError::Prohibited => "a firewall prohibits it".to_owned(),
        IcmpError::Unreachable => "there is no way there".to_owned(),
        IcmpError::ReassemblyTime => {
            "IP fragments were missing when their time was over".to_owned()
        }
    }
}
