//! Every algorithm against strongSwan's, and the detours of IKE_SA_INIT.

use harness::{
    gateway::Gateway,
    lab::{Lab, V4},
    pki::Key,
    strongswan::{Settings, Strongswan},
};

use crate::case::Case;

/// What the client offers, in strongSwan's notation, and what the gateway then shows.
const IKE: [(&str, &str); 20] = [
    (
        "aes128gcm16-prfsha256-x25519",
        "aes128-gcm16/prf-sha2-256/x25519",
    ),
    (
        "aes256gcm16-prfsha384-ecp384",
        "aes256-gcm16/prf-sha2-384/ecp384",
    ),
    (
        "chacha20poly1305-prfsha512-ecp256",
        "chacha20-poly1305/prf-sha2-512/ecp256",
    ),
    (
        "aes128-sha256-prfsha256-modp2048",
        "aes128-cbc-sha2-256/prf-sha2-256/modp2048",
    ),
    (
        "aes128-sha384-prfsha384-modp3072",
        "aes128-cbc-sha2-384/prf-sha2-384/modp3072",
    ),
    (
        "aes128-sha512-prfsha512-modp4096",
        "aes128-cbc-sha2-512/prf-sha2-512/modp4096",
    ),
    (
        "aes256-sha256-prfsha512-x25519",
        "aes256-cbc-sha2-256/prf-sha2-512/x25519",
    ),
    (
        "aes256-sha384-prfsha256-ecp256",
        "aes256-cbc-sha2-384/prf-sha2-256/ecp256",
    ),
    (
        "aes256-sha512-prfsha384-ecp384",
        "aes256-cbc-sha2-512/prf-sha2-384/ecp384",
    ),
    (
        "aes256gcm16-prfsha512-ecp521",
        "aes256-gcm16/prf-sha2-512/ecp521",
    ),
    (
        "aes256gcm16-prfsha512-modp6144",
        "aes256-gcm16/prf-sha2-512/modp6144",
    ),
    (
        "aes256gcm16-prfsha512-modp8192",
        "aes256-gcm16/prf-sha2-512/modp8192",
    ),
    (
        "aes256gcm16-prfsha512-modp1536",
        "aes256-gcm16/prf-sha2-512/modp1536",
    ),
    (
        "aes256-sha1-modp1024",
        "aes256-cbc-sha1-96/prf-sha1/modp1024",
    ),
    (
        "aes128-sha1-modp2048",
        "aes128-cbc-sha1-96/prf-sha1/modp2048",
    ),
    // Our order decides, and the client's key exchange goes with it.
    (
        "aes128gcm16-aes256gcm16-prfsha512-prfsha256-x25519-ecp256",
        "aes256-gcm16/prf-sha2-256/x25519",
    ),
    // A proposal that cannot be met, and one that can: its number is 2. The client's key exchange is
    // for the first group it offers; from here on ours is another: INVALID_KE_PAYLOAD.
    (
        "aes192-sha256-prfsha256-x25519,aes128-sha256-prfsha256-ecp256",
        "aes128-cbc-sha2-256/prf-sha2-256/ecp256",
    ),
    (
        "aes256gcm16-prfsha256-ecp384-x25519",
        "aes256-gcm16/prf-sha2-256/x25519",
    ),
    (
        "aes256gcm16-prfsha256-modp4096-ecp256",
        "aes256-gcm16/prf-sha2-256/ecp256",
    ),
    (
        "aes256gcm16-prfsha256-modp8192-modp3072",
        "aes256-gcm16/prf-sha2-256/modp3072",
    ),
];
/// How many of [`IKE`] begin with a group that is not taken.
const INVALID_KE: u64 = 4;

const ESP: [(&str, &str); 8] = [
    ("aes128gcm16", "aes128-gcm16"),
    ("aes256gcm16", "aes256-gcm16"),
    ("chacha20poly1305", "chacha20-poly1305"),
    ("aes128-sha256", "aes128-cbc-sha2-256"),
    ("aes256-sha384", "aes256-cbc-sha2-384"),
    ("aes256-sha512", "aes256-cbc-sha2-512"),
    ("aes256-sha1", "aes256-cbc-sha1-96"),
    ("aes128-aes256-sha512-sha256", "aes256-cbc-sha2-256"),
];

/// All that there is.
const LEGACY: &str = "algorithms = \"legacy-windows\"";
const EVERY_GROUP: &str = "[ike]
groups = [\"x25519\", \"ecp256\", \"ecp384\", \"ecp521\", \"modp3072\", \"modp4096\", \"modp6144\",
    \"modp8192\", \"modp2048\", \"modp1536\", \"modp1024\"]";

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn every_algorithm_of_ike() {
    let mut case = Case::psk(V4);
    case.gateway.tables = EVERY_GROUP;
    case.gateway.gateway = LEGACY;
    let (lab, gateway) = case.start_gateway();
    for (offer, chosen) in IKE {
        let client = Settings {
            ike_proposal: offer.to_owned(),
            ..case.client.clone()
        };
        let suite = connected(&lab, &gateway, client, |gateway| {
            gateway.sas()[0].suite.clone()
        });
        assert_eq!(suite.as_deref(), Some(chosen), "of {offer}");
    }
    assert_eq!(
        gateway.count(|stats| &stats.engine, "invalid_ke_sent"),
        INVALID_KE
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn every_algorithm_of_esp() {
    let mut case = Case::psk(V4);
    case.gateway.gateway = LEGACY;
    let (lab, gateway) = case.start_gateway();
    for (offer, chosen) in ESP {
        let client = Settings {
            esp_proposal: offer.to_owned(),
            ..case.client.clone()
        };
        let suite = connected(&lab, &gateway, client, |gateway| {
            gateway.sas()[0].children[0].suite.clone()
        });
        assert_eq!(suite, chosen, "of {offer}");
    }
}

/// As Windows does it with certificates for ECDSA.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_signature_without_rfc_7427() {
    for (key, method) in [(Key::EcdsaP256, "ECDSA-256"), (Key::EcdsaP384, "ECDSA-384")] {
        let mut case = Case::certificates(V4, key);
        case.client.signature_authentication = false;
        let (_lab, gateway, client) = case.start();
        client.initiate().expect("the client connects");
        let log = client.log().entries();
        for who in ["'client.lab.test' (myself)", "'gateway.lab.test'"] {
            let line = format!("authentication of {who} with {method} signature successful");
            assert!(log.iter().any(|said| said.contains(&line)), "no `{line}`");
        }
        assert_eq!(gateway.sas().len(), 1);
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_signature_by_rsa_pss() {
    for rsa_pss in [false, true] {
        let mut case = Case::certificates(V4, Key::Rsa2048);
        case.client.rsa_pss = rsa_pss;
        let (_lab, gateway, client) = case.start();
        client.initiate().expect("the client connects");
        let scheme = if rsa_pss {
            "RSA_EMSA_PSS"
        } else {
            "RSA_EMSA_PKCS1"
        };
        let own = format!("authentication of 'client.lab.test' (myself) with {scheme}");
        assert!(
            client
                .log()
                .entries()
                .iter()
                .any(|line| line.contains(&own)),
            "no `{own}`"
        );
        assert_eq!(gateway.sas().len(), 1);
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_cookie_costs_one_round_trip() {
    let mut case = Case::certificates(V4, Key::EcdsaP256);
    case.gateway.gateway = "cookie-threshold = 0";
    let (_lab, gateway, client) = case.start();
    client.initiate().expect("the client returns the cookie");
    let stats = gateway.stats();
    assert_eq!(harness::gateway::count(&stats.xdp, "reply_cookie"), 1);
    assert_eq!(harness::gateway::count(&stats.engine, "established"), 1);
}

/// What `look` sees while a client with these settings is connected.
fn connected<R>(lab: &Lab, gateway: &Gateway, client: Settings, look: impl Fn(&Gateway) -> R) -> R {
    let offer = format!("{} {}", client.ike_proposal, client.esp_proposal);
    let client = Strongswan::start(&lab.client, client);
    client
        .initiate()
        .unwrap_or_else(|error| panic!("{offer}: {error}"));
    let seen = look(gateway);
    client.terminate().expect("the gateway answers");
    client.stop();
    seen
}
