//! What a client would meet at a gateway, found out without a key.
//!
//! ```text
//! client/      what clients open with
//! request.rs   the messages ─> line.rs  a UDP socket, repeats ─> reply.rs  what came back
//! attempt.rs   IKE_SA_INIT on one port, with all detours
//! same.rs      whether both ports lead to one gateway
//! policy.rs    what the gateway takes, one proposal at a time
//! verdict.rs   what it means
//! ```

pub mod attempt;
pub mod client;
pub mod error;
pub mod finding;
pub mod kind;
pub mod line;
mod names;
pub mod policy;
pub mod reply;
pub mod request;
pub mod resolve;
pub mod same;
pub mod vendor;
pub mod verdict;

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use ikexdp_proto::types::{IKE_PORT, NAT_T_PORT};
use serde::Serialize;

use crate::mtu;

pub use self::attempt::{Attempt, Manner, Outcome};
pub use self::error::ProbeError;
use self::finding::Standing;
pub use self::kind::Kind;
use self::line::Line;
use self::policy::{Entry, Policy, candidates};
use self::request::Request;
use self::same::Comparison;
use self::verdict::{Finding, judge, standing};

/// What is to be found out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The gateway, as it was named.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
    /// Who asks.
    pub client: Kind,
    /// The port of ours; 0 for any.
    pub source_port: u16,
    /// How long each answer may take.
    pub timeout: Duration,
    /// From one proposal to the next, if they are to be asked for one by one.
    pub policy: Option<Duration>,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The gateway, as it was named.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
    /// Who has asked.
    pub client: Kind,
    /// Port 500.
    pub ike: Attempt,
    /// Port 4500, with a request of its own; none if it has answered what was made on 500.
    pub nat_t: Option<Attempt>,
    /// Whether both lead to one gateway, if 500 has accepted.
    pub comparison: Option<Comparison>,
    /// Whether IP fragments arrive, if the gateway leaves the client nothing else.
    pub ip_fragments: Option<bool>,
    /// One proposal at a time, if that was asked for.
    pub policy: Option<Vec<Entry>>,
    /// Half-open SAs that are left at the gateway.
    pub half_open: u32,
    /// What it means, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether port 4500 has answered anything.
    #[must_use]
    pub fn has_nat_t_port(&self) -> bool {
        let compared = self.comparison.is_some_and(|it| it.is_answered());
        compared || self.nat_t.as_ref().is_some_and(Attempt::is_answered)
    }

    /// How it stands with the client.
    #[must_use]
    pub fn standing(&self) -> Standing {
        standing(&self.findings)
    }
}

/// Finds it out; `progress` is told how many of how many proposals are asked for.
///
/// # Errors
/// [`ProbeError`] if requests cannot be sent.
pub fn run(plan: &Plan, progress: impl FnMut(usize, usize)) -> Result<Report, ProbeError> {
    let manner = Manner {
        timeout: plan.timeout,
        turns: true,
    };
    let line = Line::open(plan.address, plan.source_port, IKE_PORT)?;
    let nat_t_line = line.beside(NAT_T_PORT)?;
    let ike = Attempt::make(&line, &mut Request::new(plan.client.client())?, manner)?;
    let comparison = match &ike.accepted {
        Some(accepted) => Some(Comparison::make(
            [&line, &nat_t_line],
            accepted,
            plan.timeout,
        )?),
        None => None,
    };
    let nat_t = if comparison.is_some_and(|it| it.is_answered()) {
        None
    } else {
        let mut request = Request::new(plan.client.client())?;
        Some(Attempt::make(&nat_t_line, &mut request, manner)?)
    };
    let policy = match plan.policy {
        Some(pace) if ike.is_answered() => Some(ask_all(&line, pace, progress)?),
        _ => None,
    };
    let ip_fragments = match ike.fragmentation {
        Some(false) => ip_fragments(plan)?,
        _ => None,
    };
    let mut report = Report {
        host: plan.host.clone(),
        address: plan.address,
        client: plan.client,
        half_open: half_open([Some(&ike), nat_t.as_ref()], comparison, policy.as_deref()),
        ike,
        nat_t,
        comparison,
        ip_fragments,
        policy,
        findings: Vec::new(),
    };
    report.findings = judge(&report);
    Ok(report)
}

/// Whether long messages could arrive without RFC 7383, where the client sends them to.
fn ip_fragments(plan: &Plan) -> Result<Option<bool>, ProbeError> {
    mtu::ip_fragments(&mtu::Plan {
        host: plan.host.clone(),
        address: plan.address,
        port: NAT_T_PORT,
        tries: mtu::TRIES,
        pace: mtu::PACE,
        timeout: mtu::TIMEOUT,
    })
}

/// All proposals, one after the other, on port 500.
fn ask_all(
    line: &Line,
    pace: Duration,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<Entry>, ProbeError> {
    let all = candidates();
    let count = all.len();
    let mut policy = Policy::default();
    let mut entries = Vec::new();
    for candidate in &all {
        thread::sleep(pace);
        progress(entries.len(), count);
        entries.push(policy.ask(line, candidate)?);
    }
    Ok(entries)
}

fn half_open(
    attempts: [Option<&Attempt>; 2],
    comparison: Option<Comparison>,
    policy: Option<&[Entry]>,
) -> u32 {
    let attempts = attempts
        .iter()
        .flatten()
        .filter(|it| it.outcome == Outcome::Accepted)
        .count();
    let entries = policy.unwrap_or_default().iter();
    let entries = entries.filter(|it| it.is_half_open).count();
    let made = attempts.saturating_add(entries);
    let more = comparison.map_or(0, |it| it.half_open);
    u32::try_from(made).unwrap_or(u32::MAX).saturating_add(more)
}

#[cfg(test)]
mod tests;
