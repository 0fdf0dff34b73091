//! Keys of an IKE SA and of the SAs that it makes, and the octets that AUTH
//! payloads sign (RFC 7296 §2.14, §2.15, §2.17 and §2.18).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::CryptoError;
use super::aead::{OpenKey, SealKey};
use super::cipher::Cipher;
use super::prf::Prf;
use super::shared_key::{self, SharedKey};
use crate::types::{Role, Secret, Spis};

/// The keys both sides of an IKE SA hold.
#[derive(Debug)]
pub struct IkeKeys {
    prf: Prf,
    /// Our part in the IKE SA.
    role: Role,
    /// SK_d, from which all keys of further SAs come.
    sk_d: Secret<Box<[u8]>>,
    /// SK_pi and SK_pr, the initiator's and the responder's share in AUTH, until that is
    /// over.
    sk_p: Option<[Secret<Box<[u8]>>; 2]>,
    /// Seals what we send.
    pub seal: SealKey,
    /// Opens what the peer sends.
    pub open: OpenKey,
}

/// The keys that protect the messages of an IKE SA, for who is to read along.
#[derive(Debug)]
pub struct MessageKeys {
    /// SK_ei and SK_ai.
    pub from_initiator: EspKeys,
    /// SK_er and SK_ar.
    pub from_responder: EspKeys,
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

/// The keys of one direction of a CHILD SA, or of the messages of an IKE SA.
#[derive(Debug)]
pub struct EspKeys {
    /// Of the cipher; behind it the salt, if it is an AEAD.
    pub encryption: Secret<Vec<u8>>,
    /// Of the integrity algorithm; empty with an AEAD.
    pub integrity: Secret<Vec<u8>>,
}

/// The keys of a CHILD SA, by who sends: the initiator of the exchange that made
/// it, or the responder.
#[derive(Debug)]
pub struct ChildKeys {
    /// What the initiator sends.
    pub from_initiator: EspKeys,
    /// What the responder sends.
    pub from_responder: EspKeys,
}

impl EspKeys {
    fn new(encryption: &[u8], integrity: &[u8]) -> Self {
        Self {
            encryption: Secret::new(encryption.to_vec()),
            integrity: Secret::new(integrity.to_vec()),
        }
    }
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
        Self::from_skeyseed(prf, cipher, role, &skeyseed, seed)
    }

    /// The keys of the IKE SA that takes the place of this one, with algorithms
    /// of its own (RFC 7296 §2.18).
    ///
    /// # Errors
    /// Those of [`Self::derive`].
    pub fn rekey(
        &self,
        prf: Prf,
        cipher: Cipher,
        role: Role,
        seed: &KeySeed<'_>,
    ) -> Result<Self, CryptoError> {
        let parts = [seed.shared_secret, seed.nonce_i, seed.nonce_r];
        let skeyseed = self.prf.compute(self.sk_d.expose(), &parts);
        Self::from_skeyseed(prf, cipher, role, &skeyseed, seed)
    }

    /// The keys of a CHILD SA (RFC 7296 §2.17); the secret is that of its own
    /// key exchange, if there was one.
    #[must_use]
    pub fn child(
        &self,
        cipher: Cipher,
        shared_secret: Option<&[u8]>,
        [nonce_i, nonce_r]: [&[u8]; 2],
    ) -> ChildKeys {
        let encryption = cipher.encryption().key_material();
        let integrity = cipher.integrity_key_material();
        let length = encryption.saturating_add(integrity);
        let material = self.prf.expand(
            self.sk_d.expose(),
            &[shared_secret.unwrap_or_default(), nonce_i, nonce_r],
            length.saturating_mul(2),
        );
        let (from_initiator, from_responder) = material
            .expose()
            .split_at_checked(length)
            .unwrap_or_default();
        let keys = |material: &[u8]| {
            let (encryption, integrity) = material.split_at_checked(encryption).unwrap_or_default();
            EspKeys::new(encryption, integrity)
        };
        ChildKeys {
            from_initiator: keys(from_initiator),
            from_responder: keys(from_responder),
        }
    }

    fn from_skeyseed(
        prf: Prf,
        cipher: Cipher,
        role: Role,
        skeyseed: &Secret<Vec<u8>>,
        seed: &KeySeed<'_>,
    ) -> Result<Self, CryptoError> {
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
                seed.nonce_i,
                seed.nonce_r,
                &seed.spis.initiator.0.to_be_bytes(),
                &seed.spis.responder.0.to_be_bytes(),
            ],
            lengths.iter().sum(),
        );
        let mut rest = material.expose().as_slice();
        let [sk_d, sk_ai, sk_ar, sk_ei, sk_er, sk_pi, sk_pr] = lengths.map(|length| {
            let (key, after) = rest.split_at_checked(length).unwrap_or_default();
            rest = after;
            key
        });
        let (seal, open) = match role {
            Role::Initiator => ((sk_ei, sk_ai), (sk_er, sk_ar)),
            Role::Responder => ((sk_er, sk_ar), (sk_ei, sk_ai)),
        };
        let secret = |key: &[u8]| Secret::new(Box::from(key));
        Ok(Self {
            prf,
            role,
            sk_d: secret(sk_d),
            sk_p: Some([sk_pi, sk_pr].map(secret)),
            seal: SealKey::new(cipher, seal.0, seal.1)?,
            open: OpenKey::new(cipher, open.0, open.1)?,
        })
    }

    /// What protects messages, for who is to read along.
    pub(crate) fn of_messages(&self) -> MessageKeys {
        let keys = |(encryption, integrity): (&[u8], &[u8])| EspKeys::new(encryption, integrity);
        let (ours, theirs) = (keys(self.seal.parts()), keys(self.open.parts()));
        let (from_initiator, from_responder) = match self.role {
            Role::Initiator => (ours, theirs),
            Role::Responder => (theirs, ours),
        };
        MessageKeys {
            from_initiator,
            from_responder,
        }
    }

    /// Wipes what AUTH alone needs: both sides have proved who they are.
    pub(crate) fn forget_shares(&mut self) {
        self.sk_p = None;
    }

    /// A side's share in AUTH; empty when that is over.
    fn share(&self, of: Role) -> &[u8] {
        self.sk_p
            .as_ref()
            .map_or(&[], |[initiator, responder]| match of {
                Role::Initiator => initiator.expose(),
                Role::Responder => responder.expose(),
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
        let maced_id = self.prf.compute(self.share(signer), &[id_body]);
        [first_message, peer_nonce, maced_id.expose()].concat()
    }

    /// AUTH by a pre-shared key, over [`Self::signed_octets`].
    #[must_use]
    pub fn shared_key_auth(&self, key: &SharedKey, signed_octets: &[u8]) -> Secret<Vec<u8>> {
        self.prf.compute(key.padded(self.prf), &[signed_octets])
    }

    /// AUTH by the key `msk` that an EAP method has made for this SA alone, over [`Self::signed_octets`]
    /// (RFC 7296 §2.16).
    #[must_use]
    pub fn session_key_auth(&self, msk: &[u8], signed_octets: &[u8]) -> Secret<Vec<u8>> {
        let padded = shared_key::pad(self.prf, msk);
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

    fn counting(start: u8) -> [u8; 32] {
        core::array::from_fn(|i| start + i as u8)
    }

    fn derive(prf: Prf, cipher: Cipher, role: Role) -> IkeKeys {
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
            keys.share(Role::Initiator)[..],
            hex!("770ea1e022472be4ca52bdb9b78f758513408c8f1f0341f3cd545728929d7688")
        );
        assert_eq!(
            keys.share(Role::Responder)[..],
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
            keys.share(Role::Initiator)[..],
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
    fn a_child_sa_gets_its_keys() {
        let gcm = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let keys = derive(Prf::HmacSha2_256, gcm, Role::Initiator);
        let (nonce_i, nonce_r, secret) = (counting(0x20), counting(0x60), counting(0xa0));
        let without_pfs = keys.child(gcm, None, [&nonce_i, &nonce_r]);
        assert_eq!(
            without_pfs.from_initiator.encryption.expose()[..],
            hex!(
                "8e9285e49e8cdf8ffa32c4aef8c49777c82c9cc64fa451ed49551179020e2472" // key
                "c3ef9f60"                                                         // salt
            )
        );
        assert_eq!(
            without_pfs.from_responder.encryption.expose()[..],
            hex!(
                "de18e6e6420ee8bd6d18a439ac6e98d7906e1b698ee2204a422660cb82549f1f"
                "ff6f4540"
            )
        );
        assert!(without_pfs.from_initiator.integrity.expose().is_empty());
        let pfs = keys.child(gcm, Some(&secret), [&nonce_i, &nonce_r]);
        assert_eq!(
            pfs.from_initiator.encryption.expose()[..4],
            hex!("2eef3bc8")
        );
        assert_eq!(
            pfs.from_responder.encryption.expose()[32..],
            hex!("a42a1c97")
        );
        let integrity = Some(Integrity::HmacSha2_256_128);
        let cbc = Cipher::new(Encryption::AesCbc128, integrity).unwrap();
        let keys = keys.child(cbc, None, [&nonce_i, &nonce_r]);
        assert_eq!(
            keys.from_initiator.encryption.expose()[..],
            hex!("8e9285e49e8cdf8ffa32c4aef8c49777")
        );
        assert_eq!(
            keys.from_initiator.integrity.expose()[..],
            hex!("c82c9cc64fa451ed49551179020e2472c3ef9f60de18e6e6420ee8bd6d18a439")
        );
        assert_eq!(
            keys.from_responder.encryption.expose()[..],
            hex!("ac6e98d7906e1b698ee2204a422660cb")
        );
    }

    #[test]
    fn a_rekeyed_sa_gets_its_keys_from_the_old_one() {
        let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let old = derive(Prf::HmacSha2_256, cipher, Role::Initiator);
        let seed = KeySeed {
            shared_secret: &counting(0xa0),
            nonce_i: &counting(0x20),
            nonce_r: &counting(0x60),
            spis: Spis {
                initiator: Spi(0x2122_2324_2526_2728),
                responder: Spi(0x3132_3334_3536_3738),
            },
        };
        let new = old.rekey(Prf::HmacSha2_256, cipher, Role::Responder, &seed);
        let new = new.unwrap();
        assert_eq!(
            new.sk_d.expose()[..],
            hex!("56d9e85ed7b0dd9a3293da29ddab3504e74560bea3643d3d3384d4aaca11906a")
        );
        assert_eq!(
            new.share(Role::Initiator)[..],
            hex!("ae17161bdc8c9057c90fe842c645a48211ba171ed03768379d044981abe06729")
        );
    }

    #[test]
    fn a_shared_key_signs() {
        let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let keys = derive(Prf::HmacSha2_256, cipher, Role::Responder);
        let nonce_r: [u8; 32] = core::array::from_fn(|i| 0x40 + i as u8);
        let identity = b"\x02\0\0\0client";
        let octets = keys.signed_octets(Role::Initiator, b"first message", &nonce_r, identity);
        assert_eq!(
            keys.shared_key_auth(&SharedKey::new(b"secret"), &octets)
                .expose()[..],
            hex!("d39256ac495c1e3fc77cc82d852966c5005b8f8fcf70635a2b8948ef1b229963")
        );
    }
}
