//! The maps through which the XDP program and the daemon talk.

use crate::cookie::CookieSecrets;
use crate::guard::Bucket;
use crate::limit::Limits;
use crate::spi::SpiSecrets;

/// One `u64` per CPU and [`Verdict`](crate::verdict::Verdict), at its index.
pub const COUNTERS: &str = "COUNTERS";

/// The IPv4 addresses of the gateway: keys of 4 octets, values [`LOCAL`]; and the
/// broadcast addresses of its networks, values [`BROADCAST`].
pub const LOCAL_V4: &str = "LOCAL_V4";

/// The IPv6 addresses of the gateway: keys of 16 octets, values without meaning.
pub const LOCAL_V6: &str = "LOCAL_V6";

/// One element, the [`AddressFilter`](crate::filter::AddressFilter) of both, as words.
pub const LOCAL_FILTER: &str = "LOCAL_FILTER";

/// One element, the [`Config`] as words.
pub const CONFIG: &str = "CONFIG";

/// One element, the [`Secrets`] as words.
pub const SECRETS: &str = "SECRETS";

/// SPIs of ours that were made with a secret no longer valid: keys of 8 octets in
/// the order of the host, values without meaning.
pub const KEPT_SPIS: &str = "KEPT_SPIS";

/// Prefixes of [`Address`](crate::address::Address)es, and the
/// [`Listing`](crate::guard::Listing) of each as `u8`; the longest prefix decides.
pub const LISTED: &str = "LISTED";

/// The buckets of each source, and of each network of IPv6, least recently used first to
/// go: keys of 16 octets ([`Address::source`](crate::address::Address::source),
/// [`Address::network`](crate::address::Address::network)), an array of
/// [`Bucket::COUNT`](crate::guard::Bucket::COUNT) words each.
pub const SOURCES: &str = "SOURCES";

/// The AF_XDP socket of each RX queue, at its index.
pub const SOCKETS: &str = "SOCKETS";

/// What makes a key of [`LOCAL_V4`] an address of the gateway.
pub const LOCAL: u8 = 0;

/// What makes a key of [`LOCAL_V4`] a broadcast address.
pub const BROADCAST: u8 = 1;

/// Most addresses of a family. A gateway has tens; memory is taken as they come.
pub const LOCAL_ADDRESSES: usize = 4096;

/// Most prefixes in [`LISTED`]; memory is taken as they come.
pub const LISTED_MAX: usize = 65_536;

/// Room in [`LISTED`]: one more for what parts IPv4 from IPv6, and one that stays free,
/// because some kernels cannot change anything in a full map of prefixes.
pub const LISTED_ROOM: usize = LISTED_MAX + 2;

/// Most SPIs in [`KEPT_SPIS`]; memory is taken as they come.
pub const KEPT_SPIS_MAX: usize = 1 << 20;

/// How many sources there are buckets for, unless the configuration says otherwise.
pub const SOURCES_DEFAULT: u32 = 65_536;

/// Most RX queues of an interface. Drivers offer one per core, at 8 octets each.
pub const QUEUES: usize = 1024;

/// When IKE_SA_INIT requests are answered with COOKIE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookies {
    /// Never.
    #[default]
    Off,
    /// When their source, or all together, are over their rate.
    OverRate,
    /// Always.
    Always,
}

/// What the daemon tells the XDP program.
///
/// The kernel fills a new map with zeros: until it is told, the program
/// redirects nothing, drops no IKEv1, asks for no cookie and limits nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The longest frame that an AF_XDP socket takes, in octets.
    pub frame_max: u16,
    /// Drop IKEv1 instead of passing it to the kernel.
    pub drop_ikev1: bool,
    /// When cookies are asked for.
    pub cookies: Cookies,
    /// Drop what names an SPI that is not ours, but for a trickle.
    pub check_spis: bool,
    /// Ask [`LISTED`] about sources.
    pub lists: bool,
    /// Pass to the kernel what would be redirected, so that a capture on the interface sees it.
    pub observed: bool,
    /// IKE_SA_INIT requests without a good cookie.
    pub init: Limits,
    /// IKE_SA_INIT requests with a good cookie.
    pub proven: Limits,
    /// Messages that user space only refuses: those with an SPI that is not ours, and
    /// those of a later version of IKE.
    pub stray: Limits,
}

impl Config {
    /// What tokens are taken for, and how many there are.
    #[must_use]
    #[inline(always)]
    pub const fn limits(&self, bucket: Bucket) -> Limits {
        match bucket {
            Bucket::Init => self.init,
            Bucket::Proven => self.proven,
            Bucket::Stray => self.stray,
        }
    }

    /// Words in [`Self::to_words`].
    pub const WORDS: usize = 1 + 3 * Limits::WORDS;

    const DROP_IKEV1: u64 = 1 << 16;
    const CHECK_SPIS: u64 = 1 << 17;
    const LISTS: u64 = 1 << 18;
    const OVER_RATE: u64 = 1 << 19;
    const ALWAYS: u64 = 1 << 20;
    const OBSERVED: u64 = 1 << 21;

    /// The value in the map: the length of frames below, flags above, then rates.
    #[must_use]
    pub fn to_words(self) -> [u64; Self::WORDS] {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = u64::from(self.frame_max)
            | flag(self.drop_ikev1, Self::DROP_IKEV1)
            | flag(self.check_spis, Self::CHECK_SPIS)
            | flag(self.lists, Self::LISTS)
            | flag(self.observed, Self::OBSERVED)
            | flag(self.cookies == Cookies::OverRate, Self::OVER_RATE)
            | flag(self.cookies == Cookies::Always, Self::ALWAYS);
        let [a, b, c, d] = self.init.to_words();
        let [e, f, g, h] = self.proven.to_words();
        let [i, j, k, l] = self.stray.to_words();
        [flags, a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// Reads the value from the map.
    #[must_use]
    #[inline(always)]
    pub const fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let [flags, a, b, c, d, e, f, g, h, i, j, k, l] = *words;
        let [.., high, low] = flags.to_be_bytes();
        Self {
            frame_max: u16::from_be_bytes([high, low]),
            drop_ikev1: flags & Self::DROP_IKEV1 != 0,
            cookies: if flags & Self::ALWAYS != 0 {
                Cookies::Always
            } else if flags & Self::OVER_RATE != 0 {
                Cookies::OverRate
            } else {
                Cookies::Off
            },
            check_spis: flags & Self::CHECK_SPIS != 0,
            lists: flags & Self::LISTS != 0,
            observed: flags & Self::OBSERVED != 0,
            init: Limits::from_words([a, b, c, d]),
            proven: Limits::from_words([e, f, g, h]),
            stray: Limits::from_words([i, j, k, l]),
        }
    }
}

/// What the XDP program makes and checks cookies and SPIs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// Of cookies.
    pub cookies: CookieSecrets,
    /// Of SPIs.
    pub spis: SpiSecrets,
}

impl Secrets {
    /// Words in [`Self::to_words`].
    pub const WORDS: usize = CookieSecrets::WORDS + SpiSecrets::WORDS;

    /// The value in the map.
    #[must_use]
    pub const fn to_words(&self) -> [u64; Self::WORDS] {
        let [a, b, c, d, e] = self.cookies.to_words();
        let [f, g, h, i, j] = self.spis.to_words();
        [a, b, c, d, e, f, g, h, i, j]
    }

    /// Reads the value from the map.
    #[must_use]
    #[inline(always)]
    pub const fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = *words;
        Self {
            cookies: CookieSecrets::from_words([a, b, c, d, e]),
            spis: SpiSecrets::from_words([f, g, h, i, j]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_survives_the_map() {
        let limits = |n| Limits::from_words([n, n + 1, n + 2, n + 3]);
        for frame_max in [0, 1792, u16::MAX] {
            for cookies in [Cookies::Off, Cookies::OverRate, Cookies::Always] {
                for flags in 0..16 {
                    let config = Config {
                        frame_max,
                        drop_ikev1: flags & 1 != 0,
                        check_spis: flags & 2 != 0,
                        lists: flags & 4 != 0,
                        observed: flags & 8 != 0,
                        cookies,
                        init: limits(1),
                        proven: limits(5),
                        stray: limits(9),
                    };
                    assert_eq!(Config::from_words(&config.to_words()), config);
                }
            }
        }
        assert_eq!(Config::from_words(&[0; Config::WORDS]), Config::default());
    }

    #[test]
    fn secrets_survive_the_map() {
        let secrets = Secrets {
            cookies: CookieSecrets::new([1, 2], [3, 4]),
            spis: SpiSecrets::new(5, [6, 7], [8, 9]),
        };
        assert_eq!(Secrets::from_words(&secrets.to_words()), secrets);
    }
}
