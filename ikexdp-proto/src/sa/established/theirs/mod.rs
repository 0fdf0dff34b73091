//! What the peer asks of us, as long as there is work to do for it.

mod child;
mod ike;

use alloc::boxed::Box;

use self::child::PeersChild;
use self::ike::PeersIke;
use super::Established;
use crate::error::{Error, Unacceptable};
use crate::job::{JobId, JobResult};
use crate::message::create_child::CreateChild;
use crate::sa::channel::Message;
use crate::sa::child::Child;
use crate::sa::estate::Estate;
use crate::sa::{Context, Core, State};
use crate::types::Spi;

/// The peer's request that we are about.
#[derive(Debug, Default)]
pub(super) enum Theirs {
    /// None.
    #[default]
    Idle,
    /// It wants a CHILD SA.
    Child(Box<PeersChild>),
    /// It wants another IKE SA in the place of this one.
    Ike(Box<PeersIke>),
}

impl Theirs {
    /// Our SPI of the IKE SA that it wants.
    pub(super) const fn awaited_spi(&self) -> Option<Spi> {
        match self {
            Self::Ike(request) => Some(request.spi()),
            _ => None,
        }
    }

    /// Whether `job` is for this request.
    pub(super) fn waits_for(&self, job: JobId) -> bool {
        match self {
            Self::Idle => false,
            Self::Child(request) => request.waits_for(job),
            Self::Ike(request) => request.waits_for(job),
        }
    }

    /// The CHILD SA that the kernel is being given.
    pub(super) fn installing(&self) -> Option<&Child> {
        match self {
            Self::Child(request) => request.installing(),
            _ => None,
        }
    }

    /// Nobody will answer it.
    pub(super) fn abandon(self, cx: &mut Context<'_>, core: &Core, estate: &Estate) {
        if let Self::Child(request) = self {
            request.abandon(cx, core, estate);
        }
    }
}

impl Established {
    /// CREATE_CHILD_SA (RFC 7296 §1.3).
    pub(super) fn create_child(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let mut request = match CreateChild::decode(payloads.first, &payloads.octets) {
            Ok(request) => request,
            Err(error) => return self.unreadable(cx, core, message, &error),
        };
        let to = message.reply_to();
        let begun: Result<(), Error> = if self.ending.is_some() {
            Err(Unacceptable::Collision.into())
        } else if let Some(selectors) = request.selectors.take() {
            self.begin_child(cx, core, to, request, selectors)
        } else {
            self.begin_ike(cx, core, to, &request)
        };
        match begun {
            Ok(()) => State::Established(self),
            // A payload is missing that such a request must have.
            Err(error @ Error::Violation(_)) => self.unreadable(cx, core, message, &error),
            Err(error) => {
                self.refuse(cx, &to, &error);
                // What waited for the peer to be done may go on.
                self.proceed(cx, core)
            }
        }
    }

    pub(super) fn peers_job(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        result: JobResult,
    ) -> State {
        match core::mem::take(&mut self.theirs) {
            Theirs::Idle => State::Established(self),
            Theirs::Child(request) => {
                self.peers_child_job(cx, core, *request, result);
                self.proceed(cx, core)
            }
            Theirs::Ike(request) => self.peers_ike_job(cx, core, *request, result),
        }
    }
}
