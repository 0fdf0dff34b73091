//! From nothing to a client that is connected, and back: what `ikexdp init` and `ikexdp client` write
//! is used as it is.

use std::{net::IpAddr, time::Duration};

use harness::{
    credentials::Credentials,
    gateway::Gateway,
    lab::{Lab, Path, V4},
    strongswan::{Settings, Strongswan},
};
use tempfile::TempDir;

use crate::IKEXDP;

/// Where the gateway is set up: each namespace has a `/run` of its own.
const DIRECTORY: &str = "/run/ikexdp";
const CONFIGURATION: &str = "/run/ikexdp/ikexdp.toml";
const PATIENCE: Duration = Duration::from_secs(20);

/// `ikexdp init`, on the gateway of the lab, and the daemon.
fn set_up(lab: &Lab) -> Gateway {
    // What the host that runs the tests is called is nobody's business here.
    let made = lab.gateway.exec(&format!(
        "{IKEXDP} init --name {} --directory {DIRECTORY}",
        V4.gateway
    ));
    assert!(made.contains("  interface     eth0\n"), "{made}");
    // Kernels that run tests have no ESP, and the state of the host is not the lab's.
    let found = lab.gateway.exec(&format!("cat {CONFIGURATION}"));
    let own = "[gateway]\ndata-plane = \"none\"\nstate-dir = \"state\"";
    lab.gateway
        .write(CONFIGURATION, found.replace("[gateway]", own));
    Gateway::serve(IKEXDP, &lab.gateway, CONFIGURATION)
}

/// Adds a client, and starts it with what was written for it.
fn join(lab: &Lab, name: &str, further: &str) -> Strongswan {
    let outside = TempDir::new().unwrap();
    let out = outside.path().join("client");
    lab.gateway.exec(&format!(
        "{IKEXDP} client add {name} --for linux {further} --directory {DIRECTORY} --out {}",
        out.display()
    ));
    let none = Credentials::client_psk("of which nothing is used");
    let settings = Settings::initiator(V4.client, V4.gateway, none);
    Strongswan::import(&lab.client, settings, &out.join("swanctl"), name)
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_client_comes_with_what_was_written_for_it_and_goes_when_it_is_revoked() {
    let lab = Lab::new();
    lab.set_path(&Path::FRAGMENTS_DROPPED);
    let gateway = set_up(&lab);
    let client = join(&lab, "laptop", "");
    client.initiate().unwrap();

    let sas = gateway.sas();
    assert_eq!(sas.len(), 1, "{sas:?}");
    // Where the gateway has no host name, the client is called by its own alone.
    assert_eq!(sas[0].identity.as_deref(), Some("laptop"));
    assert!(sas[0].fragmentation.negotiated);
    let families: Vec<_> = sas[0].addresses.iter().map(IpAddr::is_ipv4).collect();
    assert_eq!(families, [true, false], "{:?}", sas[0].addresses);
    assert_eq!(client.sas()[0].virtual_ips, sas[0].addresses);

    let said = lab.gateway.exec(&format!(
        "{IKEXDP} client revoke laptop --directory {DIRECTORY}"
    ));
    assert!(said.ends_with("closed: 1 IKE SAs\n"), "{said}");
    gateway.wait_for_line("configuration taken");
    assert_eq!(gateway.sas(), []);
    let deleted = |lines: &[String]| {
        let mut lines = lines.iter();
        lines
            .any(|line| line.contains("received DELETE for IKE_SA"))
            .then_some(())
    };
    client
        .log()
        .wait_for(PATIENCE, deleted)
        .expect("the client is told");
    let listed = lab
        .gateway
        .exec(&format!("{IKEXDP} client list --directory {DIRECTORY}"));
    assert!(listed.contains("revoked"), "{listed}");
    let refused = client.initiate().unwrap_err();
    assert!(refused.contains("AUTH_FAILED"), "{refused}");
    assert_eq!(gateway.sas(), []);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_user_comes_with_what_was_written_for_it_and_goes_when_it_is_revoked() {
    let lab = Lab::new();
    lab.set_path(&Path::FRAGMENTS_DROPPED);
    let gateway = set_up(&lab);
    let client = join(&lab, "kim", "--eap");
    client.initiate().unwrap();
    let sas = gateway.sas();
    assert_eq!(sas.len(), 1, "{sas:?}");
    assert_eq!(sas[0].identity.as_deref(), Some("kim"));
    assert_eq!(sas[0].connection.as_deref(), Some("users"));
    let said = lab.gateway.exec(&format!(
        "{IKEXDP} client revoke kim --directory {DIRECTORY}"
    ));
    assert!(said.ends_with("closed: 1 IKE SAs\n"), "{said}");
    let refused = client.initiate().unwrap_err();
    assert!(refused.contains("EAP"), "{refused}");
    assert_eq!(gateway.sas(), []);
}
