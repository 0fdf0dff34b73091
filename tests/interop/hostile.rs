//! A million malformed datagrams: the daemon lives, holds no more memory than before, and an honest
//! client connects meanwhile.

use std::{
    fs,
    sync::{Arc, Mutex},
    thread,
};

use harness::{
    datagram::{Datagram, Payload},
    gateway::{Gateway, count},
    lab::V4,
    pki::Key,
    udp::socket,
};
use ikexdp::view::Counters;

use crate::case::Case;
use crate::counters::redirected;
use crate::malformed::{Flood, Spis};

const DATAGRAMS: usize = 1_000_000;

/// After these, every buffer and table has the size it keeps.
const WARM_UP: usize = 100_000;

/// What the daemon may grow by in the other 900,000, in octets: half an octet a datagram. What
/// differs from moment to moment, such as the half-open SAs, is less.
const GROWTH_MAX: u64 = 450_000;

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_million_malformed_datagrams_change_nothing() {
    let mut case = Case::certificates(V4, Key::EcdsaP256);
    case.client.fragment_size = 576;
    // Half-open SAs come and go all the time, and the honest client needs a cookie.
    case.gateway.gateway = "cookie-threshold = 32";
    // XDP is to let the engine see what it would else answer or drop itself.
    case.gateway.tables = "[timing]\nhalf-open = \"2s\"\n[defence]\nallow = [\"192.0.2.2\"]";
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
    assert_all_came(&gateway);
    assert_all_depths(&gateway);
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
    let several = |counters: &Counters, names: &[&str]| {
        for name in names {
            assert!(count(counters, name) > 100, "{name}: {counters:?}");
        }
    };
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
    several(
        &stats.engine,
        &[
            "unsupported_version",
            "unknown_spi",
            "init_accepted",
            "init_malformed",
            "cookie_sent",
            "malformed_encrypted",
            "out_of_window",
            "fragment_received",
            "fragment_stale",
            "unauthentic",
        ],
    );
}
