//! Peers that move (RFC 4555, RFC 7296 §2.23).
//!
//! The peer is the one that moves: a gateway stays where it is. What it says is
//! authentic, but the addresses of its datagram are not: whether it is really
//! there is asked, with a cookie that nobody else can know.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Established, Ours};
use crate::data_plane::DataPlaneError;
use crate::event::{CloseReason, Event};
use crate::job::JobId;
use crate::message::informational::Informational;
use crate::nat::{NatHashes, is_translated};
use crate::sa::channel::Message;
use crate::sa::{Context, Core, State};
use crate::stats::Stat;
use crate::types::Path;
use crate::wire::iana::{ExchangeType, NotifyType};

/// Octets of our COOKIE2.
const COOKIE2_LEN: usize = 16;

impl State {
    /// Whether an authentic new request moves the SA: once it is up only a peer
    /// behind a NAT moves that way (RFC 7296 §2.23), and only if it does not say
    /// when it moves (RFC 4555 §3.8).
    pub(in crate::sa) const fn follows(&self, core: &Core) -> bool {
        match self {
            Self::Established(state) => core.nat.remote && !state.estate.mobike,
            Self::Heir(_) | Self::Replaced(_) | Self::Closing(_) => core.nat.remote,
            _ => true,
        }
    }
}

impl Established {
    /// Does what a request says about addresses; returns what the response says.
    pub(super) fn update_addresses(
        &mut self,
        cx: &mut Context<'_>,
        core: &mut Core,
        message: &Message,
        request: &Informational,
    ) -> Informational {
        let mut response = Informational {
            cookie2: request.cookie2.clone(),
            ..Informational::default()
        };
        if !self.estate.mobike {
            return response;
        }
        if !request.nat.is_empty() {
            response.nat = NatHashes::of(core.spis, &message.path);
        }
        if is_translated(request.no_nats_allowed.as_ref(), &message.path) {
            response.error = Some(NotifyType::UNEXPECTED_NAT_DETECTED);
            return response;
        }
        if !request.update_addresses {
            return response;
        }
        let path = core.path;
        core.path = message.path;
        core.nat = request.nat.compare(core.spis, &message.path);
        self.moved(cx, core, &path);
        self.estate.check_route |= path != core.path;
        response
    }

    /// The peer was reached by `from` until now.
    pub(in crate::sa) fn moved(&mut self, cx: &mut Context<'_>, core: &Core, from: &Path) {
        if *from != core.path {
            cx.stats.count(Stat::Moved);
            cx.event(Event::Moved {
                id: core.id,
                from: *from,
                to: core.path,
            });
        }
        self.relocate(cx, core);
    }

    fn relocate(&mut self, cx: &mut Context<'_>, core: &Core) {
        let installed = [self.ours.installing(), self.theirs.installing()];
        self.estate
            .relocate(cx, core, installed.into_iter().flatten());
    }

    /// Whether `job` has the kernel follow the peer.
    pub(super) fn moves_by(&self, job: JobId) -> bool {
        self.estate
            .moving
            .as_ref()
            .is_some_and(|(moving, _)| *moving == job)
    }

    /// The kernel has followed; the peer may have moved on meanwhile.
    pub(super) fn relocated(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        result: Result<(), DataPlaneError>,
    ) -> State {
        match self.estate.relocated(result) {
            Ok(()) => self.relocate(cx, core),
            // What is sent to the peer would go where it no longer is.
            Err(error) => {
                cx.event(Event::ChildRefused {
                    id: core.id,
                    reason: error.into(),
                });
                self.ending.get_or_insert(CloseReason::Unmoved);
            }
        }
        self.proceed(cx, core)
    }

    /// Asks whether the peer is where its datagram came from (RFC 4555 §3.7).
    pub(super) fn ask_for_route(&mut self, cx: &mut Context<'_>, core: &Core) {
        self.estate.check_route = false;
        let cookie = cx.random::<COOKIE2_LEN>().to_vec();
        let question = Informational {
            cookie2: Some(cookie.clone()),
            ..Informational::default()
        };
        self.ours = Ours::Route(cookie, core.path);
        self.request(cx, core, ExchangeType::INFORMATIONAL, question.encode());
    }

    /// Whoever answers without the cookie has not seen the question.
    pub(super) fn route_response(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        (cookie, asked): (&Vec<u8>, Path),
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let response = Informational::decode(payloads.first, &payloads.octets);
        if response.is_ok_and(|response| response.cookie2.as_ref() == Some(cookie)) {
            // It may have seen a repeat of the question elsewhere.
            self.estate.check_route |= asked != core.path;
            return self.proceed(cx, core);
        }
        self.ending = Some(CloseReason::Malformed);
        self.proceed(cx, core)
    }
}
