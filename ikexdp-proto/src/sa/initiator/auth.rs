//! The initiator's IKE_AUTH.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls_pki_types::CertificateDer;
use subtle::ConstantTimeEq;

use super::eap::Applying;
use super::{Begun, Initiating, Stage};
use crate::config::{ChildConfig, Connection, Credential, RemoteSelectors, Requirement};
use crate::crypto::cert::{CertifiedKey, CredentialError, TrustAnchors, Usage};
use crate::crypto::scheme::SignatureScheme;
use crate::crypto::sign::Verifier;
use crate::error::{Error, Unacceptable};
use crate::event::{ChildSummary, FailureReason};
use crate::identity::Identity;
use crate::job::{Job, Verification};
use crate::message::auth::{AuthMessage, AuthReply, AuthResponse, Grant, OwnAuthentication};
use crate::message::child::{ChildPayloads, Selectors};
use crate::message::informational::Informational;
use crate::pattern::IdentityPattern;
use crate::sa::auth::owned;
use crate::sa::channel::{Channel, Message};
use crate::sa::child::Nonces;
use crate::sa::closing::Closing;
use crate::sa::established::{Established, NewEstablished};
use crate::sa::estate::{Estate, Terms};
use crate::sa::init::Handshake;
use crate::sa::negotiate::accept;
use crate::sa::proposal::offer_esp;
use crate::sa::{Context, Core, Progress, State};
use crate::types::{EspSpi, Role};
use crate::wire::iana::{
    ConfigurationAttribute, ConfigurationType, ExchangeType, NotifyType, PayloadType,
};
use crate::wire::payload::auth::Authentication;
use crate::wire::payload::configuration::{Attribute, Configuration};
use crate::wire::payload::id;
use crate::wire::payload::ts::TrafficSelector;

/// Keys are there, names are not.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) channel: Channel,
    pub(super) handshake: Handshake,
}

/// Our AUTH is being signed.
#[derive(Debug)]
pub(super) struct Signing {
    pub(super) channel: Channel,
    handshake: Handshake,
    key: Arc<CertifiedKey>,
    scheme: SignatureScheme,
}

/// Our request is out.
#[derive(Debug)]
pub(super) struct AuthSent {
    pub(super) channel: Channel,
    pub(super) handshake: Handshake,
    /// The CHILD SA, and the SPI on which we would receive; none if we begin without it.
    offered: Option<(ChildPayloads, EspSpi)>,
}

/// The responder's certificates and signature are being verified.
#[derive(Debug)]
pub(super) struct Verifying {
    pub(super) channel: Channel,
    peer: Identity,
    assigned: Vec<IpAddr>,
    child: Result<Option<ChildSummary>, Error>,
    nonces: Nonces,
}

impl AuthSent {
    /// Sends the request, or has it signed first.
    pub(super) fn prepare(begun: Begun, cx: &mut Context<'_>, core: &Core, ready: Ready) -> State {
        let Ready { channel, handshake } = ready;
        let octets = channel.keys.signed_octets(
            Role::Initiator,
            &handshake.request,
            &handshake.nonce_r,
            &id::body(&begun.connection.local_identity),
        );
        match &begun.connection.credential {
            Credential::SharedKey(key) => {
                let mic = channel.keys.shared_key_auth(key, &octets);
                let authentication = OwnAuthentication::SharedKey(mic.expose());
                let ready = Ready { channel, handshake };
                Self::send(begun, cx, core, ready, &[], Some(authentication))
            }
            Credential::Certificates(keys) => {
                let verifier = Verifier {
                    hashes: &handshake.peer_hashes,
                    pss: false,
                    rsa_sha1: cx.config.ike.rsa_sha1,
                };
                let mut choices = keys
                    .iter()
                    .filter_map(|key| Some((Arc::clone(key), key.key().scheme(&verifier)?)));
                let Some((key, scheme)) = choices.next() else {
                    return begun.fail(cx, core, Some(&channel), FailureReason::NoSignatureHash);
                };
                let sign = Job::Sign {
                    key: Arc::clone(&key),
                    scheme,
                    octets,
                };
                cx.job(core.id, sign);
                let signing = Signing {
                    channel,
                    handshake,
                    key,
                    scheme,
                };
                Initiating::at(begun, Stage::Signing(Box::new(signing)))
            }
            // That there is no AUTH says so (RFC 7296 §2.16).
            Credential::Eap(_) => {
                let ready = Ready { channel, handshake };
                Self::send(begun, cx, core, ready, &[], None)
            }
        }
    }

    fn send(
        mut begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        ready: Ready,
        certificates: &[CertificateDer<'static>],
        authentication: Option<OwnAuthentication<'_>>,
    ) -> State {
        let Ready {
            mut channel,
            handshake,
        } = ready;
        let connection = &begun.connection;
        begun.spi_in = (!connection.child.childless).then(|| cx.esp_spi());
        let offered = begun
            .spi_in
            .map(|spi_in| (offer(&connection.child, spi_in), spi_in));
        let authorities = match &connection.requirement {
            Requirement::Certificate(anchors) => anchors.hashes(),
            Requirement::SharedKey(_) | Requirement::Eap(_) => &[],
        };
        let identity = id::body(&connection.local_identity);
        let wanted = wanted(connection);
        let request = AuthMessage {
            identity: Some((PayloadType::ID_INITIATOR, &identity)),
            certificates,
            authorities,
            wanted: wanted.as_deref(),
            authentication,
            configuration: connection
                .child
                .request_addresses
                .then(configuration_request),
            child: Ok(offered.as_ref().map(|(child, _)| child.clone())),
            notifies: &[],
        };
        let payloads = request.encode();
        if !channel.request(cx, ExchangeType::IKE_AUTH, payloads, &core.path) {
            return begun.fail(cx, core, Some(&channel), FailureReason::KeyExchange);
        }
        let sent = Self {
            channel,
            handshake,
            offered,
        };
        Initiating::at(begun, Stage::AuthSent(Box::new(sent)))
    }

    pub(super) fn handle_response(
        self: Box<Self>,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        if let Credential::Eap(supplicant) = &begun.connection.credential {
            let respondent = supplicant.begin();
            return Applying::open(*self, begun, cx, core, message, respondent);
        }
        let payloads = &message.payloads;
        let response = AuthResponse::decode(payloads.first, &payloads.octets);
        let response = match accepted(response) {
            Ok(response) => response,
            Err(reason) => return begun.fail(cx, core, Some(&self.channel), reason),
        };
        let peer = response.responder.identity.clone();
        if !begun.connection.admits(&peer) {
            let reason = FailureReason::NoConnection { wanted: None };
            return give_up(&begun, self.channel, cx, core, peer, reason);
        }
        let octets = self.channel.keys.signed_octets(
            Role::Responder,
            &self.handshake.response,
            &self.handshake.nonce_i,
            response.responder.body,
        );
        let verifying = self.granted(&begun.connection, peer, &response.grant);
        match (&begun.connection.requirement, response.authentication) {
            (Requirement::SharedKey(key), Authentication::SharedKey(mic)) => {
                let expected = verifying.channel.keys.shared_key_auth(key, &octets);
                if bool::from(expected.expose().ct_eq(mic)) {
                    verifying.establish(begun, cx, core)
                } else {
                    verifying.fail(&begun, cx, core, FailureReason::SharedKey)
                }
            }
            (Requirement::Certificate(anchors), proof @ Authentication::Signature { .. }) => {
                let chain = owned(response.certificates);
                match verification(cx, anchors, &verifying.peer, chain, octets, proof) {
                    Ok(verification) => {
                        cx.job(core.id, Job::Verify(verification));
                        Initiating::at(begun, Stage::Verifying(Box::new(verifying)))
                    }
                    Err(reason) => verifying.fail(&begun, cx, core, reason),
                }
            }
            (_, other) => {
                let reason = FailureReason::AuthMethod(other.method());
                verifying.fail(&begun, cx, core, reason)
            }
        }
    }

    /// What there will be once `peer` has proved that it is this.
    pub(super) fn granted(
        self,
        connection: &Connection,
        peer: Identity,
        grant: &Grant<'_>,
    ) -> Verifying {
        Verifying {
            peer,
            assigned: assigned(grant),
            child: self.child(connection, grant),
            channel: self.channel,
            nonces: Nonces {
                initiator: self.handshake.nonce_i,
                responder: self.handshake.nonce_r,
            },
        }
    }

    /// The CHILD SA of the response, if it is one that we offered; none if we offered none.
    fn child(
        &self,
        connection: &Connection,
        grant: &Grant<'_>,
    ) -> Result<Option<ChildSummary>, Error> {
        let Some((offered, spi_in)) = &self.offered else {
            return Ok(None);
        };
        let Some(answer) = &grant.child else {
            let refusal = grant.child_error;
            return Err(refusal.map_or(Unacceptable::Proposal.into(), Error::PeerRefused));
        };
        accept(&connection.child, offered, answer, *spi_in, None).map(Some)
    }
}

impl Signing {
    pub(super) fn handle_signature(
        self: Box<Self>,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        signature: &[u8],
    ) -> State {
        let Ok(identifier) = self.scheme.to_der() else {
            return begun.fail(cx, core, Some(&self.channel), FailureReason::OwnKey);
        };
        let ready = Ready {
            channel: self.channel,
            handshake: self.handshake,
        };
        let authentication = OwnAuthentication::Signature {
            method: self.scheme.method(),
            identifier: &identifier,
            signature,
        };
        let chain = self.key.chain();
        AuthSent::send(begun, cx, core, ready, chain, Some(authentication))
    }
}

impl Verifying {
    pub(super) fn handle_verified(
        self: Box<Self>,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        result: Result<(), CredentialError>,
    ) -> State {
        match result {
            Ok(()) => self.establish(begun, cx, core),
            Err(error) => self.fail(&begun, cx, core, FailureReason::Credentials(error)),
        }
    }

    pub(super) fn establish(self, begun: Begun, cx: &mut Context<'_>, core: &Core) -> State {
        let (summary, refusal) = match self.child {
            Ok(summary) => (summary, None),
            Err(error) => {
                if let Some(spi) = begun.spi_in {
                    cx.inbound.release(spi);
                }
                (None, Some(error))
            }
        };
        let estate = Box::new(Estate {
            is_windows: false,
            connection: begun.connection,
            peer: self.peer,
            lease: None,
            assigned: self.assigned,
            children: Vec::new(),
            mobike: false,
            tunnel: core.tunnel(),
            moving: None,
            check_route: false,
            terms: Terms::default(),
            predecessor: None,
        });
        let new = NewEstablished {
            channel: self.channel,
            estate,
            refusal,
            confirmed: true,
        };
        let mut established = Established::begin(cx, core, new);
        if let Some(summary) = summary {
            established.install_first(cx, core, summary, self.nonces);
        }
        State::Established(Box::new(established))
    }

    pub(super) fn fail(
        self,
        begun: &Begun,
        cx: &mut Context<'_>,
        core: &Core,
        reason: FailureReason,
    ) -> State {
        give_up(begun, self.channel, cx, core, self.peer, reason)
    }
}

/// The responder believes the SA is up: it must hear that it is not
/// (RFC 7296 §2.21.2).
pub(super) fn give_up(
    begun: &Begun,
    mut channel: Channel,
    cx: &mut Context<'_>,
    core: &Core,
    peer: Identity,
    reason: FailureReason,
) -> State {
    let progress = Progress {
        connection: Some(&begun.connection.name),
        claimed: Some(peer),
        channel: Some(&channel),
        spi_in: begun.spi_in,
        ..Progress::default()
    };
    cx.handshake_failed(core, progress, reason);
    let refusal = Informational {
        error: Some(NotifyType::AUTHENTICATION_FAILED),
        ..Informational::default()
    };
    if channel.request(
        cx,
        ExchangeType::INFORMATIONAL,
        refusal.encode(),
        &core.path,
    ) {
        State::Refusing(Box::new(Closing { channel }))
    } else {
        State::Gone
    }
}

/// What a response has, if it is not why we failed.
pub(super) fn accepted<T>(reply: Result<AuthReply<T>, Error>) -> Result<Box<T>, FailureReason> {
    match reply {
        Ok(AuthReply::Accepted(response)) => Ok(response),
        Ok(AuthReply::Refused(notify)) => Err(FailureReason::PeerRefused(notify)),
        Err(error) => Err(FailureReason::Refused(error)),
    }
}

/// How to find out whether the responder is `peer`, if it proves that in a way that we
/// take.
pub(super) fn verification(
    cx: &Context<'_>,
    anchors: &Arc<TrustAnchors>,
    peer: &Identity,
    chain: Vec<CertificateDer<'static>>,
    octets: Vec<u8>,
    proof: Authentication<'_>,
) -> Result<Verification, FailureReason> {
    match proof {
        Authentication::Signature {
            scheme: Some(scheme),
            signature,
        } if cx.config.ike.takes(scheme) => Ok(Verification {
            anchors: Arc::clone(anchors),
            usage: Usage::Gateway,
            chain,
            identity: peer.clone(),
            scheme,
            octets,
            signature: signature.to_vec(),
        }),
        other => Err(FailureReason::AuthMethod(other.method())),
    }
}

/// IDr, if only one identity will do.
fn wanted(connection: &Connection) -> Option<Vec<u8>> {
    match connection.remote_identities.as_slice() {
        [IdentityPattern::Exactly(identity)] => Some(id::body(identity)),
        _ => None,
    }
}

/// The CHILD SA that we ask for.
fn offer(child: &ChildConfig, spi_in: EspSpi) -> ChildPayloads {
    ChildPayloads {
        proposals: offer_esp(&child.esp, &[], spi_in),
        selectors: Selectors::new(local_selectors(child), remote_selectors(child)),
    }
}

/// What we ask to protect on our side; with an address still to come, all.
fn local_selectors(child: &ChildConfig) -> Vec<TrafficSelector> {
    if child.request_addresses {
        everything()
    } else {
        child.local.clone()
    }
}

fn remote_selectors(child: &ChildConfig) -> Vec<TrafficSelector> {
    match &child.remote {
        RemoteSelectors::Fixed(selectors) => selectors.clone(),
        RemoteSelectors::Pool(_) => everything(),
    }
}

fn everything() -> Vec<TrafficSelector> {
    let v4 = TrafficSelector::addresses(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    let v6 = TrafficSelector::addresses(
        Ipv6Addr::UNSPECIFIED.into(),
        Ipv6Addr::from_bits(u128::MAX).into(),
    );
    alloc::vec![v4, v6]
}

fn configuration_request() -> Configuration<'static> {
    let attribute = |kind| Attribute {
        kind,
        value: Vec::new().into(),
    };
    Configuration {
        kind: ConfigurationType::REQUEST,
        attributes: [
            ConfigurationAttribute::INTERNAL_IP4_ADDRESS,
            ConfigurationAttribute::INTERNAL_IP4_DNS,
            ConfigurationAttribute::INTERNAL_IP6_ADDRESS,
            ConfigurationAttribute::INTERNAL_IP6_DNS,
        ]
        .map(attribute)
        .to_vec(),
    }
}

/// The addresses of a CFG_REPLY.
fn assigned(grant: &Grant<'_>) -> Vec<IpAddr> {
    let reply = grant
        .configuration
        .iter()
        .filter(|configuration| configuration.kind == ConfigurationType::REPLY);
    reply
        .flat_map(|reply| reply.attributes.iter())
        .filter_map(Attribute::address)
        .collect()
}
