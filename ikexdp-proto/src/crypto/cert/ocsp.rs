//! What a responder says of one certificate (RFC 6960).

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString};
use der::{Any, Decode, Encode, Enumerated, Reader, Sequence, SliceReader, Tag, TagNumber, Tagged};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter};

use super::algorithm::OF_CERTIFICATES;
use super::crl::currency;
use super::path::{Issued, Signed, has_signed};
use super::revocation::{Revoked, Status, Unknown};

/// The hash that names an issuer. Every responder knows it, and nothing hangs on
/// it: the answer is signed.
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// How long an answer counts that does not say it: there is a newer one any time,
/// and this one may be somebody's repeat.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Certificates in an answer that are looked at.
const SIGNERS_MAX: usize = 4;

/// An answer that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub status: Status,
    /// Until when.
    pub until: UnixTime,
}

/// Why something is no answer that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// It cannot be read.
    Unreadable,
    /// The responder gives none (RFC 6960 §4.2.1).
    Refused(ResponseStatus),
    /// It is signed by nobody who may.
    Signer,
    /// It is about another certificate.
    Subject,
    /// It does not count any more, or not yet.
    Time,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumerated)]
#[repr(u32)]
pub enum ResponseStatus {
    /// There is an answer.
    Successful = 0,
    /// The request cannot be read.
    MalformedRequest = 1,
    /// The responder is at fault.
    InternalError = 2,
    /// It may be asked later.
    TryLater = 3,
    /// The request must be signed.
    SigRequired = 5,
    /// It does not answer us.
    Unauthorized = 6,
}

#[derive(Sequence)]
struct Request {
    content: RequestContent,
}

#[derive(Sequence)]
struct RequestContent {
    list: Vec<SingleRequest>,
}

#[derive(Sequence)]
struct SingleRequest {
    certificate: CertId,
}

#[derive(Sequence)]
struct CertId {
    hash_algorithm: Algorithm,
    issuer_name_hash: OctetString,
    issuer_key_hash: OctetString,
    serial_number: Any,
}

#[derive(Sequence)]
struct Algorithm {
    oid: ObjectIdentifier,
    #[asn1(optional = "true")]
    parameters: Option<Any>,
}

#[derive(Sequence)]
struct Response {
    status: ResponseStatus,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    bytes: Option<ResponseBytes>,
}

#[derive(Sequence)]
struct ResponseBytes {
    kind: ObjectIdentifier,
    response: OctetString,
}

#[derive(Sequence)]
struct BasicResponse {
    content: Any,
    algorithm: Any,
    signature: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    certificates: Option<Vec<Any>>,
}

#[derive(Sequence)]
struct ResponseContent {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    version: Option<u8>,
    /// Whoever it is, the signature tells.
    responder: Any,
    produced_at: GeneralizedTime,
    responses: Vec<SingleResponse>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Any>,
}

#[derive(Sequence)]
struct SingleResponse {
    certificate: CertId,
    status: Any,
    this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    next_update: Option<GeneralizedTime>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Any>,
}

impl Issued {
    /// What to send to a responder.
    #[must_use]
    pub fn status_request(&self) -> Option<Vec<u8>> {
        let certificate = CertId::of(self).ok()?;
        let list = vec![SingleRequest { certificate }];
        let content = RequestContent { list };
        Request { content }.to_der().ok()
    }

    /// Reads what a responder has sent.
    ///
    /// # Errors
    /// [`AnswerError`] if it is no answer about this certificate, of somebody who
    /// may give one, that counts at `now`.
    pub fn read_status(&self, response: &[u8], now: UnixTime) -> Result<Answer, AnswerError> {
        let response = Response::from_der(response)?;
        let bytes = match (response.status, response.bytes) {
            (ResponseStatus::Successful, Some(bytes)) if bytes.kind == BASIC => bytes,
            (ResponseStatus::Successful, _) => return Err(AnswerError::Unreadable),
            (refused, _) => return Err(AnswerError::Refused(refused)),
        };
        let basic = BasicResponse::from_der(bytes.response.as_bytes())?;
        let signed = Signed {
            octets: basic.content.to_der()?,
            algorithm: basic.algorithm.value().to_vec(),
            signature: basic.signature.raw_bytes().to_vec(),
        };
        let delegates = basic.certificates.unwrap_or_default();
        let mut delegates = delegates.iter().take(SIGNERS_MAX);
        let is_signed = has_signed(self.issuer.public_key(), &signed)
            || delegates.any(|it| self.is_signed_by_delegate(it, &signed, now));
        if !is_signed {
            return Err(AnswerError::Signer);
        }
        let content = ResponseContent::from_der(&signed.octets)?;
        let wanted = CertId::of(self)?;
        let mut responses = content.responses.iter();
        let response = responses.find(|it| it.certificate.is_same_as(&wanted));
        response.ok_or(AnswerError::Subject)?.answer(now)
    }

    /// Whether the issuer has had `certificate` sign `signed` for it
    /// (RFC 6960 §4.2.2.2).
    fn is_signed_by_delegate(&self, certificate: &Any, signed: &Signed, now: UnixTime) -> bool {
        let (Ok(encoded), Ok(public_key)) = (
            certificate.to_der(),
            Any::from_der(self.issuer.public_key()),
        ) else {
            return false;
        };
        let encoded = CertificateDer::from(encoded);
        let anchor = TrustAnchor {
            subject: self.issuer.name().into(),
            subject_public_key_info: public_key.value().into(),
            name_constraints: None,
        };
        let Ok(end_entity) = EndEntityCert::try_from(&encoded) else {
            return false;
        };
        let verified = end_entity.verify_for_usage(
            &OF_CERTIFICATES,
            core::slice::from_ref(&anchor),
            &[],
            now,
            Responder,
            None,
            None,
        );
        verified.is_ok() && has_signed(&end_entity.subject_public_key_info(), signed)
    }
}

/// What a certificate must allow that signs answers for its issuer.
struct Responder;

impl ExtendedKeyUsageValidator for Responder {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
        for purpose in purposes {
            if purpose? == KeyPurposeId::new(OCSP_SIGNING) {
                return Ok(());
            }
        }
        Err(webpki::Error::EmptyEkuExtension)
    }
}

impl CertId {
    fn of(issued: &Issued) -> Result<Self, der::Error> {
        let hash = |octets: &[u8]| {
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, octets);
            OctetString::new(hash.as_ref())
        };
        let name = Any::new(Tag::Sequence, issued.issuer.name())?.to_der()?;
        Ok(Self {
            hash_algorithm: Algorithm {
                oid: SHA1,
                parameters: Some(Any::null()),
            },
            issuer_name_hash: hash(&name)?,
            issuer_key_hash: hash(&key_octets(issued.issuer.public_key())?)?,
            serial_number: Any::new(Tag::Integer, issued.serial.as_slice())?,
        })
    }

    /// The parameters of an algorithm that has none may be there or not.
    fn is_same_as(&self, other: &Self) -> bool {
        self.hash_algorithm.oid == other.hash_algorithm.oid
            && self.issuer_name_hash == other.issuer_name_hash
            && self.issuer_key_hash == other.issuer_key_hash
            && self.serial_number == other.serial_number
    }
}

/// The key in a SubjectPublicKeyInfo.
fn key_octets(public_key: &[u8]) -> Result<Vec<u8>, der::Error> {
    #[derive(Sequence)]
    struct PublicKeyInfo {
        algorithm: Any,
        key: BitString,
    }
    let info = PublicKeyInfo::from_der(public_key)?;
    Ok(info.key.raw_bytes().to_vec())
}

impl SingleResponse {
    fn answer(&self, now: UnixTime) -> Result<Answer, AnswerError> {
        let this_update = moment(self.this_update);
        let until = match self.next_update {
            Some(time) => moment(time),
            None => {
                let until = this_update.as_secs().saturating_add(LIFETIME.as_secs());
                UnixTime::since_unix_epoch(Duration::from_secs(until))
            }
        };
        if currency(this_update, Some(until), now) != Status::Good {
            return Err(AnswerError::Time);
        }
        let status = match self.status.tag() {
            Tag::ContextSpecific {
                number: TagNumber(0),
                ..
            } => Status::Good,
            Tag::ContextSpecific {
                number: TagNumber(1),
                ..
            } => {
                let mut content = SliceReader::new(self.status.value())?;
                let since = moment(GeneralizedTime::decode(&mut content)?);
                content.read_slice(content.remaining_len())?;
                Status::Revoked(Revoked {
                    since,
                    reason: None,
                })
            }
            Tag::ContextSpecific {
                number: TagNumber(2),
                ..
            } => Status::Unknown(Unknown::Responder),
            _ => return Err(AnswerError::Unreadable),
        };
        Ok(Answer { status, until })
    }
}

fn moment(time: GeneralizedTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.to_unix_duration())
}

impl From<der::Error> for AnswerError {
    fn from(_: der::Error) -> Self {
        Self::Unreadable
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("not an answer of a responder"),
            Self::Refused(status) => write!(f, "the responder gives no answer: {status:?}"),
            Self::Signer => f.write_str("signed by nobody whom the issuer lets answer"),
            Self::Subject => f.write_str("about another certificate"),
            Self::Time => f.write_str("out of date, or of a later time"),
        }
    }
}

impl core::error::Error for AnswerError {}
