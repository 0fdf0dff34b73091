//! Signatures that certificates verify.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use webpki::{EndEntityCert, aws_lc_rs as algorithm};

use super::{CredentialError, Credentials};
use crate::crypto::ecdsa::Curve;
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

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Those that certificates may be signed by.
pub(super) static OF_CERTIFICATES: [Algorithm; 15] = [
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P256_SHA384,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ECDSA_P521_SHA512,
    algorithm::ED25519,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::RSA_PKCS1_2048_8192_SHA384,
    algorithm::RSA_PKCS1_2048_8192_SHA512,
    algorithm::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithm::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithm::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

fn algorithms(scheme: SignatureScheme) -> impl Iterator<Item = Algorithm> {
    let one = |algorithm| [Some(algorithm), None, None];
    let two = |p256, p384| [Some(p256), Some(p384), None];
    let algorithms: [Option<Algorithm>; 3] = match scheme {
        SignatureScheme::RsaPkcs1(Hash::Sha256) => one(algorithm::RSA_PKCS1_2048_8192_SHA256),
        SignatureScheme::RsaPkcs1(Hash::Sha384) => one(algorithm::RSA_PKCS1_2048_8192_SHA384),
        SignatureScheme::RsaPkcs1(Hash::Sha512) => one(algorithm::RSA_PKCS1_2048_8192_SHA512),
        SignatureScheme::RsaPss(Hash::Sha256) => {
            one(algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY)
        }
        SignatureScheme::RsaPss(Hash::Sha384) => {
            one(algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY)
        }
        SignatureScheme::RsaPss(Hash::Sha512) => {
            one(algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY)
        }
        SignatureScheme::Ecdsa(Hash::Sha256) => {
            two(algorithm::ECDSA_P256_SHA256, algorithm::ECDSA_P384_SHA256)
        }
        SignatureScheme::Ecdsa(Hash::Sha384) => {
            two(algorithm::ECDSA_P256_SHA384, algorithm::ECDSA_P384_SHA384)
        }
        SignatureScheme::Ecdsa(Hash::Sha512) => [
            Some(algorithm::ECDSA_P256_SHA512),
            Some(algorithm::ECDSA_P384_SHA512),
            Some(algorithm::ECDSA_P521_SHA512),
        ],
        SignatureScheme::Ed25519 => one(algorithm::ED25519),
        SignatureScheme::EcdsaP256 => one(&EcdsaFixed(Curve::P256)),
        SignatureScheme::EcdsaP384 => one(&EcdsaFixed(Curve::P384)),
        SignatureScheme::EcdsaP521 => one(&EcdsaFixed(Curve::P521)),
        SignatureScheme::RsaSha1 => one(&RsaSha1),
    };
    algorithms.into_iter().flatten()
}

/// RSASSA-PKCS1-v1_5 with SHA-1: of an AUTH payload alone, never of a certificate.
#[derive(Debug)]
struct RsaSha1;

impl SignatureVerificationAlgorithm for RsaSha1 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    /// No certificate's: this one takes parameters of its own there.
    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }
}

/// ECDSA with the hash that is as long as the curve, as two numbers (RFC 4754 §7).
#[derive(Debug)]
struct EcdsaFixed(Curve);

impl SignatureVerificationAlgorithm for EcdsaFixed {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let algorithm = match self.0 {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED,
            Curve::P521 => &ECDSA_P521_SHA512_FIXED,
        };
        if !is_point(public_key) {
            return Err(InvalidSignature);
        }
        UnparsedPublicKey::new(algorithm, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.0 {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            Curve::P521 => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.0 {
            Curve::P256 => alg_id::ECDSA_SHA256,
            Curve::P384 => alg_id::ECDSA_SHA384,
            Curve::P521 => alg_id::ECDSA_SHA512,
        }
    }
}

/// Whether a public key is written in a form in which a point may be: aws-lc takes others,
/// which must be refused (RFC 5480 §2.2).
const fn is_point(public_key: &[u8]) -> bool {
    matches!(public_key, [2..=4, ..])
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    };

    use super::*;

    /// `public_key` with another first octet, and with as many of its coordinates.
    fn form(first: u8, public_key: &[u8], coordinates: usize) -> Vec<u8> {
        let length = 1 + (public_key.len() - 1) / 2 * coordinates;
        let mut form = public_key[..length].to_vec();
        form[0] = first;
        form
    }

    /// RFC 5480 §2.2: SEC 1 has more forms of a point, which are refused.
    #[test]
    fn keys_are_compressed_or_uncompressed() {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let rows: [(Algorithm, _); 3] = [
            (&EcdsaFixed(Curve::P256), &ECDSA_P256_SHA256_FIXED_SIGNING),
            (&EcdsaFixed(Curve::P384), &ECDSA_P384_SHA384_FIXED_SIGNING),
            (&EcdsaFixed(Curve::P521), &ECDSA_P521_SHA512_FIXED_SIGNING),
        ];
        for (algorithm, signing) in rows {
            let key = EcdsaKeyPair::generate(signing).unwrap();
            let signature = key.sign(&random, b"octets").unwrap();
            let public = key.public_key().as_ref();
            let odd = public.last().unwrap() & 1;
            let verify =
                |key: &[u8]| algorithm.verify_signature(key, b"octets", signature.as_ref());
            assert!(verify(public).is_ok());
            assert!(verify(&form(2 | odd, public, 1)).is_ok());
            let mut beside = public.to_vec();
            *beside.last_mut().unwrap() ^= 2;
            let refused = [
                form(6 | odd, public, 2),
                form(5, public, 1),
                form(0, public, 0),
                Vec::new(),
                // Not on the curve, too large for its field, too short and too long.
                beside,
                [&[4], &alloc::vec![0; public.len() - 1][..]].concat(),
                [&[2], &alloc::vec![0xff; public.len() / 2][..]].concat(),
                public[..public.len() - 1].to_vec(),
                [public, &[0]].concat(),
                // In the structure that it has in a certificate, without the rest.
                [&[0x30, 0x81, 0x9b], public].concat(),
            ];
            for key in refused {
                assert!(verify(&key).is_err(), "{algorithm:?} {key:02x?}");
            }
        }
    }
}
