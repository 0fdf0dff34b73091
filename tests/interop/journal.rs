//! The log in a real journal, whose fields can be looked for.

use std::{path::Path, process::Command};

use harness::{
    credentials::Credentials,
    gateway::Gateway,
    lab::{Lab, V4},
    namespace::{Namespace, command},
    patience::until,
    process::Process,
    strongswan::Strongswan,
};
use serde_json::Value;

use crate::{IKEXDP, case::Case};

/// Runs the daemon of `$PROGRAM` as systemd does: it is told that its standard error is the
/// journal's.
const LAUNCHER: &str = r#"
    export JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2)
    exec setpriv --pdeathsig KILL -- "$PROGRAM" "$@"
"#;

/// The lines that have all of these fields, once there are any.
fn find(namespace: &Namespace, fields: &[&str]) -> Vec<Value> {
    until(&format!("lines with {fields:?}"), || {
        let mut journalctl = command("journalctl");
        journalctl.args(["--directory=/run/log/journal", "--output=json"]);
        journalctl.args(fields);
        let output = namespace.output(journalctl);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        (!lines.is_empty()).then_some(lines)
    })
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_journal_knows_peers_and_reasons() {
    let case = Case::psk(V4);
    let lab = Lab::new();
    lab.gateway
        .exec("mkdir --parents /run/systemd/journal /run/log/journal");
    // It wants to know which service a line is of.
    lab.gateway.mount("cgroup2", "/sys/fs/cgroup");
    let journald = command("/lib/systemd/systemd-journald");
    let _journald = Process::start(&lab.gateway, "systemd-journald", journald);
    until("the journal's socket", || {
        let there = || Path::new("/run/systemd/journal/socket").exists();
        lab.gateway.run(there).then_some(())
    });
    let mut launcher = Command::new("bash");
    launcher
        .args(["-euc", LAUNCHER, "bash"])
        .env("PROGRAM", IKEXDP);
    let gateway = Gateway::launch_by(launcher, IKEXDP, &lab.gateway, &case.gateway);
    let ready = find(
        &lab.gateway,
        &["SYSLOG_IDENTIFIER=ikexdp", "IKEXDP_TRANSPORT=xdp"],
    );
    assert_eq!(ready[0]["PRIORITY"], "6");

    let client = Strongswan::start(&lab.client, case.client.clone());
    client.initiate().unwrap();
    let peer = format!("IKEXDP_PEER={}", V4.client);
    let lines = find(&lab.gateway, &[&peer]);
    let message = lines[0]["MESSAGE"].as_str().unwrap();
    assert!(
        message.starts_with("IKE SA established id=1 connection=\"lab\" "),
        "{message}"
    );
    assert_eq!(lines[0]["IKEXDP_ID"], "1");
    drop(client);

    let mut stranger = case.client;
    stranger.credentials = Credentials::client_psk("another secret altogether");
    let client = Strongswan::start(&lab.client, stranger);
    assert!(client.initiate().is_err());
    let lines = find(&lab.gateway, &[&peer, "IKEXDP_KIND=shared_key"]);
    assert_eq!(lines[0]["PRIORITY"], "4");
    assert!(
        gateway.log().entries().is_empty(),
        "it has nothing else to say"
    );
}
