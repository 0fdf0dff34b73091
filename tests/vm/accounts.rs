//! Who keeps accounts is told what the kernel has carried.

use std::net::{IpAddr, Ipv4Addr};

use harness::{
    credentials::{Credentials, Eap},
    freeradius::{FreeRadius, Record, SECRET, Settings as Server, User},
    gateway::{Gateway, Setup},
    lab::{Lab, V4},
    pki::{Key, Pki},
    strongswan::{Esp, Settings, Strongswan},
    traffic::{ping, transfer},
    xfrm,
};

use crate::{
    IKEXDP,
    lives::{REKEYED, look_until, settled, wait_for_lines},
    tunnel::{self, Tunnel, lab},
};

/// An address behind the gateway.
const INSIDE: IpAddr = tunnel::INSIDE[0];
/// ESP in UDP, as most clients are behind a NAT.
const TUNNEL: Tunnel = Tunnel::ALL[1];
/// Octets of a ping, and of its answer.
const PING: u64 = 84;
/// The server is on the gateway.
const SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const TABLES: &str = "
[log]
level = \"debug\"
[[radius]]
name = \"lab\"
servers = [\"127.0.0.1\"]
secret-file = \"radius.secret\"
accounting = true
";

/// Octets and packets from the client, and to it.
type Counts = [[u64; 2]; 2];

fn plus(one: Counts, other: Counts) -> Counts {
    [0, 1].map(|way| [0, 1].map(|count| one[way][count] + other[way][count]))
}

/// What `ip -s xfrm state` shows on the gateway.
fn shown(lab: &Lab) -> Counts {
    let mut counts = Counts::default();
    for state in xfrm::states(&lab.gateway) {
        let way = usize::from(state.destination != V4.gateway);
        counts[way][0] += state.octets;
        counts[way][1] += state.packets;
    }
    counts
}

/// What is shown when nothing is on its way any more: a ping, and nothing else, makes a difference.
fn shown_at_rest(lab: &Lab) -> Counts {
    let look = || {
        let before = shown(lab);
        assert_eq!(ping(&lab.client, INSIDE, 1), 0);
        let after = shown(lab);
        (after == plus(before, [[PING, 1]; 2])).then_some(after)
    };
    look_until(look).expect("the tunnel is at rest")
}

/// What the server has been told.
fn told(record: &Record) -> Counts {
    let number = |name: String| -> u64 {
        let value = record.get(&name).unwrap_or_else(|| panic!("no {name}"));
        value.parse().expect("a number")
    };
    ["Input", "Output"].map(|way| {
        let octets = number(format!("Acct-{way}-Octets"));
        let wraps = number(format!("Acct-{way}-Gigawords"));
        [wraps << 32 | octets, number(format!("Acct-{way}-Packets"))]
    })
}

fn start(lab: &Lab) -> (Gateway, Strongswan) {
    let pki = Pki::new(Key::EcdsaP256);
    let files = vec![("radius.secret", SECRET.to_owned())];
    let setup = Setup {
        data_plane: "xfrm",
        tables: TABLES,
        ..Setup::new(Credentials::eap_gateway(
            &pki,
            "eap-radius = \"lab\"",
            files,
        ))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    gateway.wait_for_line("the kernel has loaded what ESP takes");
    let password = Eap::Mschapv2("secret of kim".to_owned());
    let settings = Settings {
        esp: Esp::Kernel,
        virtual_ips: vec![[0; 4].into()],
        ..Settings::initiator(
            V4.client,
            V4.gateway,
            Credentials::eap(&pki, "kim", password),
        )
    };
    (gateway, Strongswan::start(&lab.client, settings))
}

/// All that a session has carried, by whichever SAs, and however it ends.
#[test]
#[ignore = "needs ESP in the kernel"]
fn the_server_is_told_what_the_tunnel_carried() {
    const LENGTH: u64 = 1_000_000;
    let lab = lab();
    TUNNEL.set_path(&lab);
    let server = Server {
        users: vec![User::new("kim", "secret of kim")],
        ..Server::default()
    };
    let server = FreeRadius::start_in(&lab.gateway, SERVER.into(), &server);
    let (gateway, client) = start(&lab);

    client.initiate().expect("the client connects");
    settled(&lab, &gateway);
    transfer(&lab.client, (&lab.gateway, INSIDE), LENGTH);
    let first = shown_at_rest(&lab);
    client.rekey_child().expect("the client has a CHILD SA");
    wait_for_lines(&gateway, REKEYED, 1);
    client.rekey_ike().expect("the client has an IKE SA");
    wait_for_lines(&gateway, "IKE SA rekeyed", 1);
    settled(&lab, &gateway);
    assert_eq!(shown(&lab), Counts::default());
    let own = client.sas()[0].virtual_ips[0];
    transfer(&lab.gateway, (&lab.client, own), LENGTH);
    let second = shown_at_rest(&lab);
    client.terminate().expect("the client has an IKE SA");

    client.initiate().expect("the client connects again");
    settled(&lab, &gateway);
    let third = shown_at_rest(&lab);
    // This one is up when the daemon ends.
    gateway.stop();

    let records = server.records();
    let statuses: Vec<_> = records
        .iter()
        .map(|it| it.get("Acct-Status-Type"))
        .collect();
    let expected = [
        "Accounting-On",
        "Start",
        "Stop",
        "Start",
        "Stop",
        "Accounting-Off",
    ];
    assert_eq!(statuses, expected.map(Some));
    let carried = plus(first, second);
    assert!(carried.iter().all(|way| way[0] > LENGTH), "{carried:?}");
    assert_eq!(told(&records[2]), carried);
    assert_eq!(told(&records[4]), third);
}
