//! The maps through which the XDP program and the daemon talk.

/// One `u64` per CPU and [`Verdict`](crate::verdict::Verdict), at its index.
pub const COUNTERS: &str = "COUNTERS";

/// The IPv4 addresses of the gateway: keys of 4 octets, values without meaning.
pub const LOCAL_V4: &str = "LOCAL_V4";

/// The IPv6 addresses of the gateway: keys of 16 octets, values without meaning.
pub const LOCAL_V6: &str = "LOCAL_V6";

/// One element, the [`Config`] as `u32`.
pub const CONFIG: &str = "CONFIG";

/// The AF_XDP socket of each RX queue, at its index.
pub const SOCKETS: &str = "SOCKETS";

/// Most addresses of a family. A gateway has tens; memory is taken as they come.
pub const LOCAL_ADDRESSES: usize = 4096;

/// Most RX queues of an interface. Drivers offer one per core, at 8 octets each.
pub const QUEUES: usize = 1024;

/// What the daemon tells the XDP program.
///
/// The kernel fills a new map with zeros: until it is told, the program
/// redirects nothing and drops no IKEv1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The longest frame that an AF_XDP socket takes, in octets.
    pub frame_max: u16,
    /// Drop IKEv1 instead of passing it to the kernel.
    pub drop_ikev1: bool,
}

impl Config {
    const DROP_IKEV1: u32 = 1 << 16;

    /// The value in the map: the length below, flags above.
    #[must_use]
    pub fn to_bits(self) -> u32 {
        let flags = if self.drop_ikev1 { Self::DROP_IKEV1 } else { 0 };
        flags | u32::from(self.frame_max)
    }

    /// Reads the value from the map.
    #[must_use]
    #[inline(always)]
    pub const fn from_bits(bits: u32) -> Self {
        let [_, _, high, low] = bits.to_be_bytes();
        Self {
            frame_max: u16::from_be_bytes([high, low]),
            drop_ikev1: bits & Self::DROP_IKEV1 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_survives_the_map() {
        for frame_max in [0, 1792, u16::MAX] {
            for drop_ikev1 in [false, true] {
                let config = Config {
                    frame_max,
                    drop_ikev1,
                };
                assert_eq!(Config::from_bits(config.to_bits()), config);
            }
        }
        assert_eq!(Config::from_bits(0), Config::default());
    }
}
