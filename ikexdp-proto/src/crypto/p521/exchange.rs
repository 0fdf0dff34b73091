//! The key exchange on the NIST curve P-521 (RFC 5903).

use alloc::vec::Vec;

use p521::elliptic_curve::ecdh::diffie_hellman;
use p521::elliptic_curve::sec1::ToSec1Point;
use p521::{PublicKey, SecretKey};
use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use crate::crypto::CryptoError;
use crate::crypto::kex::UNCOMPRESSED;
use crate::types::Secret;

/// Octets of a coordinate.
const COORDINATE: usize = 66;

/// Octets of a public value in a KE payload: both coordinates.
pub(in crate::crypto) const PUBLIC_LEN: usize = 2 * COORDINATE;

/// A private key, wiped when it is dropped.
pub(in crate::crypto) struct PrivateKey(SecretKey);

impl PrivateKey {
    /// A key for one exchange.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if `random` fails.
    pub(in crate::crypto) fn generate(random: &dyn SecureRandom) -> Result<Self, CryptoError> {
        // The order is just below 2^521: next to no number of so many bits is no key.
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            let mut scalar = Zeroizing::new([0; COORDINATE]);
            random.fill(&mut *scalar).map_err(|_| CryptoError::Random)?;
            if let Some(first) = scalar.first_mut() {
                *first &= 1;
            }
            if let Ok(key) = SecretKey::from_slice(&*scalar) {
                return Ok(Self(key));
            }
        }
        Err(CryptoError::Random)
    }

    /// The public value as a KE payload carries it.
    pub(in crate::crypto) fn public(&self) -> Vec<u8> {
        let point = self.0.public_key().to_sec1_point(false);
        point.as_bytes().get(1..).unwrap_or_default().to_vec()
    }

    /// The shared secret: the x coordinate (RFC 5903 §7).
    ///
    /// # Errors
    /// [`CryptoError::PublicValue`] if `peer` is not on the curve.
    pub(in crate::crypto) fn agree(&self, peer: &[u8]) -> Result<Secret<Vec<u8>>, CryptoError> {
        let point = [&[UNCOMPRESSED], peer].concat();
        let peer = PublicKey::from_sec1_bytes(&point).map_err(|_| CryptoError::PublicValue)?;
        let shared = diffie_hellman(self.0.to_nonzero_scalar(), peer.as_affine());
        Ok(Secret::new(shared.raw_secret_bytes().to_vec()))
    }
}
