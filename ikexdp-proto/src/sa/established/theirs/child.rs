//! A CHILD SA that the peer asks for (RFC 7296 §1.3.1, §1.3.3).
//!
//! ```text
//! Agreeing --> Installing --> answered
//!   with a key exchange only
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Established, Theirs};
use crate::crypto::kex::Group;
use crate::error::{Error, Unacceptable};
use crate::event::Event;
use crate::job::{Agreed, Job, JobId, JobResult};
use crate::limits::CHILDREN_MAX;
use crate::message::child::{ChildPayloads, Selectors};
use crate::message::create_child::CreateChild;
use crate::sa::channel::ReplyTo;
use crate::sa::child::{Agreement, Child, Nonces, Phase};
use crate::sa::established::data_plane;
use crate::sa::established::ours::{Ours, Rival};
use crate::sa::estate::Estate;
use crate::sa::negotiate::{Negotiated, negotiate};
use crate::sa::proposal::Pfs;
use crate::sa::{Context, Core};
use crate::stats::Stat;
use crate::types::{EspSpi, Role};
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::nonce::NONCE_LEN;

/// A CHILD SA that the peer wants.
#[derive(Debug)]
pub(in crate::sa::established) struct PeersChild {
    to: ReplyTo,
    negotiated: Negotiated,
    nonces: Nonces,
    /// The CHILD SA that it replaces, by the SPI we receive on.
    rekeyed: Option<EspSpi>,
    /// Our public value, if there is a key exchange.
    public: Option<Vec<u8>>,
    /// Whether ours stands in its place: the peer will delete it.
    undone: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Agreeing(JobId),
    Installing(JobId, Box<Child>),
}

impl PeersChild {
    pub(super) fn waits_for(&self, job: JobId) -> bool {
        let (Stage::Agreeing(id) | Stage::Installing(id, _)) = self.stage;
        id == job
    }

    pub(super) fn installing(&self) -> Option<&Child> {
        match &self.stage {
            Stage::Agreeing(_) => None,
            Stage::Installing(_, child) => Some(child),
        }
    }

    pub(super) fn abandon(self, cx: &mut Context<'_>, core: &Core, estate: &Estate) {
        match self.stage {
            Stage::Agreeing(_) => cx.inbound.release(self.negotiated.summary.spi_in),
            Stage::Installing(_, child) => estate.discard(cx, core, &child),
        }
    }

    /// Ours stands in the place of the CHILD SA to be received on `spi`.
    pub(in crate::sa::established) fn lose(&mut self, spi: EspSpi) {
        self.undone |= self.negotiated.summary.spi_in == spi;
    }

    fn response(&self) -> CreateChild<'_> {
        let key_exchange = |group: Group| {
            let data = self.public.as_deref()?;
            let group = group.id();
            Some(KeyExchange { group, data })
        };
        let payloads = &self.negotiated.payloads;
        CreateChild {
            rekeyed: None,
            proposals: payloads.proposals.clone(),
            nonce: &self.nonces.responder,
            key_exchange: self.negotiated.group.and_then(key_exchange),
            selectors: Some(payloads.selectors.clone()),
        }
    }
}

impl Established {
    pub(super) fn begin_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        to: ReplyTo,
        request: CreateChild<'_>,
        selectors: Selectors,
    ) -> Result<(), Error> {
        let rekeyed = self.rekeyed(request.rekeyed)?;
        if self.estate.children.len() >= CHILDREN_MAX {
            return Err(Unacceptable::AdditionalSa.into());
        }
        let offer = ChildPayloads {
            proposals: request.proposals,
            selectors,
        };
        let ours = &self.estate.connection.child.esp.groups;
        let pfs = Pfs::Allowed {
            groups: if ours.is_empty() {
                &cx.config.ike.groups
            } else {
                ours
            },
            sent: request.key_exchange.map(|key| key.group),
        };
        let negotiated = negotiate(cx, &self.estate.ends(), &offer, pfs);
        let negotiated = negotiated.inspect_err(|_| cx.stats.count(Stat::ChildRefused))?;
        if let Some(spi) = rekeyed {
            self.yield_child(cx, core, spi);
        }
        let peers = PeersChild {
            to,
            nonces: Nonces {
                initiator: request.nonce.to_vec(),
                responder: cx.random::<NONCE_LEN>().to_vec(),
            },
            rekeyed,
            public: None,
            undone: false,
            stage: Stage::Agreeing(JobId(0)),
            negotiated,
        };
        if let Ours::Child(ours) = &mut self.ours
            && rekeyed.is_some_and(|spi| ours.replaces(spi))
        {
            ours.set_rival(Some(Rival {
                spi: peers.negotiated.summary.spi_in,
                nonces: peers.nonces.clone(),
            }));
        }
        match (peers.negotiated.group, request.key_exchange) {
            (Some(group), Some(theirs)) => {
                let job = cx.job(
                    core.id,
                    Job::Agree {
                        ours: None,
                        group,
                        theirs: theirs.data.to_vec(),
                    },
                );
                let stage = Stage::Agreeing(job);
                self.theirs = Theirs::Child(Box::new(PeersChild { stage, ..peers }));
            }
            _ => self.install_peers(cx, core, peers, None),
        }
        Ok(())
    }

    /// The CHILD SA that the peer wants replaced, by the SPI we receive on.
    fn rekeyed(&self, spi_out: Option<EspSpi>) -> Result<Option<EspSpi>, Error> {
        if let Ours::Ike(request) = &self.ours
            && !request.is_unsent()
        {
            return Err(Unacceptable::Collision.into());
        }
        let Some(spi_out) = spi_out else {
            return Ok(None);
        };
        if let Ours::Child(ours) = &self.ours
            && ours.spi_out() == Some(spi_out)
        {
            // For the peer it is there already.
            return Err(Unacceptable::Collision.into());
        }
        let child = self.estate.child_to(spi_out);
        let child = child.ok_or(Error::Unacceptable(Unacceptable::NoSuchChild(spi_out)))?;
        match child.phase {
            Phase::Live | Phase::Rekeying => Ok(Some(child.spi())),
            Phase::Replaced(_) | Phase::Doomed | Phase::Deleting => {
                Err(Unacceptable::Collision.into())
            }
        }
    }

    fn install_peers(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut peers: PeersChild,
        agreed: Option<Agreed>,
    ) {
        let secret = agreed.as_ref().map(|agreed| &agreed.shared_secret);
        let agreement = Agreement {
            summary: peers.negotiated.summary.clone(),
            keys: &self.channel.keys,
            shared_secret: secret.map(|secret| secret.expose().as_slice()),
            nonces: &peers.nonces,
            role: Role::Responder,
            lineage: None,
        };
        let (child, batch) = self.estate.agree(cx, core, agreement, peers.rekeyed);
        let job = cx.job(core.id, Job::data_plane(batch));
        peers.public = agreed.map(|agreed| agreed.public);
        peers.stage = Stage::Installing(job, Box::new(child));
        self.theirs = Theirs::Child(Box::new(peers));
    }

    pub(super) fn peers_child_job(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut peers: PeersChild,
        result: JobResult,
    ) {
        let spi = peers.negotiated.summary.spi_in;
        let error = match (peers.stage, result) {
            (stage @ Stage::Agreeing(_), JobResult::Secret(Ok(agreed))) => {
                peers.stage = stage;
                return self.install_peers(cx, core, peers, Some(agreed));
            }
            (Stage::Agreeing(_), result) => {
                cx.inbound.release(spi);
                match result {
                    JobResult::Abandoned => Unacceptable::Overload.into(),
                    _ => Unacceptable::Proposal.into(),
                }
            }
            (Stage::Installing(job, child), result) => match data_plane(result) {
                Ok(()) => {
                    peers.stage = Stage::Agreeing(job);
                    return self.answer_child(cx, core, &peers, *child);
                }
                Err(error) => {
                    Estate::forget(cx, &child);
                    error.into()
                }
            },
        };
        self.forget_rival(spi);
        cx.stats.count(Stat::ChildRefused);
        self.refuse(cx, &peers.to, &error);
        cx.event(Event::ChildRefused {
            id: core.id,
            reason: error,
        });
    }

    /// What was to take the place of one of ours does not.
    pub(in crate::sa::established) fn forget_rival(&mut self, rival: EspSpi) {
        if let Ours::Child(ours) = &mut self.ours
            && ours.rival() == Some(rival)
        {
            ours.set_rival(None);
        }
        let mut children = self.estate.children.iter_mut();
        if let Some(old) = children.find(|child| child.phase == Phase::Replaced(rival)) {
            old.phase = Phase::Live;
        }
    }

    /// The kernel receives: the peer may send.
    fn answer_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        peers: &PeersChild,
        child: Child,
    ) {
        let spi = child.spi();
        let payloads = peers.response().encode();
        self.channel.respond(cx, &peers.to, payloads);
        self.estate.adopt(cx, core, child, peers.rekeyed);
        let old = peers
            .rekeyed
            .and_then(|rekeyed| self.estate.child_mut(rekeyed));
        if peers.undone {
            return;
        }
        match old.map(|old| (old.phase, &mut old.phase)) {
            // The peer will delete the old one when it sends on the new.
            Some((Phase::Live | Phase::Doomed, phase)) => *phase = Phase::Replaced(spi),
            // Which of the two stands is decided when ours is there.
            Some((Phase::Rekeying, _)) => {}
            Some((Phase::Replaced(by), _)) if by == spi => {}
            Some((Phase::Replaced(_) | Phase::Deleting, _)) | None => {
                self.estate.connect(cx, core, spi);
            }
        }
    }
}
