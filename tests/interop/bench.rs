//! `ikexdp bench` as a user runs it, against the gateway by each transport and against strongSwan.

use std::process::Stdio;

use harness::{
    credentials::{Credentials, SECRET},
    gateway::{Gateway, Setup, Transport},
    generator,
    lab::{Ends, Lab, V4, V6},
    namespace::{Namespace, command},
    patience,
    pki::{CLIENT, GATEWAY, Key, Pki},
    process::Process,
    strongswan::{Esp, Settings, Strongswan},
};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::IKEXDP;

mod eap;

/// Clients, as many as the pool of the lab has addresses for and the patience of a test.
const CLIENTS: u64 = 40;

/// What a run wrote, and how it ended.
struct Outcome {
    report: Value,
    stderr: String,
    is_success: bool,
}

impl Outcome {
    /// The phase of this name of the first round.
    fn phase(&self, name: &str) -> &Value {
        let phases = self.report["phases"].as_array().expect("phases");
        let mut named = phases.iter().filter(|phase| phase["phase"] == name);
        named
            .next()
            .unwrap_or_else(|| panic!("no {name} in {phases:#?}"))
    }

    /// All of them did it, each in its time.
    fn all_did(&self, phase: &str, times: u64) {
        let phase = self.phase(phase);
        let numbers = ["begun", "succeeded", "failed"].map(|name| phase[name].as_u64().unwrap());
        assert_eq!(numbers, [times, times, 0], "{phase:#}\n{}", self.stderr);
        assert!(phase["per_second"].as_f64().unwrap() > 0.0, "{phase:#}");
        let latency = &phase["latency_ms"];
        let [min, half, most] = ["min", "p50", "max"].map(|it| latency[it].as_f64().unwrap());
        assert!(0.0 < min && min <= half && half <= most, "{latency:#}");
    }
}

/// The secret of both ends, for whoever comes.
fn gateway_psk() -> Credentials {
    Credentials::Psk {
        secret: SECRET.to_owned(),
        local_id: GATEWAY.to_owned(),
        remote_id: "*".to_owned(),
    }
}

fn bench(client: &Namespace, ends: Ends, arguments: &[&str]) -> Outcome {
    let mut bench = command(IKEXDP);
    let gateway = ends.gateway.to_string();
    bench.args(["bench", &gateway, "--json"]);
    bench.args(["--clients", &CLIENTS.to_string()]);
    bench.args(arguments);
    let output = client.output(bench);
    let stderr = String::from_utf8(output.stderr).unwrap();
    Outcome {
        report: serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {stderr}")),
        stderr,
        is_success: output.status.success(),
    }
}

/// Every phase, by XDP and without, with both families; nothing is left at the gateway.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clients_with_a_secret_connect_are_held_replaced_and_deleted() {
    for (transport, ends) in [
        (Transport::Native, V4),
        (Transport::Native, V6),
        (Transport::Udp, V4),
    ] {
        let lab = Lab::new();
        let setup = Setup {
            transport,
            // Within the time for which SAs are held.
            tables: "[timing]\nliveness = \"300ms\"",
            ..Setup::new(gateway_psk())
        };
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
        let known = ["--id", "c{n}@bench.test", "--hold", "1s", "--rekey", "2"];
        // No request is repeated, however slow this machine is.
        let more = ["--delete", "--threads", "2", "--timeout", "300s"];
        let arguments = [&generator::secret(&lab.client, SECRET)[..], &known, &more].concat();
        let outcome = bench(&lab.client, ends, &arguments);
        assert!(outcome.is_success, "{}", outcome.stderr);
        outcome.all_did("connect", CLIENTS);
        outcome.all_did("rekey", 2 * CLIENTS);
        outcome.all_did("delete", CLIENTS);
        let each = &outcome.phase("connect")["per_exchange"];
        assert_eq!(each["datagrams_sent"], 2.0, "{each:#}");
        assert_eq!(each["datagrams_received"], 2.0, "{each:#}");
        // The gateway has asked for life, and been answered.
        let hold = outcome.phase("hold");
        let asked = hold["received"]["datagrams"].as_u64().unwrap();
        assert!(asked >= CLIENTS, "{hold:#}");
        assert_eq!(hold["sent"]["datagrams"].as_u64(), Some(asked));
        assert_eq!(hold["lost"], serde_json::json!({}));
        assert_eq!(gateway.sas().len(), 0);
        let count = |name| gateway.count(|stats| &stats.engine, name);
        assert_eq!(count("established"), CLIENTS);
        assert_eq!(count("rekeyed"), 2 * CLIENTS);
        let by_xdp = gateway.count(|stats| &stats.daemon, "frame_replied");
        assert_eq!(by_xdp > 0, transport == Transport::Native);
        gateway.stop();
    }
}

/// Chains of RSA-4096 take several datagrams each way, cut by IKE: the path drops IP fragments.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clients_with_certificates_connect_by_fragments() {
    let lab = Lab::new();
    lab.set_path(&harness::lab::Path::FRAGMENTS_DROPPED);
    let pki = Pki::new(Key::Rsa4096);
    let setup = Setup {
        // All clients have one identity.
        connection: "uniqueness = \"never\"",
        ..Setup::new(Credentials::gateway(&pki))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    let arguments = [
        &generator::certificates(&lab.client, &pki)[..],
        &["--delete"],
    ]
    .concat();
    let outcome = bench(&lab.client, V4, &arguments);
    assert!(outcome.is_success, "{}", outcome.stderr);
    outcome.all_did("connect", CLIENTS);
    outcome.all_did("delete", CLIENTS);
    let each = &outcome.phase("connect")["per_exchange"];
    assert!(each["datagrams_sent"].as_f64().unwrap() > 3.0, "{each:#}");
    assert_eq!(gateway.sas().len(), 0);
    assert_eq!(lab.drops().fragments, 0);
    gateway.stop();
}

/// Without IKE fragmentation long messages are IP fragments, which this path lets through.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clients_without_fragmentation_send_ip_fragments() {
    let lab = Lab::new();
    let pki = Pki::new(Key::Rsa4096);
    let setup = Setup {
        gateway: "ip-fragments = true",
        connection: "uniqueness = \"never\"",
        ..Setup::new(Credentials::gateway(&pki))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    // No request is repeated, however slow this machine is.
    let more = ["--no-fragmentation", "--timeout", "300s"];
    let arguments = [&generator::certificates(&lab.client, &pki)[..], &more].concat();
    let outcome = bench(&lab.client, V4, &arguments);
    assert!(outcome.is_success, "{}", outcome.stderr);
    outcome.all_did("connect", CLIENTS);
    let each = &outcome.phase("connect")["per_exchange"];
    assert_eq!(each["datagrams_sent"], 2.0, "{each:#}");
    let sas = gateway.sas();
    assert_eq!(sas.len() as u64, CLIENTS);
    assert!(sas.iter().all(|sa| !sa.fragmentation.negotiated));
    gateway.stop();
}

/// Each at an address of its own, at a rate, with a suite that is not the first of the gateway's.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clients_have_addresses_of_their_own_and_a_suite() {
    let lab = Lab::new();
    lab.client.exec("ip route add local 10.1.0.0/24 dev lo");
    lab.router.exec("ip route add 10.1.0.0/24 via 192.0.2.2");
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &Setup::new(gateway_psk()));
    let known = ["--id", "c{n}@bench.test", "--source", "10.1.0.0/24"];
    let suite = [
        "--suite",
        "aes128-gcm16/prf-sha2-384/modp3072",
        "--rate",
        "50",
    ];
    let arguments = [&generator::secret(&lab.client, SECRET)[..], &known, &suite].concat();
    let outcome = bench(&lab.client, V4, &arguments);
    assert!(outcome.is_success, "{}", outcome.stderr);
    outcome.all_did("connect", CLIENTS);
    assert_eq!(
        outcome.report["suite"],
        "aes128-gcm16/prf-sha2-384/modp3072"
    );
    let settings = &outcome.report["settings"];
    assert_eq!(
        (&settings["rate"], &settings["proof"]),
        (&50.into(), &"psk".into())
    );
    let seconds = outcome.phase("connect")["seconds"].as_f64().unwrap();
    assert!(seconds >= (CLIENTS - 1) as f64 / 50.0, "{seconds}");
    let sas = gateway.sas();
    let mut addresses: Vec<_> = sas.iter().map(|sa| sa.remote.ip()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len() as u64, CLIENTS);
    assert!(addresses[0].to_string() == "10.1.0.1", "{addresses:?}");
    gateway.stop();
}

/// Past both hosts' network stacks, with a key exchange whose messages are long.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clients_come_by_xdp() {
    let lab = Lab::new();
    lab.client.exec("ip route add local 10.1.0.0/24 dev lo");
    lab.router.exec("ip route add 10.1.0.0/24 via 192.0.2.2");
    let pki = Pki::new(Key::Rsa4096);
    let setup = Setup {
        connection: "uniqueness = \"never\"",
        ..Setup::new(Credentials::gateway(&pki))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    let line = ["--transport", "xdp", "--interface", "eth0"];
    let more = ["--source", "10.1.0.0/24", "--rekey", "1", "--delete"];
    let arguments = [
        &generator::certificates(&lab.client, &pki)[..],
        &line,
        &more,
    ]
    .concat();
    let before = kernels_datagrams(&lab.client);
    let outcome = bench(&lab.client, V4, &arguments);
    assert!(outcome.is_success, "{}", outcome.stderr);
    outcome.all_did("connect", CLIENTS);
    outcome.all_did("rekey", CLIENTS);
    outcome.all_did("delete", CLIENTS);
    assert_eq!(outcome.report["transport"], "xdp on eth0");
    // The other end of this wire has no native program, which a veth pair wants.
    assert_eq!(outcome.report["xdp_mode"], "generic");
    assert_eq!(outcome.report["xdp_transfer"], "copy");
    let by_kernel = &outcome.phase("connect")["by_kernel"];
    let first = by_kernel["sent"]["datagrams"].as_u64().unwrap();
    assert!((1..=CLIENTS).contains(&first), "{by_kernel:#}");
    assert_eq!(by_kernel["received"]["datagrams"], 0, "{by_kernel:#}");
    assert_eq!(outcome.phase("connect")["unsent"], serde_json::json!({}));
    // Only first messages went out by the kernel, before anybody knew the way.
    let after = kernels_datagrams(&lab.client);
    assert_eq!(after[0], before[0]);
    assert!(after[1] - before[1] <= CLIENTS, "{before:?} {after:?}");
    gateway.stop();
}

/// Datagrams of UDP that sockets of this machine have received and sent.
fn kernels_datagrams(machine: &Namespace) -> [u64; 2] {
    let text = machine.exec("cat /proc/net/snmp");
    let mut lines = text.lines().filter(|line| line.starts_with("Udp: "));
    let columns = lines.next().zip(lines.next()).expect("names and values");
    ["InDatagrams", "OutDatagrams"].map(|name| {
        let mut pairs = columns.0.split(' ').zip(columns.1.split(' '));
        let (_, value) = pairs.find(|(column, _)| *column == name).expect(name);
        value.parse().expect("a number")
    })
}

/// What a gateway says is the reason, and the command fails.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_wrong_secret_fails_by_the_reason_that_the_gateway_gives() {
    let lab = Lab::new();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &Setup::new(gateway_psk()));
    let known = ["--id", "c{n}@bench.test"];
    let arguments = [
        &generator::secret(&lab.client, "another secret than theirs")[..],
        &known,
    ]
    .concat();
    let outcome = bench(&lab.client, V4, &arguments);
    assert!(!outcome.is_success);
    let connect = outcome.phase("connect");
    assert_eq!(connect["failed"].as_u64(), Some(CLIENTS), "{connect:#}");
    assert_eq!(
        connect["failures"],
        serde_json::json!({ "AUTHENTICATION_FAILED": CLIENTS })
    );
    let expected = format!("error: no client connected: AUTHENTICATION_FAILED {CLIENTS}\n");
    assert_eq!(outcome.stderr, expected);
    gateway.stop();
}

/// Who knows the secret and is somebody else is refused by the clients.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn another_gateway_is_not_taken() {
    let lab = Lab::new();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &Setup::new(gateway_psk()));
    let [option, file, id, _] = generator::secret(&lab.client, SECRET);
    let arguments = [option, file, id, "*.other.test", "--id", "c{n}@bench.test"];
    let outcome = bench(&lab.client, V4, &arguments);
    assert!(!outcome.is_success);
    assert_eq!(
        outcome.phase("connect")["failures"],
        serde_json::json!({ "another_gateway": CLIENTS })
    );
    // Which it is told; the last of these messages may still be on its way.
    patience::until("no SA", || gateway.sas().is_empty().then_some(()));
    gateway.stop();
}

/// Somebody else's gateway, with secrets and with certificates.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn strongswan_serves_the_clients() {
    let pki = Pki::new(Key::EcdsaP256);
    let lab = Lab::new();
    let by_secret = [
        &generator::secret(&lab.client, SECRET)[..],
        &["--id", CLIENT],
    ]
    .concat();
    let by_certificate = generator::certificates(&lab.client, &pki).to_vec();
    let childless = [&by_secret[..], &["--childless"]].concat();
    for (credentials, clients, esp) in [
        (Credentials::gateway_psk(SECRET), by_secret, Esp::Userspace),
        (Credentials::gateway(&pki), by_certificate, Esp::Userspace),
        // As many gateways are, where the kernel has no ESP.
        (Credentials::gateway_psk(SECRET), childless, Esp::None),
    ] {
        let settings = Settings {
            // It takes five half-open SAs of one address, and lets the others wait.
            daemon: "dos_protection = no",
            esp,
            ..Settings::responder(V4.gateway, credentials)
        };
        let gateway = Strongswan::start(&lab.gateway, settings);
        let arguments = [&clients[..], &["--rekey", "1", "--delete"]].concat();
        let outcome = bench(&lab.client, V4, &arguments);
        assert!(outcome.is_success, "{}", outcome.stderr);
        outcome.all_did("connect", CLIENTS);
        outcome.all_did("rekey", CLIENTS);
        outcome.all_did("delete", CLIENTS);
        assert_eq!(gateway.sas(), vec![]);
        gateway.stop();
    }
}

/// With both transports, before anything is sent.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_address_of_another_host_is_refused() {
    let lab = Lab::new();
    let arguments = generator::secret(&lab.client, SECRET);
    for line in [
        &["--transport", "udp"][..],
        &["--transport", "xdp", "--interface", "eth0"],
    ] {
        let mut bench = command(IKEXDP);
        bench.args(["bench", &V4.gateway.to_string(), "--id", "c{n}@bench.test"]);
        // Of several threads any may be the first to fail.
        bench.args(["--source", "10.77.0.0/16", "--threads", "1"]);
        bench.args(arguments).args(line);
        let output = lab.client.output(bench);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expected = "error: cannot bind a UDP socket at 10.77.0.1; hint: it must be this host's";
        assert!(stderr.starts_with(expected), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
        assert!(!lab.client.has_xdp("eth0"));
    }
}

/// Every client asks as often as it is told to, and is answered.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clients_ask_whether_the_gateway_lives() {
    let lab = Lab::new();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &Setup::new(gateway_psk()));
    let hold = ["--hold", "2s", "--liveness", "500ms", "--timeout", "300s"];
    let known = ["--id", "c{n}@bench.test", "--delete"];
    let arguments = [&generator::secret(&lab.client, SECRET)[..], &known, &hold].concat();
    let outcome = bench(&lab.client, V4, &arguments);
    assert!(outcome.is_success, "{}", outcome.stderr);
    // Who waits for an answer when it is its turn again leaves that out.
    let asked = outcome.phase("hold")["begun"].as_u64().unwrap();
    assert!((CLIENTS..=4 * CLIENTS).contains(&asked), "{asked}");
    outcome.all_did("hold", asked);
    let each = &outcome.phase("hold")["per_exchange"];
    assert_eq!(each["datagrams_sent"], 1.0, "{each:#}");
    assert_eq!(each["datagrams_received"], 1.0, "{each:#}");
    gateway.stop();
}

/// What was measured until then is told; the program's status is that of who is interrupted.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn who_interrupts_it_gets_a_report() {
    let lab = Lab::new();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &Setup::new(gateway_psk()));
    let mut bench = command(IKEXDP);
    bench.args(["bench", &V4.gateway.to_string(), "--id", "c{n}@bench.test"]);
    bench.args(["--clients", &CLIENTS.to_string(), "--json", "--hold", "1h"]);
    // No request is repeated, however slow this machine is.
    bench.args(["--liveness", "300ms", "--timeout", "300s"]);
    bench
        .args(generator::secret(&lab.client, SECRET))
        .stdout(Stdio::piped());
    let mut bench = Process::start(&lab.client, "bench", bench);
    // Only who has its SA, as all others have, asks for more than the two of a handshake.
    patience::until("a question", || {
        let received = gateway.count(|stats| &stats.engine, "received");
        (received > 2 * CLIENTS).then_some(())
    });
    bench.signal(Signal::SIGINT);
    let report: Value = serde_json::from_reader(bench.stdout().unwrap()).unwrap();
    assert_eq!(bench.wait().code(), Some(130));
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["phases"][0]["succeeded"], CLIENTS);
    assert_eq!(report["phases"].as_array().unwrap().len(), 2, "{report:#}");
    gateway.stop();
}
