//! What Windows needs, told by its vendor ID.

use std::sync::Arc;
use std::time::Duration;

use harness::script::{Script, config};
use ikexdp_proto::Command;
use ikexdp_proto::error::Error;
use ikexdp_proto::event::Event;
use ikexdp_proto::windows::Status;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::ChainWriter;

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
