//! A configuration that changes under SAs that are up, and under handshakes.

use std::sync::Arc;
use std::time::Duration;

use harness::parties::{Parties, Proof, selector};
use harness::script::{Answer, KEY, Script, config};
use ikexdp_proto::config::{Config, RemoteSelectors, Requirement};
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::wire::iana::{
    ConfigurationAttribute, ConfigurationType, ExchangeType, NotifyType, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::Chain;

const OTHER_KEY: &[u8] = b"battery staple";

/// The gateway of [`config`], for those who know another key.
fn rekeyed() -> Config {
    let mut config = config();
    let connection = Arc::make_mut(&mut config.connections[0]);
    connection.requirement = Requirement::SharedKey(SharedKey::new(OTHER_KEY));
    config
}

fn refusal(answer: &Answer) -> Option<NotifyType> {
    let mut notifies = answer.iter();
    let (_, body) = notifies.find(|(kind, _)| *kind == PayloadType::NOTIFY)?;
    Some(Notify::decode(body).unwrap().kind)
}

/// IKE_AUTH with `key`: why it was refused, if it was.
fn authenticate(script: &mut Script, key: &[u8]) -> Option<NotifyType> {
    let payloads = script.auth_payloads(key, Some(script.another_child()));
    refusal(&script.exchange(ExchangeType::IKE_AUTH, 1, &payloads))
}

/// --> INFORMATIONAL { }
/// <-- INFORMATIONAL { }
fn assert_lives(script: &mut Script, id: u32) {
    let empty = Chain {
        first: PayloadType::NONE,
        octets: Vec::new(),
    };
    let answer = script.exchange(ExchangeType::INFORMATIONAL, id, &empty);
    assert!(answer.is_empty(), "{answer:?}");
}

#[test]
fn an_sa_lives_on_and_new_handshakes_take_the_new_key() {
    let mut script = Script::new(config());
    script.establish();
    script.endpoint.reconfigure(Arc::new(rekeyed()));
    assert_lives(&mut script, 2);

    script.begin_anew();
    script.init();
    let failed = NotifyType::AUTHENTICATION_FAILED;
    assert_eq!(authenticate(&mut script, KEY), Some(failed));
    script.begin_anew();
    script.init();
    assert_eq!(authenticate(&mut script, OTHER_KEY), None);
    assert_eq!(script.endpoint.established(), 2);
}

#[test]
fn a_handshake_under_way_finds_the_new_connection() {
    let mut script = Script::new(config());
    script.init();
    script.endpoint.reconfigure(Arc::new(rekeyed()));
    assert_eq!(authenticate(&mut script, OTHER_KEY), None);
    assert_lives(&mut script, 2);
}

/// Whoever connects now is asked whether it lives as soon as the new
/// configuration says; and so is who was there before.
#[test]
fn how_long_things_take_changes_at_once() {
    let mut script = Script::new(config());
    script.establish();
    assert_lives(&mut script, 2);
    let mut impatient = config();
    impatient.timing.liveness = Duration::from_secs(5);
    script.endpoint.reconfigure(Arc::new(impatient));
    assert!(script.wait(Duration::from_secs(4)).is_empty());
    assert_eq!(script.wait(Duration::from_millis(1500)).len(), 1);

    let mut script = Script::new(config());
    script.init();
    let mut patient = config();
    patient.timing.half_open = Duration::from_secs(90);
    script.endpoint.reconfigure(Arc::new(patient));
    script.wait(Duration::from_secs(60));
    assert_eq!(authenticate(&mut script, KEY), None);
}

#[test]
fn the_gate_changes_at_once() {
    let mut script = Script::new(config());
    let mut closed = config();
    closed.gate.half_open_max = 0;
    script.endpoint.reconfigure(Arc::new(closed));
    let request = script.init_request(|_| ());
    assert!(script.deliver(&request).is_empty());
    assert_eq!(script.endpoint.stats().value(Stat::HalfOpenLimit), 1);
}

/// Asks for an IPv4 address: what is given, or why nothing is.
fn lease(script: &mut Script) -> Result<String, NotifyType> {
    script.configuration = Some(Configuration {
        kind: ConfigurationType::REQUEST,
        attributes: vec![Attribute {
            kind: ConfigurationAttribute::INTERNAL_IP4_ADDRESS,
            value: Vec::new().into(),
        }],
    });
    let mut child = script.another_child();
    child.selectors.initiator = vec![selector("0.0.0.0-255.255.255.255")];
    script.init();
    let payloads = script.auth_payloads(KEY, Some(child));
    let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let mut bodies = answer.iter();
    match bodies.find(|(kind, _)| *kind == PayloadType::CONFIGURATION) {
        Some((_, body)) => {
            let reply = Configuration::decode(body).unwrap();
            Ok(reply.attributes[0].address().unwrap().to_string())
        }
        None => Err(refusal(&answer).expect("a reply, or why there is none")),
    }
}

/// Clients keep what they have, wherever it is from, and nobody else gets it.
#[test]
fn an_address_outlives_its_pool() {
    let before = Parties::new(Proof::SharedKey).gateway;
    let mut script = Script::new(before.clone());
    assert_eq!(lease(&mut script), Ok("10.9.0.1".into()));

    // Renamed, and smaller: what is left is in use.
    let mut renamed = before.clone();
    renamed.pools[0].name = "people".into();
    let (first, _) = renamed.pools[0].v4.unwrap();
    renamed.pools[0].v4 = Some((first, first));
    let connection = Arc::make_mut(&mut renamed.connections[0]);
    connection.child.remote = RemoteSelectors::Pool("people".into());
    script.endpoint.reconfigure(Arc::new(renamed));
    script.begin_anew();
    let failure = NotifyType::INTERNAL_ADDRESS_FAILURE;
    assert_eq!(lease(&mut script), Err(failure));

    // Gone.
    let mut without = before.clone();
    without.pools.clear();
    script.endpoint.reconfigure(Arc::new(without));
    script.begin_anew();
    assert_eq!(lease(&mut script), Err(failure));
    let addresses: Vec<_> = script
        .endpoint
        .summaries(None)
        .flat_map(|sa| sa.addresses)
        .map(|address| address.to_string())
        .collect();
    assert_eq!(addresses, ["10.9.0.1"]);

    // And back: it is still in use.
    script.endpoint.reconfigure(Arc::new(before));
    script.begin_anew();
    assert_eq!(lease(&mut script), Ok("10.9.0.2".into()));
}
