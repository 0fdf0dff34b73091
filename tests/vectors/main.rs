//! Messages and signatures against what others make of them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

mod curves;
mod messages;

use std::fs;
use std::process::Command;
use std::time::Duration;

use harness::pki::{CLIENT, Key, Pki};
use ikexdp_proto::crypto::cert::{
    CertificateError, CertifiedKey, CredentialError, Credentials, NoMemory, NoStatusSource,
    TrustAnchors, Usage,
};
use ikexdp_proto::crypto::scheme::{Hash, SignatureScheme};
use ikexdp_proto::crypto::sign::{SigningKey, Verifier};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::wire::iana::{AuthMethod, HashAlgorithm};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, PKCS_ECDSA_P256_SHA256,
};
use ring::rand::SystemRandom;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tempfile::TempDir;

/// The moment at which certificates are checked; those of the lab are valid.
fn now() -> UnixTime {
    UnixTime::now()
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn signing_key(pem: &str) -> SigningKey {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    SigningKey::from_der(&key).unwrap()
}

const EVERY_KEY: [Key; 5] = [
    Key::Rsa2048,
    Key::Rsa4096,
    Key::EcdsaP256,
    Key::EcdsaP384,
    Key::Ed25519,
];

const EVERY_HASH: [HashAlgorithm; 4] = [
    HashAlgorithm::SHA2_256,
    HashAlgorithm::SHA2_384,
    HashAlgorithm::SHA2_512,
    HashAlgorithm::IDENTITY,
];

/// A peer that does not know RFC 7427, and may have RSA with SHA-1.
const LEGACY: Verifier<'static> = Verifier {
    hashes: &[],
    pss: false,
    rsa_sha1: true,
};

/// A peer that announces `hashes`.
fn peer(hashes: &[HashAlgorithm], pss: bool) -> Verifier<'_> {
    Verifier {
        hashes,
        pss,
        rsa_sha1: false,
    }
}

/// A client of a chain of three, and what a gateway makes of it.
struct Claim {
    anchors: TrustAnchors,
    chain: Vec<CertificateDer<'static>>,
    key: SigningKey,
    identity: Identity,
    usage: Usage,
    now: UnixTime,
}

impl Claim {
    fn new(key: Key) -> Self {
        let pki = Pki::new(key);
        Self {
            anchors: TrustAnchors::new(&[certificate(&pki.root)]).unwrap(),
            chain: vec![
                certificate(&pki.client.leaf),
                certificate(&pki.client.intermediate),
            ],
            key: signing_key(&pki.client.key),
            identity: CLIENT.parse().unwrap(),
            usage: Usage::Client,
            now: now(),
        }
    }

    fn verify(&self, scheme: SignatureScheme) -> Result<(), CredentialError> {
        let signature = self
            .key
            .sign(scheme, b"octets", &SystemRandom::new())
            .unwrap();
        self.verify_signature(scheme, &signature)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        signature: &[u8],
    ) -> Result<(), CredentialError> {
        let credentials = Credentials {
            chain: &self.chain,
            identity: &self.identity,
            scheme,
            signed_octets: b"octets",
            signature,
        };
        let verified = self.anchors.verify(
            &credentials,
            self.usage,
            self.now,
            &NoStatusSource,
            &NoMemory,
        );
        verified.map(|inquiry| assert!(inquiry.is_none()))
    }
}

/// What a peer gets that announces no hashes, as Windows does not.
#[test]
fn a_peer_without_rfc_7427_gets_a_method_of_its_own() {
    for (key, method, length) in [
        (Key::EcdsaP256, AuthMethod::ECDSA_256, 64),
        (Key::EcdsaP384, AuthMethod::ECDSA_384, 96),
        (Key::Rsa2048, AuthMethod::RSA_SHA1, 256),
    ] {
        let claim = Claim::new(key);
        let scheme = claim.key.scheme(&LEGACY).unwrap();
        assert_eq!(scheme.method(), method);
        assert_eq!(SignatureScheme::of(method), Some(scheme));
        assert!(scheme.to_der().unwrap().is_empty());
        let random = SystemRandom::new();
        let mut signature = claim.key.sign(scheme, b"octets", &random).unwrap();
        assert_eq!(signature.len(), length);
        assert_eq!(claim.verify_signature(scheme, &signature), Ok(()));
        signature[0] ^= 1;
        let bad = Err(CredentialError::BadSignature);
        assert_eq!(claim.verify_signature(scheme, &signature), bad);
        // With another curve.
        let other = Claim::new(if length == 64 {
            Key::EcdsaP384
        } else {
            Key::EcdsaP256
        });
        let unsupported = Err(CredentialError::UnsupportedSignature(scheme));
        assert_eq!(other.verify_signature(scheme, &signature), unsupported);
    }
    let strict = Verifier::default();
    assert_eq!(Claim::new(Key::Rsa2048).key.scheme(&strict), None);
    assert_eq!(Claim::new(Key::Ed25519).key.scheme(&LEGACY), None);
}

#[test]
fn every_kind_of_key_signs_and_verifies() {
    for key in EVERY_KEY {
        let claim = Claim::new(key);
        for pss in [false, true] {
            for hash in EVERY_HASH {
                if let Some(scheme) = claim.key.scheme(&peer(&[hash], pss)) {
                    assert_eq!(claim.verify(scheme), Ok(()), "{key:?} {scheme}");
                }
            }
            let preferred = claim.key.scheme(&peer(&EVERY_HASH, pss)).unwrap();
            let mut signature = claim
                .key
                .sign(preferred, b"octets", &SystemRandom::new())
                .unwrap();
            *signature.last_mut().unwrap() ^= 1;
            assert_eq!(
                claim.verify_signature(preferred, &signature),
                Err(CredentialError::BadSignature),
                "{key:?} {preferred}"
            );
        }
    }
}

/// RFC 7427 lets a peer join any hash with any curve; Libreswan signs P-256
/// with SHA-512. The signatures are openssl's.
#[test]
fn a_hash_need_not_fit_its_curve() {
    for key in [Key::EcdsaP256, Key::EcdsaP384] {
        let pki = Pki::new(key);
        let claim = Claim {
            key: signing_key(&pki.client.key),
            anchors: TrustAnchors::new(&[certificate(&pki.root)]).unwrap(),
            chain: vec![
                certificate(&pki.client.leaf),
                certificate(&pki.client.intermediate),
            ],
            ..Claim::new(key)
        };
        for (hash, name) in [
            (Hash::Sha256, "-sha256"),
            (Hash::Sha384, "-sha384"),
            (Hash::Sha512, "-sha512"),
        ] {
            let signature = openssl_sign(&pki.client.key, name);
            let scheme = SignatureScheme::Ecdsa(hash);
            assert_eq!(
                claim.verify_signature(scheme, &signature),
                Ok(()),
                "{key:?} {name}"
            );
        }
        let other = SignatureScheme::Ed25519;
        assert_eq!(
            claim.verify_signature(other, &[0; 64]),
            Err(CredentialError::UnsupportedSignature(other))
        );
    }
}

/// Method 1 and openssl mean the same.
#[test]
fn rsa_with_sha1_is_what_others_make() {
    let pki = Pki::new(Key::Rsa2048);
    let ours = signing_key(&pki.client.key)
        .sign(SignatureScheme::RsaSha1, b"octets", &SystemRandom::new())
        .unwrap();
    // There is nothing random in PKCS #1.
    assert_eq!(ours, openssl_sign(&pki.client.key, "-sha1"));
}

/// A client of a chain of two on P-521, which rcgen cannot make, and its key in PEM.
fn p521() -> (Claim, String) {
    let directory = TempDir::new().unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(&directory)
            .output()
            .expect("openssl runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    };
    let make = [
        "req",
        "-x509",
        "-sha512",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-521",
        "-days",
        "3650",
    ];
    let root = [
        "-subj",
        "/CN=Lab Root CA",
        "-keyout",
        "root.key",
        "-out",
        "root.pem",
    ];
    openssl(&[&make[..], &root].concat());
    let name = format!("subjectAltName=DNS:{CLIENT}");
    let leaf = [
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
        "-subj",
        "/CN=client",
        "-addext",
        &name,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        "leaf.key",
        "-out",
        "leaf.pem",
    ];
    openssl(&[&make[..], &leaf].concat());
    let read = |file: &str| fs::read_to_string(directory.path().join(file)).unwrap();
    let key = read("leaf.key");
    let claim = Claim {
        anchors: TrustAnchors::new(&[certificate(&read("root.pem"))]).unwrap(),
        chain: vec![certificate(&read("leaf.pem"))],
        key: signing_key(&key),
        identity: CLIENT.parse().unwrap(),
        usage: Usage::Client,
        now: now(),
    };
    (claim, key)
}

/// The chain and its signatures, by RFC 7427 and without.
#[test]
fn p521_is_as_good_as_the_other_curves() {
    let (claim, key) = p521();
    assert_eq!(claim.key.to_string(), "ECDSA P-521");
    let digital = claim.key.scheme(&peer(&EVERY_HASH, false)).unwrap();
    assert_eq!(digital, SignatureScheme::Ecdsa(Hash::Sha512));
    let legacy = claim.key.scheme(&LEGACY).unwrap();
    assert_eq!(legacy.method(), AuthMethod::ECDSA_521);
    for scheme in [digital, legacy] {
        let random = SystemRandom::new();
        let mut signature = claim.key.sign(scheme, b"octets", &random).unwrap();
        assert_eq!(claim.verify_signature(scheme, &signature), Ok(()));
        *signature.last_mut().unwrap() ^= 1;
        let bad = Err(CredentialError::BadSignature);
        assert_eq!(claim.verify_signature(scheme, &signature), bad);
    }
    let theirs = openssl_sign(&key, "-sha512");
    assert_eq!(claim.verify_signature(digital, &theirs), Ok(()));
    let other = Claim::new(Key::EcdsaP256);
    let unsupported = Err(CredentialError::UnsupportedSignature(legacy));
    assert_eq!(other.verify_signature(legacy, &[0; 132]), unsupported);
}

fn openssl_sign(key: &str, hash: &str) -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("key.pem");
    fs::write(&file, key).unwrap();
    let octets = directory.path().join("octets");
    fs::write(&octets, "octets").unwrap();
    let output = Command::new("openssl")
        .args(["dgst", hash, "-sign"])
        .args([&file, &octets])
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "openssl cannot sign");
    output.stdout
}

#[test]
fn a_chain_must_be_whole_and_of_an_authority_we_trust() {
    let whole = || Claim::new(Key::EcdsaP256);
    let scheme = SignatureScheme::Ecdsa(Hash::Sha256);
    assert_eq!(whole().verify(scheme), Ok(()));

    let mut claim = whole();
    claim.chain.truncate(1);
    assert_eq!(claim.verify(scheme), Err(CredentialError::UnknownIssuer));

    let mut claim = whole();
    claim.chain.clear();
    assert_eq!(claim.verify(scheme), Err(CredentialError::NoCertificate));

    let mut claim = whole();
    claim.anchors = whole().anchors;
    assert_eq!(claim.verify(scheme), Err(CredentialError::UnknownIssuer));

    let mut claim = whole();
    claim.chain[0] = CertificateDer::from(vec![0x30, 0]);
    assert_eq!(claim.verify(scheme), Err(CredentialError::Malformed));

    let mut claim = whole();
    claim.usage = Usage::Gateway;
    assert_eq!(claim.verify(scheme), Err(CredentialError::WrongUsage));

    let mut claim = whole();
    claim.identity = "somebody.lab.test".parse().unwrap();
    assert!(matches!(
        claim.verify(scheme),
        Err(CredentialError::WrongName(_))
    ));

    let year = Duration::from_secs(365 * 24 * 3600);
    let mut claim = whole();
    claim.now = UnixTime::since_unix_epoch(year);
    assert_eq!(claim.verify(scheme), Err(CredentialError::NotYetValid));
    claim.now = UnixTime::since_unix_epoch(year * 5000);
    assert_eq!(claim.verify(scheme), Err(CredentialError::Expired));
}

/// RFC 7296 §3.6: so many must be taken.
#[test]
fn a_chain_of_four_certificates_is_taken() {
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let below = |name: &str, issuer: &CertifiedIssuer<'static, KeyPair>| {
        CertifiedIssuer::signed_by(authority(name), key(), issuer).unwrap()
    };
    let root = CertifiedIssuer::self_signed(authority("root"), key()).unwrap();
    let first = below("first", &root);
    let second = below("second", &first);
    let third = below("third", &second);
    let pair = key();
    let mut leaf = CertificateParams::new([CLIENT.to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&pair, &third).unwrap();
    let chain = [leaf.pem(), third.pem(), second.pem(), first.pem()];
    let claim = Claim {
        anchors: TrustAnchors::new(&[certificate(&root.pem())]).unwrap(),
        chain: chain.map(|pem| certificate(&pem)).to_vec(),
        key: signing_key(&pair.serialize_pem()),
        identity: CLIENT.parse().unwrap(),
        usage: Usage::Client,
        now: now(),
    };
    let scheme = SignatureScheme::Ecdsa(Hash::Sha256);
    assert_eq!(claim.verify(scheme), Ok(()));
}

#[test]
fn our_own_certificate_goes_with_its_key_and_without_its_root() {
    let pki = Pki::new(Key::EcdsaP256);
    let chain = [&pki.gateway.leaf, &pki.gateway.intermediate, &pki.root].map(|c| certificate(c));
    let key = CertifiedKey::new(chain.to_vec(), signing_key(&pki.gateway.key)).unwrap();
    assert_eq!(key.chain(), &chain[..2]);
    let mismatch = CertifiedKey::new(chain.to_vec(), signing_key(&pki.client.key));
    assert_eq!(mismatch.err(), Some(CertificateError::KeyMismatch));
    let nothing = CertifiedKey::new(Vec::new(), signing_key(&pki.gateway.key));
    assert_eq!(nothing.err(), Some(CertificateError::None));
}
