//! The verdicts of `ikexdp diagnose` on what the gateway itself has seen fail.

use ikexdp_diagnose::verdict::{Direction, Policy, Unanswered, Verdict};
use ikexdp_proto::eap::RejectionReason;
use ikexdp_proto::event::{CloseReason, FailureReason, HandshakeFailure, Unacknowledged};
use ikexdp_proto::types::Role;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};

/// What people are told of a failure beside its reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The name of the verdict.
    pub verdict: Option<&'static str>,
    /// The codes that Windows shows for it.
    pub windows: &'static [u16],
    /// The likely cause, where the reason is that somebody fell silent.
    pub cause: Option<String>,
    /// What can be done.
    pub hint: Option<String>,
}

impl Told {
    /// Of a handshake.
    #[must_use]
    pub fn of_failure(failure: &HandshakeFailure) -> Self {
        let verdict = of_failure(failure);
        let is_silence = matches!(
            failure.reason,
            FailureReason::Timeout { .. } | FailureReason::EapSilent { .. }
        );
        let told = Self::of(verdict.as_ref());
        if is_silence && told.verdict.is_some() {
            return told;
        }
        // The reason is the cause, and more is known of it than the verdict says.
        Self {
            cause: None,
            hint: failure.reason.hint().map(str::to_owned).or(told.hint),
            ..told
        }
    }

    /// Of an IKE SA that is closed.
    #[must_use]
    pub fn of_end(reason: CloseReason, unacknowledged: Option<Unacknowledged>) -> Self {
        Self::of(of_end(reason, unacknowledged).as_ref())
    }

    fn of(verdict: Option<&Verdict>) -> Self {
        Self {
            verdict: verdict.map(Verdict::id),
            windows: verdict.map(Verdict::windows).unwrap_or_default(),
            cause: verdict.map(ToString::to_string),
            hint: verdict.and_then(advice),
        }
    }
}

/// Why a client most likely failed; nothing where the reason says no more than it does.
fn of_failure(failure: &HandshakeFailure) -> Option<Verdict> {
    if failure.role == Role::Initiator {
        return None;
    }
    Some(match &failure.reason {
        FailureReason::NoCommonAlgorithms(mismatch) => {
            Verdict::NoCommonPolicy(Box::new(Policy::from(mismatch.as_ref())))
        }
        FailureReason::SharedKey | FailureReason::Credentials(_) => Verdict::AuthenticationFailed,
        // Nobody was asked who could have said yes.
        FailureReason::Eap(RejectionReason::RadiusSilent { .. }) => return None,
        FailureReason::Eap(_) => Verdict::EapRejected,
        FailureReason::Timeout { .. } => {
            of_silence(failure).unwrap_or_else(|| nothing_came(failure))
        }
        FailureReason::EapSilent { question } => match (of_silence(failure), question) {
            (Some(verdict), _) => verdict,
            (None, 1) => Verdict::CertificateNotAccepted,
            (None, _) => return None,
        },
        _ => return None,
    })
}

/// Why an IKE SA that was up ended, if its peer never took part in it.
fn of_end(reason: CloseReason, unacknowledged: Option<Unacknowledged>) -> Option<Verdict> {
    match (reason, unacknowledged) {
        (CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED), _) => {
            Some(Verdict::CertificateNotAccepted)
        }
        (CloseReason::DeadPeer | CloseReason::Superseded, Some(response)) => {
            Some(repeated(&response))
        }
        _ => None,
    }
}

/// What is known of a client that began to say something, or asked for the same again.
fn of_silence(failure: &HandshakeFailure) -> Option<Verdict> {
    if let Some(incomplete) = &failure.incomplete {
        return Some(Verdict::IkeFragmentsLost {
            direction: Direction::FromClient,
            missing: incomplete.missing.clone(),
            total: incomplete.total,
            datagram_len: 0,
        });
    }
    failure.unacknowledged.as_ref().map(repeated)
}

fn repeated(response: &Unacknowledged) -> Verdict {
    if response.exchange == ExchangeType::IKE_SA_INIT {
        return Verdict::InitUnanswered(Unanswered::ReplyLost);
    }
    Verdict::ReplyUnacknowledged {
        // The first time is none of the repeats.
        times: usize::from(response.times).saturating_add(1),
        datagram_len: response.datagram_len.into(),
        fragments: response.fragments,
    }
}

/// IKE_SA_INIT was answered and not asked for again, and nothing of IKE_AUTH came.
fn nothing_came(failure: &HandshakeFailure) -> Verdict {
    if failure.fragmentation.negotiated {
        return Verdict::NoAuthRequest;
    }
    let announces = failure.announces_fragmentation;
    Verdict::IpFragmentsLost {
        direction: Direction::FromClient,
        // Both must, and ours is known.
        client_announced: announces.then_some(false),
        gateway_announced: Some(announces),
    }
}

/// What can be done about it, with the command for it.
fn advice(verdict: &Verdict) -> Option<String> {
    let remedy = verdict.remedy()?;
    Some(match remedy.command {
        Some(command) => format!("{} `{command}`", remedy.says),
        None => remedy.says.into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::event::{FragmentationSummary, Incomplete};
    use ikexdp_proto::types::Path;

    const SILENT: FailureReason = FailureReason::Timeout {
        waiting_for: ExchangeType::IKE_AUTH,
    };

    fn failure(reason: FailureReason) -> HandshakeFailure {
        let path = Path {
            local: "192.0.2.1:4500".parse().unwrap(),
            remote: "198.51.100.7:4500".parse().unwrap(),
            marker: true,
        };
        HandshakeFailure {
            fragmentation: FragmentationSummary {
                negotiated: true,
                ..FragmentationSummary::default()
            },
            ..HandshakeFailure::without_sa(path, true, reason)
        }
    }

    fn response(exchange: ExchangeType) -> Unacknowledged {
        Unacknowledged {
            exchange,
            times: 3,
            fragments: 4,
            datagram_len: 1280,
            lowered: true,
        }
    }

    #[test]
    fn silence_is_told_apart_by_what_was_heard() {
        let incomplete = Incomplete {
            missing: vec![2, 4],
            total: 5,
        };
        let rows = [
            (None, None, "no-auth-request"),
            (Some(incomplete), None, "ike-fragments-lost"),
            (None, Some(ExchangeType::IKE_AUTH), "reply-unacknowledged"),
            (None, Some(ExchangeType::IKE_SA_INIT), "init-unanswered"),
        ];
        for (incomplete, exchange, id) in rows {
            let silent = HandshakeFailure {
                incomplete,
                unacknowledged: exchange.map(response),
                ..failure(SILENT)
            };
            assert_eq!(of_failure(&silent).unwrap().id(), id);
        }
    }

    #[test]
    fn who_lacks_fragmentation_is_told() {
        for (announces, client, gateway) in
            [(true, Some(false), Some(true)), (false, None, Some(false))]
        {
            let silent = HandshakeFailure {
                fragmentation: FragmentationSummary::default(),
                announces_fragmentation: announces,
                ..failure(SILENT)
            };
            let expected = Verdict::IpFragmentsLost {
                direction: Direction::FromClient,
                client_announced: client,
                gateway_announced: gateway,
            };
            assert_eq!(of_failure(&silent), Some(expected));
        }
    }

    #[test]
    fn a_silent_client_of_eap_does_not_trust_us_unless_it_did_not_hear_us() {
        let silent = failure(FailureReason::EapSilent { question: 1 });
        let verdict = of_failure(&silent).unwrap();
        assert_eq!(verdict, Verdict::CertificateNotAccepted);
        let deaf = HandshakeFailure {
            unacknowledged: Some(response(ExchangeType::IKE_AUTH)),
            ..silent
        };
        let expected = Verdict::ReplyUnacknowledged {
            times: 4,
            datagram_len: 1280,
            fragments: 4,
        };
        assert_eq!(of_failure(&deaf), Some(expected));
        let later = failure(FailureReason::EapSilent { question: 3 });
        assert_eq!(of_failure(&later), None);
    }

    #[test]
    fn an_end_has_a_cause_if_the_peer_never_took_part() {
        let deaf = Some(response(ExchangeType::IKE_AUTH));
        let refused = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
        for (reason, response, id) in [
            (CloseReason::DeadPeer, deaf, Some("reply-unacknowledged")),
            (CloseReason::Superseded, deaf, Some("reply-unacknowledged")),
            (CloseReason::DeadPeer, None, None),
            (CloseReason::Terminated, deaf, None),
            (refused, None, Some("certificate-not-accepted")),
        ] {
            let verdict = of_end(reason, response);
            assert_eq!(verdict.as_ref().map(Verdict::id), id, "{reason}");
        }
    }

    #[test]
    fn what_the_gateway_itself_connects_to_is_no_client() {
        let ours = HandshakeFailure {
            role: Role::Initiator,
            ..failure(SILENT)
        };
        assert_eq!(of_failure(&ours), None);
    }

    #[test]
    fn advice_has_its_command_behind_it() {
        let advice = advice(&Verdict::NatPortBlocked).unwrap();
        assert!(advice.ends_with("`ikexdp probe GATEWAY`"), "{advice}");
    }
}
