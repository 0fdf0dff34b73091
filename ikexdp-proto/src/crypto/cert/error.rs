//! What is wrong with the credentials of a peer.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::revocation::{Revoked, Unknown};
use crate::crypto::scheme::SignatureScheme;

/// Why a peer's credentials are refused; for the operator, never for the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// It sent no certificate.
    NoCertificate,
    /// A certificate cannot be read.
    Malformed,
    /// No path leads to an authority we trust.
    UnknownIssuer,
    /// The leaf, or an authority on the path, is past its time.
    Expired,
    /// It is not valid yet; clocks may differ.
    NotYetValid,
    /// Its extended key usage does not fit.
    WrongUsage,
    /// It does not assert the identity; these names it does assert.
    WrongName(Vec<String>),
    /// The signature over the handshake does not verify.
    BadSignature,
    /// The signature's algorithm does not go with the key.
    UnsupportedSignature(SignatureScheme),
    /// The signature's algorithm is none of ours.
    UnknownSignature,
    /// An authority on the path may not vouch for a name it has.
    NameConstraints,
    /// A certificate on the path has been revoked.
    Revoked {
        /// Whose.
        subject: String,
        /// When and why.
        revoked: Revoked,
    },
    /// Nobody says whether a certificate on the path has been revoked.
    StatusUnknown {
        /// Whose.
        subject: String,
        /// Why not.
        why: Unknown,
    },
    /// Something rarer about the path.
    Path(webpki::Error),
}

impl From<webpki::Error> for CredentialError {
    fn from(error: webpki::Error) -> Self {
        match error {
            // An authority of the right name with another key is another authority.
            webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
                CredentialError::UnknownIssuer
            }
            webpki::Error::CertExpired { .. } => CredentialError::Expired,
            webpki::Error::CertNotValidYet { .. } => CredentialError::NotYetValid,
            webpki::Error::EmptyEkuExtension => CredentialError::WrongUsage,
            webpki::Error::NameConstraintViolation => Self::NameConstraints,
            webpki::Error::BadDer | webpki::Error::BadDerTime => CredentialError::Malformed,
            other => CredentialError::Path(other),
        }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("peer sent no certificate"),
            Self::Malformed => f.write_str("certificate cannot be read"),
            Self::UnknownIssuer => f.write_str("certificate is of an authority not trusted here"),
            Self::Expired => f.write_str("certificate has expired"),
            Self::NotYetValid => f.write_str("certificate is not valid yet"),
            Self::WrongUsage => f.write_str("extended key usage of the certificate does not fit"),
            Self::WrongName(names) if names.is_empty() => {
                f.write_str("certificate does not assert the identity; it asserts none")
            }
            Self::WrongName(names) => write!(
                f,
                "certificate does not assert the identity; it asserts: {}",
                names.join(", ")
            ),
            Self::BadSignature => f.write_str("signature does not verify"),
            Self::UnsupportedSignature(scheme) => {
                write!(f, "signature cannot be verified with this key: {scheme}")
            }
            Self::UnknownSignature => f.write_str("signature algorithm is not supported"),
            Self::NameConstraints => {
                f.write_str("certificate has a name that an authority above it may not vouch for")
            }
            Self::Revoked { subject, revoked } => {
                write!(f, "certificate is {revoked}: {subject}")
            }
            Self::StatusUnknown { subject, why } => {
                write!(f, "certificate may be revoked: {subject}: {why}")
            }
            Self::Path(error) => write!(f, "certificate path is not valid: {error}"),
        }
    }
}

impl core::error::Error for CredentialError {}
