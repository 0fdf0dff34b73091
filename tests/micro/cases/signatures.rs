//! Signatures, and verification of a peer's: its certificate, that of the authority below the root
//! that issued it, and what it has signed.

use std::hint::black_box;
use std::rc::Rc;

use ikexdp_proto::crypto::cert::{Credentials, NoMemory, NoStatusSource, TrustAnchors, Usage};
use ikexdp_proto::crypto::scheme::{Hash, SignatureScheme};
use ikexdp_proto::crypto::sign::{SigningKey, Verifier};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::wire::iana::HashAlgorithm;
use ring::rand::SystemRandom;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, UnixTime};

use crate::Case;
use crate::host::NOW;
use crate::pki::{GATEWAY, Key, Pki};
use crate::record::{chain, root};

/// The kinds of keys that [`Pki`] has.
const KEYS: [(&str, Key); 5] = [
    ("rsa-2048", Key::Rsa2048),
    ("rsa-4096", Key::Rsa4096),
    ("ecdsa-p256", Key::EcdsaP256),
    ("ecdsa-p384", Key::EcdsaP384),
    ("ed25519", Key::Ed25519),
];

/// PKCS #8 in PEM, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521` writes it: rcgen
/// makes no such keys.
const P521: &str = include_str!("../p521.key");

/// As long as what is signed in a handshake.
const OCTETS: [u8; 400] = [0x5a; 400];

pub(super) fn cases() -> Vec<Case> {
    let p521 = Rc::new(key(P521));
    let rsa = Rc::new(key(&Pki::new(Key::Rsa2048).gateway.key));
    let more = [
        sign("ecdsa-p521", &p521, scheme(&p521)),
        sign("rsa-2048-pss", &rsa, SignatureScheme::RsaPss(Hash::Sha256)),
        sign("rsa-2048-sha1", &rsa, SignatureScheme::RsaSha1),
    ];
    KEYS.into_iter()
        .flat_map(|(name, kind)| of(name, kind))
        .chain(more)
        .collect()
}

fn of(name: &str, kind: Key) -> [Case; 2] {
    let pki = Pki::new(kind);
    let key = Rc::new(key(&pki.gateway.key));
    let scheme = scheme(&key);
    [sign(name, &key, scheme), verify(name, &pki, &key, scheme)]
}

fn sign(name: &str, key: &Rc<SigningKey>, scheme: SignatureScheme) -> Case {
    let key = Rc::clone(key);
    let random = SystemRandom::new();
    Case::plain(format!("sign/{name}"), move || {
        key.sign(scheme, black_box(&OCTETS), &random).unwrap()
    })
}

fn verify(name: &str, pki: &Pki, key: &SigningKey, scheme: SignatureScheme) -> Case {
    let anchors = TrustAnchors::new(&[root(pki)]).unwrap();
    let chain = chain(&pki.gateway);
    let identity: Identity = GATEWAY.parse().unwrap();
    let signature = key.sign(scheme, &OCTETS, &SystemRandom::new()).unwrap();
    Case::plain(format!("verify-chain/{name}"), move || {
        let credentials = Credentials {
            chain: &chain,
            identity: &identity,
            scheme,
            signed_octets: &OCTETS,
            signature: black_box(&signature),
        };
        let now = UnixTime::since_unix_epoch(NOW);
        let verified = anchors.verify(
            &credentials,
            Usage::Gateway,
            now,
            &NoStatusSource,
            &NoMemory,
        );
        verified.unwrap()
    })
}

fn key(pem: &str) -> SigningKey {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    SigningKey::from_der(&der).unwrap()
}

/// What the key signs with for a peer that takes everything.
fn scheme(key: &SigningKey) -> SignatureScheme {
    let hashes = [
        HashAlgorithm::SHA2_256,
        HashAlgorithm::SHA2_384,
        HashAlgorithm::SHA2_512,
        HashAlgorithm::IDENTITY,
    ];
    let peer = Verifier {
        hashes: &hashes,
        ..Verifier::default()
    };
    key.scheme(&peer).unwrap()
}
