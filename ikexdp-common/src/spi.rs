//! SPIs of our IKE SAs, which show without a table that they are ours.
//!
//! ```text
//!  0       1                               5                       8
//! +-------+-------------------------------+-----------------------+
//! | node  | random                        | tag                   |
//! +-------+-------------------------------+-----------------------+
//! ```
//!
//! The tag is what SipHash-2-4 makes of what stands before it, under a secret.
//! Who invents an SPI hits one of 16 million, and is dropped before anybody
//! looks for an SA.

use crate::siphash::{Secret, SipHash24};

const TAG_BITS: u32 = 24;
const TAG: u64 = (1 << TAG_BITS) - 1;

/// The two secrets that tags are made under at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct SpiSecrets {
    node: u8,
    current: Secret,
    previous: Secret,
}

// The secrets stay out of logs.
impl core::fmt::Debug for SpiSecrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SpiSecrets")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl SpiSecrets {
    /// Words in [`Self::to_words`].
    pub const WORDS: usize = 5;

    /// Starts with two fresh secrets; the second only fills the place of the
    /// previous one, which no SPI is of.
    #[must_use]
    pub const fn new(node: u8, current: Secret, previous: Secret) -> Self {
        Self {
            node,
            current,
            previous,
        }
    }

    /// Makes `fresh` the current secret and keeps the one before it valid.
    pub const fn rotate(&mut self, fresh: Secret) {
        self.previous = core::mem::replace(&mut self.current, fresh);
    }

    /// An SPI of ours. It may be zero, or one that there is already.
    #[must_use]
    pub const fn mint(&self, random: u32) -> u64 {
        let body = ((self.node as u64) << 32 | random as u64) << TAG_BITS;
        body | tag_of(self.current, body)
    }

    /// Whether `spi` was minted with a secret still valid.
    #[must_use]
    #[inline(always)]
    pub const fn verify(&self, spi: u64) -> bool {
        let (body, tag) = (spi & !TAG, spi & TAG);
        tag == tag_of(self.current, body) || tag == tag_of(self.previous, body)
    }

    /// As they are handed to the kernel.
    #[must_use]
    pub const fn to_words(&self) -> [u64; Self::WORDS] {
        let ([a, b], [c, d]) = (self.current, self.previous);
        [self.node as u64, a, b, c, d]
    }

    /// As they were handed to the kernel.
    #[must_use]
    #[inline(always)]
    pub const fn from_words([node, a, b, c, d]: [u64; Self::WORDS]) -> Self {
        let [.., node] = node.to_be_bytes();
        Self::new(node, [a, b], [c, d])
    }
}

#[inline(always)]
const fn tag_of(secret: Secret, body: u64) -> u64 {
    let mut hash = SipHash24::new(secret);
    hash.word(body);
    hash.finish(0, 8) & TAG
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_spi_outlives_one_rotation_and_not_two() {
        let mut secrets = SpiSecrets::new(3, [1, 2], [3, 4]);
        let spi = secrets.mint(0xdead_beef);
        assert_eq!(spi >> 24, 0x03_dead_beef);
        assert!(secrets.verify(spi));
        secrets.rotate([5, 6]);
        assert!(secrets.verify(spi) && secrets.verify(secrets.mint(7)));
        secrets.rotate([7, 8]);
        assert!(!secrets.verify(spi));
    }

    #[test]
    fn an_invented_spi_is_not_ours() {
        let secrets = SpiSecrets::new(0, [1, 2], [3, 4]);
        let spi = secrets.mint(9);
        for bit in 0..64 {
            assert!(!secrets.verify(spi ^ 1 << bit), "bit {bit}");
        }
    }

    #[test]
    fn secrets_survive_the_map() {
        let secrets = SpiSecrets::new(200, [1, 2], [3, 4]);
        assert_eq!(SpiSecrets::from_words(secrets.to_words()), secrets);
    }
}
