//! Two captures of one attempt, and two gateways behind one address.

use std::time::Duration;

use harness::{
    capture,
    gateway::{Gateway, Setup},
    lab::{Path, V4, address, connect},
    namespace::Namespace,
    pki::Key,
};
use serde_json::Value;

use super::{Recording, assert_verdict, diagnose};
use crate::{IKEXDP, case::Case};

/// What the second file's clock is ahead.
const AHEAD: Duration = Duration::from_secs(90);

/// Clocks 90 seconds apart do not keep two captures from being of one attempt.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn clocks_may_differ() {
    const PATH: Path = Path {
        rules: "iifname \"client\" udp dport 4500 @th,224,8 53 @th,352,16 2 drop\n",
        ..Path::FRAGMENTS_DROPPED
    };
    for (path, id) in [(PATH, "ike-fragments-lost"), (Path::default(), "")] {
        let mut case = Case::certificates(V4, Key::EcdsaP256);
        case.client.fragment_size = 576;
        case.path = path;
        let (lab, _gateway, client) = case.start();
        let recording = Recording::start(&lab);
        assert_eq!(client.initiate().is_ok(), id.is_empty());
        let recorded = recording.stop();
        let shifted = recorded.file("shifted.pcap");
        capture::shift(&recorded.file("gateway.pcap"), &shifted, AHEAD);
        let report = diagnose(&[&recorded.file("client.pcap"), &shifted], &[]);
        let attempts = report["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{report:#}");
        let seen = attempts[0]["messages"].as_array().unwrap().iter();
        let mut captures: Vec<u64> = seen.filter_map(|it| it["capture"].as_u64()).collect();
        captures.sort_unstable();
        captures.dedup();
        assert_eq!(captures.len(), 2, "both have messages of it");
        if id.is_empty() {
            assert_eq!(attempts[0]["verdict"], Value::Null, "{report:#}");
            assert_eq!(attempts[0]["outcome"], "established");
        } else {
            assert_verdict(&report, id, &[809]);
        }
    }
}

/// A load balancer sends port 500 to one gateway, and 4500 to another.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn two_gateways_behind_one_address() {
    let mut case = Case::psk(V4);
    case.path = Path {
        nat: true,
        ..Path::FRAGMENTS_DROPPED
    };
    let (lab, _gateway, client) = case.start();
    let other = Namespace::new("other");
    connect((&lab.router, "other"), (&other, "eth0"));
    address(&lab.router, "other", &["203.0.113.1/24"]);
    address(&other, "eth0", &["203.0.113.2/24"]);
    other.exec("ip route add default via 203.0.113.1");
    let _other = Gateway::start(
        IKEXDP,
        &other,
        &Setup::new(case.gateway.credentials.clone()),
    );
    for line in [
        "add table ip balance",
        "add chain ip balance in { type nat hook prerouting priority dstnat ; }",
        "add rule ip balance in udp dport 4500 dnat to 203.0.113.2",
    ] {
        lab.router.exec(&format!("nft {line}"));
    }
    let recording = Recording::start(&lab);
    client.initiate().unwrap_err();
    let recorded = recording.stop();
    assert_verdict(&recorded.of_client(), "different-gateways", &[809]);
    assert_verdict(&recorded.of_both(), "different-gateways", &[809]);
}
