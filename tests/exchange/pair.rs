//! Two endpoints and a quiet network: each test is one exchange, drawn.

use std::time::Duration;

use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof, authorities, selector};
use ikexdp_proto::Command;
use ikexdp_proto::config::RemoteSelectors;
use ikexdp_proto::crypto::cert::CredentialError;
use ikexdp_proto::crypto::cipher::{Encryption, Integrity};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::crypto::prf::Prf;
use ikexdp_proto::error::{Error, Unacceptable};
use ikexdp_proto::event::{CloseReason, Event, FailureReason};
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::wire::iana::NotifyType;

const FAIR: Weather = Weather::FAIR;

/// A network on which the client has had time for a handshake.
fn after_connecting(parties: &Parties, weather: Weather) -> Net {
    let mut net = Net::new(1, weather, parties);
    net.connect();
    net.run(Duration::from_secs(5));
    net
}

/// Why the handshake failed, as `side` tells it.
fn failure(net: &Net, side: Side) -> FailureReason {
    let reason = |event: &Event| match event {
        Event::HandshakeFailed(failure) => Some(failure.reason.clone()),
        _ => None,
    };
    let mut reasons = net.events(side).iter().filter_map(reason);
    reasons.next().expect("the handshake fails")
}

fn count(net: &Net, side: Side, stat: Stat) -> u64 {
    net.endpoint(side).stats().value(stat)
}

/// --> IKE_SA_INIT { SA, KE, Ni, N(NATD), N(16430), N(16431) }
/// <-- IKE_SA_INIT { SA, KE, Nr, N(NATD), N(16430), N(16431) }
/// --> IKE_AUTH { IDi, IDr, AUTH, CP(ADDR, ADDR6, DNS), SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, CP(ADDR, ADDR6, DNS), SA, TSi, TSr }
#[test]
fn a_shared_key_makes_an_sa_with_addresses() {
    let net = after_connecting(&Parties::new(Proof::SharedKey), FAIR);
    let gateway = net.established(Side::Gateway).remove(0);
    let client = net.established(Side::Client).remove(0);
    let addresses: Vec<String> = client.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.9.0.1", "2001:db8:9::1"]);
    assert_eq!(gateway.addresses, client.addresses);
    assert_eq!(gateway.peer.unwrap().to_string(), "client@example.com");
    assert_eq!(client.peer.unwrap().to_string(), "gateway.example.com");
    let (ours, theirs) = (&gateway.children[0], &client.children[0]);
    assert_eq!((ours.spi_in, ours.spi_out), (theirs.spi_out, theirs.spi_in));
    let narrowed: Vec<String> = ours.remote.iter().map(ToString::to_string).collect();
    assert_eq!(narrowed, ["10.9.0.1/32", "2001:db8:9::1/128"]);
    assert_eq!(ours.suite.to_string(), "aes256-gcm16/esn");
    assert_eq!(
        gateway.suite.unwrap().to_string(),
        "aes256-gcm16/prf-sha2-256/x25519"
    );
}

/// --> IKE_AUTH { IDi, CERT, CERTREQ, IDr, AUTH, ... } in fragments
/// <-- IKE_AUTH { IDr, CERT, AUTH, ... } in fragments
#[test]
fn certificates_travel_in_fragments() {
    for size in [576, 1280, 1500] {
        let mut parties = Parties::new(Proof::Certificates(6000));
        parties.gateway.fragmentation.datagram_len = size;
        parties.client.fragmentation.datagram_len = size;
        let net = after_connecting(&parties, FAIR);
        let gateway = net.established(Side::Gateway).remove(0);
        let expected = 6500 / u32::from(size);
        assert!(gateway.fragmentation.sent > expected, "{size}");
        assert!(gateway.fragmentation.received > expected, "{size}");
        for side in [Side::Gateway, Side::Client] {
            let sizes = &net.checker().fragment_sizes[&side];
            assert_eq!(sizes.last(), Some(&usize::from(size)), "{side:?}");
        }
    }
}

/// IKE_SA_INIT cannot be fragmented, and clients that see no CERTREQ send no CERT:
/// <-- IKE_SA_INIT { SA, KE, Nr, ..., CERTREQ of as many as fit }
#[test]
fn as_many_authorities_are_named_as_fit() {
    for count in [40, 140] {
        let mut parties = Parties::new(Proof::Certificates(0));
        parties.change_gateway(|connection| connection.requirement = authorities(count));
        let net = after_connecting(&parties, FAIR);
        assert_eq!(net.established(Side::Client).len(), 1, "{count}");
        let longest = net.checker().longest_init[&Side::Gateway];
        assert!(longest > 40 * 20, "{longest}");
        assert!(longest <= 1280, "{longest}");
        assert_eq!(longest > 1280 - 20, count > 40, "{longest}");
    }
}

/// Every suite there is, each with its own key lengths and paddings.
#[test]
fn every_suite_works() {
    let ciphers = Encryption::ALL.into_iter().flat_map(|encryption| {
        let integrity = if encryption.is_aead() {
            vec![None]
        } else {
            Integrity::ALL.map(Some).to_vec()
        };
        integrity
            .into_iter()
            .map(move |integrity| (encryption, integrity))
    });
    for (encryption, integrity) in ciphers {
        for prf in Prf::ALL {
            let mut parties = Parties::new(Proof::Certificates(2000));
            for config in [&mut parties.gateway, &mut parties.client] {
                config.ike.encryption = vec![encryption];
                config.ike.integrity = integrity.into_iter().collect();
                config.ike.prf = vec![prf];
                config.ike.groups = vec![Group::Curve25519];
            }
            let net = after_connecting(&parties, FAIR);
            let up = net.established(Side::Client);
            assert_eq!(up.len(), 1, "{encryption} {integrity:?} {prf}");
        }
    }
}

/// --> IKE_SA_INIT { SA(modp2048, …), KE(modp2048), Ni }
/// <-- IKE_SA_INIT { N(INVALID_KE_PAYLOAD) }
/// --> IKE_SA_INIT { SA(modp2048, …), KE, Ni }
/// <-- IKE_SA_INIT { SA, KE, Nr }
#[test]
fn every_group_works_and_the_gateways_order_decides() {
    for group in Group::ALL {
        let mut parties = Parties::new(Proof::SharedKey);
        let other = Group::ALL
            .into_iter()
            .find(|other| *other != group)
            .unwrap();
        parties.client.ike.groups = vec![other, group];
        parties.gateway.ike.groups = vec![group, other];
        let net = after_connecting(&parties, FAIR);
        let suite = net.established(Side::Client).remove(0).suite.unwrap();
        assert_eq!(suite.group, group);
        assert_eq!(count(&net, Side::Gateway, Stat::InvalidKeSent), 1);
    }
}

/// --> IKE_SA_INIT { SA, KE, Ni }
/// <-- IKE_SA_INIT { N(COOKIE) }
/// --> IKE_SA_INIT { N(COOKIE), SA, KE(wrong), Ni }
/// <-- IKE_SA_INIT { N(INVALID_KE_PAYLOAD) }
/// --> IKE_SA_INIT { N(COOKIE), SA, KE, Ni }
/// <-- IKE_SA_INIT { SA, KE, Nr }
#[test]
fn cookie_and_group_may_both_be_asked_for() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.gateway.gate.cookie_threshold = 0;
    parties.client.ike.groups = vec![Group::Ecp384, Group::Ecp256];
    parties.gateway.ike.groups = vec![Group::Ecp256];
    let net = after_connecting(&parties, FAIR);
    assert_eq!(net.established(Side::Client).len(), 1);
    assert_eq!(count(&net, Side::Gateway, Stat::CookieSent), 1);
    assert_eq!(count(&net, Side::Gateway, Stat::InvalidKeSent), 1);
}

#[test]
fn without_a_common_algorithm_both_sides_say_so() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.client.ike.groups = vec![Group::Modp2048];
    parties.gateway.ike.groups = vec![Group::Curve25519];
    let net = after_connecting(&parties, FAIR);
    let FailureReason::NoCommonAlgorithms(mismatch) = failure(&net, Side::Gateway) else {
        panic!("the gateway says why")
    };
    assert!(mismatch.offered.contains("modp2048"), "{mismatch}");
    assert_eq!(
        failure(&net, Side::Client),
        FailureReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN)
    );
}

/// --> IKE_AUTH { IDi, AUTH, ... }
/// <-- IKE_AUTH { N(AUTHENTICATION_FAILED) }
#[test]
fn who_is_refused_does_not_hear_why() {
    for (proof, reason) in [
        (Proof::WrongSharedKey, FailureReason::SharedKey),
        (
            Proof::UnknownAuthority,
            FailureReason::Credentials(CredentialError::UnknownIssuer),
        ),
    ] {
        let net = after_connecting(&Parties::new(proof), FAIR);
        assert_eq!(failure(&net, Side::Gateway), reason);
        assert_eq!(
            failure(&net, Side::Client),
            FailureReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED)
        );
        assert!(net.established(Side::Gateway).is_empty());
    }
}

#[test]
fn a_certificate_must_assert_the_identity() {
    let mut parties = Parties::new(Proof::Certificates(0));
    parties.change_client(|connection| {
        connection.local_identity = "somebody@example.com".parse().unwrap();
    });
    let net = after_connecting(&parties, FAIR);
    let FailureReason::Credentials(CredentialError::WrongName(names)) =
        failure(&net, Side::Gateway)
    else {
        panic!("the gateway says why")
    };
    assert!(
        names.contains(&"client@example.com".to_string()),
        "{names:?}"
    );
}

/// The client checks the gateway as the gateway checks the client, and tells:
/// --> INFORMATIONAL { N(AUTHENTICATION_FAILED) }
#[test]
fn a_gateway_that_is_not_who_it_says_is_refused() {
    let mut parties = Parties::new(Proof::Certificates(0));
    parties.change_gateway(|connection| {
        connection.local_identity = "other.example.com".parse().unwrap();
    });
    parties.change_client(|connection| {
        let expected = "other.example.com".parse().unwrap();
        connection.remote_identities = vec![IdentityPattern::Exactly(expected)];
    });
    let net = after_connecting(&parties, FAIR);
    assert!(matches!(
        failure(&net, Side::Client),
        FailureReason::Credentials(CredentialError::WrongName(_))
    ));
    assert!(net.established(Side::Gateway).is_empty());
    let told = |event: &Event| {
        let refused = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
        matches!(event, Event::Closed { reason, .. } if *reason == refused)
    };
    assert!(net.events(Side::Gateway).iter().any(told));
}

/// --> IKE_AUTH { IDi, IDr: another gateway, ... }
/// <-- IKE_AUTH { N(AUTHENTICATION_FAILED) }
#[test]
fn a_gateway_that_is_not_asked_for_does_not_answer() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_gateway(|connection| {
        connection.local_identity = "other.example.com".parse().unwrap();
    });
    let net = after_connecting(&parties, FAIR);
    assert!(matches!(
        failure(&net, Side::Gateway),
        FailureReason::NoConnection { wanted: Some(_) }
    ));
}

/// Fragments are sent only if both sides announced them (RFC 7383 §2.3).
#[test]
fn without_both_announcements_messages_are_whole() {
    for (gateway, client) in [(false, true), (true, false)] {
        let mut parties = Parties::new(Proof::Certificates(4000));
        parties.gateway.fragmentation.enabled = gateway;
        parties.client.fragmentation.enabled = client;
        let mut weather = FAIR;
        weather.datagram_len_max = 65_535;
        let net = after_connecting(&parties, weather);
        assert_eq!(net.established(Side::Client).len(), 1);
        assert_eq!(count(&net, Side::Gateway, Stat::FragmentSent), 0);
        assert_eq!(
            count(&net, Side::Gateway, Stat::PeerWithoutFragmentation),
            1
        );
        let told = |event: &Event| matches!(event, Event::NeedsIpFragments { .. });
        assert!(net.events(Side::Gateway).iter().any(told));
        // The same on a path that carries nothing that long.
        let net = after_connecting(&parties, FAIR);
        assert!(net.established(Side::Client).is_empty());
    }
}

/// <-- IKE_AUTH { IDr, AUTH, N(INTERNAL_ADDRESS_FAILURE) }
#[test]
fn an_exhausted_pool_leaves_an_sa_without_child() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.gateway.pools[0].v4 = None;
    parties.gateway.pools[0].v6 = None;
    let net = after_connecting(&parties, FAIR);
    assert!(net.established(Side::Client)[0].children.is_empty());
    assert!(refused_child(
        &net,
        Side::Gateway,
        &Unacceptable::Address.into()
    ));
    let told = Error::PeerRefused(NotifyType::INTERNAL_ADDRESS_FAILURE);
    assert!(refused_child(&net, Side::Client, &told));
    assert_eq!(count(&net, Side::Gateway, Stat::PoolExhausted), 1);
}

/// <-- IKE_AUTH { IDr, AUTH, N(FAILED_CP_REQUIRED) }
#[test]
fn who_asks_for_no_address_where_one_is_needed_gets_no_child() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_client(|connection| {
        connection.child.request_addresses = false;
        connection.child.local = vec![selector("192.0.2.10-192.0.2.10")];
    });
    let net = after_connecting(&parties, FAIR);
    assert!(net.established(Side::Gateway)[0].children.is_empty());
    let refused = Unacceptable::ConfigurationRequired.into();
    assert!(refused_child(&net, Side::Gateway, &refused));
    let told = Error::PeerRefused(NotifyType::FAILED_CP_REQUIRED);
    assert!(refused_child(&net, Side::Client, &told));
}

/// Whether `side` tells that there is no CHILD SA for this reason.
fn refused_child(net: &Net, side: Side, error: &Error) -> bool {
    let refused =
        |event: &Event| matches!(event, Event::ChildRefused { reason, .. } if reason == error);
    net.events(side).iter().any(refused)
}

#[test]
fn site_to_site_narrows_to_what_both_have() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_client(|connection| {
        connection.child.request_addresses = false;
        connection.child.local = vec![selector("192.168.0.0-192.168.255.255")];
        connection.child.remote = RemoteSelectors::Fixed(vec![selector("10.0.0.0-10.255.255.255")]);
    });
    parties.change_gateway(|connection| {
        connection.child.local = vec![selector("10.1.0.0-10.1.255.255")];
        connection.child.remote =
            RemoteSelectors::Fixed(vec![selector("192.168.7.0-192.168.7.255")]);
    });
    let net = after_connecting(&parties, FAIR);
    let child = net.established(Side::Client)[0].children[0].clone();
    let texts = [&child.local[0], &child.remote[0]].map(ToString::to_string);
    assert_eq!(texts, ["192.168.7.0/24", "10.1.0.0/16"]);
}

/// Behind a NAT both sides move to port 4500 (RFC 7296 §2.23).
#[test]
fn behind_a_nat_ike_floats_to_4500() {
    let mut weather = FAIR;
    for (nat, port) in [(false, 500), (true, 4500)] {
        weather.nat = nat;
        let net = after_connecting(&Parties::new(Proof::SharedKey), weather);
        let sa = net.established(Side::Gateway).remove(0);
        assert_eq!(sa.path.local.port(), port);
        assert_eq!(sa.path.marker, nat);
        let found = |event: &Event| match event {
            Event::Established(established) => Some(established.nat),
            _ => None,
        };
        let nat_found = net.events(Side::Gateway).iter().find_map(found).unwrap();
        assert_eq!((nat_found.remote, nat_found.local), (nat, false));
        let nat_found = net.events(Side::Client).iter().find_map(found).unwrap();
        assert_eq!((nat_found.remote, nat_found.local), (false, nat));
    }
}

/// --> INFORMATIONAL { D(IKE) }
/// <-- INFORMATIONAL { }
#[test]
fn either_side_deletes() {
    for side in [Side::Gateway, Side::Client] {
        let mut net = after_connecting(&Parties::new(Proof::SharedKey), FAIR);
        let id = net.established(side)[0].id;
        net.command(side, Command::Terminate(id));
        net.run(Duration::from_secs(1));
        assert!(net.established(Side::Gateway).is_empty());
        assert!(net.established(Side::Client).is_empty());
        let reason = |side: Side| {
            let reason = |event: &Event| match event {
                Event::Closed { reason, .. } => Some(*reason),
                _ => None,
            };
            net.events(side).iter().find_map(reason)
        };
        assert_eq!(reason(side), Some(CloseReason::Terminated));
        assert_eq!(reason(side.other()), Some(CloseReason::PeerDeleted));
        // The address is free again.
        net.connect();
        net.run(Duration::from_secs(1));
        assert_eq!(net.established(Side::Client).len(), 1);
    }
}

/// Both delete at once: the requests cross and both are answered.
#[test]
fn deletes_may_cross() {
    let mut net = after_connecting(&Parties::new(Proof::SharedKey), FAIR);
    for side in [Side::Gateway, Side::Client] {
        let id = net.established(side)[0].id;
        net.command(side, Command::Terminate(id));
    }
    net.run(Duration::from_secs(1));
    for side in [Side::Gateway, Side::Client] {
        assert!(net.endpoint(side).is_quiet());
        assert_eq!(count(&net, side, Stat::DeadPeer), 0);
    }
}

/// The gateway's delete overtakes the verification of its certificate: it is
/// answered when it is repeated.
#[test]
fn a_request_that_comes_too_early_is_answered_later() {
    let mut weather = FAIR;
    weather.job_delay = Duration::from_secs(1);
    let mut net = Net::new(2, weather, &Parties::new(Proof::Certificates(0)));
    net.connect();
    while net.established(Side::Gateway).is_empty() {
        net.run(Duration::from_millis(1));
    }
    let id = net.established(Side::Gateway)[0].id;
    net.command(Side::Gateway, Command::Terminate(id));
    net.run(Duration::from_millis(11));
    assert!(!net.endpoint(Side::Client).is_quiet());
    assert!(net.established(Side::Client).is_empty());
    net.run(Duration::from_secs(8));
    assert!(net.endpoint(Side::Client).is_quiet());
    assert_eq!(count(&net, Side::Client, Stat::Closed), 1);
}

/// The host leaves: every SA is deleted, even one with a question outstanding.
#[test]
fn a_shutdown_says_goodbye_to_all() {
    let mut net = Net::new(1, FAIR, &Parties::new(Proof::SharedKey));
    for _ in 0..5 {
        net.connect();
    }
    net.run(Duration::from_secs(5));
    assert_eq!(net.established(Side::Client).len(), 5);
    // The gateway asks whether they live, and does not hear that they do.
    let mut silence = FAIR;
    silence.loss = 100;
    net.set_weather(silence);
    net.run(Duration::from_secs(10));
    assert!(count(&net, Side::Gateway, Stat::RequestRepeated) >= 5);
    net.set_weather(FAIR);
    net.command(Side::Gateway, Command::Shutdown);
    net.run(Duration::from_secs(10));
    assert!(net.established(Side::Client).is_empty());
    assert!(net.endpoint(Side::Gateway).is_quiet());
    // And greets nobody.
    net.connect();
    net.run(Duration::from_secs(1));
    assert!(net.endpoint(Side::Gateway).is_quiet());
    assert!(count(&net, Side::Gateway, Stat::InitLeaving) >= 1);
}

/// Each side asks a silent other, and hears that it lives.
#[test]
fn a_quiet_sa_lives_on() {
    let mut net = after_connecting(&Parties::new(Proof::SharedKey), FAIR);
    net.run(Duration::from_secs(3600));
    assert_eq!(net.established(Side::Gateway).len(), 1);
    assert_eq!(net.established(Side::Client).len(), 1);
}

#[test]
fn a_peer_that_is_gone_is_noticed() {
    let mut net = after_connecting(&Parties::new(Proof::SharedKey), FAIR);
    let mut silence = FAIR;
    silence.loss = 100;
    net.set_weather(silence);
    net.run(Duration::from_secs(200));
    for side in [Side::Gateway, Side::Client] {
        assert!(net.endpoint(side).is_quiet());
        assert_eq!(count(&net, side, Stat::DeadPeer), 1);
    }
}

/// A job that comes back when its SA is gone changes nothing.
#[test]
fn late_jobs_are_ignored() {
    let mut weather = FAIR;
    weather.job_delay = Duration::from_secs(120);
    let mut net = Net::new(3, weather, &Parties::new(Proof::Certificates(0)));
    for _ in 0..10 {
        net.connect();
    }
    net.run(Duration::from_secs(600));
    for side in [Side::Gateway, Side::Client] {
        assert!(count(&net, side, Stat::HandshakeTimeout) >= 10);
        assert_eq!(count(&net, side, Stat::Established), 0);
        assert!(net.endpoint(side).is_quiet());
    }
}
