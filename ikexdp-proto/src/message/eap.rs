//! IKE_AUTH with EAP (RFC 7296 §2.16, RFC 5998), inside the encrypted payload.
//!
//! ```text
//! SK {IDi, [CERTREQ], [IDr], [CP], SAi2, TSi, TSr, [N+]}  -->
//!                                     <--  SK {IDr, [CERT+], [AUTH], EAP}
//! SK {EAP}  -->
//!                                     <--  SK {EAP}
//! SK {AUTH}  -->
//!                                     <--  SK {AUTH, [CP], SAr2, TSi, TSr, [N+]}
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use rustls_pki_types::CertificateDer;

use crate::error::Error;
use crate::message::auth::{AuthReply, Fields, Grant, OwnAuthentication};
use crate::wire::iana::{NotifyType, PayloadType};
use crate::wire::payload::auth::Authentication;
use crate::wire::payload::cert::CertificatePayload;
use crate::wire::payload::eap::{self, EapPacket};
use crate::wire::payload::id::Identification;
use crate::wire::payload::notify::Notify;
use crate::wire::payload::{Payloads, id, once, require, skip};
use crate::wire::writer::{Chain, ChainWriter};

/// A request in the middle, as a responder reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapRequest<'a> {
    /// EAP.
    pub packet: EapPacket<'a>,
}

/// The last request, as a responder reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapProof<'a> {
    /// AUTH, by the key that EAP made.
    pub authentication: Authentication<'a>,
}

impl<'a> EapRequest<'a> {
    /// Reads the payloads inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let mut packet = None;
        for payload in Payloads::new(first, octets) {
            let payload = payload?;
            match payload.kind {
                kind @ PayloadType::EAP => {
                    once(&mut packet, kind, EapPacket::decode(payload.body)?)?;
                }
                _ => skip(&payload)?,
            }
        }
        Ok(Self {
            packet: require(packet, PayloadType::EAP)?,
        })
    }
}

impl<'a> EapProof<'a> {
    /// Reads the payloads inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let mut authentication = None;
        for payload in Payloads::new(first, octets) {
            let payload = payload?;
            match payload.kind {
                kind @ PayloadType::AUTHENTICATION => {
                    let value = Authentication::decode(payload.body)?;
                    once(&mut authentication, kind, value)?;
                }
                _ => skip(&payload)?,
            }
        }
        Ok(Self {
            authentication: require(authentication, PayloadType::AUTHENTICATION)?,
        })
    }
}

/// The first response, as an initiator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EapOpened<'a> {
    /// IDr.
    pub responder: Identification<'a>,
    /// CERT: X.509 certificates, the leaf first.
    pub certificates: Vec<CertificateDer<'a>>,
    /// AUTH.
    pub authentication: Authentication<'a>,
    /// EAP.
    pub packet: EapPacket<'a>,
}

/// A response in the middle, as an initiator reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapResponse<'a> {
    /// EAP.
    pub packet: EapPacket<'a>,
}

/// The last response, as an initiator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EapAccepted<'a> {
    /// AUTH, by the key that EAP made.
    pub authentication: Authentication<'a>,
    /// What the responder gives us.
    pub grant: Grant<'a>,
}

impl<'a> EapOpened<'a> {
    /// Reads the payloads inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message: without AUTH, EAP would have to prove who
    /// the responder is as well, which we do not ask for (RFC 5998).
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<AuthReply<Self>, Error> {
        let fields = Fields::decode_response(first, octets)?;
        let Some(authentication) = fields.authentication else {
            return AuthReply::without(PayloadType::AUTHENTICATION, fields.error);
        };
        let Some(packet) = fields.packet else {
            return AuthReply::without(PayloadType::EAP, fields.error);
        };
        Ok(AuthReply::Accepted(Box::new(Self {
            responder: require(fields.responder, PayloadType::ID_RESPONDER)?,
            certificates: fields.certificates,
            authentication,
            packet,
        })))
    }
}

impl<'a> EapResponse<'a> {
    /// Reads the payloads inside the encrypted payload. What a responder says besides
    /// an EAP-Failure adds nothing to it.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<AuthReply<Self>, Error> {
        let fields = Fields::decode_response(first, octets)?;
        let Some(packet) = fields.packet else {
            return AuthReply::without(PayloadType::EAP, fields.error);
        };
        Ok(AuthReply::Accepted(Box::new(Self { packet })))
    }
}

impl<'a> EapAccepted<'a> {
    /// Reads the payloads inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<AuthReply<Self>, Error> {
        let mut fields = Fields::decode_response(first, octets)?;
        let Some(authentication) = fields.authentication.take() else {
            return AuthReply::without(PayloadType::AUTHENTICATION, fields.error);
        };
        Ok(AuthReply::Accepted(Box::new(Self {
            authentication,
            grant: fields.grant()?,
        })))
    }
}

/// The first response: who we are, and the first question.
#[derive(Debug)]
pub struct EapOpening<'a> {
    /// IDr.
    pub identity: &'a [u8],
    /// CERT.
    pub certificates: &'a [CertificateDer<'static>],
    /// AUTH; without it EAP proves who we are as well (RFC 5998 §3).
    pub authentication: Option<OwnAuthentication<'a>>,
    /// EAP.
    pub packet: &'a [u8],
}

impl EapOpening<'_> {
    /// Writes the payloads inside the encrypted payload.
    #[must_use]
    pub fn encode(&self) -> Chain {
        let mut chain = ChainWriter::default();
        id::encode(&mut chain, PayloadType::ID_RESPONDER, self.identity);
        for certificate in self.certificates {
            CertificatePayload::encode_x509(&mut chain, certificate);
        }
        if let Some(authentication) = self.authentication {
            authentication.encode(&mut chain);
        }
        eap::encode(&mut chain, self.packet);
        chain.finish()
    }
}

/// A message that says no more than an EAP packet, and perhaps why it ends here.
#[must_use]
pub fn eap_only(packet: &[u8], end: Option<NotifyType>) -> Chain {
    let mut chain = ChainWriter::default();
    eap::encode(&mut chain, packet);
    if let Some(kind) = end {
        Notify::new(kind, &[]).encode(&mut chain);
    }
    chain.finish()
}

/// The last request: that we have the key that EAP made.
#[must_use]
pub fn eap_proof(mic: &[u8]) -> Chain {
    let mut chain = ChainWriter::default();
    OwnAuthentication::SharedKey(mic).encode(&mut chain);
    chain.finish()
}
