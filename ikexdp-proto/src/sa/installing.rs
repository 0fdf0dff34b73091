//! The responder's end of IKE_AUTH: the kernel gets the first CHILD SA, then the
//! peer its answer (RFC 7296 §1.2).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use rustls_pki_types::CertificateDer;

use super::channel::{Channel, ReplyTo};
use super::child::{Agreement, Child, Nonces};
use super::context::Progress;
use super::established::{Established, NewEstablished, data_plane};
use super::estate::Estate;
use super::init::Handshake;
use super::negotiate::{ChildAnswer, Negotiated};
use super::succession::Superseding;
use super::{Context, Core, State};
use crate::config::{Config, Uniqueness};
use crate::crypto::cert::CertifiedKey;
use crate::error::Error;
use crate::event::FailureReason;
use crate::identity::Identity;
use crate::job::{Job, JobResult};
use crate::limits::IKE_SAS_OF_A_PEER_MAX;
use crate::message::auth::{AuthMessage, OwnAuthentication};
use crate::stats::Stat;
use crate::types::{Role, Secret};
use crate::wire::iana::{AuthMethod, NotifyType, PayloadType};
use crate::wire::payload::configuration::Configuration;
use crate::wire::payload::id;

/// The kernel is being given the first CHILD SA.
#[derive(Debug)]
pub(super) struct Installing {
    answering: Answering,
    negotiated: Negotiated,
    child: Child,
}

/// All that there is to answer but the CHILD SA.
#[derive(Debug)]
pub(super) struct Answering {
    channel: Channel,
    reply_to: ReplyTo,
    /// Who we say we are.
    identity: Identity,
    proof: Proof,
    estate: Box<Estate>,
    configuration: Option<Configuration<'static>>,
}

/// How we prove who we are.
#[derive(Debug)]
pub(super) enum Proof {
    /// By a shared key.
    SharedKey(Secret<Vec<u8>>),
    /// By the key that EAP made; who we are has been said before.
    Eap(Secret<Vec<u8>>),
    /// By a signature.
    Signature {
        key: Arc<CertifiedKey>,
        method: AuthMethod,
        /// The algorithms, in DER, where the method does not tell.
        identifier: Vec<u8>,
        signature: Vec<u8>,
    },
}

impl Proof {
    /// What goes into CERT.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Signature { key, .. } => key.chain(),
            Self::SharedKey(_) | Self::Eap(_) => &[],
        }
    }

    /// What goes into AUTH.
    pub(super) fn authentication(&self) -> OwnAuthentication<'_> {
        match self {
            Self::SharedKey(mic) | Self::Eap(mic) => OwnAuthentication::SharedKey(mic.expose()),
            Self::Signature {
                method,
                identifier,
                signature,
                ..
            } => OwnAuthentication::Signature {
                method: *method,
                identifier,
                signature,
            },
        }
    }
}

impl Installing {
    pub(super) const fn channel(&self) -> &Channel {
        &self.answering.channel
    }

    pub(super) const fn channel_mut(&mut self) -> &mut Channel {
        &mut self.answering.channel
    }

    pub(super) fn handle_installed(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        result: JobResult,
    ) -> State {
        let Self {
            mut answering,
            negotiated,
            child,
        } = *self;
        match data_plane(result) {
            Ok(()) => answering.answer(cx, core, Ok(Some((child, negotiated)))),
            Err(error) => {
                Estate::forget(cx, &child);
                answering.give_back(cx);
                cx.stats.count(Stat::ChildRefused);
                answering.answer(cx, core, Err(error.into()))
            }
        }
    }

    /// The host wants it gone.
    pub(super) fn terminate(self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        let Self {
            mut answering,
            child,
            ..
        } = *self;
        answering.estate.discard(cx, core, &child);
        answering.give_back(cx);
        let progress = Progress {
            connection: Some(&answering.estate.connection.name),
            claimed: Some(answering.estate.peer.clone()),
            channel: Some(&answering.channel),
            ..Progress::default()
        };
        cx.handshake_failed(core, progress, FailureReason::Terminated);
        State::Gone
    }
}

impl Answering {
    /// What there is to say to a peer that has proved who it is.
    pub(super) const fn new(
        channel: Channel,
        reply_to: ReplyTo,
        identity: Identity,
        proof: Proof,
        estate: Box<Estate>,
    ) -> Self {
        Self {
            channel,
            reply_to,
            identity,
            proof,
            estate,
            configuration: None,
        }
    }

    /// Answers; first of all the kernel must have what the peer is to send on.
    pub(super) fn begin(
        mut self,
        cx: &mut Context<'_>,
        core: &Core,
        handshake: Handshake,
        answer: ChildAnswer,
    ) -> State {
        self.configuration = answer.configuration;
        self.estate.lease = answer.lease;
        let Some(negotiated) = answer.child else {
            return self.answer(cx, core, answer.refusal.map_or(Ok(None), Err));
        };
        let agreement = Agreement {
            summary: negotiated.summary.clone(),
            keys: &self.channel.keys,
            shared_secret: None,
            nonces: &Nonces {
                initiator: handshake.nonce_i,
                responder: handshake.nonce_r,
            },
            role: Role::Responder,
            lineage: None,
        };
        let (child, batch) = self.estate.agree(cx, core, agreement, None);
        cx.job(core.id, Job::data_plane(batch));
        State::Installing(Box::new(Installing {
            answering: self,
            negotiated,
            child,
        }))
    }

    /// Without a CHILD SA an address is of no use.
    fn give_back(&mut self, cx: &mut Context<'_>) {
        self.configuration = None;
        if let Some(lease) = self.estate.lease.take() {
            cx.pools.release(&lease);
        }
    }

    /// Makes the SA what both sides wanted.
    fn answer(
        mut self,
        cx: &mut Context<'_>,
        core: &Core,
        child: Result<Option<(Child, Negotiated)>, Error>,
    ) -> State {
        let (child, refusal) = match child {
            Ok(child) => (child, None),
            Err(error) => (None, Some(error)),
        };
        let (child, payloads) = child.map_or((None, None), |(child, negotiated)| {
            (Some(child), Some(negotiated.payloads))
        });
        let notify = refusal.as_ref().and_then(Error::notify);
        let identity = id::body(&self.identity);
        let named = !matches!(self.proof, Proof::Eap(_));
        let notifies = mobike(cx.config, core, &self.estate);
        let response = AuthMessage {
            identity: named.then_some((PayloadType::ID_RESPONDER, &identity)),
            certificates: self.proof.certificates(),
            authorities: &[],
            wanted: None,
            authentication: Some(self.proof.authentication()),
            configuration: self.configuration,
            child: notify.map_or(Ok(payloads), Err),
            notifies: &notifies,
        };
        self.channel.respond(cx, &self.reply_to, response.encode());
        bound(cx, core, &self.estate);
        let new = NewEstablished {
            channel: self.channel,
            estate: self.estate,
            refusal,
            confirmed: false,
        };
        let mut established = Established::begin(cx, core, new);
        if let Some(child) = child {
            let spi = child.spi();
            established.estate.adopt(cx, core, child, None);
            established.estate.connect(cx, core, spi);
        }
        State::Established(Box::new(established))
    }
}

/// Has the peer's other IKE SAs closed that are too many. Those that it makes at
/// the same time have seen nothing of each other until now.
fn bound(cx: &mut Context<'_>, core: &Core, estate: &Estate) {
    let connection = &estate.connection;
    let others = match connection.uniqueness {
        Uniqueness::Replace => 0,
        Uniqueness::Keep => IKE_SAS_OF_A_PEER_MAX.saturating_sub(1),
        Uniqueness::Never => return,
    };
    cx.successions.superseding = Some(Superseding {
        by: core.id,
        peer: estate.peer.clone(),
        local: connection.local_identity.clone(),
        connection: connection.name.clone(),
        told: true,
        others,
    });
}

/// What a peer that may move is told: that it may, and where else we are
/// (RFC 4555 §3.1, §3.6).
fn mobike(config: &Config, core: &Core, estate: &Estate) -> Vec<(NotifyType, Vec<u8>)> {
    if !estate.mobike {
        return Vec::new();
    }
    let here = core.path.local.ip();
    let others = config.additional_addresses.iter();
    let others = others.filter(|other| **other != here);
    let others = others.map(|other| match other {
        IpAddr::V4(other) => (NotifyType::ADDITIONAL_IP4_ADDRESS, other.octets().to_vec()),
        IpAddr::V6(other) => (NotifyType::ADDITIONAL_IP6_ADDRESS, other.octets().to_vec()),
    });
    let supported = (NotifyType::MOBIKE_SUPPORTED, Vec::new());
    core::iter::once(supported).chain(others).collect()
}
