//! Where the SPIs of our IKE SAs come from.

use rand_core::CryptoRng;

use crate::types::Spi;

/// Chooses SPIs: whoever looks at datagrams before the engine does may want to know
/// ours without a table of them.
pub trait SpiAllocator {
    /// An SPI that nobody can guess. The engine asks again for one that is zero or
    /// in use (RFC 7296 §2.6, §3.1).
    fn allocate(&mut self, random: &mut dyn CryptoRng) -> Spi;
}

/// SPIs of 64 random bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomSpis;

impl SpiAllocator for RandomSpis {
    fn allocate(&mut self, random: &mut dyn CryptoRng) -> Spi {
        Spi(random.next_u64())
    }
}
