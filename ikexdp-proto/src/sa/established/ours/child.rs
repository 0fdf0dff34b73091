//! A CHILD SA that we ask for, most often in the place of another
//! (RFC 7296 §1.3.1, §1.3.3).
//!
//! ```text
//! GeneratingKey --> Sent --> Agreeing --> Installing --> the old one is deleted
//!   with a key exchange only     with one only
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Established, Ours};
use crate::crypto::kex::{Group, KeyPair};
use crate::data_plane::DataPlaneError;
use crate::error::{Error, Unacceptable};
use crate::event::{ChildSummary, Event};
use crate::job::{Agreed, Job, JobId, JobResult};
use crate::message::child::ChildPayloads;
use crate::message::create_child::{CreateChild, CreateChildReply, Selectors};
use crate::sa::channel::Message;
use crate::sa::child::{Agreement, Child, Nonces, Phase};
use crate::sa::established::data_plane;
use crate::sa::established::theirs::Theirs;
use crate::sa::estate::Estate;
use crate::sa::negotiate::accept;
use crate::sa::proposal::offer_esp;
use crate::sa::{Context, Core, State};
use crate::stats::Stat;
use crate::types::{EspSpi, Role};
use crate::wire::iana::{ExchangeType, NotifyType};
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::nonce::NONCE_LEN;

/// A CHILD SA that we are about to make.
#[derive(Debug)]
pub(in crate::sa::established) struct ChildRequest {
    /// The SPI we shall receive on.
    spi: EspSpi,
    /// The CHILD SA that it replaces.
    rekeyed: Option<EspSpi>,
    offered: ChildPayloads,
    nonce: Vec<u8>,
    /// The group of our KE payload, if there is one.
    group: Option<Group>,
    /// Whether the peer has had us take another group.
    regrouped: bool,
    stage: Stage,
    /// What the peer made at the same time in the place of the same CHILD SA.
    rival: Option<Rival>,
    /// Whether the peer, for which it is there already, has deleted it.
    deleted: bool,
}

#[derive(Debug)]
enum Stage {
    GeneratingKey(JobId),
    Sent(Option<KeyPair>),
    Agreeing(JobId, Box<Accepted>),
    Installing(JobId, Box<(Child, Nonces)>),
}

/// What the peer has agreed to.
#[derive(Debug)]
struct Accepted {
    summary: ChildSummary,
    nonces: Nonces,
}

/// A CHILD SA that the peer made in the place of the one that we are replacing.
#[derive(Debug)]
pub(in crate::sa::established) struct Rival {
    pub(in crate::sa::established) spi: EspSpi,
    pub(in crate::sa::established) nonces: Nonces,
}

impl ChildRequest {
    pub(super) fn waits_for(&self, job: JobId) -> bool {
        match self.stage {
            Stage::GeneratingKey(id) | Stage::Agreeing(id, _) | Stage::Installing(id, _) => {
                id == job
            }
            Stage::Sent(_) => false,
        }
    }

    pub(in crate::sa::established) fn rival(&self) -> Option<EspSpi> {
        self.rival.as_ref().map(|rival| rival.spi)
    }

    /// The SPI the peer receives on, as soon as that is known.
    pub(in crate::sa::established) fn spi_out(&self) -> Option<EspSpi> {
        match &self.stage {
            Stage::GeneratingKey(_) | Stage::Sent(_) => None,
            Stage::Agreeing(_, accepted) => Some(accepted.summary.spi_out),
            Stage::Installing(_, installing) => Some(installing.0.summary.spi_out),
        }
    }

    /// The peer has deleted what is not there for us yet. Returns the SPI that we
    /// would have received on.
    pub(in crate::sa::established) const fn delete(&mut self) -> EspSpi {
        self.deleted = true;
        self.spi
    }

    /// Whether it is to replace the CHILD SA `spi`.
    pub(in crate::sa::established) fn replaces(&self, spi: EspSpi) -> bool {
        self.rekeyed == Some(spi)
    }

    /// Whether the peer does not know of it yet.
    pub(in crate::sa::established) const fn is_unsent(&self) -> bool {
        matches!(self.stage, Stage::GeneratingKey(_))
    }

    pub(in crate::sa::established) fn set_rival(&mut self, rival: Option<Rival>) {
        self.rival = rival;
    }

    /// Whether the peer's is the one that stands.
    fn loses(&self, nonces: &Nonces) -> bool {
        let rival = self.rival.as_ref();
        rival.is_some_and(|rival| nonces.lose_to(&rival.nonces))
    }

    pub(in crate::sa::established) fn abandon(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        estate: &Estate,
    ) {
        match self.stage {
            Stage::Installing(_, installing) => estate.discard(cx, core, &installing.0),
            _ => cx.inbound.release(self.spi),
        }
    }
}

impl Established {
    /// Asks for a CHILD SA in the place of the one we receive on `spi`.
    pub(in crate::sa::established) fn rekey_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        spi: EspSpi,
    ) {
        let Some(child) = self.estate.child_mut(spi) else {
            return;
        };
        child.phase = Phase::Rekeying;
        let selectors = Selectors {
            initiator: child.summary.local.clone(),
            responder: child.summary.remote.clone(),
        };
        self.request_child(cx, core, Some(spi), selectors);
    }

    /// Installs the CHILD SA that came with IKE_AUTH.
    pub(in crate::sa) fn install_first(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        summary: ChildSummary,
        nonces: Nonces,
    ) {
        let request = ChildRequest {
            spi: summary.spi_in,
            rekeyed: None,
            offered: ChildPayloads {
                proposals: Vec::new(),
                initiator: summary.local.clone(),
                responder: summary.remote.clone(),
            },
            nonce: Vec::new(),
            group: None,
            regrouped: false,
            stage: Stage::Sent(None),
            rival: None,
            deleted: false,
        };
        self.install(
            cx,
            core,
            Box::new(request),
            Accepted { summary, nonces },
            None,
        );
    }

    fn request_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        rekeyed: Option<EspSpi>,
        selectors: Selectors,
    ) {
        let spi = cx.esp_spi();
        let esp = &self.estate.connection.child.esp;
        let request = ChildRequest {
            spi,
            rekeyed,
            offered: ChildPayloads {
                proposals: offer_esp(esp, &esp.groups, spi),
                initiator: selectors.initiator,
                responder: selectors.responder,
            },
            nonce: cx.random::<NONCE_LEN>().to_vec(),
            group: esp.groups.first().copied(),
            regrouped: false,
            stage: Stage::Sent(None),
            rival: None,
            deleted: false,
        };
        match request.group {
            Some(group) => self.generate_child_key(cx, core, Box::new(request), group),
            None => self.send_child(cx, core, Box::new(request), None),
        }
    }

    fn generate_child_key(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        group: Group,
    ) {
        let job = cx.job(core.id, Job::GenerateKey(group));
        request.group = Some(group);
        request.stage = Stage::GeneratingKey(job);
        self.ours = Ours::Child(request);
    }

    fn send_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        key: Option<KeyPair>,
    ) {
        let message = CreateChild {
            rekeyed: request.rekeyed,
            proposals: request.offered.proposals.clone(),
            nonce: &request.nonce,
            key_exchange: key.as_ref().map(|key| KeyExchange {
                group: key.group().id(),
                data: key.public(),
            }),
            selectors: Some(Selectors {
                initiator: request.offered.initiator.clone(),
                responder: request.offered.responder.clone(),
            }),
        };
        let payloads = message.encode();
        request.stage = Stage::Sent(key);
        self.ours = Ours::Child(request);
        self.request(cx, core, ExchangeType::CREATE_CHILD_SA, payloads);
    }

    pub(super) fn own_child_job(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        result: JobResult,
    ) -> State {
        let stage = core::mem::replace(&mut request.stage, Stage::Sent(None));
        match (stage, result) {
            (Stage::GeneratingKey(_), JobResult::Key(Ok(key))) => {
                self.send_child(cx, core, request, Some(key));
                self.proceed(cx, core)
            }
            (Stage::GeneratingKey(_), _) => {
                self.child_refused(cx, core, *request, Unacceptable::Overload.into())
            }
            (Stage::Agreeing(_, accepted), JobResult::Secret(Ok(agreed))) => {
                self.install_own(cx, core, request, *accepted, Some(agreed))
            }
            (Stage::Installing(_, installing), result) => {
                let (child, nonces) = *installing;
                self.own_child_installed(cx, core, *request, (child, nonces), data_plane(result))
            }
            // The peer has a CHILD SA now that we cannot have.
            (Stage::Agreeing(..) | Stage::Sent(_), _) => {
                self.own_child_lost(cx, core, *request, Unacceptable::Overload.into())
            }
        }
    }

    pub(super) fn child_response(
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
            initiator: selectors.initiator,
            responder: selectors.responder,
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

    fn install_own(
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

    fn install(
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
        batch.extend(child.take_outbound(core.tunnel()));
        let job = cx.job(core.id, Job::DataPlane(batch));
        request.stage = Stage::Installing(job, Box::new((child, nonces)));
        self.ours = Ours::Child(request);
    }

    fn own_child_installed(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: ChildRequest,
        (mut child, nonces): (Child, Nonces),
        result: Result<(), DataPlaneError>,
    ) -> State {
        if let Err(error) = result {
            self.estate.discard(cx, core, &child);
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
    fn child_refused(
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
        let selectors = Selectors {
            initiator: request.offered.initiator,
            responder: request.offered.responder,
        };
        self.request_child(cx, core, None, selectors);
        self.proceed(cx, core)
    }

    /// The peer has made a CHILD SA that we do not have.
    fn own_child_lost(
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
    fn settle_rekeyed(&mut self, request: &ChildRequest, again: Option<&mut Context<'_>>) {
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
