//! A million malformed datagrams: the daemon lives, holds no more memory than before, and an honest
//! client connects meanwhile.

use std::{
    fs,
    sync::{Arc, Mutex},
    thread,
};

use harness::{
    datagram::{Datagram, Payload},
    gateway::{Gateway, Transport, count},
    lab::V4,
    pki::Key,
    udp::socket,
};
use ikexdp::view::{Counters, Stats};

use crate::case::Case;
use crate::counters::redirected;
use crate::malformed::{Flood, Spis};

const DATAGRAMS: usize = 1_000_000;

/// After these, every buffer and table has the size it keeps.
const WARM_UP: usize = 100_000;

/// What the daemon may grow by in the other 900,000, in octets, where cookies keep the half-open SAs
/// few, and as many as after the warm-up: an octet a datagram. Half of that is what happened last, for those who follow events, which is
/// not all there after the warm-up; what differs from moment to moment is less than the rest.
const GROWTH_MAX: u64 = 900_000;

/// Who is allowed is seen by the engine, whatever XDP would else answer or drop itself, and is
/// asked for cookies there.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_million_malformed_datagrams_change_nothing() {
    let mut case = case();
    case.gateway.gateway = "cookie-threshold = 32";
    case.gateway.tables = "[timing]\nhalf-open = \"2s\"\n[defence]\nallow = [\"192.0.2.2\"]";
    let gateway = survive(&case);
    assert_all_came(&gateway);
    assert_all_depths(&gateway);
}

/// Half-open SAs come and go all the time, and the honest client needs a cookie.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_million_malformed_datagrams_change_nothing_without_xdp() {
    let mut case = case();
    case.gateway.transport = Transport::Udp;
    case.gateway.gateway = "cookie-threshold = 32";
    case.gateway.tables = "[timing]\nhalf-open = \"2s\"";
    let gateway = survive(&case);
    let Stats { daemon, engine, .. } = gateway.stats();
    let received = count(&daemon, "udp_received");
    assert!(received > DATAGRAMS as u64 / 4, "{daemon:?}");
    assert_eq!(count(&engine, "received"), received);
    several(&engine, &ENGINE);
    several(&engine, &["cookie_sent"]);
}

fn case() -> Case {
    let mut case = Case::certificates(V4, Key::EcdsaP256);
    case.client.fragment_size = 576;
    case
}

/// Has a client connect again and again while the datagrams come.
fn survive(case: &Case) -> Gateway {
    let (lab, gateway, client) = case.start();
    let capture = lab.capture_router();
    client.initiate().unwrap();
    client.terminate().unwrap();
    let genuine = requests(&capture.stop());
    client.initiate().unwrap();
    let established = Arc::new(Mutex::new(spis(&gateway)));
    let attacker = socket(&lab.client, V4.client, 0);
    let mut flood = Flood::new(attacker, V4.gateway, genuine, Arc::clone(&established));
    let pid = gateway.pid();

    flood.send(WARM_UP);
    let before = resident(pid);
    let flood = thread::spawn(move || flood.send(DATAGRAMS - WARM_UP));
    let mut connected = 0;
    while !flood.is_finished() {
        client.terminate().unwrap();
        client.initiate().unwrap();
        *established.lock().unwrap() = spis(&gateway);
        connected += 1;
    }
    flood.join().unwrap();
    let after = resident(pid);

    assert_eq!(gateway.pid(), pid, "the daemon lives");
    assert!(connected > 3, "{connected}");
    assert!(after < before + GROWTH_MAX, "{before} octets, then {after}");
    gateway
}

/// What the client sent to the gateway, without the marker.
fn requests(datagrams: &[Datagram]) -> Vec<Vec<u8>> {
    let theirs = datagrams.iter().filter(|it| it.source == V4.client);
    let message = |datagram: &Datagram| match &datagram.payload {
        Payload::Udp {
            destination: 500,
            data,
            ..
        } => Some(data.clone()),
        Payload::Udp { data, .. } => data.strip_prefix(&[0; 4]).map(<[u8]>::to_vec),
        Payload::Other(_) => None,
    };
    let requests: Vec<_> = theirs.filter_map(message).collect();
    let fragments = "IKE_SA_INIT, fragments of IKE_AUTH, INFORMATIONAL";
    assert!(requests.len() > 3, "{} of {fragments}", requests.len());
    requests
}

/// The SPIs of the only established SA.
fn spis(gateway: &Gateway) -> Spis {
    let sas = gateway.sas();
    let mut established = sas.iter().filter(|sa| sa.state == "established");
    let sa = established.next().expect("an established SA");
    let spi = |text: &str| u64::from_str_radix(text, 16).unwrap().to_be_bytes();
    let spis = [spi(&sa.initiator_spi), spi(&sa.responder_spi)].concat();
    spis.try_into().unwrap()
}

/// Memory of a process that is in RAM, in octets.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let kib = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = kib.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.unwrap().parse::<u64>().unwrap() << 10
}

/// XDP has counted every datagram, and what it redirected the engine has handled.
fn assert_all_came(gateway: &Gateway) {
    let stats = gateway.stats();
    let udp = |name: &str| name != "pass_not_udp" && name != "pass_not_ip";
    let seen = stats.xdp.0.iter().filter(|(name, _)| udp(name));
    let seen: u64 = seen.map(|(_, value)| value).sum();
    assert!(seen >= DATAGRAMS as u64, "{seen}: {:?}", stats.xdp);

    let redirected = redirected(&stats);
    assert!(redirected > DATAGRAMS as u64 / 4, "{:?}", stats.xdp);
    assert_eq!(count(&stats.queues[0], "received"), redirected);
    let by_kernel = count(&stats.daemon, "udp_received");
    assert_eq!(count(&stats.engine, "received"), redirected + by_kernel);
}

/// Some were found out by XDP, others by the gate, and others by the keys.
fn assert_all_depths(gateway: &Gateway) {
    let stats = gateway.stats();
    several(
        &stats.xdp,
        &[
            "drop_short",
            "drop_length",
            "drop_version",
            "drop_exchange",
            "drop_message_id",
            "drop_responder_spi",
        ],
    );
    several(&stats.engine, &ENGINE);
    several(&stats.engine, &["cookie_sent"]);
}

/// What the engine finds out.
const ENGINE: [&str; 9] = [
    "unsupported_version",
    "unknown_spi",
    "init_accepted",
    "init_malformed",
    "malformed_encrypted",
    "out_of_window",
    "fragment_received",
    "fragment_stale",
    "unauthentic",
];

fn several(counters: &Counters, names: &[&str]) {
    for name in names {
        assert!(count(counters, name) > 100, "{name}: {counters:?}");
    }
}
