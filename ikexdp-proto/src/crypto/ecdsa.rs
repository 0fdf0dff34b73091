//! Private keys that sign by ECDSA (RFC 4754, RFC 7427).

use alloc::vec::Vec;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};

use super::CryptoError;

/// A curve with the hash that is as long as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In DER, as in certificates and with RFC 7427.
    Der,
    /// As two numbers of the curve's length (RFC 4754 §7).
    Fixed,
}

/// A private key that signs. To aws-lc a key is for one form.
#[derive(Debug)]
pub struct EcdsaSigningKey {
    der: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
}

impl EcdsaSigningKey {
    /// Reads PKCS #8.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] if it is another key, or damaged.
    pub(super) fn from_pkcs8(curve: Curve, key: &[u8]) -> Result<Self, CryptoError> {
        let read = |form| {
            let pair = EcdsaKeyPair::from_pkcs8(curve.signing(form), key);
            pair.map_err(|_| CryptoError::PrivateKey)
        };
        Ok(Self {
            der: read(Form::Der)?,
            fixed: read(Form::Fixed)?,
        })
    }

    /// The public key: an uncompressed point.
    pub(super) fn public_key(&self) -> &[u8] {
        self.der.public_key().as_ref()
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if the system's random source fails.
    pub(super) fn sign(&self, form: Form, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let key = match form {
            Form::Der => &self.der,
            Form::Fixed => &self.fixed,
        };
        let signature = key.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| CryptoError::Random)
    }
}

impl Curve {
    const fn signing(self, form: Form) -> &'static EcdsaSigningAlgorithm {
        match (self, form) {
            (Self::P256, Form::Der) => &ECDSA_P256_SHA256_ASN1_SIGNING,
            (Self::P256, Form::Fixed) => &ECDSA_P256_SHA256_FIXED_SIGNING,
            (Self::P384, Form::Der) => &ECDSA_P384_SHA384_ASN1_SIGNING,
            (Self::P384, Form::Fixed) => &ECDSA_P384_SHA384_FIXED_SIGNING,
            (Self::P521, Form::Der) => &ECDSA_P521_SHA512_ASN1_SIGNING,
            (Self::P521, Form::Fixed) => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }
}
