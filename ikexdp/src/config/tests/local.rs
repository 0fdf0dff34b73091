//! Several certificates of the gateway.

use ikexdp_proto::config::Credential;

use super::{GOOD, Lab, assert_complaints};

const ONE: &str = r#"certificate = "gateway.pem", key = "gateway.key""#;

#[test]
fn a_gateway_may_have_several_certificates() {
    let lab = Lab::new();
    let two = format!(
        "certificates = [{{ {ONE} }}, {{ {} }}]",
        ONE.replace("gateway.", "other.")
    );
    let loaded = lab.load(&GOOD.replace(ONE, &two)).unwrap();
    let Credential::Certificates(keys) = &loaded.settings.engine.connections[0].credential else {
        panic!("certificates");
    };
    assert_eq!(keys.len(), 2);
    let shown = loaded.to_string();
    assert_eq!(shown.matches("shows").count(), 2, "{shown}");
}

#[test]
fn what_is_wrong_with_one_of_several_is_named() {
    assert_complaints(
        r#"certificate = "gateway.pem", => certificates = [], certificate = "gateway.pem", => connection.staff.local.certificate: & given along with `local.certificates`
certificate = "gateway.pem", key = "gateway.key" => certificates = [] => connection.staff.local.certificates: is empty
certificate = "gateway.pem", key = "gateway.key" => certificates = [{ certificate = "gateway.pem" }] => missing field `key`
certificate = "gateway.pem", key = "gateway.key" => certificates = [{ certificate = "gateway.pem", key = "other.key" }] => connection.staff.local.certificates: & private key belongs to another certificate"#,
    );
}

/// With RSA alone, SHA-1 is what Windows is left with; with Ed25519, nothing.
#[test]
fn what_windows_cannot_verify_is_noticed_where_it_is_expected() {
    let lab = Lab::new();
    let root = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/interop/pki/rsa2048/gateway.key"
    );
    let pem = std::fs::read_to_string(root).unwrap();
    let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    let mut leaf = rcgen::CertificateParams::new(["vpn.example.com".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    lab.write("rsa.pem", &leaf.self_signed(&key).unwrap().pem());
    lab.write("rsa.key", &pem);
    let rsa = GOOD
        .replace("gateway.pem", "rsa.pem")
        .replace("gateway.key", "rsa.key");
    let noticed = |text: &str, extra: &str| {
        let text = text.replace(
            "[gateway]",
            &format!("{extra}\n[gateway]\nalgorithms = \"compatible\""),
        );
        let cautions = lab.load(&text).unwrap().cautions;
        cautions.iter().any(|it| {
            it.to_string()
                .contains("no certificate that Windows and Apple's clients can verify")
        })
    };
    assert!(noticed(&rsa, ""));
    assert!(!noticed(GOOD, ""));
    assert!(!noticed(&rsa, "[ike]\nrsa-sha1 = true"));
    assert!(lab.load(&rsa).unwrap().cautions.is_empty());
}
