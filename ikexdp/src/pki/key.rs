//! Private keys.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::error::PkiError;
use crate::entropy;

/// Of the size that counts as good as 128 bits (NIST SP 800-57 part 1, table 2).
const RSA_BITS: usize = 3072;

/// What every platform has, Windows without SHA-1.
///
/// # Errors
/// [`PkiError::Issue`].
pub fn ecdsa_p256() -> Result<KeyPair, PkiError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// For what lives ten years.
pub(super) fn ecdsa_p384() -> Result<KeyPair, PkiError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?)
}

/// For clients that take no ECDSA from a gateway. It takes a second or two.
///
/// # Errors
/// [`PkiError`] if none can be made.
pub fn rsa_3072() -> Result<KeyPair, PkiError> {
    let mut random = entropy::seeded()?;
    let key = RsaPrivateKey::new(&mut random, RSA_BITS).map_err(PkiError::Rsa)?;
    let encoded = key.to_pkcs8_der().map_err(PkiError::Encode)?;
    let encoded = PrivatePkcs8KeyDer::from(encoded.as_bytes());
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(
        &encoded,
        &PKCS_RSA_SHA256,
    )?)
}
