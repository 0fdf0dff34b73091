//! How long a datagram with IKE may be on the way to a gateway, and back.
//!
//! ```text
//! search.rs      the largest size that arrives, on a path that may lose anything
//! question.rs    questions of any length  ─> asker.rs  one size, until it is answered ─> socket.rs  DF, ICMP
//! control.rs     whether a gateway still answers, where something was lost
//! advice.rs      what it means for `fragment-size`
//! ```

mod advice;
mod asker;
mod control;
mod question;
mod search;
mod socket;

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

pub use self::advice::{Finding, Verdict};
use self::asker::{Asker, Size};
use self::question::Manner;
pub use self::search::{Found, Step};
pub use self::socket::TooBig;
use crate::probe::ProbeError;
use crate::probe::finding::Standing;

/// The longest datagram that is asked about with Don't Fragment: the MTU of Ethernet, which is the largest
/// `fragment-size`.
const SIZE_MAX: u16 = 1500;

/// What every path takes by IPv4, as far as anybody relies on it (RFC 7383 §2.5.1).
const SIZE_MIN_V4: u16 = 576;

/// What every path takes by IPv6 (RFC 8200 §5).
const SIZE_MIN_V6: u16 = 1280;

/// A datagram that must be fragmented on every link of Ethernet, and that gateways take: with certificates, IKE_AUTH
/// is longer.
const FRAGMENTED: u16 = 2000;

/// How often a size is tried if nothing is said.
pub const TRIES: u8 = 4;

/// From one datagram to the next if nothing is said: gateways of ours take a hundred requests a second of a source.
pub const PACE: Duration = Duration::from_millis(20);

/// How long an answer may take if nothing is said.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// What is to be found out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The gateway, as it was named.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
    /// The port that is asked.
    pub port: u16,
    /// How often a size is tried before it counts as lost.
    pub tries: u8,
    /// From one datagram to the next.
    pub pace: Duration,
    /// How long an answer may take at most.
    pub timeout: Duration,
}

/// What was found out. Sizes are octets of IP datagrams, headers included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The gateway, as it was named.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
    /// The port that was asked.
    pub port: u16,
    /// Whether the gateway answers size tests, and so tells of the way back.
    pub size_tests: bool,
    /// To the gateway.
    pub there: Way,
    /// From the gateway, if it answers size tests. What it sends is not asked to be longer than what
    /// arrives there.
    pub back: Option<Way>,
    /// Whether IP fragments arrive there; not known if nothing does.
    pub ip_fragments: Option<IpFragments>,
    /// The largest `fragment-size` that is known to be safe; none if the way back is not known.
    pub fragment_size: Option<u16>,
    /// Whether messages that are longer arrive only if IKE cuts them (RFC 7383).
    pub needs_ike_fragmentation: Option<bool>,
    /// Whether the gateway has stopped to answer meanwhile, also what it has answered before.
    pub fell_silent: bool,
    /// Whether it was not asked for all that is to be known, as it would have had to keep too many half-open SAs.
    pub unfinished: bool,
    /// Half-open SAs that are left at the gateway, at most.
    pub half_open: u32,
    /// What it means, the worst first.
    pub findings: Vec<Finding>,
}

/// One direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Way {
    /// What arrives, and what does not.
    #[serde(flatten)]
    pub found: Found,
    /// What routers, and this host, have said of what does not.
    pub too_big: Vec<TooBig>,
}

/// What becomes of datagrams that are cut by IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IpFragments {
    /// Octets of the datagram that was cut.
    pub octets: u16,
    /// Whether it has arrived.
    pub arrive: bool,
}

impl Report {
    /// How it stands with the path.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let each = self.findings.iter().map(|it| it.verdict.standing());
        each.max().unwrap_or(Standing::Works)
    }
}

/// Finds it out; `progress` is told of each size that was tried.
///
/// # Errors
/// [`ProbeError`] if nothing can be sent.
pub fn run(plan: &Plan, mut progress: impl FnMut(u16, bool)) -> Result<Report, ProbeError> {
    let min = size_min(plan.address);
    let mut asker = Asker::open(plan)?;
    let mut report = Report {
        host: plan.host.clone(),
        address: plan.address,
        port: plan.port,
        size_tests: false,
        there: Way::default(),
        back: None,
        ip_fragments: None,
        fragment_size: None,
        needs_ike_fragmentation: None,
        fell_silent: false,
        unfinished: false,
        half_open: 0,
        findings: Vec::new(),
    };
    if asker.meet(min)? {
        report.there = way(&mut asker, (min, SIZE_MAX), Size::there, &mut progress)?;
        report.size_tests = asker.answers_size_tests();
        if let Some(limit) = report.there.found.limit.filter(|_| report.size_tests) {
            let back = |octets| Size::back(octets, limit);
            report.back = Some(way(&mut asker, (min, limit), back, &mut progress)?);
        }
        if let Some(arrive) = asker.ask_fragmented(FRAGMENTED)? {
            progress(FRAGMENTED, arrive);
            report.ip_fragments = Some(IpFragments {
                octets: FRAGMENTED,
                arrive,
            });
            report.needs_ike_fragmentation = Some(!arrive);
        }
        report.fell_silent = asker.fell_silent();
        report.unfinished = asker.is_exhausted();
    }
    report.half_open = asker.half_open();
    report.fragment_size = advice::fragment_size(&report);
    report.findings = advice::judge(&report);
    Ok(report)
}

/// Whether IP fragments arrive, and nothing else; not known if nothing does, or nothing any more.
///
/// # Errors
/// [`ProbeError`] if nothing can be sent.
pub fn ip_fragments(plan: &Plan) -> Result<Option<bool>, ProbeError> {
    let mut asker = Asker::open(plan)?;
    if asker.meet(size_min(plan.address))? {
        asker.ask_fragmented(FRAGMENTED)
    } else {
        Ok(None)
    }
}

/// The shortest datagram that is asked about.
const fn size_min(address: IpAddr) -> u16 {
    if address.is_ipv4() {
        SIZE_MIN_V4
    } else {
        SIZE_MIN_V6
    }
}

/// Searches one direction.
fn way(
    asker: &mut Asker,
    range: (u16, u16),
    size: impl Fn(u16) -> Size,
    progress: &mut impl FnMut(u16, bool),
) -> Result<Way, ProbeError> {
    let found = search::search(range, |octets, effort| {
        let tried = asker.ask(size(octets), effort)?;
        progress(octets, tried == search::Tried::Arrived);
        Ok::<_, ProbeError>(tried)
    })?;
    Ok(Way {
        found,
        too_big: asker.heard(),
    })
}

#[cfg(test)]
mod tests;
