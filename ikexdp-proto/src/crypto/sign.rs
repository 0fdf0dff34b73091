//! Private keys that sign AUTH payloads (RFC 7296 §3.8, RFC 4754, RFC 7427, RFC 8420).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Encode, Sequence};
use ring::rand::SecureRandom;
use rustls_pki_types::PrivateKeyDer;
use x509_cert::spki::AlgorithmIdentifierRef;

use super::CryptoError;
use super::ecdsa::{Curve, EcdsaSigningKey, Form};
use super::rsa::RsaSigningKey;
use super::scheme::{Hash, SignatureScheme};
use crate::wire::iana::HashAlgorithm;

/// What a peer can verify.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verifier<'a> {
    /// The hashes that it announced (RFC 7427 §4).
    pub hashes: &'a [HashAlgorithm],
    /// Whether it takes RSA-PSS.
    pub pss: bool,
    /// Whether it gets RSA with SHA-1 if it announced none.
    pub rsa_sha1: bool,
}

/// A private key that signs AUTH payloads.
pub enum SigningKey {
    /// RSA of 2048 to 4096 bits.
    Rsa(Box<RsaSigningKey>),
    /// ECDSA on P-256.
    EcdsaP256(EcdsaSigningKey),
    /// ECDSA on P-384.
    EcdsaP384(EcdsaSigningKey),
    /// ECDSA on P-521.
    EcdsaP521(EcdsaSigningKey),
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a private key: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC).
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] if it is of another kind, damaged, or an RSA
    /// key outside 2048 to 4096 bits.
    pub fn from_der(key: &PrivateKeyDer<'_>) -> Result<Self, CryptoError> {
        match key {
            PrivateKeyDer::Pkcs1(key) => {
                let key = RsaSigningKey::from_pkcs1(key.secret_pkcs1_der())?;
                Ok(Self::Rsa(Box::new(key)))
            }
            PrivateKeyDer::Pkcs8(key) => Self::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(key) => [P256, P384, P521]
                .into_iter()
                .filter_map(|curve| wrap_sec1(curve, key.secret_sec1_der()).ok())
                .find_map(|wrapped| Self::from_pkcs8(&wrapped).ok())
                .ok_or(CryptoError::PrivateKey),
            _ => Err(CryptoError::PrivateKey),
        }
    }

    fn from_pkcs8(key: &[u8]) -> Result<Self, CryptoError> {
        let ecdsa = |curve| EcdsaSigningKey::from_pkcs8(curve, key);
        let rsa = RsaSigningKey::from_pkcs8(key);
        rsa.map(|rsa| Self::Rsa(Box::new(rsa)))
            .or_else(|_| ecdsa(Curve::P256).map(Self::EcdsaP256))
            .or_else(|_| ecdsa(Curve::P384).map(Self::EcdsaP384))
            .or_else(|_| ecdsa(Curve::P521).map(Self::EcdsaP521))
            .or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).map(Self::Ed25519))
            .map_err(|_| CryptoError::PrivateKey)
    }

    /// The public key as the bit string of a SubjectPublicKeyInfo holds it.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.public_key(),
            Self::EcdsaP256(key) | Self::EcdsaP384(key) | Self::EcdsaP521(key) => key.public_key(),
            Self::Ed25519(key) => key.public_key().as_ref(),
        }
    }

    /// The scheme to sign with for `peer`, if there is one. RSA keys use PSS only
    /// with a peer that used it: nothing in IKEv2 announces that it is understood. A
    /// peer that takes no hashes does not know RFC 7427; Windows is one, Apple's are
    /// others.
    #[must_use]
    pub fn scheme(&self, peer: &Verifier<'_>) -> Option<SignatureScheme> {
        let accepts = |scheme: &SignatureScheme| peer.hashes.contains(&scheme.hash());
        if peer.hashes.is_empty() {
            return match self {
                Self::EcdsaP256(_) => Some(SignatureScheme::EcdsaP256),
                Self::EcdsaP384(_) => Some(SignatureScheme::EcdsaP384),
                Self::EcdsaP521(_) => Some(SignatureScheme::EcdsaP521),
                Self::Rsa(_) => Some(SignatureScheme::RsaSha1).filter(|_| peer.rsa_sha1),
                Self::Ed25519(_) => None,
            };
        }
        match self {
            Self::Rsa(_) if peer.pss => Hash::ALL
                .map(SignatureScheme::RsaPss)
                .into_iter()
                .find(accepts),
            Self::Rsa(_) => Hash::ALL
                .map(SignatureScheme::RsaPkcs1)
                .into_iter()
                .find(accepts),
            Self::EcdsaP256(_) => Some(SignatureScheme::Ecdsa(Hash::Sha256)).filter(accepts),
            Self::EcdsaP384(_) => Some(SignatureScheme::Ecdsa(Hash::Sha384)).filter(accepts),
            Self::EcdsaP521(_) => Some(SignatureScheme::Ecdsa(Hash::Sha512)).filter(accepts),
            Self::Ed25519(_) => Some(SignatureScheme::Ed25519).filter(accepts),
        }
    }

    /// Signs `message`. RSA with SHA-1 takes its randomness of `random`, all others of aws-lc's own source.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] if `scheme` is not one this key can do, and
    /// [`CryptoError::Random`] if there is no randomness.
    pub fn sign(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, CryptoError> {
        match (self, scheme) {
            (Self::Rsa(key), SignatureScheme::RsaPkcs1(hash)) => {
                let encoding = match hash {
                    Hash::Sha256 => &signature::RSA_PKCS1_SHA256,
                    Hash::Sha384 => &signature::RSA_PKCS1_SHA384,
                    Hash::Sha512 => &signature::RSA_PKCS1_SHA512,
                };
                key.sign(encoding, message)
            }
            (Self::Rsa(key), SignatureScheme::RsaPss(hash)) => {
                let encoding = match hash {
                    Hash::Sha256 => &signature::RSA_PSS_SHA256,
                    Hash::Sha384 => &signature::RSA_PSS_SHA384,
                    Hash::Sha512 => &signature::RSA_PSS_SHA512,
                };
                key.sign(encoding, message)
            }
            (Self::Rsa(key), SignatureScheme::RsaSha1) => key.sign_sha1(message, random),
            (Self::EcdsaP256(key), SignatureScheme::Ecdsa(Hash::Sha256))
            | (Self::EcdsaP384(key), SignatureScheme::Ecdsa(Hash::Sha384))
            | (Self::EcdsaP521(key), SignatureScheme::Ecdsa(Hash::Sha512)) => {
                key.sign(Form::Der, message)
            }
            (Self::EcdsaP256(key), SignatureScheme::EcdsaP256)
            | (Self::EcdsaP384(key), SignatureScheme::EcdsaP384)
            | (Self::EcdsaP521(key), SignatureScheme::EcdsaP521) => key.sign(Form::Fixed, message),
            (Self::Ed25519(key), SignatureScheme::Ed25519) => {
                Ok(key.sign(message).as_ref().to_vec())
            }
            _ => Err(CryptoError::PrivateKey),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({self})")
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(key) => write!(f, "RSA-{}", key.bits()),
            Self::EcdsaP256(_) => f.write_str("ECDSA P-256"),
            Self::EcdsaP384(_) => f.write_str("ECDSA P-384"),
            Self::EcdsaP521(_) => f.write_str("ECDSA P-521"),
            Self::Ed25519(_) => f.write_str("Ed25519"),
        }
    }
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// PrivateKeyInfo (RFC 5208 §5).
#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    key: &'a OctetStringRef,
}

/// Puts an ECPrivateKey (RFC 5915) on `curve` into the PKCS #8 form aws-lc reads.
fn wrap_sec1(curve: ObjectIdentifier, key: &[u8]) -> der::Result<Vec<u8>> {
    PrivateKeyInfo {
        version: 0,
        algorithm: AlgorithmIdentifierRef {
            oid: EC_PUBLIC_KEY,
            parameters: Some((&curve).into()),
        },
        key: OctetStringRef::new(key)?,
    }
    .to_der()
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Decode;
    use ring::rand::SystemRandom;
    use rustls_pki_types::{PrivatePkcs8KeyDer, PrivateSec1KeyDer};

    #[test]
    fn a_key_signs_what_its_peer_takes() {
        let random = SystemRandom::new();
        let all = [
            HashAlgorithm::SHA2_256,
            HashAlgorithm::SHA2_384,
            HashAlgorithm::IDENTITY,
        ];
        for (algorithm, name, scheme) in [
            (
                &rcgen::PKCS_ECDSA_P256_SHA256,
                "ECDSA P-256",
                SignatureScheme::Ecdsa(Hash::Sha256),
            ),
            (
                &rcgen::PKCS_ECDSA_P384_SHA384,
                "ECDSA P-384",
                SignatureScheme::Ecdsa(Hash::Sha384),
            ),
            (&rcgen::PKCS_ED25519, "Ed25519", SignatureScheme::Ed25519),
        ] {
            let pkcs8 = rcgen::KeyPair::generate_for(algorithm)
                .unwrap()
                .serialize_der();
            let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
            let key = SigningKey::from_der(&pkcs8).unwrap();
            assert_eq!(alloc::format!("{key}"), name);
            let peer = |hashes| Verifier {
                hashes,
                ..Verifier::default()
            };
            assert_eq!(key.scheme(&peer(&all)), Some(scheme));
            assert_eq!(key.scheme(&peer(&[HashAlgorithm::SHA2_512])), None);
            assert!(key.sign(scheme, b"octets", &random).is_ok());
            let other = SignatureScheme::RsaPss(Hash::Sha256);
            assert_eq!(
                key.sign(other, b"octets", &random),
                Err(CryptoError::PrivateKey)
            );
        }
    }

    /// What `openssl ecparam -genkey` writes.
    #[test]
    fn a_sec1_key_is_read() {
        let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
        let pkcs8 = rcgen::KeyPair::generate_for(algorithm)
            .unwrap()
            .serialize_der();
        let info = PrivateKeyInfo::from_der(&pkcs8).unwrap();
        let sec1 = PrivateSec1KeyDer::from(info.key.as_bytes().to_vec());
        let key = SigningKey::from_der(&PrivateKeyDer::Sec1(sec1));
        assert!(matches!(key, Ok(SigningKey::EcdsaP256(_))));
        let nonsense = PrivateSec1KeyDer::from(alloc::vec![1, 2, 3]);
        let key = SigningKey::from_der(&PrivateKeyDer::Sec1(nonsense));
        assert_eq!(key.err(), Some(CryptoError::PrivateKey));
    }
}
