//! IKE SAs without a CHILD SA (RFC 6023), from the initiator's side.

use harness::parties::{Parties, Proof};
use ikexdp_proto::Input;
use ikexdp_proto::error::Unacceptable;
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::wire::iana::NotifyType;

use crate::line::Line;

/// <-- IKE_SA_INIT { ..., N(CHILDLESS_IKEV2_SUPPORTED) }
/// --> IKE_AUTH { IDi, IDr, AUTH }
/// <-- IKE_AUTH { IDr, AUTH }
#[test]
fn both_ends_do_without_a_child_sa() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_client(|connection| {
        connection.child.childless = true;
        connection.child.request_addresses = false;
    });
    let mut line = Line::new(&parties);
    line.connect();
    for end in [line.client, line.gateway] {
        let sa = end.endpoint.summaries(None).next().unwrap();
        assert!(sa.children.is_empty() && sa.addresses.is_empty(), "{sa:?}");
        let refused = |event: &Event| matches!(event, Event::ChildRefused { .. });
        assert!(!end.events.iter().any(refused));
    }
}

/// RFC 6023 §3: only who is told that it may be leaves the CHILD SA out; that it may not is
/// believed when there has been time for another response.
#[test]
fn who_may_not_do_without_a_child_sa_gives_up() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_client(|connection| connection.child.childless = true);
    let mut line = Line::new(&parties);
    let request = line.initiate();
    let genuine = line.gateway.receive(line.now, &request).remove(0);
    let mut other = genuine.to_vec();
    let notify = NotifyType::CHILDLESS_IKEV2_SUPPORTED.0.to_be_bytes();
    let at = other.windows(2).rposition(|it| it == notify).unwrap();
    // A status that nobody knows.
    other[at..at + 2].copy_from_slice(&[0xbf, 0xff]);
    assert!(line.client.receive(line.now, &other).is_empty());
    assert_eq!(line.client.failure(), None);
    while let Some(at) = line.client.endpoint.poll_timeout() {
        line.client.handle(at, Input::Timeout);
    }
    let reason = FailureReason::Refused(Unacceptable::NotChildless.into());
    assert_eq!(line.client.failure(), Some(&reason));
}
