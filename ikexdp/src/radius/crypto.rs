//! What MD5 proves in RADIUS, and how keys are hidden.
//!
//! All of it hangs on the shared secret. The authenticators of RFC 2865 and 2866
//! alone do not stand any more (CVE-2024-3596): where a packet lets somebody in,
//! HMAC-MD5 is asked for besides.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Octets of an authenticator.
pub(super) const AUTHENTICATOR_LEN: usize = 16;

/// An authenticator of any kind.
pub(super) type Authenticator = [u8; AUTHENTICATOR_LEN];

/// Octets that HMAC-MD5 keys fill.
const BLOCK_LEN: usize = 64;

/// MD5 over all of `parts`.
pub(super) fn md5(parts: &[&[u8]]) -> Authenticator {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().into()
}

/// HMAC-MD5 over all of `parts` (RFC 3579 §3.2).
pub(super) fn hmac(secret: &[u8], parts: &[&[u8]]) -> Authenticator {
    let mut block = Zeroizing::new([0; BLOCK_LEN]);
    let digest = Zeroizing::new(md5(&[secret]));
    let key = if secret.len() <= BLOCK_LEN {
        secret
    } else {
        &*digest
    };
    for (octet, of_key) in block.iter_mut().zip(key) {
        *octet = *of_key;
    }
    let mut hmac = Hmac::<Md5>::new((&*block).into());
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

/// Compares without telling how far they match.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The key in an MS-MPPE-Send-Key or MS-MPPE-Recv-Key (RFC 2548 §2.4.2); `None` if
/// there is none in it.
///
/// ```text
/// Salt (2) | encrypted: Key-Length (1), Key, padding to 16
/// ```
pub(super) fn decrypt_key(
    secret: &[u8],
    request: &Authenticator,
    value: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (salt, hidden) = value.split_at_checked(2)?;
    let (blocks, []) = hidden.as_chunks::<AUTHENTICATOR_LEN>() else {
        return None;
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(hidden.len()));
    let mut pad = md5(&[secret, request, salt]);
    for block in blocks {
        plain.extend(block.iter().zip(pad).map(|(octet, pad)| octet ^ pad));
        pad = md5(&[secret, block]);
    }
    let (length, key) = plain.split_first()?;
    let key = key.get(..usize::from(*length))?;
    (!key.is_empty()).then(|| Zeroizing::new(key.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{SECRET, hidden};
    use super::*;

    /// RFC 2202 §2: a short key, one that fills a block, and one that is longer.
    #[test]
    fn hmac_md5_is_that_of_the_standard() {
        let hex = |octets: Authenticator| u128::from_be_bytes(octets);
        assert_eq!(
            hex(hmac(&[0x0b; 16], &[b"Hi ", b"There"])),
            0x9294_727a_3638_bb1c_13f4_8ef8_158b_fc9d
        );
        assert_eq!(
            hex(hmac(b"Jefe", &[b"what do ya want for nothing?"])),
            0x750c_783e_6ab0_b503_eaa8_6e31_0a5d_b738
        );
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            hex(hmac(&[0xaa; 80], &[text])),
            0x6b1a_b7fe_4bd7_bf8f_0b62_e6ce_61b9_d0cd
        );
    }

    #[test]
    fn a_hidden_key_comes_out_as_it_went_in() {
        let request = [7; 16];
        for length in [1, 15, 16, 32, 64] {
            let key: Vec<u8> = (0..length).collect();
            let value = hidden(&request, [0x80, 1], &key);
            let plain = decrypt_key(SECRET, &request, &value).unwrap();
            assert_eq!(*plain, key);
            let other = decrypt_key(b"another", &request, &value);
            assert_ne!(other.map(|other| other.to_vec()), Some(key));
        }
    }

    #[test]
    fn what_hides_no_key_is_refused() {
        let request = [7; 16];
        let none = hidden(&request, [0x80, 1], &[]);
        let whole = hidden(&request, [0x80, 1], &[9; 15]);
        let mut long = whole.clone();
        // The first octet says how long the key is.
        long[2] ^= 15 ^ 16;
        for wrong in [
            &[][..],
            &[1],
            &[1, 2],
            &whole[..17],
            &whole[..10],
            &none,
            &long,
        ] {
            assert_eq!(decrypt_key(SECRET, &request, wrong), None, "{wrong:?}");
        }
    }
}
