//! What keys make certain about an attempt.

use ikexdp_proto::wire::iana::{EapCode, ExchangeType, NotifyType};

use super::{Inside, Opened, Weight};
use crate::model::{Attempt, Confidence, Evidence, Finding, Outcome};
use crate::verdict::{Direction, Verdict};

/// Says more exactly what became of `attempt`.
pub(super) fn revise(attempt: &mut Attempt, inside: &Inside) {
    if inside.messages.is_empty() {
        return;
    }
    if let Some(finding) = refused(inside) {
        attempt.outcome = Outcome::Failed;
        attempt.finding = Some(finding);
    } else if let Some(finding) = silent(attempt, inside) {
        attempt.outcome = Outcome::Failed;
        attempt.finding = Some(finding);
    } else if is_up(inside) && is_guessed(attempt) {
        attempt.outcome = Outcome::Established;
        attempt.finding = None;
    }
    // The tunnel was up, and stays so until its keys are used up: it is no failure of the attempt.
    if attempt.outcome == Outcome::Established && attempt.finding.is_none() {
        attempt.finding = rekey_refused(inside);
    }
}

/// What a message says in so many words.
fn refused(inside: &Inside) -> Option<Finding> {
    // A refusal by EAP comes before the one of IKE that follows from it.
    let rejected = inside.messages.iter().find(|opened| {
        let eap = opened.facts.eap.as_ref();
        eap.is_some_and(|eap| eap.code == EapCode::FAILURE || eap.error.is_some())
            && !went_on(inside, opened)
    });
    if let Some(opened) = rejected {
        return Some(eap_rejected(inside, opened));
    }
    let (opened, verdict) = inside
        .messages
        .iter()
        .find_map(|opened| Some((opened, verdict(opened)?)))?;
    let mut evidence = vec![said(opened)];
    let judged = match opened.direction {
        Direction::FromGateway => Direction::FromClient,
        Direction::FromClient => Direction::FromGateway,
    };
    evidence.extend(faults(inside, judged, opened.capture));
    Some(Finding {
        verdict,
        confidence: Confidence::Certain,
        evidence,
    })
}

/// The code by which Windows has refused to replace an SA, as it does in answers to gateways that ask for that.
fn rekey_refused(inside: &Inside) -> Option<Finding> {
    let asked = |it: &&Opened| it.exchange == ExchangeType::CREATE_CHILD_SA;
    let (opened, status) = inside
        .messages
        .iter()
        .filter(asked)
        .find_map(|opened| Some((opened, opened.facts.status?)))?;
    let after = Evidence {
        says: format!("rekey refused with {status}: the IKE SA stays up, and ends with its keys"),
        frames: Vec::new(),
        ..said(opened)
    };
    Some(Finding {
        verdict: Verdict::WindowsStatus(status),
        confidence: Confidence::Certain,
        evidence: vec![said(opened), after],
    })
}

/// What the errors in a message mean.
fn verdict(opened: &Opened) -> Option<Verdict> {
    let facts = &opened.facts;
    // What is refused of an IKE SA that is up does not end it.
    if opened.exchange == ExchangeType::CREATE_CHILD_SA {
        return None;
    }
    if let Some(status) = facts.status {
        return Some(Verdict::WindowsStatus(status));
    }
    let is_auth = opened.exchange == ExchangeType::IKE_AUTH;
    let has = |kinds: &[NotifyType]| facts.errors.iter().any(|it| kinds.contains(it));
    if has(&[NotifyType::AUTHENTICATION_FAILED]) {
        return Some(match opened.direction {
            Direction::FromGateway => Verdict::AuthenticationFailed,
            Direction::FromClient => Verdict::CertificateNotAccepted,
        });
    }
    let from_gateway = opened.direction == Direction::FromGateway;
    if is_auth && from_gateway && has(&[NotifyType::INTERNAL_ADDRESS_FAILURE]) {
        return Some(Verdict::NoAddress);
    }
    let child = [
        NotifyType::NO_PROPOSAL_CHOSEN,
        NotifyType::TS_UNACCEPTABLE,
        NotifyType::SINGLE_PAIR_REQUIRED,
        NotifyType::FAILED_CP_REQUIRED,
    ];
    (is_auth && from_gateway && has(&child)).then_some(Verdict::ChildRefused)
}

/// A client that says nothing more after the gateway has shown its certificate.
fn silent(attempt: &Attempt, inside: &Inside) -> Option<Finding> {
    let shown = inside.messages.iter().find(|opened| {
        opened.direction == Direction::FromGateway && !opened.facts.certificates.is_empty()
    })?;
    let is_over = attempt.outcome == Outcome::Failed && is_guessed(attempt);
    // Who deletes the IKE SA without a complaint had it.
    if later(inside, shown).next().is_some() || !is_over {
        return None;
    }
    let mut evidence = vec![said(shown)];
    let confidence = if has_fault(inside, Direction::FromGateway) {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    evidence.extend(faults(inside, Direction::FromGateway, shown.capture));
    evidence.push(Evidence {
        says: "the client says nothing more".to_owned(),
        frames: Vec::new(),
        ..said(shown)
    });
    Some(Finding {
        verdict: Verdict::CertificateNotAccepted,
        confidence,
        evidence,
    })
}

/// Whether the finding so far goes by sizes and silence, which keys see through; what is lost
/// on the way stays so.
fn is_guessed(attempt: &Attempt) -> bool {
    let Some(finding) = &attempt.finding else {
        return true;
    };
    matches!(
        finding.verdict,
        Verdict::AuthenticationFailed
            | Verdict::CertificateNotAccepted
            | Verdict::EapRejected
            | Verdict::NoAddress
            | Verdict::ChildRefused
    )
}

/// Whether the client has taken a response, and asked for more.
fn went_on(inside: &Inside, opened: &Opened) -> bool {
    let mut later = later(inside, opened);
    later.any(|other| !other.facts.deletes && other.facts.errors.is_empty())
}

/// What the client has asked later.
fn later<'a>(inside: &'a Inside, opened: &'a Opened) -> impl Iterator<Item = &'a Opened> {
    inside.messages.iter().filter(|other| {
        other.direction == Direction::FromClient
            && !other.response
            && other.message_id > opened.message_id
    })
}

/// Whether the gateway has agreed to everything.
fn is_up(inside: &Inside) -> bool {
    inside.messages.iter().any(|opened| {
        let facts = &opened.facts;
        opened.exchange == ExchangeType::IKE_AUTH
            && opened.direction == Direction::FromGateway
            && opened.response
            && facts.has_sa
            && facts.errors.is_empty()
    })
}

fn eap_rejected(inside: &Inside, opened: &Opened) -> Finding {
    let mut evidence = vec![said(opened)];
    let methods = inside
        .messages
        .iter()
        .filter_map(|it| it.facts.eap.as_ref());
    let method = methods.filter_map(|eap| eap.method).next_back();
    if let Some(method) = method {
        evidence.push(Evidence {
            says: format!("the last method was {method}"),
            frames: Vec::new(),
            ..said(opened)
        });
    }
    let errors = inside
        .messages
        .iter()
        .filter_map(|it| it.facts.eap.as_ref());
    if let Some(error) = errors.filter_map(|eap| eap.error).next_back() {
        let name = match error {
            646 => "outside of permitted hours",
            647 => "the account is disabled",
            648 => "the password has expired",
            649 => "no permission to dial in",
            691 => "wrong name or password",
            709 => "the password could not be changed",
            _ => "an error of its own",
        };
        evidence.push(Evidence {
            says: format!("MSCHAPv2 says {error}: {name}"),
            frames: Vec::new(),
            ..said(opened)
        });
    }
    Finding {
        verdict: Verdict::EapRejected,
        confidence: Confidence::Certain,
        evidence,
    }
}

/// What a message says, as evidence.
fn said(opened: &Opened) -> Evidence {
    let who = match opened.direction {
        Direction::FromClient => "the client",
        Direction::FromGateway => "the gateway",
    };
    let kind = if opened.response {
        "response"
    } else {
        "request"
    };
    let payloads: Vec<_> = opened.payloads.iter().map(short).collect();
    let (exchange, number) = (opened.exchange, opened.message_id.0);
    Evidence {
        capture: opened.capture,
        frames: opened.frames.clone(),
        says: format!(
            "{who}'s {exchange} {kind} {number} says: {}",
            payloads.join(" ")
        ),
    }
}

/// A payload in as few words as show what it is about.
fn short(payload: &super::Described) -> String {
    match payload.name.as_str() {
        "N" | "EAP" => format!("{}({})", payload.name, payload.says),
        name => name.to_owned(),
    }
}

/// What is wrong with what one side has shown; or else what the other side must know of it.
fn faults(inside: &Inside, about: Direction, capture: usize) -> Vec<Evidence> {
    let of = |weight| {
        let remarks = inside.remarks.iter();
        remarks.filter(move |it| it.about == about && it.weight == weight)
    };
    let evidence = |says: String| Evidence {
        capture,
        frames: Vec::new(),
        says,
    };
    let faults: Vec<_> = of(Weight::Fault)
        .map(|it| evidence(it.says.clone()))
        .collect();
    if !faults.is_empty() {
        return faults;
    }
    of(Weight::Note)
        .map(|it| evidence(it.says.clone()))
        .collect()
}

/// Whether what one side has shown has a fault.
fn has_fault(inside: &Inside, about: Direction) -> bool {
    let mut remarks = inside.remarks.iter();
    remarks.any(|it| it.about == about && it.weight == Weight::Fault)
}
