//! What lengths mean for a gateway's configuration.

use serde::Serialize;

use super::Report;
use crate::probe::finding::{self, Standing};

/// The `fragment-size` of a gateway of ours, and what most others send at most.
const DEFAULT_SIZE: u16 = 1280;

/// What was found.
pub type Finding = finding::Finding<Verdict>;

/// What is so, in words that stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The path takes what gateways send by default, and IP fragments as well.
    Works,
    /// Nothing is answered, however short.
    Unanswered,
    /// The gateway has stopped to answer, and nothing can be said.
    FellSilent,
    /// The gateway would have had to keep too much for more questions, and what they ask is not known.
    Unfinished,
    /// The path takes less than what gateways send by default.
    Narrow,
    /// IP fragments do not arrive.
    IpFragmentsLost,
}

impl Verdict {
    /// How it stands with a path of which this is so.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Works => Standing::Works,
            Self::Unanswered | Self::FellSilent | Self::Unfinished => Standing::Unanswered,
            Self::Narrow | Self::IpFragmentsLost => Standing::Reservation,
        }
    }
}

/// The largest size that is known to arrive both ways; none where one of them is not known.
pub(super) fn fragment_size(report: &Report) -> Option<u16> {
    report.back.as_ref()?;
    largest(report)
}

/// The largest size that is known to arrive, both ways where both are known.
fn largest(report: &Report) -> Option<u16> {
    let there = report
        .there
        .found
        .limit
        .filter(|_| !report.fell_silent && !report.unfinished)?;
    match &report.back {
        Some(back) => back.found.limit.map(|limit| limit.min(there)),
        None => Some(there),
    }
}

/// What a report means, the worst first; never nothing.
pub(super) fn judge(report: &Report) -> Vec<Finding> {
    if report.there.found.limit.is_none() {
        return vec![unanswered(report)];
    }
    if report.fell_silent {
        return vec![silent()];
    }
    if report.unfinished {
        return vec![unfinished(report)];
    }
    let all = [lost(report), narrow(report)];
    let found: Vec<_> = all.into_iter().flatten().collect();
    if found.is_empty() {
        vec![works(report)]
    } else {
        found
    }
}

fn unanswered(report: &Report) -> Finding {
    let (address, port) = (report.address, report.port);
    Finding {
        verdict: Verdict::Unanswered,
        says: format!("{address} does not answer on port {port}, however short a datagram is"),
        hint: Some("`ikexdp probe` finds out why".to_owned()),
    }
}

fn silent() -> Finding {
    Finding {
        verdict: Verdict::FellSilent,
        says: "the gateway has stopped to answer, also what it has answered before, and asked slowly: what arrives is not known"
            .to_owned(),
        hint: Some("try again in a minute, and slower: `--pace 1s`".to_owned()),
    }
}

fn unfinished(report: &Report) -> Finding {
    let count = report.half_open;
    Finding {
        verdict: Verdict::Unfinished,
        says: format!(
            "the gateway answers only what leaves a half-open SA, and {count} were enough: longer datagrams than those \
             above may arrive as well"
        ),
        hint: Some(
            "try again in a minute, and more often on a path that loses much: `--tries 10`"
                .to_owned(),
        ),
    }
}

fn lost(report: &Report) -> Option<Finding> {
    let octets = report.ip_fragments.filter(|it| !it.arrive)?.octets;
    Some(Finding {
        verdict: Verdict::IpFragmentsLost,
        says: format!(
            "a datagram of {octets} octets in IP fragments does not arrive: long messages need IKE fragmentation \
             (RFC 7383) on this path, without which Windows shows error 809"
        ),
        hint: Some(
            "`ikexdp probe` says whether the gateway has it; ikexdp has, unless `fragmentation = false`; on \
             RRAS set `EnableServerFragmentation` = 1"
                .to_owned(),
        ),
    })
}

fn narrow(report: &Report) -> Option<Finding> {
    let size = largest(report).filter(|it| *it < DEFAULT_SIZE);
    let is_back_lost = report
        .back
        .as_ref()
        .is_some_and(|it| it.found.limit.is_none());
    let says = match size {
        Some(size) => format!(
            "the path takes datagrams of {size} octets at most, less than the {DEFAULT_SIZE} that gateways send by \
             default"
        ),
        None if is_back_lost => {
            "on the way back not even the shortest of the sizes asked for arrives".to_owned()
        }
        None => return None,
    };
    let hint = size.map(|size| {
        format!("on a gateway of ours set `fragment-size = {size}`, on strongSwan `fragment_size = {size}`")
    });
    Some(Finding {
        verdict: Verdict::Narrow,
        says,
        hint,
    })
}

fn works(report: &Report) -> Finding {
    let size = largest(report).unwrap_or(DEFAULT_SIZE);
    Finding {
        verdict: Verdict::Works,
        says: format!(
            "the path takes datagrams of {size} octets, and IP fragments: IKE fragmentation is not needed on it, and \
             does no harm"
        ),
        hint: None,
    }
}
