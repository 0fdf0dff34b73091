//! What we ask of the peer.

mod child;
mod ike;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub(super) use self::child::{ChildRequest, Rival};
pub(super) use self::ike::{IkeRequest, IkeRival};
use super::Established;
use crate::event::CloseReason;
use crate::job::{JobId, JobResult};
use crate::message::informational::Informational;
use crate::sa::channel::Message;
use crate::sa::child::Child;
use crate::sa::estate::Estate;
use crate::sa::{Context, Core, State};
use crate::types::{EspSpi, IkeSaId, Path, Spi};
use crate::wire::iana::NotifyType;

/// The request that we are about.
#[derive(Debug, Default)]
pub(super) enum Ours {
    /// None.
    #[default]
    Idle,
    /// Whether the peer lives.
    Liveness,
    /// Whether it is where it says, with this COOKIE2, and where that is.
    Route(Vec<u8>, Path),
    /// These CHILD SAs are to be deleted.
    Deleting(Vec<EspSpi>),
    /// A CHILD SA.
    Child(Box<ChildRequest>),
    /// Another IKE SA in the place of this one.
    Ike(Box<IkeRequest>),
}

impl Ours {
    /// Whether `job` is for this request.
    pub(super) fn waits_for(&self, job: JobId) -> bool {
        match self {
            Self::Idle | Self::Liveness | Self::Route(..) | Self::Deleting(_) => false,
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

    /// What the peer has made in the place of the CHILD SA that we are replacing.
    pub(super) fn rival(&self) -> Option<EspSpi> {
        match self {
            Self::Child(request) => request.rival(),
            _ => None,
        }
    }

    /// The IKE SA that the peer has made in the place of the one that we are
    /// replacing.
    pub(super) fn take_heir(&mut self) -> Option<IkeSaId> {
        match self {
            Self::Ike(request) => request.take_heir(),
            _ => None,
        }
    }

    /// Our SPI of the IKE SA that we ask for.
    const fn awaited_spi(&self) -> Option<Spi> {
        match self {
            Self::Ike(request) => Some(request.spi()),
            _ => None,
        }
    }

    /// Nobody will hear what comes of it.
    pub(super) fn abandon(self, cx: &mut Context<'_>, core: &Core, estate: &Estate) {
        match self {
            Self::Idle | Self::Liveness | Self::Route(..) | Self::Deleting(_) => {}
            Self::Child(request) => request.abandon(cx, core, estate),
            Self::Ike(request) => request.abandon(cx),
        }
    }
}

impl Established {
    /// Our SPIs of IKE SAs that may take the place of this one: what we ask for, and
    /// what the peer does.
    pub(in crate::sa) fn awaited_spis(&self) -> [Option<Spi>; 2] {
        [self.ours.awaited_spi(), self.theirs.awaited_spi()]
    }

    pub(super) fn handle_response(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let refused = Informational::decode(payloads.first, &payloads.octets)
            .is_ok_and(|response| response.error == Some(NotifyType::INVALID_SYNTAX));
        if refused {
            // For the peer the SA has ended with that (RFC 7296 §2.21.3).
            let reason = CloseReason::PeerRefused(NotifyType::INVALID_SYNTAX);
            return self.close(cx, core, reason);
        }
        match core::mem::take(&mut self.ours) {
            // That a liveness check was answered is all there is to know.
            Ours::Idle | Ours::Liveness => self.proceed(cx, core),
            Ours::Route(cookie, asked) => self.route_response(cx, core, (&cookie, asked), message),
            Ours::Deleting(children) => {
                for spi in children {
                    self.remove_child(cx, core, spi);
                }
                self.proceed(cx, core)
            }
            Ours::Child(request) => self.child_response(cx, core, request, message),
            Ours::Ike(request) => self.ike_response(cx, core, request, message),
        }
    }

    pub(super) fn own_job(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        result: JobResult,
    ) -> State {
        match core::mem::take(&mut self.ours) {
            Ours::Child(request) => self.own_child_job(cx, core, request, result),
            Ours::Ike(request) => self.own_ike_job(cx, core, request, result),
            ours @ (Ours::Idle | Ours::Liveness | Ours::Route(..) | Ours::Deleting(_)) => {
                self.ours = ours;
                State::Established(self)
            }
        }
    }
}
