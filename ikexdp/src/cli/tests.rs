use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const CONFIGURATION: &str = r#"
        gateway = { transport = "udp", ip-fragments = true, control-socket = "/run/c.sock" }
        [[pool]]
        name = "staff"
        addresses = ["10.9.0.0/30"]
        [[connection]]
        name = "staff"
        local = { id = "vpn.example.com", secret = "correct horse battery staple" }
        remote = { secret = "correct horse battery staple", ids = ["kim@example.com", "192.0.2.7"] }
        pool = "staff"
    "#;

fn execute(arguments: &[&str]) -> Result<String, CliError> {
    let mut out = Vec::new();
    Cli::try_parse_from(arguments).unwrap().execute(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn check(configuration: &str) -> Result<String, CliError> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, configuration).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    execute(&["ikexdp", "check", "--config", path.to_str().unwrap()])
}

#[test]
fn the_command_line_is_sound() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn check_shows_what_would_be_served() {
    let expected = "\
gateway
  transport  udp
  datagrams  of 1280 octets, fragmented by IKE, or by IP for peers that cannot
  algorithms aes256-gcm16, aes128-gcm16, chacha20-poly1305 / prf-sha2-256, prf-sha2-384, prf-sha2-512 / x25519, modp3072, modp4096
  data plane xfrm
  control    /run/c.sock
  state      /var/lib/ikexdp

defence
  cookies    automatic, from 256 half-open SAs or 1000 requests a second on
  half-open  16384 SAs at most, 1024 of a source
  requests   100 a second of a source, 1000 at once; 10000 of all with cookies
  node       0
  prefixes   0 allowed, 0 blocked

connection staff
  local      vpn.example.com
  shows      a pre-shared key
  remote     kim@example.com, 192.0.2.7
  must show  the pre-shared key
  reaches    0.0.0.0/0, ::/0
  gets       an address of pool staff
  lifetimes  1day of an IKE SA, 8h of a CHILD SA; either side rekeys
  uniqueness keep

pool staff
  addresses  10.9.0.1-10.9.0.2 (2 addresses)
";
    assert_eq!(check(CONFIGURATION).unwrap(), expected);
}

#[test]
fn check_fails_where_run_would() {
    let broken = CONFIGURATION.replace("10.9.0.0/30", "10.9.0.1/30");
    let error = check(&broken).unwrap_err();
    assert!(matches!(error, CliError::Config(_)), "{error}");
    assert!(
        error.to_string().contains("hint: write \"10.9.0.0/30\""),
        "{error}"
    );
}

#[test]
fn what_needs_a_daemon_says_that_there_is_none() {
    for command in ["status", "stats", "sas", "lists", "events"] {
        let error = execute(&["ikexdp", command, "--json", "--socket", "/nowhere/c.sock"]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("nobody listens on /nowhere/c.sock"),
            "{error}"
        );
    }
}

#[test]
fn rekey_takes_an_sa_and_perhaps_a_child_of_it() {
    let parse = |arguments: &[&str]| {
        let arguments = ["ikexdp", "rekey"].iter().chain(arguments);
        Cli::try_parse_from(arguments).map(|cli| cli.command)
    };
    assert!(matches!(
        parse(&["7", "--child", "c0ffee00"]),
        Ok(Command::Rekey {
            id: 7,
            child: Some(0xc0ff_ee00),
            ..
        })
    ));
    assert!(parse(&["7"]).is_ok());
    assert!(parse(&[]).is_err() && parse(&["7", "--child", "x"]).is_err());
}

#[test]
fn decrypt_takes_one_client_or_stops() {
    let parses = |arguments: &[&str]| {
        let arguments = ["ikexdp", "decrypt"].iter().chain(arguments);
        Cli::try_parse_from(arguments).is_ok()
    };
    assert!(parses(&["192.0.2.7"]) && parses(&["2001:db8::7", "--for", "1h"]));
    assert!(parses(&["--stop"]));
    assert!(!parses(&[]) && !parses(&["192.0.2.7", "--stop"]) && !parses(&["kim"]));
    assert!(!parses(&["192.0.2.7", "192.0.2.8"]));
}

#[test]
fn block_takes_prefixes_and_perhaps_a_time() {
    let parses = |arguments: &[&str]| {
        let arguments = ["ikexdp"].iter().chain(arguments);
        Cli::try_parse_from(arguments).is_ok()
    };
    for command in ["block", "allow"] {
        assert!(parses(&[
            command,
            "192.0.2.0/24",
            "2001:db8::7",
            "--for",
            "1h"
        ]));
        assert!(!parses(&[command]) && !parses(&[command, "10.0.0.1/8"]));
    }
    assert!(parses(&["unlist", "192.0.2.0/24"]) && !parses(&["unlist"]));
    assert!(!parses(&["unlist", "192.0.2.0/24", "--for", "1h"]));
}

#[test]
fn terminate_takes_one_sa_or_all() {
    let parses = |arguments: &[&str]| {
        let arguments = ["ikexdp", "terminate"].iter().chain(arguments);
        Cli::try_parse_from(arguments).is_ok()
    };
    assert!(parses(&["7"]) && parses(&["--all"]));
    assert!(!parses(&[]) && !parses(&["7", "--all"]) && !parses(&["seven"]));
}
