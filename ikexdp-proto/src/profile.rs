//! Sets of algorithms by the clients they are for, each in our order of preference.

use core::fmt;

use crate::crypto::cipher::{Encryption, Integrity};
use crate::crypto::kex::Group;
use crate::crypto::prf::Prf;

/// Which algorithms are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// What there is no reason to do without: AEAD ciphers, and no curves or groups
    /// but the best. Linux and Android clients have it.
    #[default]
    Modern,
    /// What nobody breaks, for clients without all of that: Apple's, and those of
    /// Windows that have been told to use more than their defaults.
    Compatible,
    /// Windows as it comes: SHA-1 and 1024-bit MODP, which governments can break.
    LegacyWindows,
}

impl Profile {
    /// Every profile, the strictest first: each has all of those before it.
    pub const ALL: [Self; 3] = [Self::Modern, Self::Compatible, Self::LegacyWindows];

    /// Ciphers.
    #[must_use]
    pub const fn encryption(self) -> &'static [Encryption] {
        match self {
            Self::Modern => &[
                Encryption::AesGcm16_256,
                Encryption::AesGcm16_128,
                Encryption::ChaCha20Poly1305,
            ],
            Self::Compatible | Self::LegacyWindows => &Encryption::ALL,
        }
    }

    /// Integrity for ciphers that need it.
    #[must_use]
    pub const fn integrity(self) -> &'static [Integrity] {
        match self {
            Self::Modern => &[],
            Self::Compatible => &[
                Integrity::HmacSha2_256_128,
                Integrity::HmacSha2_384_192,
                Integrity::HmacSha2_512_256,
            ],
            Self::LegacyWindows => &Integrity::ALL,
        }
    }

    /// Pseudorandom functions.
    #[must_use]
    pub const fn prf(self) -> &'static [Prf] {
        match self {
            Self::Modern | Self::Compatible => {
                &[Prf::HmacSha2_256, Prf::HmacSha2_384, Prf::HmacSha2_512]
            }
            Self::LegacyWindows => &Prf::ALL,
        }
    }

    /// Whether AUTH may be an RSA signature of a SHA-1 hash.
    #[must_use]
    pub const fn rsa_sha1(self) -> bool {
        matches!(self, Self::LegacyWindows)
    }

    /// Key exchange methods.
    #[must_use]
    pub const fn groups(self) -> &'static [Group] {
        match self {
            Self::Modern => &[Group::Curve25519, Group::Modp3072, Group::Modp4096],
            Self::Compatible => &[
                Group::Curve25519,
                Group::Ecp256,
                Group::Ecp384,
                Group::Ecp521,
                Group::Modp3072,
                Group::Modp4096,
                Group::Modp2048,
            ],
            Self::LegacyWindows => &[
                Group::Curve25519,
                Group::Ecp256,
                Group::Ecp384,
                Group::Ecp521,
                Group::Modp3072,
                Group::Modp4096,
                Group::Modp2048,
                Group::Modp1024,
            ],
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Modern => "modern",
            Self::Compatible => "compatible",
            Self::LegacyWindows => "legacy-windows",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds<T: PartialEq>(wider: &[T], narrower: &[T]) -> bool {
        narrower.iter().all(|algorithm| wider.contains(algorithm))
    }

    #[test]
    fn each_profile_has_all_of_those_before_it() {
        for pair in Profile::ALL.windows(2) {
            let [narrower, wider] = pair else {
                panic!("two")
            };
            assert!(holds(wider.encryption(), narrower.encryption()));
            assert!(holds(wider.integrity(), narrower.integrity()));
            assert!(holds(wider.prf(), narrower.prf()));
            assert!(holds(wider.groups(), narrower.groups()));
        }
    }

    #[test]
    fn what_can_be_broken_is_in_the_last_alone() {
        for profile in [Profile::Modern, Profile::Compatible] {
            assert!(!profile.groups().iter().any(|group| group.is_weak()));
            assert!(!profile.rsa_sha1());
            assert!(!profile.prf().iter().any(|prf| prf.is_weak()));
            assert!(!profile.integrity().iter().any(|one| one.is_weak()));
        }
    }
}
