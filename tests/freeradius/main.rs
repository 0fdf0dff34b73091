//! ikexdp's side of RADIUS against FreeRADIUS.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test ends by a panic, and its input is its own"
)]

use std::{net::SocketAddr, time::Duration};

use harness::freeradius::{FreeRadius, SECRET, Settings, User, disconnect};
use ikexdp::radius::{
    self, AccountingSettings, DisconnectSettings, Disconnections, Facts, Radius, Session,
    TerminateCause,
};
use ikexdp_eap::{NtHash, Password};
use ikexdp_proto::{
    data_plane::{Carried, Volume},
    eap::{Admission, Authenticator, Caller, RejectionReason, Reply, Supplicant, Turn},
    types::Secret,
    wire::{iana::EapCode, payload::eap},
};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

const KIM: [&str; 2] = ["kim", "correct horse"];

fn server(directory: &TempDir) -> FreeRadius {
    let [name, password] = KIM;
    let kim = User::new(name, password)
        .with("Framed-IP-Address = 10.9.0.7")
        .with("Filter-Id = \"staff\"")
        .with("Class = 0x6f6e65")
        .with("Session-Timeout = 3600")
        .with("Acct-Interim-Interval = 600");
    let settings = Settings {
        users: vec![kim],
        refuses_strangers: true,
        ..Settings::default()
    };
    FreeRadius::start(directory.path(), &settings)
}

fn settings(server: &FreeRadius, secret: &str) -> radius::Settings {
    let secret = Secret::new(secret.as_bytes().to_vec());
    radius::Settings {
        accounting: Some(AccountingSettings {
            servers: vec![server.accounting()],
            interim_interval: None,
        }),
        ..radius::Settings::new("lab", vec![server.authentication()], secret)
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// What comes of all that a client of this name and password says.
async fn converse(radius: &Radius, [name, password]: [&str; 2]) -> (Turn, Reply) {
    let caller = Caller {
        remote: "192.0.2.7:4500".parse().unwrap(),
        local: "203.0.113.1:4500".parse().unwrap(),
        connection: "staff".to_owned(),
    };
    let mut conversation = radius.begin(caller);
    let client = Password::new(name.to_owned(), NtHash::of(password));
    let mut reply = client.begin().hear(&eap::identity_request(0));
    while let Reply::Answer {
        response,
        respondent,
    } = reply
    {
        let (told, turn) = oneshot::channel();
        conversation.hear(response, Box::new(|turn| drop(told.send(turn))));
        match turn.await.expect("a turn") {
            Turn::Ask {
                request,
                conversation: next,
            } => {
                conversation = next;
                reply = respondent.hear(&request);
            }
            turn @ Turn::Accept(_) => {
                return (turn, respondent.hear(&eap::end(EapCode::SUCCESS, 0)));
            }
            turn => return (turn, respondent.hear(&eap::end(EapCode::FAILURE, 0))),
        }
    }
    panic!("the client gives up: {reply:?}");
}

async fn admitted(radius: &Radius) -> Admission {
    match converse(radius, KIM).await {
        (Turn::Accept(admission), Reply::Accept(msk)) => {
            let both = [&admission.msk, &msk].map(Secret::expose);
            assert_eq!(both[0], both[1], "both have the same MSK");
            *admission
        }
        (other, _) => panic!("not let in: {other:?}"),
    }
}

#[test]
#[ignore = "needs FreeRADIUS"]
fn freeradius_lets_in_who_knows_the_password_and_gives_the_key_of_the_method() {
    let directory = TempDir::new().unwrap();
    let server = server(&directory);
    block_on(async {
        let radius = Radius::new(settings(&server, SECRET));
        radius.start(&Handle::current());
        let admission = admitted(&radius).await;
        assert_eq!(admission.user, "kim");
        assert_eq!(
            admission.addresses,
            ["10.9.0.7".parse::<std::net::IpAddr>().unwrap()]
        );
        assert_eq!(admission.groups, ["staff"]);
        assert_eq!(admission.session_timeout, Some(Duration::from_secs(3600)));
        let account = admission.account.unwrap();
        let interval = Session::of(&account).unwrap().interim_interval();
        assert_eq!(interval, Some(Duration::from_secs(600)));
        let counters = radius.servers()[0].counters;
        assert_eq!(
            (counters.challenges, counters.accepts),
            (2, 1),
            "{counters:?}"
        );
    });
}

#[test]
#[ignore = "needs FreeRADIUS"]
fn freeradius_refuses_strangers_and_wrong_passwords() {
    let directory = TempDir::new().unwrap();
    let server = server(&directory);
    block_on(async {
        let radius = Radius::new(settings(&server, SECRET));
        radius.start(&Handle::current());
        let reason = |turn| match turn {
            Turn::Reject(rejection) => rejection.reason,
            other => panic!("not refused: {other:?}"),
        };
        let expected = RejectionReason::Radius {
            server: server.authentication(),
            message: Some("nobody of this name".to_owned()),
        };
        assert_eq!(reason(converse(&radius, ["nobody", ""]).await.0), expected);
        let refused = reason(converse(&radius, ["kim", "wrong"]).await.0);
        assert!(
            matches!(refused, RejectionReason::Radius { .. }),
            "{refused}"
        );
    });
}

#[test]
#[ignore = "needs FreeRADIUS"]
fn freeradius_does_not_answer_who_has_another_secret() {
    let directory = TempDir::new().unwrap();
    let server = server(&directory);
    block_on(async {
        let radius = Radius::new(radius::Settings {
            timeout: Duration::from_millis(500),
            tries: 2,
            ..settings(&server, "not the secret of the lab")
        });
        radius.start(&Handle::current());
        let (Turn::Reject(rejection), _) = converse(&radius, KIM).await else {
            panic!("FreeRADIUS took another secret");
        };
        let servers = vec![server.authentication()];
        assert_eq!(rejection.reason, RejectionReason::RadiusSilent { servers });
        assert!(!radius.servers()[0].is_up);
    });
}

#[test]
#[ignore = "needs FreeRADIUS"]
fn freeradius_writes_down_what_a_session_carried() {
    let directory = TempDir::new().unwrap();
    let server = server(&directory);
    let id = block_on(async {
        let radius = Radius::new(settings(&server, SECRET));
        radius.start(&Handle::current());
        let account = admitted(&radius).await.account.unwrap();
        let session = Session::of(&account).unwrap();
        let facts = Facts {
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
        };
        radius.begin_accounting();
        session.started(&facts);
        session.interim(&facts);
        // What waits would give way to a later one.
        assert_eq!(radius.settle().await, 0);
        session.stopped(&facts, TerminateCause::USER_REQUEST);
        radius.end_accounting();
        assert_eq!(radius.settle().await, 0);
        session.id().to_string()
    });
    let records = server.records();
    let [on, start, interim, stop, off] = records.as_slice() else {
        panic!("five records: {records:?}");
    };
    for (record, name, value) in [
        (on, "Acct-Status-Type", "Accounting-On"),
        (on, "NAS-Identifier", "ikexdp"),
        (on, "NAS-IP-Address", "127.0.0.1"),
        (off, "Acct-Status-Type", "Accounting-Off"),
        (off, "NAS-Identifier", "ikexdp"),
        (interim, "Acct-Status-Type", "Interim-Update"),
        (interim, "Acct-Session-Id", &id),
        (interim, "User-Name", "kim"),
        (interim, "Acct-Session-Time", "61"),
        (interim, "Acct-Input-Octets", "1"),
        (interim, "Acct-Input-Gigawords", "2"),
        (interim, "Acct-Input-Packets", "3"),
        (interim, "Acct-Output-Octets", "7"),
        (start, "Acct-Status-Type", "Start"),
        (start, "User-Name", "kim"),
        (start, "Acct-Session-Id", &id),
        (start, "Class", "0x6f6e65"),
        (start, "Framed-IP-Address", "10.9.0.7"),
        (start, "Framed-IPv6-Address", "2001:db8::7"),
        (start, "NAS-Identifier", "ikexdp"),
        (start, "NAS-Port-Type", "Virtual"),
        (start, "NAS-Port-Id", "staff"),
        (start, "Calling-Station-Id", "192.0.2.7"),
        (stop, "Acct-Status-Type", "Stop"),
        (stop, "Acct-Session-Id", &id),
        (stop, "Class", "0x6f6e65"),
        (stop, "Acct-Input-Octets", "1"),
        (stop, "Acct-Input-Gigawords", "2"),
        (stop, "Acct-Output-Packets", "4"),
        (stop, "Acct-Session-Time", "61"),
        (stop, "Acct-Terminate-Cause", "User-Request"),
    ] {
        assert_eq!(record.get(name), Some(value), "{name} in {record:?}");
    }
}

#[test]
#[ignore = "needs FreeRADIUS"]
fn radclient_ends_sessions_and_hears_when_there_is_none() {
    let secret = Secret::new(SECRET.as_bytes().to_vec());
    let settings = radius::Settings {
        disconnect: Some(DisconnectSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            clients: vec!["127.0.0.1".parse().unwrap()],
            require_message_authenticator: false,
        }),
        ..radius::Settings::new("lab", Vec::new(), secret)
    };
    let listener = Disconnections::open(&settings.into()).unwrap().unwrap();
    let address: SocketAddr = listener.address().unwrap();
    let printed = block_on(async {
        let ask = tokio::task::spawn_blocking(move || {
            ["kim", "nobody"].map(|name| disconnect(address, &format!("User-Name = \"{name}\"\n")))
        });
        tokio::select! {
            served = listener.serve(async |selector| usize::from(selector.to_string() == "user kim")) => {
                panic!("{served:?}")
            }
            printed = ask => printed.unwrap(),
        }
    });
    let [kim, nobody] = printed;
    assert!(kim.contains("Received Disconnect-ACK"), "{kim}");
    assert!(nobody.contains("Received Disconnect-NAK"), "{nobody}");
    assert!(
        nobody.contains("Error-Cause = Session-Context-Not-Found"),
        "{nobody}"
    );
    let counters = listener.counters();
    assert_eq!((counters.acknowledged, counters.refused), (1, 1));
}
