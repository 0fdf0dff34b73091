//! What is told of a peer that falls silent: how far its last message came, and whether
//! it went on after ours.

use std::time::Duration;

use harness::eap::{self, Doorman, MSK, Visitor, WORD};
use harness::parties::{Parties, Proof};
use ikexdp_proto::Input;
use ikexdp_proto::event::{CloseReason, Event, FailureReason, Unacknowledged};
use ikexdp_proto::wire::iana::ExchangeType;

use crate::line::{End, Line};

/// Parties whose chains are too long for a datagram of `size` octets.
fn long(size: u16) -> Parties {
    let mut parties = Parties::new(Proof::Certificates(4000));
    parties.gateway.fragmentation.datagram_len = size;
    parties.client.fragmentation.datagram_len = size;
    parties
}

/// Lets `seconds` pass for one end alone; what it says is lost.
fn wait(line: &mut Line, end: fn(&mut Line) -> &mut End, seconds: u64) {
    for _ in 0..seconds {
        line.now = line.now + Duration::from_secs(1);
        let now = line.now;
        end(line).handle(now, Input::Timeout);
    }
}

fn gateway(line: &mut Line) -> &mut End {
    &mut line.gateway
}

/// --> IKE_AUTH 1/5, 3/5 and 5/5, and no more
#[test]
fn the_fragments_that_are_missing_are_told() {
    let mut line = Line::new(&long(1280));
    let request = line.initiate();
    let fragments = line.round(&[request]);
    assert!(fragments.len() >= 4, "{}", fragments.len());
    for fragment in fragments.iter().step_by(2) {
        assert!(line.gateway.receive(line.now, fragment).is_empty());
    }
    wait(&mut line, gateway, 31);
    let failure = line.gateway.failed();
    let expected = FailureReason::Timeout {
        waiting_for: ExchangeType::IKE_AUTH,
    };
    assert_eq!(failure.reason, expected);
    let incomplete = failure.incomplete.as_ref().unwrap();
    assert_eq!(usize::from(incomplete.total), fragments.len());
    let missing: Vec<u16> = (2..=incomplete.total).step_by(2).collect();
    assert_eq!(incomplete.missing, missing);
    assert_eq!(failure.unacknowledged, None);
}

/// --> IKE_SA_INIT, three times, and no IKE_AUTH
#[test]
fn a_client_that_goes_on_asking_has_not_heard_us() {
    let mut line = Line::new(&Parties::new(Proof::SharedKey));
    let request = line.initiate();
    let mut response = Vec::new();
    for _ in 0..3 {
        response = line.gateway.receive(line.now, &request);
    }
    wait(&mut line, gateway, 31);
    let expected = Unacknowledged {
        exchange: ExchangeType::IKE_SA_INIT,
        times: 2,
        fragments: 1,
        datagram_len: (response[0].len() + 28) as u16,
        lowered: false,
    };
    let failure = line.gateway.failed();
    assert_eq!(failure.unacknowledged, Some(expected));
    // One that heard us at once and says nothing is another matter.
    let mut line = Line::new(&Parties::new(Proof::SharedKey));
    let request = line.initiate();
    line.gateway.receive(line.now, &request);
    wait(&mut line, gateway, 31);
    assert_eq!(line.gateway.failed().unacknowledged, None);
}

/// --> IKE_AUTH, four times, each answered in fragments; then nothing.
#[test]
fn an_sa_whose_peer_never_heard_of_it_is_told_from_others() {
    let mut line = Line::new(&long(1280));
    let request = line.initiate();
    let fragments = line.round(&[request]);
    let mut first = Vec::new();
    for round in 0..4 {
        let sent: Vec<_> = fragments
            .iter()
            .flat_map(|fragment| line.gateway.receive(line.now, fragment))
            .collect();
        if round == 0 {
            first = sent;
        }
    }
    assert!(first.len() > 1, "the response is in fragments");
    wait(&mut line, gateway, 120);
    let [(reason, unacknowledged)] = closed(&line.gateway)[..] else {
        panic!("one SA is closed")
    };
    assert_eq!(reason, CloseReason::DeadPeer);
    let expected = Unacknowledged {
        exchange: ExchangeType::IKE_AUTH,
        times: 3,
        fragments: first.len() as u16,
        datagram_len: 1280,
        lowered: true,
    };
    assert_eq!(unacknowledged, Some(expected));
}

/// A response that had to be sent twice, to a peer that went on, is no cause of what
/// happens later.
#[test]
fn a_peer_that_was_heard_since_has_our_response() {
    let mut line = Line::new(&Parties::new(Proof::SharedKey));
    let request = line.initiate();
    let from_client = line.round(&[request]);
    let lost = line.gateway.receive(line.now, &from_client[0]);
    let again = line.gateway.receive(line.now, &from_client[0]);
    assert_eq!(lost, again);
    line.client.receive(line.now, &again[0]);
    // It answers whether it lives, and is gone afterwards.
    line.now = line.now + Duration::from_secs(10);
    let question = line.gateway.handle(line.now, Input::Timeout);
    let answer = line.client.receive(line.now, &question[0]);
    line.gateway.receive(line.now, &answer[0]);
    wait(&mut line, gateway, 200);
    assert_eq!(closed(&line.gateway), [(CloseReason::DeadPeer, None)]);
}

/// --> IKE_AUTH { IDi }, three times
/// <-- IKE_AUTH { IDr, CERT, AUTH, EAP }, three times
#[test]
fn a_client_of_eap_that_did_not_hear_us_is_told_from_one_that_does_not_trust_us() {
    let visitor = || Visitor {
        name: "kim@example.com",
        word: WORD,
        msk: MSK.to_vec(),
    };
    for times in [0, 2] {
        let mut line = Line::new(&eap::parties(&Doorman::new(|_| ()), visitor()));
        let request = line.initiate();
        let fragments = line.round(&[request]);
        for _ in 0..=times {
            for fragment in &fragments {
                line.gateway.receive(line.now, fragment);
            }
        }
        wait(&mut line, gateway, 61);
        let failure = line.gateway.failed();
        assert_eq!(failure.reason, FailureReason::EapSilent { question: 1 });
        let told = failure.unacknowledged.map(|response| response.times);
        assert_eq!(told, (times > 0).then_some(times));
    }
}

/// Why SAs were closed, and whether their peers knew of them.
fn closed(end: &End) -> Vec<(CloseReason, Option<Unacknowledged>)> {
    let closed = end.events.iter().filter_map(|event| match event {
        Event::Closed {
            reason,
            unacknowledged,
            ..
        } => Some((*reason, *unacknowledged)),
        _ => None,
    });
    closed.collect()
}
