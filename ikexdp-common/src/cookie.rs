//! Stateless cookies of IKE_SA_INIT (RFC 7296 §2.6).
//!
//! ```text
//!  0               1                                   9
//! +---------------+-----------------------------------+
//! | version       | SipHash-2-4 (address ‖ SPIi ‖ Ni) |
//! +---------------+-----------------------------------+
//! ```
//!
//! The version byte names the secret, so that a cookie handed out just before
//! a rotation is still good after it.

use core::net::IpAddr;

/// Length of a cookie in octets. RFC 7296 §2.6 allows 1 to 64.
pub const COOKIE_LEN: usize = 9;

/// A 128-bit SipHash key.
pub type Secret = [u64; 2];

/// The two secrets that are valid at a time.
#[derive(Clone)]
pub struct CookieSecrets {
    version: u8,
    current: Secret,
    previous: Secret,
}

// The secrets stay out of logs.
impl core::fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CookieSecrets")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl CookieSecrets {
    /// Starts with two fresh secrets; the second only fills the place of the
    /// previous one, which nobody has a cookie of.
    #[must_use]
    pub const fn new(current: Secret, previous: Secret) -> Self {
        Self {
            version: 0,
            current,
            previous,
        }
    }

    /// Makes `fresh` the current secret and keeps the one before it valid.
    pub fn rotate(&mut self, fresh: Secret) {
        self.previous = core::mem::replace(&mut self.current, fresh);
        self.version = self.version.wrapping_add(1);
    }

    /// The cookie for an IKE_SA_INIT request from `address` with `spi_i` and
    /// the nonce data `nonce`.
    #[must_use]
    pub fn mint(&self, address: IpAddr, spi_i: u64, nonce: &[u8]) -> [u8; COOKIE_LEN] {
        let tag = tag_of(self.current, address, spi_i, nonce);
        let [a, b, c, d, e, f, g, h] = tag.to_be_bytes();
        [self.version, a, b, c, d, e, f, g, h]
    }

    /// Whether `cookie` was minted for this request with a secret still valid.
    #[must_use]
    pub fn verify(&self, cookie: &[u8], address: IpAddr, spi_i: u64, nonce: &[u8]) -> bool {
        let Some((&version, tag)) = cookie.split_first() else {
            return false;
        };
        let Ok(tag) = <[u8; 8]>::try_from(tag) else {
            return false;
        };
        let secret = if version == self.version {
            self.current
        } else if version == self.version.wrapping_sub(1) {
            self.previous
        } else {
            return false;
        };
        // Two words compare in one instruction: a forger learns no prefix.
        u64::from_be_bytes(tag) == tag_of(secret, address, spi_i, nonce)
    }
}

fn tag_of(secret: Secret, address: IpAddr, spi_i: u64, nonce: &[u8]) -> u64 {
    let mut hash = SipHash24::new(secret);
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    hash.write(&address.octets());
    hash.write(&spi_i.to_be_bytes());
    hash.write(nonce);
    hash.finish()
}

/// SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, 2012).
struct SipHash24 {
    v: [u64; 4],
    /// Octets not yet compressed, the first one lowest.
    tail: u64,
    /// Octets hashed so far.
    length: u64,
}

impl SipHash24 {
    const fn new([k0, k1]: Secret) -> Self {
        Self {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
            tail: 0,
            length: 0,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let place = self.length & 7;
            self.tail |= u64::from(byte) << place.wrapping_mul(8);
            self.length = self.length.wrapping_add(1);
            if place == 7 {
                self.compress(self.tail);
                self.tail = 0;
            }
        }
    }

    fn finish(mut self) -> u64 {
        self.compress(self.tail | self.length << 56);
        let [_, _, v2, _] = &mut self.v;
        *v2 ^= 0xff;
        for _ in 0..4 {
            self.round();
        }
        let [v0, v1, v2, v3] = self.v;
        v0 ^ v1 ^ v2 ^ v3
    }

    fn compress(&mut self, word: u64) {
        let [_, _, _, v3] = &mut self.v;
        *v3 ^= word;
        self.round();
        self.round();
        let [v0, ..] = &mut self.v;
        *v0 ^= word;
    }

    const fn round(&mut self) {
        let [mut v0, mut v1, mut v2, mut v3] = self.v;
        v0 = v0.wrapping_add(v1);
        v1 = v1.rotate_left(13) ^ v0;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v3);
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.wrapping_add(v3);
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v2 = v2.rotate_left(32);
        self.v = [v0, v1, v2, v3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// Vectors of the reference implementation: key 00..0f, input 00..n.
    #[test]
    fn siphash_matches_the_reference() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let input: [u8; 15] = core::array::from_fn(|i| i as u8);
        for (length, expected) in [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
        ] {
            let mut hash = SipHash24::new(key);
            hash.write(&input[..length]);
            assert_eq!(hash.finish(), expected, "{length} octets");
        }
    }

    #[test]
    fn a_cookie_outlives_one_rotation_and_not_two() {
        let mut secrets = CookieSecrets::new([1, 2], [3, 4]);
        let cookie = secrets.mint(CLIENT, 7, b"nonce");
        assert!(secrets.verify(&cookie, CLIENT, 7, b"nonce"));
        secrets.rotate([5, 6]);
        assert!(secrets.verify(&cookie, CLIENT, 7, b"nonce"));
        secrets.rotate([7, 8]);
        assert!(!secrets.verify(&cookie, CLIENT, 7, b"nonce"));
    }

    #[test]
    fn a_cookie_is_bound_to_address_spi_and_nonce() {
        let secrets = CookieSecrets::new([1, 2], [3, 4]);
        let cookie = secrets.mint(CLIENT, 7, b"nonce");
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert!(!secrets.verify(&cookie, other, 7, b"nonce"));
        assert!(!secrets.verify(&cookie, CLIENT, 8, b"nonce"));
        assert!(!secrets.verify(&cookie, CLIENT, 7, b"Nonce"));
        assert!(!secrets.verify(&cookie[..8], CLIENT, 7, b"nonce"));
        assert!(!secrets.verify(&[], CLIENT, 7, b"nonce"));
    }
}
