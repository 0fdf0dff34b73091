//! IKE_SA_INIT (RFC 7296 §1.2).
//!
//! ```text
//! HDR, [N(COOKIE)], SAi1, KEi, Ni, [N(NAT_DETECTION_*)], [N+]  -->
//!                    <--  HDR, SAr1, KEr, Nr, [N(NAT_DETECTION_*)], [CERTREQ], [N+]
//!                    <--  HDR, N(COOKIE) | N(INVALID_KE_PAYLOAD) | N(NO_PROPOSAL_CHOSEN)
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::size_test;
use crate::crypto::cert::AuthorityHash;
use crate::error::Error;
use crate::nat::NatHashes;
use crate::windows;
use crate::wire::iana::{GroupId, HashAlgorithm, NotifyType, PayloadType};
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::notify::Notify;
use crate::wire::payload::sa::{self, Proposal};
use crate::wire::payload::{Payloads, cert, nonce, once, require, skip};
use crate::wire::writer::{Chain, ChainWriter};

/// What either side announces in notifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitNotifies {
    /// NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP.
    pub nat: NatHashes,
    /// IKEV2_FRAGMENTATION_SUPPORTED (RFC 7383 §2.3).
    pub fragmentation: bool,
    /// SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4); empty if there is none.
    pub signature_hashes: Vec<HashAlgorithm>,
    /// CHILDLESS_IKEV2_SUPPORTED (RFC 6023 §3), from a responder.
    pub childless: bool,
}

/// The request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitRequest<'a> {
    /// The cookie we asked for.
    pub cookie: Option<&'a [u8]>,
    /// SAi1.
    pub proposals: Vec<Proposal>,
    /// KEi.
    pub key_exchange: KeyExchange<'a>,
    /// Ni.
    pub nonce: &'a [u8],
    /// What the initiator announces.
    pub notifies: InitNotifies,
    /// Whether it says that it is Windows, by a vendor ID.
    pub is_windows: bool,
    /// Octets of the answer that is wanted, if all it wants is to know how long one may be.
    pub size_test: Option<u16>,
}

/// The response of a responder that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitResponse<'a> {
    /// SAr1.
    pub proposal: Proposal,
    /// KEr.
    pub key_exchange: KeyExchange<'a>,
    /// Nr.
    pub nonce: &'a [u8],
    /// What the responder announces.
    pub notifies: InitNotifies,
    /// CERTREQ: authorities whose certificates it takes.
    pub authorities: Vec<AuthorityHash>,
}

/// What can come back on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitReply<'a> {
    /// The responder goes on.
    Accepted(Box<InitResponse<'a>>),
    /// Ask again with this cookie in front.
    Cookie(&'a [u8]),
    /// Ask again with a key of this group.
    InvalidKe(GroupId),
    /// It does not go on.
    Refused(NotifyType),
}

/// The payloads of either message, before it is known what must be there.
#[derive(Default)]
struct Fields<'a> {
    proposals: Option<Vec<Proposal>>,
    key_exchange: Option<KeyExchange<'a>>,
    nonce: Option<&'a [u8]>,
    cookie: Option<&'a [u8]>,
    invalid_ke: Option<GroupId>,
    error: Option<NotifyType>,
    notifies: InitNotifies,
    authorities: Vec<AuthorityHash>,
    is_windows: bool,
    size_test: Option<u16>,
}

impl<'a> Fields<'a> {
    fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Self::default();
        for payload in Payloads::new(first, octets) {
            let payload = payload?;
            let body = payload.body;
            match payload.kind {
                kind @ PayloadType::SECURITY_ASSOCIATION => {
                    once(&mut fields.proposals, kind, sa::decode(body)?)?;
                }
                kind @ PayloadType::KEY_EXCHANGE => {
                    once(&mut fields.key_exchange, kind, KeyExchange::decode(body)?)?;
                }
                kind @ PayloadType::NONCE => {
                    once(&mut fields.nonce, kind, nonce::decode(body)?)?;
                }
                PayloadType::NOTIFY => fields.notify(Notify::decode(body)?),
                PayloadType::CERTIFICATE_REQUEST => {
                    fields
                        .authorities
                        .extend_from_slice(cert::decode_request(body)?);
                }
                PayloadType::VENDOR_ID => {
                    fields.is_windows |= body.starts_with(&windows::VENDOR_ID)
                }
                _ => skip(&payload)?,
            }
        }
        Ok(fields)
    }

    fn notify(&mut self, notify: Notify<'a>) {
        let notifies = &mut self.notifies;
        match notify.kind {
            NotifyType::COOKIE => self.cookie = Some(notify.data),
            NotifyType::NAT_DETECTION_SOURCE_IP | NotifyType::NAT_DETECTION_DESTINATION_IP => {
                notifies.nat.read(&notify);
            }
            NotifyType::IKEV2_FRAGMENTATION_SUPPORTED => notifies.fragmentation = true,
            NotifyType::CHILDLESS_IKEV2_SUPPORTED => notifies.childless = true,
            NotifyType::SIGNATURE_HASH_ALGORITHMS => {
                let (hashes, _) = notify.data.as_chunks();
                let hash = |octets: &[u8; 2]| HashAlgorithm(u16::from_be_bytes(*octets));
                notifies.signature_hashes.extend(hashes.iter().map(hash));
            }
            NotifyType::INVALID_KE_PAYLOAD => {
                self.invalid_ke = notify.group();
                self.error = Some(notify.kind);
            }
            NotifyType::SIZE_TEST => self.size_test = size_test::decode(&notify),
            kind if kind.is_error() => self.error = Some(kind),
            _ => {}
        }
    }
}

impl<'a> InitRequest<'a> {
    /// Reads the payloads behind the header.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let fields = Fields::decode(first, octets)?;
        Ok(Self {
            cookie: fields.cookie,
            proposals: require(fields.proposals, PayloadType::SECURITY_ASSOCIATION)?,
            key_exchange: require(fields.key_exchange, PayloadType::KEY_EXCHANGE)?,
            nonce: require(fields.nonce, PayloadType::NONCE)?,
            notifies: fields.notifies,
            is_windows: fields.is_windows,
            size_test: fields.size_test,
        })
    }

    /// Writes the payloads behind the header.
    #[must_use]
    pub fn encode(&self) -> Chain {
        let mut chain = ChainWriter::default();
        if let Some(cookie) = self.cookie {
            // RFC 7296 §2.6: the cookie must be the first payload.
            Notify::new(NotifyType::COOKIE, cookie).encode(&mut chain);
        }
        sa::encode(&mut chain, &self.proposals);
        self.key_exchange.encode(&mut chain);
        nonce::encode(&mut chain, self.nonce);
        self.notifies.encode(&mut chain);
        if self.is_windows {
            chain.payload(PayloadType::VENDOR_ID, |body| {
                body.bytes(&windows::VENDOR_ID);
                body.u32(windows::VERSION);
            });
        }
        if let Some(wanted) = self.size_test {
            size_test::encode(&mut chain, wanted, 0);
        }
        chain.finish()
    }
}

impl InitResponse<'_> {
    /// Writes the payloads behind the header.
    #[must_use]
    pub fn encode(&self) -> Chain {
        let mut chain = ChainWriter::default();
        sa::encode(&mut chain, core::slice::from_ref(&self.proposal));
        self.key_exchange.encode(&mut chain);
        nonce::encode(&mut chain, self.nonce);
        self.notifies.encode(&mut chain);
        if !self.authorities.is_empty() {
            cert::encode_request(&mut chain, &self.authorities);
        }
        chain.finish()
    }
}

impl<'a> InitReply<'a> {
    /// Reads the payloads behind the header.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let fields = Fields::decode(first, octets)?;
        if let Some(group) = fields.invalid_ke {
            return Ok(Self::InvalidKe(group));
        }
        if let Some(error) = fields.error {
            return Ok(Self::Refused(error));
        }
        if let (Some(cookie), None) = (fields.cookie, &fields.proposals) {
            return Ok(Self::Cookie(cookie));
        }
        let proposals = require(fields.proposals, PayloadType::SECURITY_ASSOCIATION)?;
        Ok(Self::Accepted(Box::new(InitResponse {
            proposal: require(
                proposals.into_iter().next(),
                PayloadType::SECURITY_ASSOCIATION,
            )?,
            key_exchange: require(fields.key_exchange, PayloadType::KEY_EXCHANGE)?,
            nonce: require(fields.nonce, PayloadType::NONCE)?,
            notifies: fields.notifies,
            authorities: fields.authorities,
        })))
    }
}

impl InitNotifies {
    fn encode(&self, chain: &mut ChainWriter) {
        self.nat.encode(chain);
        if self.fragmentation {
            Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]).encode(chain);
        }
        if !self.signature_hashes.is_empty() {
            let hash = |hash: &HashAlgorithm| hash.0.to_be_bytes();
            let hashes: Vec<u8> = self.signature_hashes.iter().flat_map(hash).collect();
            Notify::new(NotifyType::SIGNATURE_HASH_ALGORITHMS, &hashes).encode(chain);
        }
        if self.childless {
            Notify::new(NotifyType::CHILDLESS_IKEV2_SUPPORTED, &[]).encode(chain);
        }
    }
}

/// A reply that is one notify and nothing else.
#[must_use]
pub fn notify_only(notify: &Notify<'_>) -> Chain {
    let mut chain = ChainWriter::default();
    notify.encode(&mut chain);
    chain.finish()
}
