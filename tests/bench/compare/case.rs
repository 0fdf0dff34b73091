//! Handshakes to be measured: how both ends prove who they are, and the keys that it takes.

use std::fmt;

use harness::{
    credentials::{Credentials, SECRET},
    pki::{GATEWAY, Key, Pki},
};

/// One kind of handshake. All of them have X25519, SHA2-256 and AES-GCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Psk,
    EcdsaP256,
    Rsa2048,
    Rsa4096,
}

impl Case {
    pub(crate) const ALL: [Self; 4] = [Self::Psk, Self::EcdsaP256, Self::Rsa2048, Self::Rsa4096];

    /// What it is called on a command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Psk => "psk",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// The keys of certificates.
    pub(crate) const fn key(self) -> Option<Key> {
        match self {
            Self::Psk => None,
            Self::EcdsaP256 => Some(Key::EcdsaP256),
            Self::Rsa2048 => Some(Key::Rsa2048),
            Self::Rsa4096 => Some(Key::Rsa4096),
        }
    }

    /// What `openssl speed` calls its signature.
    pub(crate) const fn openssl(self) -> Option<&'static str> {
        match self {
            Self::Psk => None,
            Self::EcdsaP256 => Some("ecdsap256"),
            Self::Rsa2048 => Some("rsa2048"),
            Self::Rsa4096 => Some("rsa4096"),
        }
    }

    /// What Libreswan calls it.
    pub(crate) const fn authby(self) -> &'static str {
        match self {
            Self::Psk => "secret",
            Self::EcdsaP256 => "ecdsa",
            Self::Rsa2048 | Self::Rsa4096 => "rsasig",
        }
    }

    /// What the gateway knows of the clients. `pki` is there where there are certificates.
    pub(crate) fn gateway(self, pki: Option<&Pki>) -> Credentials {
        match pki {
            Some(pki) => Credentials::gateway(pki),
            None => Credentials::Psk {
                secret: SECRET.to_owned(),
                local_id: GATEWAY.to_owned(),
                remote_id: "*@bench.test".to_owned(),
            },
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk => "pre-shared key",
            Self::EcdsaP256 => "ECDSA P-256, chain of three",
            Self::Rsa2048 => "RSA-2048, chain of three",
            Self::Rsa4096 => "RSA-4096, chain of three",
        })
    }
}
