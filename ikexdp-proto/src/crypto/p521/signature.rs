//! ECDSA on P-521 with SHA-512 (RFC 4754, RFC 5758).

use alloc::vec::Vec;
use core::fmt;

use p521::ecdsa::signature::RandomizedSigner;
use p521::ecdsa::signature::Verifier;
use p521::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use p521::elliptic_curve::sec1::ToSec1Point;
use p521::pkcs8::DecodePrivateKey;
use p521::{PublicKey, SecretKey};
use ring::rand::SecureRandom;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

use crate::crypto::random::Random;
use crate::crypto::{CryptoError, is_point};

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::crypto) enum Form {
    /// In DER, as in certificates and with RFC 7427.
    Der,
    /// As two numbers of the curve's length (RFC 4754 §7).
    Fixed,
}

/// A private key that signs.
pub struct P521SigningKey {
    key: SigningKey,
    public: Vec<u8>,
}

impl P521SigningKey {
    /// Reads PKCS #8.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] if it is another key, or damaged.
    pub(in crate::crypto) fn from_pkcs8(key: &[u8]) -> Result<Self, CryptoError> {
        let key = SecretKey::from_pkcs8_der(key).map_err(|_| CryptoError::PrivateKey)?;
        let public = key.public_key().to_sec1_point(false).as_bytes().to_vec();
        Ok(Self {
            key: SigningKey::from(key),
            public,
        })
    }

    /// The public key: an uncompressed point.
    pub(in crate::crypto) fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if `random` fails.
    pub(in crate::crypto) fn sign(
        &self,
        form: Form,
        message: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, CryptoError> {
        let signature: Signature = self
            .key
            .try_sign_with_rng(&mut Random(random), message)
            .map_err(|_| CryptoError::Random)?;
        Ok(match form {
            Form::Der => signature.to_der().as_bytes().to_vec(),
            Form::Fixed => signature.to_bytes().to_vec(),
        })
    }
}

/// Without what is secret.
impl fmt::Debug for P521SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P521SigningKey")
    }
}

/// Verifies signatures in either form.
#[derive(Debug)]
pub(in crate::crypto) struct EcdsaP521(pub(in crate::crypto) Form);

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if !is_point(public_key) {
            return Err(InvalidSignature);
        }
        let key = PublicKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let key = VerifyingKey::from(key);
        match self.0 {
            Form::Der => DerSignature::from_bytes(signature)
                .and_then(|signature| key.verify(message, &signature)),
            Form::Fixed => Signature::from_slice(signature).and_then(|it| key.verify(message, &it)),
        }
        .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }
}
