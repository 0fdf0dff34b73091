//! Certificates: our own, the authorities we trust, and the peer's.

mod algorithm;
mod crl;
mod error;
mod memory;
mod ocsp;
mod path;
mod revocation;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use der::{Decode, Encode};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath,
};
use x509_cert::Certificate;

use self::memory::remembering;
use super::scheme::SignatureScheme;
use super::sign::SigningKey;
use crate::identity::{Identity, asserted_names};

pub use self::crl::{RevocationList, RevocationListError, Signer};
pub use self::error::CredentialError;
pub use self::memory::{NoMemory, SignatureDigest, SignatureMemory};
pub use self::ocsp::{Answer, AnswerError, ResponseStatus};
pub use self::path::{Issued, Issuer};
pub use self::revocation::{
    Inquiry, NoStatusSource, Revocation, RevocationPolicy, Revoked, Status, StatusSource, Unknown,
};

/// The SHA-1 of a SubjectPublicKeyInfo, which names an authority in CERTREQ
/// (RFC 7296 §3.7).
pub type AuthorityHash = [u8; 20];

/// Our certificate with its private key.
#[derive(Debug)]
pub struct CertifiedKey {
    chain: Vec<CertificateDer<'static>>,
    /// Looked up in every handshake, so they are read once.
    names: Vec<Identity>,
    authorities: Vec<AuthorityHash>,
    key: SigningKey,
}

impl CertifiedKey {
    /// Joins the certificates to send, the leaf first, with the leaf's key.
    /// A self-signed certificate behind the leaf is not sent: the peer has it or does
    /// not trust it.
    ///
    /// # Errors
    /// [`CertificateError`] if there is no certificate, one cannot be read, or
    /// the key is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: SigningKey,
    ) -> Result<Self, CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::None)?;
        let leaf = Certificate::from_der(leaf).map_err(|_| CertificateError::Unreadable)?;
        let public_key = &leaf
            .tbs_certificate()
            .subject_public_key_info()
            .subject_public_key;
        if public_key.raw_bytes() != key.public_key() {
            return Err(CertificateError::KeyMismatch);
        }
        let names = asserted_names(&leaf);
        let mut sent = Vec::with_capacity(chain.len());
        let mut authorities = Vec::with_capacity(chain.len());
        for (place, certificate) in chain.into_iter().enumerate() {
            let parsed =
                Certificate::from_der(&certificate).map_err(|_| CertificateError::Unreadable)?;
            let content = parsed.tbs_certificate();
            if place != 0 {
                authorities.push(authority_hash(&parsed)?);
            }
            if place == 0 || content.issuer() != content.subject() {
                sent.push(certificate);
            }
        }
        Ok(Self {
            chain: sent,
            names,
            authorities,
            key,
        })
    }

    /// The certificates to send, the leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The authorities behind the leaf, as far as their certificates came with it: what a
    /// CERTREQ that wants them names.
    #[must_use]
    pub fn authorities(&self) -> &[AuthorityHash] {
        &self.authorities
    }

    /// The private key.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whether the leaf asserts `identity`.
    #[must_use]
    pub fn asserts(&self, identity: &Identity) -> bool {
        self.names.iter().any(|name| name.is_same_as(identity))
    }

    /// Every name the leaf asserts.
    #[must_use]
    pub fn names(&self) -> &[Identity] {
        &self.names
    }
}

/// What a CERTREQ names the owner of `certificate` by.
fn authority_hash(certificate: &Certificate) -> Result<AuthorityHash, CertificateError> {
    let public_key = certificate.tbs_certificate().subject_public_key_info();
    let encoded = public_key
        .to_der()
        .map_err(|_| CertificateError::Unreadable)?;
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &encoded);
    AuthorityHash::try_from(hash.as_ref()).map_err(|_| CertificateError::Unreadable)
}

/// The authorities a connection trusts.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    anchors: Vec<TrustAnchor<'static>>,
    hashes: Vec<AuthorityHash>,
    revocation: Revocation,
}

impl TrustAnchors {
    /// Trusts `certificates`.
    ///
    /// # Errors
    /// [`CertificateError`] if there is none, or one cannot be read.
    pub fn new(certificates: &[CertificateDer<'_>]) -> Result<Self, CertificateError> {
        if certificates.is_empty() {
            return Err(CertificateError::None);
        }
        let mut anchors = Vec::with_capacity(certificates.len());
        let mut hashes = Vec::with_capacity(certificates.len());
        for certificate in certificates {
            let anchor = webpki::anchor_from_trusted_cert(certificate)
                .map_err(|_| CertificateError::Unreadable)?;
            anchors.push(anchor.to_owned());
            let parsed =
                Certificate::from_der(certificate).map_err(|_| CertificateError::Unreadable)?;
            hashes.push(authority_hash(&parsed)?);
        }
        Ok(Self {
            anchors,
            hashes,
            revocation: Revocation::default(),
        })
    }

    /// Trusts them in what they, and those below them, have not revoked.
    #[must_use]
    pub fn with_revocation(self, revocation: Revocation) -> Self {
        Self { revocation, ..self }
    }

    /// What of theirs is not trusted.
    #[must_use]
    pub const fn revocation(&self) -> &Revocation {
        &self.revocation
    }

    /// What a CERTREQ names them by.
    #[must_use]
    pub fn hashes(&self) -> &[AuthorityHash] {
        &self.hashes
    }
}

/// A certificate of ours that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// There is none.
    None,
    /// It is not an X.509 certificate, or not a version 3 one.
    Unreadable,
    /// The private key belongs to another certificate.
    KeyMismatch,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no certificate",
            Self::Unreadable => "not an X.509 version 3 certificate",
            Self::KeyMismatch => "private key belongs to another certificate",
        })
    }
}

impl core::error::Error for CertificateError {}

/// What a peer's certificate must allow its holder to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A client of ours.
    Client,
    /// A gateway we connect to.
    Gateway,
}

/// RFC 4945 §5.1.3.12: with an extended key usage there must be one for IKE;
/// clients in the field carry those of TLS instead.
impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
        const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
        const IPSEC_IKE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 17];
        const IKE_INTERMEDIATE: &[u8] = &[0x2b, 6, 1, 5, 5, 8, 2, 2];
        const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];

        let tls = match self {
            Self::Client => CLIENT_AUTH,
            Self::Gateway => SERVER_AUTH,
        };
        let mut restricted = false;
        for purpose in purposes {
            let purpose = purpose?;
            let fits = [tls, IPSEC_IKE, IKE_INTERMEDIATE, ANY]
                .into_iter()
                .any(|allowed| purpose == KeyPurposeId::new(allowed));
            if fits {
                return Ok(());
            }
            restricted = true;
        }
        if restricted {
            Err(webpki::Error::EmptyEkuExtension)
        } else {
            Ok(())
        }
    }
}

/// What a peer presents to prove that it is who it says.
#[derive(Debug)]
pub struct Credentials<'a> {
    /// Its certificates, the leaf first.
    pub chain: &'a [CertificateDer<'a>],
    /// Who it says it is.
    pub identity: &'a Identity,
    /// How it signed.
    pub scheme: SignatureScheme,
    /// What it signed.
    pub signed_octets: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

impl TrustAnchors {
    /// Checks that `chain`, the leaf first, leads to one of these authorities at
    /// `now`, may be used as `usage`, and is not revoked as far as lists at hand say:
    /// nobody is asked.
    ///
    /// # Errors
    /// [`CredentialError`] with the first thing that is wrong.
    pub fn examine(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<(), CredentialError> {
        let (leaf, intermediates) = chain.split_first().ok_or(CredentialError::NoCertificate)?;
        let end_entity = EndEntityCert::try_from(leaf)?;
        let parsed = Certificate::from_der(leaf).map_err(|_| CredentialError::Malformed)?;
        let path = self.path(&end_entity, &parsed, intermediates, usage, now, &NoMemory)?;
        if self.revocation.policy == RevocationPolicy::Off {
            return Ok(());
        }
        let path = path::certificates(&path)?;
        self.revocation
            .examine(path, &NoStatusSource, now)
            .map(drop)
    }

    /// The path from `end_entity`, which is `parsed` as well, to one of these
    /// authorities, with all that makes one.
    fn path<'a>(
        &'a self,
        end_entity: &'a EndEntityCert<'a>,
        parsed: &Certificate,
        intermediates: &'a [CertificateDer<'a>],
        usage: Usage,
        now: UnixTime,
        memory: &dyn SignatureMemory,
    ) -> Result<VerifiedPath<'a>, CredentialError> {
        let algorithms = remembering(memory);
        let algorithms: [&dyn SignatureVerificationAlgorithm; _] =
            algorithms.each_ref().map(|it| it as _);
        let path = end_entity.verify_for_usage(
            &algorithms,
            &self.anchors,
            intermediates,
            now,
            usage,
            None,
            None,
        )?;
        if path::breaks_constraints(&path, parsed) {
            return Err(CredentialError::NameConstraints);
        }
        Ok(path)
    }

    /// Checks that `credentials` lead to one of these authorities at `now`, may
    /// be used as `usage`, assert the identity, signed the handshake, and are not
    /// revoked. If that last is not known to us, nor to `source`, what is to be
    /// asked comes back: nobody is asked for whom has not proved who it is. What `memory` knows of the
    /// certificates' signatures is not computed again.
    ///
    /// # Errors
    /// [`CredentialError`] with the first thing that is wrong.
    pub fn verify(
        &self,
        credentials: &Credentials<'_>,
        usage: Usage,
        now: UnixTime,
        source: &dyn StatusSource,
        memory: &dyn SignatureMemory,
    ) -> Result<Option<Inquiry>, CredentialError> {
        let (leaf, intermediates) = credentials
            .chain
            .split_first()
            .ok_or(CredentialError::NoCertificate)?;
        let end_entity = EndEntityCert::try_from(leaf)?;
        let parsed = Certificate::from_der(leaf).map_err(|_| CredentialError::Malformed)?;
        let path = self.path(&end_entity, &parsed, intermediates, usage, now, memory)?;
        if !credentials.identity.is_asserted_by(&parsed) {
            let names = asserted_names(&parsed)
                .iter()
                .map(Identity::to_string)
                .collect();
            return Err(CredentialError::WrongName(names));
        }
        algorithm::verify_signature(&end_entity, credentials)?;
        if self.revocation.policy == RevocationPolicy::Off {
            return Ok(None);
        }
        self.revocation
            .examine(path::certificates(&path)?, source, now)
    }
}

#[cfg(test)]
mod tests;
