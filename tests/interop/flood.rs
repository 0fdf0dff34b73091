//! Floods, and a hundred honest clients that want in meanwhile: all of them get in, and the XDP program
//! alone deals with nearly all of the flood.

use std::time::Duration;

use harness::{
    crowd::{CLIENTS, Crowd},
    flood::{Attacker, Kind, absorbed},
    gateway::{Gateway, Setup, count},
    lab::{Lab, V4},
};
use ikexdp::view::Stats;

use crate::{IKEXDP, counters::redirected};

/// Datagrams a second: what a slow machine can send and receive beside other tests, and several times
/// what the gateway takes without asking for a cookie.
const RATE: u64 = 5000;

/// Datagrams before the first honest client comes: those of a second.
const HEAD_START: u64 = RATE;

/// From one honest client to the next.
const INTERVAL: Duration = Duration::from_millis(20);

/// Has a crowd connect during a flood, and says how many datagrams that had, and what was counted.
fn survive(kind: Kind) -> (u64, Stats) {
    let lab = Lab::new();
    Crowd::settle(&lab);
    let attacker = Attacker::join(&lab, V4.gateway);
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &Setup::new(Crowd::credentials()));
    let crowd = Crowd::gather(&lab);
    let flood = attacker.flood(kind, RATE);
    flood.wait_for(HEAD_START);
    let turnout = crowd.connect(INTERVAL);
    let sent = flood.stop();
    let stats = gateway.stats();
    assert_eq!(turnout.times.len(), CLIENTS, "{kind:?}: {stats:?}");
    let sas = gateway.sas();
    let established = sas.iter().filter(|sa| sa.state == "established");
    assert_eq!(established.count(), CLIENTS);
    gateway.stop();
    (sent, stats)
}

/// User space has seen little of a flood of so many datagrams.
fn user_space_was_spared((sent, stats): &(u64, Stats)) {
    let (absorbed, redirected) = (absorbed(&stats.xdp), redirected(stats));
    assert!(absorbed > sent / 5 * 4, "{absorbed} of {sent}: {stats:?}");
    assert!(redirected < sent / 4, "{redirected} of {sent}: {stats:?}");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_flood_of_requests_from_forged_addresses() {
    let outcome = survive(Kind::Spoofed);
    user_space_was_spared(&outcome);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_flood_of_requests_with_a_giant_sa() {
    let outcome = survive(Kind::Giant);
    user_space_was_spared(&outcome);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_flood_of_messages_for_sas_that_nobody_has() {
    let outcome = survive(Kind::Invented);
    user_space_was_spared(&outcome);
    let (sent, stats) = &outcome;
    assert!(count(&stats.xdp, "drop_stray") > sent / 2, "{stats:?}");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_flood_of_one_request_repeated() {
    let outcome = survive(Kind::Repeated);
    user_space_was_spared(&outcome);
}

/// Whoever receives at an address gets in with cookies, but no faster than the limit of one address.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_flood_from_one_address_with_good_cookies() {
    let outcome = survive(Kind::Proven);
    user_space_was_spared(&outcome);
    let (_, stats) = &outcome;
    assert!(count(&stats.xdp, "drop_source_limit") > 1000, "{stats:?}");
}
