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
        assert!(!methods.contains(&EapMethod::Mschapv2(0)));
    }
}

#[test]
fn what_is_wrong_with_eap_is_named() {
    let lab = lab();
    let ca = "ca = \"ca.pem\"";
    let local =
        "certificate = \"gateway.pem\", key = \"gateway.key\" }\nremote = { ca = \"ca.pem\"";
    for (from, to, says) in [
        (
            ca,
            "ca = \"ca.pem\", eap-users = \"users.toml\"",
            "remote.ca: given along with `remote.eap-users`",
        ),
        (
            ca,
            "secret-file = \"psk\", eap-ca = \"ca.pem\"",
            "remote.secret-file: given along with `remote.eap-ca`",
        ),
        (
            ca,
            "eap-users = \"missing\"",
            "remote.eap-users: file cannot be read",
        ),
        (
            ca,
            "eap-users = \"wrong.toml\"",
            "remote.eap-users: line 2: user kim: not `nt:` and 32",
        ),
        (ca, "eap-ca = \"noise\"", "remote.eap-ca: no certificate"),
        (
            ca,
            "eap-ca = \"other.pem\"",
            "remote.eap-ca: not a certificate authority",
        ),
        (
            ca,
            "eap-users = \"users.toml\", groups = [\"staff\"]",
            "remote.groups: not without `remote.eap-radius`",
        ),
        (
            ca,
            "eap-users = \"users.toml\", eap-alone = true",
            "remote.eap-alone: not with `remote.eap-users`",
        ),
        (
            ca,
            "eap-users = \"users.toml\", revocation = \"strict\"",
            "remote.revocation: means nothing without",
        ),
        (
            ca,
            "eap-ca = \"ca.pem\", fetch-revocation = true",
            "remote.fetch-revocation: not with `remote.eap-ca`",
        ),
        (ca, "eap-ca = \"ca.pem\", crl = [\"noise\"]", "remote.crl"),
        (
            ca,
            "eap-radius = \"nobody\"",
            "remote.eap-radius: no such table of RADIUS servers: nobody",
        ),
        (
            ca,
            "ca = \"ca.pem\", groups = [\"staff\"]",
            "remote.groups: given without EAP",
        ),
        (
            ca,
            "ca = \"ca.pem\", eap-alone = false",
            "remote.eap-alone: given without EAP",
        ),
        (
            local,
            "secret-file = \"psk\" }\nremote = { eap-users = \"users.toml\"",
            "local: has no certificate, which EAP needs",
        ),
    ] {
        let complaint = lab.complaint(from, to);
        assert!(complaint.contains(says), "{to}: {complaint}");
        assert!(!complaint.contains("9946f7"), "{complaint}");
    }
}
