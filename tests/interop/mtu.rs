//! `ikexdp mtu` as a user runs it: against the gateway and strongSwan, on paths that are narrow, silent, or lose things.

use harness::namespace::command;
use harness::{
    credentials::{Credentials, SECRET},
    gateway::{Gateway, Setup, Transport},
    lab::{Ends, Lab, Path, V4, V6},
    strongswan::{Esp, Settings, Strongswan},
};
use serde_json::Value;

use crate::IKEXDP;

/// What a run found, and how it ended.
struct Outcome {
    report: Value,
    status: i32,
}

impl Outcome {
    /// Limits there and back, whether IP fragments arrive, the verdicts, and the status.
    fn assert(
        &self,
        [there, back]: [Option<u64>; 2],
        fragments: bool,
        verdicts: &[&str],
        status: i32,
    ) {
        let report = &self.report;
        assert_eq!(report["there"]["limit"].as_u64(), there, "{report:#}");
        assert_eq!(report["back"]["limit"].as_u64(), back, "{report:#}");
        assert_eq!(report["ip_fragments"]["arrive"], fragments, "{report:#}");
        assert_eq!(report["needs_ike_fragmentation"], !fragments);
        let findings = report["findings"].as_array().expect("findings");
        let found: Vec<_> = findings.iter().map(|it| &it["verdict"]).collect();
        assert_eq!(found, verdicts, "{report:#}");
        assert_eq!(self.status, status);
        let safe = back.and_then(|back| Some(back.min(there?)));
        assert_eq!(report["fragment_size"].as_u64(), safe);
    }

    /// Who has said that something is too big, and what would not be.
    fn said(&self) -> Vec<(Option<&str>, u64)> {
        let said = self.report["there"]["too_big"].as_array().expect("a list");
        let each = said
            .iter()
            .map(|it| (it["from"].as_str(), it["mtu"].as_u64().unwrap()));
        each.collect()
    }
}

fn mtu(lab: &Lab, ends: Ends, arguments: &[&str]) -> Outcome {
    let mut mtu = command(IKEXDP);
    mtu.args(["mtu", &ends.gateway.to_string(), "--json"]);
    mtu.args(arguments);
    let output = lab.client.output(mtu);
    let [stdout, stderr] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    assert_eq!(stderr, "", "the report says all");
    Outcome {
        report: serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}")),
        status: output.status.code().expect("it ends by itself"),
    }
}

fn gateway(lab: &Lab, transport: Transport, more: &'static str) -> Gateway {
    let setup = Setup {
        transport,
        gateway: more,
        ..Setup::new(Credentials::gateway_psk(SECRET))
    };
    Gateway::start(IKEXDP, &lab.gateway, &setup)
}

/// A path that takes all, with each transport, family and port.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_of_a_path_that_takes_all() {
    for (transport, ends, port) in [
        (Transport::Native, V4, "500"),
        (Transport::Native, V4, "4500"),
        (Transport::Native, V6, "500"),
        (Transport::Udp, V4, "500"),
        (Transport::Udp, V6, "4500"),
    ] {
        let lab = Lab::new();
        let gateway = gateway(&lab, transport, "");
        let outcome = mtu(&lab, ends, &["--port", port]);
        outcome.assert([Some(1500); 2], true, &["works"], 0);
        assert_eq!(outcome.said(), []);
        assert_eq!(outcome.report["half_open"], 0);
        assert_eq!(gateway.sas(), []);
        let count = |name| gateway.count(|stats| &stats.engine, name);
        // The shortest, the longest there and back, and one in fragments; more if some are late.
        assert!(count("size_test_answered") >= 4);
        assert_eq!(count("init_accepted"), 0);
        gateway.stop();
    }
}

/// The path that this project is for.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_where_ip_fragments_are_dropped() {
    let lab = Lab::new();
    lab.set_path(&Path::FRAGMENTS_DROPPED);
    let gateway = gateway(&lab, Transport::Native, "");
    let outcome = mtu(&lab, V4, &[]);
    outcome.assert([Some(1500); 2], false, &["ip-fragments-lost"], 5);
    assert!(lab.drops().fragments > 0);
    gateway.stop();
}

/// A link of 1400 octets behind the first router, which says so.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_of_a_narrow_path_whose_router_says_so() {
    for (ends, router) in [(V4, "192.0.2.1"), (V6, "2001:db8:1::1")] {
        let lab = Lab::new();
        lab.router.exec("ip link set gateway mtu 1400");
        lab.gateway.exec("ip link set eth0 mtu 1400");
        let gateway = gateway(&lab, Transport::Udp, "");
        let outcome = mtu(&lab, ends, &[]);
        // By IPv4 the router cuts them again, by IPv6 the client's kernel has heard the router.
        outcome.assert([Some(1400); 2], true, &["works"], 0);
        assert_eq!(outcome.said(), [(Some(router), 1400)]);
        let steps = outcome.report["there"]["steps"].as_array().unwrap().len();
        assert!(steps <= 6, "who is told needs few tries: {steps}");
        gateway.stop();
    }
}

/// The same, and nobody says so.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_of_a_black_hole() {
    let lab = Lab::new();
    lab.set_path(&Path {
        size_max: Some(1400),
        ..Path::default()
    });
    let gateway = gateway(&lab, Transport::Native, "");
    let outcome = mtu(&lab, V4, &[]);
    // Fragments of a host whose link takes 1500 octets are longer than that.
    outcome.assert([Some(1400); 2], false, &["ip-fragments-lost"], 5);
    assert_eq!(outcome.said(), []);
    assert!(lab.drops().oversized > 0);
    gateway.stop();
}

/// Narrower on the way back, which only a gateway of ours can show; and less than what it sends by default.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_of_a_path_that_is_narrower_on_the_way_back() {
    let lab = Lab::new();
    lab.router.exec("nft add table ip narrow");
    lab.router
        .exec("nft add chain ip narrow in { type filter hook prerouting priority -450 ; }");
    lab.router
        .exec("nft add rule ip narrow in ip saddr 198.51.100.2 meta length > 1200 drop");
    let mine = gateway(&lab, Transport::Native, "");
    let outcome = mtu(&lab, V4, &[]);
    outcome.assert([Some(1500), Some(1200)], true, &["narrow"], 5);
    mine.stop();
    // Who is told to keep still about it does.
    let silent = gateway(&lab, Transport::Native, "size-test = false");
    let outcome = mtu(&lab, V4, &[]);
    outcome.assert([Some(1500), None], true, &["works"], 0);
    assert_eq!(outcome.report["size_tests"], false);
    assert_eq!(silent.sas(), []);
    silent.stop();
}

/// A path that loses one datagram in ten does not look narrow.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_of_a_path_that_loses() {
    let lab = Lab::new();
    lab.set_path(&Path {
        loss_percent: 10,
        size_max: Some(1450),
        ..Path::default()
    });
    let gateway = gateway(&lab, Transport::Native, "");
    let outcome = mtu(&lab, V4, &["--tries", "10"]);
    assert_eq!(
        outcome.report["there"]["limit"], 1450,
        "{:#}",
        outcome.report
    );
    assert_eq!(
        outcome.report["back"]["limit"], 1450,
        "{:#}",
        outcome.report
    );
    gateway.stop();
}

/// Through a NAT, with cookies for everybody.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_through_a_nat_with_cookies() {
    let lab = Lab::new();
    lab.set_path(&Path {
        nat: true,
        size_max: Some(1380),
        ..Path::default()
    });
    let setup = Setup {
        tables: "[defence]\ncookies = \"always\"",
        ..Setup::new(Credentials::gateway_psk(SECRET))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    let outcome = mtu(&lab, V4, &[]);
    outcome.assert([Some(1380); 2], false, &["ip-fragments-lost"], 5);
    gateway.stop();
}

/// Somebody else's gateway: the way there, and nothing is left at it.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_to_strongswan() {
    let lab = Lab::new();
    lab.set_path(&Path {
        size_max: Some(1400),
        ..Path::FRAGMENTS_DROPPED
    });
    let settings = Settings {
        esp: Esp::Userspace,
        ..Settings::responder(V4.gateway, Credentials::gateway_psk(SECRET))
    };
    let gateway = Strongswan::start(&lab.gateway, settings);
    let outcome = mtu(&lab, V4, &[]);
    outcome.assert([Some(1400), None], false, &["ip-fragments-lost"], 5);
    assert_eq!(outcome.report["half_open"], 0);
    assert_eq!(gateway.sas(), vec![]);
    gateway.stop();
}

/// Who answers no more after some requests makes no path narrow.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_to_a_gateway_that_falls_silent() {
    let lab = Lab::new();
    lab.set_path(&Path {
        size_max: Some(1400),
        ..Path::default()
    });
    lab.router.exec("nft add table ip limited");
    lab.router
        .exec("nft add chain ip limited in { type filter hook prerouting priority 0 ; }");
    lab.router.exec(
        "nft add rule ip limited in udp dport 500 limit rate over 1/day burst 6 packets drop",
    );
    let gateway = gateway(&lab, Transport::Native, "");
    let outcome = mtu(&lab, V4, &["--tries", "2"]);
    assert_eq!(outcome.report["findings"][0]["verdict"], "fell-silent");
    assert_eq!(outcome.report["fragment_size"], Value::Null);
    assert_eq!(outcome.status, 3);
    gateway.stop();
}

/// Its text tells all that its JSON does.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_shows_people_what_to_do() {
    let lab = Lab::new();
    lab.set_path(&Path::FRAGMENTS_DROPPED);
    lab.router.exec("ip link set gateway mtu 1200");
    lab.gateway.exec("ip link set eth0 mtu 1200");
    let gateway = gateway(&lab, Transport::Udp, "");
    let mut mtu = command(IKEXDP);
    mtu.args(["mtu", &V4.gateway.to_string()]);
    let output = lab.client.output(mtu);
    assert_eq!(output.status.code(), Some(5));
    let stdout = String::from_utf8(output.stdout).unwrap();
    for part in [
        "gateway            198.51.100.2, port 500\n",
        "there              1200 octets arrive, headers of IP and UDP included\n",
        "  tried            576 1200; lost: 1201 1500\n",
        "  too big          192.0.2.1 says by ICMP: 1200 octets at most\n",
        "back               1200 octets arrive",
        "IP fragments       do not arrive, of a datagram of 2000 octets\n",
        "IKE fragmentation  needed\n",
        "safe               fragment-size = 1200\n",
        "verdict: a datagram of 2000 octets in IP fragments does not arrive",
        "verdict: the path takes datagrams of 1200 octets at most",
        "hint: on a gateway of ours set `fragment-size = 1200`",
    ] {
        assert!(stdout.contains(part), "no `{part}`:\n{stdout}");
    }
    gateway.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn mtu_to_nobody() {
    let lab = Lab::new();
    let outcome = mtu(&lab, V4, &["--timeout", "200ms"]);
    assert_eq!(outcome.status, 3);
    assert_eq!(outcome.report["findings"][0]["verdict"], "unanswered");
}
