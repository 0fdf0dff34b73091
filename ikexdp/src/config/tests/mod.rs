//! A good configuration, and what each change to it makes of it.

mod defence;
mod eap;
mod local;
mod metrics;
mod revocation;
mod services;
mod summary;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use ikexdp_proto::config::{Credential, Lifetimes, RemoteSelectors, Requirement, Uniqueness};
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::data_plane::{Binding, Mark};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::pattern::IdentityPattern;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls_pki_types::UnixTime;
use tempfile::TempDir;

use super::{ConfigError, Loaded, Transport, XdpMode, load};

const GOOD: &str = r#"[gateway]
interface = "eth0"
transport = "xdp"
fragment-size = 1280

[[pool]]
name = "staff"
addresses = ["10.9.0.0/24", "2001:db8:9::/112"]
dns = ["10.0.0.53"]

[[connection]]
name = "staff"
local = { id = "vpn.example.com", certificate = "gateway.pem", key = "gateway.key" }
remote = { ca = "ca.pem", ids = ["*"] }
pool = "staff"
local-networks = ["0.0.0.0/0", "::/0"]
"#;

/// A directory with everything a configuration names. Certificates are valid
/// from 2020 to 2040.
struct Lab {
    directory: TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            directory: TempDir::new().unwrap(),
        };
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, "Root");
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        lab.write("ca.pem", &root.pem());
        let usage = [ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = |usage: &[ExtendedKeyUsagePurpose]| {
            let mut leaf = CertificateParams::new(["vpn.example.com".to_owned()]).unwrap();
            leaf.not_before = date_time_ymd(2020, 1, 1);
            leaf.not_after = date_time_ymd(2040, 1, 1);
            leaf.extended_key_usages = usage.to_vec();
            let key = KeyPair::generate().unwrap();
            (leaf.signed_by(&key, &root).unwrap().pem(), key)
        };
        let (certificate, key) = leaf(&usage);
        lab.write("gateway.pem", &certificate);
        lab.write("gateway.key", &key.serialize_pem());
        lab.write("chain.pem", &(certificate.clone() + &root.pem()));
        let (other, other_key) = leaf(&[]);
        lab.write("other.pem", &other);
        lab.write("other.key", &other_key.serialize_pem());
        lab.write("broken.pem", &(certificate + &other));
        lab.write("psk", "correct horse battery staple\n");
        lab.write("short", "hunter2\n");
        lab.write("nothing", "\n");
        lab.write("endless", &"x".repeat((1 << 20) + 1));
        lab.write("noise", "no PEM at all");
        lab.write("encrypted.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
        self.chmod(name, 0o600);
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn load_at(&self, text: &str, year: u64) -> Result<Loaded, ConfigError> {
        const YEAR: u64 = 31_556_952;
        self.write("gateway.toml", text);
        let now = Duration::from_secs(year.strict_sub(1970).strict_mul(YEAR));
        load(&self.path("gateway.toml"), UnixTime::since_unix_epoch(now))
    }

    fn load(&self, text: &str) -> Result<Loaded, ConfigError> {
        self.load_at(text, 2030)
    }

    /// What is said about the good file with `from` replaced by `to`.
    fn complaint(&self, from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        self.load(&GOOD.replacen(from, to, 1))
            .expect_err(to)
            .to_string()
    }

    fn cautions(&self, from: &str, to: &str, year: u64) -> Vec<String> {
        assert!(GOOD.contains(from), "{from}");
        let loaded = self.load_at(&GOOD.replacen(from, to, 1), year).unwrap();
        loaded.cautions.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn a_good_file_says_what_it_says() {
    let loaded = Lab::new().load(GOOD).unwrap();
    assert!(loaded.cautions.is_empty(), "{:?}", loaded.cautions);
    let Transport::Xdp(xdp) = &loaded.settings.transport else {
        panic!("transport is not xdp");
    };
    assert_eq!((xdp.interface.as_str(), xdp.mode), ("eth0", XdpMode::Auto));
    let engine = &loaded.settings.engine;
    assert_eq!(engine.fragmentation.datagram_len, 1280);
    let [connection] = engine.connections.as_slice() else {
        panic!("one connection");
    };
    assert_eq!(
        connection.local_identity,
        Identity::Fqdn("vpn.example.com".to_owned())
    );
    assert_eq!(connection.remote_identities, [IdentityPattern::Any]);
    assert!(matches!(connection.credential, Credential::Certificates(_)));
    assert!(matches!(
        connection.requirement,
        Requirement::Certificate(_)
    ));
    assert!(matches!(&connection.child.remote, RemoteSelectors::Pool(name) if name == "staff"));
    let networks: Vec<_> = connection
        .child
        .local
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["0.0.0.0/0", "::/0"]);
}

#[test]
fn the_shortest_file_needs_no_more_than_a_name_and_a_secret() {
    let loaded = Lab::new()
        .load(
            r#"
            gateway = { transport = "udp" }
            [[connection]]
            name = "site"
            local = { id = "a.example", secret-file = "psk" }
            remote = { secret-file = "psk" }
            remote-networks = ["10.2.0.0/16"]
            "#,
        )
        .unwrap();
    assert!(loaded.cautions.is_empty(), "{:?}", loaded.cautions);
    let connection = &loaded.settings.engine.connections[0];
    let Requirement::SharedKey(secret) = &connection.requirement else {
        panic!("not a shared key");
    };
    assert_eq!(*secret, SharedKey::new(b"correct horse battery staple"));
}

#[test]
fn what_a_connection_says_of_its_sas_is_taken_and_shown() {
    let said = r#"pool = "staff"
if-id = 7
mark = "0x10/0xff"
uniqueness = "replace"
initiate-rekey = false
ike-lifetime = "4h"
child-lifetime = "30m"
child-octets = 1_000_000_000
child-packets = 0x100_0000
"#;
    let text = GOOD.replace("pool = \"staff\"\n", said);
    let loaded = Lab::new().load(&text).unwrap();
    let connection = &loaded.settings.engine.connections[0];
    assert_eq!(
        connection.child.binding,
        Binding {
            if_id: Some(7),
            mark: Some(Mark {
                value: 0x10,
                mask: 0xff
            }),
        }
    );
    assert_eq!(connection.uniqueness, Uniqueness::Replace);
    assert_eq!(
        connection.lifetimes,
        Lifetimes {
            initiate_rekey: false,
            ike: Duration::from_secs(4 * 3600),
            child: Duration::from_secs(1800),
            child_octets: Some(1_000_000_000),
            child_packets: Some(0x100_0000),
        }
    );
    let shown = loaded.to_string();
    let expected = "
  binding    if_id 7, mark 0x10/0xff
  lifetimes  4h of an IKE SA, 30m or 1000000000 octets or 16777216 packets of a CHILD SA; only the peer rekeys
  uniqueness replace
";
    assert!(shown.contains(expected), "{shown}");
}

/// Each row: what is replaced `=>` by what `=>` what must be said about it, in
/// parts `&`; `\n` is the end of a line.
fn assert_complaints(rows: &str) {
    let lab = Lab::new();
    for row in rows.lines() {
        let parts: Vec<_> = row.split(" => ").collect();
        let [from, to, expected] = parts[..] else {
            panic!("not a row: {row}");
        };
        let complaint = lab.complaint(&from.replace("\\n", "\n"), &to.replace("\\n", "\n"));
        for part in std::iter::once("gateway.toml:").chain(expected.split(" & ")) {
            assert!(complaint.contains(part), "{row}\n{complaint}");
        }
    }
}

#[test]
fn what_is_wrong_with_the_tables_is_named_with_its_line() {
    assert_complaints(
        r#"[gateway] => [gatway] => :1: gatway: & `gatway` & `gateway` & hint:
fragment-size => fragment_size => :4: gateway.fragment_size: & `fragment_size` & `fragment-size`
= 1280 => = "big" => :4: gateway.fragment-size: & string "big" & hint:
name = "staff"\nadd => add => pool: missing field `name`
interface = "eth0"\n =>  => :2: gateway.interface: is missing & interface = "eth0"
"xdp" => "dpdk" => :3: gateway.transport: unknown value: dpdk & "xdp", "udp"
= 1280 => = 575 => :4: gateway.fragment-size: not between 576 and 1500: 575 & from 576 to 1500
= 1280 => = 1501 => not between 576 and 1500: 1501
= 1280 => = 1280\nxdp-mode = "fast" => :5: gateway.xdp-mode & "native"
= 1280 => = 1280\nxdp-transfer = "none" => gateway.xdp-transfer & "auto", "copy"
= 1280 => = 1280\nikev1 = "no" => gateway.ikev1 & "pass", "drop"
= 1280 => = 1280\ndata-plane = "vpp" => gateway.data-plane & "xfrm", "none"
= 1280 => = 1280\nhalf-open-max = 0 => gateway.half-open-max: not between 1 and
= 1280 => = 1280\nhalf-open-max = 9\ncookie-threshold = 9 => gateway.cookie-threshold: not below `half-open-max`: 9
= 1280 => = 1280\n[log]\nlevel = "loud" => log.level: unknown value: loud & "warn"
= 1280 => = 1280\n[log]\nformat = "xml" => log.format & "json"
= 1280 => = 1280\n[timing]\nliveness = "60" => timing.liveness: not a length of time: 60 & "30s"
= 1280 => = 1280\n[timing]\nretransmit = "0s" => timing.retransmit
= 1280 => = 1280\n[timing]\nretransmits = 21 => timing.retransmits: not between 1 and 20: 21
= 1280 => = 1280\n[timing]\nnat-keepalive = "often" => timing.nat-keepalive: not a length of time: often
= 1280 => = 1280\nadditional-addresses = ["here"] => gateway.additional-addresses: not an address: here
= 1280 => = 1280\n[ike]\nprf = ["md5"] => ike.prf: unknown value: md5 & "prf-sha2-256"
= 1280 => = 1280\n[ike]\ngroups = [] => ike.groups: names nothing & "x25519"
= 1280 => = 1280\nalgorithms = "old" => gateway.algorithms: unknown value: old & "modern", "compatible", "legacy-windows"
= 1280 => = 1280\n[ike]\nencryption = ["aes256-cbc"]\nintegrity = [] => ike.integrity: no algorithm, though `encryption` has aes256-cbc"#,
    );
}

#[test]
fn what_is_wrong_with_pools_is_named() {
    assert_complaints(
        r#""10.9.0.0/24" => "10.9.0.0" => pool.staff.addresses: neither a prefix nor a range & 10.9.0.10-10.9.0.250
"10.9.0.0/24" => "10.9.0.1/24" => bits are set & write "10.9.0.0/24"
"10.9.0.0/24" => "10.9.0.9-10.9.0.1" => runs backwards
"10.9.0.0/24" => "10.9.0.0/24", "10.8.0.0/24" => second IPv4 range of the pool: 10.8.0.0/24
["10.9.0.0/24", "2001:db8:9::/112"] => [] => pool.staff.addresses: is empty
"10.0.0.53" => "dns.example" => pool.staff.dns: not an address: dns.example
dns = ["10.0.0.53"] => domains = ["example.com"] => pool.staff.domains: given without `dns` & name the servers
dns = ["10.0.0.53"] => dns = ["10.0.0.53"]\ndomains = ["büro.example"] => pool.staff.domains: not a domain: büro.example & as `idn2` prints it
dns = ["10.0.0.53"] => dns = ["10.0.0.53"]\ndomains = ["a..example"] => not a domain: a..example
dns = ["10.0.0.53"] => dns = ["10.0.0.53"]\ndomains = [""] => not a domain:
[[connection]] => [[pool]]\nname = "lab"\naddresses = ["10.9.0.7/32"]\n[[connection]] => pool.lab.addresses: shares addresses with pool staff
[[connection]] => [[pool]]\nname = "staff"\naddresses = ["10.7.0.0/24"]\n[[connection]] => pool.staff.name: name is taken: staff
pool = "staff" => pool = "stuff" => connection.staff.pool: no such pool: stuff & the pools are: staff"#,
    );
}

#[test]
fn what_is_wrong_with_connections_is_named() {
    assert_complaints(
        r#"vpn.example.com => vpn example => connection.staff.local.id: neither an address & @#
"*" => "a b" => connection.staff.remote.ids
["*"] => [] => connection.staff.remote.ids: is empty
"*" => "kim@*" => connection.staff.remote.ids: no identity is like that: kim@* & write each identity
pool = "staff"\nlocal => local => connection.staff.pool: is missing
pool = "staff"\nlocal => pool = "staff"\nremote-networks = ["10.0.0.0/8"]\nlocal => connection.staff.pool: given along with `remote-networks`
"::/0" => "::1/0" => connection.staff.local-networks & write "::/0"
["0.0.0.0/0", "::/0"] => [] => connection.staff.local-networks: is empty
pool = "staff"\nlocal => pool = "staff"\nif-id = 0\nlocal => :16: connection.staff.if-id: not between 1 and 4294967295: 0
pool = "staff"\nlocal => pool = "staff"\nif-id = "7"\nlocal => connection.if-id: invalid type
pool = "staff"\nlocal => pool = "staff"\nmark = "0x11/0x10"\nlocal => connection.staff.mark: not a mark: 0x11/0x10 & "0x10/0xff"
pool = "staff"\nlocal => pool = "staff"\nuniqueness = "one"\nlocal => connection.staff.uniqueness: unknown value: one & "replace", "keep", "never"
pool = "staff"\nlocal => pool = "staff"\nike-lifetime = "long"\nlocal => connection.staff.ike-lifetime: not a length of time: long
pool = "staff"\nlocal => pool = "staff"\nchild-lifetime = "9s"\nlocal => connection.staff.child-lifetime: shorter than 10s: 9s & take 10s or more
pool = "staff"\nlocal => pool = "staff"\nchild-octets = 999_999\nlocal => connection.staff.child-octets: not between 1000000 and
pool = "staff"\nlocal => pool = "staff"\nchild-packets = 999\nlocal => connection.staff.child-packets: not between 1000 and
["0.0.0.0/0", "::/0"] => ["::/0"]\nesp = { encryption = ["null"] } => connection.staff.esp.encryption: unknown value: null & "aes256-gcm16"
["0.0.0.0/0", "::/0"] => ["::/0"]\n[[connection]]\nname = "staff"\npool = "staff"\nlocal = { id = "a", secret-file = "psk" }\nremote = { secret-file = "psk" } => connection.staff.name: name is taken: staff"#,
    );
    let alone = Lab::new().load("gateway = { transport = \"udp\" }");
    let complaint = alone.unwrap_err().to_string();
    assert!(complaint.contains("there is no connection"), "{complaint}");
}

#[test]
fn what_is_wrong_with_credentials_is_named() {
    assert_complaints(
        r#"gateway.pem => absent.pem => connection.staff.local.certificate: file cannot be read & absent.pem & relative to this file
gateway.pem => noise => no certificate in PEM form & openssl x509
gateway.pem => other.pem => private key belongs to another certificate & first certificate in the file
gateway.key => noise => connection.staff.local.key: no private key in PEM form
gateway.key => encrypted.key => private key is encrypted & openssl pkey
, key = "gateway.key" =>  => connection.staff.local.key: is missing
certificate = "gateway.pem",  =>  => connection.staff.local & is missing
certificate = "gateway.pem", key = "gateway.key" =>  => connection.staff.local
certificate = "gateway.pem", key = "gateway.key" => certificate = "gateway.pem", key = "gateway.key", secret-file = "psk" => local.certificate: given along with `local.secret-file`
certificate = "gateway.pem", key = "gateway.key" => secret = "x", secret-file = "psk" => local.secret: given along with `local.secret-file`
certificate = "gateway.pem", key = "gateway.key" => key = "gateway.key", secret-file = "psk" => local.key: given along with `local.secret-file`
certificate = "gateway.pem", key = "gateway.key" => secret-file = "endless" => local.secret-file: file cannot be read & endless & longer than 1048576 octets
certificate = "gateway.pem", key = "gateway.key" => secret-file = "nothing" => local.secret-file: is empty
vpn.example.com => gw.example.com => certificate does not assert gw.example.com & set `local.id` to a name it asserts: vpn.example.com
"ca.pem" => "gateway.pem" => connection.staff.remote.ca: not a certificate authority & not of a peer
ca = "ca.pem",  =>  => connection.staff.remote: is missing & ca.pem
ca = "ca.pem" => ca = "ca.pem", secret-file = "psk" => remote.ca: given along with `remote.secret-file`"#,
    );
}

#[test]
fn one_run_reports_everything() {
    let text = GOOD
        .replace("1280", "9000")
        .replace("10.0.0.53", "dns")
        .replace("gateway.pem", "absent.pem")
        .replace("ca.pem", "noise");
    let complaint = Lab::new().load(&text).unwrap_err().to_string();
    assert_eq!(complaint.lines().count(), 4, "{complaint}");
    for key in [
        "gateway.fragment-size",
        "pool.staff.dns",
        "connection.staff.local.certificate",
        "connection.staff.remote.ca",
    ] {
        assert!(complaint.contains(key), "{key}: {complaint}");
    }
}

/// `openssl rand -base64` ends what it makes with a `=`.
#[test]
fn a_broken_line_is_not_repeated() {
    for secret in [
        "secret = \"hunter2",
        "secret: \"hunter2=\"",
        "secret \"hunter2=\"",
        "secret =\nhunter2=",
        "secret = \"\"\"\nhunter2\\q=\n\"\"\"",
        "secret = [\"hunter2=\", 5]",
        "secret = [\n\"hunter2=\",\n[\"hunter2\"]]",
    ] {
        let text = GOOD.replace("ca = \"ca.pem\"", secret);
        let complaint = Lab::new().load(&text).unwrap_err().to_string();
        assert!(complaint.contains("gateway.toml:1"), "{complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
}

#[test]
fn what_is_only_unwise_is_said_and_allowed() {
    let lab = Lab::new();
    for (from, to, year, expected) in [
        ("gateway.pem", "gateway.pem", 2030, &[][..]),
        ("gateway.pem", "chain.pem", 2030, &[]),
        (
            "gateway.pem",
            "gateway.pem",
            2050,
            &["certificate expired at 2040-01-01"],
        ),
        (
            "gateway.pem",
            "gateway.pem",
            2010,
            &["certificate is not valid before 2020-01-01"],
        ),
        (
            "gateway.pem",
            "broken.pem",
            2030,
            &["certificate 1 of the chain is not of the one behind it"],
        ),
        (
            "gateway.pem\", key = \"gateway.key",
            "other.pem\", key = \"other.key",
            2030,
            &["lacks the extended key usage serverAuth"],
        ),
        (
            "ca = \"ca.pem\"",
            "secret-file = \"short\"",
            2030,
            &["remote.secret-file: pre-shared key of 7 octets"],
        ),
        ("ca = \"ca.pem\"", "secret-file = \"psk\"", 2030, &[]),
        (
            "= 1280",
            "= 1280\nfragmentation = false",
            2030,
            &["gateway.fragmentation: IKE fragmentation (RFC 7383) is off"],
        ),
        (
            "\"xdp\"",
            "\"udp\"",
            2030,
            &["gateway.interface: has no effect"],
        ),
        (
            "pool = \"staff\"\n",
            "remote-networks = [\"10.0.0.0/8\"]\n",
            2030,
            &["pool.staff: no connection uses this pool"],
        ),
    ] {
        let cautions = lab.cautions(from, to, year);
        assert_eq!(cautions.len(), expected.len(), "{to}: {cautions:?}");
        for (caution, part) in cautions.iter().zip(expected) {
            assert!(caution.contains(part), "{to}: {caution}");
        }
    }
}

#[test]
fn secrets_that_everybody_can_read_are_noticed() {
    let lab = Lab::new();
    lab.chmod("gateway.key", 0o644);
    let [caution] = &lab.cautions("1280", "1280", 2030)[..] else {
        panic!("one caution");
    };
    assert!(
        caution.contains("connection.staff.local.key: every user"),
        "{caution}"
    );
    assert!(caution.contains("chmod o-r"), "{caution}");
}
