//! A configuration profile for Apple's systems: one property list with the
//! authority, the key, and the connection.

use plist::{Dictionary, Value};

use super::{File, Profile, ProfileError, Proof};
use crate::pki::{Cipher, archive};

/// Largest packet in the tunnel, in octets: Apple's own default.
const MTU: i64 = 1280;

pub(super) fn files(profile: &Profile<'_>) -> Result<Vec<File>, ProfileError> {
    let [own_uuid, vpn_uuid, ca_uuid, key_uuid] = &profile.uuids;
    let title = format!("VPN {}", profile.gateway);
    let mut contents = vec![payload(
        ("com.apple.security.root", "Authority", ca_uuid),
        vec![
            ("PayloadCertificateFileName", "ca.cer".into()),
            (
                "PayloadContent",
                Value::Data(profile.authority.der.to_vec()),
            ),
        ],
    )];
    if let Proof::Certificate {
        certified,
        password,
        ..
    } = profile.proof
    {
        let cipher = Cipher::TripleDes;
        let archive = archive(profile.name, certified, None, password, cipher)?;
        let file = format!("{}.p12", profile.name);
        // The password is not in it: who installs the profile is asked for it.
        contents.push(payload(
            ("com.apple.security.pkcs12", "Certificate and key", key_uuid),
            vec![
                ("PayloadCertificateFileName", file.into()),
                ("PayloadContent", Value::Data(archive)),
            ],
        ));
    }
    contents.push(payload(
        ("com.apple.vpn.managed", &title, vpn_uuid),
        vec![
            ("UserDefinedName", title.clone().into()),
            ("VPNType", "IKEv2".into()),
            ("IKEv2", ike(profile, key_uuid).into()),
        ],
    ));
    let whole = payload(
        ("Configuration", &title, own_uuid),
        vec![("PayloadContent", contents.into())],
    );
    let mut octets = Vec::new();
    whole.to_writer_xml(&mut octets)?;
    octets.push(b'\n');
    Ok(vec![File::new(
        format!("{}.mobileconfig", profile.name),
        octets,
    )])
}

/// What every payload has, and what only this one has.
fn payload((kind, title, uuid): (&str, &str, &str), own: Vec<(&str, Value)>) -> Value {
    let uuid = uuid.to_uppercase();
    let common = [
        ("PayloadDisplayName", title.into()),
        ("PayloadIdentifier", format!("ikexdp.{uuid}").into()),
        ("PayloadType", kind.into()),
        ("PayloadUUID", uuid.into()),
        ("PayloadVersion", 1.into()),
    ];
    dictionary(common.into_iter().chain(own)).into()
}

fn dictionary<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Dictionary {
    let owned = |(key, value): (&str, Value)| (key.to_owned(), value);
    entries.into_iter().map(owned).collect()
}

/// The dictionary `IKEv2` of `com.apple.vpn.managed`.
fn ike(profile: &Profile<'_>, key_uuid: &str) -> Dictionary {
    let gateway = profile.gateway.to_string();
    let algorithms = |minutes: i64| {
        dictionary([
            ("EncryptionAlgorithm", "AES-256-GCM".into()),
            // Of IKE this makes the PRF.
            ("IntegrityAlgorithm", "SHA2-384".into()),
            ("DiffieHellmanGroup", 20.into()),
            ("LifeTimeInMinutes", minutes.into()),
        ])
    };
    let mut ike = dictionary([
        ("RemoteAddress", gateway.clone().into()),
        ("RemoteIdentifier", gateway.into()),
        ("DeadPeerDetectionRate", "Medium".into()),
        ("EnablePFS", 1.into()),
        ("MTU", MTU.into()),
        (
            "UseConfigurationAttributeInternalIPSubnet",
            i64::from(profile.networks.is_some()).into(),
        ),
        ("IKESecurityAssociationParameters", algorithms(1440).into()),
        ("ChildSecurityAssociationParameters", algorithms(480).into()),
    ]);
    let own = match profile.proof {
        Proof::Certificate { identity, .. } => vec![
            ("AuthenticationMethod", "Certificate".into()),
            ("LocalIdentifier", identity.to_string().into()),
            ("CertificateType", "ECDSA256".into()),
            ("PayloadCertificateUUID", key_uuid.to_uppercase().into()),
            // Goes with a type of certificate.
            (
                "ServerCertificateIssuerCommonName",
                profile.authority.common_name.clone().into(),
            ),
        ],
        // The password is asked for.
        Proof::Eap { .. } => vec![
            ("AuthenticationMethod", "None".into()),
            ("LocalIdentifier", profile.name.to_string().into()),
            ("ExtendedAuthEnabled", 1.into()),
            ("AuthName", profile.name.to_string().into()),
        ],
    };
    ike.extend(dictionary(own));
    ike
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Parts, text};
    use super::*;
    use p12_keystore::{KeyStore, Pkcs12ImportPolicy};

    /// The payloads, by their kinds.
    fn payloads(is_eap: bool) -> (Parts, Vec<(String, Dictionary)>) {
        let parts = Parts::new();
        let files = files(&parts.profile(is_eap, None)).unwrap();
        let text = text(&files, "laptop.mobileconfig");
        assert!(!text.contains("pass-word"), "{text}");
        let whole = Value::from_reader(std::io::Cursor::new(text)).unwrap();
        let whole = whole.into_dictionary().unwrap();
        assert_eq!(whole["PayloadType"].as_string(), Some("Configuration"));
        let contents = whole["PayloadContent"].as_array().unwrap().clone();
        let payloads = contents.into_iter().map(|payload| {
            let payload = payload.into_dictionary().unwrap();
            for key in ["PayloadIdentifier", "PayloadUUID", "PayloadDisplayName"] {
                assert!(
                    payload[key].as_string().is_some_and(|it| !it.is_empty()),
                    "{key}"
                );
            }
            assert_eq!(payload["PayloadVersion"].as_signed_integer(), Some(1));
            (
                payload["PayloadType"].as_string().unwrap().to_owned(),
                payload,
            )
        });
        (parts, payloads.collect())
    }

    /// Of Apple's schema of `com.apple.vpn.managed`: presence required, and ranges.
    #[test]
    fn a_certificate_comes_with_all_that_the_schema_asks_for() {
        let (parts, payloads) = payloads(false);
        let [(root, authority), (pkcs12, key), (managed, vpn)] = &payloads[..] else {
            panic!("{payloads:?}");
        };
        assert_eq!(root, "com.apple.security.root");
        assert_eq!(
            authority["PayloadContent"].as_data(),
            Some(&parts.authority.der[..])
        );
        assert_eq!(pkcs12, "com.apple.security.pkcs12");
        let archive = key["PayloadContent"].as_data().unwrap();
        let store = KeyStore::from_pkcs12(archive, "pass-word", Pkcs12ImportPolicy::Relaxed);
        assert!(store.unwrap().private_key_chain().is_some());
        assert!(!key.contains_key("Password"));
        assert_eq!(managed, "com.apple.vpn.managed");
        assert_eq!(vpn["VPNType"].as_string(), Some("IKEv2"));
        let ike = vpn["IKEv2"].as_dictionary().unwrap();
        for (name, value) in [
            ("RemoteAddress", "vpn.example.com"),
            ("RemoteIdentifier", "vpn.example.com"),
            ("LocalIdentifier", "laptop@vpn.example.com"),
            ("AuthenticationMethod", "Certificate"),
            ("CertificateType", "ECDSA256"),
            (
                "ServerCertificateIssuerCommonName",
                &parts.authority.common_name,
            ),
            (
                "PayloadCertificateUUID",
                key["PayloadUUID"].as_string().unwrap(),
            ),
            ("DeadPeerDetectionRate", "Medium"),
        ] {
            assert_eq!(ike[name].as_string(), Some(value), "{name}");
        }
        let mtu = ike["MTU"].as_signed_integer().unwrap();
        assert!((1280..=1400).contains(&mtu));
        for table in [
            "IKESecurityAssociationParameters",
            "ChildSecurityAssociationParameters",
        ] {
            let table = ike[table].as_dictionary().unwrap();
            assert_eq!(
                table["EncryptionAlgorithm"].as_string(),
                Some("AES-256-GCM")
            );
            assert_eq!(table["IntegrityAlgorithm"].as_string(), Some("SHA2-384"));
            assert_eq!(table["DiffieHellmanGroup"].as_signed_integer(), Some(20));
            let minutes = table["LifeTimeInMinutes"].as_signed_integer().unwrap();
            assert!((10..=1440).contains(&minutes));
        }
    }

    #[test]
    fn a_user_is_asked_for_the_password() {
        let (_, payloads) = payloads(true);
        let kinds: Vec<_> = payloads.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["com.apple.security.root", "com.apple.vpn.managed"]);
        let ike = payloads[1].1["IKEv2"].as_dictionary().unwrap();
        assert_eq!(ike["AuthenticationMethod"].as_string(), Some("None"));
        assert_eq!(ike["ExtendedAuthEnabled"].as_signed_integer(), Some(1));
        assert_eq!(ike["AuthName"].as_string(), Some("laptop"));
        assert!(!ike.contains_key("AuthPassword"));
    }
}
