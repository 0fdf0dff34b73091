//! IKE_AUTH (RFC 7296 §1.2), inside the encrypted payload.
//!
//! ```text
//! SK {IDi, [CERT+], [CERTREQ], [IDr], AUTH, [CP], SAi2, TSi, TSr, [N+]}  -->
//!              <--  SK {IDr, [CERT+], AUTH, [CP], SAr2, TSi, TSr, [N+]}
//!              <--  SK {IDr, [CERT+], AUTH, N(why there is no CHILD SA)}
//!              <--  SK {N(AUTHENTICATION_FAILED)}
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use rustls_pki_types::CertificateDer;

use crate::crypto::cert::AuthorityHash;
use crate::error::{Error, ErrorNotify, Limit};
use crate::limits::CERTIFICATES_MAX;
use crate::message::child::{ChildPayloads, Selectors};
use crate::wire::iana::{AuthMethod, CertificateEncoding, NotifyType, PayloadType};
use crate::wire::payload::auth::Authentication;
use crate::wire::payload::cert::{self, CertificatePayload};
use crate::wire::payload::configuration::Configuration;
use crate::wire::payload::eap::EapPacket;
use crate::wire::payload::id::{self, Identification};
use crate::wire::payload::notify::Notify;
use crate::wire::payload::ts::TrafficSelector;
use crate::wire::payload::{Payloads, RawPayload, once, require, sa, skip, ts};
use crate::wire::writer::{Chain, ChainWriter};

/// The request, as a responder reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRequest<'a> {
    /// IDi.
    pub initiator: Identification<'a>,
    /// IDr: whom the initiator wants to reach.
    pub wanted: Option<Identification<'a>>,
    /// CERT: X.509 certificates, the leaf first.
    pub certificates: Vec<CertificateDer<'a>>,
    /// CERTREQ: authorities whose certificates it takes.
    pub authorities: Vec<AuthorityHash>,
    /// AUTH; without it the initiator wants EAP (RFC 7296 §2.16).
    pub authentication: Option<Authentication<'a>>,
    /// CP.
    pub configuration: Option<Configuration<'a>>,
    /// SAi2, TSi, TSr; absent in a childless exchange (RFC 6023 §4).
    pub child: Option<ChildPayloads>,
    /// INITIAL_CONTACT: the initiator knows of no other IKE SA (RFC 7296 §2.4).
    pub initial_contact: bool,
    /// MOBIKE_SUPPORTED (RFC 4555 §3.1).
    pub mobike: bool,
    /// NO_NATS_ALLOWED: the addresses and ports it was sent between (RFC 4555 §3.9).
    pub no_nats_allowed: Option<Vec<u8>>,
    /// EAP_ONLY_AUTHENTICATION: EAP may prove who the responder is (RFC 5998 §3).
    pub eap_alone: bool,
}

/// The response, as an initiator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthResponse<'a> {
    /// IDr.
    pub responder: Identification<'a>,
    /// CERT: X.509 certificates, the leaf first.
    pub certificates: Vec<CertificateDer<'a>>,
    /// AUTH.
    pub authentication: Authentication<'a>,
    /// What it gives us.
    pub grant: Grant<'a>,
}

/// What a responder gives an initiator that it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// CP.
    pub configuration: Option<Configuration<'a>>,
    /// SAr2, TSi, TSr.
    pub child: Option<ChildPayloads>,
    /// Why there is no CHILD SA.
    pub child_error: Option<NotifyType>,
}

/// What can come back on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthReply<T> {
    /// What was asked for.
    Accepted(Box<T>),
    /// The responder does not go on.
    Refused(NotifyType),
}

impl<T> AuthReply<T> {
    /// What the responder says in place of a payload that must be there.
    pub(super) fn without(kind: PayloadType, error: Option<NotifyType>) -> Result<Self, Error> {
        Ok(Self::Refused(require(error, kind)?))
    }
}

/// The payloads of either message, before it is known what must be there.
#[derive(Default)]
pub(super) struct Fields<'a> {
    initiator: Option<Identification<'a>>,
    pub(super) responder: Option<Identification<'a>>,
    pub(super) certificates: Vec<CertificateDer<'a>>,
    authorities: Vec<AuthorityHash>,
    pub(super) authentication: Option<Authentication<'a>>,
    pub(super) packet: Option<EapPacket<'a>>,
    configuration: Option<Configuration<'a>>,
    proposals: Option<Vec<sa::Proposal>>,
    selectors_initiator: Option<Vec<TrafficSelector>>,
    selectors_responder: Option<Vec<TrafficSelector>>,
    more: bool,
    pub(super) error: Option<NotifyType>,
    initial_contact: bool,
    mobike: bool,
    no_nats_allowed: Option<Vec<u8>>,
    eap_alone: bool,
}

impl<'a> Fields<'a> {
    /// Reads a response, in which EAP may be.
    pub(super) fn decode_response(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Self::default();
        for payload in Payloads::new(first, octets) {
            let payload = payload?;
            match payload.kind {
                kind @ PayloadType::EAP => {
                    once(&mut fields.packet, kind, EapPacket::decode(payload.body)?)?;
                }
                _ => fields.take(&payload)?,
            }
        }
        Ok(fields)
    }

    fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Self::default();
        for payload in Payloads::new(first, octets) {
            fields.take(&payload?)?;
        }
        Ok(fields)
    }

    fn take(&mut self, payload: &RawPayload<'a>) -> Result<(), Error> {
        let body = payload.body;
        match payload.kind {
            kind @ PayloadType::ID_INITIATOR => {
                once(&mut self.initiator, kind, Identification::decode(body)?)?;
            }
            kind @ PayloadType::ID_RESPONDER => {
                once(&mut self.responder, kind, Identification::decode(body)?)?;
            }
            PayloadType::CERTIFICATE => self.certificate(body)?,
            PayloadType::CERTIFICATE_REQUEST => self
                .authorities
                .extend_from_slice(cert::decode_request(body)?),
            kind @ PayloadType::AUTHENTICATION => {
                once(
                    &mut self.authentication,
                    kind,
                    Authentication::decode(body)?,
                )?;
            }
            kind @ PayloadType::CONFIGURATION => {
                once(&mut self.configuration, kind, Configuration::decode(body)?)?;
            }
            kind @ PayloadType::SECURITY_ASSOCIATION => {
                once(&mut self.proposals, kind, sa::decode(body)?)?;
            }
            kind @ PayloadType::TRAFFIC_SELECTOR_INITIATOR => {
                once(&mut self.selectors_initiator, kind, ts::decode(body)?)?;
            }
            kind @ PayloadType::TRAFFIC_SELECTOR_RESPONDER => {
                once(&mut self.selectors_responder, kind, ts::decode(body)?)?;
            }
            PayloadType::NOTIFY => self.notify(&Notify::decode(body)?),
            _ => skip(payload)?,
        }
        Ok(())
    }

    fn notify(&mut self, notify: &Notify<'_>) {
        match notify.kind {
            NotifyType::INITIAL_CONTACT => self.initial_contact = true,
            NotifyType::MOBIKE_SUPPORTED => self.mobike = true,
            NotifyType::EAP_ONLY_AUTHENTICATION => self.eap_alone = true,
            NotifyType::ADDITIONAL_TS_POSSIBLE => self.more = true,
            NotifyType::NO_NATS_ALLOWED => self.no_nats_allowed = Some(notify.data.to_vec()),
            kind if kind.is_error() => self.error = Some(kind),
            _ => {}
        }
    }

    fn certificate(&mut self, body: &'a [u8]) -> Result<(), Error> {
        let certificate = CertificatePayload::decode(body)?;
        if certificate.encoding == CertificateEncoding::X509_SIGNATURE {
            if self.certificates.len() == CERTIFICATES_MAX {
                return Err(Limit::Certificates.into());
            }
            self.certificates
                .push(CertificateDer::from(certificate.data));
        }
        Ok(())
    }

    /// SA, TSi and TSr come together or not at all (RFC 6023 §4).
    fn child(&mut self) -> Result<Option<ChildPayloads>, Error> {
        let (proposals, initiator, responder) = (
            self.proposals.take(),
            self.selectors_initiator.take(),
            self.selectors_responder.take(),
        );
        if proposals.is_none() && initiator.is_none() && responder.is_none() {
            return Ok(None);
        }
        Ok(Some(ChildPayloads {
            proposals: require(proposals, PayloadType::SECURITY_ASSOCIATION)?,
            selectors: Selectors {
                initiator: require(initiator, PayloadType::TRAFFIC_SELECTOR_INITIATOR)?,
                responder: require(responder, PayloadType::TRAFFIC_SELECTOR_RESPONDER)?,
                more: self.more,
            },
        }))
    }

    pub(super) fn grant(mut self) -> Result<Grant<'a>, Error> {
        Ok(Grant {
            child: self.child()?,
            configuration: self.configuration,
            child_error: self.error,
        })
    }
}

impl<'a> AuthRequest<'a> {
    /// Reads the payloads inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Fields::decode(first, octets)?;
        let child = fields.child()?;
        Ok(Self {
            initiator: require(fields.initiator, PayloadType::ID_INITIATOR)?,
            wanted: fields.responder,
            certificates: fields.certificates,
            authorities: fields.authorities,
            authentication: fields.authentication,
            configuration: fields.configuration,
            child,
            initial_contact: fields.initial_contact,
            mobike: fields.mobike,
            no_nats_allowed: fields.no_nats_allowed,
            eap_alone: fields.eap_alone,
        })
    }
}

impl<'a> AuthResponse<'a> {
    /// Reads the payloads inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<AuthReply<Self>, Error> {
        let mut fields = Fields::decode(first, octets)?;
        // With AUTH, an error concerns the CHILD SA only (RFC 7296 §2.21.2).
        let Some(authentication) = fields.authentication.take() else {
            return AuthReply::without(PayloadType::AUTHENTICATION, fields.error);
        };
        Ok(AuthReply::Accepted(Box::new(Self {
            responder: require(fields.responder.take(), PayloadType::ID_RESPONDER)?,
            certificates: core::mem::take(&mut fields.certificates),
            authentication,
            grant: fields.grant()?,
        })))
    }
}

/// Our own message, of either kind, in the order of the RFC.
#[derive(Debug)]
pub struct AuthMessage<'a> {
    /// IDi or IDr, whichever we are, unless it has been said.
    pub identity: Option<(PayloadType, &'a [u8])>,
    /// CERT.
    pub certificates: &'a [CertificateDer<'static>],
    /// CERTREQ.
    pub authorities: &'a [AuthorityHash],
    /// IDr, in a request: whom we want to reach.
    pub wanted: Option<&'a [u8]>,
    /// AUTH; without it we want EAP (RFC 7296 §2.16).
    pub authentication: Option<OwnAuthentication<'a>>,
    /// CP.
    pub configuration: Option<Configuration<'a>>,
    /// SA, TSi, TSr, or why there is none.
    pub child: Result<Option<ChildPayloads>, ErrorNotify>,
    /// What else there is to say: types and data.
    pub notifies: &'a [(NotifyType, Vec<u8>)],
}

/// How we prove who we are.
#[derive(Clone, Copy, Debug)]
pub enum OwnAuthentication<'a> {
    /// A MIC under the shared key.
    SharedKey(&'a [u8]),
    /// A signature.
    Signature {
        /// Its method.
        method: AuthMethod,
        /// Its AlgorithmIdentifier in DER, where the method takes one.
        identifier: &'a [u8],
        /// Itself.
        signature: &'a [u8],
    },
}

impl AuthMessage<'_> {
    /// Writes the payloads inside the encrypted payload.
    #[must_use]
    pub fn encode(&self) -> Chain {
        let mut chain = ChainWriter::default();
        if let Some((kind, identity)) = self.identity {
            id::encode(&mut chain, kind, identity);
        }
        for certificate in self.certificates {
            CertificatePayload::encode_x509(&mut chain, certificate);
        }
        if !self.authorities.is_empty() {
            cert::encode_request(&mut chain, self.authorities);
        }
        if let Some(wanted) = self.wanted {
            id::encode(&mut chain, PayloadType::ID_RESPONDER, wanted);
        }
        if let Some(authentication) = self.authentication {
            authentication.encode(&mut chain);
        }
        if let Some(configuration) = &self.configuration {
            configuration.encode(&mut chain);
        }
        match &self.child {
            Ok(Some(child)) => child.encode(&mut chain),
            Ok(None) => {}
            Err(error) => Notify::new(error.kind, error.data()).encode(&mut chain),
        }
        for (kind, data) in self.notifies {
            Notify::new(*kind, data).encode(&mut chain);
        }
        chain.finish()
    }
}

impl OwnAuthentication<'_> {
    pub(super) fn encode(self, chain: &mut ChainWriter) {
        use crate::wire::payload::auth;
        match self {
            Self::SharedKey(mic) => auth::encode_shared_key(chain, mic),
            Self::Signature {
                method,
                identifier,
                signature,
            } => auth::encode_signature(chain, method, identifier, signature),
        }
    }
}
