//! The verdicts of `ikexdp diagnose` on what the gateway itself has seen fail.

use ikexdp_diagnose::verdict::{Direction, Policy, Unanswered, Verdict};
use ikexdp_proto::eap::RejectionReason;
use ikexdp_proto::event::{CloseReason, Event, FailureReason, HandshakeFailure, Unacknowledged};
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

    /// Of an IKE SA that is closed; nothing of any other event.
    #[must_use]
    pub fn of_end(event: &Event) -> Self {
        Self::of(of_end(event).as_ref())
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
        return of_ours(failure);
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
            let silence = of_silence(failure, Direction::FromClient);
            return silence.or_else(|| nothing_came(failure));
        }
        FailureReason::EapSilent { question } => {
            match (of_silence(failure, Direction::FromClient), question) {
                (Some(verdict), _) => verdict,
                (None, 1) => Verdict::CertificateNotAccepted,
                (None, _) => return None,
            }
        }
        _ => return None,
    })
}

/// Why a handshake failed that we began.
fn of_ours(failure: &HandshakeFailure) -> Option<Verdict> {
    let FailureReason::Timeout { waiting_for } = failure.reason else {
        return None;
    };
    if let Some(verdict) = of_silence(failure, Direction::FromGateway) {
        return Some(verdict);
    }
    match waiting_for {
        ExchangeType::IKE_SA_INIT => Some(Verdict::InitUnanswered(Unanswered::Unknown)),
        _ if failure.path.marker => Some(Verdict::NatPortBlocked),
        _ => None,
    }
}

/// Why an IKE SA that was up ended, if its peer never took part in it.
fn of_end(event: &Event) -> Option<Verdict> {
    let Event::Closed {
        role: Role::Responder,
        by_certificate,
        unacknowledged,
        reason,
        ..
    } = event
    else {
        return None;
    };
    match (reason, unacknowledged) {
        (CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED), _) => {
            by_certificate.then_some(Verdict::CertificateNotAccepted)
        }
        (CloseReason::DeadPeer | CloseReason::Superseded, Some(response)) => {
            Some(repeated(response))
        }
        _ => None,
    }
}

/// What is known of a peer that began to say something, or asked for the same again.
fn of_silence(failure: &HandshakeFailure, direction: Direction) -> Option<Verdict> {
    if let Some(incomplete) = &failure.incomplete {
        return Some(Verdict::IkeFragmentsLost {
            direction,
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

/// IKE_SA_INIT was answered and not asked for again, and nothing of IKE_AUTH came: that is, there is
/// a suite, and nobody has said who it is.
fn nothing_came(failure: &HandshakeFailure) -> Option<Verdict> {
    if failure.suite.is_none() || failure.claimed.is_some() {
        return None;
    }
    if failure.fragmentation.negotiated {
        return Some(Verdict::NoAuthRequest);
    }
    let announces = failure.announces_fragmentation;
    Some(Verdict::IpFragmentsLost {
        direction: Direction::FromClient,
        // Both must, and ours is known.
        client_announced: announces.then_some(false),
        gateway_announced: Some(announces),
    })
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
    use ikexdp_proto::crypto::cipher::{Cipher, Encryption};
    use ikexdp_proto::crypto::kex::Group;
    use ikexdp_proto::crypto::prf::Prf;
    use ikexdp_proto::event::{FragmentationSummary, Incomplete};
    use ikexdp_proto::identity::Identity;
    use ikexdp_proto::suite::IkeSuite;
    use ikexdp_proto::types::{IkeSaId, Path};
    use std::time::Duration;

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
            suite: Some(IkeSuite {
                cipher: Cipher::new(Encryption::AesGcm16_256, None).unwrap(),
                prf: Prf::HmacSha2_256,
                group: Group::Curve25519,
            }),
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

    /// A job of ours that was late, or a client that has been heard and whose certificate, or last word
    /// behind EAP, is waited for.
    #[test]
    fn what_is_not_the_clients_silence_is_not_held_against_it() {
        let late = HandshakeFailure {
            suite: None,
            ..failure(SILENT)
        };
        let heard = HandshakeFailure {
            claimed: Some(Identity::Fqdn("laptop.example".to_owned())),
            ..failure(SILENT)
        };
        assert_eq!((of_failure(&late), of_failure(&heard)), (None, None));
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

    fn closed(role: Role, by_certificate: bool, reason: CloseReason, deaf: bool) -> Event {
        Event::Closed {
            id: IkeSaId(7),
            connection: "staff".to_owned(),
            path: failure(SILENT).path,
            peer: Identity::Fqdn("laptop.example".to_owned()),
            account: None,
            age: Duration::from_secs(70),
            role,
            by_certificate,
            unacknowledged: deaf.then(|| response(ExchangeType::IKE_AUTH)),
            reason,
        }
    }

    #[test]
    fn an_end_has_a_cause_if_the_peer_never_took_part() {
        let refused = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
        let (deaf, untrusting) = ("reply-unacknowledged", "certificate-not-accepted");
        let ours = Role::Responder;
        for (role, by_certificate, reason, is_deaf, id) in [
            (ours, true, CloseReason::DeadPeer, true, Some(deaf)),
            (ours, true, CloseReason::Superseded, true, Some(deaf)),
            (ours, true, CloseReason::DeadPeer, false, None),
            (ours, true, CloseReason::Terminated, true, None),
            (ours, true, refused, false, Some(untrusting)),
            (ours, false, refused, false, None),
            (Role::Initiator, true, refused, false, None),
        ] {
            let verdict = of_end(&closed(role, by_certificate, reason, is_deaf));
            assert_eq!(verdict.as_ref().map(Verdict::id), id, "{reason}");
        }
    }

    #[test]
    fn what_we_began_is_told_from_the_other_side() {
        let ours = |incomplete, waiting_for| HandshakeFailure {
            role: Role::Initiator,
            incomplete,
            ..failure(FailureReason::Timeout { waiting_for })
        };
        let incomplete = Incomplete {
            missing: vec![2],
            total: 3,
        };
        let lost = of_failure(&ours(Some(incomplete), ExchangeType::IKE_AUTH)).unwrap();
        assert!(lost.to_string().contains("from the gateway"), "{lost}");
        let [first, second] = [ExchangeType::IKE_SA_INIT, ExchangeType::IKE_AUTH]
            .map(|exchange| of_failure(&ours(None, exchange)).unwrap().id());
        assert_eq!([first, second], ["init-unanswered", "nat-port-blocked"]);
    }

    #[test]
    fn advice_has_its_command_behind_it() {
        let advice = advice(&Verdict::NatPortBlocked).unwrap();
        assert!(advice.ends_with("`ikexdp probe GATEWAY`"), "{advice}");
    }
}
