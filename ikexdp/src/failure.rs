//! Why handshakes fail, by name.

use ikexdp_common::counters;
use ikexdp_proto::eap::RejectionReason;
use ikexdp_proto::event::FailureReason;

counters! {
    /// The kind of a failure: what is limited in the log, and counted, as one.
    pub enum FailureKind {
        /// A message that was refused.
        Refused = "refused",
        /// No proposal of the peer that is taken.
        NoCommonAlgorithms = "no_common_algorithms",
        /// A public value that is not in its group.
        KeyExchange = "key_exchange",
        /// No connection for these identities.
        NoConnection = "no_connection",
        /// A way to authenticate that the connection does not allow.
        AuthMethod = "auth_method",
        /// A client that wants EAP where there is none.
        EapWanted = "eap_wanted",
        /// A client that did not prove by EAP who it is.
        Eap = "eap",
        /// A client that no RADIUS server said anything of.
        RadiusSilent = "radius_silent",
        /// An AUTH that is not by the key that EAP made.
        EapKey = "eap_key",
        /// A question of EAP that the client did not answer.
        EapSilent = "eap_silent",
        /// A client who is who it says, and whom no connection is for.
        NotAdmitted = "not_admitted",
        /// Shared keys that differ.
        SharedKey = "shared_key",
        /// A certificate or a signature that does not stand.
        Credentials = "credentials",
        /// A client that takes no signature that we can make.
        NoSignatureHash = "no_signature_hash",
        /// A private key of ours that failed.
        OwnKey = "own_key",
        /// A refusal by the peer.
        PeerRefused = "peer_refused",
        /// Time that ran out.
        Timeout = "timeout",
        /// Messages that do not authenticate, one after the other.
        Unauthentic = "unauthentic",
        /// A computation that was given up.
        JobAbandoned = "job_abandoned",
        /// An end that was asked for.
        Terminated = "terminated",
    }
}

impl From<&FailureReason> for FailureKind {
    fn from(reason: &FailureReason) -> Self {
        match reason {
            FailureReason::Refused(_) => Self::Refused,
            FailureReason::NoCommonAlgorithms(_) => Self::NoCommonAlgorithms,
            FailureReason::KeyExchange => Self::KeyExchange,
            FailureReason::NoConnection { .. } => Self::NoConnection,
            FailureReason::AuthMethod(_) => Self::AuthMethod,
            FailureReason::EapWanted => Self::EapWanted,
            FailureReason::Eap(RejectionReason::RadiusSilent { .. }) => Self::RadiusSilent,
            FailureReason::Eap(_) | FailureReason::EapRefused(_) => Self::Eap,
            FailureReason::EapKey => Self::EapKey,
            FailureReason::EapSilent { .. } => Self::EapSilent,
            FailureReason::NotAdmitted { .. } => Self::NotAdmitted,
            FailureReason::SharedKey => Self::SharedKey,
            FailureReason::Credentials(_) => Self::Credentials,
            FailureReason::NoSignatureHash => Self::NoSignatureHash,
            FailureReason::OwnKey => Self::OwnKey,
            FailureReason::PeerRefused(_) => Self::PeerRefused,
            FailureReason::Timeout { .. } => Self::Timeout,
            FailureReason::Unauthentic => Self::Unauthentic,
            FailureReason::JobAbandoned => Self::JobAbandoned,
            FailureReason::Terminated => Self::Terminated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const RULES: &str = include_str!("../../dist/prometheus/ikexdp.rules.yml");
    const ALERTS: &str = include_str!("../../tests/prometheus/alerts.yml");

    #[test]
    fn servers_that_do_not_answer_are_no_client_that_fails() {
        let servers = Vec::new();
        for (reason, name) in [
            (RejectionReason::RadiusSilent { servers }, "radius_silent"),
            (RejectionReason::WrongPassword, "eap"),
        ] {
            let kind = FailureKind::from(&FailureReason::Eap(reason));
            assert_eq!(kind.name(), name);
        }
    }

    /// No alert rests on a kind of failure alone that is not tried for strangers, who bring
    /// about what they like.
    #[test]
    fn a_failure_sets_off_an_alert_or_is_tried_for_strangers() {
        let alerting = between(RULES, "reason=~\"", "\"").split('|');
        let alerting: BTreeSet<_> = alerting.collect();
        let (_, strangers) = ALERTS.split_once("only strangers ask").unwrap();
        let tried = strangers.split("reason=\"").skip(1);
        let tried = tried.filter_map(|rest| Some(rest.split_once('"')?.0));
        let tried: BTreeSet<_> = tried.filter(|name| !name.is_empty()).collect();
        assert!(alerting.is_disjoint(&tried), "{alerting:?}, {tried:?}");
        let all: BTreeSet<_> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(&alerting | &tried, all);
    }

    fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
        let (_, rest) = text.split_once(before).unwrap();
        rest.split_once(after).unwrap().0
    }
}
