//! Signature schemes, and what names them: an authentication method (RFC 4754), or
//! an AlgorithmIdentifier (RFC 7427, RFC 8420).

use alloc::vec::Vec;
use core::fmt;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode, Sequence};
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::wire::iana::{AuthMethod, HashAlgorithm};

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA2-256.
    Sha256,
    /// SHA2-384.
    Sha384,
    /// SHA2-512.
    Sha512,
}

impl Hash {
    /// Every hash, in our order of preference.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its number in SIGNATURE_HASH_ALGORITHMS.
    #[must_use]
    pub const fn id(self) -> HashAlgorithm {
        match self {
            Self::Sha256 => HashAlgorithm::SHA2_256,
            Self::Sha384 => HashAlgorithm::SHA2_384,
            Self::Sha512 => HashAlgorithm::SHA2_512,
        }
    }

    /// Octets of output.
    const fn len(self) -> u8 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        match oid {
            SHA256 => Some(Self::Sha256),
            SHA384 => Some(Self::Sha384),
            SHA512 => Some(Self::Sha512),
            _ => None,
        }
    }
}

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA_PKCS1_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_PKCS1_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_PKCS1_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// How an AUTH payload is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Hash),
    /// RSASSA-PSS; the salt is as long as the hash, the mask uses the same hash.
    RsaPss(Hash),
    /// ECDSA on whatever curve the key is on.
    Ecdsa(Hash),
    /// Ed25519, which takes no hash.
    Ed25519,
    /// ECDSA on P-256 with SHA2-256, for peers that do not know RFC 7427: two
    /// numbers of the curve's length instead of DER (RFC 4754 §7).
    EcdsaP256,
    /// The same on P-384 with SHA2-384.
    EcdsaP384,
    /// The same on P-521 with SHA2-512.
    EcdsaP521,
    /// RSASSA-PKCS1-v1_5 with SHA-1, for peers that know no other way to use an RSA key
    /// (RFC 7296 §3.8).
    RsaSha1,
}

impl SignatureScheme {
    /// The authentication method.
    #[must_use]
    pub const fn method(self) -> AuthMethod {
        match self {
            Self::EcdsaP256 => AuthMethod::ECDSA_256,
            Self::EcdsaP384 => AuthMethod::ECDSA_384,
            Self::EcdsaP521 => AuthMethod::ECDSA_521,
            Self::RsaSha1 => AuthMethod::RSA_SHA1,
            _ => AuthMethod::DIGITAL_SIGNATURE,
        }
    }

    /// The scheme that a method of its own names.
    #[must_use]
    pub const fn of(method: AuthMethod) -> Option<Self> {
        match method {
            AuthMethod::ECDSA_256 => Some(Self::EcdsaP256),
            AuthMethod::ECDSA_384 => Some(Self::EcdsaP384),
            AuthMethod::ECDSA_521 => Some(Self::EcdsaP521),
            AuthMethod::RSA_SHA1 => Some(Self::RsaSha1),
            _ => None,
        }
    }

    /// The hash that a peer must have announced to take this scheme.
    #[must_use]
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash) => hash.id(),
            Self::EcdsaP256 => Hash::Sha256.id(),
            Self::EcdsaP384 => Hash::Sha384.id(),
            Self::EcdsaP521 => Hash::Sha512.id(),
            Self::RsaSha1 => HashAlgorithm::SHA1,
            Self::Ed25519 => HashAlgorithm::IDENTITY,
        }
    }

    /// Reads the AlgorithmIdentifier of an AUTH payload; `None` if it is not
    /// one of ours or not DER at all.
    #[must_use]
    pub fn from_der(encoded: &[u8]) -> Option<Self> {
        let identifier = AlgorithmIdentifierRef::from_der(encoded).ok()?;
        Some(match identifier.oid {
            RSA_PKCS1_SHA256 => Self::RsaPkcs1(Hash::Sha256),
            RSA_PKCS1_SHA384 => Self::RsaPkcs1(Hash::Sha384),
            RSA_PKCS1_SHA512 => Self::RsaPkcs1(Hash::Sha512),
            RSA_PSS => Self::RsaPss(pss_hash(identifier.parameters?)?),
            ECDSA_SHA256 => Self::Ecdsa(Hash::Sha256),
            ECDSA_SHA384 => Self::Ecdsa(Hash::Sha384),
            ECDSA_SHA512 => Self::Ecdsa(Hash::Sha512),
            ED25519 => Self::Ed25519,
            _ => return None,
        })
    }

    /// The AlgorithmIdentifier of an AUTH payload (RFC 7427 appendix A); empty where
    /// the method says it all.
    ///
    /// # Errors
    /// None in practice: the DER encoder's own, for values that do not fit it.
    pub fn to_der(self) -> der::Result<Vec<u8>> {
        let simple = |oid, parameters| AlgorithmIdentifierRef { oid, parameters }.to_der();
        match self {
            Self::RsaPkcs1(Hash::Sha256) => simple(RSA_PKCS1_SHA256, Some(AnyRef::NULL)),
            Self::RsaPkcs1(Hash::Sha384) => simple(RSA_PKCS1_SHA384, Some(AnyRef::NULL)),
            Self::RsaPkcs1(Hash::Sha512) => simple(RSA_PKCS1_SHA512, Some(AnyRef::NULL)),
            Self::RsaPss(hash) => pss_identifier(hash),
            Self::Ecdsa(Hash::Sha256) => simple(ECDSA_SHA256, None),
            Self::Ecdsa(Hash::Sha384) => simple(ECDSA_SHA384, None),
            Self::Ecdsa(Hash::Sha512) => simple(ECDSA_SHA512, None),
            Self::Ed25519 => simple(ED25519, None),
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 | Self::RsaSha1 => Ok(Vec::new()),
        }
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RsaPkcs1(hash) => write!(f, "RSA-PKCS1 with {}", hash.id()),
            Self::RsaPss(hash) => write!(f, "RSA-PSS with {}", hash.id()),
            Self::Ecdsa(hash) => write!(f, "ECDSA with {}", hash.id()),
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 | Self::RsaSha1 => {
                write!(f, "{}", self.method())
            }
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1).
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_length: Option<u8>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

/// The one hash of a PSS signature whose parameters agree with each other; the
/// defaults all mean SHA-1 and are not accepted.
fn pss_hash(parameters: AnyRef<'_>) -> Option<Hash> {
    let parameters: PssParameters<'_> = parameters.decode_as().ok()?;
    let hash = Hash::from_oid(parameters.hash?.oid)?;
    let mask = parameters.mask?;
    let mask_hash: AlgorithmIdentifierRef<'_> = mask.parameters?.decode_as().ok()?;
    let agrees = mask.oid == MGF1
        && Hash::from_oid(mask_hash.oid) == Some(hash)
        && parameters.salt_length == Some(hash.len())
        && matches!(parameters.trailer, None | Some(1));
    agrees.then_some(hash)
}

fn pss_identifier(hash: Hash) -> der::Result<Vec<u8>> {
    let hash_identifier = AlgorithmIdentifierRef {
        oid: match hash {
            Hash::Sha256 => SHA256,
            Hash::Sha384 => SHA384,
            Hash::Sha512 => SHA512,
        },
        parameters: Some(AnyRef::NULL),
    };
    let mask_hash = hash_identifier.to_der()?;
    let parameters = PssParameters {
        hash: Some(hash_identifier),
        mask: Some(AlgorithmIdentifierRef {
            oid: MGF1,
            parameters: Some(AnyRef::from_der(&mask_hash)?),
        }),
        salt_length: Some(hash.len()),
        trailer: None,
    }
    .to_der()?;
    AlgorithmIdentifierRef {
        oid: RSA_PSS,
        parameters: Some(AnyRef::from_der(&parameters)?),
    }
    .to_der()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn every_scheme() -> impl Iterator<Item = SignatureScheme> {
        let hashed = Hash::ALL.into_iter().flat_map(|hash| {
            [
                SignatureScheme::RsaPkcs1(hash),
                SignatureScheme::RsaPss(hash),
                SignatureScheme::Ecdsa(hash),
            ]
        });
        hashed.chain([SignatureScheme::Ed25519])
    }

    #[test]
    fn identifiers_survive_encoding_and_decoding() {
        for scheme in every_scheme() {
            let encoded = scheme.to_der().unwrap();
            assert_eq!(SignatureScheme::from_der(&encoded), Some(scheme));
            for end in 0..encoded.len() {
                assert_eq!(SignatureScheme::from_der(&encoded[..end]), None);
            }
        }
    }

    /// RFC 7427 appendix A.
    #[test]
    fn identifiers_are_those_of_the_rfc() {
        for (scheme, encoded) in [
            (
                SignatureScheme::RsaPkcs1(Hash::Sha256),
                &hex!("300d06092a864886f70d01010b0500")[..],
            ),
            (
                SignatureScheme::Ecdsa(Hash::Sha384),
                &hex!("300a06082a8648ce3d040303"),
            ),
            (SignatureScheme::Ed25519, &hex!("300506032b6570")),
            (
                SignatureScheme::RsaPss(Hash::Sha256),
                &hex!(
                    "3041 0609 2a864886f70d01010a 3034"
                    "a00f 300d 0609 608648016503040201 0500"
                    "a11c 301a 0609 2a864886f70d010108 300d 0609 608648016503040201 0500"
                    "a203 020120"
                ),
            ),
        ] {
            assert_eq!(scheme.to_der().unwrap(), encoded);
        }
    }

    /// RFC 4055 §2.1: parameters of a hash may be absent, and the trailer may
    /// be written out.
    #[test]
    fn other_ways_of_writing_pss_are_understood() {
        let absent = hex!(
            "303d 0609 2a864886f70d01010a 3030"
            "a00d 300b 0609 608648016503040202"
            "a11a 3018 0609 2a864886f70d010108 300b 0609 608648016503040202"
            "a203 020130"
        );
        let scheme = SignatureScheme::RsaPss(Hash::Sha384);
        assert_eq!(SignatureScheme::from_der(&absent), Some(scheme));
        // The defaults are SHA-1, and a salt of another length is not ours.
        let defaults = hex!("300d 0609 2a864886f70d01010a 3000");
        assert_eq!(SignatureScheme::from_der(&defaults), None);
        let mut short_salt = absent;
        *short_salt.last_mut().unwrap() = 20;
        assert_eq!(SignatureScheme::from_der(&short_salt), None);
    }
}
