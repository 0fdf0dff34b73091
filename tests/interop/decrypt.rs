//! Keys of one client, which Wireshark reads.

use std::{fs, process::Output, time::Duration};

use harness::{
    lab::{Lab, V4},
    namespace::command,
    pki::Key,
    process::Process,
};
use nix::sys::signal::Signal;

use crate::{IKEXDP, case::Case};

const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: [&str; 2] = ["ikev2_decryption_table", "esp_sa"];

/// What is captured, and where.
const CAPTURE: &str = "/run/capture.pcap";

fn decrypt(lab: &Lab, arguments: &[&str]) -> Output {
    let mut ikexdp = command(IKEXDP);
    ikexdp.arg("decrypt").args(arguments);
    lab.gateway.output(ikexdp)
}

/// The tables that the daemon has written, which nobody else can read.
fn tables(lab: &Lab) -> [String; 2] {
    TABLES.map(|table| {
        let path = format!("/run/ikexdp/state/keys/{table}");
        let mode = lab.gateway.exec(&format!("stat --format=%a {path}"));
        assert_eq!(mode.trim(), "600");
        lab.gateway.run(|| fs::read_to_string(path)).unwrap()
    })
}

fn capture(lab: &Lab) -> Process {
    let mut tcpdump = command("tcpdump");
    tcpdump.args([
        "--interface",
        "gateway",
        "--immediate-mode",
        "--packet-buffered",
    ]);
    tcpdump.args(["--relinquish-privileges=root", "-w", CAPTURE, "udp"]);
    let tcpdump = Process::start(&lab.router, "tcpdump", tcpdump);
    let listens = |lines: &[String]| {
        let listens = lines.iter().any(|line| line.contains("listening on"));
        listens.then_some(())
    };
    tcpdump
        .lines()
        .wait_for(PATIENCE, listens)
        .expect("tcpdump listens");
    tcpdump
}

/// What Wireshark sees in the capture with these tables in its profile.
fn tshark(lab: &Lab, tables: &[String; 2]) -> String {
    for (name, text) in TABLES.iter().zip(tables) {
        lab.router.write(format!("/run/profile/{name}"), text);
    }
    let mut tshark = command("tshark");
    tshark.env("WIRESHARK_CONFIG_DIR", "/run/profile");
    tshark.args(["-n", "-V", "-r", CAPTURE]);
    let output = lab.router.output(tshark);
    assert!(output.status.success(), "{output:?}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        !TABLES.iter().any(|table| complaints.contains(table)),
        "{complaints}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What is inside of SK or SKF, of both sides.
const INSIDE: [&str; 3] = [
    "Payload: Identification - Initiator (35)",
    "Payload: Identification - Responder (36)",
    "Payload: Authentication (39)",
];

fn case() -> [Case; 2] {
    let mut cases = [Case::psk(V4), Case::certificates(V4, Key::EcdsaP256)];
    for case in &mut cases {
        case.gateway.gateway = "allow-key-export = true";
    }
    cases
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn wireshark_reads_the_handshake_of_the_client() {
    for case in case() {
        let (lab, gateway, client) = case.start();
        let address = V4.client.to_string();
        let output = decrypt(&lab, &[&address, "--for", "5m"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            said,
            format!("keys of {address} are written for 5m: /run/ikexdp/state/keys\n")
        );
        let line = gateway.line("keys of a peer are being written");
        for part in [
            " WARN ",
            &format!("peer={address} "),
            " uid=0 ",
            " pid=",
            " seconds=300 ",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        let status = gateway.status().decryption.expect("it is on");
        assert_eq!((status.peer, status.uid), (V4.client, 0));

        let mut tcpdump = capture(&lab);
        client.initiate().unwrap();
        let esp = tables(&lab)[1].clone();
        let spi = &gateway.sas()[0].children[0].spi_in;
        let inbound = format!(
            "\"IPv4\",\"{address}\",\"{}\",\"0x{spi}\",\"AES-GCM",
            V4.gateway
        );
        assert_eq!(
            esp.lines()
                .filter(|line| line.starts_with(&inbound))
                .count(),
            1,
            "{esp}"
        );
        assert_eq!(esp.lines().count(), 2);
        // A dead peer would be asked whether it lives.
        client.terminate().unwrap();
        tcpdump.signal(Signal::SIGINT);
        assert!(tcpdump.wait().success());

        let seen = tshark(&lab, &tables(&lab));
        for inside in INSIDE {
            assert!(seen.contains(inside), "{inside}: {seen}");
        }
        let unseen = tshark(&lab, &[String::new(), String::new()]);
        for inside in INSIDE {
            assert!(!unseen.contains(inside), "it is encrypted");
        }

        assert_eq!(decrypt(&lab, &["--stop"]).stdout, b"stopped\n");
        gateway.wait_for_line("keys of a peer are written no more");
        assert_eq!(gateway.status().decryption, None);
        let before = tables(&lab);
        client.initiate().unwrap();
        assert_eq!(tables(&lab), before, "it is over");
        let log = gateway.log().entries().concat();
        for key in before[0]
            .split(',')
            .filter(|it| it.len() > 40 && !it.starts_with('"'))
        {
            assert!(!log.contains(key), "the log has no keys");
        }
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn keys_are_of_one_client_for_a_time_and_only_where_it_is_allowed() {
    let [mut case, _] = case();
    let (lab, gateway, client) = case.start();
    // Somebody else's.
    assert!(
        decrypt(&lab, &["192.0.2.99", "--for", "1s"])
            .status
            .success()
    );
    client.initiate().unwrap();
    assert_eq!(tables(&lab), [String::new(), String::new()]);
    gateway.wait_for_line("keys of a peer are written no more");
    assert_eq!(
        decrypt(&lab, &["--stop"]).stdout,
        b"nobody's keys were written\n"
    );

    // A configuration that does not allow it ends it.
    assert!(decrypt(&lab, &[&V4.client.to_string()]).status.success());
    case.gateway.gateway = "";
    assert!(gateway.reload(&case.gateway).0);
    assert_eq!(gateway.status().decryption, None);
    let refused = decrypt(&lab, &[&V4.client.to_string()]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("hint: set `gateway.allow-key-export = true`"),
        "{said}"
    );
}
