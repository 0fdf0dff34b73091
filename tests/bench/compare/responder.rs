//! Who is compared.

use std::fmt;

/// A responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Responder {
    Strongswan,
    Libreswan,
    Openiked,
    Udp,
    Xdp,
}

impl Responder {
    /// Whether it is ours.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Udp | Self::Xdp)
    }

    /// What clients offer it, as `ikexdp bench` names it: of each kind what is taken. OpenIKED has AES-GCM
    /// for IKE alone, and for ESP the others.
    pub(super) const fn suite(self) -> &'static str {
        match self {
            Self::Openiked => "aes256-gcm16/aes256-cbc/sha2-512/prf-sha2-256/x25519",
            _ => "aes256-gcm16/prf-sha2-256/x25519",
        }
    }
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strongswan => "strongSwan",
            Self::Libreswan => "Libreswan",
            Self::Openiked => "OpenIKED",
            Self::Udp => "ikexdp, UDP",
            Self::Xdp => "ikexdp, XDP",
        })
    }
}
