//! The host's random source, for those who do not take ring's, and aws-lc's own.

use core::fmt;

use rand_core::{TryCryptoRng, TryRng};
use ring::rand::SecureRandom;

use super::CryptoError;

/// Draws from the generator that aws-lc keeps for keys and blinding. One that cannot be
/// seeded mostly aborts the process: better before anybody has asked for a key.
///
/// # Errors
/// [`CryptoError::Random`] if it says that it fails.
pub fn rehearse_random() -> Result<(), CryptoError> {
    aws_lc_rs::rand::fill(&mut [0; 32]).map_err(|_| CryptoError::Random)
}

/// Random octets of ring's source.
pub(super) struct Random<'a>(pub(super) &'a dyn SecureRandom);

/// The source has none to give.
#[derive(Debug)]
pub(super) struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("random source failed")
    }
}

impl core::error::Error for Exhausted {}

impl TryRng for Random<'_> {
    type Error = Exhausted;

    fn try_next_u32(&mut self) -> Result<u32, Exhausted> {
        let mut octets = [0; 4];
        self.try_fill_bytes(&mut octets)?;
        Ok(u32::from_ne_bytes(octets))
    }

    fn try_next_u64(&mut self) -> Result<u64, Exhausted> {
        let mut octets = [0; 8];
        self.try_fill_bytes(&mut octets)?;
        Ok(u64::from_ne_bytes(octets))
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Exhausted> {
        self.0.fill(octets).map_err(|_| Exhausted)
    }
}

impl TryCryptoRng for Random<'_> {}
