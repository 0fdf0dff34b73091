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

use crate::address::Address;
use crate::siphash::{Secret, SipHash24};

/// Length of a cookie in octets. RFC 7296 §2.6 allows 1 to 64.
pub const COOKIE_LEN: usize = 9;

/// Longest nonce in octets (RFC 7296 §3.9).
pub const NONCE_LEN_MAX: usize = 256;

/// Room for the longest nonce, and the word behind it that ends a hash.
pub const NONCE_WORDS: usize = NONCE_LEN_MAX / 8 + 1;

/// What a cookie is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where the request comes from.
    pub address: Address,
    /// The initiator's SPI.
    pub spi_i: u64,
    /// The nonce data as words, the first octet lowest, zeros behind it.
    pub nonce: &'a [u64; NONCE_WORDS],
    /// Octets of the nonce data.
    pub nonce_len: usize,
}

impl Request<'_> {
    #[inline(always)]
    fn tag(&self, secret: Secret) -> u64 {
        let mut hash = SipHash24::new(secret);
        let [high, low] = self.address.words();
        hash.word(high);
        hash.word(low);
        hash.word(self.spi_i.swap_bytes());
        let whole = self.nonce_len >> 3;
        // Bounded by the array, as the kernel's verifier wants it.
        for (place, word) in self.nonce.iter().enumerate() {
            if place == whole {
                return hash.finish(*word, self.nonce_len.wrapping_add(24));
            }
            hash.word(*word);
        }
        // No nonce is this long.
        hash.finish(0, 0)
    }
}

/// The two secrets that are valid at a time.
#[derive(Clone, PartialEq, Eq)]
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
    /// Words in [`Self::to_words`].
    pub const WORDS: usize = 5;

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
    pub const fn rotate(&mut self, fresh: Secret) {
        self.previous = core::mem::replace(&mut self.current, fresh);
        self.version = self.version.wrapping_add(1);
    }

    /// The cookie for an IKE_SA_INIT request from `address` with `spi_i` and
    /// the nonce data `nonce`, of which [`NONCE_LEN_MAX`] octets count.
    #[must_use]
    pub fn mint(&self, address: IpAddr, spi_i: u64, nonce: &[u8]) -> [u8; COOKIE_LEN] {
        with_request(address, spi_i, nonce, |request| self.mint_for(request))
    }

    /// Whether `cookie` was minted for this request with a secret still valid.
    #[must_use]
    pub fn verify(&self, cookie: &[u8], address: IpAddr, spi_i: u64, nonce: &[u8]) -> bool {
        let Ok(cookie) = cookie.try_into() else {
            return false;
        };
        with_request(address, spi_i, nonce, |request| {
            self.verify_for(cookie, request)
        })
    }

    /// The cookie for a request.
    #[must_use]
    #[inline(always)]
    pub fn mint_for(&self, request: &Request<'_>) -> [u8; COOKIE_LEN] {
        let [a, b, c, d, e, f, g, h] = request.tag(self.current).to_be_bytes();
        [self.version, a, b, c, d, e, f, g, h]
    }

    /// Whether `cookie` was minted for this request with a secret still valid.
    #[must_use]
    #[inline(always)]
    pub fn verify_for(&self, cookie: [u8; COOKIE_LEN], request: &Request<'_>) -> bool {
        let [version, a, b, c, d, e, f, g, h] = cookie;
        let secret = if version == self.version {
            self.current
        } else if version == self.version.wrapping_sub(1) {
            self.previous
        } else {
            return false;
        };
        // Two words compare in one instruction: a forger learns no prefix.
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) == request.tag(secret)
    }

    /// As they are handed to the kernel.
    #[must_use]
    pub const fn to_words(&self) -> [u64; Self::WORDS] {
        let ([a, b], [c, d]) = (self.current, self.previous);
        [self.version as u64, a, b, c, d]
    }

    /// As they were handed to the kernel.
    #[must_use]
    #[inline(always)]
    pub const fn from_words([version, a, b, c, d]: [u64; Self::WORDS]) -> Self {
        let [.., version] = version.to_be_bytes();
        Self {
            version,
            current: [a, b],
            previous: [c, d],
        }
    }
}

/// Words from octets, for those who have a stack.
fn with_request<T>(
    address: IpAddr,
    spi_i: u64,
    nonce: &[u8],
    then: impl FnOnce(&Request<'_>) -> T,
) -> T {
    let nonce = nonce.get(..NONCE_LEN_MAX).unwrap_or(nonce);
    let mut words = [0; NONCE_WORDS];
    for (word, octets) in words.iter_mut().zip(nonce.chunks(8)) {
        let mut whole = [0; 8];
        for (to, octet) in whole.iter_mut().zip(octets) {
            *to = *octet;
        }
        *word = u64::from_le_bytes(whole);
    }
    then(&Request {
        address: address.into(),
        spi_i,
        nonce: &words,
        nonce_len: nonce.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

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

    #[test]
    fn every_octet_of_a_nonce_counts_and_so_does_its_length() {
        let secrets = CookieSecrets::new([1, 2], [3, 4]);
        for length in [16, 17, 31, 32, 255, 256] {
            let nonce = [0; NONCE_LEN_MAX];
            let cookie = secrets.mint(CLIENT, 7, &nonce[..length]);
            assert!(!secrets.verify(&cookie, CLIENT, 7, &nonce[..length - 1]));
            for place in 0..length {
                let mut other = nonce;
                other[place] = 1;
                let is_good = secrets.verify(&cookie, CLIENT, 7, &other[..length]);
                assert!(!is_good, "octet {place} of {length}");
            }
        }
    }

    #[test]
    fn secrets_survive_the_map() {
        let mut secrets = CookieSecrets::new([1, 2], [3, 4]);
        secrets.rotate([5, 6]);
        assert_eq!(CookieSecrets::from_words(secrets.to_words()), secrets);
    }
}
