//! Why IKE SAs end.

use core::fmt;

use crate::wire::iana::NotifyType;

/// Why an IKE SA was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer deleted it.
    PeerDeleted,
    /// We deleted it at the host's request.
    Terminated,
    /// The peer does not answer.
    DeadPeer,
    /// The peer sent, under its own keys, what cannot be read.
    Malformed,
    /// The peer began an exchange that has no place in an SA that is up.
    OutOfTurn,
    /// The peer found an error and gave up.
    PeerRefused(NotifyType),
    /// Its lifetime was over and nobody had replaced it.
    Expired,
    /// The time was over that its peer's authenticator gave it.
    SessionTimeout,
    /// Its peer has made another.
    Superseded,
    /// The kernel could not follow its peer to another address.
    Unmoved,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerDeleted => f.write_str("deleted by the peer"),
            Self::Terminated => f.write_str("terminated"),
            Self::DeadPeer => f.write_str("peer does not answer"),
            Self::Malformed => f.write_str("peer sent what cannot be read"),
            Self::OutOfTurn => f.write_str("peer began an exchange out of turn"),
            Self::PeerRefused(notify) => write!(f, "peer refused: {notify}"),
            Self::Expired => f.write_str("its lifetime is over"),
            Self::SessionTimeout => f.write_str("its session time is over"),
            Self::Unmoved => f.write_str("the kernel could not follow its peer"),
            Self::Superseded => f.write_str("its peer has made another"),
        }
    }
}
