//! Cryptography behind closed enums: an algorithm is either named here or it
//! does not exist for the engine.

pub mod aead;
pub mod cert;
pub mod cipher;
mod ecdsa;
pub mod kex;
pub mod keymat;
mod modp;
pub mod prf;
mod random;
mod rsa;
pub mod scheme;
pub mod shared_key;
pub mod sign;

use core::fmt;

pub use self::random::rehearse_random;

/// A computation that could not be done with the values at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptoError {
    /// The key has the wrong length for its algorithm.
    KeyLength,
    /// The peer's public value is not in the group (RFC 6989 §2).
    PublicValue,
    /// The authenticator does not match.
    Unauthentic,
    /// The random source failed.
    Random,
    /// A private key could not be read or used.
    PrivateKey,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyLength => "key of the wrong length",
            Self::PublicValue => "public value outside its group",
            Self::Unauthentic => "authenticator does not match",
            Self::Random => "random source failed",
            Self::PrivateKey => "private key cannot be used",
        })
    }
}

impl core::error::Error for CryptoError {}
