//! `ikexdp probe` and `ikexdp mtu`, of Libreswan.

use harness::{
    credentials::{Credentials, SECRET},
    lab::{Path, V4},
    libreswan::Libreswan,
    namespace::{Namespace, command},
};
use serde_json::Value;

use crate::{IKEXDP, tunnel::lab};

fn ask(client: &Namespace, arguments: &[&str]) -> (Value, i32) {
    let gateway = V4.gateway.to_string();
    let (what, more) = arguments.split_first().expect("a command");
    let mut ikexdp = command(IKEXDP);
    ikexdp.args([what, gateway.as_str(), "--json"]).args(more);
    let output = client.output(ikexdp);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (report, output.status.code().expect("it ends by itself"))
}

/// Who would get through does, who would not is refused, and both ports are one gateway's.
#[test]
#[ignore = "needs ESP in the kernel"]
fn libreswan_is_probed() {
    let lab = lab();
    let credentials = Credentials::gateway_psk(SECRET);
    let gateway = Libreswan::serve(&lab.gateway, V4.gateway, &credentials, "secret");
    let (report, status) = ask(&lab.client, &["probe", "--as", "strongswan"]);
    assert_eq!(report["findings"][0]["verdict"], "works", "{report:#}");
    assert_eq!(status, 0);
    assert_eq!(report["comparison"]["gateway"], "same", "{report:#}");
    assert_eq!(report["ike"]["suite"], "aes256-gcm16/prf-sha2-256/x25519");
    let (report, status) = ask(&lab.client, &["probe", "--as", "win10"]);
    assert_eq!(
        report["findings"][0]["verdict"], "no-common-policy",
        "{report:#}"
    );
    assert_eq!(status, 4);
    let policy = ["probe", "--as", "strongswan", "--policy", "--pace", "10ms"];
    let (report, _) = ask(&lab.client, &policy);
    let entries = report["policy"].as_array().expect("proposals");
    let accepted = entries.iter().filter(|it| it["taken"] == "accepted");
    let accepted: Vec<_> = accepted.map(|it| &it["suite"]).collect();
    assert_eq!(accepted, ["aes256-gcm16/prf-sha2-256/x25519"], "{report:#}");
    gateway.stop();
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn the_path_to_libreswan_is_measured() {
    let lab = lab();
    lab.set_path(&Path {
        size_max: Some(1400),
        ..Path::FRAGMENTS_DROPPED
    });
    let credentials = Credentials::gateway_psk(SECRET);
    let gateway = Libreswan::serve(&lab.gateway, V4.gateway, &credentials, "secret");
    let (report, status) = ask(&lab.client, &["mtu"]);
    assert_eq!(report["there"]["limit"], 1400, "{report:#}");
    assert_eq!(report["ip_fragments"]["arrive"], false);
    assert_eq!(status, 5);
    gateway.stop();
}
