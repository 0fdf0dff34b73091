//! What `ikexdp diagnose` sees with the daemon's keys, of attempts that it has captured itself.

use harness::credentials::{Credentials, Eap};
use harness::lab::{Lab, V4};
use harness::namespace::command;
use harness::pki::{CLIENT, GATEWAY, Key, Pki};
use nix::sys::signal::Signal;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use serde_json::Value;

use crate::IKEXDP;
use crate::capture::{FILE, begin};
use crate::case::Case;

/// Where the daemon writes keys.
const KEYS: &str = "/run/ikexdp/state/keys";

/// Has the client of `case` try, with a capture and keys, and tells what `diagnose` says of it: its
/// exit status, and its report. `more` are further arguments.
fn diagnosed(case: &mut Case, more: &[&str]) -> (i32, Value) {
    case.gateway.gateway = "allow-key-export = true\nalgorithms = \"compatible\"";
    let (lab, gateway, client) = case.start();
    gateway.ask(&["decrypt", &V4.client.to_string(), "--for", "5m"]);
    let mut capture = begin(&lab, &[]);
    if client.initiate().is_ok() {
        client.terminate().unwrap();
    }
    capture.signal(Signal::SIGINT);
    assert!(capture.wait().success());
    let keys = lab
        .gateway
        .run(|| std::fs::read_to_string(format!("{KEYS}/ikev2_decryption_table")));
    let (status, report) = diagnose(&lab, more);
    for field in keys
        .unwrap()
        .split(',')
        .filter(|field| field.len() > 32 && !field.starts_with('"'))
    {
        assert!(!report.contains(field), "keys are not repeated");
    }
    (status, serde_json::from_str(&report).unwrap())
}

fn diagnose(lab: &Lab, more: &[&str]) -> (i32, String) {
    let mut ikexdp = command(IKEXDP);
    ikexdp
        .args(["diagnose", FILE, "--json", "--keys", KEYS])
        .args(more);
    let output = lab.gateway.output(ikexdp);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("warning"), "{stderr}");
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// The only attempt.
fn attempt(report: &Value) -> &Value {
    let attempts = report["attempts"].as_array().expect("a list");
    assert_eq!(attempts.len(), 1, "{report:#}");
    &attempts[0]
}

/// What one side says in payloads of this name.
fn says(attempt: &Value, from: &str, name: &str) -> Vec<String> {
    let messages = attempt["inside"]["messages"]
        .as_array()
        .expect("a list")
        .iter();
    let payloads = messages
        .filter(|message| message["from"] == from)
        .flat_map(|message| message["payloads"].as_array().expect("a list"));
    let named = payloads.filter(|payload| payload["name"] == name);
    named
        .map(|payload| payload["says"].as_str().unwrap().to_owned())
        .collect()
}

fn verdict(attempt: &Value) -> (&str, &str) {
    let verdict = &attempt["verdict"];
    let text = |key: &str| verdict[key].as_str().unwrap_or("none");
    (text("id"), text("confidence"))
}

fn evidence(attempt: &Value) -> String {
    let evidence = attempt["evidence"].as_array().expect("a list").iter();
    let says: Vec<_> = evidence.map(|it| it["says"].as_str().unwrap()).collect();
    says.join("\n")
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn who_shows_what_is_seen_whatever_it_came_in() {
    for proposal in [
        "aes256gcm16-prfsha384-x25519",
        "aes128-sha256-prfsha256-modp2048",
    ] {
        let mut case = Case::certificates(V4, Key::Rsa4096);
        case.client.ike_proposal = proposal.to_owned();
        let (status, report) = diagnosed(&mut case, &[]);
        let attempt = attempt(&report);
        assert_eq!(attempt["outcome"], "established", "{attempt:#}");
        assert_eq!(status, 0);
        assert_eq!(attempt["inside"]["sealed"], 0, "{proposal}");
        for (side, name, identity) in [("client", "IDi", CLIENT), ("gateway", "IDr", GATEWAY)] {
            let said = says(attempt, side, name);
            assert!(said[0].ends_with(identity), "{said:?}");
            let certificates = says(attempt, side, "CERT");
            assert_eq!(certificates.len(), 2, "the leaf and an intermediate one");
            assert!(certificates[0].contains(identity), "{certificates:?}");
            assert!(!says(attempt, side, "AUTH").is_empty());
            assert!(says(attempt, side, "SA")[0].starts_with("ESP "));
        }
        let reply = says(attempt, "gateway", "CP");
        assert!(
            reply[0].contains("CFG_REPLY: INTERNAL_IP4_ADDRESS=10.9.0."),
            "{reply:?}"
        );
        let faults = attempt["inside"]["remarks"].as_array().unwrap().iter();
        let faults: Vec<_> = faults.filter(|it| it["fault"] == true).collect();
        assert_eq!(faults.len(), 0, "{faults:?}");
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_refused_client_is_told_apart_from_a_refused_gateway() {
    // The gateway does not know the client's authority, and its certificate is no client's.
    let ours = Pki::with_client(Key::EcdsaP256, |_| ());
    let server = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    let another = Pki::with_client(Key::EcdsaP256, server);
    let stranger = Pki {
        client: another.client.clone(),
        ..ours.clone()
    };
    let gateway = Credentials::gateway(&ours);
    let mut case = Case::new(V4, Credentials::client(&stranger), gateway.clone());
    let (status, report) = diagnosed(&mut case, &[]);
    let attempt = self::attempt(&report);
    assert_eq!(
        (status, verdict(attempt)),
        (3, ("authentication-failed", "certain"))
    );
    let evidence = self::evidence(attempt);
    assert!(evidence.contains("N(AUTHENTICATION_FAILED)"), "{evidence}");
    assert!(evidence.contains("and not clientAuth"), "{evidence}");

    // The client does not know the gateway's, whose name is another besides.
    let distrustful = Pki {
        root: another.root,
        ..ours.clone()
    };
    let mut case = Case::new(V4, Credentials::client(&distrustful), gateway);
    let (status, report) = diagnosed(&mut case, &["--name", "vpn.example.com"]);
    let attempt = self::attempt(&report);
    assert_eq!(
        (status, verdict(attempt)),
        (3, ("certificate-not-accepted", "certain"))
    );
    let evidence = self::evidence(attempt);
    let name = "has not the name that the client dials: vpn.example.com";
    assert!(evidence.contains(name), "{evidence}");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_wrong_password_is_seen_in_eap() {
    let pki = Pki::new(Key::EcdsaP256);
    let users = "[users]\n\"kim\" = \"nt:8846f7eaee8fb117ad06bdd830b7586c\"\n";
    let files = vec![("users.toml", users.to_owned())];
    let gateway = Credentials::eap_gateway(&pki, "eap-users = \"users.toml\"", files);
    let client = Credentials::eap(&pki, "kim", Eap::Mschapv2("passwort".to_owned()));
    let (status, report) = diagnosed(&mut Case::new(V4, client, gateway), &[]);
    let attempt = attempt(&report);
    assert_eq!((status, verdict(attempt)), (3, ("eap-rejected", "certain")));
    let evidence = evidence(attempt);
    assert!(evidence.contains("EAP-MSCHAPv2"), "{evidence}");
    let names = says(attempt, "client", "EAP");
    assert!(
        names.contains(&"Response, Identity: kim".to_owned()),
        "{names:?}"
    );
}

/// Keys of somebody else, or none.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn keys_that_do_not_fit_are_said_so() {
    let (lab, _gateway, client) = Case::psk(V4).start();
    let mut capture = begin(&lab, &[]);
    client.initiate().unwrap();
    capture.signal(Signal::SIGINT);
    capture.wait();
    let key = "a5".repeat(36);
    let table = format!(
        "0102030405060708,1112131415161718,{key},{key},\"AES-GCM-256 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n"
    );
    lab.gateway.write("/run/table", &table);
    let run = |arguments: &[&str]| {
        let mut ikexdp = command(IKEXDP);
        ikexdp.args(["diagnose", FILE]).args(arguments);
        let output = lab.gateway.output(ikexdp);
        let text = |octets| String::from_utf8(octets).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (_, report, _) = run(&["--keys", "/run/table"]);
    assert!(
        report.contains("the keys open none of its messages"),
        "{report}"
    );
    lab.gateway.write(
        "/run/table",
        table.replace("AES-GCM-256 with 16 octet ICV", "3DES"),
    );
    let (status, _, said) = run(&["--keys", "/run/table"]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("warning: /run/table: line 1: not opened here: 3DES"),
        "{said}"
    );
    assert!(
        said.contains("no keys of an IKE SA; hint: ") && !said.contains("a5a5"),
        "{said}"
    );
}
