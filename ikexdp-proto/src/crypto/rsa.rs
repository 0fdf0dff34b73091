//! RSA private keys.

use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RsaEncoding, RsaKeyPair};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::SecureRandom;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::SignatureScheme as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};

use super::CryptoError;
use super::random::Random;

/// DigestInfo of a SHA-1 hash, but for the hash (RFC 8017 §9.2).
const SHA1_DIGEST_INFO: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

/// Bits of a key that signs: a longer one takes milliseconds for each client.
const BITS: RangeInclusive<usize> = 2048..=4096;

/// Octets of a SHA-1 hash.
const SHA1_LEN: usize = 20;

/// An RSA key of 2048 to 4096 bits that signs.
pub struct RsaSigningKey {
    key: RsaKeyPair,
    /// The same for SHA-1, with which aws-lc-rs does not sign.
    legacy: RsaPrivateKey,
}

impl RsaSigningKey {
    /// Reads PKCS #1.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] if it is another key, damaged, too short or too long.
    pub(super) fn from_pkcs1(key: &[u8]) -> Result<Self, CryptoError> {
        let key_pair = RsaKeyPair::from_der(key).map_err(|_| CryptoError::PrivateKey)?;
        let legacy = RsaPrivateKey::from_pkcs1_der(key).map_err(|_| CryptoError::PrivateKey)?;
        Self::new(key_pair, legacy)
    }

    /// Reads PKCS #8.
    ///
    /// # Errors
    /// As [`Self::from_pkcs1`].
    pub(super) fn from_pkcs8(key: &[u8]) -> Result<Self, CryptoError> {
        let key_pair = RsaKeyPair::from_pkcs8(key).map_err(|_| CryptoError::PrivateKey)?;
        let legacy = RsaPrivateKey::from_pkcs8_der(key).map_err(|_| CryptoError::PrivateKey)?;
        Self::new(key_pair, legacy)
    }

    fn new(key: RsaKeyPair, legacy: RsaPrivateKey) -> Result<Self, CryptoError> {
        let bits = key.public_modulus_len().saturating_mul(8);
        if BITS.contains(&bits) {
            Ok(Self { key, legacy })
        } else {
            Err(CryptoError::PrivateKey)
        }
    }

    /// The public key: RSAPublicKey in DER.
    pub(super) fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// Its length.
    pub(super) fn bits(&self) -> usize {
        self.key.public_modulus_len().saturating_mul(8)
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if the system's random source fails.
    pub(super) fn sign(
        &self,
        encoding: &'static dyn RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let mut signature = alloc::vec![0; self.key.public_modulus_len()];
        self.key
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| CryptoError::Random)?;
        Ok(signature)
    }

    /// Signs the SHA-1 of `message` by RSASSA-PKCS1-v1_5.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if `random` fails.
    pub(super) fn sign_sha1(
        &self,
        message: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, CryptoError> {
        let padding = Pkcs1v15Sign {
            hash_len: Some(SHA1_LEN),
            prefix: SHA1_DIGEST_INFO.into(),
        };
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
        // The random numbers blind the key.
        padding
            .sign(Some(&mut Random(random)), &self.legacy, hash.as_ref())
            .map_err(|_| CryptoError::Random)
    }
}

/// Without what is secret.
impl fmt::Debug for RsaSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaSigningKey({} bits)", self.bits())
    }
}
