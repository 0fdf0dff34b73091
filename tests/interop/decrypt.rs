//! Keys of one client, which Wireshark reads.

use std::{fs, process::Output, time::Duration};

use etherparse::PacketBuilder;
use harness::{
    lab::{Lab, V4},
    namespace::command,
    pki::Key,
    process::Process,
};
use nix::sys::signal::Signal;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

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
    tshark.args([
        "-n",
        "-V",
        "-o",
        "esp.enable_encryption_decode:TRUE",
        "-r",
        CAPTURE,
    ]);
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

/// No kernel here carries ESP: the packet is made by the test, with the keys in the table.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn wireshark_reads_esp_of_the_client() {
    let [case, _] = case();
    let (lab, gateway, client) = case.start();
    assert!(decrypt(&lab, &[&V4.client.to_string()]).status.success());
    client.initiate().unwrap();
    let tables = tables(&lab);
    let spi = &gateway.sas()[0].children[0].spi_in;
    let lines = tables[1].lines();
    let mut inbound = lines.filter(|line| line.contains(&format!("\"0x{spi}\"")));
    let fields: Vec<_> = inbound.next().unwrap().split("\",\"").collect();
    let packet = esp(
        &hexadecimal(spi),
        &hexadecimal(fields[5].trim_start_matches("0x")),
    );

    let octets: Vec<_> = packet.iter().map(|octet| format!("{octet:02x}")).collect();
    lab.router
        .write("/run/esp.txt", format!("0000 {}\n", octets.join(" ")));
    let (client, gateway) = (V4.client, V4.gateway);
    lab.router.exec(&format!(
        "text2pcap -q -i 50 -4 {client},{gateway} /run/esp.txt {CAPTURE}"
    ));
    let inside = "Data: 696b65786470";
    let seen = tshark(&lab, &tables);
    assert!(seen.contains(inside), "{seen}");
    assert!(!tshark(&lab, &[String::new(), String::new()]).contains(inside));
}

/// A packet of a tunnel with a datagram of UDP that says `ikexdp`, sealed by AES-GCM with a key that
/// has its salt behind it (RFC 4303, RFC 4106).
fn esp(spi: &[u8], key: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([10, 9, 0, 1], [10, 9, 0, 2], 64).udp(7000, 7000);
    let mut sealed = Vec::new();
    builder.write(&mut sealed, b"ikexdp").unwrap();
    // Padding to four octets with the two that follow: its length, and the next header.
    sealed.extend([0, 4]);
    assert_eq!(sealed.len() % 4, 0);
    let (key, salt) = key.split_at(key.len() - 4);
    let iv = [7; 8];
    let header = [spi, &[0, 0, 0, 1]].concat();
    let nonce = [salt, &iv].concat();
    let key = UnboundKey::new(&AES_256_GCM, key).unwrap();
    let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
    let aad = Aad::from(&header);
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, aad, &mut sealed)
        .unwrap();
    [&header, &iv[..], &sealed].concat()
}

fn hexadecimal(text: &str) -> Vec<u8> {
    let digits = text.trim_end_matches('"').as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}
