//! Clients that prove by EAP who they are, with the gateway's own methods.

use harness::{
    credentials::{Credentials, Eap},
    lab::V4,
    pki::{CLIENT, Key, Pki},
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};

use crate::case::Case;

/// "password" and "another password", as `ikexdp client add --eap` writes them.
const USERS: &str = "[users]
\"kim\" = \"nt:8846f7eaee8fb117ad06bdd830b7586c\"
\"lee@lab.test\" = \"nt:8846f7eaee8fb117ad06bdd830b7586c\"
";

fn with_users(pki: &Pki) -> Credentials {
    let files = vec![("users.toml", USERS.to_owned())];
    Credentials::eap_gateway(pki, "eap-users = \"users.toml\"", files)
}

fn with_certificates(pki: &Pki) -> Credentials {
    let files = vec![("clients.pem", pki.root.clone())];
    Credentials::eap_gateway(pki, "eap-ca = \"clients.pem\"", files)
}

fn with_both(pki: &Pki) -> Credentials {
    let files = vec![
        ("users.toml", USERS.to_owned()),
        ("clients.pem", pki.root.clone()),
    ];
    let remote = "eap-ca = \"clients.pem\", eap-users = \"users.toml\"";
    Credentials::eap_gateway(pki, remote, files)
}

fn password(text: &str) -> Eap {
    Eap::Mschapv2(text.to_owned())
}

/// The client gets its address and its CHILD SA, and is known by its name.
fn connects(case: &Case, user: &str) {
    let (_lab, gateway, client) = case.start();
    client.initiate().unwrap();
    let sas = gateway.sas();
    assert_eq!(sas.len(), 1);
    assert_eq!(sas[0].identity.as_deref(), Some(user));
    assert_eq!(sas[0].children.len(), 1);
    assert_eq!(sas[0].addresses.len(), 1);
    client.terminate().unwrap();
    gateway.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_password_opens() {
    let pki = Pki::new(Key::EcdsaP256);
    for user in ["kim", "lee@lab.test"] {
        for gateway in [with_users(&pki), with_both(&pki)] {
            let client = Credentials::eap(&pki, user, password("password"));
            connects(&Case::new(V4, client, gateway), user);
        }
    }
}

/// A chain of RSA-4096 takes many packets of EAP, on a path that drops IP fragments.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_certificate_opens() {
    for key in [Key::EcdsaP256, Key::Rsa4096] {
        let pki = Pki::new(key);
        for gateway in [with_certificates(&pki), with_both(&pki)] {
            let client = Credentials::eap(&pki, CLIENT, Eap::Tls(pki.client.clone()));
            connects(&Case::new(V4, client, gateway), CLIENT);
        }
    }
}

/// The client is refused without a reason; the log has one line with all of `says`, and nothing is
/// left.
fn refused(client: Credentials, gateway: Credentials, says: &[&str]) {
    let (_lab, gateway, client) = Case::new(V4, client, gateway).start();
    let error = client.initiate().expect_err("the client is refused");
    assert!(error.contains("EAP"), "{error}");
    let line = gateway.line("handshake failed");
    for part in says {
        assert!(line.contains(part), "no `{part}`: {line}");
    }
    assert_eq!(gateway.sas(), []);
    assert_eq!(client.sas(), []);
    gateway.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn another_password() {
    let pki = Pki::new(Key::EcdsaP256);
    let client = Credentials::eap(&pki, "kim", password("passwort"));
    let says = [
        "kind=\"eap\"",
        "identity=\"kim\"",
        "connection=\"lab\"",
        "reason=\"wrong password\"",
    ];
    refused(client, with_users(&pki), &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_unknown_user() {
    let pki = Pki::new(Key::EcdsaP256);
    let client = Credentials::eap(&pki, "robin", password("password"));
    let says = ["identity=\"robin\"", "reason=\"unknown user\""];
    refused(client, with_users(&pki), &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_method_that_is_not_offered() {
    let pki = Pki::new(Key::EcdsaP256);
    let client = Credentials::eap(&pki, "kim", password("password"));
    let says = ["reason=\"no common EAP method\""];
    refused(client, with_certificates(&pki), &says);
}

fn refused_certificate(change: impl Fn(&mut CertificateParams), user: &str, says: &str) {
    let pki = Pki::with_client(Key::EcdsaP256, change);
    let client = Credentials::eap(&pki, user, Eap::Tls(pki.client.clone()));
    refused(client, with_certificates(&pki), &["kind=\"eap\"", says]);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_expired_certificate() {
    let change = |client: &mut CertificateParams| client.not_after = date_time_ymd(2020, 1, 1);
    refused_certificate(change, CLIENT, "expired");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_certificate_for_servers() {
    let server = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let change = move |client: &mut CertificateParams| client.extended_key_usages = server.clone();
    refused_certificate(change, CLIENT, "usage");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_certificate_of_somebody_else() {
    refused_certificate(|_| (), "robin@lab.test", "robin@lab.test");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn another_authority() {
    let (ours, another) = (Pki::new(Key::EcdsaP256), Pki::new(Key::EcdsaP256));
    let client = Credentials::eap(&ours, CLIENT, Eap::Tls(another.client));
    refused(client, with_certificates(&ours), &["kind=\"eap\""]);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_revoked_certificate() {
    let pki = Pki::new(Key::EcdsaP256);
    let files = vec![
        ("clients.pem", pki.root.clone()),
        ("clients.crl", pki.client.revoked.clone()),
    ];
    let remote = "eap-ca = \"clients.pem\", crl = [\"clients.crl\"]";
    let gateway = Credentials::eap_gateway(&pki, remote, files);
    let client = Credentials::eap(&pki, CLIENT, Eap::Tls(pki.client.clone()));
    refused(
        client,
        gateway,
        &["kind=\"eap\"", "certificate is revoked since"],
    );
}
