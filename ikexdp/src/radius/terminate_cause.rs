//! Why a session ended (RFC 2866 §5.10).

use ikexdp_proto::event::CloseReason;

/// Acct-Terminate-Cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminateCause(pub(super) u32);

impl TerminateCause {
    /// The user hung up.
    pub const USER_REQUEST: Self = Self(1);
    /// The user does not answer any more.
    pub const LOST_CARRIER: Self = Self(2);
    /// The time that the server gave it is over.
    pub const SESSION_TIMEOUT: Self = Self(5);
    /// Somebody told us to end it.
    pub const ADMIN_RESET: Self = Self(6);
    /// The gateway is ending, as it was told.
    pub const ADMIN_REBOOT: Self = Self(7);
    /// Something went wrong here.
    pub const NAS_ERROR: Self = Self(9);
    /// The user's place was needed, by another session of the same user.
    pub const PORT_PREEMPTED: Self = Self(13);
    /// What the user sent made no sense.
    pub const USER_ERROR: Self = Self(17);
}

impl From<CloseReason> for TerminateCause {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::PeerDeleted => Self::USER_REQUEST,
            CloseReason::Terminated => Self::ADMIN_RESET,
            CloseReason::DeadPeer => Self::LOST_CARRIER,
            CloseReason::Malformed | CloseReason::OutOfTurn | CloseReason::PeerRefused(_) => {
                Self::USER_ERROR
            }
            CloseReason::Expired | CloseReason::SessionTimeout => Self::SESSION_TIMEOUT,
            CloseReason::Superseded => Self::PORT_PREEMPTED,
            CloseReason::Unmoved => Self::NAS_ERROR,
        }
    }
}
