//! What it means for the client, and what can be done.

use ikexdp_proto::wire::iana::NotifyType;
use serde::Serialize;

use super::attempt::Outcome;
use super::finding::Standing;
use super::same::Gateway;
use super::{Kind, Report};

/// What was found.
pub type Finding = super::finding::Finding<Verdict>;

/// What is so, in words that stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The client gets through IKE_SA_INIT, and nothing speaks against it.
    Works,
    /// Port 500 does not answer.
    InitUnanswered,
    /// Port 500 answers, and 4500 does not.
    NatPortBlocked,
    /// The gateway takes none of the client's proposals, or wants a group that it has not.
    NoCommonPolicy,
    /// The gateway refuses for another reason.
    InitRefused,
    /// The gateway's response cannot be read.
    InitUnreadable,
    /// The gateway sends the client to another.
    Redirected,
    /// Ports 500 and 4500 lead to two gateways.
    DifferentGateways,
    /// The gateway does not do RFC 7383, and IP fragments do not arrive.
    IpFragmentsLost,
    /// The gateway does not do RFC 7383.
    NoFragmentation,
}

impl Verdict {
    /// How it stands with a client of which this is so.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Works => Standing::Works,
            Self::InitUnanswered | Self::NatPortBlocked => Standing::Unanswered,
            Self::NoCommonPolicy | Self::InitRefused | Self::InitUnreadable => Standing::Refused,
            Self::Redirected
            | Self::DifferentGateways
            | Self::IpFragmentsLost
            | Self::NoFragmentation => Standing::Reservation,
        }
    }
}

/// What a report means, the worst first; never nothing.
#[must_use]
pub fn judge(report: &Report) -> Vec<Finding> {
    let kind = report.client;
    let first = match report.ike.outcome {
        Outcome::Unanswered => return vec![unanswered(report)],
        Outcome::Refused => return vec![refused(report)],
        Outcome::Unreadable => return vec![unreadable(report)],
        Outcome::Redirected => return vec![redirected(report)],
        Outcome::Accepted => blocked(report),
    };
    let all = [first, different(report), unfragmented(report)];
    let found: Vec<_> = all.into_iter().flatten().collect();
    if found.is_empty() {
        vec![works(kind)]
    } else {
        found
    }
}

/// How it stands with the client, by all that was found.
#[must_use]
pub fn standing(findings: &[Finding]) -> Standing {
    let each = findings.iter().map(|it| it.verdict.standing());
    each.max().unwrap_or(Standing::Works)
}

fn finding(verdict: Verdict, says: String, hint: &str) -> Finding {
    Finding {
        verdict,
        says,
        hint: Some(hint.to_owned()),
    }
}

fn works(kind: Kind) -> Finding {
    let name = kind.client().name;
    Finding {
        verdict: Verdict::Works,
        says: format!(
            "{name} gets through IKE_SA_INIT on both ports of one gateway, and its long messages are cut by IKE"
        ),
        hint: None,
    }
}

fn unanswered(report: &Report) -> Finding {
    let effect = report.client.unanswered();
    if report.ike.port_unreachable {
        return finding(
            Verdict::InitUnanswered,
            format!("nobody listens on UDP port 500, says ICMP: {effect}"),
            "start the gateway, or look whether the name leads to another host",
        );
    }
    if report.has_nat_t_port() {
        return finding(
            Verdict::InitUnanswered,
            format!("port 500 does not answer, and 4500 does: {effect}"),
            "let UDP port 500 through to the gateway, and its answers back; some networks let nothing but \
             4500 out",
        );
    }
    finding(
        Verdict::InitUnanswered,
        format!("neither port 500 nor 4500 answers: {effect}"),
        "let UDP ports 500 and 4500 through to the gateway, and its answers back; look with `ikexdp stats` or \
         a capture at the gateway whether requests arrive; some gateways answer to source port 500 only: as \
         root, `--source-port 500`",
    )
}

fn blocked(report: &Report) -> Option<Finding> {
    (!report.has_nat_t_port()).then(|| {
        let effect = report.client.unanswered();
        finding(
            Verdict::NatPortBlocked,
            format!(
                "port 500 answers, and 4500 does not, to which the client moves with IKE_AUTH: {effect}"
            ),
            "let UDP port 4500 through to the gateway, and its answers back",
        )
    })
}

fn refused(report: &Report) -> Finding {
    let effect = report.client.refused();
    let attempt = &report.ike;
    let reason = attempt.reason.as_deref().unwrap_or("no reason");
    if let Some(group) = attempt
        .other_group
        .as_ref()
        .filter(|_| attempt.group_is_not_offered)
    {
        return Finding {
            verdict: Verdict::NoCommonPolicy,
            says: format!("the gateway wants {group}, which the client does not offer: {effect}"),
            hint: Some(report.client.policy()),
        };
    }
    if reason == NotifyType::NO_PROPOSAL_CHOSEN.to_string() {
        return Finding {
            verdict: Verdict::NoCommonPolicy,
            says: format!("the gateway takes none of the client's proposals ({reason}): {effect}"),
            hint: Some(report.client.policy()),
        };
    }
    finding(
        Verdict::InitRefused,
        format!("the gateway refuses: {reason}"),
        "look at the gateway's log",
    )
}

fn unreadable(report: &Report) -> Finding {
    let reason = report.ike.reason.as_deref().unwrap_or_default();
    finding(
        Verdict::InitUnreadable,
        format!("what the gateway answers is no IKEv2 that a client could go on with: {reason}"),
        "look whether something between answers in its place",
    )
}

fn redirected(report: &Report) -> Finding {
    let to = report.ike.redirect.as_deref().unwrap_or_default();
    finding(
        Verdict::Redirected,
        format!("the gateway sends the client to another: {to}"),
        "probe that one",
    )
}

fn different(report: &Report) -> Option<Finding> {
    let gateway = report.comparison?.gateway;
    (gateway == Gateway::Different).then(|| {
        let effect = report.client.unanswered();
        finding(
            Verdict::DifferentGateways,
            format!(
                "port 4500 leads to another gateway than port 500, which does not know the client: {effect}"
            ),
            "have the load balancer send both ports of a client to the same gateway: by its source address alone, \
             or by what it calls port following",
        )
    })
}

fn unfragmented(report: &Report) -> Option<Finding> {
    if report.ike.fragmentation != Some(false) {
        return None;
    }
    let kind = report.client;
    let octets = kind.auth_octets();
    let (verdict, effect) = match report.ip_fragments {
        Some(false) => (
            Verdict::IpFragmentsLost,
            format!(
                "what is longer than the path travels in IP fragments, which do not arrive: {}",
                kind.unanswered()
            ),
        ),
        Some(true) => (
            Verdict::NoFragmentation,
            "what is longer than the path travels in IP fragments, which arrive from here, and not from many other \
             networks"
                .to_owned(),
        ),
        None => (
            Verdict::NoFragmentation,
            "what is longer than the path travels in IP fragments, which many networks drop"
                .to_owned(),
        ),
    };
    Some(finding(
        verdict,
        format!("the gateway does not do IKE fragmentation (RFC 7383): {octets}, and {effect}"),
        "turn it on at the gateway: ikexdp `fragmentation = true`, strongSwan `fragmentation = yes`, Libreswan \
         `fragmentation=yes`, RRAS `EnableServerFragmentation` = 1",
    ))
}
