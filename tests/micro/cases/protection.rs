//! Ciphers, and what derives their keys.

use std::hint::black_box;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use ikexdp_proto::crypto::aead::{OpenKey, SealKey};
use ikexdp_proto::crypto::cipher::{Cipher, Encryption, Integrity};
use ikexdp_proto::crypto::keymat::{IkeKeys, KeySeed};
use ikexdp_proto::crypto::prf::Prf;
use ikexdp_proto::types::{Role, Spi, Spis};
use ikexdp_proto::wire::header::HEADER_LEN;
use ikexdp_proto::wire::payload::GENERIC_LEN;

use super::MESSAGE_LEN;
use crate::Case;

/// What is in the clear: an IKE header and that of an SK payload.
const ASSOCIATED: [u8; HEADER_LEN + GENERIC_LEN] = [0x2e; HEADER_LEN + GENERIC_LEN];

pub(super) fn cases() -> Vec<Case> {
    let ciphers = ciphers().into_iter().flat_map(of);
    ciphers.chain(Prf::ALL.map(prf)).chain([keys()]).collect()
}

/// Each encryption algorithm, AES-CBC with the HMAC that is preferred, and the other HMACs with it.
fn ciphers() -> Vec<Cipher> {
    let cipher = |encryption: Encryption, integrity| Cipher::new(encryption, integrity).unwrap();
    let alone = Encryption::ALL.into_iter().map(|encryption| {
        let integrity = (!encryption.is_aead()).then_some(Integrity::HmacSha2_256_128);
        cipher(encryption, integrity)
    });
    let others = Integrity::ALL.into_iter().skip(1);
    let others = others.map(|integrity| cipher(Encryption::AesCbc256, Some(integrity)));
    alone.chain(others).collect()
}

fn of(cipher: Cipher) -> [Case; 2] {
    let encryption = vec![7; cipher.encryption().key_material()];
    let integrity = vec![9; cipher.integrity_key_material()];
    let mut seal = SealKey::new(cipher, &encryption, &integrity).unwrap();
    let open = OpenKey::new(cipher, &encryption, &integrity).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let plaintext = vec![0xa5; MESSAGE_LEN];
    let mut sealed = ASSOCIATED.to_vec();
    seal.seal(&mut sealed, &plaintext, &mut random).unwrap();
    [
        Case::plain(format!("seal/{cipher}"), move || {
            let mut message =
                Vec::with_capacity(ASSOCIATED.len() + cipher.sealed_len(plaintext.len()));
            message.extend_from_slice(&ASSOCIATED);
            seal.seal(&mut message, &plaintext, &mut random).unwrap();
            message
        }),
        Case::plain(format!("open/{cipher}"), move || {
            open.open(black_box(&sealed), ASSOCIATED.len()).unwrap()
        }),
    ]
}

fn prf(prf: Prf) -> Case {
    let key = vec![7; prf.output_len()];
    let data = vec![0xa5; MESSAGE_LEN];
    Case::plain(format!("prf/{prf}"), move || {
        prf.compute(black_box(&key), &[&data])
    })
}

/// All keys of an IKE SA.
fn keys() -> Case {
    let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
    Case::plain("prf/keys-of-an-sa", move || {
        let seed = KeySeed {
            shared_secret: black_box(&[3; 32]),
            nonce_i: &[1; 32],
            nonce_r: &[2; 32],
            spis: Spis {
                initiator: Spi(1),
                responder: Spi(2),
            },
        };
        IkeKeys::derive(Prf::HmacSha2_256, cipher, Role::Responder, &seed).unwrap()
    })
}
