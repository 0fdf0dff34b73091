//! The SPIs that we receive ESP on.

use alloc::collections::BTreeSet;

use rand_core::CryptoRng;

use crate::types::EspSpi;

/// The SPIs of all CHILD SAs there are, and of those we have offered: for the
/// kernel, two with one SPI would be one.
#[derive(Debug, Default)]
pub(crate) struct InboundSpis(BTreeSet<EspSpi>);

impl InboundSpis {
    /// Takes one that nobody has; the first 256 are reserved (RFC 4303 §2.1).
    pub(super) fn reserve(&mut self, random: &mut dyn CryptoRng) -> EspSpi {
        loop {
            let spi = EspSpi(random.next_u32());
            if spi.0 > 255 && self.0.insert(spi) {
                return spi;
            }
        }
    }

    /// Gives one back.
    pub(super) fn release(&mut self, spi: EspSpi) {
        self.0.remove(&spi);
    }
}
