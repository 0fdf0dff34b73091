//! Floods, and a hundred honest clients that want in meanwhile: all of them get in.

use std::time::Duration;

use harness::{
    cpu,
    crowd::{CLIENTS, Crowd, Turnout},
    flood::{Attacker, Kind},
    gateway::{Gateway, Setup},
    lab::{Lab, V4},
};
use ikexdp::view::Stats;

use crate::IKEXDP;

/// Datagrams a second: what the slowest machine that runs tests can send, and more than
/// the gateway could have without a defence.
const RATE: u64 = 5000;

/// Datagrams before the first honest client comes.
const HEAD_START: u64 = 5000;

/// From one honest client to the next.
const INTERVAL: Duration = Duration::from_millis(20);

/// What came of a flood.
struct Outcome {
    sent: u64,
    turnout: Turnout,
    stats: Stats,
}

fn flood(kind: Kind) -> Outcome {
    let lab = Lab::new();
    Crowd::settle(&lab);
    let attacker = Attacker::join(&lab, V4.gateway);
    let setup = Setup::new(Crowd::credentials());
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    let crowd = Crowd::gather(&lab);
    let flood = attacker.flood(kind, RATE);
    flood.wait_for(HEAD_START);
    let turnout = crowd.connect(INTERVAL);
    let outcome = Outcome {
        sent: flood.stop(),
        turnout,
        stats: gateway.stats(),
    };
    println!(
        "{kind:?}: sent {}, in {}, median {:?}, p95 {:?}, packets {:?}, all {:?}",
        outcome.sent,
        outcome.turnout.times.len(),
        outcome.turnout.percentile(50),
        outcome.turnout.percentile(95),
        cpu::time(gateway.pid(), Some("ikexdp-packets")),
        cpu::time(gateway.pid(), None)
    );
    let nonzero = |counters: &ikexdp::view::Counters| -> Vec<_> {
        counters.0.iter().filter(|(_, n)| *n > 0).cloned().collect()
    };
    println!(
        "{:?}\n{:?}\n{:?}\n{:?}",
        nonzero(&outcome.stats.xdp),
        nonzero(&outcome.stats.queues[0]),
        nonzero(&outcome.stats.daemon),
        nonzero(&outcome.stats.engine)
    );
    gateway.stop();
    outcome
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn spoofed_requests() {
    let outcome = flood(Kind::Spoofed);
    assert_eq!(outcome.turnout.times.len(), CLIENTS);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn giant_proposals() {
    let outcome = flood(Kind::Giant);
    assert_eq!(outcome.turnout.times.len(), CLIENTS);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn invented_sas() {
    let outcome = flood(Kind::Invented);
    assert_eq!(outcome.turnout.times.len(), CLIENTS);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn one_request_for_ever() {
    let outcome = flood(Kind::Repeated);
    assert_eq!(outcome.turnout.times.len(), CLIENTS);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn one_address_with_cookies() {
    let outcome = flood(Kind::Proven);
    assert_eq!(outcome.turnout.times.len(), CLIENTS);
}
