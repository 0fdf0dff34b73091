//! The engine's random source.
//!
//! What the engine draws, it publishes: SPIs, nonces, padding; and the secrets
//! of its cookies live for a minute. Private keys are made in jobs, from the
//! system's own source. So a stream cipher seeded once serves here: no system
//! call a value, and nothing that could fail in the middle of a packet.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// A generator seeded with 256 bits of the system's randomness.
///
/// # Errors
/// [`Unspecified`] if the system has none.
pub fn seeded() -> Result<ChaCha20Rng, Unspecified> {
    let mut seed = Zeroizing::new(<ChaCha20Rng as SeedableRng>::Seed::default());
    SystemRandom::new().fill(&mut *seed)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

#[cfg(test)]
mod tests {
    use chacha20::rand_core::Rng;

    use super::*;

    #[test]
    fn no_two_generators_are_the_same() {
        let [mut a, mut b] = [seeded().unwrap(), seeded().unwrap()];
        let draw = |generator: &mut ChaCha20Rng| [(); 4].map(|()| generator.next_u64());
        assert_ne!(draw(&mut a), draw(&mut b));
    }
}
