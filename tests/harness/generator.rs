//! What `ikexdp bench` knows its clients by: files in the `/run` of their machine, which nobody else can
//! read, and the arguments that name them.

use crate::{
    namespace::Namespace,
    pki::{GATEWAY, Pki},
};

/// Where the files are.
const DIRECTORY: &str = "/run/bench";

/// Clients with this secret.
#[must_use]
pub fn secret(clients: &Namespace, secret: &str) -> [&'static str; 4] {
    write_secret(clients, "psk", secret);
    ["--psk-file", "/run/bench/psk", "--gateway-id", GATEWAY]
}

/// Clients with certificates.
#[must_use]
pub fn certificates(clients: &Namespace, pki: &Pki) -> [&'static str; 8] {
    let chain = &pki.client;
    let certificates = chain.leaf.clone() + &chain.intermediate;
    clients.write(format!("{DIRECTORY}/own.pem"), certificates);
    write_secret(clients, "own.key", &chain.key);
    clients.write(format!("{DIRECTORY}/ca.pem"), &pki.root);
    [
        "--certificate",
        "/run/bench/own.pem",
        "--key",
        "/run/bench/own.key",
        "--authority",
        "/run/bench/ca.pem",
        "--gateway-id",
        GATEWAY,
    ]
}

/// Clients that have this password, each with a name of its own or not.
#[must_use]
pub fn password(
    clients: &Namespace,
    pki: &Pki,
    user: &'static str,
    password: &str,
) -> [&'static str; 8] {
    write_secret(clients, "password", password);
    clients.write(format!("{DIRECTORY}/ca.pem"), &pki.root);
    [
        "--eap-user",
        user,
        "--eap-password-file",
        "/run/bench/password",
        "--authority",
        "/run/bench/ca.pem",
        "--gateway-id",
        GATEWAY,
    ]
}

/// Of files that everybody can read is warned.
fn write_secret(clients: &Namespace, name: &str, contents: &str) {
    let path = format!("{DIRECTORY}/{name}");
    clients.write(&path, contents);
    clients.exec(&format!("chmod 600 {path}"));
}
