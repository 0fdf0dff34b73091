//! The initiator's IKE_AUTH with EAP (RFC 7296 §2.16).
//!
//! ```text
//! AuthSent --> Checking --> Answering <--> Answered
//!                               +--> Proving --> Established
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use subtle::ConstantTimeEq;

use super::auth::{AuthSent, accepted, give_up, verification};
use super::{Begun, Initiating, Stage};
use crate::config::Requirement;
use crate::crypto::cert::CredentialError;
use crate::eap::{MSK_LEN_MIN, Refusal, Reply, Respondent};
use crate::event::FailureReason;
use crate::identity::Identity;
use crate::job::{Job, Verification};
use crate::limits::EAP_REQUESTS_MAX;
use crate::message::eap::{EapAccepted, EapOpened, EapResponse, eap_only, eap_proof};
use crate::sa::auth::owned;
use crate::sa::channel::{Channel, Message};
use crate::sa::{Context, Core, State};
use crate::types::{Role, Secret};
use crate::wire::iana::{EapCode, ExchangeType};
use crate::wire::payload::auth::Authentication;
use crate::wire::payload::eap::EapPacket;
use crate::wire::payload::id;
use crate::wire::writer::Chain;

/// We prove by EAP who we are.
#[derive(Debug)]
pub(super) struct Applying {
    gateway: Gateway,
    step: Step,
}

/// Whom we prove it to.
#[derive(Debug)]
struct Gateway {
    sent: AuthSent,
    peer: Identity,
    /// IDr, as it came: both AUTH of the responder are made of it.
    body: Vec<u8>,
    /// Its EAP packets so far.
    heard: u8,
}

#[derive(Debug)]
enum Step {
    /// Its certificates and signature are being verified: who it is comes before who we
    /// are.
    Checking {
        respondent: Box<dyn Respondent>,
        packet: Vec<u8>,
    },
    /// What it says is being thought about.
    Answering(Said),
    /// Our answer is out.
    Answered(Box<dyn Respondent>),
    /// Our AUTH is out, by this key, which EAP made.
    Proving(Secret<Vec<u8>>),
}

/// What an EAP packet of the gateway's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// A question, of this identifier.
    Request(u8),
    Success,
    Failure,
}

impl Applying {
    /// Reads the first response, and has it verified who the gateway is.
    pub(super) fn open(
        sent: AuthSent,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
        respondent: Box<dyn Respondent>,
    ) -> State {
        let payloads = &message.payloads;
        let opened = EapOpened::decode(payloads.first, &payloads.octets);
        let opened = match accepted(opened) {
            Ok(opened) => opened,
            Err(reason) => return begun.fail(cx, core, Some(&sent.channel), reason),
        };
        let gateway = Gateway {
            sent,
            peer: opened.responder.identity.clone(),
            body: opened.responder.body.to_vec(),
            heard: 0,
        };
        match gateway.verification(&begun, cx, &opened) {
            Ok(verification) => {
                cx.job(core.id, Job::Verify(verification));
                let packet = opened.packet.octets().to_vec();
                gateway.at(begun, Step::Checking { respondent, packet })
            }
            Err(reason) => gateway.give_up(&begun, cx, core, reason),
        }
    }

    pub(super) const fn channel(&self) -> &Channel {
        &self.gateway.sent.channel
    }

    pub(super) const fn channel_mut(&mut self) -> &mut Channel {
        &mut self.gateway.sent.channel
    }

    /// The gateway is told that we do not go on.
    pub(super) fn give_up(
        self,
        begun: &Begun,
        cx: &mut Context<'_>,
        core: &Core,
        reason: FailureReason,
    ) -> State {
        self.gateway.give_up(begun, cx, core, reason)
    }

    pub(super) fn handle_verified(
        self,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        result: Result<(), CredentialError>,
    ) -> State {
        match (result, self.step) {
            (Err(error), _) => {
                let reason = FailureReason::Credentials(error);
                self.gateway.give_up(&begun, cx, core, reason)
            }
            (Ok(()), Step::Checking { respondent, packet }) => {
                let packet = EapPacket::decode(&packet)
                    .map_err(|error| FailureReason::Refused(error.into()));
                self.gateway.hear(begun, cx, core, respondent, packet)
            }
            (Ok(()), step) => self.gateway.at(begun, step),
        }
    }

    pub(super) fn handle_reply(
        self,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        reply: Reply,
    ) -> State {
        let gateway = self.gateway;
        match (self.step, reply) {
            (
                Step::Answering(Said::Request(identifier)),
                Reply::Answer {
                    response,
                    respondent,
                },
            ) if answers(&response, identifier) => {
                let payloads = eap_only(&response, None);
                gateway.say(begun, cx, core, payloads, Step::Answered(respondent))
            }
            (Step::Answering(Said::Success), Reply::Accept(msk))
                if msk.expose().len() >= MSK_LEN_MIN =>
            {
                let payloads = gateway.proof(&begun, &msk);
                gateway.say(begun, cx, core, payloads, Step::Proving(msk))
            }
            // It knows that already.
            (Step::Answering(Said::Failure), reply) => {
                let refusal = match reply {
                    Reply::Refuse(refusal) => refusal,
                    Reply::Answer { .. } | Reply::Accept(_) => Refusal::Unexplained,
                };
                let channel = Some(&gateway.sent.channel);
                begun.fail(cx, core, channel, FailureReason::EapRefused(refusal))
            }
            (_, Reply::Refuse(refusal)) => gateway.refuse(&begun, cx, core, refusal),
            (_, Reply::Answer { .. } | Reply::Accept(_)) => {
                let refusal = Refusal::Protocol("our method has no answer or no key");
                gateway.refuse(&begun, cx, core, refusal)
            }
        }
    }

    pub(super) fn handle_response(
        self,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        let gateway = self.gateway;
        let payloads = &message.payloads;
        match self.step {
            Step::Answered(respondent) => {
                let response = EapResponse::decode(payloads.first, &payloads.octets);
                let packet = accepted(response).map(|response| response.packet);
                gateway.hear(begun, cx, core, respondent, packet)
            }
            Step::Proving(msk) => {
                let response = EapAccepted::decode(payloads.first, &payloads.octets);
                match accepted(response) {
                    Ok(response) => gateway.conclude(begun, cx, core, &msk, &response),
                    Err(reason) => gateway.fail(&begun, cx, core, reason),
                }
            }
            // Nothing of ours is out.
            step @ (Step::Checking { .. } | Step::Answering(_)) => gateway.at(begun, step),
        }
    }
}

impl Gateway {
    fn at(self, begun: Begun, step: Step) -> State {
        let applying = Applying {
            gateway: self,
            step,
        };
        Initiating::at(begun, Stage::Applying(Box::new(applying)))
    }

    /// How to find out who it is: by a signature, as EAP's own key may be anybody's
    /// who has been let in before (RFC 7296 §2.16).
    fn verification(
        &self,
        begun: &Begun,
        cx: &Context<'_>,
        opened: &EapOpened<'_>,
    ) -> Result<Verification, FailureReason> {
        if !begun.connection.admits(&self.peer) {
            return Err(FailureReason::NoConnection { wanted: None });
        }
        let Requirement::Certificate(anchors) = &begun.connection.requirement else {
            return Err(FailureReason::AuthMethod(opened.authentication.method()));
        };
        let chain = owned(opened.certificates.clone());
        let octets = self.octets();
        verification(
            cx,
            anchors,
            &self.peer,
            chain,
            octets,
            opened.authentication,
        )
    }

    /// What its AUTH is made of.
    fn octets(&self) -> Vec<u8> {
        let handshake = &self.sent.handshake;
        let keys = &self.sent.channel.keys;
        keys.signed_octets(
            Role::Responder,
            &handshake.response,
            &handshake.nonce_i,
            &self.body,
        )
    }

    /// Our AUTH.
    fn proof(&self, begun: &Begun, msk: &Secret<Vec<u8>>) -> Chain {
        let handshake = &self.sent.handshake;
        let keys = &self.sent.channel.keys;
        let octets = keys.signed_octets(
            Role::Initiator,
            &handshake.request,
            &handshake.nonce_r,
            &id::body(&begun.connection.local_identity),
        );
        eap_proof(keys.session_key_auth(msk.expose(), &octets).expose())
    }

    /// Has it thought about what it says.
    fn hear(
        mut self,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        respondent: Box<dyn Respondent>,
        packet: Result<EapPacket<'_>, FailureReason>,
    ) -> State {
        let packet = match packet {
            Ok(packet) => packet,
            Err(reason) => return self.fail(&begun, cx, core, reason),
        };
        let said = match packet.code {
            EapCode::REQUEST if self.heard < EAP_REQUESTS_MAX => Said::Request(packet.identifier),
            // RFC 3748 §4.2 ties their identifiers to that of our last response. Not all
            // authenticators do, and IKE has its own order of messages.
            EapCode::SUCCESS => Said::Success,
            EapCode::FAILURE => Said::Failure,
            EapCode::REQUEST => {
                let refusal = Refusal::Protocol("it goes on for ever");
                return self.refuse(&begun, cx, core, refusal);
            }
            _ => {
                let refusal = Refusal::Protocol("neither a request nor an end");
                return self.refuse(&begun, cx, core, refusal);
            }
        };
        self.heard = self.heard.saturating_add(1);
        let packet = packet.octets().to_vec();
        cx.job(core.id, Job::Respond { respondent, packet });
        self.at(begun, Step::Answering(said))
    }

    /// Sends the next request.
    fn say(
        mut self,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        payloads: Chain,
        step: Step,
    ) -> State {
        let channel = &mut self.sent.channel;
        if channel.request(cx, ExchangeType::IKE_AUTH, payloads, &core.path) {
            self.at(begun, step)
        } else {
            self.fail(&begun, cx, core, FailureReason::KeyExchange)
        }
    }

    /// It must have the key as well: nobody sits between the two conversations.
    fn conclude(
        self,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        msk: &Secret<Vec<u8>>,
        response: &EapAccepted<'_>,
    ) -> State {
        let Authentication::SharedKey(mic) = response.authentication else {
            let reason = FailureReason::AuthMethod(response.authentication.method());
            return self.give_up(&begun, cx, core, reason);
        };
        let keys = &self.sent.channel.keys;
        let expected = keys.session_key_auth(msk.expose(), &self.octets());
        if !bool::from(expected.expose().ct_eq(mic)) {
            return self.give_up(&begun, cx, core, FailureReason::EapKey);
        }
        let granted = self
            .sent
            .granted(&begun.connection, self.peer, &response.grant);
        granted.establish(begun, cx, core)
    }

    fn refuse(self, begun: &Begun, cx: &mut Context<'_>, core: &Core, refusal: Refusal) -> State {
        self.give_up(begun, cx, core, FailureReason::EapRefused(refusal))
    }

    fn give_up(
        self,
        begun: &Begun,
        cx: &mut Context<'_>,
        core: &Core,
        reason: FailureReason,
    ) -> State {
        give_up(begun, self.sent.channel, cx, core, self.peer, reason)
    }

    /// It has ended it, or cannot be talked to.
    fn fail(
        self,
        begun: &Begun,
        cx: &mut Context<'_>,
        core: &Core,
        reason: FailureReason,
    ) -> State {
        begun.fail(cx, core, Some(&self.sent.channel), reason)
    }
}

/// Whether `response` is an EAP packet that answers the request of this `identifier`.
fn answers(response: &[u8], identifier: u8) -> bool {
    EapPacket::decode(response)
        .is_ok_and(|packet| packet.code == EapCode::RESPONSE && packet.identifier == identifier)
}
