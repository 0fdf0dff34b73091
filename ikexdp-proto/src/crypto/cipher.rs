//! The algorithms that protect SK payloads, and the sizes they make.

use core::fmt;

use ring::hmac;

use crate::wire::iana::{EncryptionId, IntegrityId};

/// The block of AES, and so the granularity of AES-CBC.
pub(super) const BLOCK: usize = 16;

/// Salt of the AEAD ciphers, the implicit part of the nonce (RFC 5282 §4).
pub(super) const SALT: usize = 4;

/// An encryption algorithm with its key length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// AES-GCM with a 16-octet ICV and a 128-bit key.
    AesGcm16_128,
    /// AES-GCM with a 16-octet ICV and a 256-bit key.
    AesGcm16_256,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
    /// AES-CBC with a 128-bit key.
    AesCbc128,
    /// AES-CBC with a 256-bit key.
    AesCbc256,
}

impl Encryption {
    /// Every algorithm, the strongest first.
    pub const ALL: [Self; 5] = [
        Self::AesGcm16_256,
        Self::AesGcm16_128,
        Self::ChaCha20Poly1305,
        Self::AesCbc256,
        Self::AesCbc128,
    ];

    /// The transform's number.
    #[must_use]
    pub const fn id(self) -> EncryptionId {
        match self {
            Self::AesGcm16_128 | Self::AesGcm16_256 => EncryptionId::AES_GCM_16,
            Self::ChaCha20Poly1305 => EncryptionId::CHACHA20_POLY1305,
            Self::AesCbc128 | Self::AesCbc256 => EncryptionId::AES_CBC,
        }
    }

    /// The Key Length attribute in bits, where the algorithm has one.
    #[must_use]
    pub const fn key_length(self) -> Option<u16> {
        match self {
            Self::AesGcm16_128 | Self::AesCbc128 => Some(128),
            Self::AesGcm16_256 | Self::AesCbc256 => Some(256),
            Self::ChaCha20Poly1305 => None,
        }
    }

    /// Whether the algorithm authenticates by itself.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        !matches!(self, Self::AesCbc128 | Self::AesCbc256)
    }

    /// Octets of key material, the salt of an AEAD included.
    #[must_use]
    pub const fn key_material(self) -> usize {
        match self {
            Self::AesGcm16_128 => 16 + SALT,
            Self::AesGcm16_256 | Self::ChaCha20Poly1305 => 32 + SALT,
            Self::AesCbc128 => 16,
            Self::AesCbc256 => 32,
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AesGcm16_128 => "aes128-gcm16",
            Self::AesGcm16_256 => "aes256-gcm16",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::AesCbc128 => "aes128-cbc",
            Self::AesCbc256 => "aes256-cbc",
        })
    }
}

/// An integrity algorithm, for ciphers that do not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// HMAC-SHA2-256 cut to 128 bits (RFC 4868).
    HmacSha2_256_128,
    /// HMAC-SHA2-384 cut to 192 bits (RFC 4868).
    HmacSha2_384_192,
    /// HMAC-SHA2-512 cut to 256 bits (RFC 4868).
    HmacSha2_512_256,
    /// HMAC-SHA1 cut to 96 bits (RFC 2404), for clients that can do nothing else.
    HmacSha1_96,
}

impl Integrity {
    /// Every algorithm, in our order of preference.
    pub const ALL: [Self; 4] = [
        Self::HmacSha2_256_128,
        Self::HmacSha2_384_192,
        Self::HmacSha2_512_256,
        Self::HmacSha1_96,
    ];

    /// The transform's number.
    #[must_use]
    pub const fn id(self) -> IntegrityId {
        match self {
            Self::HmacSha2_256_128 => IntegrityId::HMAC_SHA2_256_128,
            Self::HmacSha2_384_192 => IntegrityId::HMAC_SHA2_384_192,
            Self::HmacSha2_512_256 => IntegrityId::HMAC_SHA2_512_256,
            Self::HmacSha1_96 => IntegrityId::HMAC_SHA1_96,
        }
    }

    /// Octets of key material.
    #[must_use]
    pub const fn key_material(self) -> usize {
        match self {
            Self::HmacSha2_256_128 => 32,
            Self::HmacSha2_384_192 => 48,
            Self::HmacSha2_512_256 => 64,
            Self::HmacSha1_96 => 20,
        }
    }

    /// Whether it is only for clients that can do nothing else.
    #[must_use]
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::HmacSha1_96)
    }

    /// Octets that the value is cut to.
    #[must_use]
    pub const fn icv(self) -> usize {
        match self {
            Self::HmacSha2_256_128 => 16,
            Self::HmacSha2_384_192 => 24,
            Self::HmacSha2_512_256 => 32,
            Self::HmacSha1_96 => 12,
        }
    }

    pub(super) const fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha2_256_128 => hmac::HMAC_SHA256,
            Self::HmacSha2_384_192 => hmac::HMAC_SHA384,
            Self::HmacSha2_512_256 => hmac::HMAC_SHA512,
            Self::HmacSha1_96 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::HmacSha2_256_128 => "sha2-256",
            Self::HmacSha2_384_192 => "sha2-384",
            Self::HmacSha2_512_256 => "sha2-512",
            Self::HmacSha1_96 => "sha1-96",
        })
    }
}

/// What protects the messages of an IKE SA: an AEAD, or AES-CBC with an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher {
    encryption: Encryption,
    integrity: Option<Integrity>,
}

impl Cipher {
    /// Joins the two, if they belong together: an AEAD goes alone, AES-CBC
    /// never does.
    #[must_use]
    pub const fn new(encryption: Encryption, integrity: Option<Integrity>) -> Option<Self> {
        if encryption.is_aead() == integrity.is_none() {
            Some(Self {
                encryption,
                integrity,
            })
        } else {
            None
        }
    }

    /// The encryption algorithm.
    #[must_use]
    pub const fn encryption(self) -> Encryption {
        self.encryption
    }

    /// The integrity algorithm, if the encryption needs one.
    #[must_use]
    pub const fn integrity(self) -> Option<Integrity> {
        self.integrity
    }

    /// Octets of SK_a.
    #[must_use]
    pub const fn integrity_key_material(self) -> usize {
        match self.integrity {
            Some(integrity) => integrity.key_material(),
            None => 0,
        }
    }

    /// Octets of the IV on the wire.
    #[must_use]
    pub const fn iv(self) -> usize {
        if self.encryption.is_aead() { 8 } else { BLOCK }
    }

    /// Octets of the ICV.
    #[must_use]
    pub const fn icv(self) -> usize {
        match self.integrity {
            Some(integrity) => integrity.icv(),
            None => 16,
        }
    }

    pub(super) const fn block(self) -> usize {
        if self.encryption.is_aead() { 1 } else { BLOCK }
    }

    /// Length of the body of an SK payload with `plaintext` octets inside:
    /// IV, ciphertext with its padding and pad length, ICV.
    #[must_use]
    pub const fn sealed_len(self, plaintext: usize) -> usize {
        let ciphertext = plaintext.saturating_add(1).next_multiple_of(self.block());
        ciphertext
            .saturating_add(self.iv())
            .saturating_add(self.icv())
    }

    /// The most plaintext whose sealed body fits in `room` octets.
    #[must_use]
    pub const fn capacity(self, room: usize) -> usize {
        let ciphertext = room.saturating_sub(self.iv()).saturating_sub(self.icv());
        let whole_blocks = if self.encryption.is_aead() {
            ciphertext
        } else {
            ciphertext & !(BLOCK - 1)
        };
        whole_blocks.saturating_sub(1)
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.integrity {
            Some(integrity) => write!(f, "{}-{integrity}", self.encryption),
            None => write!(f, "{}", self.encryption),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_cipher() -> impl Iterator<Item = Cipher> {
        Encryption::ALL.into_iter().flat_map(|encryption| {
            let alone = Cipher::new(encryption, None);
            let joined = Integrity::ALL
                .into_iter()
                .filter_map(move |integrity| Cipher::new(encryption, Some(integrity)));
            alone.into_iter().chain(joined)
        })
    }

    #[test]
    fn aead_goes_alone_and_cbc_never_does() {
        assert_eq!(every_cipher().count(), 3 + 2 * 4);
    }

    /// The largest plaintext fits, and one octet more does not, for every room.
    #[test]
    fn capacity_is_exact() {
        for cipher in every_cipher() {
            for room in 100..1500 {
                let capacity = cipher.capacity(room);
                assert!(cipher.sealed_len(capacity) <= room, "{cipher} {room}");
                assert!(cipher.sealed_len(capacity + 1) > room, "{cipher} {room}");
            }
        }
    }
}
