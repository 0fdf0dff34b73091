//! What a table says, and what is wrong with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls_pki_types::UnixTime;
use tempfile::TempDir;

use super::super::{ConfigError, Loaded, parse};

const GOOD: &str = r#"gateway = { transport = "udp" }
[[connection]]
name = "site"
local = { id = "a.example", secret-file = "psk" }
remote = { secret-file = "psk" }
remote-networks = ["10.2.0.0/16"]

[[radius]]
name = "office"
servers = ["192.0.2.10", "[2001:db8::1]:1645"]
secret-file = "psk"
"#;

fn load(text: &str) -> Result<Loaded, ConfigError> {
    let directory = TempDir::new().unwrap();
    let secret = directory.path().join("psk");
    fs::write(&secret, "correct horse battery staple\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
    parse(Path::new(&path), text, now)
}

#[test]
fn a_table_says_which_servers_know_users() {
    let loaded = load(GOOD).unwrap();
    let [table] = loaded.settings.radius.as_slice() else {
        panic!("one table");
    };
    let table = table.settings();
    let servers: Vec<_> = table.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.10:1812", "[2001:db8::1]:1645"]);
    assert_eq!(table.secret.expose(), b"correct horse battery staple");
    assert!(table.accounting.is_none() && table.disconnect.is_none());
    let cautions: Vec<_> = loaded.cautions.iter().map(ToString::to_string).collect();
    let unused = "radius.office: no connection uses these servers";
    assert!(
        matches!(&cautions[..], [only] if only.starts_with(unused)),
        "{cautions:?}"
    );
    let shown = loaded.to_string();
    let expected = "
radius office
  servers    192.0.2.10:1812, [2001:db8::1]:1645
  asks       each 3 times, first for 2s; passes over silent ones for 1m
  as         ikexdp
";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn everything_that_can_be_said_of_servers_is_taken_and_shown() {
    let said = "servers = [\"192.0.2.10\"]
timeout = \"1s\"
tries = 2
dead-time = \"30s\"
nas-identifier = \"gw1\"
source-address = \"192.0.2.1\"
accounting = true
interim-interval = \"10m\"
disconnect = { listen = \"192.0.2.1\", require-message-authenticator = true }
";
    let text = GOOD.replace("servers = [\"192.0.2.10\", \"[2001:db8::1]:1645\"]\n", said);
    let loaded = load(&text).unwrap();
    let table = loaded.settings.radius[0].settings();
    let disconnect = table.disconnect.as_ref().unwrap();
    assert!(disconnect.require_message_authenticator);
    let cautions: Vec<_> = loaded.cautions.iter().map(ToString::to_string).collect();
    let unused = "radius.office: no connection uses these servers";
    assert!(
        matches!(&cautions[..], [only] if only.starts_with(unused)),
        "{cautions:?}"
    );
    let shown = loaded.to_string();
    let expected = "
  servers    192.0.2.10:1812
  asks       each 2 times, first for 1s; passes over silent ones for 30s
  as         gw1 from 192.0.2.1
  accounts   192.0.2.10:1813 every 600s
  disconnect at 192.0.2.1:3799 for 192.0.2.10
";
    assert!(shown.ends_with(expected), "{shown}");
}

/// Each row: what stands in place of the name's line `=>` what must be said.
#[test]
fn what_is_wrong_with_servers_is_named() {
    let rows = r#"tries = 0 => radius.office.tries: not between 1 and 10: 0
tries = 11 => radius.office.tries: not between 1 and 10: 11
timeout = "17s" => radius.office.timeout: longer than 16s: 17s; hint: take 16s or less
timeout = "0s" => radius.office.timeout: not a length of time: 0s
dead-time = "2h" => radius.office.dead-time: longer than 3600s: 2h
nas-identifier = "" => radius.office.nas-identifier: longer than 253 octets, or empty
source-address = "here" => radius.office.source-address: not an address: here
source-address = "192.0.2.1" => radius.office.source-address: not of the same family as [2001:db8::1]:1645: 192.0.2.1
accounting = true\naccounting-servers = ["here"] => radius.office.accounting-servers: not an address, or not with a port: here
accounting = true\naccounting-servers = [] => radius.office.accounting-servers: is empty
interim-interval = "59s" => radius.office.interim-interval: shorter than 60s: 59s; hint: take 60s or more
accounting = true\ninterim-interval = "25h" => radius.office.interim-interval: longer than 86400s: 25h; hint: take 86400s or less
disconnect = { listen = "port 3799" } => radius.office.disconnect.listen: not an address, or not with a port: port 3799
disconnect = { listen = "::", clients = [] } => radius.office.disconnect.clients: is empty
disconnect = { listen = "::", clients = ["x"] } => radius.office.disconnect.clients: not an address: x
secret = "x" => radius.office.secret: given along with `secret-file`"#;
    for row in rows.lines() {
        let (said, expected) = row.split_once(" => ").unwrap();
        let said = said.replace("\\n", "\n");
        let text = GOOD.replace(
            "name = \"office\"\n",
            &format!("name = \"office\"\n{said}\n"),
        );
        let complaint = load(&text).unwrap_err().to_string();
        assert!(complaint.contains(expected), "{row}\n{complaint}");
        assert!(complaint.contains("hint: "), "{row}\n{complaint}");
    }
    for (from, to, expected) in [
        (
            "secret-file = \"psk\"\n",
            "",
            "radius.office.secret: is missing",
        ),
        (
            "servers = [\"192.0.2.10\", \"[2001:db8::1]:1645\"]",
            "servers = []",
            "is empty",
        ),
        (
            "[2001:db8::1]:1645",
            "radius.example",
            "radius.office.servers: not an address, or",
        ),
    ] {
        // Only behind the connection, which has a secret of its own.
        let (connection, table) = GOOD.split_at(GOOD.find("[[radius]]").unwrap());
        let text = format!("{connection}{}", table.replace(from, to));
        let complaint = load(&text).unwrap_err().to_string();
        assert!(complaint.contains(expected), "{complaint}");
    }
    let servers: Vec<_> = (1..=9).map(|last| format!("\"192.0.2.{last}\"")).collect();
    let many = format!("servers = [{}]", servers.join(", "));
    let text = GOOD.replace("servers = [\"192.0.2.10\", \"[2001:db8::1]:1645\"]", &many);
    let complaint = load(&text).unwrap_err().to_string();
    assert!(complaint.contains("more than 8 values"), "{complaint}");
}

#[test]
fn two_tables_have_neither_a_name_nor_a_port_in_common() {
    let listens = "secret-file = \"psk\"\ndisconnect = { listen = \"[::1]:3799\" }\n";
    let table = "[[radius]]\nname = \"office\"\nservers = [\"::1\"]\n".to_owned() + listens;
    let text = GOOD.to_owned() + &table + &table;
    let complaint = load(&text).unwrap_err().to_string();
    for expected in [
        "radius.office.name: name is taken: office",
        "radius.office.disconnect.listen: address is taken by the table office: [::1]:3799",
    ] {
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn what_deserves_a_second_look_is_said() {
    let (connection, table) = GOOD.split_at(GOOD.find("[[radius]]").unwrap());
    let said = "secret = \"testing123\"\naccounting-servers = [\"::1\"]\n\
                interim-interval = \"10m\"\n";
    let table = table.replace("secret-file = \"psk\"\n", said);
    let loaded = load(&format!("{connection}{table}")).unwrap();
    let cautions: Vec<_> = loaded.cautions.iter().map(ToString::to_string).collect();
    let [short, servers, interim, unused] = cautions.as_slice() else {
        panic!("{cautions:?}");
    };
    assert!(
        short.starts_with("radius.office.secret: RADIUS secret of 10 octets"),
        "{short}"
    );
    assert!(!short.contains("testing123"));
    for (key, caution) in [
        ("accounting-servers", servers),
        ("interim-interval", interim),
    ] {
        let expected = format!("radius.office.{key}: has no effect without accounting = true");
        assert!(caution.starts_with(&expected), "{caution}");
    }
    assert!(
        unused.contains("no connection uses these servers"),
        "{unused}"
    );
}
