//! Verdicts in one line each.

use std::fmt;

use ikexdp_proto::wire::iana::GroupId;

use crate::limits::MISSING_SHOWN;

use super::{Direction, Policy, Unanswered, Verdict};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIke => f.write_str(
                "there is no IKE: the name did not resolve, or another protocol was tried",
            ),
            Self::InitUnanswered(unanswered) => write!(f, "{unanswered}"),
            Self::CookieNotReturned => {
                f.write_str("the gateway asked for a cookie, and the client did not return it")
            }
            Self::Ikev1 => f.write_str("the client speaks IKEv1, not IKEv2"),
            Self::VersionRefused => f.write_str("the gateway does not take this version of IKE"),
            Self::NoCommonPolicy(policy) => write!(f, "{policy}"),
            Self::KeyExchangeRefused { sent, wanted } => key_exchange(f, *sent, *wanted),
            Self::InitRefused(notify) => {
                write!(f, "the gateway refuses the request, unprotected: {notify}")
            }
            Self::Redirected { to: Some(to) } => {
                write!(f, "the gateway sends the client elsewhere: {to}")
            }
            Self::Redirected { to: None } => f.write_str("the gateway sends the client elsewhere"),
            _ => self.after_init(f),
        }
    }
}

impl Verdict {
    fn after_init(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthRequest => {
                f.write_str("IKE_SA_INIT was answered, and no IKE_AUTH of the client followed")
            }
            Self::NatPortBlocked => {
                f.write_str("UDP port 4500 gets no answer, while port 500 does")
            }
            Self::IpFragmentsLost { direction, .. } => {
                write!(f, "IP fragments {direction} are lost")
            }
            Self::IkeFragmentsLost {
                direction,
                missing,
                total,
                datagram_len,
            } => ike_fragments(f, *direction, missing, *total, *datagram_len),
            Self::LargeDatagramsLost {
                direction,
                datagram_len,
                passed,
            } => large(f, *direction, *datagram_len, *passed),
            Self::RequestIgnored { fragments: 0 | 1 } => {
                f.write_str("a request arrived, and the gateway did not answer it")
            }
            Self::RequestIgnored { fragments } => {
                write!(
                    f,
                    "all {fragments} fragments of a request arrived, and the gateway did not answer"
                )
            }
            Self::ReplyUnacknowledged {
                times,
                datagram_len,
                ..
            } => {
                write!(
                    f,
                    "the gateway's response of up to {datagram_len} octets a datagram was sent {times} times and never acknowledged"
                )
            }
            Self::DifferentGateways => {
                f.write_str("IKE_SA_INIT and what follows reach different gateways")
            }
            Self::PerSourceLimit { answered } => {
                write!(
                    f,
                    "after {answered} attempts from one address were answered, later ones are not: a limit of one source"
                )
            }
            Self::AuthenticationFailed => {
                f.write_str("the gateway refused the client's credentials")
            }
            Self::CertificateNotAccepted => {
                f.write_str("the client did not accept what the gateway shows of itself")
            }
            Self::EapRejected => f.write_str("EAP ended with a refusal"),
            Self::NoAddress => f.write_str("the gateway has no address for the client"),
            Self::ChildRefused => {
                f.write_str("the CHILD SA was refused: its algorithms or its traffic selectors")
            }
            Self::WindowsStatus(status) => write!(f, "Windows refuses with {status}"),
            _ => f.write_str(self.id()),
        }
    }
}

fn key_exchange(
    f: &mut fmt::Formatter<'_>,
    sent: Option<GroupId>,
    wanted: Option<GroupId>,
) -> fmt::Result {
    f.write_str("the gateway wants another key exchange, and the client did not offer it")?;
    if let Some(sent) = sent {
        write!(f, "; sent: {sent}")?;
    }
    match wanted {
        Some(wanted) => write!(f, "; wanted: {wanted}"),
        None => Ok(()),
    }
}

fn large(
    f: &mut fmt::Formatter<'_>,
    direction: Direction,
    lost: usize,
    passed: usize,
) -> fmt::Result {
    match (lost, passed) {
        (0, passed) => write!(
            f,
            "datagrams of more than {passed} octets {direction} are lost; fragments have 1280 unless that is set \
             otherwise"
        ),
        (lost, 0) => write!(f, "datagrams of {lost} octets {direction} are lost"),
        (lost, passed) => {
            write!(
                f,
                "datagrams of {lost} octets {direction} are lost, while those of {passed} pass"
            )
        }
    }
}

fn ike_fragments(
    f: &mut fmt::Formatter<'_>,
    direction: Direction,
    missing: &[u16],
    total: u16,
    datagram_len: usize,
) -> fmt::Result {
    write!(f, "IKE fragments {direction} are lost")?;
    if !missing.is_empty() {
        let shown = missing.iter().take(MISSING_SHOWN);
        let numbers: Vec<String> = shown.map(ToString::to_string).collect();
        write!(f, ": {}", numbers.join(", "))?;
        let left = missing.len().saturating_sub(numbers.len());
        if left > 0 {
            write!(f, " and {left} more")?;
        }
        write!(f, " of {total}")?;
    }
    if datagram_len > 0 {
        write!(f, ", in datagrams of up to {datagram_len} octets")?;
    }
    Ok(())
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => {
                "IKE_SA_INIT gets no answer: the request or the reply is lost on port 500"
            }
            Self::RequestLost => "IKE_SA_INIT does not arrive at the gateway",
            Self::Silent => "IKE_SA_INIT arrives, and the gateway does not answer",
            Self::ReplyLost => "the gateway's answer to IKE_SA_INIT does not arrive at the client",
            Self::Unreachable => "IKE_SA_INIT is refused on the way: unreachable",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FromClient => "from the client to the gateway",
            Self::FromGateway => "from the gateway to the client",
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no common algorithms; offered: {}", self.offered)?;
        if let Some(taken) = &self.taken {
            write!(f, "; the gateway takes: {taken}")?;
        }
        match &self.nearest {
            Some(nearest) => write!(f, "; nearest: {nearest}"),
            None => Ok(()),
        }
    }
}
