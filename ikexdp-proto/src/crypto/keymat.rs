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
