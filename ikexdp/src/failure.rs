//! Why handshakes fail, by name.

use ikexdp_common::counters;
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
        /// An AUTH that is not by the key that EAP made.
        EapKey = "eap_key",
        /// A question of EAP that was not answered.
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
            FailureReason::Unauthentic => Self::Unauthentic,
            FailureReason::JobAbandoned => Self::JobAbandoned,
            FailureReason::Terminated => Self::Terminated,
        }
    }
}
