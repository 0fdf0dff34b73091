//! The responder's IKE_AUTH (RFC 7296 §1.2, §2.15).
//!
//! ```text
//! request --> Verifying --the peer is who it says--> Signing --> Established
//!        shared key: no job is needed for what it replaces
//!        without AUTH: `eap`
//! ```
//!
//! Whatever goes wrong, the peer hears AUTHENTICATION_FAILED; the operator
//! hears why.

mod denial;
mod eap;
mod ours;
mod signing;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls_pki_types::CertificateDer;
use subtle::ConstantTimeEq;

pub(super) use self::denial::Denied;
use self::eap::Applicant;
pub(super) use self::eap::{Admitted, Asked, Asking};
use self::ours::Ours;
use self::signing::Purpose;
pub(super) use self::signing::Signing;
use super::channel::{Channel, Message, ReplyTo};
use super::closing::Lingering;
use super::estate::{Estate, Terms};
use super::init::Handshake;
use super::installing::{Answering, Proof};
use super::negotiate::{self, ChildOffer, Guest};
use super::succession::Superseding;
use super::{Context, Core, Progress, State, refuse};
use crate::config::{Connection, Requirement, Uniqueness};
use crate::crypto::cert::{CredentialError, Usage};
use crate::error::{Unacceptable, Violation};
use crate::event::FailureReason;
use crate::identity::Identity;
use crate::job::{Job, Verification};
use crate::message::auth::AuthRequest;
use crate::message::init::notify_only;
use crate::nat::is_translated;
use crate::time::Instant;
use crate::types::Role;
use crate::wire::iana::{ExchangeType, NotifyType};
use crate::wire::payload::auth::Authentication;
use crate::wire::payload::id;
use crate::wire::payload::notify::Notify;
use crate::wire::writer::Chain;

/// A peer that has said who it is, and what it wants.
#[derive(Debug)]
struct Claimant {
    channel: Channel,
    handshake: Handshake,
    connection: Arc<Connection>,
    identity: Identity,
    /// Who we are to it.
    ours: Ours,
    offer: ChildOffer,
    /// Whether it says that it knows of no other IKE SA with us.
    initial_contact: bool,
    /// Whether it may move.
    mobike: bool,
    /// On what terms it is let in.
    terms: Terms,
    reply_to: ReplyTo,
    /// When it was last heard.
    heard: Instant,
}

/// The peer has proved who it is; its other IKE SAs are being closed, so that
/// what they have is there for the new one.
#[derive(Debug)]
pub(super) struct Succeeding {
    claimant: Claimant,
    proof: Proof,
}

/// The peer's certificates and signature are being verified.
#[derive(Debug)]
pub(super) struct Verifying(Claimant);

/// Answers the first protected request of a handshake.
pub(super) fn respond(
    channel: Channel,
    handshake: Handshake,
    cx: &mut Context<'_>,
    core: &Core,
    message: &Message,
) -> State {
    let reply_to = message.reply_to();
    if message.exchange != ExchangeType::IKE_AUTH {
        let reason = FailureReason::Refused(Violation::UnexpectedExchange.into());
        return fail(channel, cx, core, reply_to, None, reason);
    }
    let payloads = &message.payloads;
    let request = match AuthRequest::decode(payloads.first, &payloads.octets) {
        Ok(request) => request,
        Err(error) => {
            let reason = FailureReason::Refused(error);
            return fail(channel, cx, core, reply_to, None, reason);
        }
    };
    let claimed = request.initiator.identity.clone();
    if is_translated(request.no_nats_allowed.as_ref(), &message.path) {
        let reason = FailureReason::Refused(Unacceptable::Nat.into());
        return fail(channel, cx, core, reply_to, Some(claimed), reason);
    }
    let connection = match find_connection(&cx.config.connections, &request) {
        Ok(connection) => connection,
        Err(reason) => return fail(channel, cx, core, reply_to, Some(claimed), reason),
    };
    let ours = Ours::new(cx.config, &connection, &handshake, &request);
    let claimant = Claimant {
        channel,
        handshake,
        connection,
        identity: claimed,
        ours,
        offer: ChildOffer::new(request.configuration.as_ref(), request.child),
        initial_contact: request.initial_contact,
        mobike: request.mobike,
        terms: Terms::default(),
        reply_to,
        heard: cx.now,
    };
    let octets = claimant.channel.keys.signed_octets(
        Role::Initiator,
        &claimant.handshake.request,
        &claimant.handshake.nonce_r,
        request.initiator.body,
    );
    if let Requirement::Eap(requirement) = &claimant.connection.requirement {
        let requirement = requirement.clone();
        let does_without_us = requirement.alone && request.eap_alone;
        let applicant = Box::new(Applicant::new(claimant, requirement, octets));
        return if does_without_us {
            applicant.open(cx, core, None)
        } else {
            Purpose::Open(applicant).prove_ourselves(cx, core)
        };
    }
    claimant.authenticate(
        cx,
        core,
        request.authentication,
        request.certificates,
        octets,
    )
}

/// Certificates that outlive the message they came in.
pub(super) fn owned(certificates: Vec<CertificateDer<'_>>) -> Vec<CertificateDer<'static>> {
    let certificates = certificates.into_iter();
    certificates.map(CertificateDer::into_owned).collect()
}

/// The first connection that is for both identities and this way of authenticating. A
/// peer that wants one of the other names in our certificates gets what the connection
/// has that is not called so.
fn find_connection(
    connections: &[Arc<Connection>],
    request: &AuthRequest<'_>,
) -> Result<Arc<Connection>, FailureReason> {
    let Some(wanted) = request.wanted.as_ref().map(|wanted| &wanted.identity) else {
        return first_connection(connections, request, |_| true);
    };
    let called = |connection: &Connection| wanted.is_same_as(&connection.local_identity);
    first_connection(connections, request, called).or_else(|reason| {
        let asserted = |connection: &Connection| connection.credential.asserts(wanted);
        // If it fits nowhere else, what did not fit where we are called so is the reason.
        first_connection(connections, request, asserted).map_err(|other| match reason {
            FailureReason::NoConnection { .. } => other,
            reason => reason,
        })
    })
}

/// The first of those that are `ours`.
fn first_connection(
    connections: &[Arc<Connection>],
    request: &AuthRequest<'_>,
    ours: impl Fn(&Connection) -> bool,
) -> Result<Arc<Connection>, FailureReason> {
    let method = request.authentication.as_ref().map(Authentication::method);
    let mut other_method = None;
    for connection in connections {
        // With EAP the peer says later who it is; here it is often but an address.
        let theirs = matches!(connection.requirement, Requirement::Eap(_))
            || connection.admits(&request.initiator.identity);
        if !(theirs && ours(connection)) {
            continue;
        }
        match (&connection.requirement, &request.authentication) {
            (Requirement::SharedKey(_), Some(Authentication::SharedKey(_)))
            | (Requirement::Certificate(_), Some(Authentication::Signature { .. }))
            | (Requirement::Eap(_), None) => {
                return Ok(Arc::clone(connection));
            }
            _ => other_method = Some(method),
        }
    }
    Err(match other_method {
        Some(Some(method)) => FailureReason::AuthMethod(method),
        // Without AUTH the peer wants EAP (RFC 7296 §2.16).
        Some(None) => FailureReason::EapWanted,
        None => FailureReason::NoConnection {
            wanted: request
                .wanted
                .as_ref()
                .map(|wanted| wanted.identity.clone()),
        },
    })
}

impl Succeeding {
    pub(super) const fn channel(&self) -> &Channel {
        &self.claimant.channel
    }

    pub(super) const fn channel_mut(&mut self) -> &mut Channel {
        &mut self.claimant.channel
    }

    /// The peer's other IKE SAs are closed.
    pub(super) fn go_on(self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        self.claimant.conclude(cx, core, self.proof)
    }
}

impl Verifying {
    pub(super) const fn channel(&self) -> &Channel {
        &self.0.channel
    }

    pub(super) const fn channel_mut(&mut self) -> &mut Channel {
        &mut self.0.channel
    }

    pub(super) fn progress(&self) -> Progress<'_> {
        self.0.progress()
    }

    pub(super) fn handle_verified(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        result: Result<(), CredentialError>,
    ) -> State {
        match result {
            Ok(()) => Purpose::Answer(Box::new(self.0)).prove_ourselves(cx, core),
            Err(error) => self.0.fail(cx, core, FailureReason::Credentials(error)),
        }
    }

    pub(super) fn handle_abandoned(self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        self.0.fail(cx, core, FailureReason::JobAbandoned)
    }
}

impl Claimant {
    /// Checks that the peer signed `octets`, or has that checked.
    fn authenticate(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        authentication: Option<Authentication<'_>>,
        certificates: Vec<CertificateDer<'_>>,
        octets: Vec<u8>,
    ) -> State {
        match (&self.connection.requirement, authentication) {
            (Requirement::SharedKey(key), Some(Authentication::SharedKey(mic))) => {
                let expected = self.channel.keys.shared_key_auth(key, &octets);
                if bool::from(expected.expose().ct_eq(mic)) {
                    Purpose::Answer(Box::new(self)).prove_ourselves(cx, core)
                } else {
                    self.fail(cx, core, FailureReason::SharedKey)
                }
            }
            (
                Requirement::Certificate(anchors),
                Some(Authentication::Signature {
                    scheme: Some(scheme),
                    signature,
                }),
            ) => {
                if !cx.config.ike.takes(scheme) {
                    return self.fail(cx, core, FailureReason::AuthMethod(scheme.method()));
                }
                let verification = Verification {
                    anchors: Arc::clone(anchors),
                    usage: Usage::Client,
                    chain: owned(certificates),
                    identity: self.identity.clone(),
                    scheme,
                    octets,
                    signature: signature.to_vec(),
                };
                cx.job(core.id, Job::Verify(verification));
                State::Verifying(Box::new(Verifying(self)))
            }
            // `find_connection` has compared the methods; a scheme may still
            // be none of ours.
            _ => {
                let unknown = CredentialError::UnknownSignature;
                self.fail(cx, core, FailureReason::Credentials(unknown))
            }
        }
    }

    /// What we sign to prove who we are.
    fn own_octets(&self) -> Vec<u8> {
        self.channel.keys.signed_octets(
            Role::Responder,
            &self.handshake.response,
            &self.handshake.nonce_i,
            &id::body(&self.ours.identity),
        )
    }

    /// Sees to the peer's other IKE SAs first (RFC 7296 §2.4).
    fn establish(self, cx: &mut Context<'_>, core: &Core, proof: Proof) -> State {
        let told = match (self.connection.uniqueness, self.initial_contact) {
            // Whoever else has the address is an IKE SA of its own from before.
            _ if cx.pools.has_given(&self.terms.addresses) => true,
            (Uniqueness::Never, _) | (Uniqueness::Keep, false) => {
                return self.conclude(cx, core, proof);
            }
            (_, forgotten) => !forgotten,
        };
        cx.successions.superseding = Some(Superseding {
            by: core.id,
            peer: self.identity.clone(),
            local: self.connection.local_identity.clone(),
            connection: self.connection.name.clone(),
            told,
            others: 0,
        });
        State::Succeeding(Box::new(Succeeding {
            claimant: self,
            proof,
        }))
    }

    /// Gives the peer what it asked for along with the IKE SA.
    fn conclude(self, cx: &mut Context<'_>, core: &Core, proof: Proof) -> State {
        let is_windows = self.handshake.is_windows;
        let guest = Guest {
            connection: &self.connection,
            peer: &self.identity,
            addresses: &self.terms.addresses,
            is_windows,
        };
        let answer = negotiate::answer(cx, &guest, self.offer);
        let estate = Estate {
            connection: self.connection,
            peer: self.identity,
            lease: None,
            assigned: Vec::new(),
            children: Vec::new(),
            mobike: self.mobike,
            is_windows,
            tunnel: core.tunnel(),
            moving: None,
            check_route: false,
            terms: self.terms,
            predecessor: None,
        };
        let answering = Answering::new(
            self.channel,
            self.reply_to,
            self.ours.identity,
            proof,
            Box::new(estate),
        );
        answering.begin(cx, core, self.handshake, answer)
    }

    fn progress(&self) -> Progress<'_> {
        Progress {
            connection: Some(&self.connection.name),
            claimed: Some(self.identity.clone()),
            channel: Some(&self.channel),
            ..Progress::default()
        }
    }

    fn fail(mut self, cx: &mut Context<'_>, core: &Core, reason: FailureReason) -> State {
        if !is_denial(&reason) {
            tell(&mut self.channel, cx, &self.reply_to, &reason);
            return self.end(cx, core, reason);
        }
        self.deny(cx, core, denial(), reason)
    }

    /// The peer hears `answer` when it is time, and the host at once why.
    fn deny(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        answer: Chain,
        reason: FailureReason,
    ) -> State {
        cx.handshake_failed(core, self.progress(), reason);
        Denied::begin(cx, self.channel, self.reply_to, self.heard, answer)
    }

    /// The peer has been told.
    fn end(self, cx: &mut Context<'_>, core: &Core, reason: FailureReason) -> State {
        cx.handshake_failed(core, self.progress(), reason);
        State::Refused(Box::new(Lingering::new(self.channel, cx.now)))
    }
}

/// Ends a handshake before it is known which connection it is for.
fn fail(
    mut channel: Channel,
    cx: &mut Context<'_>,
    core: &Core,
    reply_to: ReplyTo,
    claimed: Option<Identity>,
    reason: FailureReason,
) -> State {
    let is_denial = is_denial(&reason);
    if !is_denial {
        tell(&mut channel, cx, &reply_to, &reason);
    }
    let progress = Progress {
        connection: None,
        claimed,
        channel: Some(&channel),
        ..Progress::default()
    };
    cx.handshake_failed(core, progress, reason);
    if is_denial {
        Denied::begin(cx, channel, reply_to, cx.now, denial())
    } else {
        State::Refused(Box::new(Lingering::new(channel, cx.now)))
    }
}

/// Whether the peer can be understood, but is not who it says, or nobody we know: it
/// hears no more than that.
const fn is_denial(reason: &FailureReason) -> bool {
    !matches!(
        reason,
        FailureReason::Refused(_) | FailureReason::JobAbandoned
    )
}

fn denial() -> Chain {
    notify_only(&Notify::new(NotifyType::AUTHENTICATION_FAILED, &[]))
}

/// A peer that cannot be understood hears what was wrong.
fn tell(channel: &mut Channel, cx: &mut Context<'_>, reply_to: &ReplyTo, reason: &FailureReason) {
    match reason {
        FailureReason::Refused(error) => refuse(channel, cx, reply_to, error),
        // It is no fault of the peer's, which may come again.
        _ => refuse(channel, cx, reply_to, &Unacceptable::Overload.into()),
    }
}
