//! Parts of the engine that no message shows by itself: choice of algorithms, cutting a message into
//! fragments, and putting one together.

use std::hint::black_box;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use ikexdp_proto::config::IkeAlgorithms;
use ikexdp_proto::crypto::cipher::{Cipher, Encryption};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::crypto::keymat::{IkeKeys, KeySeed};
use ikexdp_proto::crypto::prf::Prf;
use ikexdp_proto::measure::{Receiver, Sender, choose};
use ikexdp_proto::mismatch::Mismatch;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::suite::IkeSuite;
use ikexdp_proto::types::{Role, Spi, Spis};
use ikexdp_proto::wire::iana::PayloadType;
use ikexdp_proto::wire::sk::FragmentNumber;
use ikexdp_proto::wire::writer::Chain;

use crate::Case;
use crate::client::{Client, windows, windows_dh2048};
use crate::record::path;

/// Octets of the payloads of a message that is cut: IKE_AUTH with a chain of certificates.
const PAYLOADS_LEN: usize = 4096;

/// The first of them.
const FIRST: PayloadType = PayloadType::ID_RESPONDER;

/// Octets of an IP datagram, as by default.
const DATAGRAM_LEN: u16 = 1280;

pub(super) fn cases() -> Vec<Case> {
    let (forth, back) = (fragments(), fragments().into_iter().rev().collect());
    vec![
        chosen("windows", &windows(), Profile::LegacyWindows),
        chosen("windows-dh2048", &windows_dh2048(), Profile::Compatible),
        refused("windows-refused", &windows()),
        split(),
        reassemble("reassemble-4096", forth),
        reassemble("reassemble-4096-backwards", back),
    ]
}

fn chosen(name: &str, client: &Client, profile: Profile) -> Case {
    let (offer, ours) = (client.proposals.clone(), IkeAlgorithms::of(profile));
    Case::plain(format!("choose/{name}"), move || {
        choose(black_box(&offer), &ours).unwrap()
    })
}

/// By what is taken without a word in the configuration; with what is said of it.
fn refused(name: &str, client: &Client) -> Case {
    let (offer, ours) = (client.proposals.clone(), IkeAlgorithms::default());
    Case::plain(format!("choose/{name}"), move || {
        let mismatch = Mismatch::of_ike(black_box(&offer), &ours, true);
        assert!(mismatch.nearest.is_some());
        mismatch
    })
}

fn split() -> Case {
    let suite = suite();
    let seed = KeySeed {
        shared_secret: &[3; 32],
        nonce_i: &[1; 32],
        nonce_r: &[2; 32],
        spis: Spis {
            initiator: Spi(1),
            responder: Spi(2),
        },
    };
    let keys = IkeKeys::derive(suite.prf, suite.cipher, Role::Responder, &seed).unwrap();
    let mut sender = Sender::new(suite, keys, DATAGRAM_LEN);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (message, path) = (message(), path());
    Case::plain("fragments/split-4096", move || {
        let datagrams = sender.seal(black_box(&message), &path, &mut random);
        assert_eq!(datagrams.len(), 4);
        datagrams
    })
}

/// What is in each fragment is copied before, as opening it makes it.
fn reassemble(name: &str, fragments: Vec<(FragmentNumber, Vec<u8>)>) -> Case {
    Case::prepared(format!("fragments/{name}"), move |meter| {
        let mut fragments = Some(fragments.clone());
        let mut whole = None;
        meter(&mut || {
            let mut receiver = Receiver::default();
            for (fragment, plaintext) in fragments.take().expect("a meter runs it once") {
                let first = first_of(fragment);
                whole = receiver.add(fragment, first, plaintext).unwrap();
            }
        });
        assert_eq!(whole.expect("the last one completes it"), message());
    })
}

/// The message in as many parts as its datagrams have.
fn fragments() -> Vec<(FragmentNumber, Vec<u8>)> {
    let message = message();
    let parts = message.octets.chunks(PAYLOADS_LEN.div_ceil(4));
    let total = parts.len() as u16;
    let numbers = (1..=total).map(|number| FragmentNumber { number, total });
    numbers.zip(parts.map(<[u8]>::to_vec)).collect()
}

/// What the SKF payload says is first in it: of the message in its first fragment, else nothing.
fn first_of(fragment: FragmentNumber) -> PayloadType {
    match fragment.number {
        1 => FIRST,
        _ => PayloadType::NONE,
    }
}

fn message() -> Chain {
    Chain {
        first: FIRST,
        octets: vec![0xa5; PAYLOADS_LEN],
    }
}

fn suite() -> IkeSuite {
    IkeSuite {
        cipher: Cipher::new(Encryption::AesGcm16_256, None).unwrap(),
        prf: Prf::HmacSha2_256,
        group: Group::Curve25519,
    }
}
