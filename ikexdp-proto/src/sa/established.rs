//! An IKE SA that is up: INFORMATIONAL (RFC 7296 §1.4), liveness (§2.4), and
//! what asks for more than there is yet.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::channel::{Channel, Message};
use super::closing::{Closing, Lingering};
use super::{Context, Core, State, refuse};
use crate::config::{Config, Connection};
use crate::error::{Error, Unacceptable, Violation};
use crate::event::{self, ChildSummary, CloseReason, Event};
use crate::identity::Identity;
use crate::lease::Lease;
use crate::message::informational::Informational;
use crate::stats::Stat;
use crate::time::Instant;
use crate::types::EspSpi;
use crate::wire::iana::{ExchangeType, NotifyType};

/// An IKE SA whose two sides know each other.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) channel: Channel,
    connection: Arc<Connection>,
    peer: Identity,
    lease: Option<Lease>,
    /// Addresses the peer gave us.
    assigned: Vec<IpAddr>,
    children: Vec<ChildSummary>,
    /// When the peer was last heard.
    heard: Instant,
    /// Whether it was heard at all since IKE_AUTH.
    confirmed: bool,
    /// Whether it is to be deleted as soon as no request of ours is waiting.
    terminating: bool,
}

/// What a handshake ends with.
#[derive(Debug)]
pub(super) struct NewEstablished {
    pub(super) channel: Channel,
    pub(super) connection: Arc<Connection>,
    pub(super) peer: Identity,
    /// Addresses of a pool of ours, for the peer.
    pub(super) lease: Option<Lease>,
    /// Addresses from the peer, for us.
    pub(super) assigned: Vec<IpAddr>,
    pub(super) child: Option<ChildSummary>,
    /// Why there is no CHILD SA, if one was wanted.
    pub(super) refusal: Option<Error>,
    /// Whether the peer is known to have got our last message.
    pub(super) confirmed: bool,
}

impl Established {
    /// The handshake is over.
    pub(super) fn begin(cx: &mut Context<'_>, core: &Core, new: NewEstablished) -> Self {
        let NewEstablished {
            channel,
            connection,
            peer,
            lease,
            assigned,
            child,
            refusal,
            confirmed,
        } = new;
        let established = Self {
            channel,
            connection,
            peer,
            lease,
            assigned,
            children: child.into_iter().collect(),
            heard: cx.now,
            confirmed,
            terminating: false,
        };
        cx.stats.count(Stat::Established);
        cx.event(Event::Established(Box::new(event::Established {
            id: core.id,
            connection: established.connection.name.clone(),
            role: core.role,
            path: core.path,
            spis: core.spis,
            peer: established.peer.clone(),
            suite: established.channel.suite,
            nat: core.nat,
            addresses: established.addresses(),
            handshake: cx.now.since(core.created),
            fragmentation: established.channel.fragmentation,
        })));
        for child in &established.children {
            cx.stats.count(Stat::ChildEstablished);
            cx.event(Event::ChildEstablished {
                id: core.id,
                child: Box::new(child.clone()),
            });
        }
        if let Some(reason) = refusal {
            cx.event(Event::ChildRefused {
                id: core.id,
                reason,
            });
        }
        established
    }

    pub(super) fn connection(&self) -> &str {
        &self.connection.name
    }

    pub(super) const fn peer(&self) -> &Identity {
        &self.peer
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let leased = self.lease.iter().flat_map(Lease::addresses);
        leased.chain(self.assigned.iter().copied()).collect()
    }

    pub(super) fn children(&self) -> Vec<ChildSummary> {
        self.children.clone()
    }

    pub(super) fn handle_message(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        self.heard = cx.now;
        self.confirmed = true;
        if message.response {
            // A liveness check is the only request there is; that it was
            // answered is all there is to know.
            return if self.terminating {
                self.delete(cx, core)
            } else {
                State::Established(self)
            };
        }
        match message.exchange {
            ExchangeType::INFORMATIONAL => self.informational(cx, core, message),
            ExchangeType::CREATE_CHILD_SA => {
                self.refuse(cx, message, &Unacceptable::AdditionalSa.into());
                State::Established(self)
            }
            _ => {
                // The refusal ends the SA for the peer (RFC 7296 §2.21.3).
                self.refuse(cx, message, &Violation::UnexpectedExchange.into());
                self.close(cx, core, CloseReason::OutOfTurn)
            }
        }
    }

    fn informational(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let request = match Informational::decode(payloads.first, &payloads.octets) {
            Ok(request) => request,
            Err(error @ Error::Violation(Violation::UnknownCritical(_))) => {
                self.refuse(cx, message, &error);
                return State::Established(self);
            }
            Err(error) => {
                // Under the right keys this is no accident of the path: the SA
                // cannot go on (RFC 7296 §2.21.3).
                self.refuse(cx, message, &error);
                return self.close(cx, core, CloseReason::Malformed);
            }
        };
        let closed = self.close_children(cx, core, &request.delete_esp);
        let response = Informational {
            delete_esp: closed,
            ..Informational::default()
        };
        self.channel
            .respond(cx, &message.reply_to(), response.encode());
        match request.error {
            _ if request.delete_ike => self.close(cx, core, CloseReason::PeerDeleted),
            Some(NotifyType::AUTHENTICATION_FAILED) => {
                let reason = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
                self.close(cx, core, reason)
            }
            _ => State::Established(self),
        }
    }

    fn refuse(&mut self, cx: &mut Context<'_>, message: &Message, error: &Error) {
        refuse(&mut self.channel, cx, &message.reply_to(), error);
    }

    /// Closes CHILD SAs by the SPIs the peer receives on; returns the SPIs we
    /// receive on, which the response deletes in turn (RFC 7296 §1.4.1).
    fn close_children(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        deleted: &[EspSpi],
    ) -> Vec<EspSpi> {
        let (closed, kept): (Vec<ChildSummary>, Vec<ChildSummary>) =
            core::mem::take(&mut self.children)
                .into_iter()
                .partition(|child| deleted.contains(&child.spi_out));
        self.children = kept;
        for child in &closed {
            cx.stats.count(Stat::ChildClosed);
            cx.inbound.release(child.spi_in);
            cx.event(Event::ChildClosed {
                id: core.id,
                spi: child.spi_in,
            });
        }
        closed.iter().map(|child| child.spi_in).collect()
    }

    /// Everything of the SA is given back; its last response is kept a while.
    fn close(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core, reason: CloseReason) -> State {
        self.give_back(cx, core, reason);
        State::Lingering(Box::new(Lingering::new(self.channel, cx.now)))
    }

    fn give_back(&mut self, cx: &mut Context<'_>, core: &Core, reason: CloseReason) {
        let every: Vec<EspSpi> = self.children.iter().map(|child| child.spi_out).collect();
        self.close_children(cx, core, &every);
        if let Some(lease) = self.lease.take() {
            cx.pools.release(&lease);
        }
        cx.stats.count(Stat::Closed);
        cx.event(Event::Closed {
            id: core.id,
            connection: self.connection.name.clone(),
            path: core.path,
            peer: self.peer.clone(),
            age: cx.now.since(core.created),
            reason,
        });
    }

    /// The host wants it gone.
    pub(super) fn terminate(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        if self.channel.is_waiting() {
            // One request at a time (RFC 7296 §2.3).
            self.terminating = true;
            State::Established(self)
        } else {
            self.delete(cx, core)
        }
    }

    fn delete(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        self.give_back(cx, core, CloseReason::Terminated);
        let delete = Informational {
            delete_ike: true,
            ..Informational::default()
        };
        let payloads = delete.encode();
        if self
            .channel
            .request(cx, ExchangeType::INFORMATIONAL, payloads, &core.path)
        {
            State::Closing(Box::new(Closing {
                channel: self.channel,
            }))
        } else {
            State::Gone
        }
    }

    /// Asks whether a silent peer lives; `dead` says that it has not answered.
    pub(super) fn handle_timeout(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        dead: bool,
    ) -> State {
        if dead {
            cx.stats.count(Stat::DeadPeer);
            self.give_back(cx, core, CloseReason::DeadPeer);
            return State::Gone;
        }
        if self.liveness_due(cx.config) <= cx.now && !self.channel.is_waiting() {
            let question = Informational::default().encode();
            let asked = self
                .channel
                .request(cx, ExchangeType::INFORMATIONAL, question, &core.path);
            if !asked {
                // The message IDs are used up (RFC 7296 §2.2).
                self.give_back(cx, core, CloseReason::Terminated);
                return State::Gone;
            }
        }
        State::Established(self)
    }

    fn liveness_due(&self, config: &Config) -> Instant {
        let silence = if self.confirmed {
            config.timing.liveness
        } else {
            config.timing.first_liveness.min(config.timing.liveness)
        };
        self.heard + silence
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        (!self.channel.is_waiting()).then(|| self.liveness_due(config))
    }
}
