//! Key exchange methods: X25519 (RFC 8031), P-256, P-384 and P-521 (RFC 5903) by aws-lc,
//! MODP (RFC 3526) by constant-time Montgomery arithmetic.

use alloc::vec::Vec;
use core::fmt;

use aws_lc_rs::agreement;
use aws_lc_rs::rand::SystemRandom;
use crypto_bigint::U384;
use ring::rand::SecureRandom;

use super::CryptoError;
use super::modp::{
    Field, MODP_1024, MODP_1536, MODP_2048, MODP_3072, MODP_4096, MODP_6144, MODP_8192,
};
use crate::types::Secret;
use crate::wire::iana::GroupId;

/// A key exchange method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Curve25519.
    Curve25519,
    /// The NIST curve P-256.
    Ecp256,
    /// The NIST curve P-384.
    Ecp384,
    /// The NIST curve P-521.
    Ecp521,
    /// 1024-bit MODP, which governments can break: for clients that can do
    /// nothing else.
    Modp1024,
    /// 1536-bit MODP.
    Modp1536,
    /// 2048-bit MODP.
    Modp2048,
    /// 3072-bit MODP.
    Modp3072,
    /// 4096-bit MODP.
    Modp4096,
    /// 6144-bit MODP.
    Modp6144,
    /// 8192-bit MODP.
    Modp8192,
}

impl Group {
    /// Every group, in our order of preference: fast and strong ones first.
    pub const ALL: [Self; 11] = [
        Self::Curve25519,
        Self::Ecp256,
        Self::Ecp384,
        Self::Ecp521,
        Self::Modp3072,
        Self::Modp4096,
        Self::Modp6144,
        Self::Modp8192,
        Self::Modp2048,
        Self::Modp1536,
        Self::Modp1024,
    ];

    /// The transform's number.
    #[must_use]
    pub const fn id(self) -> GroupId {
        match self {
            Self::Curve25519 => GroupId::CURVE25519,
            Self::Ecp256 => GroupId::ECP_256,
            Self::Ecp384 => GroupId::ECP_384,
            Self::Ecp521 => GroupId::ECP_521,
            Self::Modp1024 => GroupId::MODP_1024,
            Self::Modp1536 => GroupId::MODP_1536,
            Self::Modp2048 => GroupId::MODP_2048,
            Self::Modp3072 => GroupId::MODP_3072,
            Self::Modp4096 => GroupId::MODP_4096,
            Self::Modp6144 => GroupId::MODP_6144,
            Self::Modp8192 => GroupId::MODP_8192,
        }
    }

    /// Whether it can be broken, and is only for clients that can do nothing else.
    #[must_use]
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Modp1024 | Self::Modp1536)
    }

    /// Octets of a public value in a KE payload.
    #[must_use]
    pub const fn public_len(self) -> usize {
        match self {
            Self::Curve25519 => 32,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
            Self::Ecp521 => 132,
            Self::Modp1024 => 128,
            Self::Modp1536 => 192,
            Self::Modp2048 => 256,
            Self::Modp3072 => 384,
            Self::Modp4096 => 512,
            Self::Modp6144 => 768,
            Self::Modp8192 => 1024,
        }
    }

    /// Whether `peer` may be a public value, as far as that costs next to
    /// nothing to say: points are looked at by [`KeyPair::agree`].
    ///
    /// # Errors
    /// [`CryptoError::PublicValue`] if it has the wrong length or is outside the
    /// range of the group (RFC 6989 §2.1).
    pub fn check(self, peer: &[u8]) -> Result<(), CryptoError> {
        match self.field() {
            Some(field) => field.check(peer),
            None if peer.len() == self.public_len() => Ok(()),
            None => Err(CryptoError::PublicValue),
        }
    }

    /// What a MODP group computes in.
    const fn field(self) -> Option<&'static dyn Field> {
        Some(match self {
            Self::Modp1024 => &MODP_1024,
            Self::Modp1536 => &MODP_1536,
            Self::Modp2048 => &MODP_2048,
            Self::Modp3072 => &MODP_3072,
            Self::Modp4096 => &MODP_4096,
            Self::Modp6144 => &MODP_6144,
            Self::Modp8192 => &MODP_8192,
            Self::Curve25519 | Self::Ecp256 | Self::Ecp384 | Self::Ecp521 => return None,
        })
    }

    /// Makes a key pair for one exchange: of `random`, or where aws-lc makes it of its
    /// own source, which is the system's as well.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if the source fails.
    pub fn generate(self, random: &dyn SecureRandom) -> Result<KeyPair, CryptoError> {
        let (public, private) = match self {
            Self::Curve25519 => curve_key(&agreement::X25519)?,
            Self::Ecp256 => curve_key(&agreement::ECDH_P256)?,
            Self::Ecp384 => curve_key(&agreement::ECDH_P384)?,
            Self::Ecp521 => curve_key(&agreement::ECDH_P521)?,
            _ => {
                let exponent = self.exponent(random)?;
                let public = self.power(None, &exponent)?;
                (public.expose().clone(), PrivateKey::Modp(exponent))
            }
        };
        Ok(KeyPair {
            group: self,
            public,
            private,
        })
    }

    /// A secret exponent of twice the group's strength in bits (RFC 3526 §8):
    /// longer ones cost time and add nothing.
    fn exponent(self, random: &dyn SecureRandom) -> Result<Secret<[u8; 48]>, CryptoError> {
        let mut exponent = [0; 48];
        let unused = exponent.len().saturating_sub(self.exponent_octets());
        let used = exponent.get_mut(unused..).unwrap_or_default();
        random.fill(used).map_err(|_| CryptoError::Random)?;
        Ok(Secret::new(exponent))
    }

    const fn exponent_octets(self) -> usize {
        match self {
            Self::Modp1024 | Self::Modp1536 | Self::Modp2048 => 256 / 8,
            Self::Modp3072 => 288 / 8,
            Self::Modp4096 => 320 / 8,
            Self::Modp6144 => 352 / 8,
            _ => 384 / 8,
        }
    }

    /// `base` (2 if none) to the power of `exponent`, in a MODP group.
    fn power(
        self,
        base: Option<&[u8]>,
        exponent: &Secret<[u8; 48]>,
    ) -> Result<Secret<Vec<u8>>, CryptoError> {
        let field = self.field().ok_or(CryptoError::PublicValue)?;
        let exponent = Secret::new(U384::from_be_slice(exponent.expose()));
        let bits = u32::try_from(self.exponent_octets())
            .unwrap_or_default()
            .saturating_mul(8);
        field.power(base, exponent.expose(), bits).map(Secret::new)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Curve25519 => "x25519",
            Self::Ecp256 => "ecp256",
            Self::Ecp384 => "ecp384",
            Self::Ecp521 => "ecp521",
            Self::Modp1024 => "modp1024",
            Self::Modp1536 => "modp1536",
            Self::Modp2048 => "modp2048",
            Self::Modp3072 => "modp3072",
            Self::Modp4096 => "modp4096",
            Self::Modp6144 => "modp6144",
            Self::Modp8192 => "modp8192",
        })
    }
}

/// An ephemeral key pair.
pub struct KeyPair {
    group: Group,
    public: Vec<u8>,
    private: PrivateKey,
}

enum PrivateKey {
    Curve(agreement::EphemeralPrivateKey),
    Modp(Secret<[u8; 48]>),
}

impl KeyPair {
    /// The method this key is for.
    #[must_use]
    pub const fn group(&self) -> Group {
        self.group
    }

    /// The public value as a KE payload carries it.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The shared secret g^ir with the owner of `peer`, a public value as a KE
    /// payload carries it.
    ///
    /// # Errors
    /// [`CryptoError::PublicValue`] if `peer` has the wrong length, is not in
    /// the group, or makes a secret that anyone could know (RFC 6989 §2).
    pub fn agree(self, peer: &[u8]) -> Result<Secret<Vec<u8>>, CryptoError> {
        if peer.len() != self.group.public_len() {
            return Err(CryptoError::PublicValue);
        }
        match self.private {
            PrivateKey::Modp(exponent) => self.group.power(Some(peer), &exponent),
            PrivateKey::Curve(key) => {
                let mut encoded = Vec::with_capacity(peer.len().saturating_add(1));
                if self.group != Group::Curve25519 {
                    encoded.push(UNCOMPRESSED);
                }
                encoded.extend_from_slice(peer);
                let peer = agreement::UnparsedPublicKey::new(key.algorithm(), encoded);
                agreement::agree_ephemeral(key, peer, CryptoError::PublicValue, |secret| {
                    Ok(Secret::new(secret.to_vec()))
                })
            }
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.group)
    }
}

/// SEC 1 puts this before a point with both coordinates; RFC 5903 §7 does not.
const UNCOMPRESSED: u8 = 4;

fn curve_key(
    algorithm: &'static agreement::Algorithm,
) -> Result<(Vec<u8>, PrivateKey), CryptoError> {
    let key = agreement::EphemeralPrivateKey::generate(algorithm, &SystemRandom::new())
        .map_err(|_| CryptoError::Random)?;
    let public = key.compute_public_key().map_err(|_| CryptoError::Random)?;
    let point = match public.as_ref() {
        [UNCOMPRESSED, coordinates @ ..] if *algorithm != agreement::X25519 => coordinates,
        point => point,
    };
    Ok((point.to_vec(), PrivateKey::Curve(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ring::rand::SystemRandom;

    #[test]
    fn both_sides_agree_in_every_group() {
        let random = SystemRandom::new();
        for group in Group::ALL {
            let a = group.generate(&random).unwrap();
            let b = group.generate(&random).unwrap();
            assert_eq!(a.public().len(), group.public_len());
            let (of_a, of_b) = (a.public().to_vec(), b.public().to_vec());
            assert_ne!(of_a, of_b);
            let (with_b, with_a) = (a.agree(&of_b).unwrap(), b.agree(&of_a).unwrap());
            assert_eq!(with_b.expose(), with_a.expose(), "{group}");
        }
    }

    #[test]
    fn values_outside_the_group_are_refused() {
        let random = SystemRandom::new();
        let refused = |group: Group, value: &[u8]| {
            let key = group.generate(&random).unwrap();
            assert_eq!(key.agree(value).err(), Some(CryptoError::PublicValue));
        };
        for group in Group::ALL {
            refused(group, &alloc::vec![0; group.public_len()]);
            refused(group, &alloc::vec![0xff; group.public_len() - 1]);
            refused(group, &alloc::vec![0xff; group.public_len() + 1]);
        }
        for group in Group::ALL
            .into_iter()
            .filter(|group| group.field().is_some())
        {
            let mut one = alloc::vec![0; group.public_len()];
            *one.last_mut().unwrap() = 1;
            refused(group, &one);
            refused(group, &alloc::vec![0xff; group.public_len()]);
        }
        for curve in [Group::Ecp256, Group::Ecp384, Group::Ecp521] {
            let length = curve.public_len();
            refused(curve, &alloc::vec![7; length]);
            refused(curve, &alloc::vec![0xff; length]);
            // The point at infinity, a compressed point, and one with its first octet.
            refused(curve, &[0]);
            let point = curve.generate(&random).unwrap().public().to_vec();
            refused(curve, &[&[2], &point[..length / 2]].concat());
            refused(curve, &[&[UNCOMPRESSED], &point[..]].concat());
            let mut beside = point;
            beside[length - 1] ^= 1;
            refused(curve, &beside);
        }
    }

    /// The point whose x is 0, and the same with the field's prime in place of that: a coordinate is
    /// below the prime (SEC 1 §2.3.5).
    #[test]
    fn coordinates_are_below_the_prime() {
        let random = SystemRandom::new();
        let p256 = (
            Group::Ecp256,
            &hex!("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")[..],
            &hex!("66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4")[..],
        );
        let p384 = (
            Group::Ecp384,
            &hex!(
                "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
                "ffffffff0000000000000000ffffffff"
            )[..],
            &hex!(
                "c306610fb0ae5a159cf45c06069f22a6c5eb3641c602d42dea2c4b4f75550793"
                "406d80d2b91ad54f9048bd487af1ade1"
            )[..],
        );
        let mut prime = [0xff; 66];
        prime[0] = 1;
        let p521 = (
            Group::Ecp521,
            &prime[..],
            &hex!(
                "012df13601594a883ef2d935e44bb90bf4d6619b74e52af7552f97769011c071"
                "9eb439cfab2a88d40fe59a2bed1f43557169a2d0a2ccd280c607b92bbf51ffe0b078"
            )[..],
        );
        for (group, prime, y) in [p256, p384, p521] {
            let agree = |x: &[u8]| {
                let key = group.generate(&random).unwrap();
                key.agree(&[x, y].concat()).err()
            };
            assert_eq!(agree(&alloc::vec![0; prime.len()]), None, "{group}");
            let refused = Some(CryptoError::PublicValue);
            assert_eq!(agree(prime), refused, "{group}");
        }
    }

    /// Of order 1, 2, 4 and 8, on the curve and on its twist, and what is the same modulo
    /// 2^255 - 19 or with the bit set that is ignored (RFC 7748 §5, §6.1).
    #[test]
    fn points_of_small_order_are_refused() {
        let random = SystemRandom::new();
        let points = [
            hex!("0000000000000000000000000000000000000000000000000000000000000000"),
            hex!("0100000000000000000000000000000000000000000000000000000000000000"),
            hex!("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            hex!("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
            hex!("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            hex!("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            hex!("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ];
        for mut point in points {
            for bit in [0, 0x80] {
                point[31] |= bit;
                let key = Group::Curve25519.generate(&random).unwrap();
                let agreed = key.agree(&point).err();
                assert_eq!(agreed, Some(CryptoError::PublicValue), "{point:02x?}");
            }
        }
    }

    #[test]
    fn most_of_them_are_refused_at_a_glance() {
        let random = SystemRandom::new();
        for group in Group::ALL {
            let length = group.public_len();
            for length in [0, 1, length - 1, length + 1] {
                let value = alloc::vec![2; length];
                assert_eq!(group.check(&value), Err(CryptoError::PublicValue));
            }
            let is_modp = group.field().is_some();
            let zero = alloc::vec![0; length];
            assert_eq!(group.check(&zero).is_err(), is_modp, "{group}");
            let public = group.generate(&random).unwrap();
            assert_eq!(group.check(public.public()), Ok(()));
        }
    }

    /// The exponents of both sides in RFC 5114 do not exist for RFC 3526, so the
    /// test takes small ones that can be checked by hand: 2^10 and 1024^3 = 2^30.
    #[test]
    fn modp_computes_powers_of_two() {
        let mut exponent = [0; 48];
        exponent[47] = 10;
        let ten = Group::Modp2048.power(None, &Secret::new(exponent)).unwrap();
        assert_eq!(ten.expose()[252..], hex!("00000400"));
        exponent[47] = 3;
        let thirty = Group::Modp2048
            .power(Some(ten.expose()), &Secret::new(exponent))
            .unwrap();
        assert_eq!(thirty.expose()[252..], hex!("40000000"));
    }
}
