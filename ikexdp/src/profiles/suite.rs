//! The algorithms that profiles ask for.

use ikexdp_proto::config::{Config, Connection};
use ikexdp_proto::crypto::cipher::{Encryption, Integrity};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::crypto::prf::Prf;

/// One of each kind: platforms that can be told what to use are told one thing.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    encryption: Encryption,
    integrity: Option<Integrity>,
    prf: Prf,
    group: Group,
    esp: Encryption,
}

/// What [`WINDOWS_POLICY`](ikexdp_proto::mismatch::WINDOWS_POLICY) says.
pub(super) const WINDOWS: Suite = Suite {
    encryption: Encryption::AesCbc256,
    integrity: Some(Integrity::HmacSha2_384_192),
    prf: Prf::HmacSha2_384,
    group: Group::Ecp384,
    esp: Encryption::AesGcm16_256,
};

/// What an Apple profile can name since iOS 8.
pub(super) const APPLE: Suite = Suite {
    encryption: Encryption::AesGcm16_256,
    integrity: None,
    prf: Prf::HmacSha2_384,
    group: Group::Ecp384,
    esp: Encryption::AesGcm16_256,
};

/// What the strictest gateway has.
pub(super) const STRONGSWAN: Suite = Suite {
    encryption: Encryption::AesGcm16_256,
    integrity: None,
    prf: Prf::HmacSha2_384,
    group: Group::Curve25519,
    esp: Encryption::AesGcm16_256,
};

impl Suite {
    /// The first of it that the gateway does not take.
    #[must_use]
    pub fn missing(&self, config: &Config, connection: &Connection) -> Option<String> {
        let ike = &config.ike;
        let esp = &connection.child.esp;
        if !ike.encryption.contains(&self.encryption) {
            return Some(self.encryption.to_string());
        }
        let integrity = self.integrity.filter(|it| !ike.integrity.contains(it));
        if let Some(integrity) = integrity {
            return Some(integrity.to_string());
        }
        if !ike.prf.contains(&self.prf) {
            return Some(self.prf.to_string());
        }
        if !ike.groups.contains(&self.group) {
            return Some(self.group.to_string());
        }
        let lacks_esp = !esp.encryption.contains(&self.esp);
        lacks_esp.then(|| format!("{} for ESP", self.esp))
    }
}
