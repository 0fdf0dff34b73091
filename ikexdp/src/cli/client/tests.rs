//! `ikexdp init` and `ikexdp client`, as somebody uses them.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use clap::Parser;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde_json::Value;
use tempfile::TempDir;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::cli::{Cli, CliError};
use crate::pki::{Directory, Index};

/// Where no daemon listens: one of this host is none of the tests' business.
const NOBODY: &str = "/nowhere/c.sock";

/// A gateway that has just been set up.
struct Fresh {
    root: TempDir,
    directory: Directory,
    said: String,
}

fn execute(arguments: &[&str]) -> Result<String, CliError> {
    let mut out = Vec::new();
    let arguments = ["ikexdp"].iter().chain(arguments);
    Cli::try_parse_from(arguments).unwrap().execute(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

impl Fresh {
    /// `lo` is on every host.
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let path = root.path().join("ikexdp");
        let said = execute(&[
            "init",
            "--name",
            "vpn.example.com",
            "--interface",
            "lo",
            "--pool",
            "203.0.113.0/24",
            "--pool",
            "2001:db8:77::/64",
            "--directory",
            path.to_str().unwrap(),
        ]);
        Self {
            root,
            directory: Directory::new(path),
            said: said.unwrap(),
        }
    }

    fn client(&self, arguments: &[&str]) -> Result<String, CliError> {
        let directory = self.directory.path().to_str().unwrap();
        execute(&[&["client"], arguments, &["--directory", directory]].concat())
    }

    fn add(&self, arguments: &[&str]) -> String {
        self.client(&[&["add"], arguments].concat()).unwrap()
    }

    fn read(&self, path: &str) -> Vec<u8> {
        let path = self.directory.clients().join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.read(path)).unwrap()
    }

    /// Whether the CRL names the certificate with that number.
    fn is_in_crl(&self, serial: &str) -> bool {
        let crl = fs::read(self.directory.file(Directory::CRL)).unwrap();
        let crl = CertificateRevocationListDer::from_pem_slice(&crl).unwrap();
        let crl = CertRevocationList::from(OwnedCertRevocationList::from_der(&crl).unwrap());
        let serial = u128::from_str_radix(serial, 16).unwrap().to_be_bytes();
        crl.find_serial(&serial).unwrap().is_some()
    }
}

#[test]
fn init_makes_a_gateway_that_check_takes() {
    let fresh = Fresh::new();
    let path = fresh.directory.configuration();
    let checked = execute(&["check", "--config", path.to_str().unwrap()]).unwrap();
    for part in [
        "local      vpn.example.com",
        "CN=vpn.example.com (until ",
        "addresses  203.0.113.2-203.0.113.254",
        "dhcp       answered from 203.0.113.1",
    ] {
        assert!(checked.contains(part), "{part} in {checked}");
    }
    for part in [
        "gateway       vpn.example.com, ECDSA and RSA certificates until ",
        "pool          203.0.113.0/24, 2001:db8:77::/64",
        "UDP 500 and 4500",
        "ip saddr 203.0.113.0/24 ip daddr != 203.0.113.0/24 masquerade",
        "ikexdp client add NAME --for windows|apple|android|linux --directory ",
    ] {
        assert!(fresh.said.contains(part), "{part} in {}", fresh.said);
    }
    assert_eq!(
        fresh.client(&["list"]).unwrap(),
        "no clients; `ikexdp client add` makes one\n"
    );
}

#[test]
fn every_platform_gets_what_it_imports() {
    let fresh = Fresh::new();
    let said = fresh.add(&["desk", "--for", "windows", "--days", "30"]);
    assert!(
        said.contains("added: desk, as desk@vpn.example.com\n"),
        "{said}"
    );
    assert!(
        fresh
            .text("desk/desk.ps1")
            .contains("Add-VpnConnection -Name $name")
    );
    let xml = fresh.text("desk/desk.xml");
    assert!(roxmltree::Document::parse(&xml).is_ok());
    assert!(!fresh.read("desk/desk.p12").is_empty());
    let authority = fs::read(fresh.directory.file(Directory::AUTHORITY)).unwrap();
    let authority = CertificateDer::from_pem_slice(&authority).unwrap();
    assert_eq!(fresh.read("desk/ca.cer"), authority.to_vec());

    fresh.add(&["phone", "--for", "apple", "--identity", "kim@example.com"]);
    let profile: plist::Value =
        plist::Value::from_reader(std::io::Cursor::new(fresh.read("phone/phone.mobileconfig")))
            .unwrap();
    assert!(profile.as_dictionary().is_some());
    let said = fresh.add(&["tablet", "--for", "android"]);
    let profile: Value = serde_json::from_slice(&fresh.read("tablet/tablet.sswan")).unwrap();
    assert_eq!(profile["remote"]["addr"], "vpn.example.com");
    // What is shown opens what is written.
    let password = said
        .lines()
        .find_map(|line| line.strip_prefix("password of the key: "));
    let archive = profile["local"]["p12"].as_str().unwrap();
    let archive = <base64ct::Base64 as base64ct::Encoding>::decode_vec(archive).unwrap();
    let policy = p12_keystore::Pkcs12ImportPolicy::Relaxed;
    let store = p12_keystore::KeyStore::from_pkcs12(&archive, password.unwrap(), policy);
    assert!(store.unwrap().private_key_chain().is_some());

    let said = fresh.add(&["laptop", "--for", "linux", "--split-tunnel", "10.0.0.0/8"]);
    assert!(!said.contains("password"), "{said}");
    let configuration = fresh.text("laptop/swanctl/conf.d/laptop.conf");
    assert!(
        configuration.contains("remote_ts = 10.0.0.0/8\n"),
        "{configuration}"
    );

    let listed: Value = serde_json::from_str(&fresh.client(&["list", "--json"]).unwrap()).unwrap();
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["desk", "phone", "tablet", "laptop"]);
    assert_eq!(listed[1]["identity"], "kim@example.com");
    let clients = Index::load(&fresh.directory).unwrap().clients;
    let days = |place: usize| {
        let client = &clients[place];
        (client.expires.unwrap().seconds() - client.issued.seconds()) / 86_400
    };
    assert_eq!((days(0), days(1)), (30, 365));
}

#[test]
fn a_user_has_a_password_that_is_kept_as_a_hash() {
    let fresh = Fresh::new();
    let path = fresh.root.path().join("password");
    fs::write(&path, "clientPass\n").unwrap();
    let path = path.to_str().unwrap();
    let said = fresh.add(&[
        "kim",
        "--for",
        "windows",
        "--eap",
        "--password-file",
        path,
        "--socket",
        NOBODY,
    ]);
    assert!(!said.contains("clientPass"), "{said}");
    let said = fresh.add(&["lee", "--for", "apple", "--eap", "--socket", NOBODY]);
    assert!(said.contains("\npassword: "), "{said}");
    let users = fs::read_to_string(fresh.directory.file(Directory::USERS)).unwrap();
    let users: toml::Table = toml::from_str(&users).unwrap();
    let hash = users["users"]["kim"].as_str();
    assert_eq!(hash, Some("nt:44ebba8d5312b8d611474411f56989ae"));
    fresh
        .client(&["revoke", "kim", "--socket", NOBODY])
        .unwrap();
    let users = fs::read_to_string(fresh.directory.file(Directory::USERS)).unwrap();
    assert!(users.contains("lee") && !users.contains("kim ="), "{users}");
    let empty = fresh.root.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let options = ["add", "max", "--for", "linux", "--eap", "--password-file"];
    let error = fresh.client(&[&options[..], &[empty.to_str().unwrap()]].concat());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .starts_with("no password in ")
    );
}

#[test]
fn who_is_revoked_is_in_the_crl_and_can_be_made_again() {
    let fresh = Fresh::new();
    for name in ["laptop", "tablet"] {
        fresh.add(&[name, "--for", "linux"]);
    }
    let serials: Vec<_> = Index::load(&fresh.directory).unwrap().clients;
    let serials: Vec<_> = serials.into_iter().map(|it| it.serial.unwrap()).collect();
    assert!(!fresh.is_in_crl(&serials[0]));
    let taken = fresh
        .client(&["add", "Laptop", "--for", "apple"])
        .unwrap_err();
    assert!(
        taken.to_string().contains("there is a client of this name"),
        "{taken}"
    );
    for _ in 0..2 {
        // Twice: what was cut short is done again.
        let said = fresh
            .client(&["revoke", "laptop", "--socket", NOBODY])
            .unwrap();
        assert!(
            said.contains("revoked: laptop") && said.contains("does not run"),
            "{said}"
        );
        assert!(fresh.is_in_crl(&serials[0]) && !fresh.is_in_crl(&serials[1]));
        assert!(!fresh.directory.clients().join("laptop").exists());
    }
    let unknown = fresh.client(&["revoke", "nobody", "--socket", NOBODY]);
    assert!(
        unknown
            .unwrap_err()
            .to_string()
            .contains("no such client: nobody")
    );
    fresh.add(&["laptop", "--for", "linux"]);
    let listed = fresh.client(&["list"]).unwrap();
    assert_eq!(listed.matches("revoked").count(), 1, "{listed}");
    assert_eq!(listed.lines().count(), 4, "{listed}");
}

#[test]
fn clients_made_at_once_are_all_there() {
    let fresh = Fresh::new();
    thread::scope(|scope| {
        for number in 0..8 {
            let fresh = &fresh;
            scope.spawn(move || fresh.add(&[&format!("c{number}"), "--for", "linux"]));
        }
    });
    let clients = Index::load(&fresh.directory).unwrap().clients;
    assert_eq!(clients.len(), 8);
    for client in &clients {
        let path = fresh.directory.client(&client.name).join("swanctl/private");
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
    }
}

#[test]
fn files_go_where_they_are_wanted_and_over_nothing() {
    let fresh = Fresh::new();
    let there = fresh.root.path().join("there");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    fresh.add(&["laptop", "--for", "linux", "--out", &path(&there)]);
    assert!(there.join("swanctl/x509/laptop.pem").is_file());
    let again = ["add", "tablet", "--for", "linux", "--out", &path(&there)];
    let error = fresh.client(&again).unwrap_err();
    assert!(error.to_string().starts_with("already there: "), "{error}");
    assert_eq!(Index::load(&fresh.directory).unwrap().clients.len(), 1);
}

#[test]
fn what_a_profile_would_ask_for_in_vain_is_said_before() {
    let fresh = Fresh::new();
    let path: PathBuf = fresh.directory.configuration();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"compatible\"", "\"modern\"")).unwrap();
    for platform in ["windows", "apple"] {
        let error = fresh
            .client(&["add", "laptop", "--for", platform])
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("which this gateway does not take"),
            "{error}"
        );
        assert!(error.contains("algorithms = \"compatible\""), "{error}");
    }
    for (name, platform) in [("a", "linux"), ("b", "android")] {
        fresh.add(&[name, "--for", platform]);
    }
    let networks = "local-networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]";
    let text = text.replace("local-networks = [\"0.0.0.0/0\", \"::/0\"]", networks);
    fs::write(&path, text).unwrap();
    fresh.add(&["c", "--for", "linux"]);
    let configuration = fresh.text("c/swanctl/conf.d/c.conf");
    assert!(
        configuration.contains("remote_ts = 10.0.0.0/8,2001:db8::/32\n"),
        "{configuration}"
    );
}

/// What is issued here is for those who trust it, and what is revoked here for those
/// who look.
#[test]
fn a_client_is_for_the_connection_that_knows_it() {
    let fresh = Fresh::new();
    let other = Fresh::new();
    let path = fresh.directory.configuration();
    let text = fs::read_to_string(&path).unwrap();
    let ca = other.directory.file(Directory::AUTHORITY);
    let foreign = format!("remote = {{ ca = {ca:?} }}");
    let remote = "remote = { ca = \"pki/ca.pem\", crl = [\"pki/clients.crl\"] }";
    assert!(text.contains(remote));
    fs::write(&path, text.replace(remote, &foreign)).unwrap();
    let error = fresh.client(&["add", "a", "--for", "linux"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no connection takes certificates of this authority")
    );

    let tls = "remote = { eap-ca = \"pki/ca.pem\" }";
    let users = "remote = { eap-users = \"users.toml\" }";
    assert!(text.contains(users));
    fs::write(&path, text.replace(users, tls)).unwrap();
    let error = fresh
        .client(&["add", "a", "--for", "linux", "--eap"])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no connection takes users by EAP-MSCHAPv2")
    );

    let crl = ", crl = [\"pki/clients.crl\"]";
    let lists = other.directory.file(Directory::CRL);
    let without = text.replace(crl, "");
    let tls = without.replace(users, "remote = { eap-ca = \"pki/ca.pem\" }");
    for (name, text, expected) in [
        ("a", &text, &[][..]),
        ("b", &without, &["clients"]),
        (
            "c",
            &text.replace(crl, ", fetch-revocation = true"),
            &["clients"],
        ),
        (
            "d",
            &text.replace("crl = [\"pki/clients.crl\"]", &format!("crl = [{lists:?}]")),
            &["clients"],
        ),
        ("e", &tls, &["clients", "users"]),
        (
            "f",
            &text.replace(crl, ", fetch-revocation = true, revocation = \"strict\""),
            &[],
        ),
    ] {
        fs::write(&path, text).unwrap();
        fresh.add(&[name, "--for", "linux"]);
        let said = fresh.client(&["revoke", name]).unwrap();
        for connection in ["clients", "users"] {
            let warning = format!("warning: connection {connection} does not look at the CRL");
            let warned = said.contains(&warning);
            assert_eq!(warned, expected.contains(&connection), "{name}: {said}");
        }
    }
}

#[test]
fn where_there_is_no_authority_init_is_named() {
    let root = TempDir::new().unwrap();
    let directory = root.path().to_str().unwrap();
    for command in [
        &["add", "a", "--for", "linux"][..],
        &["list"],
        &["revoke", "a"],
    ] {
        let arguments = [&["client"], command, &["--directory", directory]].concat();
        let error = execute(&arguments).unwrap_err().to_string();
        assert!(error.contains("hint: `ikexdp init`"), "{error}");
    }
}
