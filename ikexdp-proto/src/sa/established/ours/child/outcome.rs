//! What comes of a CHILD SA that we have asked for.

use alloc::boxed::Box;

use super::{Accepted, ChildRequest, Stage};
use crate::data_plane::DataPlaneError;
use crate::error::{Error, Unacceptable};
use crate::event::Event;
use crate::job::{Agreed, Job};
use crate::message::child::ChildPayloads;
use crate::message::create_child::{CreateChild, CreateChildReply};
use crate::sa::channel::Message;
use crate::sa::child::{Agreement, Child, Nonces, Phase};
use crate::sa::established::Established;
use crate::sa::established::ours::Ours;
use crate::sa::established::theirs::Theirs;
use crate::sa::estate::Estate;
use crate::sa::negotiate::accept;
use crate::sa::{Context, Core, State};
use crate::stats::Stat;
use crate::types::{EspSpi, Role};
use crate::wire::iana::NotifyType;

impl Established {
    pub(in crate::sa::established) fn child_response(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: Box<ChildRequest>,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        match CreateChildReply::decode(payloads.first, &payloads.octets) {
            Ok(CreateChildReply::Accepted(answer)) => {
                self.child_accepted(cx, core, request, answer)
            }
            Ok(CreateChildReply::InvalidKe(group)) => {
                let groups = &self.estate.connection.child.esp.groups;
                let mut groups = groups.iter().copied();
                match groups.find(|ours| ours.id() == group) {
                    Some(group) if !request.regrouped && request.group != Some(group) => {
                        let request = Box::new(ChildRequest {
                            regrouped: true,
                            ..*request
                        });
                        self.generate_child_key(cx, core, request, group);
                        State::Established(self)
                    }
                    _ => {
                        let error = Error::PeerRefused(NotifyType::INVALID_KE_PAYLOAD);
                        self.child_refused(cx, core, *request, error)
                    }
                }
            }
            Ok(CreateChildReply::Refused(notify)) => {
                self.child_refused(cx, core, *request, Error::PeerRefused(notify))
            }
            Ok(CreateChildReply::RefusedByWindows(status)) => {
                self.child_refused(cx, core, *request, Error::WindowsRefused(status))
            }
            Err(error) => self.own_child_lost(cx, core, *request, error),
        }
    }

    fn child_accepted(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        answer: CreateChild<'_>,
    ) -> State {
        let Some(selectors) = answer.selectors else {
            let error = Unacceptable::Selectors.into();
            return self.own_child_lost(cx, core, *request, error);
        };
        let payloads = ChildPayloads {
            proposals: answer.proposals,
            selectors,
        };
        let config = &self.estate.connection.child;
        let accepted = accept(
            config,
            &request.offered,
            &payloads,
            request.spi,
            request.group,
        );
        let accepted = match accepted {
            Ok(summary) => Accepted {
                summary,
                nonces: Nonces {
                    initiator: request.nonce.clone(),
                    responder: answer.nonce.to_vec(),
                },
            },
            Err(error) => return self.own_child_lost(cx, core, *request, error),
        };
        let theirs = answer.key_exchange;
        let stage = core::mem::replace(&mut request.stage, Stage::Sent(None));
        match (stage, request.group, theirs) {
            (_, None, None) => self.install_own(cx, core, request, accepted, None),
            (Stage::Sent(ours @ Some(_)), Some(group), Some(theirs))
                if group.id() == theirs.group =>
            {
                let job = cx.job(
                    core.id,
                    Job::Agree {
                        ours,
                        group,
                        theirs: theirs.data.to_vec(),
                    },
                );
                request.stage = Stage::Agreeing(job, Box::new(accepted));
                self.ours = Ours::Child(request);
                State::Established(self)
            }
            _ => self.own_child_lost(cx, core, *request, Unacceptable::Proposal.into()),
        }
    }

    pub(super) fn install_own(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: Box<ChildRequest>,
        accepted: Accepted,
        agreed: Option<Agreed>,
    ) -> State {
        if request.deleted || request.loses(&accepted.nonces) {
            return self.own_child_undone(cx, core, *request);
        }
        self.install(cx, core, request, accepted, agreed);
        State::Established(self)
    }

    pub(super) fn install(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        accepted: Accepted,
        agreed: Option<Agreed>,
    ) {
        let Accepted { summary, nonces } = accepted;
        let agreement = Agreement {
            summary,
            keys: &self.channel.keys,
            shared_secret: agreed
                .as_ref()
                .map(|agreed| agreed.shared_secret.expose().as_slice()),
            nonces: &nonces,
            role: Role::Initiator,
            lineage: None,
        };
        let (mut child, mut batch) = self.estate.agree(cx, core, agreement, request.rekeyed);
        // The peer has what it receives on.
        batch.extend(child.take_outbound(self.estate.tunnel));
        let job = cx.job(core.id, Job::data_plane(batch));
        request.stage = Stage::Installing(job, Box::new((child, nonces)));
        self.ours = Ours::Child(request);
    }

    pub(super) fn own_child_installed(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: ChildRequest,
        (mut child, nonces): (Child, Nonces),
        result: Result<(), DataPlaneError>,
    ) -> State {
        if let Err(error) = result {
            Estate::forget(cx, &child);
            return self.own_child_lost(cx, core, request, error.into());
        }
        if request.deleted {
            self.estate.discard(cx, core, &child);
            return self.own_child_undone(cx, core, request);
        }
        if request.loses(&nonces) {
            child.phase = Phase::Doomed;
            self.estate.adopt(cx, core, child, request.rekeyed);
            self.settle_rekeyed(&request, None);
            return self.proceed(cx, core);
        }
        if let (Theirs::Child(peers), Some(rival)) = (&mut self.theirs, request.rival()) {
            peers.lose(rival);
        }
        self.estate.adopt(cx, core, child, request.rekeyed);
        if let Some(old) = request.rekeyed.and_then(|spi| self.estate.child_mut(spi)) {
            old.phase = Phase::Doomed;
        }
        self.proceed(cx, core)
    }

    /// The peer did not do as asked.
    pub(super) fn child_refused(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: ChildRequest,
        error: Error,
    ) -> State {
        cx.inbound.release(request.spi);
        let again = match error {
            Error::PeerRefused(NotifyType::TEMPORARY_FAILURE)
            | Error::Unacceptable(Unacceptable::Overload) => true,
            Error::PeerRefused(NotifyType::CHILD_SA_NOT_FOUND) if request.rekeyed.is_some() => {
                return self.child_not_found(cx, core, request);
            }
            _ => false,
        };
        self.settle_rekeyed(&request, again.then_some(&mut *cx));
        cx.stats.count(if again {
            Stat::Collision
        } else {
            Stat::ChildRefused
        });
        if !again {
            cx.event(Event::ChildRefused {
                id: core.id,
                reason: error,
            });
        }
        self.proceed(cx, core)
    }

    /// The peer has no CHILD SA any more to replace; it may want one all the same
    /// (RFC 7296 §2.25.1).
    fn child_not_found(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: ChildRequest,
    ) -> State {
        let gone = request.rekeyed.and_then(|spi| self.estate.child(spi));
        let Some(spi) = gone.map(Child::spi).filter(|_| request.rival.is_none()) else {
            // It has been deleted, or replaced, meanwhile.
            self.settle_rekeyed(&request, None);
            return self.proceed(cx, core);
        };
        self.estate.remove(cx, core, spi, None);
        self.request_child(cx, core, None, request.offered.selectors);
        self.proceed(cx, core)
    }

    /// The peer has made a CHILD SA that we do not have.
    pub(super) fn own_child_lost(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: ChildRequest,
        error: Error,
    ) -> State {
        cx.stats.count(Stat::ChildRefused);
        cx.event(Event::ChildRefused {
            id: core.id,
            reason: error,
        });
        self.own_child_undone(cx, core, request)
    }

    /// The CHILD SA that we have asked for is deleted before it is one.
    fn own_child_undone(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: ChildRequest,
    ) -> State {
        cx.inbound.release(request.spi);
        self.settle_rekeyed(&request, None);
        if self.ending.is_none() && !request.deleted {
            self.delete_children(cx, core, alloc::vec![request.spi]);
        }
        self.proceed(cx, core)
    }

    /// What becomes of the CHILD SA that was not replaced by us: the peer has
    /// replaced it, or it goes on, to be replaced later with `again`.
    pub(super) fn settle_rekeyed(
        &mut self,
        request: &ChildRequest,
        again: Option<&mut Context<'_>>,
    ) {
        let old = request.rekeyed.and_then(|spi| self.estate.child_mut(spi));
        let Some(old) = old.filter(|old| old.phase == Phase::Rekeying) else {
            return;
        };
        if let Some(rival) = &request.rival {
            old.phase = Phase::Replaced(rival.spi);
            return;
        }
        old.phase = Phase::Live;
        match again {
            Some(cx) => old.lifetime.postpone(cx),
            None => old.lifetime.soft = None,
        }
    }

    /// Takes back a request that the peer does not know of, for the CHILD SA
    /// `spi`: the peer was faster.
    pub(in crate::sa::established) fn yield_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        spi: EspSpi,
    ) {
        match core::mem::take(&mut self.ours) {
            Ours::Child(request) if request.is_unsent() && request.replaces(spi) => {
                self.settle_rekeyed(&request, None);
                request.abandon(cx, core, &self.estate);
            }
            ours => self.ours = ours,
        }
    }
}
