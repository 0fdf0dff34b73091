use super::*;
use crate::bench::Load;

const START: Instant = Instant::from_micros(1_000_000);

fn at(milliseconds: u64) -> Instant {
    START + Duration::from_millis(milliseconds)
}

/// Three clients on one thread, ten in a second; an exchange has 100 ms.
fn fleet() -> Fleet {
    let mut plan = Plan::for_tests();
    plan.load = Load::Rate(10.try_into().unwrap());
    plan.timeout = Duration::from_millis(100);
    let mut fleet = Fleet::new(&plan, 0, 1..=3).unwrap();
    fleet.begin_phase(Phase::Connect, NonZeroUsize::MIN, START);
    fleet
}

/// A generator that is late does not hide it.
#[test]
fn latency_counts_from_when_a_client_was_due() {
    let mut fleet = fleet();
    let late = at(150);
    assert_eq!(fleet.next(late), Some((0, Wish::Connect(1))));
    assert_eq!(fleet.next(late), Some((1, Wish::Connect(2))));
    assert_eq!(fleet.next(late), None);
    assert_eq!(fleet.due(late), Some(at(200)));
    fleet.sent(1, 400);
    fleet.succeed(1, at(160));
    let latency = &fleet.record.latency;
    assert!(
        latency.equivalent(latency.max(), 60_000),
        "{}",
        latency.max()
    );
    assert_eq!(fleet.record.useful.sent.octets, 400);
    assert_eq!(fleet.take_news(), (1, 0));
}

#[test]
fn a_phase_is_over_when_everybody_has_come_to_an_end() {
    let mut fleet = fleet();
    let all = at(200);
    while fleet.next(all).is_some() {}
    fleet.succeed(0, all);
    assert!(fleet.fail(1, all, "shared_key"));
    // Nobody ends twice.
    assert!(!fleet.fail(1, all, "shared_key"));
    assert!(fleet.conclude(all, |_| false).unwrap().is_none());
    // The engine says nothing of the third.
    let end = all + EXCHANGES * Duration::from_millis(100);
    fleet.give_up(end);
    let record = fleet.conclude(end, |_| false).unwrap().unwrap();
    assert_eq!((record.begun, record.latency.len()), (3, 1));
    let failures: Vec<_> = record.failures.into_iter().collect();
    let expected = [(NO_END.to_owned(), 1), ("shared_key".to_owned(), 1)];
    assert_eq!(failures, expected);
    assert_eq!(record.span, Some((START, end)));
}

/// Who has not connected neither replaces nor deletes anything.
#[test]
fn who_has_no_sa_sits_out() {
    let mut fleet = fleet();
    fleet.own(1, IkeSaId(7));
    fleet.begin_phase(Phase::Delete, NonZeroUsize::MIN, START);
    assert_eq!(fleet.next(START), Some((1, Wish::Delete(IkeSaId(7)))));
    assert_eq!(fleet.next(at(1000)), None);
    fleet.closed(at(1000), IkeSaId(7), CloseReason::PeerDeleted);
    let record = fleet.conclude(at(1000), |_| false).unwrap().unwrap();
    assert_eq!(record.failures["deleted by the peer"], 1);
}

#[test]
fn an_sa_that_ends_while_it_is_held_is_lost() {
    let mut fleet = fleet();
    fleet.own(0, IkeSaId(7));
    fleet.begin_phase(
        Phase::Hold(Duration::from_secs(1)),
        NonZeroUsize::MIN,
        START,
    );
    fleet.closed(at(500), IkeSaId(7), CloseReason::DeadPeer);
    assert!(fleet.conclude(at(999), |_| false).unwrap().is_none());
    let record = fleet.conclude(at(1000), |_| false).unwrap().unwrap();
    assert_eq!(record.lost["peer does not answer"], 1);
    assert!(record.failures.is_empty());
}

/// An answer that comes later than what it is of would count in the next phase.
#[test]
fn a_phase_waits_for_the_last_answers_and_not_for_ever() {
    let mut fleet = fleet();
    let all = at(200);
    while fleet.next(all).is_some() {}
    for place in 0..3 {
        fleet.fail(place, all, "another_gateway");
    }
    fleet.leaving.insert(IkeSaId(7));
    assert!(fleet.conclude(all, |_| true).unwrap().is_none());
    assert_eq!(fleet.due(all), Some(at(300)));
    let mut patient = fleet.leaving.clone();
    assert!(fleet.conclude(at(250), |_| true).unwrap().is_none());
    assert!(fleet.conclude(at(300), |_| true).unwrap().is_some());
    fleet.begin_phase(Phase::Delete, NonZeroUsize::MIN, at(300));
    while fleet.next(at(999)).is_some() {}
    fleet.leaving.append(&mut patient);
    assert!(fleet.conclude(at(301), |_| true).unwrap().is_none());
    assert!(fleet.conclude(at(302), |_| false).unwrap().is_some());
}

/// What was measured until then counts, and who was about something neither succeeds nor fails.
#[test]
fn a_phase_that_is_stopped_is_over() {
    let mut fleet = fleet();
    let late = at(150);
    while fleet.next(late).is_some() {}
    fleet.succeed(0, late);
    fleet.stop(at(160));
    let record = fleet.conclude(at(160), |_| true).unwrap().unwrap();
    assert_eq!((record.begun, record.latency.len()), (2, 1));
    assert!(record.failures.is_empty());
    assert_eq!(record.span, Some((START, at(160))));
}

/// Each at its place in the interval, and again after it; who waits for an answer does not ask twice.
#[test]
fn clients_ask_for_life_while_they_hold() {
    let mut plan = Plan::for_tests();
    plan.timeout = Duration::from_millis(100);
    plan.liveness = Some(Duration::from_millis(200));
    let mut fleet = Fleet::new(&plan, 0, 1..=2).unwrap();
    for (place, id) in [(0, 7), (1, 8)] {
        fleet.own(place, IkeSaId(id));
    }
    let hold = Phase::Hold(Duration::from_millis(500));
    fleet.begin_phase(hold, NonZeroUsize::MIN, START);
    assert_eq!(fleet.next(START), Some((0, Wish::Probe(IkeSaId(7)))));
    assert_eq!(fleet.next(START), None);
    assert_eq!(fleet.due(START), Some(at(100)));
    fleet.succeed(0, at(50));
    assert_eq!(fleet.next(at(100)), Some((1, Wish::Probe(IkeSaId(8)))));
    assert_eq!(fleet.next(at(200)), Some((0, Wish::Probe(IkeSaId(7)))));
    // The second waits still.
    assert_eq!(fleet.next(at(300)), None);
    fleet.succeed(0, at(310));
    assert_eq!(fleet.next(at(400)), Some((0, Wish::Probe(IkeSaId(7)))));
    fleet.closed(at(450), IkeSaId(8), CloseReason::DeadPeer);
    assert!(fleet.conclude(at(500), |_| false).unwrap().is_none());
    assert_eq!(fleet.next(at(600)), None);
    fleet.succeed(0, at(510));
    let record = fleet.conclude(at(510), |_| false).unwrap().unwrap();
    assert_eq!((record.begun, record.latency.len()), (4, 3));
    assert_eq!(record.failures["peer does not answer"], 1);
    assert!(record.lost.is_empty());
}
