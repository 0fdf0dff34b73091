//! Keys that two sides share (RFC 7296 §2.15).

use alloc::sync::Arc;
use alloc::vec::Vec;

use subtle::ConstantTimeEq as _;

use super::prf::Prf;
use crate::types::Secret;

/// A pre-shared key as AUTH takes it: prf(key, "Key Pad for IKEv2").
///
/// That is computed once for each function, and the key itself is not kept: what there is instead
/// opens nothing but IKEv2. Clones share it.
#[derive(Clone, Debug)]
pub struct SharedKey {
    padded: Arc<Padded>,
}

/// By each function.
#[derive(Debug)]
struct Padded {
    sha2_256: Secret<Vec<u8>>,
    sha2_384: Secret<Vec<u8>>,
    sha2_512: Secret<Vec<u8>>,
    sha1: Secret<Vec<u8>>,
}

/// What a key is padded with, 17 octets without an end.
const PAD: &[u8] = b"Key Pad for IKEv2";

impl SharedKey {
    /// The key of these octets.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self {
            padded: Arc::new(Padded {
                sha2_256: pad(Prf::HmacSha2_256, key),
                sha2_384: pad(Prf::HmacSha2_384, key),
                sha2_512: pad(Prf::HmacSha2_512, key),
                sha1: pad(Prf::HmacSha1, key),
            }),
        }
    }

    /// The key as `prf` takes it.
    pub(super) fn padded(&self, prf: Prf) -> &[u8] {
        let padded = match prf {
            Prf::HmacSha2_256 => &self.padded.sha2_256,
            Prf::HmacSha2_384 => &self.padded.sha2_384,
            Prf::HmacSha2_512 => &self.padded.sha2_512,
            Prf::HmacSha1 => &self.padded.sha1,
        };
        padded.expose()
    }
}

/// prf(`key`, "Key Pad for IKEv2").
pub(super) fn pad(prf: Prf, key: &[u8]) -> Secret<Vec<u8>> {
    prf.compute(key, &[PAD])
}

impl PartialEq for SharedKey {
    fn eq(&self, other: &Self) -> bool {
        let mut all = Prf::ALL.into_iter();
        all.all(|prf| self.padded(prf).ct_eq(other.padded(prf)).into())
    }
}

impl Eq for SharedKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_its_own() {
        let key = SharedKey::new(b"correct horse");
        for prf in Prf::ALL {
            assert_eq!(key.padded(prf), &pad(prf, b"correct horse").expose()[..]);
            assert_eq!(key.padded(prf).len(), prf.output_len());
        }
        assert_eq!(key, SharedKey::new(b"correct horse"));
        assert_ne!(key, SharedKey::new(b"battery staple"));
    }
}
