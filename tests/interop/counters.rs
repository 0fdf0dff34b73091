//! What `ikexdp stats` says is what was on the wire.

use std::collections::BTreeMap;

use harness::{
    capture::Capture,
    datagram::{Datagram, IkeHeader, Payload},
    gateway::count,
    lab::{Ends, Lab, Path, V4, V6},
    packet::{ike_sa_init, marked},
    pki::Key,
    strongswan::Strongswan,
    udp::{PATIENCE, socket},
};
use ikexdp::view::{Counters, Stats};

use crate::case::Case;

/// More than one Ethernet frame holds.
const LONG: usize = 3000;

/// ESP packets that the client sends through its tunnel.
const ESP_PACKETS: usize = 3;

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn counters_agree_with_a_capture() {
    for ends in [V4, V6] {
        let mut case = Case::certificates(ends, Key::EcdsaP256);
        case.client.fragment_size = 576;
        case.gateway.fragment_size = 576;
        case.path = Path::default();
        let (lab, gateway, client) = case.start();
        let capture = lab.capture_router();
        client.initiate().unwrap();
        send_oddities(&lab, ends);
        send_esp(&lab, &client, &capture);
        // What a router forwards stays in order: once this is answered, all else is counted.
        client.terminate().unwrap();
        let stats = gateway.stats();
        let datagrams = capture.stop();

        let (sent, received): (Vec<_>, Vec<_>) = datagrams
            .iter()
            .filter(|it| [it.source, it.destination].contains(&ends.gateway))
            .partition(|it| it.source == ends.gateway);
        assert_eq!(verdicts(&stats.xdp), expected_verdicts(&received));
        agree_on_engine(&stats, &sent, &received);
        agree_on_transport(&stats, &sent);
    }
}

/// One of everything that the XDP program counts apart.
fn send_oddities(lab: &Lab, ends: Ends) {
    let client = socket(&lab.client, ends.client, 0);
    let mut ikev1 = ike_sa_init(100);
    ikev1[17] = 0x10;
    let mut ikev3 = ike_sa_init(100);
    ikev3[17] = 0x30;
    let mut spi_zero = marked(100);
    spi_zero[4..12].fill(0);
    let mut wrong_length = ike_sa_init(100);
    wrong_length[27] += 1;
    let payloads = [
        (4500, vec![0xff]),
        (4500, vec![0; 3]),
        (4500, spi_zero),
        (500, ikev1),
        (500, ikev3),
        (500, wrong_length),
        (500, vec![0; 27]),
        (500, ike_sa_init(LONG)),
        (7000, vec![0; 100]),
    ];
    for (port, payload) in payloads {
        client.send_to(&payload, (ends.gateway, port)).unwrap();
    }
}

/// Sends through the client's tunnel, and waits until that is on the wire.
fn send_esp(lab: &Lab, client: &Strongswan, capture: &Capture) {
    let own = client.sas()[0].virtual_ips[0];
    let tunnel = socket(&lab.client, own, 0);
    let behind = if own.is_ipv4() {
        "10.8.0.1:9"
    } else {
        "[2001:db8:8::1]:9"
    };
    for _ in 0..ESP_PACKETS {
        tunnel.send_to(b"to nobody", behind).unwrap();
    }
    let all = |datagrams: &[Datagram]| {
        let esp = datagrams.iter().filter(|it| verdict(it) == "pass_esp");
        (esp.count() == ESP_PACKETS).then_some(())
    };
    let seen = capture.datagrams().wait_for(PATIENCE, all);
    seen.expect("strongSwan sends ESP in UDP");
}

/// The counters of UDP; hosts send other things of their own accord.
fn verdicts(counters: &Counters) -> BTreeMap<&str, u64> {
    const NOT_UDP: [&str; 3] = ["pass_not_ip", "pass_not_udp", "pass_extension_header"];
    let counted = counters.0.iter().filter(|(_, value)| *value > 0);
    let names = counted.map(|(name, value)| (name.as_str(), *value));
    names.filter(|(name, _)| !NOT_UDP.contains(name)).collect()
}

fn expected_verdicts(received: &[&Datagram]) -> BTreeMap<&'static str, u64> {
    const UDP: u8 = 17;
    let mut verdicts = BTreeMap::new();
    let other = |it: &&&Datagram| matches!(it.payload, Payload::Other(number) if number != UDP);
    for datagram in received.iter().filter(|it| !other(it)) {
        *verdicts.entry(verdict(datagram)).or_default() += 1;
    }
    verdicts
}

/// What becomes of a UDP datagram to the gateway, as the documentation has it.
fn verdict(datagram: &Datagram) -> &'static str {
    let Payload::Udp {
        destination, data, ..
    } = &datagram.payload
    else {
        return "pass_fragment";
    };
    let message = match destination {
        500 => data.as_slice(),
        4500 if data.len() < 4 && *data != [0xff] => return "drop_short",
        4500 if data.len() < 4 => return "drop_keepalive",
        4500 => match data.strip_prefix(&[0; 4]) {
            Some(message) => message,
            None => return "pass_esp",
        },
        _ => return "pass_other_port",
    };
    if datagram.fragment.is_some() {
        return "pass_first_fragment";
    }
    let Some(ike) = datagram.ike() else {
        return "drop_short";
    };
    if u32::try_from(message.len()) != Ok(ike.length) {
        return "drop_length";
    }
    match (message[17], ike.initiator_spi, destination) {
        (0x10, ..) => "drop_ikev1",
        (0x30, ..) => "redirect_version",
        (_, 0, _) => "drop_initiator_spi",
        (.., 4500) => "redirect_ike_nat",
        _ => "redirect_ike",
    }
}

/// Messages and fragments of them, both ways.
fn agree_on_engine(stats: &Stats, sent: &[&Datagram], received: &[&Datagram]) {
    let engine = |name| count(&stats.engine, name);
    let is_fragment = |ike: &IkeHeader| ike.fragment.is_some();
    let ike = |datagrams: &[&Datagram]| -> Vec<IkeHeader> {
        datagrams.iter().filter_map(|it| it.ike()).collect()
    };
    let fragments = |datagrams| ike(datagrams).into_iter().filter(is_fragment).count() as u64;
    assert_eq!(engine("sent"), ike(sent).len() as u64);
    assert_eq!(engine("fragment_sent"), fragments(sent));
    assert_eq!(engine("fragment_received"), fragments(received));
    assert!(engine("fragment_sent") > 0 && engine("fragment_received") > 0);
    // By the kernel's sockets: what came in IP fragments.
    assert_eq!(count(&stats.daemon, "udp_received"), 1);
    assert_eq!(engine("received"), redirected(stats) + 1);
}

/// What went by XDP and what by the kernel is all there is.
fn agree_on_transport(stats: &Stats, sent: &[&Datagram]) {
    let daemon = |name| count(&stats.daemon, name);
    let queue = |name| count(&stats.queues[0], name);
    let ike = sent.iter().filter(|it| it.ike().is_some()).count() as u64;
    assert_eq!(daemon("frame_replied") + daemon("udp_sent"), ike);
    assert_eq!(queue("sent"), daemon("frame_replied"));
    assert_eq!(queue("received"), redirected(stats));
}

/// Frames that the XDP program gave to the AF_XDP socket.
pub(crate) fn redirected(stats: &Stats) -> u64 {
    ["redirect_ike", "redirect_ike_nat", "redirect_version"]
        .iter()
        .map(|name| count(&stats.xdp, name))
        .sum()
}
