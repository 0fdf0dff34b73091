//! What the public-key cryptography of a handshake takes alone, by OpenSSL and by what ikexdp has.
//!
//! A responder makes a pair of keys for X25519 and agrees on a secret by it, and with certificates signs
//! once and verifies the client's signature. Certificates are the same each time that a client comes, or
//! for many clients, and need not be verified each time.
//!
//! `openssl speed` measures no making of keys for X25519: it counts as another agreement here, which
//! takes longer.

use std::{hint::black_box, process::Command, time::Duration};

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use ikexdp_proto::{
    crypto::{
        kex::Group,
        scheme::SignatureScheme,
        sign::{SigningKey, Verifier},
    },
    wire::iana::HashAlgorithm,
};
use nix::time::{ClockId, clock_gettime};
use ring::rand::SystemRandom;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};

use harness::pki::{Key, Pki};

use super::{case::Case, place::RESPONDER};

/// How long an operation is repeated.
const TIME: Duration = Duration::from_millis(500);

/// What is signed: about as much as in IKE_AUTH.
const SIGNED: [u8; 512] = [7; 512];

/// Time for the operations of a handshake, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// By OpenSSL.
    pub(super) openssl: f64,
    /// By the same code as in ikexdp.
    pub(super) ours: f64,
}

/// Measures a kind of handshake on this thread's CPU.
pub(super) fn measure(case: Case, pki: Option<&Pki>) -> Limit {
    let mut limit = Limit {
        openssl: openssl(case),
        ours: key_exchange(),
    };
    if let (Some(key), Some(pki)) = (case.key(), pki) {
        limit.ours += signatures(key, pki);
    }
    limit
}

/// Microseconds of two operations of X25519, a signature and a verification.
fn openssl(case: Case) -> f64 {
    let mut speed = Command::new("taskset");
    speed.args(["--cpu-list", RESPONDER, "openssl", "speed", "-mr"]);
    speed.args(["-seconds", "1", "ecdhx25519"]);
    speed.args(case.openssl());
    let output = speed
        .output()
        .expect("openssl, which `cargo xtask setup` installs");
    read(&String::from_utf8_lossy(&output.stdout))
}

/// Reads lines such as `+F5:22:253:41802.9:0.000024` (X25519 a second) and
/// `+F4:3:256:69098.5:23650.7` (signatures and verifications a second).
fn read(speed: &str) -> f64 {
    let micros = |rate: &str| 1e6 / rate.parse::<f64>().expect("operations a second");
    let lines = speed.lines().filter_map(|line| line.strip_prefix("+F"));
    lines
        .map(|line| match line.split(':').collect::<Vec<_>>()[..] {
            ["5", _, _, agree, _] => 2.0 * micros(agree),
            ["2" | "4", _, _, sign, verify] => micros(sign) + micros(verify),
            _ => panic!("what is this: {line}"),
        })
        .sum()
}

/// Microseconds of a pair of keys and an agreement.
fn key_exchange() -> f64 {
    let random = SystemRandom::new();
    let pair = || Group::Curve25519.generate(&random).expect("a pair of keys");
    let theirs = pair();
    time(|| pair().agree(theirs.public()).expect("a secret"))
}

/// Microseconds of a signature and a verification.
fn signatures(key: Key, pki: &Pki) -> f64 {
    let random = SystemRandom::new();
    let der = PrivateKeyDer::from_pem_slice(pki.gateway.key.as_bytes()).expect("a key");
    let signing = SigningKey::from_der(&der).expect("a key");
    let peer = Verifier {
        hashes: &[HashAlgorithm::SHA2_256],
        ..Verifier::default()
    };
    let scheme: SignatureScheme = signing.scheme(&peer).expect("a scheme");
    let sign = || signing.sign(scheme, &SIGNED, &random).expect("a signature");
    let algorithm: &dyn VerificationAlgorithm = match key {
        Key::EcdsaP256 => &signature::ECDSA_P256_SHA256_ASN1,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    };
    let (public, made) = (signing.public_key(), sign());
    let verify = || {
        let key = UnparsedPublicKey::new(algorithm, public);
        key.verify(&SIGNED, &made).expect("a signature of this key");
    };
    time(sign) + time(verify)
}

/// Microseconds of CPU time that `operation` takes.
fn time<T>(operation: impl Fn() -> T) -> f64 {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = now();
    let mut times = 0_u32;
    loop {
        for _ in 0..10 {
            black_box(operation());
        }
        times += 10;
        let elapsed = now() - start;
        if elapsed >= TIME {
            return elapsed.as_secs_f64() * 1e6 / f64::from(times);
        }
    }
}
