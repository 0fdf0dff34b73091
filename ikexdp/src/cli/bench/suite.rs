//! Algorithms by the names that the engine prints.

use std::fmt::Display;

use ikexdp_proto::config::{EspAlgorithms, IkeAlgorithms};
use ikexdp_proto::crypto::cipher::{Encryption, Integrity};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::crypto::prf::Prf;
use ikexdp_proto::profile::Profile;

/// What clients offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) ike: IkeAlgorithms,
    pub(super) esp: EspAlgorithms,
}

/// Reads names with `/` between them, in any order.
pub(super) fn suite(text: &str) -> Result<Suite, String> {
    let mut encryption = Vec::new();
    let mut integrity = Vec::new();
    let mut prf = Vec::new();
    let mut groups = Vec::new();
    for name in text.split('/') {
        let known = take(name, &Encryption::ALL, &mut encryption)
            || take(name, &Integrity::ALL, &mut integrity)
            || take(name, &Prf::ALL, &mut prf)
            || take(name, &Group::ALL, &mut groups);
        if !known {
            return Err(format!("`{name}` is none of {}", names()));
        }
    }
    let mut suite = Suite::default();
    if !encryption.is_empty() {
        suite.ike.encryption.clone_from(&encryption);
        suite.esp.encryption = encryption;
    }
    let needs_integrity = suite.ike.encryption.iter().any(|it| !it.is_aead());
    if integrity.is_empty() && needs_integrity {
        integrity = Profile::Compatible.integrity().to_vec();
    }
    suite.ike.integrity.clone_from(&integrity);
    suite.esp.integrity = integrity;
    if !prf.is_empty() {
        suite.ike.prf = prf;
    }
    if !groups.is_empty() {
        suite.ike.groups = groups;
    }
    Ok(suite)
}

/// Adds the one of `all` that has this name, if there is one.
fn take<T: Copy + Display>(name: &str, all: &[T], taken: &mut Vec<T>) -> bool {
    let found = all.iter().find(|one| one.to_string() == name);
    taken.extend(found);
    found.is_some()
}

fn names() -> String {
    fn of<T: Display>(all: &[T]) -> impl Iterator<Item = String> {
        all.iter().map(ToString::to_string)
    }
    let ciphers = of(&Encryption::ALL).chain(of(&Integrity::ALL));
    let all: Vec<_> = ciphers
        .chain(of(&Prf::ALL))
        .chain(of(&Group::ALL))
        .collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_all_that_is_offered() {
        let suite = suite("aes128-gcm16/prf-sha2-384/ecp256").unwrap();
        assert_eq!(suite.ike.encryption, [Encryption::AesGcm16_128]);
        assert_eq!(suite.esp.encryption, [Encryption::AesGcm16_128]);
        assert_eq!(suite.ike.prf, [Prf::HmacSha2_384]);
        assert_eq!(suite.ike.groups, [Group::Ecp256]);
        assert!(suite.ike.integrity.is_empty());
    }

    #[test]
    fn what_is_not_named_is_as_it_is() {
        let modern = Suite::default();
        let suite = suite("x25519").unwrap();
        assert_eq!(suite.ike.groups, [Group::Curve25519]);
        assert_eq!(suite.ike.encryption, modern.ike.encryption);
        assert_eq!(suite.ike.prf, modern.ike.prf);
    }

    #[test]
    fn a_cipher_that_needs_integrity_gets_it() {
        let suite = suite("aes256-cbc").unwrap();
        assert_eq!(suite.ike.integrity, Profile::Compatible.integrity());
    }

    #[test]
    fn a_name_that_is_none_is_told_which_there_are() {
        let error = suite("aes256-gcm16/md5").unwrap_err();
        assert!(error.starts_with("`md5` is none of "), "{error}");
        assert!(error.contains("x25519"), "{error}");
    }
}
