//! Signatures that have been seen before.

use std::sync::Mutex;

use super::*;

/// Remembers everything, and how often it learned something.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Vec<SignatureDigest>>);

impl SignatureMemory for Seen {
    fn knows(&self, digest: &SignatureDigest) -> bool {
        self.0.lock().unwrap().contains(digest)
    }

    fn remember(&self, digest: SignatureDigest) {
        self.0.lock().unwrap().push(digest);
    }
}

impl Seen {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn examined(peer: &Peer, anchors: &TrustAnchors, seen: &Seen) -> Result<(), CredentialError> {
    let signature = peer
        .key
        .sign(SignatureScheme::Ed25519, b"octets", &SystemRandom::new())
        .unwrap();
    let credentials = Credentials {
        chain: &peer.chain,
        identity: &peer.identity,
        scheme: SignatureScheme::Ed25519,
        signed_octets: b"octets",
        signature: &signature,
    };
    let verdict = anchors.verify(&credentials, Usage::Client, NOW, &NoStatusSource, seen);
    verdict.map(drop)
}

/// One of the intermediate, and one of each leaf below it; none of the handshake.
#[test]
fn a_good_signature_is_computed_once() {
    let root = root("root");
    let intermediate = CertifiedIssuer::signed_by(authority_params("below"), key(), &root).unwrap();
    let anchors = trust(&root);
    let seen = Seen::default();
    for (peers, known) in [(1, 2), (2, 3)] {
        let peer = peer(&intermediate, |_| ()).through(&intermediate);
        for _ in 0..2 {
            examined(&peer, &anchors, &seen).unwrap();
            assert_eq!(seen.count(), known, "{peers} peers");
        }
    }
}

/// Nor does one that is remembered stand for another.
#[test]
fn a_bad_signature_is_not_remembered() {
    let root = root("root");
    let anchors = trust(&root);
    let seen = Seen::default();
    let good = peer(&root, |_| ());
    examined(&good, &anchors, &seen).unwrap();
    let mut bad = peer(&root, |_| ());
    let mut octets = good.chain[0].to_vec();
    // The signature is at the end.
    *octets.last_mut().unwrap() ^= 1;
    bad.chain = vec![octets.into()];
    examined(&bad, &anchors, &seen).unwrap_err();
    // The same names, another authority.
    let stranger = peer(&super::root("root"), |_| ());
    examined(&stranger, &anchors, &seen).unwrap_err();
    assert_eq!(seen.count(), 1);
}
