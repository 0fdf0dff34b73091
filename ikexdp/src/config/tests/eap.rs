//! Users by EAP.

use super::*;
use crate::config::{EapMethod, Proof};

const USERS: &str = "[users]\n\"kim\" = \"nt:8846f7eaee8fb117ad06bdd830b7586c\"\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("users.toml", USERS);
    lab.chmod("users.toml", 0o600);
    lab.write("wrong.toml", &USERS.replace("nt:88", "md5:99"));
    lab
}

#[test]
fn users_and_authorities_are_taken_and_shown() {
    let lab = lab();
    for (keys, shown) in [
        (
            "eap-users = \"users.toml\"",
            &["by EAP-MSCHAPv2 a password; users: 1"][..],
        ),
        (
            "eap-ca = \"ca.pem\", eap-alone = true",
            &["by EAP-TLS a certificate of CN=Root"],
        ),
        (
            "eap-ca = \"ca.pem\", eap-users = \"users.toml\"",
            &[
                "by EAP-TLS a certificate of CN=Root",
                "by EAP-MSCHAPv2 a password; users: 1",
            ],
        ),
    ] {
        let loaded = lab.load(&GOOD.replace("ca = \"ca.pem\"", keys)).unwrap();
        let text = loaded.to_string();
        for line in shown {
            assert!(text.contains(line), "{text}");
        }
        let connection = &loaded.settings.engine.connections[0];
        let Requirement::Eap(requirement) = &connection.requirement else {
            panic!("no EAP: {keys}");
        };
        assert_eq!(requirement.alone, keys.contains("eap-alone"));
        let Proof::Eap(methods) = &loaded.proofs[0].remote else {
            panic!("no EAP: {keys}");
        };
        assert_eq!(methods.len(), shown.len());
        let nobody = |method: &EapMethod| matches!(method, EapMethod::Mschapv2(0));
        assert!(!methods.iter().any(nobody));
    }
}

/// A client that uses EAP says later who it is.
#[test]
fn users_whom_nobody_asks_for_are_noticed() {
    let lab = lab();
    let staff = GOOD.replace("ca = \"ca.pem\"", "eap-users = \"users.toml\"");
    let (_, connection) = staff.split_once("[[connection]]").unwrap();
    let noticed = |connection: String| {
        let connection = connection.replacen("\"staff\"", "\"guests\"", 1);
        let cautions = lab
            .load(&format!("{staff}\n[[connection]]{connection}"))
            .unwrap()
            .cautions;
        let mut texts = cautions.iter().map(ToString::to_string);
        texts
            .any(|it| it.contains("connection.guests.remote: its users are never asked for: staff"))
    };
    assert!(noticed(connection.to_owned()));
    assert!(!noticed(
        connection.replace("eap-users = \"users.toml\"", CA)
    ));
    let other = connection.replace("vpn.example.com", "guests.example.com");
    let other = other.replace("gateway.pem", "guests.pem");
    let mut leaf = CertificateParams::new(["guests.example.com".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::from_pem(&fs::read_to_string(lab.path("gateway.key")).unwrap()).unwrap();
    lab.write("guests.pem", &leaf.self_signed(&key).unwrap().pem());
    assert!(!noticed(other));
}

const CA: &str = "ca = \"ca.pem\"";
const LOCAL: &str =
    "certificate = \"gateway.pem\", key = \"gateway.key\" }\nremote = { ca = \"ca.pem\"";

/// What is replaced, by what, and what must be said about it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        CA,
        "ca = \"ca.pem\", eap-users = \"users.toml\"",
        "remote.ca: given along with `remote.eap-users`",
    ),
    (
        CA,
        "secret-file = \"psk\", eap-ca = \"ca.pem\"",
        "remote.secret-file: given along with `remote.eap-ca`",
    ),
    (
        CA,
        "eap-users = \"missing\"",
        "remote.eap-users: file cannot be read",
    ),
    (
        CA,
        "eap-users = \"wrong.toml\"",
        "remote.eap-users: line 2: user kim: not `nt:` and 32",
    ),
    (CA, "eap-ca = \"noise\"", "remote.eap-ca: no certificate"),
    (
        CA,
        "eap-ca = \"other.pem\"",
        "remote.eap-ca: not a certificate authority",
    ),
    (
        CA,
        "eap-users = \"users.toml\", groups = [\"staff\"]",
        "remote.groups: not without `remote.eap-radius`",
    ),
    (
        CA,
        "eap-users = \"users.toml\", eap-alone = true",
        "remote.eap-alone: not with `remote.eap-users`",
    ),
    (
        CA,
        "eap-users = \"users.toml\", revocation = \"strict\"",
        "remote.revocation: means nothing without",
    ),
    (
        CA,
        "eap-ca = \"ca.pem\", fetch-revocation = true",
        "remote.fetch-revocation: not with `remote.eap-ca`",
    ),
    (CA, "eap-ca = \"ca.pem\", crl = [\"noise\"]", "remote.crl"),
    (
        CA,
        "eap-radius = \"nobody\"",
        "remote.eap-radius: no such table of RADIUS servers: nobody",
    ),
    (
        CA,
        "ca = \"ca.pem\", groups = [\"staff\"]",
        "remote.groups: given without EAP",
    ),
    (
        CA,
        "ca = \"ca.pem\", eap-alone = false",
        "remote.eap-alone: given without EAP",
    ),
    (
        LOCAL,
        "secret-file = \"psk\" }\nremote = { eap-users = \"users.toml\"",
        "local: has no certificate, which EAP needs",
    ),
];

#[test]
fn what_is_wrong_with_eap_is_named() {
    let lab = lab();
    for (from, to, says) in WRONG {
        let complaint = lab.complaint(from, to);
        assert!(complaint.contains(says), "{to}: {complaint}");
        assert!(!complaint.contains("9946f7"), "{complaint}");
    }
}
