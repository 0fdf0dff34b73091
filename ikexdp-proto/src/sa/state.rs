//! The states of an IKE SA, and what all of them have.

use alloc::boxed::Box;
use core::time::Duration;

use super::channel::Channel;
use super::context::Progress;
use super::{Core, auth, closing, established, init, initiator, installing, succession};
use crate::event::FailureReason;
use crate::event::Unacknowledged;
use crate::limits::{EAP_TIME_MAX, HURRIED_HALF_OPEN};
use crate::time::Instant;
use crate::wire::iana::ExchangeType;

/// How far an IKE SA is.
#[derive(Debug)]
pub(super) enum State {
    /// Responder: IKE_SA_INIT is being answered.
    Responding(Box<init::Responding>),
    /// Responder: IKE_SA_INIT has been answered.
    HalfOpen(Box<init::HalfOpen>),
    /// Responder: the peer's certificate is being verified.
    Verifying(Box<auth::Verifying>),
    /// Responder: our AUTH is being signed.
    Signing(Box<auth::Signing>),
    /// Responder: the peer has a question of EAP to answer.
    Asking(Box<auth::Asking>),
    /// Responder: its answer is being thought about.
    Asked(Box<auth::Asked>),
    /// Responder: EAP is over, and the peer is to show that it has its key.
    Admitted(Box<auth::Admitted>),
    /// Responder: the peer's other SAs are being closed.
    Succeeding(Box<auth::Succeeding>),
    /// Responder: the kernel is being given the first CHILD SA.
    Installing(Box<installing::Installing>),
    /// Initiator, up to the end of IKE_AUTH.
    Initiating(Box<initiator::Initiating>),
    /// Both sides know who the other is.
    Established(Box<established::Established>),
    /// Responder: the peer did not prove who it is; it hears so when it is time.
    Denied(Box<auth::Denied>),
    /// Responder: the peer did not prove who it is; its answer may have to be
    /// repeated.
    Refused(Box<closing::Lingering>),
    /// Initiator: the peer did not prove who it is, and we have told it.
    Refusing(Box<closing::Closing>),
    /// The peer wants it in the place of another, and perhaps so do we another.
    Heir(Box<succession::Heir>),
    /// Another has taken its place.
    Replaced(Box<closing::Replaced>),
    /// We have asked the peer to delete it.
    Closing(Box<closing::Closing>),
    /// It is closed, but its last response may have to be repeated.
    Lingering(Box<closing::Lingering>),
    /// Responder: the peer's public value was none. Nothing is left but the
    /// place among the half-open, until its time is over.
    Failed {
        /// Whether it has less time.
        hurried: bool,
    },
    /// Nothing is left of it.
    Gone,
}

impl State {
    pub(super) fn channel(&self) -> Option<&Channel> {
        match self {
            Self::HalfOpen(state) => Some(&state.channel),
            Self::Verifying(state) => Some(state.channel()),
            Self::Signing(state) => Some(state.channel()),
            Self::Asking(state) => Some(state.applicant.channel()),
            Self::Asked(state) => Some(state.applicant.channel()),
            Self::Admitted(state) => Some(state.applicant.channel()),
            Self::Succeeding(state) => Some(state.channel()),
            Self::Installing(state) => Some(state.channel()),
            Self::Initiating(state) => state.channel(),
            Self::Established(state) => Some(&state.channel),
            Self::Denied(state) => Some(&state.channel),
            Self::Refusing(state) | Self::Closing(state) => Some(&state.channel),
            Self::Replaced(state) => Some(&state.channel),
            Self::Refused(state) | Self::Lingering(state) => Some(&state.channel),
            // What comes for an heir comes again when it is decided what becomes of it.
            Self::Responding(_) | Self::Heir(_) | Self::Failed { .. } | Self::Gone => None,
        }
    }

    pub(super) fn channel_mut(&mut self) -> Option<&mut Channel> {
        match self {
            Self::HalfOpen(state) => Some(&mut state.channel),
            Self::Verifying(state) => Some(state.channel_mut()),
            Self::Signing(state) => Some(state.channel_mut()),
            Self::Asking(state) => Some(state.applicant.channel_mut()),
            Self::Asked(state) => Some(state.applicant.channel_mut()),
            Self::Admitted(state) => Some(state.applicant.channel_mut()),
            Self::Succeeding(state) => Some(state.channel_mut()),
            Self::Installing(state) => Some(state.channel_mut()),
            Self::Initiating(state) => state.channel_mut(),
            Self::Established(state) => Some(&mut state.channel),
            Self::Denied(state) => Some(&mut state.channel),
            Self::Refusing(state) | Self::Closing(state) => Some(&mut state.channel),
            Self::Replaced(state) => Some(&mut state.channel),
            Self::Refused(state) | Self::Lingering(state) => Some(&mut state.channel),
            Self::Responding(_) | Self::Heir(_) | Self::Failed { .. } | Self::Gone => None,
        }
    }

    /// How far the handshake is.
    pub(super) fn progress(&self) -> Progress<'_> {
        match self {
            Self::Verifying(state) => state.progress(),
            Self::Signing(state) => state.progress(),
            Self::Asking(state) => state.applicant.progress(),
            Self::Asked(state) => state.applicant.progress(),
            Self::Admitted(state) => state.applicant.progress(),
            Self::Initiating(state) => state.progress(),
            state => Progress {
                channel: state.channel(),
                ..Progress::default()
            },
        }
    }

    /// When a handshake is over that waits for its peer, or for a job that the
    /// peer's time runs on for. An authenticator takes what time it needs.
    pub(super) fn gives_up(&self, core: &Core, half_open: Duration) -> Option<Instant> {
        let in_all = core.created + EAP_TIME_MAX.max(half_open);
        let hurried = half_open.min(HURRIED_HALF_OPEN);
        match self {
            Self::Responding(state) if state.hurried => Some(core.created + hurried),
            Self::HalfOpen(state) if state.hurried => Some(core.created + hurried),
            Self::Failed { hurried: true } => Some(core.created + hurried),
            Self::Responding(_)
            | Self::HalfOpen(_)
            | Self::Verifying(_)
            | Self::Signing(_)
            | Self::Failed { .. } => Some(core.created + half_open),
            Self::Asking(state) => Some(in_all.min(state.since() + half_open)),
            Self::Admitted(state) => Some(in_all.min(state.since() + half_open)),
            _ => None,
        }
    }

    /// What it means that the peer has not gone on.
    pub(super) fn silence(&self) -> FailureReason {
        if let Some(limit) = self.channel().and_then(Channel::over) {
            return FailureReason::Refused(limit.into());
        }
        match self {
            Self::Asking(state) => FailureReason::EapSilent {
                question: state.asked(),
            },
            _ => FailureReason::Timeout {
                waiting_for: ExchangeType::IKE_AUTH,
            },
        }
    }

    /// Our last response of the handshake, if the peer asked for it again and has not gone on.
    pub(super) fn unacknowledged(&self, core: &Core) -> Option<Unacknowledged> {
        match self {
            Self::HalfOpen(state) => state.unacknowledged(core),
            state => state.channel()?.unacknowledged(ExchangeType::IKE_AUTH),
        }
    }

    pub(super) const fn is_handshake(&self) -> bool {
        matches!(
            self,
            Self::Responding(_) | Self::HalfOpen(_) | Self::Verifying(_) | Self::Signing(_)
        )
    }
}
