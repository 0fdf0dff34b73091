//! IKE_AUTH, seen from a peer's side.

use std::time::Duration;

use harness::parties::{Parties, Proof, selector};
use harness::script::{Answer, KEY, Script, config, kinds};
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::message::child::ChildPayloads;
use ikexdp_proto::wire::iana::{
    ConfigurationAttribute, ConfigurationType, ExchangeType, NotifyType, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::ts::{self, TrafficSelector};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

fn notified(answer: &Answer) -> Option<NotifyType> {
    let notify = answer
        .iter()
        .find(|(kind, _)| *kind == PayloadType::NOTIFY)?;
    Some(Notify::decode(&notify.1).unwrap().kind)
}

/// --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr }
#[test]
fn the_right_key_opens() {
    let mut script = Script::new(config());
    let answer = script.establish();
    let expected = [
        PayloadType::ID_RESPONDER,
        PayloadType::AUTHENTICATION,
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::TRAFFIC_SELECTOR_INITIATOR,
        PayloadType::TRAFFIC_SELECTOR_RESPONDER,
    ];
    assert_eq!(kinds(&answer), expected);
    let narrowed = ts::decode(&answer[4].1).unwrap();
    assert_eq!(narrowed, [selector("10.1.0.0-10.1.255.255")]);
    assert_eq!(script.endpoint.established(), 1);
}

/// --> IKE_AUTH { IDi, AUTH, ... }
/// <-- IKE_AUTH { N(AUTHENTICATION_FAILED) }
#[test]
fn the_wrong_key_does_not() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(b"wrong", Some(Script::child()));
    let request = script.seal(ExchangeType::IKE_AUTH, 1, &payloads);
    let sent = script.deliver(&request);
    let answer = script.open(&sent[0]);
    assert_eq!(kinds(&answer), [PayloadType::NOTIFY]);
    assert_eq!(notified(&answer), Some(NotifyType::AUTHENTICATION_FAILED));
    assert_eq!(script.endpoint.established(), 0);
    let Some(Event::HandshakeFailed(failure)) = script.events.last() else {
        panic!("the operator hears nothing")
    };
    assert_eq!(failure.reason, FailureReason::SharedKey);
    // The answer may be lost: who asks again hears it again.
    assert_eq!(script.deliver(&request), sent);
}

/// Who fails to prove who it is keeps its place until its answer is forgotten:
/// failing must not be a way around the limits.
#[test]
fn a_refused_handshake_counts_as_half_open() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(b"wrong", None);
    script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    assert_eq!(script.endpoint.half_open(), 1);
    script.wait(Duration::from_secs(11));
    assert_eq!(script.endpoint.half_open(), 0);
}

/// --> IKE_AUTH { IDi, AUTH }
/// <-- IKE_AUTH { IDr, AUTH }
#[test]
fn a_childless_handshake_is_one() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(KEY, None);
    let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let expected = [PayloadType::ID_RESPONDER, PayloadType::AUTHENTICATION];
    assert_eq!(kinds(&answer), expected);
    assert_eq!(script.endpoint.established(), 1);
}

/// --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, N(TS_UNACCEPTABLE) }
#[test]
fn the_ike_sa_stands_without_a_child() {
    let refused = |child: ChildPayloads| {
        let mut script = Script::new(config());
        script.init();
        let payloads = script.auth_payloads(KEY, Some(child));
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
        assert_eq!(script.endpoint.established(), 1);
        notified(&answer).unwrap()
    };
    let elsewhere = ChildPayloads {
        initiator: vec![selector("203.0.113.1-203.0.113.1")],
        ..Script::child()
    };
    assert_eq!(refused(elsewhere), NotifyType::TS_UNACCEPTABLE);
    // OpenIKED sends an empty SA payload when it has nothing to offer.
    let nothing = ChildPayloads {
        proposals: Vec::new(),
        ..Script::child()
    };
    assert_eq!(refused(nothing), NotifyType::NO_PROPOSAL_CHOSEN);
}

/// A request for these attributes, without values.
fn request(attributes: &[ConfigurationAttribute]) -> Configuration<'static> {
    let attribute = |kind: &ConfigurationAttribute| Attribute {
        kind: *kind,
        value: Vec::new().into(),
    };
    Configuration {
        kind: ConfigurationType::REQUEST,
        attributes: attributes.iter().map(attribute).collect(),
    }
}

/// --> IKE_AUTH { IDi, AUTH, CP(ADDR, ADDR6, DNS, DNS6), SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, CP(10.9.0.1, 2001:db8:9::1/128, 10.0.0.53, …), SA, TSi, TSr }
#[test]
fn what_was_asked_for_is_configured_and_nothing_else() {
    use ConfigurationAttribute as Is;
    let (address, address6) = (&[10, 9, 0, 1][..], "2001:db8:9::1");
    let address6: std::net::Ipv6Addr = address6.parse().unwrap();
    let address6 = [&address6.octets()[..], &[128]].concat();
    let server6: std::net::Ipv6Addr = "2001:db8::53".parse().unwrap();
    let everything = [
        (Is::INTERNAL_IP4_ADDRESS, address),
        (Is::INTERNAL_IP6_ADDRESS, &address6),
        (Is::INTERNAL_IP4_DNS, &[10, 0, 0, 53]),
        (Is::INTERNAL_IP6_DNS, &server6.octets()),
    ];
    for asked in [&everything[..], &everything[..1], &everything[..3]] {
        let mut config = Parties::new(Proof::SharedKey).gateway;
        config.pools[0].dns.push(server6.into());
        let mut script = Script::new(config);
        script.init();
        let kinds: Vec<_> = asked.iter().map(|(kind, _)| *kind).collect();
        script.configuration = Some(request(&kinds));
        let child = ChildPayloads {
            initiator: vec![selector("10.9.0.0-10.9.0.255")],
            ..Script::child()
        };
        let payloads = script.auth_payloads(KEY, Some(child));
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
        let is_configuration = |(kind, _): &&(PayloadType, _)| *kind == PayloadType::CONFIGURATION;
        let reply = answer.iter().find(is_configuration).expect("CP");
        let reply = Configuration::decode(&reply.1).unwrap();
        assert_eq!(reply.kind, ConfigurationType::REPLY);
        let given: Vec<_> = reply
            .attributes
            .iter()
            .map(|attribute| (attribute.kind, &*attribute.value))
            .collect();
        assert_eq!(given, asked);
    }
}

/// OpenIKED writes "the address you will give me" as the unspecified address:
/// --> IKE_AUTH { IDi, AUTH, CP(ADDR), SA, TSi(0.0.0.0), TSr }
/// <-- IKE_AUTH { IDr, AUTH, CP(10.9.0.1), SA, TSi(10.9.0.1), TSr }
#[test]
fn an_unspecified_address_is_the_assigned_one() {
    let mut script = Script::new(Parties::new(Proof::SharedKey).gateway);
    script.init();
    let asked = ConfigurationAttribute::INTERNAL_IP4_ADDRESS;
    script.configuration = Some(request(&[asked]));
    let dynamic = selector("0.0.0.0-0.0.0.0");
    let child = ChildPayloads {
        initiator: vec![TrafficSelector {
            protocol: 17,
            ..dynamic
        }],
        ..Script::child()
    };
    let payloads = script.auth_payloads(KEY, Some(child));
    let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let is_selector =
        |(kind, _): &&(PayloadType, _)| *kind == PayloadType::TRAFFIC_SELECTOR_INITIATOR;
    let narrowed = answer.iter().find(is_selector).expect("a CHILD SA");
    let expected = TrafficSelector {
        protocol: 17,
        ..selector("10.9.0.1-10.9.0.1")
    };
    assert_eq!(ts::decode(&narrowed.1).unwrap(), [expected]);
}

#[test]
fn what_is_missing_or_double_is_refused_and_the_sa_with_it() {
    let mut nothing = ChainWriter::default();
    nothing.payload(PayloadType::VENDOR_ID, |body| body.u32(7));
    let mut twice = ChainWriter::default();
    for _ in 0..2 {
        let kind = PayloadType::ID_INITIATOR;
        twice.payload(kind, |body| body.bytes(b"\x02\0\0\0client"));
    }
    for payloads in [nothing, twice] {
        let mut script = Script::new(config());
        script.init();
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads.finish());
        assert_eq!(notified(&answer), Some(NotifyType::INVALID_SYNTAX));
        assert_eq!(script.endpoint.established(), 0);
    }
}

/// A peer that has keys but no name gets nothing but IKE_AUTH.
#[test]
fn another_exchange_is_out_of_turn() {
    let mut script = Script::new(config());
    script.init();
    let payloads = Chain {
        first: PayloadType::NONE,
        octets: Vec::new(),
    };
    let answer = script.exchange(ExchangeType::INFORMATIONAL, 1, &payloads);
    assert_eq!(notified(&answer), Some(NotifyType::INVALID_SYNTAX));
    assert!(script.endpoint.is_quiet());
}

/// Half a handshake that never goes on is told with what did arrive.
#[test]
fn an_incomplete_request_is_told_when_time_is_over() {
    let mut script = Script::new(config());
    script.init();
    let part = script.seal_part(
        ExchangeType::IKE_AUTH,
        1,
        PayloadType::ID_INITIATOR,
        Some((1, 3)),
        b"part",
    );
    script.now = script.now + Duration::from_secs(5);
    assert!(script.deliver(&part).is_empty());
    script.wait(Duration::from_secs(26));
    let Some(Event::HandshakeFailed(failure)) = script.events.last() else {
        panic!("the operator hears nothing")
    };
    let expected = FailureReason::Timeout {
        waiting_for: ExchangeType::IKE_AUTH,
        fragments: Some((1, 3)),
    };
    assert_eq!(failure.reason, expected);
}
