//! What the peer tells us (RFC 7296 §1.4).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Established, Ours};
use crate::error::{Error, Violation};
use crate::event::CloseReason;
use crate::message::informational::Informational;
use crate::sa::channel::Message;
use crate::sa::child::{Child, Phase};
use crate::sa::closing::Lingering;
use crate::sa::succession::Bequest;
use crate::sa::{Context, Core, State};
use crate::types::EspSpi;
use crate::wire::iana::NotifyType;

impl Established {
    pub(super) fn informational(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &mut Core,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let request = match Informational::decode(payloads.first, &payloads.octets) {
            Ok(request) => request,
            Err(error) => return self.unreadable(cx, core, message, &error),
        };
        let closed = self.close_children(cx, core, &request.delete_esp);
        let response = Informational {
            delete_esp: closed,
            ..self.update_addresses(cx, core, message, &request)
        };
        self.channel
            .respond(cx, &message.reply_to(), response.encode());
        match request.error {
            _ if request.delete_ike => self.deleted(cx, core),
            Some(NotifyType::AUTHENTICATION_FAILED) => {
                let reason = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
                self.close(cx, core, reason)
            }
            _ => self.proceed(cx, core),
        }
    }

    /// A request that is authentic and cannot be read.
    pub(super) fn unreadable(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
        error: &Error,
    ) -> State {
        self.refuse(cx, &message.reply_to(), error);
        match error {
            // RFC 7296 §2.5: the peer asked for more than we know.
            Error::Violation(Violation::UnknownCritical(_)) => State::Established(self),
            // Under the right keys this is no accident of the path: the SA
            // cannot go on (RFC 7296 §2.21.3).
            _ => self.close(cx, core, CloseReason::Malformed),
        }
    }

    /// The peer has deleted the IKE SA.
    fn deleted(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        // It may have replaced it at the same time as we wanted to, and know
        // already that ours is the one that is undone.
        if self.ending.is_none()
            && let Some(heir) = self.ours.take_heir()
        {
            self.abandon(cx, core);
            let Self {
                channel, estate, ..
            } = *self;
            let bequest = Bequest::estate(core.id, heir, estate);
            cx.successions.bequests.push(bequest);
            return State::Lingering(Box::new(Lingering::new(channel, cx.now)));
        }
        self.close(cx, core, CloseReason::PeerDeleted)
    }

    /// Closes CHILD SAs by the SPIs the peer receives on; returns the SPIs we
    /// receive on, which the response deletes in turn, except for those that we
    /// have asked the peer to delete at the same moment (RFC 7296 §1.4.1).
    fn close_children(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        deleted: &[EspSpi],
    ) -> Vec<EspSpi> {
        let children = self.estate.children.iter();
        let closed: Vec<(EspSpi, Phase)> = children
            .filter(|child| deleted.contains(&child.summary.spi_out))
            .map(|child| (Child::spi(child), child.phase))
            .collect();
        for (spi, _) in &closed {
            self.remove_child(cx, core, *spi);
        }
        let unborn = match &mut self.ours {
            Ours::Child(request) if request.spi_out().is_some_and(|spi| deleted.contains(&spi)) => {
                Some(request.delete())
            }
            _ => None,
        };
        let answered = closed
            .into_iter()
            .filter(|(_, phase)| *phase != Phase::Deleting);
        answered.map(|(spi, _)| spi).chain(unborn).collect()
    }
}
