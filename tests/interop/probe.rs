//! `ikexdp probe` as a user runs it, against the gateway, against strongSwan, and where paths go wrong.

use harness::{
    credentials::{Credentials, SECRET},
    gateway::{Gateway, Setup, Transport},
    lab::{Ends, Lab, Path, V4, V6},
    namespace::{Namespace, command},
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
    /// The verdicts, the worst first.
    fn verdicts(&self) -> Vec<&str> {
        let findings = self.report["findings"].as_array().expect("findings");
        let verdicts = findings.iter().map(|it| it["verdict"].as_str().unwrap());
        verdicts.collect()
    }

    fn assert(&self, status: i32, verdicts: &[&str]) {
        assert_eq!(self.verdicts(), verdicts, "{:#}", self.report);
        assert_eq!(self.status, status);
    }
}

fn run(client: &Namespace, ends: Ends, arguments: &[&str]) -> (String, String, i32) {
    let mut probe = command(IKEXDP);
    probe.args(["probe", &ends.gateway.to_string()]);
    probe.args(arguments);
    let output = client.output(probe);
    let [stdout, stderr] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    let status = output.status.code().expect("it ends by itself");
    (stdout, stderr, status)
}

fn probe(client: &Namespace, ends: Ends, arguments: &[&str]) -> Outcome {
    let arguments = [arguments, &["--json"]].concat();
    let (stdout, stderr, status) = run(client, ends, &arguments);
    let report =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    assert_eq!(stderr, "", "the report says all");
    Outcome { report, status }
}

fn setup() -> Setup {
    Setup {
        gateway: "algorithms = \"compatible\"",
        ..Setup::new(Credentials::gateway_psk(SECRET))
    }
}

/// strongSwan with these proposals.
fn strongswan(lab: &Lab, proposals: &str) -> Strongswan {
    let settings = Settings {
        esp: Esp::Userspace,
        ike_proposal: proposals.to_owned(),
        ..Settings::responder(V4.gateway, Credentials::gateway_psk(SECRET))
    };
    Strongswan::start(&lab.gateway, settings)
}

/// With XDP and without, with both families; the counters show that it is the gateway's answer.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_of_our_gateway() {
    for (transport, ends) in [
        (Transport::Native, V4),
        (Transport::Native, V6),
        (Transport::Udp, V4),
    ] {
        let lab = Lab::new();
        let setup = Setup {
            transport,
            ..setup()
        };
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
        let outcome = probe(&lab.client, ends, &["--as", "win11-ecp384"]);
        outcome.assert(0, &["works"]);
        let report = &outcome.report;
        assert_eq!(report["ike"]["request_octets"], 384);
        let suite = "aes256-cbc/sha2-384/prf-sha2-384/ecp384";
        assert_eq!(report["ike"]["suite"], suite);
        assert_eq!(report["ike"]["fragmentation"], true);
        assert_eq!(report["ike"]["nat"]["client"], false);
        assert_eq!(report["ike"]["tries"], 1);
        assert_eq!(report["comparison"]["repeat"], "identical");
        assert_eq!(report["comparison"]["gateway"], "same");
        assert_eq!(report["half_open"], 1);
        assert_eq!(gateway.sas().len(), 1);
        let count = |name| gateway.count(|stats| &stats.engine, name);
        assert_eq!(count("init_accepted"), 1);
        assert_eq!(count("init_repeated"), 1);
        // Sent twice, as silence says something, and again once the SPI of nobody was answered.
        assert_eq!(report["comparison"]["known_spi_again"], "silence");
        assert_eq!(count("unauthentic"), 4);
        gateway.stop();
    }
}

/// Each client gets the suite that it gets when it comes itself, or is refused as then.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_as_each_client() {
    let lab = Lab::new();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup());
    for (client, octets, suite) in [
        ("win10", Some(888), None),
        (
            "win10-dh2048",
            Some(632),
            Some("aes256-cbc/sha2-256/prf-sha2-256/modp2048"),
        ),
        ("ios", Some(604), None),
        ("android", None, None),
        ("strongswan", Some(940), None),
    ] {
        let outcome = probe(&lab.client, V4, &["--as", client]);
        let ike = &outcome.report["ike"];
        if client == "win10" {
            outcome.assert(4, &["no-common-policy"]);
            assert_eq!(ike["reason"], "NO_PROPOSAL_CHOSEN");
            let text = outcome.report["findings"][0].to_string();
            assert!(
                text.contains("13868") && text.contains("-DHGroup ECP384"),
                "{text}"
            );
        } else {
            outcome.assert(0, &["works"]);
        }
        // Asked for keys of groups that they have not guessed, these send them.
        let wanted = match client {
            "ios" => Some("ecp256"),
            "android" => Some("x25519"),
            _ => None,
        };
        assert_eq!(ike["other_group"].as_str(), wanted, "{client}");
        if let Some(octets) = octets {
            assert_eq!(ike["request_octets"], octets, "{client}");
        }
        if let Some(suite) = suite {
            assert_eq!(ike["suite"], suite);
        }
    }
    gateway.stop();
}

/// A gateway that asks everybody for cookies leaves nothing out.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_of_a_gateway_that_asks_for_cookies() {
    let lab = Lab::new();
    for transport in [Transport::Native, Transport::Udp] {
        let setup = Setup {
            transport,
            tables: "[defence]\ncookies = \"always\"",
            ..setup()
        };
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
        let outcome = probe(&lab.client, V4, &["--as", "strongswan"]);
        outcome.assert(0, &["works"]);
        assert_eq!(outcome.report["ike"]["cookie"], true);
        assert_eq!(outcome.report["comparison"]["repeat"], "identical");
        gateway.stop();
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_through_a_nat() {
    let lab = Lab::new();
    lab.set_path(&Path {
        nat: true,
        ..Path::FRAGMENTS_DROPPED
    });
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup());
    let outcome = probe(&lab.client, V4, &["--as", "ios"]);
    outcome.assert(0, &["works"]);
    assert_eq!(outcome.report["ike"]["nat"]["client"], true);
    assert_eq!(outcome.report["ike"]["nat"]["gateway"], false);
    gateway.stop();
}

/// Its text tells all that its JSON does.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_shows_people_what_to_do() {
    let lab = Lab::new();
    let without = Setup {
        gateway: "algorithms = \"compatible\"\nfragmentation = false\nip-fragments = true",
        ..setup()
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &without);
    let (stdout, stderr, status) = run(&lab.client, V4, &["--as", "win10-dh2048"]);
    assert_eq!((stderr.as_str(), status), ("", 5));
    for part in [
        "gateway       198.51.100.2\n",
        "client        Windows with NegotiateDH2048_AES256 = 2, win10-dh2048\n",
        "  chosen      aes256-cbc/sha2-256/prf-sha2-256/modp2048\n",
        "  cut by      IP: the gateway does not do RFC 7383\n",
        "  NAT         none\n",
        "  gateway     the same as on port 500: repeats its response",
        "IP fragments  arrive\n",
        "left          1 half-open SA",
        "verdict: the gateway does not do IKE fragmentation (RFC 7383): its IKE_AUTH request has 3200 to",
        "hint: turn it on at the gateway: ikexdp `fragmentation = true`",
    ] {
        assert!(stdout.contains(part), "no `{part}`:\n{stdout}");
    }
    gateway.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_of_strongswan() {
    let lab = Lab::new();
    let gateway = strongswan(&lab, "aes256-sha384-ecp384,aes256gcm16-prfsha384-x25519");
    let outcome = probe(&lab.client, V4, &["--as", "win11-ecp384"]);
    outcome.assert(0, &["works"]);
    assert_eq!(outcome.report["comparison"]["repeat"], "identical");
    assert_eq!(outcome.report["comparison"]["gateway"], "same");
    assert_eq!(outcome.report["half_open"], 1);
    let outcome = probe(&lab.client, V4, &["--as", "android"]);
    outcome.assert(0, &["works"]);
    assert_eq!(outcome.report["ike"]["other_group"], "x25519");
    let outcome = probe(&lab.client, V4, &["--as", "win10"]);
    outcome.assert(4, &["no-common-policy"]);
    gateway.stop();
    let settings = Settings {
        fragmentation: false,
        ..Settings::responder(V4.gateway, Credentials::gateway_psk(SECRET))
    };
    let gateway = Strongswan::start(&lab.gateway, settings);
    let outcome = probe(&lab.client, V4, &["--as", "strongswan"]);
    outcome.assert(5, &["no-fragmentation"]);
    // It is IP fragments that decide then.
    assert_eq!(outcome.report["ip_fragments"], true);
    lab.set_path(&Path::FRAGMENTS_DROPPED);
    let outcome = probe(&lab.client, V4, &["--as", "strongswan"]);
    outcome.assert(5, &["ip-fragments-lost"]);
    assert!(lab.drops().fragments > 0);
    gateway.stop();
}

/// What is taken is what is configured, at ours and at another, and asking leaves nothing there: strongSwan
/// takes five half-open SAs of one address.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_asks_for_one_proposal_after_the_other() {
    let lab = Lab::new();
    let arguments = ["--as", "win11-ecp384", "--policy", "--pace", "10ms"];
    let accepted = |outcome: &Outcome| -> Vec<String> {
        let entries = outcome.report["policy"].as_array().expect("proposals");
        for entry in entries {
            let taken = entry["taken"].as_str().unwrap();
            assert!(matches!(taken, "accepted" | "refused"), "{entry:#}");
        }
        let taken = entries.iter().filter(|it| it["taken"] == "accepted");
        taken
            .map(|it| it["suite"].as_str().unwrap().to_owned())
            .collect()
    };
    let proposals = "aes256-sha384-ecp384,aes256gcm16-prfsha256-x25519,3des-sha1-modp1024";
    let gateway = strongswan(&lab, proposals);
    let outcome = probe(&lab.client, V4, &arguments);
    outcome.assert(0, &["works"]);
    assert_eq!(
        accepted(&outcome),
        [
            "3DES/sha1-96/prf-sha1/modp1024",
            "aes256-cbc/sha2-384/prf-sha2-384/ecp384",
            "aes256-gcm16/prf-sha2-256/x25519"
        ]
    );
    assert_eq!(outcome.report["policy"][1]["weak"][0], "3DES");
    assert_eq!(outcome.report["half_open"], 1);
    gateway.stop();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup());
    let outcome = probe(&lab.client, V4, &arguments);
    outcome.assert(0, &["works"]);
    let accepted = accepted(&outcome);
    assert!(accepted.contains(&"aes256-cbc/sha2-384/prf-sha2-384/ecp384".to_owned()));
    assert!(
        accepted.iter().all(|suite| !suite.contains("1024")),
        "{accepted:?}"
    );
    assert_eq!(gateway.sas().len(), 1);
    gateway.stop();
}

/// A router that lets one of the ports through, or none; requests are repeated.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_where_ports_are_blocked() {
    let lab = Lab::new();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup());
    for (ports, verdict, status) in [
        ("4500", "nat-port-blocked", 3),
        ("500", "init-unanswered", 3),
        ("{ 500, 4500 }", "init-unanswered", 3),
    ] {
        lab.router.exec("nft flush ruleset");
        let rules = "add table inet block; add chain inet block in { type filter hook prerouting priority 0 ; }";
        lab.router.exec(&format!("nft {rules}"));
        lab.router.exec(&format!(
            "nft add rule inet block in udp dport {ports} drop"
        ));
        let timeout = ["--as", "strongswan", "--timeout", "2s"];
        let outcome = probe(&lab.client, V4, &timeout);
        outcome.assert(status, &[verdict]);
        let blocked = if ports == "4500" { "nat_t" } else { "ike" };
        assert_eq!(outcome.report[blocked]["outcome"], "unanswered");
    }
    gateway.stop();
}

/// Two gateways behind one address, told apart by the port as a load balancer without port following does.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_of_two_gateways_behind_one_address() {
    let lab = Lab::new();
    let other = Namespace::new("other");
    harness::lab::connect((&lab.router, "other"), (&other, "eth0"));
    harness::lab::address(&lab.router, "other", &["203.0.113.1/24"]);
    harness::lab::address(&other, "eth0", &["203.0.113.2/24"]);
    other.exec("ip route add default via 203.0.113.1");
    lab.router.exec("nft add table ip balance");
    lab.router
        .exec("nft add chain ip balance in { type nat hook prerouting priority dstnat ; }");
    lab.router.exec(
        "nft add rule ip balance in ip daddr 198.51.100.2 udp dport 4500 dnat to 203.0.113.2",
    );
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup());
    let second = Gateway::start(
        IKEXDP,
        &other,
        &Setup {
            transport: Transport::Udp,
            ..setup()
        },
    );
    let outcome = probe(&lab.client, V4, &["--as", "win11-ecp384"]);
    outcome.assert(5, &["different-gateways"]);
    assert_eq!(outcome.report["comparison"]["repeat"], "another-spi");
    assert_eq!(outcome.report["comparison"]["control"], "identical");
    assert_eq!(outcome.report["half_open"], 2);
    second.stop();
    gateway.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn probe_of_nobody() {
    let lab = Lab::new();
    // ICMP tells.
    let outcome = probe(&lab.client, V4, &["--timeout", "1s"]);
    outcome.assert(3, &["init-unanswered"]);
    assert_eq!(outcome.report["ike"]["port_unreachable"], true);
    let mut probe = command(IKEXDP);
    probe.args(["probe", "nobody.invalid"]);
    let output = lab.client.output(probe);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = "error: cannot find the gateway: nobody.invalid; hint: give its address";
    assert!(stderr.starts_with(expected), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}
