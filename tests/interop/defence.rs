//! What the daemon does with strangers, and with clients of a daemon that is no more.

use std::time::Duration;

use harness::gateway::{Gateway, Transport, count};
use harness::lab::V4;
use harness::patience::until;

use crate::IKEXDP;
use crate::case::Case;

/// The SPI of an SA that is lost carries no tag of the new daemon: XDP lets a few such
/// messages through, and the engine answers them. strongSwan believes nothing that is
/// not protected, lets go when it has asked in vain, and comes back.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_client_of_a_killed_daemon_hears_of_it_and_comes_back() {
    let mut case = Case::psk(V4);
    case.client.dpd_delay = Duration::from_secs(1);
    let (lab, gateway, client) = case.start();
    client.initiate().unwrap();
    gateway.kill();
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &case.gateway);
    // What came before XDP was attached took the kernel's sockets.
    until("the client is told by way of XDP", || {
        let is_told = gateway.count(|stats| &stats.engine, "invalid_spi_sent") > 0
            && gateway.count(|stats| &stats.xdp, "redirect_stray") > 0;
        is_told.then_some(())
    });
    assert_eq!(client.sas().len(), 1, "it does not believe it yet");
    until("the client lets go", || {
        client.sas().is_empty().then_some(())
    });
    client.initiate().unwrap();
    assert_eq!(gateway.sas().len(), 1);
}

/// Cookies are asked for by XDP, with the secrets of the engine, which asks for none.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn cookies_cost_a_client_a_round_trip_and_the_daemon_nothing() {
    for transport in [Transport::Native, Transport::Udp] {
        let mut case = Case::psk(V4);
        case.gateway.transport = transport;
        case.gateway.tables = "[defence]\ncookies = \"always\"\n";
        let (_lab, gateway, client) = case.start();
        client.initiate().unwrap();
        assert_eq!(gateway.sas().len(), 1);
        let by_engine = gateway.count(|stats| &stats.engine, "cookie_sent");
        if transport == Transport::Native {
            assert_eq!(gateway.count(|stats| &stats.xdp, "reply_cookie"), 1);
            assert_eq!(by_engine, 0);
        } else {
            assert_eq!(by_engine, 1);
        }
        assert!(gateway.status().challenging_s.is_some());
    }
}

/// All that has come so far was dropped because its source is blocked, and there was some.
pub(crate) fn nobody_was_heard(transport: Transport, gateway: &Gateway) {
    let stats = gateway.stats();
    let dropped = if transport != Transport::Udp {
        count(&stats.xdp, "drop_blocked")
    } else {
        count(&stats.daemon, "udp_blocked")
    };
    assert!(dropped > 0);
    assert_eq!(count(&stats.engine, "received"), 0);
}

/// Who is blocked is not heard, by XDP or by the kernel's sockets, until the list is
/// another.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn who_is_blocked_is_not_heard() {
    for transport in [Transport::Native, Transport::Udp] {
        let mut case = Case::psk(V4);
        case.gateway.transport = transport;
        case.gateway.tables = "[defence]\nblock = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\n";
        let (_lab, gateway, client) = case.start();
        assert!(client.initiate().is_err());
        nobody_was_heard(transport, &gateway);
        case.gateway.tables = "[defence]\nnode = 9\n";
        let (taken, text) = gateway.reload(&case.gateway);
        assert!(taken, "{text}");
        assert!(text.contains("defence.node stays 0, not 9"), "{text}");
        client.initiate().unwrap();
        assert_eq!(gateway.sas().len(), 1);
    }
}
