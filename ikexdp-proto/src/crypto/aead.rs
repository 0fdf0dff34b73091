//! Protection of SK and SKF payloads: AEAD ciphers (RFC 5282, RFC 7634) and
//! AES-CBC with a separate HMAC (RFC 7296 §3.14).
//!
//! ```text
//! | associated data         | IV | ciphertext: plaintext, padding, pad length | ICV |
//!   IKE header to SK header
//! ```
//!
//! Keys are wiped when they are dropped, and so are the key schedules of AES-CBC; what
//! `ring` makes of keys for a message it has no way to wipe, and leaves on the stack.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes::{Aes128Dec, Aes128Enc, Aes256Dec, Aes256Enc};
use rand_core::CryptoRng;
use ring::{aead, hmac};
use subtle::ConstantTimeEq;

use super::CryptoError;
use super::cipher::{BLOCK, Cipher, Encryption, SALT};
use crate::types::Secret;

type Block = Array<u8, aes::cipher::consts::U16>;

/// Keys of one direction, to seal with.
pub struct SealKey {
    material: Material,
    /// Invocations so far: the IV of the AEAD ciphers (RFC 5282 §3.1).
    counter: u64,
}

/// Keys of one direction, to open with.
pub struct OpenKey(Material);

/// Keys as they were derived. They are made ready for each message anew, for some tenth
/// of a microsecond: kept ready they would take more than all else that there is of an SA.
struct Material {
    cipher: Cipher,
    /// Of the cipher, with the salt of an AEAD behind it; then of the integrity algorithm.
    octets: Secret<Box<[u8]>>,
}

impl SealKey {
    /// Takes the key material `encryption` (with the salt of an AEAD at its end)
    /// and `integrity`.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] if a key is not as long as `cipher` wants it.
    pub fn new(cipher: Cipher, encryption: &[u8], integrity: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self {
            material: Material::new(cipher, encryption, integrity)?,
            counter: 0,
        })
    }

    /// Which algorithms the key is for.
    #[must_use]
    pub const fn cipher(&self) -> Cipher {
        self.material.cipher
    }

    /// The key material, as [`Self::new`] takes it.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.material.parts()
    }

    /// Opens what this key has sealed, as [`OpenKey::open`] does.
    pub(crate) fn open(&self, message: &[u8], associated: usize) -> Result<Vec<u8>, CryptoError> {
        self.material.open(message, associated)
    }

    /// Appends IV, ciphertext and ICV to `message`, which holds the associated
    /// data with its length fields already final.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] when the key has been used 2^64 times.
    pub fn seal(
        &mut self,
        message: &mut Vec<u8>,
        plaintext: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<(), CryptoError> {
        let associated = message.len();
        let cipher = self.material.cipher;
        let (encryption, integrity) = self.material.parts();
        message.reserve_exact(cipher.sealed_len(plaintext.len()));
        match cipher.integrity() {
            None => {
                let key = Aead::new(cipher.encryption(), encryption)?;
                let iv = self.counter.to_be_bytes();
                self.counter = self.counter.checked_add(1).ok_or(CryptoError::KeyLength)?;
                message.extend_from_slice(&iv);
                append_padded(message, plaintext, cipher.block());
                key.seal(message, associated, iv)
            }
            Some(algorithm) => {
                let key = CbcEncrypt::new(encryption)?;
                let mac = hmac::Key::new(algorithm.algorithm(), integrity);
                // An IV of AES-CBC must be unpredictable (RFC 7296 §3.14).
                let mut iv = [0; BLOCK];
                random.fill_bytes(&mut iv);
                message.extend_from_slice(&iv);
                let start = message.len();
                append_padded(message, plaintext, cipher.block());
                key.encrypt(iv, message.get_mut(start..).unwrap_or_default());
                let tag = hmac::sign(&mac, message);
                message.extend(tag.as_ref().iter().take(cipher.icv()));
                Ok(())
            }
        }
    }
}

impl OpenKey {
    /// Takes the key material as [`SealKey::new`] does.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] if a key is not as long as `cipher` wants it.
    pub fn new(cipher: Cipher, encryption: &[u8], integrity: &[u8]) -> Result<Self, CryptoError> {
        Material::new(cipher, encryption, integrity).map(Self)
    }

    /// Authenticates `message`, whose first `associated` octets are in the
    /// clear, and returns the plaintext without its padding.
    ///
    /// # Errors
    /// [`CryptoError::Unauthentic`] if the message is not the peer's, cut
    /// short, or padded past its beginning.
    pub fn open(&self, message: &[u8], associated: usize) -> Result<Vec<u8>, CryptoError> {
        self.0.open(message, associated)
    }

    /// The key material, as [`Self::new`] takes it.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.0.parts()
    }
}

impl Material {
    fn new(cipher: Cipher, encryption: &[u8], integrity: &[u8]) -> Result<Self, CryptoError> {
        let fits = encryption.len() == cipher.encryption().key_material()
            && integrity.len() == cipher.integrity_key_material();
        let octets = Secret::new([encryption, integrity].concat().into_boxed_slice());
        fits.then_some(Self { cipher, octets })
            .ok_or(CryptoError::KeyLength)
    }

    /// Of the cipher, and of the integrity algorithm.
    fn parts(&self) -> (&[u8], &[u8]) {
        let encryption = self.cipher.encryption().key_material();
        let octets = self.octets.expose();
        octets.split_at_checked(encryption).unwrap_or_default()
    }

    fn open(&self, message: &[u8], associated: usize) -> Result<Vec<u8>, CryptoError> {
        let unauthentic = CryptoError::Unauthentic;
        let (aad, body) = message.split_at_checked(associated).ok_or(unauthentic)?;
        let (iv, sealed) = body.split_at_checked(self.cipher.iv()).ok_or(unauthentic)?;
        let (encryption, integrity) = self.parts();
        let mut plaintext = match self.cipher.integrity() {
            None => Aead::new(self.cipher.encryption(), encryption)?.open(aad, iv, sealed)?,
            Some(algorithm) => {
                let mac = hmac::Key::new(algorithm.algorithm(), integrity);
                let (covered, icv) = message
                    .len()
                    .checked_sub(self.cipher.icv())
                    .and_then(|end| message.split_at_checked(end))
                    .ok_or(unauthentic)?;
                let tag = hmac::sign(&mac, covered);
                let expected = tag.as_ref().get(..icv.len()).ok_or(unauthentic)?;
                if !bool::from(expected.ct_eq(icv)) {
                    return Err(unauthentic);
                }
                let ciphertext = sealed
                    .get(..sealed.len().saturating_sub(icv.len()))
                    .ok_or(unauthentic)?;
                CbcDecrypt::new(encryption)?.decrypt(iv, ciphertext)?
            }
        };
        // Any padding the sender likes, up to 255 octets (RFC 7296 §3.14).
        let padding = plaintext.pop().ok_or(unauthentic)?;
        let end = plaintext
            .len()
            .checked_sub(usize::from(padding))
            .ok_or(unauthentic)?;
        plaintext.truncate(end);
        Ok(plaintext)
    }
}

/// Plaintext, padding of zeros up to a whole block, pad length.
fn append_padded(message: &mut Vec<u8>, plaintext: &[u8], block: usize) {
    let unpadded = plaintext.len().saturating_add(1);
    let padding = unpadded.next_multiple_of(block).saturating_sub(unpadded);
    message.extend_from_slice(plaintext);
    message.extend(core::iter::repeat_n(0, padding));
    // Less than a block, so it fits.
    message.push(u8::try_from(padding).unwrap_or_default());
}

/// An AEAD key with its salt.
struct Aead {
    key: aead::LessSafeKey,
    salt: [u8; SALT],
}

impl Aead {
    fn new(encryption: Encryption, material: &[u8]) -> Result<Self, CryptoError> {
        let algorithm = match encryption {
            Encryption::AesGcm16_128 => &aead::AES_128_GCM,
            Encryption::AesGcm16_256 => &aead::AES_256_GCM,
            Encryption::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
            Encryption::AesCbc128 | Encryption::AesCbc256 => return Err(CryptoError::KeyLength),
        };
        let (key, salt) = material
            .split_last_chunk::<SALT>()
            .ok_or(CryptoError::KeyLength)?;
        let key = aead::UnboundKey::new(algorithm, key).map_err(|_| CryptoError::KeyLength)?;
        Ok(Self {
            key: aead::LessSafeKey::new(key),
            salt: *salt,
        })
    }

    /// Seals what follows the IV in `message` and appends the ICV.
    fn seal(
        &self,
        message: &mut Vec<u8>,
        associated: usize,
        iv: [u8; 8],
    ) -> Result<(), CryptoError> {
        let (aad, body) = message
            .split_at_mut_checked(associated)
            .ok_or(CryptoError::KeyLength)?;
        let plaintext = body.get_mut(iv.len()..).unwrap_or_default();
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(iv), aead::Aad::from(aad), plaintext)
            .map_err(|_| CryptoError::KeyLength)?;
        message.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Returns the plaintext with its padding.
    fn open(&self, aad: &[u8], iv: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let iv = iv.try_into().map_err(|_| CryptoError::Unauthentic)?;
        let mut buffer = sealed.to_vec();
        let plaintext = self
            .key
            .open_in_place(self.nonce(iv), aead::Aad::from(aad), &mut buffer)
            .map_err(|_| CryptoError::Unauthentic)?
            .len();
        buffer.truncate(plaintext);
        Ok(buffer)
    }

    fn nonce(&self, iv: [u8; 8]) -> aead::Nonce {
        let mut nonce = [0; aead::NONCE_LEN];
        let (salt, explicit) = nonce.split_at_mut(SALT);
        salt.copy_from_slice(&self.salt);
        explicit.copy_from_slice(&iv);
        aead::Nonce::assume_unique_for_key(nonce)
    }
}

enum CbcEncrypt {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl CbcEncrypt {
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        Aes128Enc::new_from_slice(key)
            .map(Self::Aes128)
            .or_else(|_| Aes256Enc::new_from_slice(key).map(Self::Aes256))
            .map_err(|_| CryptoError::KeyLength)
    }

    fn encrypt(&self, iv: [u8; BLOCK], data: &mut [u8]) {
        let (blocks, _) = Block::slice_as_chunks_mut(data);
        let iv = iv.into();
        match self {
            Self::Aes128(key) => {
                cbc::Encryptor::inner_iv_init(key, &iv).encrypt_blocks(blocks);
            }
            Self::Aes256(key) => {
                cbc::Encryptor::inner_iv_init(key, &iv).encrypt_blocks(blocks);
            }
        }
    }
}

enum CbcDecrypt {
    Aes128(Aes128Dec),
    Aes256(Aes256Dec),
}

impl CbcDecrypt {
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        Aes128Dec::new_from_slice(key)
            .map(Self::Aes128)
            .or_else(|_| Aes256Dec::new_from_slice(key).map(Self::Aes256))
            .map_err(|_| CryptoError::KeyLength)
    }

    /// Returns the plaintext with its padding; a ciphertext that is not whole
    /// blocks was never sealed by us or by the peer.
    fn decrypt(&self, iv: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let iv = Block::try_from(iv).map_err(|_| CryptoError::Unauthentic)?;
        let mut buffer = ciphertext.to_vec();
        let (blocks, rest) = Block::slice_as_chunks_mut(&mut buffer);
        if !rest.is_empty() {
            return Err(CryptoError::Unauthentic);
        }
        match self {
            Self::Aes128(key) => {
                cbc::Decryptor::inner_iv_init(key, &iv).decrypt_blocks(blocks);
            }
            Self::Aes256(key) => {
                cbc::Decryptor::inner_iv_init(key, &iv).decrypt_blocks(blocks);
            }
        }
        Ok(buffer)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.material.cipher)
    }
}

impl fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenKey({})", self.0.cipher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::Integrity;
    use crate::testing::Counting;
    use hex_literal::hex;

    const AAD: &[u8] = b"IKE header, SK header";

    fn keys(cipher: Cipher) -> (SealKey, OpenKey) {
        let encryption = alloc::vec![0x17; cipher.encryption().key_material()];
        let integrity = alloc::vec![0x23; cipher.integrity_key_material()];
        (
            SealKey::new(cipher, &encryption, &integrity).unwrap(),
            OpenKey::new(cipher, &encryption, &integrity).unwrap(),
        )
    }

    fn ciphers() -> [Cipher; 7] {
        use Encryption::*;
        use Integrity::*;
        [
            (AesGcm16_128, None),
            (AesGcm16_256, None),
            (ChaCha20Poly1305, None),
            (AesCbc128, Some(HmacSha2_256_128)),
            (AesCbc128, Some(HmacSha2_384_192)),
            (AesCbc256, Some(HmacSha2_256_128)),
            (AesCbc256, Some(HmacSha2_512_256)),
        ]
        .map(|(encryption, integrity)| Cipher::new(encryption, integrity).unwrap())
    }

    #[test]
    fn what_is_sealed_opens_and_has_the_length_foretold() {
        for cipher in ciphers() {
            let (mut seal, open) = keys(cipher);
            for length in 0..70 {
                let plaintext = alloc::vec![0xa5; length];
                let mut message = AAD.to_vec();
                seal.seal(&mut message, &plaintext, &mut Counting::default())
                    .unwrap();
                assert_eq!(message.len(), AAD.len() + cipher.sealed_len(length));
                assert_eq!(open.open(&message, AAD.len()).unwrap(), plaintext);
            }
        }
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_refused() {
        for cipher in ciphers() {
            let (mut seal, open) = keys(cipher);
            let mut message = AAD.to_vec();
            seal.seal(&mut message, b"payloads", &mut Counting::default())
                .unwrap();
            for place in 0..message.len() {
                let mut changed = message.clone();
                changed[place] ^= 0x10;
                assert!(open.open(&changed, AAD.len()).is_err(), "{cipher} {place}");
                assert!(open.open(&message[..place], AAD.len()).is_err());
            }
        }
    }

    /// A block cipher message with no ciphertext at all, but a valid ICV.
    #[test]
    fn an_empty_ciphertext_is_refused() {
        let cipher = ciphers()[3];
        let (_, open) = keys(cipher);
        let mut message = AAD.to_vec();
        message.extend([0; BLOCK]);
        let algorithm = Integrity::HmacSha2_256_128.algorithm();
        let mac = hmac::Key::new(algorithm, &[0x23; 32]);
        let tag = hmac::sign(&mac, &message);
        message.extend(&tag.as_ref()[..16]);
        assert_eq!(
            open.open(&message, AAD.len()),
            Err(CryptoError::Unauthentic)
        );
    }

    /// Windows pads with a whole block; any length up to 255 is legal.
    #[test]
    fn maximal_padding_is_accepted() {
        let cipher = ciphers()[0];
        let (mut seal, open) = keys(cipher);
        // One octet of data, 255 of padding; the sealer adds the octet that
        // says how many, which here must come from the data itself.
        let mut data = alloc::vec![b'x'];
        data.extend([0; 254]);
        let mut message = AAD.to_vec();
        let key = Aead::new(cipher.encryption(), seal.parts().0).unwrap();
        message.extend([0; 8]);
        message.extend(&data);
        message.extend([0, 255]);
        key.seal(&mut message, AAD.len(), [0; 8]).unwrap();
        assert_eq!(open.open(&message, AAD.len()).unwrap(), b"x");
        seal.counter = u64::MAX;
        assert!(
            seal.seal(&mut message, b"", &mut Counting::default())
                .is_err()
        );
    }

    /// NIST CAVP, CBCMMT128 count 1 and CBCMMT256 count 0.
    #[test]
    fn aes_cbc_matches_nist() {
        let key = CbcEncrypt::new(&hex!("0700d603a1c514e46b6191ba430a3a0c")).unwrap();
        let mut data = hex!("068b25c7bfb1f8bdd4cfc908f69dffc5ddc726a197f0e5f720f730393279be91");
        key.encrypt(hex!("aad1583cd91365e3bb2f0c3430d065bb"), &mut data);
        assert_eq!(
            data,
            hex!("c4dc61d9725967a3020104a9738f23868527ce839aab1752fd8bdb95a82c4d00")
        );
        let key = hex!("6ed76d2d97c69fd1339589523931f2a6cff554b15f738f21ec72dd97a7330907");
        let plaintext = CbcDecrypt::new(&key)
            .unwrap()
            .decrypt(
                &hex!("851e8764776e6796aab722dbb644ace8"),
                &hex!("6acc04142e100a65f51b97adf5172c41"),
            )
            .unwrap();
        assert_eq!(plaintext, hex!("6282b8c05c5c1530b97d4816ca434762"));
    }
}
