//! An IKE SA that we ask for in the place of this one (RFC 7296 §1.3.2).
//!
//! ```text
//! GeneratingKey --> Sent --> Agreeing --> the old one is deleted
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Established, Ours};
use crate::crypto::kex::{Group, KeyPair};
use crate::error::{Error, Unacceptable};
use crate::event::Event;
use crate::job::{Agreed, Job, JobId, JobResult};
use crate::message::create_child::{CreateChild, CreateChildReply};
use crate::sa::channel::Message;
use crate::sa::child::Nonces;
use crate::sa::closing::Closing;
use crate::sa::proposal::{choose_ike, offer_ike};
use crate::sa::succession::{Bequest, NewIke};
use crate::sa::{Context, Core, State};
use crate::stats::Stat;
use crate::suite::IkeSuite;
use crate::types::{IkeSaId, Role, Spi, Spis};
use crate::wire::iana::{ExchangeType, NotifyType};
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::nonce::NONCE_LEN;

/// An IKE SA that we are about to make.
#[derive(Debug)]
pub(in crate::sa::established) struct IkeRequest {
    /// Our SPI of it.
    spi: Spi,
    nonce: Vec<u8>,
    /// The group of our KE payload.
    group: Group,
    /// Whether the peer has had us take another group.
    regrouped: bool,
    stage: Stage,
    /// What the peer made at the same time.
    rival: Option<IkeRival>,
}

#[derive(Debug)]
enum Stage {
    GeneratingKey(JobId),
    Sent(Option<KeyPair>),
    Agreeing(JobId, Box<Accepted>),
}

/// What the peer has agreed to.
#[derive(Debug)]
struct Accepted {
    suite: IkeSuite,
    spis: Spis,
    nonces: Nonces,
}

/// An IKE SA that the peer made in the place of this one.
#[derive(Debug)]
pub(in crate::sa::established) struct IkeRival {
    pub(in crate::sa::established) heir: IkeSaId,
    pub(in crate::sa::established) nonces: Nonces,
}

impl IkeRequest {
    pub(super) fn waits_for(&self, job: JobId) -> bool {
        match self.stage {
            Stage::GeneratingKey(id) | Stage::Agreeing(id, _) => id == job,
            Stage::Sent(_) => false,
        }
    }

    pub(super) const fn spi(&self) -> Spi {
        self.spi
    }

    /// Whether the peer does not know of it yet.
    pub(in crate::sa::established) const fn is_unsent(&self) -> bool {
        matches!(self.stage, Stage::GeneratingKey(_))
    }

    pub(in crate::sa::established) fn set_rival(&mut self, rival: IkeRival) {
        self.rival = Some(rival);
    }

    /// Whether the peer has made one as well.
    pub(in crate::sa::established) const fn has_rival(&self) -> bool {
        self.rival.is_some()
    }

    pub(super) fn take_heir(&mut self) -> Option<IkeSaId> {
        self.rival.take().map(|rival| rival.heir)
    }

    pub(super) fn abandon(mut self, cx: &mut Context<'_>) {
        if let Some(heir) = self.take_heir() {
            cx.successions.bequests.push(Bequest::nothing(heir));
        }
    }
}

impl Established {
    /// Asks for another IKE SA in the place of this one.
    pub(in crate::sa::established) fn request_ike(&mut self, cx: &mut Context<'_>, core: &Core) {
        // Windows takes no other group than the one that was agreed on.
        let current = self.channel.suite.group;
        let groups = &cx.config.ike.groups;
        let group = groups.iter().copied().find(|group| *group == current);
        let Some(group) = group.or_else(|| groups.first().copied()) else {
            self.lifetime.soft = None;
            return;
        };
        let request = IkeRequest {
            spi: cx.spi(),
            nonce: cx.random::<NONCE_LEN>().to_vec(),
            group,
            regrouped: false,
            stage: Stage::Sent(None),
            rival: None,
        };
        self.generate_ike_key(cx, core, Box::new(request), group);
    }

    fn generate_ike_key(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<IkeRequest>,
        group: Group,
    ) {
        let job = cx.job(core.id, Job::GenerateKey(group));
        request.group = group;
        request.stage = Stage::GeneratingKey(job);
        self.ours = Ours::Ike(request);
    }

    fn send_ike(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<IkeRequest>,
        key: KeyPair,
    ) {
        let message = CreateChild {
            rekeyed: None,
            proposals: offer_ike(&cx.config.ike, Some(request.spi)),
            nonce: &request.nonce,
            key_exchange: Some(KeyExchange {
                group: key.group().id(),
                data: key.public(),
            }),
            selectors: None,
        };
        let payloads = message.encode();
        request.stage = Stage::Sent(Some(key));
        self.ours = Ours::Ike(request);
        self.request(cx, core, ExchangeType::CREATE_CHILD_SA, payloads);
    }

    pub(super) fn own_ike_job(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<IkeRequest>,
        result: JobResult,
    ) -> State {
        let stage = core::mem::replace(&mut request.stage, Stage::Sent(None));
        match (stage, result) {
            (Stage::GeneratingKey(_), JobResult::Key(Ok(key))) => {
                self.send_ike(cx, core, request, key);
                self.proceed(cx, core)
            }
            (Stage::GeneratingKey(_), _) => {
                self.ike_refused(cx, core, *request, Unacceptable::Overload.into())
            }
            (Stage::Agreeing(_, accepted), JobResult::Secret(Ok(agreed))) => {
                self.ike_agreed(cx, core, *request, *accepted, &agreed)
            }
            // The peer has an IKE SA now that we cannot have: it will find it dead.
            (Stage::Agreeing(..) | Stage::Sent(_), _) => {
                self.ike_refused(cx, core, *request, Unacceptable::Proposal.into())
            }
        }
    }

    pub(super) fn ike_response(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<IkeRequest>,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let error = match CreateChildReply::decode(payloads.first, &payloads.octets) {
            Ok(CreateChildReply::Accepted(answer)) => {
                return self.ike_accepted(cx, core, request, &answer);
            }
            Ok(CreateChildReply::InvalidKe(group)) => {
                let mut groups = cx.config.ike.groups.iter().copied();
                match groups.find(|ours| ours.id() == group) {
                    Some(group) if !request.regrouped && request.group != group => {
                        request.regrouped = true;
                        self.generate_ike_key(cx, core, request, group);
                        return State::Established(self);
                    }
                    _ => Error::PeerRefused(NotifyType::INVALID_KE_PAYLOAD),
                }
            }
            Ok(CreateChildReply::Refused(notify)) => Error::PeerRefused(notify),
            Ok(CreateChildReply::RefusedByWindows(status)) => Error::WindowsRefused(status),
            Err(error) => error,
        };
        self.ike_refused(cx, core, *request, error)
    }

    fn ike_accepted(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<IkeRequest>,
        answer: &CreateChild<'_>,
    ) -> State {
        let chosen = choose_ike(&answer.proposals, &cx.config.ike)
            .filter(|chosen| answer.proposals.len() == 1 && chosen.suite.group == request.group);
        let responder = chosen.and_then(|chosen| chosen.spi);
        let theirs = answer.key_exchange;
        let theirs = theirs.filter(|theirs| theirs.group == request.group.id());
        let stage = core::mem::replace(&mut request.stage, Stage::Sent(None));
        let (Some(chosen), Some(responder), Some(theirs), Stage::Sent(ours @ Some(_))) =
            (chosen, responder, theirs, stage)
        else {
            return self.ike_refused(cx, core, *request, Unacceptable::Proposal.into());
        };
        let accepted = Accepted {
            suite: chosen.suite,
            spis: Spis {
                initiator: request.spi,
                responder,
            },
            nonces: Nonces {
                initiator: request.nonce.clone(),
                responder: answer.nonce.to_vec(),
            },
        };
        let job = Job::Agree {
            ours,
            group: request.group,
            theirs: theirs.data.to_vec(),
        };
        request.stage = Stage::Agreeing(cx.job(core.id, job), Box::new(accepted));
        self.ours = Ours::Ike(request);
        State::Established(self)
    }

    /// Both sides have the new IKE SA, and perhaps one more: the estate goes to
    /// the one that stands (RFC 7296 §2.8.1).
    fn ike_agreed(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: IkeRequest,
        accepted: Accepted,
        agreed: &Agreed,
    ) -> State {
        let new = NewIke::derive(
            cx,
            core,
            &self.channel,
            (Role::Initiator, accepted.spis, accepted.suite),
            (&agreed.shared_secret, &accepted.nonces),
        );
        let new = match new {
            Ok(new) => new,
            Err(error) => return self.ike_refused(cx, core, request, error),
        };
        if let Some(reason) = self.ending {
            let undone = new.close(cx);
            cx.successions.born.push(undone);
            request.abandon(cx);
            return self.delete(cx, core, reason);
        }
        self.abandon(cx, core);
        let Self {
            channel, estate, ..
        } = *self;
        match request.rival {
            Some(rival) if accepted.nonces.lose_to(&rival.nonces) => {
                let undone = new.close(cx);
                cx.successions.born.push(undone);
                let bequest = Bequest::estate(core.id, rival.heir, estate);
                cx.successions.bequests.push(bequest);
                State::replaced(channel, cx.now)
            }
            rival => {
                if let Some(rival) = rival {
                    let bequest = Bequest::nothing(rival.heir);
                    cx.successions.bequests.push(bequest);
                }
                let born = new.inherit(cx, core.id, estate);
                cx.successions.born.push(born);
                Closing::begin(channel, cx, core)
            }
        }
    }

    fn ike_refused(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: IkeRequest,
        error: Error,
    ) -> State {
        if self.ending.is_some() {
            request.abandon(cx);
            return self.proceed(cx, core);
        }
        if let Some(heir) = request.take_heir() {
            self.abandon(cx, core);
            let Self {
                channel, estate, ..
            } = *self;
            let bequest = Bequest::estate(core.id, heir, estate);
            cx.successions.bequests.push(bequest);
            return State::replaced(channel, cx.now);
        }
        match error {
            Error::PeerRefused(NotifyType::TEMPORARY_FAILURE)
            | Error::Unacceptable(Unacceptable::Overload) => {
                cx.stats.count(Stat::Collision);
                self.lifetime.postpone(cx);
            }
            reason => {
                self.lifetime.soft = None;
                cx.event(Event::RekeyRefused {
                    id: core.id,
                    reason,
                });
            }
        }
        self.proceed(cx, core)
    }
}
