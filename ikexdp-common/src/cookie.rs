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
//! a rotation is still good after it. Of the nonce its length and the first 16
//! octets count, which every nonce has: they are what nobody can guess who has not
//! seen the request, and a hash of so few words needs no loop, which the kernel's
//! verifier would follow through all its ends.

use core::net::IpAddr;

use crate::address::Address;
use crate::siphash::{Secret, SipHash24};

/// Length of a cookie in octets. RFC 7296 §2.6 allows 1 to 64.
pub const COOKIE_LEN: usize = 9;

/// Octets of a nonce that a cookie is bound to: there are no shorter ones (RFC 7296
/// §3.9).
pub const NONCE_LEN: usize = 16;

/// A cookie as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cookie {
    version: u8,
    tag: u64,
}

impl Cookie {
    /// As it is sent.
    #[must_use]
    #[inline(always)]
    pub const fn to_octets(self) -> [u8; COOKIE_LEN] {
        let [a, b, c, d, e, f, g, h] = self.tag.to_be_bytes();
        [self.version, a, b, c, d, e, f, g, h]
    }

    /// As it was sent.
    #[must_use]
    #[inline(always)]
    pub const fn from_octets(octets: [u8; COOKIE_LEN]) -> Self {
        let [version, a, b, c, d, e, f, g, h] = octets;
        Self {
            version,
            tag: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        }
    }
}

/// What a cookie is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Where the request comes from.
    pub address: Address,
    /// The initiator's SPI.
    pub spi_i: u64,
    /// The first octets of the nonce data.
    pub nonce: [u8; NONCE_LEN],
    /// Octets of the nonce data in all.
    pub nonce_len: usize,
}

impl Request {
    /// A request from `address` with the nonce data `nonce`.
    #[must_use]
    pub fn new(address: IpAddr, spi_i: u64, nonce: &[u8]) -> Self {
        let mut first = [0; NONCE_LEN];
        for (to, octet) in first.iter_mut().zip(nonce) {
            *to = *octet;
        }
        Self {
            address: address.into(),
            spi_i,
            nonce: first,
            nonce_len: nonce.len(),
        }
    }

    // A function of its own even in the kernel: there the stack of one is short.
    #[inline(never)]
    const fn tag(&self, secret: Secret) -> u64 {
        const LENGTH: usize = 40;

        let mut hash = SipHash24::new(secret);
        let [high, low] = words(self.address.0);
        hash.word(high);
        hash.word(low);
        hash.word(self.spi_i.swap_bytes());
        let [high, low] = words(self.nonce);
        hash.word(high);
        hash.word(low);
        // No nonce is longer than 256 octets, and so it takes two of the seven that
        // are left in the last word.
        hash.finish(self.nonce_len as u64 & 0xffff, LENGTH + 2)
    }
}

/// Two words for a hash, the first octet lowest.
#[inline(always)]
const fn words(octets: [u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
    [
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes([i, j, k, l, m, n, o, p]),
    ]
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
    /// the nonce data `nonce`.
    #[must_use]
    pub fn mint(&self, address: IpAddr, spi_i: u64, nonce: &[u8]) -> [u8; COOKIE_LEN] {
        self.mint_for(&Request::new(address, spi_i, nonce))
            .to_octets()
    }

    /// Whether `cookie` was minted for this request with a secret still valid.
    #[must_use]
    pub fn verify(&self, cookie: &[u8], address: IpAddr, spi_i: u64, nonce: &[u8]) -> bool {
        let Ok(octets) = cookie.try_into() else {
            return false;
        };
        let request = Request::new(address, spi_i, nonce);
        let minted = self.mint_for(&request);
        self.verify_for(Cookie::from_octets(octets), minted, &request)
    }

    /// The cookie for a request.
    #[must_use]
    #[inline(always)]
    pub const fn mint_for(&self, request: &Request) -> Cookie {
        Cookie {
            version: self.version,
            tag: request.tag(self.current),
        }
    }

    /// Whether `cookie` was made for this request, of which `minted` is the cookie now.
    #[must_use]
    #[inline(always)]
    pub const fn verify_for(&self, cookie: Cookie, minted: Cookie, request: &Request) -> bool {
        // Two words compare in one instruction: a forger learns no prefix.
        if cookie.version == minted.version {
            cookie.tag == minted.tag
        } else {
            cookie.version == self.version.wrapping_sub(1)
                && cookie.tag == request.tag(self.previous)
        }
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
    fn sixteen_octets_of_a_nonce_count_and_so_does_its_length() {
        let secrets = CookieSecrets::new([1, 2], [3, 4]);
        for length in [16, 17, 255, 256] {
            let nonce = [0; 256];
            let cookie = secrets.mint(CLIENT, 7, &nonce[..length]);
            assert!(!secrets.verify(&cookie, CLIENT, 7, &nonce[..length - 1]));
            for place in 0..NONCE_LEN {
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
