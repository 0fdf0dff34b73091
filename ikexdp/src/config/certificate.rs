//! Certificates as an operator looks at them.

use std::fmt;
use std::path::Path;

use der::Decode;
use der::oid::ObjectIdentifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};
use x509_cert::time::Time;

use super::caution::Caution;

/// Usages by which the clients in the field recognize a gateway.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// A certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Its subject.
    pub subject: String,
    /// The last moment it is valid.
    pub expires: Time,
    /// Its length in DER, in octets.
    pub length: usize,
}

impl fmt::Display for CertificateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject, expires, ..
        } = self;
        write!(f, "{subject} (until {expires})")
    }
}

/// A certificate that has been read.
pub(super) struct Parsed {
    certificate: Certificate,
    length: usize,
}

impl Parsed {
    /// Reads each of `chain`; those that cannot be read are the business of
    /// whoever takes the DER.
    pub(super) fn all(chain: &[CertificateDer<'_>]) -> Vec<Self> {
        let parse = |encoded: &CertificateDer<'_>| {
            Some(Self {
                certificate: Certificate::from_der(encoded).ok()?,
                length: encoded.len(),
            })
        };
        chain.iter().filter_map(parse).collect()
    }

    pub(super) fn summary(&self) -> CertificateSummary {
        CertificateSummary {
            subject: self.subject(),
            expires: self.certificate.tbs_certificate().validity().not_after,
            length: self.length,
        }
    }

    pub(super) fn subject(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }

    /// Whether it may vouch for others (RFC 5280 §4.2.1.9).
    pub(super) fn is_authority(&self) -> bool {
        let constraints = self.certificate.tbs_certificate().get_extension();
        matches!(
            constraints,
            Ok(Some((_, BasicConstraints { ca: true, .. })))
        )
    }

    /// Whether it says that it is of the owner of `issuer`.
    pub(super) fn is_issued_by(&self, issuer: &Self) -> bool {
        self.certificate.tbs_certificate().issuer()
            == issuer.certificate.tbs_certificate().subject()
    }

    /// Whether clients take it for a gateway's.
    pub(super) fn is_for_servers(&self) -> bool {
        let usage = self.certificate.tbs_certificate().get_extension();
        matches!(usage, Ok(Some((_, ExtendedKeyUsage(purposes))))
            if purposes.contains(&SERVER_AUTH) || purposes.contains(&ANY_USAGE))
    }

    /// What is wrong with its time at `now`.
    pub(super) fn untimely(&self, path: &Path, now: UnixTime) -> Option<Caution> {
        let validity = self.certificate.tbs_certificate().validity();
        let path = path.to_owned();
        if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
            let time = validity.not_after;
            return Some(Caution::Expired { path, time });
        }
        if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
            let time = validity.not_before;
            return Some(Caution::NotYetValid { path, time });
        }
        None
    }
}
