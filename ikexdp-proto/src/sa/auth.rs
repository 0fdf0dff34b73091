//! The responder's IKE_AUTH (RFC 7296 §1.2, §2.15).
//!
//! ```text
//! request --> Verifying --the peer is who it says--> Signing --> Established
//!        shared key: no job is needed for what it replaces
//! ```
//!
//! Whatever goes wrong, the peer hears AUTHENTICATION_FAILED; the operator
//! hears why.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls_pki_types::CertificateDer;
use subtle::ConstantTimeEq;

use super::channel::{Channel, Message, ReplyTo};
use super::child::{self, ChildOffer};
use super::closing::Lingering;
use super::established::{Established, NewEstablished};
use super::init::Handshake;
use super::{Context, Core, Progress, State};
use crate::config::{Connection, Credential, Requirement};
use crate::crypto::CryptoError;
use crate::crypto::cert::{CertifiedKey, CredentialError, Usage};
use crate::crypto::sign::SignatureScheme;
use crate::error::{Error, Unacceptable, Violation};
use crate::event::FailureReason;
use crate::identity::Identity;
use crate::job::{Job, Verification};
use crate::message::auth::{AuthMessage, AuthRequest, OwnAuthentication};
use crate::message::init::notify_only;
use crate::types::Role;
use crate::wire::iana::{AuthMethod, ExchangeType, PayloadType};
use crate::wire::payload::auth::Authentication;
use crate::wire::payload::id;
use crate::wire::payload::notify::Notify;

/// A peer that has said who it is, and what it wants.
#[derive(Debug)]
struct Claimant {
    channel: Channel,
    handshake: Handshake,
    connection: Arc<Connection>,
    identity: Identity,
    /// Whether it signs with RSA-PSS, so that we may.
    uses_pss: bool,
    offer: ChildOffer,
    reply_to: ReplyTo,
}

/// The peer's certificates and signature are being verified.
#[derive(Debug)]
pub(super) struct Verifying(Claimant);

/// The peer has proved who it is; our signature is being made.
#[derive(Debug)]
pub(super) struct Signing {
    claimant: Claimant,
    key: Arc<CertifiedKey>,
    scheme: SignatureScheme,
}

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
        return fail(channel, cx, core, &reply_to, None, reason);
    }
    let payloads = &message.payloads;
    let request = match AuthRequest::decode(payloads.first, &payloads.octets) {
        Ok(request) => request,
        Err(error) => {
            let reason = FailureReason::Refused(error);
            return fail(channel, cx, core, &reply_to, None, reason);
        }
    };
    let claimed = request.initiator.identity.clone();
    let connection = match find_connection(&cx.config.connections, &request) {
        Ok(connection) => connection,
        Err(reason) => return fail(channel, cx, core, &reply_to, Some(claimed), reason),
    };
    let octets = channel.keys.signed_octets(
        Role::Initiator,
        &handshake.request,
        &handshake.nonce_r,
        request.initiator.body,
    );
    let claimant = Claimant {
        channel,
        handshake,
        connection: Arc::clone(&connection),
        identity: claimed,
        uses_pss: matches!(
            request.authentication,
            Some(Authentication::Signature {
                scheme: Some(SignatureScheme::RsaPss(_)),
                ..
            })
        ),
        offer: ChildOffer::new(request.configuration.as_ref(), request.child),
        reply_to,
    };
    match (&connection.requirement, request.authentication) {
        (Requirement::SharedKey(key), Some(Authentication::SharedKey(mic))) => {
            let expected = claimant.channel.keys.shared_key_auth(key.expose(), &octets);
            if bool::from(expected.expose().ct_eq(mic)) {
                claimant.prove_ourselves(cx, core)
            } else {
                claimant.fail(cx, core, FailureReason::SharedKey)
            }
        }
        (
            Requirement::Certificate(anchors),
            Some(Authentication::Signature {
                scheme: Some(scheme),
                signature,
            }),
        ) => {
            let der = |certificate: &&[u8]| CertificateDer::from(certificate.to_vec());
            let verification = Verification {
                anchors: Arc::clone(anchors),
                usage: Usage::Client,
                chain: request.certificates.iter().map(der).collect(),
                identity: claimant.identity.clone(),
                scheme,
                octets,
                signature: signature.to_vec(),
            };
            cx.job(core.id, Job::Verify(verification));
            State::Verifying(Box::new(Verifying(claimant)))
        }
        // `find_connection` has compared the methods; a scheme may still be
        // none of ours.
        _ => {
            let reason = FailureReason::Credentials(CredentialError::UnknownSignature);
            claimant.fail(cx, core, reason)
        }
    }
}

/// The first connection that is for both identities and this way of
/// authenticating.
fn find_connection(
    connections: &[Arc<Connection>],
    request: &AuthRequest<'_>,
) -> Result<Arc<Connection>, FailureReason> {
    let wanted = request.wanted.as_ref().map(|wanted| &wanted.identity);
    let method = request.authentication.as_ref().map(Authentication::method);
    let mut other_method = None;
    for connection in connections {
        let ours = wanted.is_none_or(|wanted| *wanted == connection.local_identity);
        let theirs = connection
            .remote_identities
            .iter()
            .any(|pattern| pattern.fits(&request.initiator.identity));
        if !(ours && theirs) {
            continue;
        }
        let required = match &connection.requirement {
            Requirement::SharedKey(_) => AuthMethod::SHARED_KEY,
            Requirement::Certificate(_) => AuthMethod::DIGITAL_SIGNATURE,
        };
        if method == Some(required) {
            return Ok(Arc::clone(connection));
        }
        other_method = Some(method);
    }
    Err(match other_method {
        Some(Some(method)) => FailureReason::AuthMethod(method),
        // Without AUTH the peer wants EAP (RFC 7296 §2.16).
        Some(None) => FailureReason::EapWanted,
        None => FailureReason::NoConnection {
            wanted: wanted.cloned(),
        },
    })
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
            Ok(()) => self.0.prove_ourselves(cx, core),
            Err(error) => self.0.fail(cx, core, FailureReason::Credentials(error)),
        }
    }
}

impl Signing {
    pub(super) const fn channel(&self) -> &Channel {
        &self.claimant.channel
    }

    pub(super) const fn channel_mut(&mut self) -> &mut Channel {
        &mut self.claimant.channel
    }

    pub(super) fn progress(&self) -> Progress<'_> {
        self.claimant.progress()
    }

    pub(super) fn handle_signature(
        self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        result: Result<Vec<u8>, CryptoError>,
    ) -> State {
        let identifier = self.scheme.to_der();
        let (Ok(signature), Ok(identifier)) = (result, identifier) else {
            return self.claimant.fail(cx, core, FailureReason::OwnKey);
        };
        let authentication = OwnAuthentication::Signature(&identifier, &signature);
        self.claimant
            .establish(cx, core, self.key.chain(), authentication)
    }
}

impl Claimant {
    /// The peer is who it says; now we say who we are.
    fn prove_ourselves(self, cx: &mut Context<'_>, core: &Core) -> State {
        let octets = self.channel.keys.signed_octets(
            Role::Responder,
            &self.handshake.response,
            &self.handshake.nonce_i,
            &id::body(&self.connection.local_identity),
        );
        match &self.connection.credential {
            Credential::SharedKey(key) => {
                let mic = self.channel.keys.shared_key_auth(key.expose(), &octets);
                self.establish(cx, core, &[], OwnAuthentication::SharedKey(mic.expose()))
            }
            Credential::Certificate(key) => {
                let key = Arc::clone(key);
                let accepted = &self.handshake.peer_hashes;
                let Some(scheme) = key.key().scheme(accepted, self.uses_pss) else {
                    return self.fail(cx, core, FailureReason::NoSignatureHash);
                };
                let sign = Job::Sign {
                    key: Arc::clone(&key),
                    scheme,
                    octets,
                };
                cx.job(core.id, sign);
                State::Signing(Box::new(Signing {
                    claimant: self,
                    key,
                    scheme,
                }))
            }
        }
    }

    /// Answers, and makes the SA what both sides wanted.
    fn establish(
        mut self,
        cx: &mut Context<'_>,
        core: &Core,
        certificates: &[CertificateDer<'static>],
        authentication: OwnAuthentication<'_>,
    ) -> State {
        let answer = child::answer(cx, &self.connection, self.offer);
        let identity = id::body(&self.connection.local_identity);
        let response = AuthMessage {
            identity: (PayloadType::ID_RESPONDER, &identity),
            certificates,
            authorities: &[],
            wanted: None,
            authentication,
            configuration: answer.configuration,
            child: answer.payloads,
        };
        self.channel.respond(cx, &self.reply_to, response.encode());
        let established = Established::begin(
            cx,
            core,
            NewEstablished {
                channel: self.channel,
                connection: self.connection,
                peer: self.identity,
                lease: answer.lease,
                assigned: Vec::new(),
                child: answer.child,
                refusal: answer.refusal,
                confirmed: false,
            },
        );
        State::Established(Box::new(established))
    }

    fn progress(&self) -> Progress<'_> {
        Progress {
            connection: Some(&self.connection.name),
            claimed: Some(self.identity.clone()),
            channel: Some(&self.channel),
        }
    }

    fn fail(mut self, cx: &mut Context<'_>, core: &Core, reason: FailureReason) -> State {
        tell(&mut self.channel, cx, &self.reply_to, &reason);
        cx.handshake_failed(core, self.progress(), reason);
        State::Lingering(Box::new(Lingering::new(self.channel, cx.now)))
    }
}

/// Ends a handshake before it is known which connection it is for.
fn fail(
    mut channel: Channel,
    cx: &mut Context<'_>,
    core: &Core,
    reply_to: &ReplyTo,
    claimed: Option<Identity>,
    reason: FailureReason,
) -> State {
    tell(&mut channel, cx, reply_to, &reason);
    let progress = Progress {
        connection: None,
        claimed,
        channel: Some(&channel),
    };
    cx.handshake_failed(core, progress, reason);
    State::Lingering(Box::new(Lingering::new(channel, cx.now)))
}

/// A peer that cannot be understood hears what was wrong; one that is not who
/// it says hears no more than that.
fn tell(channel: &mut Channel, cx: &mut Context<'_>, reply_to: &ReplyTo, reason: &FailureReason) {
    let notify = match reason {
        FailureReason::Refused(error) => error.notify(),
        _ => Error::Unacceptable(Unacceptable::Authentication).notify(),
    };
    if let Some(notify) = notify {
        let payloads = notify_only(&Notify::new(notify.kind, notify.data()));
        channel.respond(cx, reply_to, payloads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::message::child::ChildPayloads;
    use crate::testing::script::{Answer, Script, config, kinds, range};
    use crate::wire::iana::NotifyType;
    use crate::wire::payload::ts;
    use crate::wire::writer::{Chain, ChainWriter};

    const KEY: &[u8] = b"correct horse";

    fn notified(answer: &Answer) -> Option<NotifyType> {
        let notify = answer
            .iter()
            .find(|(kind, _)| *kind == PayloadType::NOTIFY)?;
        Some(Notify::decode(&notify.1).unwrap().kind)
    }

    /// --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
    /// <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr }
    #[test]
    fn the_right_key_opens() {
        let mut script = Script::new(config());
        let answer = script.establish();
        let expected = [
            PayloadType::ID_RESPONDER,
            PayloadType::AUTHENTICATION,
            PayloadType::SECURITY_ASSOCIATION,
            PayloadType::TRAFFIC_SELECTOR_INITIATOR,
            PayloadType::TRAFFIC_SELECTOR_RESPONDER,
        ];
        assert_eq!(kinds(&answer), expected);
        let narrowed = ts::decode(&answer[4].1).unwrap();
        assert_eq!(narrowed, [range("10.1.0.0", "10.1.255.255")]);
        assert_eq!(script.endpoint.established(), 1);
    }

    /// --> IKE_AUTH { IDi, AUTH, ... }
    /// <-- IKE_AUTH { N(AUTHENTICATION_FAILED) }
    #[test]
    fn the_wrong_key_does_not() {
        let mut script = Script::new(config());
        script.init();
        let payloads = script.auth_payloads(b"wrong", Some(Script::child()));
        let request = script.seal(ExchangeType::IKE_AUTH, 1, &payloads);
        let sent = script.deliver(&request);
        let answer = script.open(&sent[0]);
        assert_eq!(kinds(&answer), [PayloadType::NOTIFY]);
        assert_eq!(notified(&answer), Some(NotifyType::AUTHENTICATION_FAILED));
        assert_eq!(script.endpoint.established(), 0);
        let Some(Event::HandshakeFailed(failure)) = script.events.last() else {
            panic!("the operator hears nothing")
        };
        assert_eq!(failure.reason, FailureReason::SharedKey);
        // The answer may be lost: who asks again hears it again.
        assert_eq!(script.deliver(&request), sent);
    }

    /// --> IKE_AUTH { IDi, AUTH }
    /// <-- IKE_AUTH { IDr, AUTH }
    #[test]
    fn a_childless_handshake_is_one() {
        let mut script = Script::new(config());
        script.init();
        let payloads = script.auth_payloads(KEY, None);
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
        let expected = [PayloadType::ID_RESPONDER, PayloadType::AUTHENTICATION];
        assert_eq!(kinds(&answer), expected);
        assert_eq!(script.endpoint.established(), 1);
    }

    /// --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
    /// <-- IKE_AUTH { IDr, AUTH, N(TS_UNACCEPTABLE) }
    #[test]
    fn the_ike_sa_stands_without_a_child() {
        let refused = |child: ChildPayloads| {
            let mut script = Script::new(config());
            script.init();
            let payloads = script.auth_payloads(KEY, Some(child));
            let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
            assert_eq!(script.endpoint.established(), 1);
            notified(&answer).unwrap()
        };
        let elsewhere = ChildPayloads {
            initiator: alloc::vec![range("203.0.113.1", "203.0.113.1")],
            ..Script::child()
        };
        assert_eq!(refused(elsewhere), NotifyType::TS_UNACCEPTABLE);
        // OpenIKED sends an empty SA payload when it has nothing to offer.
        let nothing = ChildPayloads {
            proposals: Vec::new(),
            ..Script::child()
        };
        assert_eq!(refused(nothing), NotifyType::NO_PROPOSAL_CHOSEN);
    }

    #[test]
    fn what_is_missing_or_double_is_refused_and_the_sa_with_it() {
        let mut nothing = ChainWriter::default();
        nothing.payload(PayloadType::VENDOR_ID, |body| body.u32(7));
        let mut twice = ChainWriter::default();
        for _ in 0..2 {
            let kind = PayloadType::ID_INITIATOR;
            twice.payload(kind, |body| body.bytes(b"\x02\0\0\0client"));
        }
        for payloads in [nothing, twice] {
            let mut script = Script::new(config());
            script.init();
            let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads.finish());
            assert_eq!(notified(&answer), Some(NotifyType::INVALID_SYNTAX));
            assert_eq!(script.endpoint.established(), 0);
        }
    }

    /// A peer that has keys but no name gets nothing but IKE_AUTH.
    #[test]
    fn another_exchange_is_out_of_turn() {
        let mut script = Script::new(config());
        script.init();
        let payloads = Chain {
            first: PayloadType::NONE,
            octets: Vec::new(),
        };
        let answer = script.exchange(ExchangeType::INFORMATIONAL, 1, &payloads);
        assert_eq!(notified(&answer), Some(NotifyType::INVALID_SYNTAX));
        assert!(script.endpoint.is_quiet());
    }

    /// Half a handshake that never goes on is told with what did arrive.
    #[test]
    fn an_incomplete_request_is_told_when_time_is_over() {
        let mut script = Script::new(config());
        script.init();
        let part = script.seal_part(
            ExchangeType::IKE_AUTH,
            1,
            PayloadType::ID_INITIATOR,
            Some((1, 3)),
            b"part",
        );
        script.now = script.now + core::time::Duration::from_secs(5);
        assert!(script.deliver(&part).is_empty());
        script.wait(core::time::Duration::from_secs(26));
        let Some(Event::HandshakeFailed(failure)) = script.events.last() else {
            panic!("the operator hears nothing")
        };
        let expected = FailureReason::Timeout {
            waiting_for: ExchangeType::IKE_AUTH,
            fragments: Some((1, 3)),
        };
        assert_eq!(failure.reason, expected);
    }
}
