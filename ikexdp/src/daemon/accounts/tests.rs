//! What servers are told of sessions, on a clock that the test turns.

use std::time::Duration;

use ikexdp_proto::data_plane::{
    Binding, Carried, DataPlaneError, Direction, EspSaName, Lineage, Operation, Tunnel, Volume,
};
use ikexdp_proto::eap::Account;
use ikexdp_proto::event::CloseReason;
use ikexdp_proto::job::{Job, JobId, JobResult};
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{EspSpi, IkeSaId};

use super::*;
use crate::radius::testing::{Server, Told, accounting, admitted, block_on, patient, started};
use crate::radius::{Radius, Settings};

/// Acct-Status-Type (RFC 2866 §5.1).
const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
const INTERVAL: Duration = Duration::from_secs(600);
const SA: IkeSaId = IkeSaId(7);

/// Some who are let in, and the server that hears of them.
async fn accounts(users: usize) -> (Radius, Vec<Account>, Server) {
    let (server, ledger) = (Server::open().await, Server::open().await);
    let accounting = Some(accounting(&ledger, Some(INTERVAL)));
    let radius = started(Settings {
        accounting,
        ..patient(vec![server.address()])
    });
    let mut accounts = Vec::new();
    for _ in 0..users {
        accounts.push(admitted(&radius, &server).await);
    }
    (radius, accounts, ledger)
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn carried(octets: u64, packets: u64) -> Carried {
    Carried { octets, packets }
}

fn names() -> Vec<EspSaName> {
    let end = "192.0.2.1:500".parse().unwrap();
    let name = |direction| EspSaName {
        direction,
        spi: EspSpi(7),
        tunnel: Tunnel {
            local: end,
            remote: end,
            in_udp: false,
        },
        lineage: Lineage(1),
        binding: Binding::default(),
    };
    [Direction::Inbound, Direction::Outbound].map(name).into()
}

fn removal(account: &Account) -> Job {
    Job::DataPlane {
        batch: names().into_iter().map(Operation::RemoveSa).collect(),
        account: Some(account.clone()),
    }
}

fn measurement(account: &Account) -> Job {
    Job::Measure {
        sas: names(),
        account: Some(account.clone()),
    }
}

/// So many octets were received, and half as many sent; a packet of each ten.
fn removed(octets: u64) -> JobResult {
    JobResult::DataPlane(Ok(Volume {
        received: carried(octets, octets / 10),
        sent: carried(octets / 2, octets / 20),
    }))
}

fn measured(octets: u64) -> JobResult {
    let both = [(octets, octets / 10), (octets / 2, octets / 20)];
    JobResult::Carried(Ok(both
        .map(|(octets, packets)| carried(octets, packets))
        .into()))
}

/// What a server is told when that was [`removed`] or [`measured`].
fn told(status: u32, octets: u32, seconds: u32, cause: u32) -> Told {
    Told {
        status,
        input: [octets, octets / 10],
        output: [octets / 2, octets / 20],
        seconds,
        cause,
    }
}

/// A session has carried what all its SAs have, those of IKE SAs before as well, and ends
/// when the kernel has told of the last.
#[test]
fn what_sas_have_carried_is_added_up() {
    block_on(async {
        let (_radius, users, ledger) = accounts(1).await;
        let (all, kim) = (Accounts::default(), &users[0]);
        // Before the IKE SA is up nothing is carried that counts.
        all.submitted(JobId(1), &removal(kim));
        assert!(!all.is_owed());
        all.state().begin(at(10), SA, kim, &[]);
        assert_eq!(ledger.is_told().await.status, START);

        // A CHILD SA is rekeyed, then the IKE SA, before the kernel has removed the old one.
        all.submitted(JobId(2), &removal(kim));
        all.state().rekey(SA, IkeSaId(8));
        all.done(at(20), JobId(2), &removed(400));
        all.submitted(JobId(3), &removal(kim));
        all.submitted(JobId(4), &removal(kim));
        all.state()
            .close(at(70), IkeSaId(8), CloseReason::PeerDeleted);
        assert!(all.is_owed() && all.sas().is_empty());
        all.done(at(71), JobId(3), &removed(200));
        // What cannot be told does not keep the rest from being told.
        all.done(at(72), JobId(4), &JobResult::Abandoned);
        assert!(!all.is_owed());
        assert_eq!(ledger.is_told().await, told(STOP, 600, 60, 1));
        assert!(all.state().sessions.is_empty());
    });
}

/// RFC 2869 §2.1: the volumes of an interim record are those of the whole session.
#[test]
fn a_session_that_goes_on_is_measured_now_and_then() {
    block_on(async {
        let (_radius, users, ledger) = accounts(1).await;
        let (all, kim) = (Accounts::default(), &users[0]);
        all.state().begin(at(0), SA, kim, &[]);
        ledger.is_told().await;
        let first = all.deadline().unwrap();
        assert!((at(300)..at(600)).contains(&first), "{first:?}");
        assert!(all.due(at(299)).is_empty());
        assert_eq!(all.due(first), [SA]);
        assert_eq!(all.deadline(), Some(first + INTERVAL));

        // A removal before it counts beside it, one after it does not.
        all.submitted(JobId(1), &removal(kim));
        all.submitted(JobId(2), &measurement(kim));
        all.submitted(JobId(3), &removal(kim));
        all.done(first, JobId(1), &removed(400));
        all.done(at(600), JobId(2), &measured(200));
        all.done(at(600), JobId(3), &removed(200));
        assert_eq!(ledger.is_told().await, told(INTERIM, 600, 600, 0));

        // While the kernel has not answered it is not asked again.
        let second = all.deadline().unwrap();
        assert_eq!(all.due(second), [SA]);
        all.submitted(JobId(4), &measurement(kim));
        let third = all.deadline().unwrap();
        assert!(all.due(third).is_empty());
        all.done(at(2000), JobId(4), &JobResult::Abandoned);
        assert_eq!(ledger.is_told().await, told(INTERIM, 600, 2000, 0));
        assert_eq!(all.due(all.deadline().unwrap()), [SA]);

        all.state().close(at(2000), SA, CloseReason::SessionTimeout);
        assert_eq!(all.deadline(), None);
        assert_eq!(ledger.is_told().await, told(STOP, 600, 2000, 5));
    });
}

/// A server that hears of less than before takes it for a mistake, or for a free ride.
#[test]
fn a_measurement_that_fails_takes_nothing_away() {
    block_on(async {
        let (_radius, users, ledger) = accounts(1).await;
        let (all, kim) = (Accounts::default(), &users[0]);
        all.state().begin(at(0), SA, kim, &[]);
        ledger.is_told().await;
        let failed = || JobResult::Carried(Err(DataPlaneError::Failed("no answer".to_owned())));
        let results = [
            (measured(200), 200),
            (JobResult::Abandoned, 200),
            (failed(), 200),
            (measured(400), 400),
            (failed(), 400),
        ];
        for (job, (result, known)) in (1..).zip(results) {
            all.submitted(JobId(job), &measurement(kim));
            all.done(at(job), JobId(job), &result);
            let seconds = u32::try_from(job).unwrap();
            assert_eq!(ledger.is_told().await, told(INTERIM, known, seconds, 0));
        }
        // Nobody could remove its SAs either.
        all.submitted(JobId(6), &removal(kim));
        all.state().close(at(6), SA, CloseReason::SessionTimeout);
        all.done(at(6), JobId(6), &JobResult::Abandoned);
        assert_eq!(ledger.is_told().await, told(STOP, 400, 6, 5));
    });
}

/// What an SA had carried that the kernel has given up is told by the kernel itself, once.
#[test]
fn what_is_worn_out_counts_as_well() {
    block_on(async {
        let (_radius, users, ledger) = accounts(1).await;
        let (all, kim) = (Accounts::default(), &users[0]);
        all.state().begin(at(0), SA, kim, &[]);
        ledger.is_told().await;
        let expired = |direction, hard, carried| DataPlaneEvent::Expired {
            lineage: Lineage(1),
            direction,
            spi: EspSpi(7),
            hard,
            carried,
        };
        let both = |hard| {
            all.hear_kernel(SA, &expired(Direction::Inbound, hard, carried(400, 40)));
            all.hear_kernel(SA, &expired(Direction::Outbound, hard, carried(200, 20)));
        };
        both(false);
        // It may have been measured just before.
        all.submitted(JobId(1), &measurement(kim));
        both(true);
        all.hear_kernel(
            IkeSaId(8),
            &expired(Direction::Inbound, true, carried(1, 1)),
        );
        all.done(at(10), JobId(1), &measured(400));
        assert_eq!(ledger.is_told().await, told(INTERIM, 400, 10, 0));
        all.submitted(JobId(2), &removal(kim));
        all.state().close(at(20), SA, CloseReason::DeadPeer);
        all.done(at(20), JobId(2), &removed(0));
        assert_eq!(ledger.is_told().await, told(STOP, 400, 20, 2));
    });
}

/// However many are due, a turn has little to do, and each has its turn.
#[test]
fn many_sessions_are_measured_in_turns() {
    const USERS: u64 = 80;
    block_on(async {
        let (_radius, users, _ledger) = accounts(USERS as usize).await;
        let all = Accounts::default();
        for (id, user) in (1..).zip(&users) {
            all.state().begin(at(0), IkeSaId(id), user, &[]);
        }
        let spread = {
            let state = all.state();
            let mut due: Vec<_> = state.due.iter().map(|(due, _)| *due).collect();
            due.dedup();
            due.len()
        };
        assert!(spread > 20, "{spread}");
        let now = at(600);
        let turns: Vec<_> = std::iter::repeat_with(|| all.due(now))
            .take_while(|turn| !turn.is_empty())
            .collect();
        assert!(turns.iter().all(|turn| turn.len() <= MEASURED_MAX));
        let mut measured = turns.concat();
        measured.sort_unstable();
        assert_eq!(measured, (1..=USERS).map(IkeSaId).collect::<Vec<_>>());
        assert!(all.deadline().unwrap() > now);
    });
}

/// RFC 2866 §5.10: it is the gateway that ends, not somebody that ends the session.
#[test]
fn sessions_end_with_the_daemon() {
    block_on(async {
        let (_radius, users, ledger) = accounts(2).await;
        let all = Accounts::default();
        for (id, user) in (1..).zip(&users) {
            all.state().begin(at(0), IkeSaId(id), user, &[]);
            ledger.is_told().await;
        }
        all.leave();
        all.state()
            .close(at(60), IkeSaId(1), CloseReason::Terminated);
        assert_eq!(ledger.is_told().await, told(STOP, 0, 60, 7));
        // A peer that does not answer in time: what was known last is told.
        assert_eq!(all.sas(), [IkeSaId(2)]);
        all.submitted(JobId(1), &measurement(&users[1]));
        all.done(at(61), JobId(1), &measured(200));
        assert_eq!(ledger.is_told().await, told(INTERIM, 200, 61, 0));
        all.finish(at(90));
        assert_eq!(ledger.is_told().await, told(STOP, 200, 90, 7));
        all.finish(at(91));
        assert!(all.sas().is_empty());
    });
}
