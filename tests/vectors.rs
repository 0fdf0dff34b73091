//! Messages and signatures against what others make of them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

use std::fs;
use std::process::Command;
use std::time::Duration;

use harness::pki::{CLIENT, Key, Pki};
use ikexdp_proto::crypto::cert::{
    CertificateError, CertifiedKey, CredentialError, Credentials, NoStatusSource, TrustAnchors,
    Usage,
};
use ikexdp_proto::crypto::scheme::{Hash, SignatureScheme};
use ikexdp_proto::crypto::sign::SigningKey;
use ikexdp_proto::identity::Identity;
use ikexdp_proto::message::init::{InitNotifies, InitRequest};
use ikexdp_proto::nat::NatHashes;
use ikexdp_proto::types::{MessageId, Role, Spi, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::{
    AuthMethod, ExchangeType, GroupId, HashAlgorithm, ProtocolId, TransformType,
};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::sa::{Proposal, Transform};
use ipsec_parser::IkeV2PayloadContent;
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
    SigningKey::from_der(&key, &SystemRandom::new()).unwrap()
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
        let verified = self
            .anchors
            .verify(&credentials, self.usage, self.now, &NoStatusSource);
        verified.map(|inquiry| assert!(inquiry.is_none()))
    }
}

/// What a peer gets that announces no hashes, as Windows does not.
#[test]
fn a_peer_without_rfc_7427_gets_a_method_of_its_own() {
    for (key, method, length) in [
        (Key::EcdsaP256, AuthMethod::ECDSA_256, 64),
        (Key::EcdsaP384, AuthMethod::ECDSA_384, 96),
    ] {
        let claim = Claim::new(key);
        let scheme = claim.key.scheme(&[], false).unwrap();
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
    for key in [Key::Rsa2048, Key::Ed25519] {
        assert_eq!(Claim::new(key).key.scheme(&[], false), None);
    }
}

#[test]
fn every_kind_of_key_signs_and_verifies() {
    for key in EVERY_KEY {
        let claim = Claim::new(key);
        for pss in [false, true] {
            for hash in EVERY_HASH {
                if let Some(scheme) = claim.key.scheme(&[hash], pss) {
                    assert_eq!(claim.verify(scheme), Ok(()), "{key:?} {scheme}");
                }
            }
            let preferred = claim.key.scheme(&EVERY_HASH, pss).unwrap();
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

/// What an unconfigured Windows 10 offers: 12 proposals, one algorithm of each
/// type in each, all with 1024-bit MODP.
fn windows_proposals() -> Vec<Proposal> {
    let ciphers = [(3, None), (12, Some(128)), (12, Some(192)), (12, Some(256))];
    let hashes = [(2, 2), (12, 5), (13, 6)];
    let every = ciphers
        .into_iter()
        .flat_map(|cipher| hashes.map(|hash| (cipher, hash)));
    every
        .zip(1..)
        .map(|(((cipher, bits), (integrity, prf)), number)| Proposal {
            number,
            protocol: ProtocolId::IKE,
            spi: Vec::new(),
            transforms: vec![
                Transform::new(TransformType::ENCRYPTION, cipher, bits),
                Transform::new(TransformType::INTEGRITY, integrity, None),
                Transform::new(TransformType::PRF, prf, None),
                Transform::new(TransformType::KEY_EXCHANGE, 2, None),
            ],
        })
        .collect()
}

fn message(request: &InitRequest<'_>) -> Vec<u8> {
    let chain = request.encode();
    let header = Header {
        spis: Spis {
            initiator: Spi(0x0102_0304_0506_0708),
            responder: Spi::ZERO,
        },
        next_payload: chain.first,
        version: VERSION,
        exchange: ExchangeType::IKE_SA_INIT,
        from: Role::Initiator,
        response: false,
        message_id: MessageId(0),
    };
    let mut message = Vec::new();
    header.encode(HEADER_LEN + chain.octets.len(), &mut message);
    message.extend(chain.octets);
    message
}

/// ipsec-parser reads what we write, payload by payload.
#[test]
fn another_parser_reads_what_we_write() {
    let request = InitRequest {
        is_windows: true,
        cookie: Some(b"cookie"),
        proposals: windows_proposals(),
        key_exchange: KeyExchange {
            group: GroupId::CURVE25519,
            data: &[7; 32],
        },
        nonce: &[9; 32],
        notifies: InitNotifies {
            nat: NatHashes {
                sources: vec![[1; 20]],
                destination: Some([2; 20]),
            },
            fragmentation: true,
            signature_hashes: EVERY_HASH.to_vec(),
            childless: false,
        },
    };
    let message = message(&request);
    let (rest, header) = ipsec_parser::parse_ikev2_header(&message).unwrap();
    assert_eq!(usize::try_from(header.length).unwrap(), message.len());
    assert_eq!(header.init_spi, 0x0102_0304_0506_0708);
    let first = header.next_payload;
    let (rest, payloads) = ipsec_parser::parse_ikev2_payload_list(rest, first).unwrap();
    assert!(rest.is_empty());
    let payloads: Vec<_> = payloads
        .unwrap()
        .into_iter()
        .map(|payload| payload.content)
        .collect();
    let IkeV2PayloadContent::Notify(cookie) = &payloads[1] else {
        panic!("the cookie comes first: {payloads:?}")
    };
    // Its data come out four octets short; that much is theirs.
    assert_eq!(cookie.notify_type, ipsec_parser::NotifyType(16_390));
    let IkeV2PayloadContent::SA(proposals) = &payloads[2] else {
        panic!("then the proposals")
    };
    assert_eq!(proposals.len(), 12);
    for (theirs, ours) in proposals.iter().zip(&request.proposals) {
        assert_eq!(theirs.proposal_num, ours.number);
        let ids: Vec<u16> = theirs.transforms.iter().map(|t| t.transform_id).collect();
        let expected: Vec<u16> = ours.transforms.iter().map(|t| t.id).collect();
        assert_eq!(ids, expected);
    }
    let IkeV2PayloadContent::KE(key_exchange) = &payloads[3] else {
        panic!("then the public value")
    };
    assert_eq!(key_exchange.kex_data, [7; 32]);
    let IkeV2PayloadContent::Nonce(nonce) = &payloads[4] else {
        panic!("then the nonce")
    };
    assert_eq!(nonce.nonce_data, [9; 32]);
    let notifies = payloads[5..]
        .iter()
        .filter(|payload| matches!(payload, IkeV2PayloadContent::Notify(_)));
    assert_eq!(notifies.count(), 4);
}
