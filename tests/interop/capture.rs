//! What `ikexdp capture` sees of a handshake, beside what passes the router.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use harness::datagram::{Datagram, Payload};
use harness::gateway::{Gateway, Transport};
use harness::lab::{Lab, Path, V4, V6};
use harness::namespace::command;
use harness::patience::until;
use harness::pki::Key;
use harness::process::Process;
use harness::strongswan::Strongswan;
use nix::sys::signal::Signal;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::blocks::section_header::SectionHeaderOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use crate::IKEXDP;
use crate::case::Case;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where captures are.
pub(crate) const FILE: &str = "/run/ike.pcapng";

/// A capture that has begun at the gateway.
pub(crate) fn begin(lab: &Lab, more: &[&str]) -> Process {
    begin_on(lab, "eth0", more)
}

fn begin_on(lab: &Lab, interface: &str, more: &[&str]) -> Process {
    let mut ikexdp = command(IKEXDP);
    ikexdp.args(["capture", "--interface", interface, "--output", FILE]);
    ikexdp.args(more);
    let capture = Process::start(&lab.gateway, "capture", ikexdp);
    says(&capture, &format!("capturing IKE on {interface}"));
    capture
}

/// Has the gateway's host send what looks like IKE.
fn send(lab: &Lab, datagrams: usize) {
    // Else most of them are lost for want of a MAC address.
    lab.gateway.exec("ping -c 1 -W 5 192.0.2.2");
    lab.gateway.run(move || {
        let socket = UdpSocket::bind((V4.gateway, 0)).unwrap();
        for _ in 0..datagrams {
            socket.send_to(&[7; 1400], (V4.client, 500)).unwrap();
        }
    });
}

fn says(capture: &Process, text: &str) {
    let found = |lines: &[String]| lines.iter().find(|line| line.contains(text)).map(drop);
    let said = capture.lines().wait_for(PATIENCE, found);
    said.unwrap_or_else(|| panic!("no `{text}`"));
}

/// What a capture holds.
#[derive(Debug, Default)]
struct Read {
    datagrams: Vec<Datagram>,
    /// Octets of each frame that are there.
    taken: Vec<usize>,
    comments: Vec<String>,
    /// Statistics are the end of a complete file.
    statistics: Option<Vec<InterfaceStatisticsOption<'static>>>,
}

/// Reads what is in the gateway's file.
fn read(lab: &Lab) -> Read {
    let octets = lab.gateway.run(|| fs::read(FILE)).unwrap();
    let mode = lab.gateway.exec(&format!("stat --format=%a {FILE}"));
    assert_eq!(mode.trim(), "600");
    let mut reader = PcapNgReader::new(octets.as_slice()).unwrap();
    let mut read = Read::default();
    let comment = |option: &SectionHeaderOption<'_>| match option {
        SectionHeaderOption::Comment(comment) => Some(comment.to_string()),
        _ => None,
    };
    let options = reader.section().options.iter();
    read.comments = options.filter_map(comment).collect();
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::EnhancedPacket(packet) => {
                read.taken.push(packet.data.len());
                let datagram = Datagram::parse(packet.timestamp, &packet.data);
                read.datagrams.extend(datagram);
            }
            Block::InterfaceStatistics(statistics) => {
                read.statistics = Some(statistics.into_owned().options);
            }
            _ => {}
        }
    }
    read
}

/// IKE without the time that it passed, in the order of both lists.
fn ike(datagrams: &[Datagram]) -> Vec<(bool, Vec<u8>)> {
    let ike = datagrams.iter().filter(|datagram| datagram.ike().is_some());
    let mut ike: Vec<_> = ike
        .map(|datagram| {
            let Payload::Udp { data, .. } = &datagram.payload else {
                panic!("IKE is UDP")
            };
            (datagram.source == V4.gateway, data.clone())
        })
        .collect();
    ike.sort();
    ike
}

fn connect(gateway: &Gateway, client: &Strongswan) {
    client.initiate().unwrap();
    assert_eq!(gateway.sas().len(), 1);
    client.terminate().unwrap();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_capture_has_all_of_a_handshake_however_ike_comes_in() {
    for transport in [Transport::Native, Transport::Generic, Transport::Udp] {
        let mut case = Case::certificates(V4, Key::Rsa4096);
        case.gateway.transport = transport;
        let (lab, gateway, client) = case.start();
        let router = lab.capture_router();
        let mut capture = begin(&lab, &["--comment", "why does it fail"]);
        let redirected = |gateway: &Gateway| match transport {
            Transport::Udp => 0,
            _ => ["redirect_ike", "redirect_ike_nat"]
                .map(|name| gateway.count(|stats| &stats.xdp, name))
                .iter()
                .sum(),
        };
        connect(&gateway, &client);
        assert_eq!(redirected(&gateway), 0, "all goes by the kernel");
        capture.signal(Signal::SIGINT);
        assert!(capture.wait().success());
        says(&capture, "stopped: ");

        let seen = read(&lab);
        let passed = router.stop();
        assert!(
            ike(&passed).len() > 8,
            "requests and responses, in fragments"
        );
        assert_eq!(ike(&seen.datagrams), ike(&passed), "{transport:?}");
        assert!(seen.statistics.is_some());
        assert!(seen.comments.contains(&"why does it fail".to_owned()));
        let xdp = seen
            .comments
            .iter()
            .find(|comment| comment.starts_with("XDP: "));
        let xdp = xdp.expect("a comment on XDP");
        let is_left = xdp.contains("leaves IKE to the kernel");
        let is_warned = "meanwhile it passes netfilter's input chain";
        let lines = capture.lines().entries();
        assert_eq!(lines[0].contains(is_warned), is_left, "{}", lines[0]);
        assert_eq!(is_left, transport != Transport::Udp, "{xdp}");
        // Another reader.
        let listed = lab.gateway.exec(&format!("tcpdump -n -r {FILE}"));
        assert_eq!(listed.lines().count(), seen.taken.len(), "{listed}");

        // XDP takes it again.
        until("the end of the capture", || {
            (gateway.status().captures == 0).then_some(())
        });
        connect(&gateway, &client);
        assert_eq!(redirected(&gateway) > 0, transport != Transport::Udp);
    }
}

/// What nobody has asked the daemon for, and what becomes of it when the capture is killed.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn xdp_hides_ike_unless_the_daemon_is_asked_and_only_as_long() {
    for transport in [Transport::Native, Transport::Generic] {
        let mut case = Case::psk(V4);
        case.gateway.transport = transport;
        let (lab, gateway, client) = case.start();
        let mut blind = begin(&lab, &["--socket", "/run/nowhere.sock"]);
        says(
            &blind,
            "warning: XDP takes IKE from the interface before it can be captured",
        );
        connect(&gateway, &client);
        blind.signal(Signal::SIGTERM);
        assert!(blind.wait().success());
        says(&blind, "XDP kept back: redirect_ike");
        assert_eq!(ike(&read(&lab).datagrams), []);

        let mut killed = begin(&lab, &["--force"]);
        gateway.wait_for_line("IKE is left to the kernel for a capture");
        assert_eq!(gateway.status().captures, 1);
        killed.signal(Signal::SIGKILL);
        killed.wait();
        gateway.wait_for_line("a capture has ended");
        until("XDP", || (gateway.status().captures == 0).then_some(()));
        connect(&gateway, &client);
        assert!(gateway.count(|stats| &stats.xdp, "redirect_ike") > 1);
        assert_eq!(gateway.count(|stats| &stats.xdp, "pass_observed"), 0);
    }
}

/// Fragments of IKE are there, of which only the first has ports; traffic is not.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ip_fragments_of_ike_are_captured_and_traffic_is_not() {
    for ends in [V4, V6] {
        let mut case = Case::certificates(ends, Key::Rsa4096);
        case.client.fragmentation = false;
        case.path = Path::default();
        case.gateway.gateway = "ip-fragments = true";
        let (lab, _gateway, client) = case.start();
        let mut capture = begin(&lab, &[]);
        client.initiate().unwrap();
        // A datagram of a tunnel in fragments, and tunnels that were there before.
        let (from, to) = (ends.client, ends.gateway);
        lab.client.run(move || {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            let mut esp = vec![0xab; 4000];
            esp[4..8].copy_from_slice(&1000_u32.to_be_bytes());
            socket.send_to(&esp, (to, 4500)).unwrap();
            for _ in 0..100 {
                socket.send_to(&esp[..1000], (to, 4500)).unwrap();
            }
            esp[4..8].copy_from_slice(&1_u32.to_be_bytes());
            socket.send_to(&esp[..1000], (to, 4500)).unwrap();
        });
        client.terminate().unwrap();
        capture.signal(Signal::SIGINT);
        assert!(capture.wait().success());

        let Read {
            datagrams, taken, ..
        } = read(&lab);
        let fragments: Vec<_> = datagrams.iter().filter_map(|it| it.fragment).collect();
        assert!(fragments.len() >= 4, "{fragments:?}");
        let firsts = fragments.iter().filter(|it| it.offset == 0).count();
        let lasts = fragments.iter().filter(|it| !it.more).count();
        assert_eq!(
            (firsts, lasts),
            (2, 2),
            "of the request, and of the response"
        );
        // Its beginning, which is no datagram to who reads whole ones.
        let cut = taken.iter().filter(|length| **length < 100).count();
        assert!(cut >= 1);
        assert!(datagrams.len() < 30, "{}", datagrams.len());
    }
}

/// A capture waits in memory, and a signal has it written; limits end it.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_ring_is_written_when_it_is_wanted_and_limits_hold() {
    let case = Case::psk(V4);
    let (lab, gateway, client) = case.start();
    let mut ring = begin(&lab, &["--ring", "10m"]);
    connect(&gateway, &client);
    assert_eq!(read(&lab).taken.len(), 0, "it is in memory");
    ring.signal(Signal::SIGUSR1);
    let first = until("what the ring holds", || {
        let count = read(&lab).taken.len();
        (count > 0).then_some(count)
    });
    connect(&gateway, &client);
    ring.signal(Signal::SIGTERM);
    assert!(ring.wait().success());
    assert!(read(&lab).taken.len() > first, "and what came later");

    let output = |more: &[&str]| {
        let mut ikexdp = command(IKEXDP);
        ikexdp.args(["capture", "--interface", "eth0", "--output", FILE]);
        ikexdp.args(more);
        let output = lab.gateway.output(ikexdp);
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said)
    };
    let (succeeded, said) = output(&[]);
    assert!(
        !succeeded && said.contains("hint: name another, or give --force"),
        "{said}"
    );
    let (succeeded, said) = output(&["--force", "--for", "1s"]);
    assert!(
        succeeded && said.contains("time is over: 0 frames written"),
        "{said}"
    );
    // Two signals, one to it and one to its group, are one wish.
    let line = "timeout --signal=INT 1 IKEXDP capture --interface eth0 --force --output FILE";
    let mut words = line.split(' ').map(|word| match word {
        "IKEXDP" => IKEXDP,
        "FILE" => FILE,
        word => word,
    });
    let mut timed = command(words.next().unwrap());
    timed.args(words);
    let said = String::from_utf8(lab.gateway.output(timed).stderr).unwrap();
    assert!(said.contains("stopped: "), "{said}");
    assert!(read(&lab).statistics.is_some());
    let small = begin(&lab, &["--force", "--size", "600"]);
    client.initiate().unwrap();
    says(&small, "size is reached: ");
    let size = lab
        .gateway
        .run(|| File::open(FILE).unwrap().metadata().unwrap().len());
    assert!(read(&lab).statistics.is_some() && size < 600 + 2000);

    // Without the capability.
    let mut drop = command("setpriv");
    drop.args(["--reuid=65534", "--clear-groups", "--inh-caps=-all", IKEXDP]);
    drop.args([
        "capture",
        "--interface",
        "eth0",
        "--output",
        "/run/not.pcapng",
    ]);
    let output = lab.gateway.output(drop);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("CAP_NET_RAW"), "{said}");
    assert!(!lab.gateway.run(|| fs::exists("/run/not.pcapng").unwrap()));
}

/// What the ring has written counts, and a ring for which no room is left is no use.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_ring_that_has_filled_its_file_ends() {
    let lab = Lab::new();
    let mut ring = begin(&lab, &["--ring", "10m", "--size", "10k"]);
    until("the end of the file", || {
        send(&lab, 3);
        ring.signal(Signal::SIGUSR1);
        has_ended(&ring).then_some(())
    });
    assert!(ring.wait().success());
    says(&ring, "size is reached: ");
    let read = read(&lab);
    assert!(read.statistics.is_some() && read.taken.len() > 3);
    let size = lab.gateway.run(|| fs::metadata(FILE).unwrap().len());
    assert!(size < 10_000 + 2000, "{size}");
}

fn has_ended(process: &Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    stat.contains(") Z ")
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_capture_goes_on_when_its_interface_is_down_and_ends_when_it_has_gone() {
    let lab = Lab::new();
    let mut capture = begin(&lab, &[]);
    // What was sent, and not what the client says of it by ICMP.
    let sent = || {
        let taken = read(&lab).taken;
        taken.iter().filter(|length| **length > 1400).count()
    };
    let has = |count| until("frames", || (sent() == count).then_some(()));
    send(&lab, 1);
    has(1);
    lab.gateway.exec("ip link set eth0 down");
    says(&capture, "warning: eth0 is down");
    lab.gateway.exec("ip link set eth0 up");
    lab.gateway
        .exec("ip route replace default via 198.51.100.1");
    send(&lab, 1);
    has(2);
    lab.gateway.exec("ip link delete eth0");
    assert!(!capture.wait().success());
    says(&capture, "the interface has gone: eth0; ");
    assert!(read(&lab).statistics.is_some(), "the file is complete");
    assert_eq!(sent(), 2);
}

/// Whatever is on the interface next: the daemon that comes later, and the one after it.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_daemon_that_starts_during_a_capture_leaves_ike_to_the_kernel() {
    let case = Case::psk(V4);
    let lab = Lab::new();
    lab.set_path(&case.path);
    let mut capture = begin(&lab, &[]);
    let mut seen = 0;
    for round in 1..=2 {
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &case.gateway);
        until("XDP to be asked", || {
            let lines = capture.lines().entries();
            let asked = lines.iter().filter(|line| line.contains("from now on"));
            (asked.count() == round).then_some(())
        });
        assert_eq!(gateway.status().captures, 1);
        let client = Strongswan::start(&lab.client, case.client.clone());
        connect(&gateway, &client);
        gateway.stop();
        until("the handshake", || {
            let frames = ike(&read(&lab).datagrams).len();
            (frames >= seen + 4).then(|| seen = frames)
        });
        says(&capture, "warning: the daemon has ended");
    }
    capture.signal(Signal::SIGINT);
    assert!(capture.wait().success());
    says(&capture, "XDP kept ");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_daemon_on_another_interface_is_left_alone() {
    let (lab, gateway) = Case::psk(V4).start_gateway();
    lab.gateway
        .exec("ip link add eth1 type veth peer name eth2");
    lab.gateway.exec("ip link set eth1 up");
    let mut capture = begin_on(&lab, "eth1", &[]);
    says(&capture, "the daemon's XDP program is on eth0, not on eth1");
    assert_eq!(gateway.status().captures, 0);
    capture.signal(Signal::SIGINT);
    assert!(capture.wait().success());
    let comments = read(&lab).comments;
    let xdp = "XDP: no XDP program is on eth1; the daemon's is on eth0";
    assert!(comments.contains(&xdp.to_owned()), "{comments:?}");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_capture_that_nobody_reads_ends_by_a_second_signal() {
    let lab = Lab::new();
    let mut ikexdp = command(IKEXDP);
    ikexdp.args(["capture", "--interface", "eth0", "--output", "-"]);
    ikexdp.stdout(Stdio::piped());
    let mut capture = Process::start(&lab.gateway, "capture", ikexdp);
    says(&capture, "capturing IKE on eth0");
    // More than a pipe has room for.
    send(&lab, 100);
    until("its end", || {
        capture.signal(Signal::SIGINT);
        has_ended(&capture).then_some(())
    });
    assert_eq!(capture.wait().signal(), Some(Signal::SIGINT as i32));
}
