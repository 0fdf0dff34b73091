//! Pseudorandom functions (RFC 7296 §2.13).

use alloc::vec::Vec;
use core::fmt;

use ring::hmac;

use crate::types::Secret;
use crate::wire::iana::PrfId;

/// A pseudorandom function; each is an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prf {
    /// HMAC-SHA2-256 (RFC 4868).
    HmacSha2_256,
    /// HMAC-SHA2-384 (RFC 4868).
    HmacSha2_384,
    /// HMAC-SHA2-512 (RFC 4868).
    HmacSha2_512,
    /// HMAC-SHA1 (RFC 2104), for clients that can do nothing else.
    HmacSha1,
}

impl Prf {
    /// Every function, in our order of preference.
    pub const ALL: [Self; 4] = [
        Self::HmacSha2_256,
        Self::HmacSha2_384,
        Self::HmacSha2_512,
        Self::HmacSha1,
    ];

    /// The transform's number.
    #[must_use]
    pub const fn id(self) -> PrfId {
        match self {
            Self::HmacSha2_256 => PrfId::HMAC_SHA2_256,
            Self::HmacSha2_384 => PrfId::HMAC_SHA2_384,
            Self::HmacSha2_512 => PrfId::HMAC_SHA2_512,
            Self::HmacSha1 => PrfId::HMAC_SHA1,
        }
    }

    /// Octets of output, and of the preferred key.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::HmacSha2_256 => 32,
            Self::HmacSha2_384 => 48,
            Self::HmacSha2_512 => 64,
            Self::HmacSha1 => 20,
        }
    }

    /// Whether it is only for clients that can do nothing else.
    #[must_use]
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::HmacSha1)
    }

    const fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha2_256 => hmac::HMAC_SHA256,
            Self::HmacSha2_384 => hmac::HMAC_SHA384,
            Self::HmacSha2_512 => hmac::HMAC_SHA512,
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    /// prf(`key`, the concatenation of `parts`).
    #[must_use]
    pub fn compute(self, key: &[u8], parts: &[&[u8]]) -> Secret<Vec<u8>> {
        let key = hmac::Key::new(self.algorithm(), key);
        Secret::new(sign(&key, parts).as_ref().to_vec())
    }

    /// The first `len` octets of prf+(`key`, the concatenation of `seed`).
    ///
    /// The construction yields at most 255 blocks; no caller comes near that.
    #[must_use]
    pub fn expand(self, key: &[u8], seed: &[&[u8]], len: usize) -> Secret<Vec<u8>> {
        let key = hmac::Key::new(self.algorithm(), key);
        let mut output = Vec::with_capacity(len.next_multiple_of(self.output_len()));
        let mut last: Option<hmac::Tag> = None;
        for block in 1..=u8::MAX {
            if output.len() >= len {
                break;
            }
            let mut context = hmac::Context::with_key(&key);
            if let Some(last) = &last {
                context.update(last.as_ref());
            }
            for part in seed {
                context.update(part);
            }
            context.update(&[block]);
            let tag = context.sign();
            output.extend_from_slice(tag.as_ref());
            last = Some(tag);
        }
        output.truncate(len);
        Secret::new(output)
    }
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign()
}

impl fmt::Display for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::HmacSha2_256 => "prf-sha2-256",
            Self::HmacSha2_384 => "prf-sha2-384",
            Self::HmacSha2_512 => "prf-sha2-512",
            Self::HmacSha1 => "prf-sha1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// RFC 4231 test case 2.
    #[test]
    fn hmac_matches_rfc_4231() {
        let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        assert_eq!(
            Prf::HmacSha2_256.compute(b"Jefe", &parts).expose()[..],
            hex!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        assert_eq!(
            Prf::HmacSha2_384.compute(b"Jefe", &parts).expose()[..],
            hex!(
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47"
                "e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"
            )
        );
    }

    /// RFC 2202 test case 2.
    #[test]
    fn hmac_matches_rfc_2202() {
        let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        assert_eq!(
            Prf::HmacSha1.compute(b"Jefe", &parts).expose()[..],
            hex!("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        );
    }

    /// prf+ (K,S) = T1 | T2 | T3, T1 = prf (K, S | 0x01), T2 = prf (K, T1 | S | 0x02), ...
    #[test]
    fn expansion_chains_blocks() {
        let prf = Prf::HmacSha2_256;
        let t1 = prf.compute(b"K", &[b"S", &[1]]);
        let t2 = prf.compute(b"K", &[t1.expose(), b"S", &[2]]);
        let t3 = prf.compute(b"K", &[t2.expose(), b"S", &[3]]);
        let expected = [&t1.expose()[..], t2.expose(), &t3.expose()[..6]].concat();
        assert_eq!(*prf.expand(b"K", &[b"S"], 70).expose(), expected);
    }
}
