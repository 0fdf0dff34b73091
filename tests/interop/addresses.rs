//! What clients are given: addresses that stay theirs, and name servers.

use std::{net::IpAddr, thread, time::Duration};

use harness::{
    gateway::Gateway,
    lab::V4,
    namespace::{Namespace, command},
    strongswan::{NAME_SERVERS, Strongswan},
};

use crate::IKEXDP;
use crate::case::Case;

/// Where the daemon keeps which address is whose.
const LEASES: &str = "/run/ikexdp/state/leases";

/// Waits until the daemon has written that `address` is somebody's.
fn wait_for_lease(gateway: &Namespace, address: IpAddr) {
    let is_written = (0..300).any(|_| {
        let mut grep = command("grep");
        grep.args(["--no-messages", &format!("\"{address}\""), LEASES]);
        thread::sleep(Duration::from_millis(100));
        gateway.output(grep).status.success()
    });
    assert!(is_written, "{address} is never written");
}

/// A client that wanted one address meets it again when it takes any: nobody else does.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_address_outlives_a_killed_daemon() {
    let mut case = Case::psk(V4);
    let own: IpAddr = [10, 9, 0, 77].into();
    case.client.virtual_ips = vec![own];
    let (lab, gateway, client) = case.start();
    client.initiate().unwrap();
    assert_eq!(gateway.sas()[0].addresses, [own]);
    wait_for_lease(&lab.gateway, own);
    gateway.kill();
    // The client finds out and starts again.
    drop(client);

    case.client.virtual_ips = vec![[0; 4].into()];
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &case.gateway);
    let client = Strongswan::start(&lab.client, case.client.clone());
    client.initiate().unwrap();
    assert_eq!(gateway.sas()[0].addresses, [own]);
    assert_eq!(client.sas()[0].virtual_ips, [own]);
    let pools = gateway.status().pools;
    assert_eq!((pools[0].in_use, pools[0].size), (1, 254));

    // What the disk has made of the file is no reason not to serve.
    gateway.stop();
    drop(client);
    lab.gateway.write(LEASES, "no lease at all");
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &case.gateway);
    let line = gateway.line("leases cannot be used");
    assert!(line.contains("leases:1: not a file of leases"), "{line}");
    let client = Strongswan::start(&lab.client, case.client.clone());
    client.initiate().unwrap();
    assert_ne!(gateway.sas()[0].addresses, [own]);
    let aside = lab.gateway.exec(&format!("cat {LEASES}.damaged"));
    assert_eq!(aside, "no lease at all");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn name_servers_arrive() {
    let (lab, _gateway, client) = Case::psk(V4).start();
    client.initiate().unwrap();
    let servers = lab.client.exec(&format!("cat {NAME_SERVERS}"));
    assert!(servers.contains("nameserver 10.9.0.1"), "{servers}");
    client.terminate().unwrap();
    let servers = lab.client.exec(&format!("cat {NAME_SERVERS}"));
    assert!(!servers.contains("10.9.0.1"), "{servers}");
}
