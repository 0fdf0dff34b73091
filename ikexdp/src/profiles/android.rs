//! The strongSwan app for Android: one file of JSON, with the keys that its
//! documentation of profiles has.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use super::{File, Profile, ProfileError, Proof};
use crate::pki::{Cipher, archive};

/// Largest packet in the tunnel, in octets: it passes every path that IPv6 does,
/// ESP in UDP included.
const MTU: u16 = 1280;

pub(super) fn files(profile: &Profile<'_>) -> Result<Vec<File>, ProfileError> {
    let [uuid, ..] = &profile.uuids;
    let gateway = profile.gateway.to_string();
    let authority = Base64::encode_string(&profile.authority.der);
    let (kind, local) = match profile.proof {
        Proof::Certificate {
            identity,
            certified,
            password,
        } => {
            let archive = archive(profile.name, certified, None, password, Cipher::TripleDes)?;
            let archive = Base64::encode_string(&archive);
            let local = json!({ "id": identity.to_string(), "p12": archive });
            ("ikev2-cert", local)
        }
        // The app asks for the password.
        Proof::Eap { .. } => ("ikev2-eap", json!({ "eap_id": profile.name })),
    };
    let split_tunneling = match profile.networks {
        // Nothing leaves past the tunnel, not even of a family that it does not carry.
        None => json!({ "block-ipv4": true, "block-ipv6": true }),
        Some(networks) => {
            let subnets: Vec<Value> = networks.iter().map(|it| it.to_string().into()).collect();
            json!({ "subnets": subnets })
        }
    };
    let profile_object = json!({
        "uuid": uuid,
        "name": format!("{} at {gateway}", profile.name),
        "type": kind,
        "remote": { "addr": gateway, "id": gateway, "cert": authority },
        "local": local,
        "ike-proposal": "aes256gcm16-prfsha384-curve25519",
        "esp-proposal": "aes256gcm16-curve25519",
        "mtu": MTU,
        "split-tunneling": split_tunneling,
    });
    let name = format!("{}.sswan", profile.name);
    Ok(vec![File::new(
        name,
        serde_json::to_vec_pretty(&profile_object)?,
    )])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Parts, text};
    use super::*;
    use p12_keystore::{KeyStore, Pkcs12ImportPolicy};

    fn object(is_eap: bool, networks: Option<&[ipnet::IpNet]>) -> (Parts, Value) {
        let parts = Parts::new();
        let files = files(&parts.profile(is_eap, networks)).unwrap();
        let object = serde_json::from_str(&text(&files, "laptop.sswan")).unwrap();
        (parts, object)
    }

    #[test]
    fn a_certificate_is_imported_with_its_key() {
        let (parts, object) = object(false, None);
        assert_eq!(object["type"], "ikev2-cert");
        assert_eq!(object["remote"]["addr"], "vpn.example.com");
        assert_eq!(object["local"]["id"], "laptop@vpn.example.com");
        let decode = |value: &Value| Base64::decode_vec(value.as_str().unwrap()).unwrap();
        assert_eq!(
            decode(&object["remote"]["cert"]),
            parts.authority.der.to_vec()
        );
        let archive = decode(&object["local"]["p12"]);
        let store = KeyStore::from_pkcs12(&archive, "pass-word", Pkcs12ImportPolicy::Relaxed);
        let store = store.unwrap();
        let (alias, chain) = store.private_key_chain().unwrap();
        assert_eq!(alias, "laptop");
        assert_eq!(chain.certs()[0].as_der(), &parts.certified.der[..]);
        assert_eq!(chain.key().as_der(), &parts.certified.key_der[..]);
    }

    /// Of the documentation: "Required", and the sorts of values.
    #[test]
    fn it_has_the_keys_that_the_app_reads_and_no_others() {
        const KNOWN: [&str; 9] = [
            "uuid",
            "name",
            "type",
            "remote",
            "local",
            "ike-proposal",
            "esp-proposal",
            "mtu",
            "split-tunneling",
        ];
        let networks = ["10.0.0.0/8".parse().unwrap()];
        for is_eap in [false, true] {
            let (_, object) = object(is_eap, Some(&networks));
            let keys = object.as_object().unwrap().keys();
            let unknown: Vec<_> = keys.filter(|key| !KNOWN.contains(&key.as_str())).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
            assert_eq!(object["uuid"].as_str().unwrap().len(), 36);
            assert!(object["mtu"].is_u64());
            assert_eq!(
                object["split-tunneling"],
                json!({ "subnets": ["10.0.0.0/8"] })
            );
            let expected = if is_eap { "ikev2-eap" } else { "ikev2-cert" };
            assert_eq!(object["type"], expected);
            // A profile is not encrypted.
            assert!(!object.to_string().contains("pass-word"));
        }
    }
}
