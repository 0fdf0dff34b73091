//! Who must not come in, what the client is told (nothing but AUTHENTICATION_FAILED, RFC 7296
//! §2.21.2), and the line that tells the operator why.

use harness::{
    credentials::{Credentials, SECRET},
    lab::V4,
    pki::{CLIENT, Chain, GATEWAY, Key, Pki},
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};

use crate::case::Case;

/// The client is refused without a reason, and the log has one line with all of `says`.
fn refused(case: &Case, says: &[&str]) {
    let (_lab, gateway, client) = case.start();
    let error = client.initiate().expect_err("the client is refused");
    assert!(
        error.contains("received AUTHENTICATION_FAILED notify error"),
        "{error}"
    );
    let line = gateway.line("handshake failed");
    for part in says {
        assert!(line.contains(part), "no `{part}`: {line}");
    }
    assert_eq!(gateway.sas(), []);
    assert_eq!(client.sas(), []);
    gateway.stop();
}

/// The client's certificate is as `change` makes it.
fn refused_certificate(change: impl Fn(&mut CertificateParams), says: &[&str]) {
    let pki = Pki::with_client(Key::EcdsaP256, change);
    let case = Case::new(V4, Credentials::client(&pki), Credentials::gateway(&pki));
    refused(&case, says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn another_secret() {
    let client = Credentials::client_psk("another secret");
    let case = Case::new(V4, client, Credentials::gateway_psk(SECRET));
    let says = [
        "kind=\"shared_key\"",
        "peer=192.0.2.2:4500",
        "identity=\"client.lab.test\"",
        "connection=\"lab\"",
        "hint=\"compare the pre-shared key on both sides\"",
    ];
    refused(&case, &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn another_authority() {
    let (ours, another) = (Pki::new(Key::EcdsaP256), Pki::new(Key::EcdsaP256));
    // The client trusts ours, so that its own certificate is all that is wrong.
    let client = Pki {
        client: another.client,
        ..ours.clone()
    };
    let case = Case::new(
        V4,
        Credentials::client(&client),
        Credentials::gateway(&ours),
    );
    refused(
        &case,
        &[
            "certificate is of an authority not trusted here",
            "remote.ca",
        ],
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn no_intermediate() {
    let mut pki = Pki::new(Key::EcdsaP256);
    pki.client = Chain {
        intermediate: pki.root.clone(),
        ..pki.client
    };
    let case = Case::new(V4, Credentials::client(&pki), Credentials::gateway(&pki));
    refused(
        &case,
        &[
            "certificate is of an authority not trusted here",
            "must send its intermediates",
        ],
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_expired_certificate() {
    refused_certificate(
        |client| client.not_after = date_time_ymd(2020, 1, 1),
        &["certificate has expired", "renew the certificate"],
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_certificate_of_the_future() {
    refused_certificate(
        |client| client.not_before = date_time_ymd(4000, 1, 1),
        &["certificate is not valid yet", "correct the clock"],
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_certificate_for_servers() {
    refused_certificate(
        |client| client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        &[
            "extended key usage of the certificate does not fit",
            "clientAuth",
        ],
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_revoked_certificate() {
    let pki = Pki::new(Key::EcdsaP256);
    let mut case = Case::new(V4, Credentials::client(&pki), Credentials::gateway(&pki));
    case.gateway.revoked = Some(pki.client.revoked);
    refused(
        &case,
        &[
            "certificate is revoked since 2020-01-01T00:00:00Z, keyCompromise: CN=client.lab.test",
            "identity=\"client.lab.test\"",
            "the authority has revoked it",
        ],
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_identity_that_may_not_come() {
    let mut case = Case::psk(V4);
    case.gateway.credentials = psk(GATEWAY, "boss.lab.test");
    let says = [
        "kind=\"no_connection\"",
        "identity=\"client.lab.test\"",
        "`remote.ids`",
    ];
    refused(&case, &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_gateway_that_is_not_here() {
    let mut case = Case::psk(V4);
    case.client.credentials = psk(CLIENT, "elsewhere.lab.test");
    let says = [
        "no connection for this peer to elsewhere.lab.test",
        "`local.id`",
    ];
    refused(&case, &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_gateway_that_the_client_does_not_trust() {
    let (ours, another) = (Pki::new(Key::EcdsaP256), Pki::new(Key::EcdsaP256));
    let client = Pki {
        root: another.root,
        ..ours.clone()
    };
    let case = Case::new(
        V4,
        Credentials::client(&client),
        Credentials::gateway(&ours),
    );
    let (_lab, gateway, client) = case.start();
    client.initiate().expect_err("the client refuses");
    let line = gateway.line("IKE SA closed");
    assert!(
        line.contains("peer refused: AUTHENTICATION_FAILED"),
        "{line}"
    );
    assert_eq!(gateway.sas(), []);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn algorithms_that_are_not_allowed() {
    let mut case = Case::psk(V4);
    case.gateway.tables = "[ike]\ngroups = [\"ecp384\"]";
    let (_lab, gateway, client) = case.start();
    let error = client.initiate().expect_err("the client is refused");
    assert!(
        error.contains("received NO_PROPOSAL_CHOSEN notify error"),
        "{error}"
    );
    let line = gateway.line("handshake failed");
    for part in [
        "no common algorithms; offered: ",
        "aes256-gcm16",
        "x25519",
        "hint=\"add what came nearest",
    ] {
        assert!(line.contains(part), "no `{part}`: {line}");
    }
}

/// The IKE SA stays without its CHILD SA (RFC 7296 §1.3).
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_child_sa_that_is_not_allowed() {
    let mut case = Case::psk(V4);
    case.gateway.connection = "esp = { encryption = [\"chacha20-poly1305\"] }";
    let (_lab, gateway, client) = case.start();
    let error = client.initiate().expect_err("there is no CHILD SA");
    assert!(
        error.contains("received NO_PROPOSAL_CHOSEN notify"),
        "{error}"
    );
    let _ = gateway.line("CHILD SA refused");
    let sas = gateway.sas();
    assert_eq!((sas.len(), &sas[0].children), (1, &vec![]));
}

/// Both ends' names, and the secret they have in common.
fn psk(local_id: &str, remote_id: &str) -> Credentials {
    Credentials::Psk {
        secret: SECRET.to_owned(),
        local_id: local_id.to_owned(),
        remote_id: remote_id.to_owned(),
    }
}
