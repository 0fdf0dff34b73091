//! Certificates: our own, the authorities we trust, and the peer's.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use der::{Decode, Encode};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA512, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    TrustAnchor, UnixTime, alg_id,
};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter,
};
use x509_cert::Certificate;

use super::scheme::{Hash, SignatureScheme};
use super::sign::SigningKey;
use crate::identity::{Identity, asserted_names};

/// The SHA-1 of a SubjectPublicKeyInfo, which names an authority in CERTREQ
/// (RFC 7296 §3.7).
pub type AuthorityHash = [u8; 20];

/// Our certificate with its private key.
#[derive(Debug)]
pub struct CertifiedKey {
    chain: Vec<CertificateDer<'static>>,
    key: SigningKey,
}

impl CertifiedKey {
    /// Joins the certificates to send, the leaf first, with the leaf's key.
    /// A self-signed certificate behind the leaf is left out: the peer has it
    /// or does not trust it.
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
        let mut sent = Vec::with_capacity(chain.len());
        for (place, certificate) in chain.into_iter().enumerate() {
            let parsed =
                Certificate::from_der(&certificate).map_err(|_| CertificateError::Unreadable)?;
            let content = parsed.tbs_certificate();
            if place == 0 || content.issuer() != content.subject() {
                sent.push(certificate);
            }
        }
        Ok(Self { chain: sent, key })
    }

    /// The certificates to send, the leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The private key.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whether the leaf asserts `identity`.
    #[must_use]
    pub fn asserts(&self, identity: &Identity) -> bool {
        self.leaf()
            .is_some_and(|leaf| identity.is_asserted_by(&leaf))
    }

    /// Every name the leaf asserts.
    #[must_use]
    pub fn names(&self) -> Vec<Identity> {
        self.leaf()
            .map(|leaf| asserted_names(&leaf))
            .unwrap_or_default()
    }

    fn leaf(&self) -> Option<Certificate> {
        Certificate::from_der(self.chain.first()?).ok()
    }
}

/// The authorities a connection trusts.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    anchors: Vec<TrustAnchor<'static>>,
    hashes: Vec<AuthorityHash>,
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
            let public_key = parsed.tbs_certificate().subject_public_key_info();
            let encoded = public_key
                .to_der()
                .map_err(|_| CertificateError::Unreadable)?;
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &encoded);
            hashes.extend(AuthorityHash::try_from(hash.as_ref()));
        }
        Ok(Self { anchors, hashes })
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
    /// Something rarer about the path.
    Path(webpki::Error),
}

impl TrustAnchors {
    /// Checks that `credentials` lead to one of these authorities at `now`, may
    /// be used as `usage`, assert the identity, and signed the handshake.
    ///
    /// # Errors
    /// [`CredentialError`] with the first thing that is wrong.
    pub fn verify(
        &self,
        credentials: &Credentials<'_>,
        usage: Usage,
        now: UnixTime,
    ) -> Result<(), CredentialError> {
        let (leaf, intermediates) = credentials
            .chain
            .split_first()
            .ok_or(CredentialError::NoCertificate)?;
        let end_entity = EndEntityCert::try_from(leaf).map_err(credential_error)?;
        end_entity
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &self.anchors,
                intermediates,
                now,
                usage,
                None,
                None,
            )
            .map_err(credential_error)?;
        let parsed = Certificate::from_der(leaf).map_err(|_| CredentialError::Malformed)?;
        if !credentials.identity.is_asserted_by(&parsed) {
            let names = asserted_names(&parsed)
                .iter()
                .map(Identity::to_string)
                .collect();
            return Err(CredentialError::WrongName(names));
        }
        verify_signature(&end_entity, credentials)
    }
}

/// A scheme does not tell the curve: each algorithm is tried until one goes
/// with the key.
fn verify_signature(
    end_entity: &EndEntityCert<'_>,
    credentials: &Credentials<'_>,
) -> Result<(), CredentialError> {
    for algorithm in algorithms(credentials.scheme) {
        match end_entity.verify_signature(
            algorithm,
            credentials.signed_octets,
            credentials.signature,
        ) {
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => return Err(CredentialError::BadSignature),
            Ok(()) => return Ok(()),
        }
    }
    Err(CredentialError::UnsupportedSignature(credentials.scheme))
}

fn algorithms(
    scheme: SignatureScheme,
) -> impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm> {
    use webpki::ring as algorithm;
    type Algorithm = &'static dyn SignatureVerificationAlgorithm;
    let (first, second): (Algorithm, Option<Algorithm>) = match scheme {
        SignatureScheme::RsaPkcs1(Hash::Sha256) => (algorithm::RSA_PKCS1_2048_8192_SHA256, None),
        SignatureScheme::RsaPkcs1(Hash::Sha384) => (algorithm::RSA_PKCS1_2048_8192_SHA384, None),
        SignatureScheme::RsaPkcs1(Hash::Sha512) => (algorithm::RSA_PKCS1_2048_8192_SHA512, None),
        SignatureScheme::RsaPss(Hash::Sha256) => {
            (algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY, None)
        }
        SignatureScheme::RsaPss(Hash::Sha384) => {
            (algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY, None)
        }
        SignatureScheme::RsaPss(Hash::Sha512) => {
            (algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY, None)
        }
        SignatureScheme::Ecdsa(Hash::Sha256) => (
            algorithm::ECDSA_P256_SHA256,
            Some(algorithm::ECDSA_P384_SHA256),
        ),
        SignatureScheme::Ecdsa(Hash::Sha384) => (
            algorithm::ECDSA_P256_SHA384,
            Some(algorithm::ECDSA_P384_SHA384),
        ),
        SignatureScheme::Ecdsa(Hash::Sha512) => (&EcdsaSha512::P256, Some(&EcdsaSha512::P384)),
        SignatureScheme::Ed25519 => (algorithm::ED25519, None),
        SignatureScheme::EcdsaP256 => (&EcdsaFixed::P256, None),
        SignatureScheme::EcdsaP384 => (&EcdsaFixed::P384, None),
    };
    core::iter::once(first).chain(second)
}

/// ECDSA with the hash that is as long as the curve, as two numbers (RFC 4754 §7).
#[derive(Debug)]
enum EcdsaFixed {
    P256,
    P384,
}

impl SignatureVerificationAlgorithm for EcdsaFixed {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let algorithm = match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
        };
        UnparsedPublicKey::new(algorithm, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self {
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self {
            Self::P256 => alg_id::ECDSA_SHA256,
            Self::P384 => alg_id::ECDSA_SHA384,
        }
    }
}

/// ECDSA of a SHA-512 hash: RFC 7427 lets a peer join any hash with any curve.
#[derive(Debug)]
enum EcdsaSha512 {
    P256,
    P384,
}

impl SignatureVerificationAlgorithm for EcdsaSha512 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let hash = digest(&SHA512, message);
        match self {
            Self::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key)
                .and_then(|key| {
                    let signature = p256::ecdsa::Signature::from_der(signature)?;
                    key.verify_prehash(hash.as_ref(), &signature)
                })
                .map_err(|_| InvalidSignature),
            Self::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(public_key)
                .and_then(|key| {
                    let signature = p384::ecdsa::Signature::from_der(signature)?;
                    key.verify_prehash(hash.as_ref(), &signature)
                })
                .map_err(|_| InvalidSignature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self {
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }
}

fn credential_error(error: webpki::Error) -> CredentialError {
    match error {
        // An authority of the right name with another key is another authority.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            CredentialError::UnknownIssuer
        }
        webpki::Error::CertExpired { .. } => CredentialError::Expired,
        webpki::Error::CertNotValidYet { .. } => CredentialError::NotYetValid,
        webpki::Error::EmptyEkuExtension => CredentialError::WrongUsage,
        webpki::Error::BadDer | webpki::Error::BadDerTime => CredentialError::Malformed,
        other => CredentialError::Path(other),
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
            Self::Path(error) => write!(f, "certificate path is not valid: {error}"),
        }
    }
}

impl core::error::Error for CredentialError {}
