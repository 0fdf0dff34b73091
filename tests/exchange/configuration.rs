//! Addresses and all else that a client is told along with its first SA.

use std::net::{Ipv4Addr, Ipv6Addr};

use harness::parties::{CLIENT, Parties, Proof, selector};
use harness::script::{Answer, KEY, Script};
use ikexdp_proto::Command;
use ikexdp_proto::config::Config;
use ikexdp_proto::identity::Identity;
use ikexdp_proto::lease::Assignment;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::IkeSaId;
use ikexdp_proto::wire::iana::{
    ConfigurationAttribute as Is, ConfigurationType, ExchangeType, NotifyType, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::ts::{self, TrafficSelector};

/// An attribute, and its value.
type Value<'a> = (Is, &'a [u8]);

/// A request for these attributes.
fn request(attributes: &[Value<'_>]) -> Configuration<'static> {
    let attribute = |(kind, value): &Value<'_>| Attribute {
        kind: *kind,
        value: value.to_vec().into(),
    };
    Configuration {
        kind: ConfigurationType::REQUEST,
        attributes: attributes.iter().map(attribute).collect(),
    }
}

fn body(answer: &Answer, kind: PayloadType) -> Option<&[u8]> {
    let mut payloads = answer.iter();
    let (_, body) = payloads.find(|(known, _)| *known == kind)?;
    Some(body)
}

/// Completes a handshake with a request for `asked`: what is given, or why
/// nothing is.
fn configure(
    script: &mut Script,
    asked: &[Value<'_>],
) -> Result<Configuration<'static>, NotifyType> {
    script.init();
    script.configuration = Some(request(asked));
    let mut child = script.another_child();
    child.selectors.initiator = vec![
        selector("0.0.0.0-255.255.255.255"),
        selector("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ];
    let payloads = script.auth_payloads(KEY, Some(child));
    let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let Some(reply) = body(&answer, PayloadType::CONFIGURATION) else {
        let notify = body(&answer, PayloadType::NOTIFY).expect("a reply, or why there is none");
        return Err(Notify::decode(notify).unwrap().kind);
    };
    let reply = Configuration::decode(reply).unwrap();
    assert_eq!(reply.kind, ConfigurationType::REPLY);
    let owned = reply.attributes.into_iter().map(|attribute| Attribute {
        kind: attribute.kind,
        value: attribute.value.into_owned().into(),
    });
    Ok(Configuration {
        kind: reply.kind,
        attributes: owned.collect(),
    })
}

/// The same by another SA of `identity`: the addresses it gets.
fn addresses_of(script: &mut Script, identity: &str, asked: &[Value<'_>]) -> Vec<String> {
    script.begin_anew();
    script.identity = identity.parse().unwrap();
    let reply = configure(script, asked).unwrap();
    let addresses = reply.attributes.iter().filter_map(Attribute::address);
    addresses.map(|address| address.to_string()).collect()
}

/// The SAs that are up.
fn sas(script: &Script, of: &str) -> Vec<IkeSaId> {
    let identity: Identity = of.parse().unwrap();
    let sas = script.endpoint.summaries(None);
    let sas = sas.filter(|sa| sa.state == "established");
    sas.filter(|sa| sa.peer.as_ref() == Some(&identity))
        .map(|sa| sa.id)
        .collect()
}

/// Ends the SAs of `identity`.
fn leave(script: &mut Script, identity: &str) {
    for id in sas(script, identity) {
        script.command(Command::Terminate(id));
    }
}

fn gateway() -> Config {
    Parties::new(Proof::SharedKey).gateway
}

const ANY_V4: Value<'static> = (Is::INTERNAL_IP4_ADDRESS, &[]);
const ANY_V6: Value<'static> = (Is::INTERNAL_IP6_ADDRESS, &[]);

/// --> IKE_AUTH { IDi, AUTH, CP(ADDR, ADDR6, DNS, DNS6, DOMAIN, SUBNET, SUBNET6, SERVER, SERVER6), SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, CP(10.9.0.1, 2001:db8:9::1/128, 10.0.0.53, …), SA, TSi, TSr }
#[test]
fn what_was_asked_for_is_configured_and_nothing_else() {
    let v6 = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let with_length = |text: &str, length: u8| [&v6(text)[..], &[length]].concat();
    let (address, subnet) = (
        with_length("2001:db8:9::1", 128),
        with_length("2001:db8::", 32),
    );
    let everything: [Value<'_>; 12] = [
        (Is::INTERNAL_IP4_ADDRESS, &[10, 9, 0, 1]),
        (Is::INTERNAL_IP6_ADDRESS, &address),
        (Is::INTERNAL_IP4_DNS, &[10, 0, 0, 53]),
        (Is::INTERNAL_IP6_DNS, &v6("2001:db8::53")),
        (Is::INTERNAL_DNS_DOMAIN, b"corp.example.com"),
        (Is::INTERNAL_DNS_DOMAIN, b"example.net"),
        (Is::INTERNAL_IP4_SUBNET, &[10, 0, 0, 0, 255, 0, 0, 0]),
        // A range that is no prefix: 192.0.2.1-192.0.2.3.
        (Is::INTERNAL_IP4_SUBNET, &[192, 0, 2, 1, 255, 255, 255, 255]),
        (Is::INTERNAL_IP4_SUBNET, &[192, 0, 2, 2, 255, 255, 255, 254]),
        (Is::INTERNAL_IP6_SUBNET, &subnet),
        (Is::INTERNAL_IP4_SERVER, &[10, 8, 0, 1]),
        (Is::INTERNAL_IP6_SERVER, &v6("2001:db8:8::1")),
    ];
    let kinds: Vec<Is> = everything.iter().map(|(kind, _)| *kind).collect();
    let without = |left_out: Is| {
        kinds
            .iter()
            .copied()
            .filter(|kind| *kind != left_out)
            .collect()
    };
    let wishes: [Vec<Is>; 7] = [
        kinds.clone(),
        vec![Is::INTERNAL_IP4_ADDRESS],
        without(Is::INTERNAL_IP6_ADDRESS),
        without(Is::INTERNAL_DNS_DOMAIN),
        without(Is::INTERNAL_IP4_SUBNET),
        without(Is::INTERNAL_IP4_SERVER),
        without(Is::INTERNAL_IP6_SERVER),
    ];
    for asked in wishes {
        let mut parties = Parties::new(Proof::SharedKey);
        let pool = &mut parties.gateway.pools[0];
        pool.dns.push("2001:db8::53".parse().unwrap());
        pool.domains = vec!["corp.example.com".into(), "example.net".into()];
        pool.gateway = ["10.8.0.1", "2001:db8:8::1"]
            .map(|it| it.parse().unwrap())
            .into();
        parties.change_gateway(|connection| {
            connection.child.local = vec![
                selector("10.0.0.0-10.255.255.255"),
                selector("192.0.2.1-192.0.2.3"),
                selector("2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ];
            // Of what is there besides nobody is told.
            connection.child.services = vec![selector("10.8.0.1-10.8.0.1")];
        });
        let mut script = Script::new(parties.gateway);
        let request: Vec<Value<'_>> = asked.iter().map(|kind| (*kind, &[][..])).collect();
        let reply = configure(&mut script, &request).unwrap();
        let given = reply.attributes.iter();
        let given: Vec<Value<'_>> = given.map(|it| (it.kind, &*it.value)).collect();
        let expected = everything.iter().filter(|(kind, _)| asked.contains(kind));
        assert_eq!(given, expected.copied().collect::<Vec<_>>(), "{asked:?}");
    }
}

/// With a domain a CFG_REPLY must also have a server that knows it (RFC 8598
/// §3.2).
#[test]
fn a_domain_comes_with_a_server_or_not_at_all() {
    let mut config = gateway();
    config.pools[0].domains = vec!["corp.example.com".into()];
    for (servers, domains) in [(Is::INTERNAL_IP4_DNS, 1), (Is::INTERNAL_IP6_DNS, 0)] {
        let mut script = Script::new(config.clone());
        let asked = [ANY_V4, (servers, &[]), (Is::INTERNAL_DNS_DOMAIN, &[])];
        let reply = configure(&mut script, &asked).unwrap();
        let of_domains = reply.attributes.iter();
        let of_domains = of_domains.filter(|it| it.kind == Is::INTERNAL_DNS_DOMAIN);
        assert_eq!(of_domains.count(), domains, "{servers}");
    }
}

/// OpenIKED writes "the address you will give me" as the unspecified address:
/// --> IKE_AUTH { IDi, AUTH, CP(ADDR), SA, TSi(0.0.0.0), TSr }
/// <-- IKE_AUTH { IDr, AUTH, CP(10.9.0.1), SA, TSi(10.9.0.1), TSr }
#[test]
fn an_unspecified_address_is_the_assigned_one() {
    let mut script = Script::new(Parties::new(Proof::SharedKey).gateway);
    script.init();
    script.configuration = Some(request(&[(Is::INTERNAL_IP4_ADDRESS, &[])]));
    let dynamic = selector("0.0.0.0-0.0.0.0");
    let mut child = Script::child();
    child.selectors.initiator = vec![TrafficSelector {
        protocol: 17,
        ..dynamic
    }];
    let payloads = script.auth_payloads(KEY, Some(child));
    let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let narrowed = body(&answer, PayloadType::TRAFFIC_SELECTOR_INITIATOR).expect("a CHILD SA");
    let expected = TrafficSelector {
        protocol: 17,
        ..selector("10.9.0.1-10.9.0.1")
    };
    assert_eq!(ts::decode(narrowed).unwrap(), [expected]);
}

/// --> IKE_AUTH { IDi, AUTH, CP(ADDR(10.9.0.77)), SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, CP(10.9.0.77), SA, TSi, TSr }
#[test]
fn an_address_that_is_asked_for_is_given_if_nobody_else_has_it() {
    let mut script = Script::new(gateway());
    let wish: Value<'_> = (Is::INTERNAL_IP4_ADDRESS, &[10, 9, 0, 77]);
    let wish6 = "2001:db8:9::77".parse::<Ipv6Addr>().unwrap().octets();
    let wish6: Value<'_> = (Is::INTERNAL_IP6_ADDRESS, &[&wish6[..], &[64]].concat());
    let granted = ["10.9.0.77", "2001:db8:9::77"];
    assert_eq!(addresses_of(&mut script, "kim", &[wish, wish6]), granted);
    let others = ["10.9.0.1", "2001:db8:9::1"];
    assert_eq!(addresses_of(&mut script, "lee", &[wish, wish6]), others);
    leave(&mut script, "kim");
    assert_eq!(addresses_of(&mut script, "kim", &[wish, wish6]), granted);
    // Neither of the pool's, nor an address at all.
    for value in [&[192, 0, 2, 1][..], &[0; 4], &[10, 9, 0], &[10; 17]] {
        let asked = [(Is::INTERNAL_IP4_ADDRESS, value)];
        let given = addresses_of(&mut script, "sam", &asked);
        let given: Ipv4Addr = given[0].parse().unwrap();
        assert!((2..9).contains(&given.octets()[3]), "{value:?}: {given}");
    }
}

/// An identity keeps its addresses over reconnects, and over a restart of the
/// host; several SAs of it have each their own.
#[test]
fn addresses_stay_with_an_identity() {
    let asked = [ANY_V4, ANY_V6];
    let mut script = Script::new(gateway());
    let lee = addresses_of(&mut script, "lee", &asked);
    let kim = addresses_of(&mut script, "kim", &asked);
    let kim_too = addresses_of(&mut script, "kim", &asked);
    assert!(lee != kim && kim != kim_too, "{lee:?} {kim:?} {kim_too:?}");
    leave(&mut script, "lee");
    assert_ne!(addresses_of(&mut script, "sam", &asked), lee);
    assert_eq!(addresses_of(&mut script, "lee", &asked), lee);

    let known: Vec<Assignment> = script.endpoint.assignments().collect();
    assert_eq!(known.len(), 8);
    let mut script = Script::new(gateway());
    script.endpoint.restore(known);
    assert_eq!(addresses_of(&mut script, "lee", &asked), lee);
    let both = [(); 2].map(|()| addresses_of(&mut script, "kim", &asked));
    assert!(both.contains(&kim) && both.contains(&kim_too), "{both:?}");
}

/// "The responder sends INTERNAL_ADDRESS_FAILURE only if no addresses can be
/// assigned" (RFC 7296 §3.15.4).
#[test]
fn one_address_is_better_than_none() {
    let mut config = gateway();
    let only = "10.9.0.1".parse().unwrap();
    config.pools[0].v4 = Some((only, only));
    let mut script = Script::new(config);
    let both = addresses_of(&mut script, CLIENT, &[ANY_V4, ANY_V6]);
    assert_eq!(both, ["10.9.0.1", "2001:db8:9::1"]);
    let exhausted = |script: &Script| script.endpoint.stats().value(Stat::PoolExhausted);
    assert_eq!(exhausted(&script), 0);
    let one = addresses_of(&mut script, CLIENT, &[ANY_V4, ANY_V6]);
    assert_eq!(one, ["2001:db8:9::2"]);
    assert_eq!(exhausted(&script), 1);
    script.begin_anew();
    let none = configure(&mut script, &[ANY_V4]);
    assert_eq!(none, Err(NotifyType::INTERNAL_ADDRESS_FAILURE));
    assert_eq!(exhausted(&script), 2);
    // A family that the pool does not have is not missed.
    let mut config = gateway();
    config.pools[0].v6 = None;
    let mut script = Script::new(config);
    let one = addresses_of(&mut script, CLIENT, &[ANY_V4, ANY_V6]);
    assert_eq!((one.len(), exhausted(&script)), (1, 0));
}
