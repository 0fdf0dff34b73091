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
    /// In the order of [`Prf::ALL`].
    padded: Arc<[Secret<Vec<u8>>; Prf::ALL.len()]>,
}

/// What a key is padded with, 17 octets without an end.
const PAD: &[u8] = b"Key Pad for IKEv2";

impl SharedKey {
    /// The key of these octets.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self {
            padded: Arc::new(Prf::ALL.map(|prf| pad(prf, key))),
        }
    }

    /// The key as `prf` takes it.
    pub(super) fn padded(&self, prf: Prf) -> &[u8] {
        let mut all = Prf::ALL.iter().zip(&*self.padded);
        all.find(|(it, _)| **it == prf)
            .map_or(&[], |(_, padded)| padded.expose())
    }
}

/// prf(`key`, "Key Pad for IKEv2").
pub(super) fn pad(prf: Prf, key: &[u8]) -> Secret<Vec<u8>> {
    prf.compute(key, &[PAD])
}

impl PartialEq for SharedKey {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.padded.iter().zip(&*other.padded);
        pairs.all(|(one, other)| one.expose().ct_eq(other.expose()).into())
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
