//! Peers of authorities that the tests make.

mod names;
mod remembered;
mod revoked;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ED25519,
};
use ring::rand::SystemRandom;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use self::remembered::Seen;
use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// 2030-01-01.
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_893_456_000));

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.serial_number = Some(5_u64.into());
    params
}

fn root(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority_params(name), key()).unwrap()
}

/// A peer with serial number 7, as `change` makes it.
fn peer(issuer: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Peer {
    let mut params = CertificateParams::new(vec!["a.example.com".into()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "peer");
    params.serial_number = Some(7_u64.into());
    change(&mut params);
    let key = key();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Peer {
        chain: vec![certificate.der().clone()],
        key: SigningKey::from_der(&secret).unwrap(),
        identity: "a.example.com".parse().unwrap(),
    }
}

struct Peer {
    chain: Vec<CertificateDer<'static>>,
    key: SigningKey,
    identity: Identity,
}

impl Peer {
    fn through(mut self, intermediate: &Authority) -> Self {
        self.chain.push(intermediate.der().clone());
        self
    }

    fn as_(mut self, identity: &str) -> Self {
        self.identity = identity.parse().unwrap();
        self
    }

    fn verify(&self, anchors: &TrustAnchors, source: &dyn StatusSource) -> Verdict {
        let scheme = SignatureScheme::Ed25519;
        let signature = self.key.sign(scheme, b"octets", &SystemRandom::new());
        let credentials = Credentials {
            chain: &self.chain,
            identity: &self.identity,
            scheme,
            signed_octets: b"octets",
            signature: &signature.unwrap(),
        };
        let verify = |memory: &dyn SignatureMemory| {
            anchors.verify(&credentials, Usage::Client, NOW, source, memory)
        };
        let verdict = verify(&NoMemory);
        // It is the same whatever has been seen before.
        let seen = Seen::default();
        for _ in 0..2 {
            assert_eq!(format!("{:?}", verify(&seen)), format!("{verdict:?}"));
        }
        verdict
    }

    /// What becomes of it by `lists`.
    fn judged(
        &self,
        root: &Authority,
        policy: RevocationPolicy,
        lists: &[&RevocationList],
    ) -> Result<(), CredentialError> {
        let revocation = Revocation {
            policy,
            lists: lists.iter().map(|list| Arc::new((*list).clone())).collect(),
            fetch: false,
        };
        let anchors = trust(root).with_revocation(revocation);
        let verdict = self.verify(&anchors, &NoStatusSource);
        verdict.map(|inquiry| assert!(inquiry.is_none()))
    }
}

type Verdict = Result<Option<Inquiry>, CredentialError>;

fn trust(root: &Authority) -> TrustAnchors {
    TrustAnchors::new(core::slice::from_ref(root.der())).unwrap()
}
