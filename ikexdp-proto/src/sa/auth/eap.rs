//! The responder's IKE_AUTH with EAP (RFC 7296 §2.16, RFC 5998).
//!
//! ```text
//! request without AUTH --> Signing --> Asking <--> Asked --> Admitted --AUTH--> Succeeding
//!     or, if EAP proves who we are as well ---^       |
//!                                                     +--> Refused
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use subtle::ConstantTimeEq;

use super::Claimant;
use crate::config::{Connection, EapRequirement, Requirement};
use crate::eap::{Admission, Caller, Conversation, MSK_LEN_MIN, Rejection, RejectionReason, Turn};
use crate::error::{Error, Fault, Malformed, Unacceptable, Violation};
use crate::event::FailureReason;
use crate::identity::Identity;
use crate::job::Job;
use crate::limits::EAP_REQUESTS_MAX;
use crate::message::eap::{EapOpening, EapProof, EapRequest, eap_only};
use crate::message::informational::Informational;
use crate::sa::channel::{Channel, Message};
use crate::sa::context::Progress;
use crate::sa::estate::Terms;
use crate::sa::installing::Proof;
use crate::sa::{Context, Core, State};
use crate::time::Instant;
use crate::wire::iana::{EapCode, EapType, ExchangeType, NotifyType};
use crate::wire::payload::auth::Authentication;
use crate::wire::payload::eap::{self, EapPacket};
use crate::wire::payload::id;

/// Longest name of a user, in octets: RADIUS carries no longer one
/// (RFC 2865 §5.1).
const USER_LEN_MAX: usize = 253;

/// A peer that is to be authenticated by EAP.
#[derive(Debug)]
pub(in crate::sa) struct Applicant {
    claimant: Claimant,
    requirement: EapRequirement,
    /// What the peer's AUTH will be made of.
    octets: Vec<u8>,
    /// Questions asked so far.
    asked: u8,
    /// Whether we have signed who we are.
    signed: bool,
}

/// The peer has a question to answer.
#[derive(Debug)]
pub(in crate::sa) struct Asking {
    pub(in crate::sa) applicant: Applicant,
    conversation: Box<dyn Conversation>,
    identifier: u8,
    since: Instant,
}

/// The peer's answer is being thought about.
#[derive(Debug)]
pub(in crate::sa) struct Asked {
    pub(in crate::sa) applicant: Applicant,
    identifier: u8,
}

/// The peer is known; it has to show that it is still the same one.
#[derive(Debug)]
pub(in crate::sa) struct Admitted {
    pub(in crate::sa) applicant: Applicant,
    admission: Box<Admission>,
    since: Instant,
}

impl Applicant {
    pub(super) const fn new(
        claimant: Claimant,
        requirement: EapRequirement,
        octets: Vec<u8>,
    ) -> Self {
        Self {
            claimant,
            requirement,
            octets,
            asked: 0,
            signed: false,
        }
    }

    pub(super) const fn claimant(&self) -> &Claimant {
        &self.claimant
    }

    pub(super) const fn claimant_mut(&mut self) -> &mut Claimant {
        &mut self.claimant
    }

    pub(in crate::sa) const fn channel(&self) -> &Channel {
        &self.claimant.channel
    }

    pub(in crate::sa) const fn channel_mut(&mut self) -> &mut Channel {
        &mut self.claimant.channel
    }

    pub(in crate::sa) fn progress(&self) -> Progress<'_> {
        self.claimant.progress()
    }

    pub(super) fn fail(self, cx: &mut Context<'_>, core: &Core, reason: FailureReason) -> State {
        self.claimant.fail(cx, core, reason)
    }

    /// Says who we are, proves it if `proof` does, and asks who the peer is.
    pub(super) fn open(
        mut self,
        cx: &mut Context<'_>,
        core: &Core,
        proof: Option<&Proof>,
    ) -> State {
        let claimant = &mut self.claimant;
        let [identifier] = cx.random::<1>();
        let packet = eap::identity_request(identifier);
        let opening = EapOpening {
            identity: &id::body(&claimant.ours.identity),
            certificates: proof.map_or(&[], Proof::certificates),
            authentication: proof.map(Proof::authentication),
            packet: &packet,
        };
        self.signed = proof.is_some();
        let payloads = opening.encode();
        claimant.channel.respond(cx, &claimant.reply_to, payloads);
        let conversation = self.requirement.authenticator.begin(Caller {
            remote: core.path.remote,
            local: core.path.local,
            connection: claimant.connection.name.clone(),
        });
        self.ask(cx, conversation, identifier)
    }

    /// The peer has gone on, if it has; else what becomes of the SA.
    fn heard(
        mut self,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> Result<Self, State> {
        self.claimant.reply_to = message.reply_to();
        self.claimant.heard = cx.now;
        match message.exchange {
            ExchangeType::IKE_AUTH => Ok(self),
            ExchangeType::INFORMATIONAL => Err(self.given_up(cx, core, message)),
            _ => Err(self.refuse(cx, core, Violation::UnexpectedExchange.into())),
        }
    }

    fn refuse(self, cx: &mut Context<'_>, core: &Core, error: Error) -> State {
        self.fail(cx, core, FailureReason::Refused(error))
    }

    /// A question is out.
    fn ask(
        mut self,
        cx: &Context<'_>,
        conversation: Box<dyn Conversation>,
        identifier: u8,
    ) -> State {
        self.asked = self.asked.saturating_add(1);
        State::Asking(Box::new(Asking {
            applicant: self,
            conversation,
            identifier,
            since: cx.now,
        }))
    }

    /// The peer is not let in: it hears that, and no more.
    fn reject(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        identifier: u8,
        reason: RejectionReason,
    ) -> State {
        let failure = eap::end(EapCode::FAILURE, identifier);
        let payloads = eap_only(&failure, Some(NotifyType::AUTHENTICATION_FAILED));
        let reason = FailureReason::Eap(reason);
        self.claimant.deny(cx, core, payloads, reason)
    }

    /// The peer gave up, with what it says of why.
    fn given_up(mut self, cx: &mut Context<'_>, core: &Core, message: &Message) -> State {
        let payloads = &message.payloads;
        let reason = match Informational::decode(payloads.first, &payloads.octets) {
            Ok(Informational {
                error: Some(notify),
                ..
            }) => FailureReason::PeerRefused(notify),
            Ok(_) => FailureReason::Refused(Violation::UnexpectedExchange.into()),
            Err(error) => FailureReason::Refused(error),
        };
        let nothing = Informational::default().encode();
        let claimant = &mut self.claimant;
        claimant.channel.respond(cx, &message.reply_to(), nothing);
        self.claimant.end(cx, core, reason)
    }

    /// The connection it is for, and our own AUTH, if the peer's is by the key that
    /// EAP made: nobody sits between the two conversations.
    fn check(
        &self,
        cx: &Context<'_>,
        admission: &Admission,
        authentication: Authentication<'_>,
    ) -> Result<(Arc<Connection>, Proof), FailureReason> {
        let Authentication::SharedKey(mic) = authentication else {
            return Err(FailureReason::AuthMethod(authentication.method()));
        };
        let keys = &self.claimant.channel.keys;
        let msk = admission.msk.expose();
        let expected = keys.session_key_auth(msk, &self.octets);
        if !bool::from(expected.expose().ct_eq(mic)) {
            return Err(FailureReason::EapKey);
        }
        let connection = self.settle(cx, admission)?;
        let own = keys.session_key_auth(msk, &self.claimant.own_octets());
        Ok((connection, Proof::Eap(own)))
    }

    /// The connection for a user who has been let in: the first of all with the same
    /// authenticator. What has been taken out of the configuration meanwhile lets
    /// nobody in.
    fn settle(
        &self,
        cx: &Context<'_>,
        admission: &Admission,
    ) -> Result<Arc<Connection>, FailureReason> {
        let identity = &self.claimant.identity;
        let ours = &self.claimant.connection.local_identity;
        let mut is_there = false;
        for connection in &cx.config.connections {
            let Requirement::Eap(other) = &connection.requirement else {
                continue;
            };
            if !Arc::ptr_eq(&other.authenticator, &self.requirement.authenticator)
                || !connection.local_identity.is_same_as(ours)
            {
                continue;
            }
            is_there = true;
            let is_enough = self.signed || other.alone;
            if is_enough && connection.admits(identity) && other.admits(&admission.groups) {
                return Ok(Arc::clone(connection));
            }
        }
        if is_there {
            let groups = admission.groups.clone();
            return Err(FailureReason::NotAdmitted { groups });
        }
        Err(FailureReason::Refused(Unacceptable::Reconfigured.into()))
    }
}

impl Asking {
    /// When the question went out.
    pub(in crate::sa) const fn since(&self) -> Instant {
        self.since
    }

    /// Questions asked, the last of which was not answered.
    pub(in crate::sa) const fn asked(&self) -> u8 {
        self.applicant.asked
    }

    pub(in crate::sa) fn handle_request(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        let Self {
            applicant,
            conversation,
            identifier,
            ..
        } = *self;
        let mut applicant = match applicant.heard(cx, core, message) {
            Ok(applicant) => applicant,
            Err(state) => return state,
        };
        let payloads = &message.payloads;
        let request = EapRequest::decode(payloads.first, &payloads.octets);
        let packet = match request.and_then(|request| response(request.packet, identifier)) {
            Ok(packet) => packet,
            Err(error) => return applicant.refuse(cx, core, error),
        };
        if applicant.asked == 1 {
            let Some(user) = user(&packet) else {
                let reason = RejectionReason::Protocol("no identity");
                return applicant.reject(cx, core, identifier, reason);
            };
            applicant.claimant.identity = user;
        }
        let job = Job::Eap {
            conversation,
            response: packet.octets().to_vec(),
        };
        cx.job(core.id, job);
        State::Asked(Box::new(Asked {
            applicant,
            identifier,
        }))
    }
}

/// `packet`, if it answers the question of this `identifier`.
fn response(packet: EapPacket<'_>, identifier: u8) -> Result<EapPacket<'_>, Error> {
    if packet.code == EapCode::RESPONSE && packet.identifier == identifier {
        return Ok(packet);
    }
    Err(Error::Malformed(Malformed {
        field: "EAP response",
        fault: Fault::Value,
    }))
}

/// The user that an EAP-Response/Identity names.
fn user(packet: &EapPacket<'_>) -> Option<Identity> {
    let Some((EapType::IDENTITY, name)) = packet.method else {
        return None;
    };
    let name = name.get(..name.len().min(USER_LEN_MAX))?;
    // One that is no text is nobody's; the authenticator will say so.
    Some(Identity::of_user(&String::from_utf8_lossy(name)))
}

impl Asked {
    pub(in crate::sa) fn handle_turn(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        turn: Turn,
    ) -> State {
        let Self {
            mut applicant,
            identifier,
        } = *self;
        match turn {
            Turn::Ask {
                request,
                conversation,
            } => match next_question(&request, applicant.asked) {
                Ok(next) => {
                    let claimant = &mut applicant.claimant;
                    let payloads = eap_only(next.octets(), None);
                    claimant.channel.respond(cx, &claimant.reply_to, payloads);
                    applicant.ask(cx, conversation, next.identifier)
                }
                Err(reason) => applicant.reject(cx, core, identifier, reason),
            },
            // Whoever could compute with less would need no EAP.
            Turn::Accept(admission) if admission.msk.expose().len() < MSK_LEN_MIN => {
                applicant.reject(cx, core, identifier, RejectionReason::NoKey)
            }
            Turn::Accept(admission) => {
                let success = eap::end(EapCode::SUCCESS, identifier);
                let claimant = &mut applicant.claimant;
                claimant.identity = Identity::of_user(&admission.user);
                let payloads = eap_only(&success, None);
                claimant.channel.respond(cx, &claimant.reply_to, payloads);
                State::Admitted(Box::new(Admitted {
                    applicant,
                    admission,
                    since: cx.now,
                }))
            }
            Turn::Reject(Rejection { user, reason }) => {
                if let Some(user) = user {
                    applicant.claimant.identity = Identity::of_user(&user);
                }
                applicant.reject(cx, core, identifier, reason)
            }
        }
    }

    pub(in crate::sa) fn handle_abandoned(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
    ) -> State {
        let claimant = self.applicant.claimant;
        claimant.fail(cx, core, FailureReason::JobAbandoned)
    }
}

/// A question that may still be asked.
fn next_question(request: &[u8], asked: u8) -> Result<EapPacket<'_>, RejectionReason> {
    match EapPacket::decode(request) {
        _ if asked >= EAP_REQUESTS_MAX => Err(RejectionReason::Protocol("it goes on for ever")),
        Ok(packet) if packet.code == EapCode::REQUEST => Ok(packet),
        _ => Err(RejectionReason::Protocol(
            "the authenticator's request is none",
        )),
    }
}

impl Admitted {
    /// When the peer was told.
    pub(in crate::sa) const fn since(&self) -> Instant {
        self.since
    }

    pub(in crate::sa) fn handle_request(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        let Self {
            applicant,
            admission,
            ..
        } = *self;
        let applicant = match applicant.heard(cx, core, message) {
            Ok(applicant) => applicant,
            Err(state) => return state,
        };
        let payloads = &message.payloads;
        let proof = match EapProof::decode(payloads.first, &payloads.octets) {
            Ok(proof) => proof,
            Err(error) => return applicant.refuse(cx, core, error),
        };
        match applicant.check(cx, &admission, proof.authentication) {
            Ok((connection, proof)) => {
                let mut claimant = applicant.claimant;
                claimant.connection = connection;
                claimant.terms = Terms::of(*admission, cx.now);
                claimant.establish(cx, core, proof)
            }
            Err(reason) => applicant.fail(cx, core, reason),
        }
    }
}
