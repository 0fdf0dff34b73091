//! What servers hear of sessions.

use std::time::Duration;

use ikexdp_proto::data_plane::{Carried, Volume};
use ikexdp_proto::eap::Account;
use ikexdp_proto::event::CloseReason;

use super::super::attribute::Kind;
use super::super::packet::{Code, Draft, NONE};
use super::super::testing::*;
use super::super::{AccountingSettings, Facts, Radius, Records, Session, Settings, TerminateCause};

const SERVER: Draft = Server::TAKES;

/// Somebody who was let in, and the server that hears of it.
async fn session(settings: Settings) -> (Radius, Account, Server) {
    let (server, ledger) = (Server::open().await, Server::open().await);
    let accounting = accounting(&ledger, None);
    let radius = started(Settings {
        servers: vec![server.address()],
        accounting: Some(accounting),
        ..settings
    });
    let account = admitted(&radius, &server).await;
    (radius, account, ledger)
}

fn facts() -> Facts {
    Facts {
        addresses: vec!["10.9.0.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        volume: Volume {
            received: Carried {
                octets: 0x2_0000_0001,
                packets: 3,
            },
            sent: Carried {
                octets: 7,
                packets: 4,
            },
        },
        age: Duration::from_secs(61),
    }
}

#[test]
fn a_session_is_told_from_its_start_to_its_end() {
    block_on(async {
        let (radius, account, ledger) = session(patient(Vec::new())).await;
        let session = Session::of(&account).unwrap();
        session.started(&facts());
        let start = ledger.serve(&SERVER).await;
        assert!(start.packet().is_authentic(SECRET, &NONE));
        assert_eq!(start.packet().code, Code::ACCOUNTING_REQUEST);
        for (kind, value) in [
            (Kind::USER_NAME, &b"kim"[..]),
            (Kind::NAS_IDENTIFIER, b"ikexdp"),
            (Kind::CALLING_STATION_ID, b"192.0.2.7"),
            (Kind::FRAMED_IP_ADDRESS, &[10, 9, 0, 7]),
            (Kind::ACCT_SESSION_ID, session.id().to_string().as_bytes()),
            (Kind::ACCT_AUTHENTIC, &[0, 0, 0, 1]),
            (Kind::ACCT_STATUS_TYPE, &[0, 0, 0, 1]),
            (Kind::ACCT_DELAY_TIME, &[0, 0, 0, 0]),
        ] {
            assert_eq!(start.value(kind), value, "{kind:?}");
        }
        assert_eq!(start.value(Kind::FRAMED_IPV6_ADDRESS).len(), 16);
        let classes: Vec<_> = start.packet().all(Kind::CLASS).map(|it| it.value).collect();
        assert_eq!(classes, [b"one", b"two"]);
        assert!(start.packet().first(Kind::ACCT_SESSION_TIME).is_none());

        session.interim(&facts());
        let interim = ledger.serve(&SERVER).await;
        assert_eq!(interim.number(Kind::ACCT_STATUS_TYPE), 3);
        assert!(interim.packet().first(Kind::ACCT_TERMINATE_CAUSE).is_none());

        session.stopped(&facts(), CloseReason::DeadPeer.into());
        let stop = ledger.serve(&SERVER).await;
        for (kind, value) in [
            (Kind::ACCT_STATUS_TYPE, 2),
            (Kind::ACCT_SESSION_TIME, 61),
            (Kind::ACCT_INPUT_OCTETS, 1),
            (Kind::ACCT_INPUT_GIGAWORDS, 2),
            (Kind::ACCT_OUTPUT_OCTETS, 7),
            (Kind::ACCT_OUTPUT_GIGAWORDS, 0),
            (Kind::ACCT_INPUT_PACKETS, 3),
            (Kind::ACCT_OUTPUT_PACKETS, 4),
            (Kind::ACCT_TERMINATE_CAUSE, 2),
        ] {
            assert_eq!(stop.number(kind), value, "{kind:?}");
        }
        assert_eq!(radius.settle().await, 0);
    });
}

/// RFC 2866 §4.1: with another Acct-Delay-Time it is another request.
#[test]
fn records_wait_for_a_server_that_is_away() {
    block_on(async {
        // One try of a second: what comes after that is a new request.
        let settings = Settings {
            timeout: Duration::from_secs(1),
            ..patient(Vec::new())
        };
        let (radius, account, ledger) = session(settings).await;
        let session = Session::of(&account).unwrap();
        session.started(&facts());
        session.stopped(&facts(), TerminateCause::USER_REQUEST);
        let lost = ledger.receive().await;
        assert_eq!(lost.number(Kind::ACCT_STATUS_TYPE), 1);
        let start = ledger.serve(&SERVER).await;
        assert_eq!(start.number(Kind::ACCT_STATUS_TYPE), 1);
        assert!(start.number(Kind::ACCT_DELAY_TIME) > 0);
        let same = |kind| assert_eq!(start.value(kind), lost.value(kind));
        same(Kind::EVENT_TIMESTAMP);
        same(Kind::ACCT_SESSION_ID);
        assert_ne!(start.packet().authenticator, lost.packet().authenticator);
        let stop = ledger.serve(&SERVER).await;
        assert_eq!(stop.number(Kind::ACCT_STATUS_TYPE), 2);
        assert_eq!(radius.settle().await, 0);
        assert_eq!(radius.records(), Some(Records::default()));
    });
}

/// RFC 2866 §5.2: how late it is when it is sent, to each server.
#[test]
fn another_server_is_told_how_late_a_record_is() {
    block_on(async {
        let [server, silent, ledger] = [(); 3].map(|()| Server::open());
        let (server, silent, ledger) = (server.await, silent.await, ledger.await);
        let accounting = AccountingSettings {
            servers: vec![silent.address(), ledger.address()],
            interim_interval: None,
        };
        let radius = started(Settings {
            accounting: Some(accounting),
            timeout: Duration::from_secs(2),
            ..patient(vec![server.address()])
        });
        let account = admitted(&radius, &server).await;
        Session::of(&account).unwrap().started(&facts());
        let first = silent.receive().await;
        let second = ledger.serve(&SERVER).await;
        assert_eq!(first.number(Kind::ACCT_DELAY_TIME), 0);
        assert!(second.number(Kind::ACCT_DELAY_TIME) > 0);
        let same = |kind| assert_eq!(first.value(kind), second.value(kind));
        same(Kind::ACCT_SESSION_ID);
        same(Kind::EVENT_TIMESTAMP);
        assert_eq!(radius.settle().await, 0);
    });
}

/// RFC 2866 §5.1: a server forgets what a gateway had that did not say that it ends.
#[test]
fn a_server_hears_when_accounting_begins_and_ends() {
    block_on(async {
        let (radius, account, ledger) = session(patient(Vec::new())).await;
        let session = Session::of(&account).unwrap();
        radius.begin_accounting();
        session.started(&facts());
        session.stopped(&facts(), TerminateCause::ADMIN_REBOOT);
        radius.end_accounting();
        for status in [7, 1, 2, 8] {
            let record = ledger.serve(&SERVER).await;
            assert_eq!(record.number(Kind::ACCT_STATUS_TYPE), status);
            assert_eq!(record.value(Kind::NAS_IDENTIFIER), b"ikexdp");
            assert_eq!(record.value(Kind::NAS_IP_ADDRESS), [127, 0, 0, 1]);
            let is_of_session =
                record.value(Kind::ACCT_SESSION_ID) == session.id().to_string().as_bytes();
            assert_eq!(is_of_session, [1, 2].contains(&status));
            let names_a_user = record.packet().first(Kind::USER_NAME).is_some();
            assert_eq!(names_a_user, is_of_session);
        }
        assert_eq!(radius.settle().await, 0);
    });
}

#[test]
fn sessions_have_names_of_their_own() {
    block_on(async {
        let (_, one, _) = session(patient(Vec::new())).await;
        let (_, two, _) = session(patient(Vec::new())).await;
        let [one, two] = [&one, &two].map(|it| Session::of(it).unwrap().id());
        assert_ne!(one, two);
        assert_eq!(one.to_string().len(), 16);
    });
}

#[test]
fn an_account_of_somebody_else_is_no_session() {
    let account = Account(std::sync::Arc::new("of another authenticator"));
    assert!(Session::of(&account).is_none());
}

#[test]
fn every_reason_has_a_cause() {
    for (reason, cause) in [
        (CloseReason::PeerDeleted, TerminateCause::USER_REQUEST),
        (CloseReason::Terminated, TerminateCause::ADMIN_RESET),
        (CloseReason::DeadPeer, TerminateCause::LOST_CARRIER),
        (CloseReason::Expired, TerminateCause::SESSION_TIMEOUT),
        (CloseReason::Malformed, TerminateCause::USER_ERROR),
        (CloseReason::Unmoved, TerminateCause::NAS_ERROR),
    ] {
        assert_eq!(TerminateCause::from(reason), cause, "{reason:?}");
    }
}
