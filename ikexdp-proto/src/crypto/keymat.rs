//! Keys of an IKE SA and the octets that AUTH payloads sign
//! (RFC 7296 §2.14 and §2.15).

use alloc::vec::Vec;

use super::CryptoError;
use super::aead::{OpenKey, SealKey};
use super::cipher::Cipher;
use super::prf::Prf;
use crate::types::{Role, Secret, Spis};

/// The keys both sides of an IKE SA hold.
#[derive(Debug)]
pub struct IkeKeys {
    prf: Prf,
    /// SK_pi, the initiator's share in AUTH.
    sk_pi: Secret<Vec<u8>>,
    /// SK_pr, the responder's share in AUTH.
    sk_pr: Secret<Vec<u8>>,
    /// Seals what we send.
    pub seal: SealKey,
    /// Opens what the peer sends.
    pub open: OpenKey,
}

/// What the two sides contributed to the keys of an IKE SA.
#[derive(Clone, Copy, Debug)]
pub struct KeySeed<'a> {
    /// g^ir.
    pub shared_secret: &'a [u8],
    /// Ni.
    pub nonce_i: &'a [u8],
    /// Nr.
    pub nonce_r: &'a [u8],
    /// SPIi and SPIr.
    pub spis: Spis,
}

impl IkeKeys {
    /// Derives SKEYSEED and from it the keys of an IKE SA in which we are `role`.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] never in practice: the lengths asked for are
    /// those of the algorithms.
    pub fn derive(
        prf: Prf,
        cipher: Cipher,
        role: Role,
        seed: &KeySeed<'_>,
    ) -> Result<Self, CryptoError> {
        let nonces = [seed.nonce_i, seed.nonce_r].concat();
        let skeyseed = prf.compute(&nonces, &[seed.shared_secret]);
        let lengths = [
            prf.output_len(),
            cipher.integrity_key_material(),
            cipher.integrity_key_material(),
            cipher.encryption().key_material(),
            cipher.encryption().key_material(),
            prf.output_len(),
            prf.output_len(),
        ];
        let material = prf.expand(
            skeyseed.expose(),
            &[
                &nonces,
                &seed.spis.initiator.0.to_be_bytes(),
                &seed.spis.responder.0.to_be_bytes(),
            ],
            lengths.iter().sum(),
        );
        let mut rest = material.expose().as_slice();
        let [_sk_d, sk_ai, sk_ar, sk_ei, sk_er, sk_pi, sk_pr] = lengths.map(|length| {
            let (key, after) = rest.split_at_checked(length).unwrap_or_default();
            rest = after;
            key
        });
        let (seal, open) = match role {
            Role::Initiator => ((sk_ei, sk_ai), (sk_er, sk_ar)),
            Role::Responder => ((sk_er, sk_ar), (sk_ei, sk_ai)),
        };
        Ok(Self {
            prf,
            sk_pi: Secret::new(sk_pi.to_vec()),
            sk_pr: Secret::new(sk_pr.to_vec()),
            seal: SealKey::new(cipher, seal.0, seal.1)?,
            open: OpenKey::new(cipher, open.0, open.1)?,
        })
    }

    /// The octets that `signer` signs: its first message, the other side's
    /// nonce, and prf(SK_p, the body of its ID payload).
    #[must_use]
    pub fn signed_octets(
        &self,
        signer: Role,
        first_message: &[u8],
        peer_nonce: &[u8],
        id_body: &[u8],
    ) -> Vec<u8> {
        let sk_p = match signer {
            Role::Initiator => &self.sk_pi,
            Role::Responder => &self.sk_pr,
        };
        let maced_id = self.prf.compute(sk_p.expose(), &[id_body]);
        [first_message, peer_nonce, maced_id.expose()].concat()
    }

    /// AUTH by a shared secret, over [`Self::signed_octets`].
    #[must_use]
    pub fn shared_key_auth(&self, psk: &[u8], signed_octets: &[u8]) -> Secret<Vec<u8>> {
        let padded = self.prf.compute(psk, &[b"Key Pad for IKEv2"]);
        self.prf.compute(padded.expose(), &[signed_octets])
    }
}

/// Computed from the formulas of RFC 7296 §2.14 and §2.15 with another
/// implementation of HMAC, AES-GCM and AES-CBC.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::{Encryption, Integrity};
    use crate::types::Spi;
    use hex_literal::hex;

    fn derive(prf: Prf, cipher: Cipher, role: Role) -> IkeKeys {
        let counting = |start: u8| core::array::from_fn::<u8, 32, _>(|i| start + i as u8);
        let seed = KeySeed {
            shared_secret: &counting(0x80),
            nonce_i: &counting(0),
            nonce_r: &counting(0x40),
            spis: Spis {
                initiator: Spi(0x0102_0304_0506_0708),
                responder: Spi(0x1112_1314_1516_1718),
            },
        };
        IkeKeys::derive(prf, cipher, role, &seed).unwrap()
    }

    #[test]
    fn an_aead_suite_gets_its_keys() {
        let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let keys = derive(Prf::HmacSha2_256, cipher, Role::Responder);
        assert_eq!(
            keys.sk_pi.expose()[..],
            hex!("770ea1e022472be4ca52bdb9b78f758513408c8f1f0341f3cd545728929d7688")
        );
        assert_eq!(
            keys.sk_pr.expose()[..],
            hex!("ccdddc9a302f01079bd615076257a9105877675e5a6d85deee944fdcc725e7ff")
        );
        let from_initiator = hex!(
            "6173736f636961746564" // associated
            "0000000000000007"     // IV
            "e4397e88ccaf856884 0522999bf267551c5397164c4a694c41"
        );
        let plaintext = keys.open.open(&from_initiator, b"associated".len());
        assert_eq!(plaintext.unwrap(), b"payloads");
    }

    #[test]
    fn a_block_cipher_suite_gets_its_keys() {
        let integrity = Some(Integrity::HmacSha2_384_192);
        let cipher = Cipher::new(Encryption::AesCbc128, integrity).unwrap();
        let keys = derive(Prf::HmacSha2_384, cipher, Role::Initiator);
        assert_eq!(
            keys.sk_pi.expose()[..],
            hex!(
                "9722100d3485e1ae3173a77a6e2f44934e1a6ebe5f62c8ee"
                "df03da11d1d8317d2d73244855c5fd243d97d3c648f45b7e"
            )
        );
        let from_responder = hex!(
            "6173736f636961746564"             // associated
            "202122232425262728292a2b2c2d2e2f" // IV
            "5fac449a586c888c9e8585c7e44b7a70"
            "391530ad0afd8da0b22ba59f1f8b974c62a72a03e1ab47eb"
        );
        let plaintext = keys.open.open(&from_responder, b"associated".len());
        assert_eq!(plaintext.unwrap(), b"payloads");
    }

    #[test]
    fn a_shared_key_signs() {
        let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let keys = derive(Prf::HmacSha2_256, cipher, Role::Responder);
        let nonce_r: [u8; 32] = core::array::from_fn(|i| 0x40 + i as u8);
        let identity = b"\x02\0\0\0client";
        let octets = keys.signed_octets(Role::Initiator, b"first message", &nonce_r, identity);
        assert_eq!(
            keys.shared_key_auth(b"secret", &octets).expose()[..],
            hex!("d39256ac495c1e3fc77cc82d852966c5005b8f8fcf70635a2b8948ef1b229963")
        );
    }
}
