//! Clients with names and a password, of ikexdp and of strongSwan.

use harness::{
    credentials::Credentials,
    gateway::{Gateway, Setup},
    generator,
    lab::{Lab, V4},
    pki::{Key, Pki},
    strongswan::{Settings, Strongswan},
};
use ikexdp_eap::NtHash;

use super::{CLIENTS, bench};
use crate::IKEXDP;

/// A gateway that knows user-1 and all the others by this password.
fn gateway_eap(pki: &Pki, password: &str) -> Credentials {
    let hash = NtHash::of(password).entry();
    let user = |number| format!("\"user-{number}\" = \"{}\"\n", hash.expose());
    let users: String = (1..=CLIENTS).map(user).collect();
    let files = vec![("users.toml", format!("[users]\n{users}"))];
    Credentials::eap_gateway(pki, "eap-users = \"users.toml\"", files)
}

/// Each is a user of its own, of the gateway's own users; the certificate is the gateway's alone.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clients_with_a_password_connect() {
    let lab = Lab::new();
    let pki = Pki::new(Key::EcdsaP256);
    let setup = Setup::new(gateway_eap(&pki, "password"));
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    let clients = generator::password(&lab.client, &pki, "user-{n}", "password\n");
    // No request is repeated, however slow this machine is.
    let more = ["--rekey", "1", "--timeout", "300s"];
    let outcome = bench(&lab.client, V4, &[&clients[..], &more].concat());
    assert!(outcome.is_success, "{}", outcome.stderr);
    outcome.all_did("connect", CLIENTS);
    outcome.all_did("rekey", CLIENTS);
    // IKE_SA_INIT; IKE_AUTH: name, challenge, success, AUTH, and before all of that who it is for.
    let each = &outcome.phase("connect")["per_exchange"];
    assert_eq!(each["datagrams_sent"], 6.0, "{each:#}");
    let mut users: Vec<_> = gateway
        .sas()
        .into_iter()
        .filter_map(|sa| sa.identity)
        .collect();
    users.sort();
    users.dedup();
    assert_eq!(users.len() as u64, CLIENTS, "{users:?}");
    gateway.stop();
}

/// Both gateways refuse, each in its way: ikexdp without a reason, strongSwan with one.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_wrong_password_fails_by_its_reason() {
    let pki = Pki::new(Key::EcdsaP256);
    let failures = |lab: &Lab, reason: &str| {
        let clients = generator::password(&lab.client, &pki, "user-1", "passwort");
        let outcome = bench(&lab.client, V4, &clients);
        assert!(!outcome.is_success);
        let connect = outcome.phase("connect");
        let expected = serde_json::json!({ reason: CLIENTS });
        assert_eq!(connect["failures"], expected, "{connect:#}");
        let error = format!("error: no client connected: {reason} {CLIENTS}\n");
        assert_eq!(outcome.stderr, error);
    };
    let lab = Lab::new();
    let setup = Setup::new(gateway_eap(&pki, "password"));
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    failures(&lab, "EAP-Failure");
    gateway.stop();
    let lab = Lab::new();
    let gateway = strongswan_eap(&lab, &pki);
    failures(&lab, "E=691");
    gateway.stop();
}

fn strongswan_eap(lab: &Lab, pki: &Pki) -> Strongswan {
    let credentials = Credentials::eap_server(pki, "user-1", "password");
    let settings = Settings {
        daemon: "dos_protection = no",
        ..Settings::responder(V4.gateway, credentials)
    };
    Strongswan::start(&lab.gateway, settings)
}

/// Somebody else's side of EAP-MSCHAPv2, with chains that take several datagrams.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn strongswan_serves_clients_with_a_password() {
    let lab = Lab::new();
    let pki = Pki::new(Key::Rsa4096);
    let gateway = strongswan_eap(&lab, &pki);
    let clients = generator::password(&lab.client, &pki, "user-1", "password");
    let more = ["--rekey", "1", "--delete"];
    let outcome = bench(&lab.client, V4, &[&clients[..], &more].concat());
    assert!(outcome.is_success, "{}", outcome.stderr);
    outcome.all_did("connect", CLIENTS);
    outcome.all_did("rekey", CLIENTS);
    outcome.all_did("delete", CLIENTS);
    assert_eq!(gateway.sas(), vec![]);
    gateway.stop();
}
