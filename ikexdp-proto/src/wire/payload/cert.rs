//! Certificate and Certificate Request payloads (RFC 7296 §3.6, §3.7).
//!
//! ```text
//! | encoding | certificate, or SHA-1 hashes of authorities' public keys |
//! ```

use crate::crypto::cert::AuthorityHash;
use crate::error::{Fault, Malformed};
use crate::wire::iana::{CertificateEncoding, PayloadType};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// A certificate, or something else of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificatePayload<'a> {
    /// What it is.
    pub encoding: CertificateEncoding,
    /// Its octets; for X.509 the certificate in DER.
    pub data: &'a [u8],
}

impl<'a> CertificatePayload<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`Malformed`] if it is empty.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let encoding = CertificateEncoding(reader.u8("certificate encoding")?);
        Ok(Self {
            encoding,
            data: reader.rest(),
        })
    }

    /// Appends a CERT payload with an X.509 certificate.
    pub fn encode_x509(chain: &mut ChainWriter, certificate: &[u8]) {
        chain.payload(PayloadType::CERTIFICATE, |body| {
            body.u8(CertificateEncoding::X509_SIGNATURE.0);
            body.bytes(certificate);
        });
    }
}

/// Reads the authorities that the body of a CERTREQ names; none if it asks for
/// another kind of certificate.
///
/// # Errors
/// [`Malformed`] if it is empty, or not made of whole hashes.
pub fn decode_request(body: &[u8]) -> Result<&[AuthorityHash], Malformed> {
    const FIELD: &str = "certificate request";
    let mut reader = Reader::new(body);
    let encoding = CertificateEncoding(reader.u8(FIELD)?);
    let (hashes, rest) = reader.rest().as_chunks();
    if encoding != CertificateEncoding::X509_SIGNATURE {
        return Ok(&[]);
    }
    if rest.is_empty() {
        Ok(hashes)
    } else {
        Err(Malformed {
            field: FIELD,
            fault: Fault::Length,
        })
    }
}

/// Appends a CERTREQ payload that names `authorities`.
pub fn encode_request(chain: &mut ChainWriter, authorities: &[AuthorityHash]) {
    chain.payload(PayloadType::CERTIFICATE_REQUEST, |body| {
        body.u8(CertificateEncoding::X509_SIGNATURE.0);
        for hash in authorities {
            body.bytes(hash);
        }
    });
}
