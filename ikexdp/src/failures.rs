//! Failed handshakes by reason.

use ikexdp_common::counters;
use ikexdp_proto::event::FailureReason;

counters! {
    /// A reason why handshakes fail.
    pub enum Failure {
        /// A message that was refused: malformed, against the protocol, or against our policy.
        Refused = "refused",
        /// No algorithms in common.
        NoCommonAlgorithms = "no_common_algorithms",
        /// A public value that is not in its group.
        KeyExchange = "key_exchange",
        /// No connection for these identities.
        NoConnection = "no_connection",
        /// A way to authenticate that the connection does not allow.
        AuthMethod = "auth_method",
        /// A client that wants EAP where there is none.
        EapWanted = "eap_wanted",
        /// A user who did not prove by EAP who it is.
        Eap = "eap",
        /// An AUTH that is not by the key that EAP made.
        EapKey = "eap_key",
        /// A question of EAP that was not answered.
        EapSilent = "eap_silent",
        /// A user who is known, but whom no connection is for.
        NotAdmitted = "not_admitted",
        /// Pre-shared keys that differ.
        SharedKey = "shared_key",
        /// A certificate or signature that does not stand.
        Credentials = "credentials",
        /// A client that takes no signature that our key can make.
        NoSignatureHash = "no_signature_hash",
        /// Our own private key failed.
        OwnKey = "own_key",
        /// The client refused.
        PeerRefused = "peer_refused",
        /// The client did not go on in time.
        Timeout = "timeout",
        /// A job that could not be done, for want of time or by an error.
        JobAbandoned = "job_abandoned",
        /// The host asked for the end.
        Terminated = "terminated",
    }
}

impl From<&FailureReason> for Failure {
    fn from(reason: &FailureReason) -> Self {
        match reason {
            FailureReason::Refused(_) => Self::Refused,
            FailureReason::NoCommonAlgorithms(_) => Self::NoCommonAlgorithms,
            FailureReason::KeyExchange => Self::KeyExchange,
            FailureReason::NoConnection { .. } => Self::NoConnection,
            FailureReason::AuthMethod(_) => Self::AuthMethod,
            FailureReason::EapWanted => Self::EapWanted,
            FailureReason::Eap(_) => Self::Eap,
            FailureReason::EapKey => Self::EapKey,
            FailureReason::EapSilent { .. } => Self::EapSilent,
            FailureReason::NotAdmitted { .. } => Self::NotAdmitted,
            FailureReason::SharedKey => Self::SharedKey,
            FailureReason::Credentials(_) => Self::Credentials,
            FailureReason::NoSignatureHash => Self::NoSignatureHash,
            FailureReason::OwnKey => Self::OwnKey,
            FailureReason::PeerRefused(_) => Self::PeerRefused,
            FailureReason::Timeout { .. } => Self::Timeout,
            FailureReason::JobAbandoned => Self::JobAbandoned,
            FailureReason::Terminated => Self::Terminated,
        }
    }
}

/// How many handshakes have failed for each reason since the daemon began.
#[derive(Clone, Debug)]
pub struct Failures([u64; Failure::COUNT]);

impl Default for Failures {
    fn default() -> Self {
        Self([0; Failure::COUNT])
    }
}

impl Failures {
    /// Counts once.
    pub fn count(&mut self, failure: Failure) {
        if let Some(value) = self.0.get_mut(failure.index()) {
            *value = value.wrapping_add(1);
        }
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::ALL.iter().copied().zip(self.0)
    }
}
