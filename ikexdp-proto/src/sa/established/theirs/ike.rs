//! An IKE SA that the peer wants in the place of this one (RFC 7296 §1.3.2).

use alloc::boxed::Box;

use super::{Established, Theirs};
use crate::error::{Error, Unacceptable, Violation};
use crate::job::{Agreed, Job, JobId, JobResult};
use crate::message::create_child::CreateChild;
use crate::sa::channel::ReplyTo;
use crate::sa::child::Nonces;
use crate::sa::established::ours::{IkeRival, Ours};
use crate::sa::proposal::{Chosen, choose_ike, chosen_ike, ike_mismatch};
use crate::sa::succession::NewIke;
use crate::sa::{Context, Core, IkeSa, State};
use crate::suite::IkeSuite;
use crate::types::{Role, Spi, Spis};
use crate::wire::iana::PayloadType;
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::nonce::NONCE_LEN;

/// An IKE SA that the peer wants.
#[derive(Debug)]
pub(in crate::sa::established) struct PeersIke {
    to: ReplyTo,
    chosen: Chosen<IkeSuite>,
    spis: Spis,
    nonces: Nonces,
    agreeing: JobId,
}

impl PeersIke {
    /// Ours.
    pub(super) const fn spi(&self) -> Spi {
        self.spis.responder
    }

    pub(super) fn waits_for(&self, job: JobId) -> bool {
        self.agreeing == job
    }
}

impl Established {
    pub(super) fn begin_ike(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        to: ReplyTo,
        request: &CreateChild<'_>,
    ) -> Result<(), Error> {
        match &self.ours {
            // RFC 7296 §2.25.2: the peer would not know to which of the two IKE
            // SAs the CHILD SA belongs.
            Ours::Child(_) | Ours::Deleting(_) => return Err(Unacceptable::Collision.into()),
            // One more than two at once is no accident.
            Ours::Ike(request) if request.has_rival() => {
                return Err(Unacceptable::Collision.into());
            }
            Ours::Idle | Ours::Liveness | Ours::Route(..) | Ours::Ike(_) => {}
        }
        let ours = &cx.config.ike;
        let chosen = choose_ike(&request.proposals, ours)
            .ok_or_else(|| ike_mismatch(&request.proposals, ours, self.estate.is_windows))?;
        let initiator = chosen
            .spi
            .ok_or(Error::Unacceptable(Unacceptable::Proposal))?;
        let group = chosen.suite.group;
        let theirs = request
            .key_exchange
            .ok_or(Violation::Missing(PayloadType::KEY_EXCHANGE))?;
        if theirs.group != group.id() {
            return Err(Unacceptable::Group(group).into());
        }
        let job = Job::Agree {
            ours: None,
            group,
            theirs: theirs.data.to_vec(),
        };
        self.theirs = Theirs::Ike(Box::new(PeersIke {
            to,
            chosen,
            spis: Spis {
                initiator,
                responder: cx.spi(),
            },
            nonces: Nonces {
                initiator: request.nonce.to_vec(),
                responder: cx.random::<NONCE_LEN>().to_vec(),
            },
            agreeing: cx.job(core.id, job),
        }));
        Ok(())
    }

    pub(super) fn peers_ike_job(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        request: PeersIke,
        result: JobResult,
    ) -> State {
        let new = match result {
            // What is told to go does not go on as another.
            _ if self.ending.is_some() => Err(Unacceptable::Collision.into()),
            JobResult::Secret(Ok(agreed)) => self.answer_ike(cx, core, &request, &agreed),
            JobResult::Abandoned => Err(Unacceptable::Overload.into()),
            _ => Err(Unacceptable::Proposal.into()),
        };
        let new = match new {
            Ok(new) => new,
            Err(error) => {
                self.refuse(cx, &request.to, &error);
                return self.proceed(cx, core);
            }
        };
        match &mut self.ours {
            Ours::Ike(ours) if !ours.is_unsent() => {
                let (id, heir) = (new.core.id, new.wait());
                ours.set_rival(IkeRival {
                    heir: id,
                    nonces: request.nonces,
                });
                cx.successions.born.push(heir);
                State::Established(self)
            }
            _ => {
                self.abandon(cx, core);
                let Self {
                    channel, estate, ..
                } = *self;
                let born: IkeSa = new.inherit(cx, core.id, estate);
                cx.successions.born.push(born);
                State::replaced(channel, cx.now)
            }
        }
    }

    fn answer_ike(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        request: &PeersIke,
        agreed: &Agreed,
    ) -> Result<NewIke, Error> {
        let suite = request.chosen.suite;
        let new = NewIke::derive(
            cx,
            core,
            &self.channel,
            (Role::Responder, request.spis, suite),
            (&agreed.shared_secret, &request.nonces),
        )?;
        let response = CreateChild {
            rekeyed: None,
            proposals: alloc::vec![chosen_ike(&request.chosen, Some(request.spis.responder))],
            nonce: &request.nonces.responder,
            key_exchange: Some(KeyExchange {
                group: suite.group.id(),
                data: &agreed.public,
            }),
            selectors: None,
        };
        self.channel.respond(cx, &request.to, response.encode());
        Ok(new)
    }
}
