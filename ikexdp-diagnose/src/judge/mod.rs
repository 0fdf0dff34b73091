//! From what was seen to what was the matter.
//!
//! What the evidence does not carry is not said: a capture of one end knows what left or what arrived there, not both,
//! and what is encrypted is judged by its size alone. Confidence says which.

mod auth;
mod case;
mod ending;
mod init;
mod neighbours;
mod pieces;
mod reply;
mod sight;
mod sizes;

use std::net::IpAddr;
use std::time::Duration;

use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};

use crate::attempt::{self, Assembled, exchange::exchanges};
use crate::collect::Reading;
use crate::contents::Contents;
use crate::model::{Attempt, Capture, Confidence, Finding, Outcome, Report};
use crate::verdict::{Direction, Verdict};
use case::{Case, Judgement, evidence, failed};
use neighbours::Neighbours;

/// Judges one capture, or two of the same attempts: the client's and the gateway's, in any order.
///
/// With `client`, only attempts from or to that address are looked at.
#[must_use]
pub fn judge(readings: Vec<Reading>, client: Option<IpAddr>) -> Report {
    let Assembled {
        mut captures,
        clock_offset,
        mut attempts,
    } = attempt::assemble(readings, client);
    let neighbours = Neighbours::of(&attempts);
    let is_of_nobody = attempts.is_empty() && has_ike(&captures);
    if let Some((client, capture)) = client.zip(captures.first_mut()).filter(|_| is_of_nobody) {
        capture.notes.push(format!(
            "no attempt is of {client}; hint: without --client all are shown, and behind a NAT a client has another address"
        ));
    }
    let judged: Vec<Judgement> = (0..attempts.len())
        .filter_map(|index| {
            judge_one(
                &attempts,
                index,
                &captures,
                clock_offset.is_some(),
                &neighbours,
            )
        })
        .collect();
    for (attempt, judgement) in attempts.iter_mut().zip(judged) {
        (attempt.outcome, attempt.finding) = match judgement {
            Judgement::Established => (Outcome::Established, None),
            Judgement::Open => (Outcome::Open, None),
            Judgement::Failed(finding) => (Outcome::Failed, Some(finding)),
        };
    }
    let is_known = captures.iter().all(is_legible);
    let verdict = (!has_ike(&captures) && is_known).then_some(Verdict::NoIke);
    Report {
        captures,
        clock_offset,
        attempts,
        verdict,
    }
}

fn has_ike(captures: &[Capture]) -> bool {
    captures.iter().any(|capture| capture.ike_messages > 0)
}

/// Whether anything of a capture could be read, so that what is not in it says something.
fn is_legible(capture: &Capture) -> bool {
    capture.legible > 0 || (capture.frames == 0 && capture.truncated.is_none())
}

fn judge_one(
    attempts: &[Attempt],
    index: usize,
    captures: &[Capture],
    is_aligned: bool,
    neighbours: &Neighbours,
) -> Option<Judgement> {
    let attempt = attempts.get(index)?;
    let sight = neighbours.sight(attempt, captures, is_aligned);
    let case = Case {
        attempt,
        exchanges: exchanges(attempt),
        captures,
        sight,
        is_aligned,
        end: sight.end(captures, is_aligned),
        next: neighbours.next(attempts, index),
        crowd: neighbours.crowd(attempts, index),
        is_followed: neighbours.is_followed(attempts, index),
        other_lives: neighbours.other_lives(attempts, index),
    };
    Some(decide(&case))
}

fn decide(case: &Case<'_>) -> Judgement {
    if let Some(judgement) = ikev1(case) {
        return judgement;
    }
    if is_size_test(case) {
        return Judgement::Open;
    }
    if ending::is_carrying(case) {
        return Judgement::Established;
    }
    let exchange = case
        .of_client(&[ExchangeType::IKE_AUTH, ExchangeType::IKE_INTERMEDIATE])
        .last();
    match exchange {
        Some(last) if last.response.is_seen() => reply::judge(case, last),
        Some(last) => auth::unanswered(case, last),
        None if case.accepted().is_some() => auth::absent(case),
        None => init::judge(case),
    }
}

/// What `ikexdp mtu` sends wants an answer of some size and no SA.
fn is_size_test(case: &Case<'_>) -> bool {
    let offer = case.offer();
    offer.is_some_and(|(_, offer)| offer.notifies.contains(&NotifyType::SIZE_TEST))
}

/// Without an answer for so long, IKEv1 comes to nothing.
const IKEV1_IN_VAIN: Duration = Duration::from_secs(10);

/// IKEv1 alone; with answers and a tunnel it is somebody else's business.
fn ikev1(case: &Case<'_>) -> Option<Judgement> {
    let messages = &case.attempt.messages;
    let is_v1 = |contents: &Contents| *contents == Contents::Ikev1;
    if !messages.iter().all(|message| is_v1(&message.contents)) {
        return None;
    }
    let answered = messages
        .iter()
        .filter(|message| message.direction == Direction::FromGateway)
        .count();
    let first = messages.iter().map(|message| message.time).min();
    let waited = case.end.since(first.unwrap_or_default());
    let is_over = case.next.is_some() || waited >= IKEV1_IN_VAIN;
    // Main mode is up to the keys with two answers.
    if answered > 1 || case.attempt.esp.first.is_some() || !is_over {
        return Some(Judgement::Open);
    }
    let frames = messages
        .iter()
        .flat_map(|message| message.frames.iter().copied());
    let seen = evidence(
        0,
        frames,
        "every message of this attempt has major version 1",
    );
    Some(failed(Verdict::Ikev1, Confidence::Certain, vec![seen]))
}

impl Report {
    /// Whether there is no IKE, and a capture of which nothing could be read, so that nothing can be said.
    #[must_use]
    pub fn cannot_be_judged(&self) -> bool {
        self.verdict.is_none() && !has_ike(&self.captures)
    }

    /// Whether an attempt failed.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.outcome == Outcome::Failed)
    }

    /// Every finding, with the attempt that it is about.
    pub fn findings(&self) -> impl Iterator<Item = (&Attempt, &Finding)> {
        self.attempts
            .iter()
            .filter_map(|attempt| Some((attempt, attempt.finding.as_ref()?)))
    }
}
