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
use crate::pki::{Chain, GATEWAY, Key, Pki};
use crate::record::{chain, root};

/// The kinds of keys that [`Pki`] has.
const KEYS: [(&str, Key); 5] = [
    ("rsa-2048", Key::Rsa2048),
    ("rsa-4096", Key::Rsa4096),
    ("ecdsa-p256", Key::EcdsaP256),
    ("ecdsa-p384", Key::EcdsaP384),
    ("ed25519", Key::Ed25519),
];

/// A root, an authority below it and a gateway on P-521, by `openssl req -x509 -sha512 -days 36500`: with ring,
/// rcgen makes no such keys. The key is PKCS #8.
mod p521 {
    pub(super) const ROOT: &str = include_str!("../p521/root.pem");
    pub(super) const INTERMEDIATE: &str = include_str!("../p521/intermediate.pem");
    pub(super) const LEAF: &str = include_str!("../p521/leaf.pem");
    pub(super) const KEY: &str = include_str!("../p521/leaf.key");
}

/// As long as what is signed in a handshake.
const OCTETS: [u8; 400] = [0x5a; 400];

pub(super) fn cases() -> Vec<Case> {
    let rsa = Rc::new(key(&Pki::new(Key::Rsa2048).gateway.key));
    let more = [
        sign("rsa-2048-pss", &rsa, SignatureScheme::RsaPss(Hash::Sha256)),
        sign("rsa-2048-sha1", &rsa, SignatureScheme::RsaSha1),
    ];
    KEYS.into_iter()
        .flat_map(|(name, kind)| of(name, &Pki::new(kind)))
        .chain(of("ecdsa-p521", &p521()))
        .chain(more)
        .collect()
}

fn of(name: &str, pki: &Pki) -> [Case; 2] {
    let key = Rc::new(key(&pki.gateway.key));
    let scheme = scheme(&key);
    [sign(name, &key, scheme), verify(name, pki, &key, scheme)]
}

/// The client is the gateway: nobody asks for it.
fn p521() -> Pki {
    let gateway = Chain {
        leaf: p521::LEAF.to_owned(),
        intermediate: p521::INTERMEDIATE.to_owned(),
        key: p521::KEY.to_owned(),
        revoked: String::new(),
    };
    Pki {
        root: p521::ROOT.to_owned(),
        client: gateway.clone(),
        gateway,
    }
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
