//! What Windows needs, told by its vendor ID.

use std::sync::Arc;
use std::time::Duration;

use harness::parties::selector;
use harness::script::{CHILD_SPI, KEY, Script, config};
use ikexdp_proto::Command;
use ikexdp_proto::error::Error;
use ikexdp_proto::event::Event;
use ikexdp_proto::message::child::Selectors;
use ikexdp_proto::message::create_child::CreateChild;
use ikexdp_proto::types::EspSpi;
use ikexdp_proto::windows::Status;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::ChainWriter;

use crate::create_child::{NEXT_SPI, ask, request};

/// A client with a CHILD SA of one minute, which is not asked whether it lives.
fn up(is_windows: bool) -> Script {
    let mut config = config();
    let never = Duration::from_secs(36_000);
    config.timing.liveness = never;
    config.timing.first_liveness = never;
    for connection in &mut config.connections {
        Arc::make_mut(connection).lifetimes.child = Duration::from_secs(60);
    }
    let mut script = Script::new(config);
    script.is_windows = is_windows;
    script.establish();
    script
}

/// It refuses a rekeying of ours and loses the SA over it: it is left to do so by itself, and to come
/// back if it does not.
#[test]
fn windows_is_not_asked_for_rekeying() {
    for (is_windows, first) in [
        (false, ExchangeType::CREATE_CHILD_SA),
        (true, ExchangeType::INFORMATIONAL),
    ] {
        let mut script = up(is_windows);
        let early = script.wait(Duration::from_secs(59));
        assert_eq!(early.is_empty(), is_windows);
        let sent: Vec<_> = early
            .into_iter()
            .chain(script.wait(Duration::from_secs(2)))
            .collect();
        let (header, _) = Header::decode(&sent[0]).unwrap();
        assert!(!header.response);
        assert_eq!(header.exchange, first);
    }
}

/// --> IKE_AUTH { IDi, AUTH, SA, TSi(everything), TSr(everything) }
/// <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr(10.0.0.0/8, 255.255.255.255, 172.16.0.1) }
///
/// It asks by DHCP for its routes, and later has the CHILD SA replaced with everything again.
#[test]
fn what_it_asks_by_dhcp_goes_through_a_split_tunnel() {
    let mut config = config();
    let services = ["255.255.255.255-255.255.255.255", "172.16.0.1-172.16.0.1"].map(selector);
    for connection in &mut config.connections {
        Arc::make_mut(connection).child.services = services.to_vec();
    }
    let mut script = Script::new(config);
    script.is_windows = true;
    script.init();
    let everything = [
        selector("0.0.0.0-255.255.255.255"),
        selector("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ];
    let wide = Selectors::new(everything.to_vec(), everything.to_vec());
    let mut child = Script::child();
    child.selectors = wide.clone();
    let payloads = script.auth_payloads(KEY, Some(child));
    script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let behind_us = |script: &Script| {
        let sa = script.endpoint.summaries(None).next().unwrap();
        let children = sa.children.into_iter().map(|child| child.local);
        children.collect::<Vec<_>>()
    };
    let [broadcast, gateway] = services;
    let network = selector("10.0.0.0-10.255.255.255");
    let expected = vec![network, broadcast, gateway];
    assert_eq!(behind_us(&script), std::slice::from_ref(&expected));
    let rekeying = CreateChild {
        rekeyed: Some(EspSpi(CHILD_SPI)),
        selectors: Some(wide),
        ..request(NEXT_SPI)
    };
    ask(&mut script, 2, &rekeying);
    assert_eq!(behind_us(&script), [expected.clone(), expected]);
}

/// --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// <-- CREATE_CHILD_SA { N(12345, 13863) }
#[test]
fn its_own_words_for_a_refusal_are_read() {
    let mut script = up(true);
    let sa = script.endpoint.summaries(None).next().unwrap();
    let child = Some(sa.children[0].spi_in);
    let sent = script.command(Command::Rekey { id: sa.id, child });
    let mut chain = ChainWriter::default();
    Notify::new(NotifyType::MS_STATUS, &13_863_u32.to_be_bytes()).encode(&mut chain);
    script.answer(&sent[0], &chain.finish());
    let refused = |event: &Event| {
        let error = Error::WindowsRefused(Status(13_863));
        matches!(event, Event::ChildRefused { reason, .. } if *reason == error)
    };
    assert!(script.events.iter().any(refused), "{:?}", script.events);
    assert_eq!(script.endpoint.established(), 1);
}
