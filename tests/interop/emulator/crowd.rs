//! Many clients behind one address.

use std::{collections::BTreeSet, process};

use harness::{
    emulator::{Emulator, Ports, macos},
    lab::{NAT, Path, V4},
    pki::Key,
};

use super::{COMPATIBLE, Fleet};

const CLIENTS: usize = 1000;

/// The staff of an office, or of half a country (CGNAT), at nine in the morning: all of them ask before
/// anybody is answered. Nobody is refused for being one of many.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_thousand_clients_behind_one_address() {
    let path = Path {
        nat: true,
        ..Path::FRAGMENTS_DROPPED
    };
    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &path);
    // Each of them has two sockets.
    let pid = process::id();
    let limit = format!("prlimit --nofile=8192 --pid {pid}");
    fleet.lab.client.exec(&limit);
    let client = |number| {
        let user = fleet.guest(&format!("laptop-{number}@crowd.test"));
        Emulator::new(&fleet.lab.client, V4, Ports::Any, macos(), user)
    };
    let mut clients: Vec<Emulator> = (0..CLIENTS).map(client).collect();
    clients.iter_mut().for_each(Emulator::knock);
    for client in &mut clients {
        client.connect().unwrap();
    }
    let sas = fleet.gateway.sas();
    assert_eq!(sas.len(), CLIENTS);
    assert!(sas.iter().all(|sa| NAT.contains(&sa.remote.ip())));
    let ports: BTreeSet<u16> = sas.iter().map(|sa| sa.remote.port()).collect();
    assert_eq!(ports.len(), CLIENTS);
    let addresses: BTreeSet<_> = sas.iter().flat_map(|sa| &sa.addresses).collect();
    assert_eq!(addresses.len(), CLIENTS);
    // Most had to show that they receive.
    let cookies = fleet.gateway.count(|stats| &stats.engine, "cookie_sent");
    assert!(cookies > 0);
    for client in &mut clients {
        client.liveness();
    }
    fleet.stop();
}
