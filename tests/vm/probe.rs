//! `ikexdp probe` and `ikexdp mtu`, of Libreswan and of OpenIKED.

use harness::{
    credentials::{Credentials, SECRET},
    lab::{Lab, Path, V4},
    libreswan::Libreswan,
    namespace::{Namespace, command},
    openiked::Openiked,
};
use serde_json::{Value, json};

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

/// Asks a gateway that has one suite. Who would get through does, who would not is refused, and both ports
/// are one gateway's. What it says of its maker.
fn is_probed(lab: &Lab) -> Value {
    let (mut report, status) = ask(&lab.client, &["probe", "--as", "strongswan"]);
    let makers = report["ike"]["vendors"].take();
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
    makers
}

/// A lab whose path has a limit and no IP fragments.
fn narrow_lab() -> Lab {
    let lab = lab();
    lab.set_path(&Path {
        size_max: Some(1400),
        ..Path::FRAGMENTS_DROPPED
    });
    lab
}

/// Measures such a path.
fn is_measured(lab: &Lab) {
    let (report, status) = ask(&lab.client, &["mtu"]);
    assert_eq!(report["there"]["limit"], 1400, "{report:#}");
    assert_eq!(report["ip_fragments"]["arrive"], false);
    assert_eq!(status, 5);
}

fn libreswan(lab: &Lab) -> Libreswan {
    let credentials = Credentials::gateway_psk(SECRET);
    Libreswan::serve(&lab.gateway, V4.gateway, &credentials, "secret")
}

fn openiked(lab: &Lab) -> Openiked {
    let credentials = Credentials::gateway_psk(SECRET);
    Openiked::serve(&lab.gateway, V4.gateway, &credentials, None)
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn libreswan_is_probed() {
    let lab = lab();
    let gateway = libreswan(&lab);
    // It does not say so unless it is told to.
    assert_eq!(is_probed(&lab), json!([]));
    gateway.stop();
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn openiked_is_probed() {
    let lab = lab();
    let gateway = openiked(&lab);
    assert_eq!(is_probed(&lab), json!(["OpenIKED"]));
    gateway.stop();
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn the_path_to_libreswan_is_measured() {
    let lab = narrow_lab();
    let gateway = libreswan(&lab);
    is_measured(&lab);
    gateway.stop();
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn the_path_to_openiked_is_measured() {
    let lab = narrow_lab();
    let gateway = openiked(&lab);
    is_measured(&lab);
    gateway.stop();
}
