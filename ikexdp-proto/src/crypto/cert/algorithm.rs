//! Signatures that certificates verify.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest::{SHA512, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use webpki::EndEntityCert;

use super::{CredentialError, Credentials};
use crate::crypto::scheme::{Hash, SignatureScheme};

/// A scheme does not tell the curve: each algorithm is tried until one goes
/// with the key.
pub(super) fn verify_signature(
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
