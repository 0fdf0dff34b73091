//! One peer, several IKE SAs (RFC 7296 §2.4).

use std::collections::VecDeque;
use std::time::Duration;

use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof};
use harness::script::{CHILD_SPI, KEY, Script, config};
use ikexdp_proto::config::Uniqueness;
use ikexdp_proto::data_plane::Direction;
use ikexdp_proto::event::{CloseReason, Event};
use ikexdp_proto::message::child::ChildPayloads;
use ikexdp_proto::message::create_child::CreateChild;
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::types::EspSpi;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};

/// Makes another IKE SA, whose client says what `notifies` say.
fn again(script: &mut Script, notifies: &[NotifyType]) {
    script.begin_anew();
    script.notifies = notifies.iter().map(|kind| (*kind, Vec::new())).collect();
    script.init();
    let child = script.another_child();
    authenticate(script, child);
}

fn authenticate(script: &mut Script, child: ChildPayloads) {
    let payloads = script.auth_payloads(KEY, Some(child));
    let request = script.seal(ExchangeType::IKE_AUTH, 1, &payloads);
    script.deliver(&request);
}

fn twice(uniqueness: Uniqueness, notifies: &[NotifyType]) -> Script {
    let mut config = config();
    for connection in &mut config.connections {
        std::sync::Arc::make_mut(connection).uniqueness = uniqueness;
    }
    let mut script = Script::new(config);
    script.establish();
    again(&mut script, notifies);
    script
}

fn superseded(event: &&Event) -> bool {
    let reason = CloseReason::Superseded;
    matches!(event, Event::Closed { reason: told, .. } if *told == reason)
}

/// A client that has lost its memory is believed, and what it had is given back
/// before it gets something new.
#[test]
fn what_a_client_has_forgotten_is_closed() {
    const FIRST: &[NotifyType] = &[NotifyType::INITIAL_CONTACT];
    for (uniqueness, notifies, left) in [
        (Uniqueness::Keep, FIRST, 1),
        (Uniqueness::Keep, &[], 2),
        (Uniqueness::Replace, FIRST, 1),
        (Uniqueness::Never, FIRST, 2),
        (Uniqueness::Never, &[], 2),
    ] {
        let script = twice(uniqueness, notifies);
        let sas: Vec<_> = script.endpoint.summaries(None).collect();
        assert_eq!(sas.len(), left, "{uniqueness:?} {notifies:?}");
        let closed = script.events.iter().filter(superseded).count();
        assert_eq!(closed, 2 - left);
        if left == 1 {
            script.kernel.holds(&sas);
        }
    }
}

/// A client that has not said that it has forgotten hears of it.
#[test]
fn what_is_replaced_is_deleted_in_good_order() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_gateway(|connection| connection.uniqueness = Uniqueness::Replace);
    let mut net = Net::new(1, Weather::FAIR, &parties);
    for _ in 0..3 {
        net.connect();
        net.run(Duration::from_secs(5));
        for side in [Side::Gateway, Side::Client] {
            let sas = net.established(side);
            assert_eq!(sas.len(), 1);
            net.kernel(side).holds(&sas);
        }
    }
    let closed = net.events(Side::Client).iter();
    let deleted = closed.filter(|event| {
        let reason = CloseReason::PeerDeleted;
        matches!(event, Event::Closed { reason: told, .. } if *told == reason)
    });
    assert_eq!(deleted.count(), 2);
}

/// One identity does not fill the gateway, unless many devices have it.
#[test]
fn the_oldest_of_too_many_is_closed() {
    for (uniqueness, left) in [(Uniqueness::Keep, 16), (Uniqueness::Never, 18)] {
        let mut script = twice(uniqueness, &[]);
        for _ in 2..18 {
            again(&mut script, &[]);
        }
        let sas: Vec<_> = script.endpoint.summaries(None).collect();
        let up = sas.iter().filter(|sa| sa.state == "established");
        assert_eq!(up.count(), left, "{uniqueness:?}");
        let closed = script.events.iter().filter_map(|event| match event {
            Event::Closed {
                id,
                reason: CloseReason::Superseded,
                ..
            } => Some(id.0),
            _ => None,
        });
        assert!(closed.eq(1..=18 - left as u64), "{uniqueness:?}");
    }
}

/// Nor by handshakes that run side by side: here the kernel is slow.
#[test]
fn too_many_at_the_same_time_are_closed_as_well() {
    for (uniqueness, left) in [(Uniqueness::Replace, 1), (Uniqueness::Keep, 16)] {
        let mut script = twice(uniqueness, &[]);
        script.waiting = Some(VecDeque::new());
        for _ in 0..20 {
            again(&mut script, &[]);
        }
        while script.waiting.as_ref().is_some_and(|jobs| !jobs.is_empty()) {
            script.work_once();
        }
        let sas: Vec<_> = script.endpoint.summaries(None).collect();
        let up = sas.iter().filter(|sa| sa.state == "established");
        assert_eq!(up.count(), left, "{uniqueness:?}");
    }
}

/// Others are left alone.
#[test]
fn only_the_same_peer_is_replaced() {
    let mut stranger = twice(Uniqueness::Replace, &[NotifyType::INITIAL_CONTACT]);
    stranger.identity = "another@example.com".parse().unwrap();
    again(&mut stranger, &[NotifyType::INITIAL_CONTACT]);
    assert_eq!(stranger.endpoint.summaries(None).count(), 2);
}

/// The SPI we send on is the peer's choice: who chooses one that is taken gets no
/// CHILD SA, and takes nothing from whoever has it.
#[test]
fn an_spi_that_is_taken_stays_with_who_had_it() {
    let mut script = Script::new(config());
    script.establish();
    script.begin_anew();
    script.init();
    authenticate(&mut script, Script::child());
    let taken = EspSpi(CHILD_SPI);
    let first = script.kernel.sa(Direction::Outbound, taken);
    assert!(first.is_some());
    leave(&mut script, 2);
    let left: Vec<_> = script.endpoint.summaries(None).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(script.kernel.sa(Direction::Outbound, taken), first);
}

/// Nor does who leaves while the kernel has not yet said that it is taken.
#[test]
fn an_spi_that_is_taken_survives_who_leaves_early() {
    let mut script = Script::new(config());
    script.establish();
    let before = script.kernel.names();
    script.begin_anew();
    script.init();
    let payloads = script.auth_payloads(KEY, None);
    script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    script.waiting = Some(VecDeque::new());
    let mut child = Script::child();
    let request = CreateChild {
        rekeyed: None,
        proposals: core::mem::take(&mut child.proposals),
        nonce: &[0x5a; 32],
        key_exchange: None,
        selectors: Some(child.selectors),
    };
    let request = script.seal(ExchangeType::CREATE_CHILD_SA, 2, &request.encode());
    assert!(script.deliver(&request).is_empty());
    assert_eq!(script.work_once().len(), 1);
    leave(&mut script, 3);
    while script.waiting.as_ref().is_some_and(|jobs| !jobs.is_empty()) {
        script.work_once();
    }
    assert_eq!(script.kernel.names(), before);
}

/// The client deletes its newest IKE SA.
fn leave(script: &mut Script, id: u32) {
    let delete = Informational {
        delete_ike: true,
        ..Informational::default()
    };
    let delete = script.seal(ExchangeType::INFORMATIONAL, id, &delete.encode());
    script.deliver(&delete);
}
