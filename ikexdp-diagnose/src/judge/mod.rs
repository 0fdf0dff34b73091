//! From what was seen to what was the matter.
//!
//! What the evidence does not carry is not said: a capture of one end knows what left or what arrived there, not both,
//! and what is encrypted is judged by its size alone. Confidence says which.

mod auth;
mod case;
mod ending;
mod init;
mod reply;
mod sizes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ikexdp_proto::wire::iana::ExchangeType;

use crate::attempt::{self, Assembled, exchange::exchanges};
use crate::collect::Reading;
use crate::contents::Contents;
use crate::model::{Attempt, Capture, Confidence, Finding, Outcome, Report};
use crate::time::Moment;
use crate::verdict::{Direction, Verdict};
use case::{Case, Crowd, Judgement, Sight, evidence, failed};

/// Judges one capture, or two of the same attempts: the client's and the gateway's, in any order.
///
/// With `client`, only attempts from or to that address are looked at.
#[must_use]
pub fn judge(readings: Vec<Reading>, client: Option<IpAddr>) -> Report {
    let Assembled {
        captures,
        clock_offset,
        mut attempts,
    } = attempt::assemble(readings, client);
    let neighbours = Neighbours::of(&attempts);
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
    let has_ike = captures.iter().any(|capture| capture.ike_messages > 0);
    let verdict = (!has_ike).then_some(Verdict::NoIke);
    Report {
        captures,
        clock_offset,
        attempts,
        verdict,
    }
}

fn judge_one(
    attempts: &[Attempt],
    index: usize,
    captures: &[Capture],
    is_aligned: bool,
    neighbours: &Neighbours,
) -> Option<Judgement> {
    let attempt = attempts.get(index)?;
    let sight = Sight::of(attempt, captures, is_aligned);
    let case = Case {
        attempt,
        exchanges: exchanges(attempt),
        captures,
        sight,
        is_aligned,
        end: sight.end(captures),
        next: neighbours.next(attempts, index),
        crowd: neighbours.crowd(attempts, index),
    };
    Some(decide(&case))
}

fn decide(case: &Case<'_>) -> Judgement {
    if let Some(judgement) = ikev1(case) {
        return judgement;
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
    // Main mode is up to the keys with two answers.
    if answered > 1 || case.attempt.esp.first.is_some() {
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

/// Attempts by where they come from.
struct Neighbours {
    by_socket: BTreeMap<(SocketAddr, SocketAddr), Vec<usize>>,
    by_host: BTreeMap<(IpAddr, IpAddr), Answers>,
    /// When each gateway was last heard.
    heard: BTreeMap<IpAddr, Moment>,
}

/// Which attempts of one address were answered.
#[derive(Default)]
struct Answers {
    /// Beginnings of those that were answered, sorted, with how many sockets there had been by then, and how many
    /// attempts with an answer to IKE_AUTH.
    answered: Vec<(Moment, usize, usize)>,
}

/// A client that fails tries again before that; what comes later is another visit.
const AGAIN: Duration = Duration::from_secs(60);

impl Neighbours {
    /// `attempts` are sorted by their beginnings.
    fn of(attempts: &[Attempt]) -> Self {
        let mut by_socket = BTreeMap::<_, Vec<usize>>::new();
        let mut by_host = BTreeMap::<_, Answers>::new();
        let mut sockets = BTreeMap::<_, BTreeSet<SocketAddr>>::new();
        let mut all_heard = BTreeMap::new();
        for (index, attempt) in attempts.iter().enumerate() {
            by_socket
                .entry((attempt.client, attempt.gateway))
                .or_default()
                .push(index);
            let hosts = (attempt.client.ip(), attempt.gateway.ip());
            let heard = attempt
                .messages
                .iter()
                .filter(|message| message.direction == Direction::FromGateway);
            if let Some(last) = heard.map(|message| message.time).max() {
                let latest = all_heard.entry(attempt.gateway.ip()).or_insert(last);
                *latest = last.max(*latest);
                let sockets = sockets.entry(hosts).or_default();
                sockets.insert(attempt.client);
                let answers = by_host.entry(hosts).or_default();
                let got_in = usize::from(is_answered(attempt));
                let got_in = answers
                    .answered
                    .last()
                    .map_or(0, |(_, _, before)| *before)
                    .saturating_add(got_in);
                answers
                    .answered
                    .push((start(attempt), sockets.len(), got_in));
            }
        }
        Self {
            by_socket,
            by_host,
            heard: all_heard,
        }
    }

    fn next(&self, attempts: &[Attempt], index: usize) -> Option<Moment> {
        let attempt = attempts.get(index)?;
        let same = self.by_socket.get(&(attempt.client, attempt.gateway))?;
        let place = same.binary_search(&index).ok()?;
        let next = start(attempts.get(*same.get(place.checked_add(1)?)?)?);
        let last = attempt.messages.iter().map(|message| message.time).max()?;
        (next.since(last) <= AGAIN).then_some(next)
    }

    fn crowd(&self, attempts: &[Attempt], index: usize) -> Crowd {
        let Some(attempt) = attempts.get(index) else {
            return Crowd::default();
        };
        let hosts = (attempt.client.ip(), attempt.gateway.ip());
        let Some(answers) = self.by_host.get(&hosts) else {
            return Crowd::default();
        };
        let began = start(attempt);
        let before = answers.answered.partition_point(|(time, ..)| *time < began);
        let count = before
            .checked_sub(1)
            .and_then(|last| answers.answered.get(last));
        Crowd {
            answered_before: count.map_or(0, |(_, sockets, got_in)| *sockets.max(got_in)),
            answered_later: answers.answered.len() > before,
            gateway_lives: self
                .heard
                .get(&attempt.gateway.ip())
                .is_some_and(|heard| *heard > began),
        }
    }
}

fn is_answered(attempt: &Attempt) -> bool {
    attempt.messages.iter().any(|message| {
        message.direction == Direction::FromGateway
            && message.header.exchange == ExchangeType::IKE_AUTH
    })
}

fn start(attempt: &Attempt) -> Moment {
    attempt
        .messages
        .first()
        .map(|message| message.time)
        .unwrap_or_default()
}

impl Report {
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
