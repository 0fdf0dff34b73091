//! Prefixes that are blocked and allowed while the daemon runs.

use std::net::Ipv4Addr;

use harness::gateway::{Gateway, Transport, count};
use harness::lab::{V4, V6};
use harness::packet::ike_sa_init;
use harness::patience::until;
use harness::udp::socket;
use ikexdp::view::{ListedPrefix, Listing};
use ikexdp_common::maps::LISTED_MAX;

use crate::IKEXDP;
use crate::case::Case;
use crate::defence::nobody_was_heard;

/// Where the client is.
const CLIENTS: &str = "192.0.2.0/24";

fn lists(gateway: &Gateway) -> Vec<ListedPrefix> {
    serde_json::from_str(&gateway.ask(&["lists", "--json"])).unwrap()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn who_is_blocked_by_command_is_not_heard_until_that_is_withdrawn() {
    for transport in [Transport::Native, Transport::Udp] {
        let mut case = Case::psk(V4);
        case.gateway.transport = transport;
        case.gateway.tables = "[defence]\nallow = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n";
        let (_lab, gateway, client) = case.start();
        let said = gateway.ask(&["block", CLIENTS, "203.0.113.7", "--for", "1h"]);
        let expected = "blocked for 1h: 192.0.2.0/24, 203.0.113.7/32\n";
        assert_eq!(said, expected);
        let line = gateway.line("prefixes listed by command");
        for part in [
            "count=2 ",
            "192.0.2.0/24, 203.0.113.7/32",
            "listing=blocked ",
            " uid=0 ",
            " pid=",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        // The configuration is another, and says what it said.
        assert!(gateway.reload(&case.gateway).0);
        let listed = lists(&gateway);
        let [clients, other, configured] = listed.as_slice() else {
            panic!("three prefixes: {listed:?}")
        };
        assert_eq!(clients.prefix.to_string(), CLIENTS);
        assert_eq!(clients.listing, Listing::Blocked);
        assert_eq!(clients.configured, Some(Listing::Allowed));
        let command = clients.command.expect("a command says so");
        assert_eq!(command.uid, 0);
        assert!(command.seconds_left.is_some_and(|left| left <= 3600));
        assert_eq!(other.configured, None);
        assert_eq!(configured.command, None);

        assert!(client.initiate().is_err());
        nobody_was_heard(transport, &gateway);
        let withdrawn = gateway.ask(&["unlist", CLIENTS]);
        assert_eq!(withdrawn, format!("withdrawn: {CLIENTS}\n"));
        client.initiate().unwrap();
        assert_eq!(gateway.sas().len(), 1);
    }
}

/// By command or by the configuration: XDP asks for nothing, and the engine, whatever the transport,
/// for what everybody is asked for.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn who_is_allowed_is_asked_for_cookies_by_the_engine() {
    for transport in [Transport::Native, Transport::Udp] {
        let mut case = Case::psk(V4);
        case.gateway.transport = transport;
        case.gateway.tables = "[defence]\ncookies = \"always\"\n";
        let (_lab, gateway, client) = case.start();
        gateway.ask(&["allow", CLIENTS]);
        client.initiate().unwrap();
        client.terminate().unwrap();
        gateway.ask(&["unlist", CLIENTS]);
        case.gateway.tables = "[defence]\ncookies = \"always\"\nallow = [\"192.0.2.2\"]\n";
        assert!(gateway.reload(&case.gateway).0);
        client.initiate().unwrap();
        let stats = gateway.stats();
        assert_eq!(count(&stats.engine, "established"), 2);
        assert_eq!(count(&stats.engine, "cookie_sent"), 2);
        if transport == Transport::Native {
            assert_eq!(count(&stats.xdp, "reply_cookie"), 0);
        }
    }
}

/// Nobody has to take it back.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn who_is_blocked_for_a_time_is_heard_again_when_that_is_over() {
    for (ends, transport) in [(V6, Transport::Native), (V4, Transport::Generic)] {
        let mut case = Case::psk(ends);
        case.gateway.transport = transport;
        let (lab, gateway, client) = case.start();
        let prefix = ends.client.to_string();
        let stranger = socket(&lab.client, ends.client, 0);
        gateway.ask(&["block", &prefix, "--for", "2s"]);
        assert_eq!(gateway.status().listed.blocked, 1);
        let request = ike_sa_init(100);
        stranger.send_to(&request, (ends.gateway, 500)).unwrap();
        until("the time is over", || {
            lists(&gateway).is_empty().then_some(())
        });
        nobody_was_heard(transport, &gateway);
        let line = gateway.line("prefixes listed no longer, their time is over");
        assert!(line.contains(&prefix), "{line}");
        client.initiate().unwrap();
        assert_eq!(gateway.sas().len(), 1);
    }
}

/// XDP knows the longest prefixes; the daemon knows all.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn what_xdp_has_no_room_for_the_daemon_drops() {
    let hosts = (0x0a00_0000..).take(LISTED_MAX).map(Ipv4Addr::from_bits);
    let hosts: Vec<_> = hosts.map(|host| format!("\"{host}\"")).collect();
    let hosts = hosts.join(", ");
    let tables = format!("[defence]\nblock = [{hosts}, \"{CLIENTS}\"]\n");
    let mut case = Case::psk(V4);
    case.gateway.tables = tables.leak();
    let (lab, gateway, client) = case.start();
    let line = gateway.line("prefixes left out of XDP");
    assert!(line.contains(" left_out=1 "), "{line}");
    assert!(client.initiate().is_err());
    let stats = gateway.stats();
    assert!(count(&stats.daemon, "frame_blocked") > 0);
    assert_eq!(count(&stats.xdp, "drop_blocked"), 0);
    assert_eq!(count(&stats.engine, "received"), 0);

    let mut ikexdp = harness::namespace::command(IKEXDP);
    ikexdp.args(["block", "203.0.113.7"]);
    let refused = lab.gateway.output(ikexdp);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("there is room for 65536 prefixes; hint: "),
        "{said}"
    );
}
