//! IKE_AUTH with EAP, seen from a peer's side.

use std::sync::Arc;
use std::time::Duration;

use harness::eap::{
    Doorman, ENDLESS, FORGOTTEN, MADDENING, MSK, WORD, config, named, packet, word,
};
use harness::script::{Answer, Script, kinds};
use ikexdp_proto::config::{Config, Requirement};
use ikexdp_proto::eap::{Account, Admission, RejectionReason};
use ikexdp_proto::error::Unacceptable;
use ikexdp_proto::event::{CloseReason, Event, FailureReason};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::types::Secret;
use ikexdp_proto::wire::iana::{
    ConfigurationAttribute, ConfigurationType, EapCode, EapType, ExchangeType, HashAlgorithm,
    NotifyType, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::eap::EapPacket;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::Chain;

const IKE_AUTH: ExchangeType = ExchangeType::IKE_AUTH;

const CHILD: [PayloadType; 3] = [
    PayloadType::SECURITY_ASSOCIATION,
    PayloadType::TRAFFIC_SELECTOR_INITIATOR,
    PayloadType::TRAFFIC_SELECTOR_RESPONDER,
];

/// A client that has been asked who it is.
fn asked(config: Config) -> (Script, Answer) {
    let mut script = Script::new(config);
    script.signature_hashes = vec![HashAlgorithm::IDENTITY];
    // What Windows says: an address of a network of its own.
    script.identity = "10.10.1.52".parse().unwrap();
    script.configuration = Some(Configuration {
        kind: ConfigurationType::REQUEST,
        attributes: vec![Attribute {
            kind: ConfigurationAttribute::INTERNAL_IP4_ADDRESS,
            value: Vec::new().into(),
        }],
    });
    (script, Vec::new())
}

fn open(config: Config) -> (Script, Answer) {
    let (mut script, _) = asked(config);
    script.init();
    let payloads = script.eap_payloads();
    let answer = script.exchange(IKE_AUTH, 1, &payloads);
    (script, answer)
}

/// One that has said its name and the word, whatever came of it.
fn says(config: Config, name: &str, said: &[u8]) -> (Script, Answer) {
    let (mut script, answer) = open(config);
    let answer = script.exchange(IKE_AUTH, 2, &named(&answer, name));
    let answer = script.exchange(IKE_AUTH, 3, &word(&answer, said));
    (script, answer)
}

fn doorman() -> Arc<Doorman> {
    Doorman::new(|_| ())
}

fn eap(answer: &Answer) -> EapPacket<'_> {
    let (_, octets) = answer
        .iter()
        .find(|(kind, _)| *kind == PayloadType::EAP)
        .unwrap();
    EapPacket::decode(octets).unwrap()
}

fn notified(answer: &Answer) -> Option<NotifyType> {
    let mut notifies = answer
        .iter()
        .filter(|(kind, _)| *kind == PayloadType::NOTIFY);
    let notify = notifies.next()?;
    Some(Notify::decode(&notify.1).unwrap().kind)
}

fn failure(script: &Script) -> (&FailureReason, Option<String>) {
    match script.events.last() {
        Some(Event::HandshakeFailed(failure)) => (
            &failure.reason,
            failure.claimed.as_ref().map(ToString::to_string),
        ),
        other => panic!("no failure: {other:?}"),
    }
}

/// --> IKE_AUTH { IDi, CP, SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, CERT, AUTH, EAP(Request/Identity) }
/// --> IKE_AUTH { EAP(Response/Identity) }
/// <-- IKE_AUTH { EAP(Request) }
/// --> IKE_AUTH { EAP(Response) }
/// <-- IKE_AUTH { EAP(Success) }
/// --> IKE_AUTH { AUTH }
/// <-- IKE_AUTH { AUTH, CP, SA, TSi, TSr }
#[test]
fn who_knows_the_word_is_let_in() {
    let doorman = doorman();
    let config = config(&doorman);
    let gateway = config.connections[0].local_identity.clone();
    let (mut script, answer) = open(config);
    let opening = [
        PayloadType::ID_RESPONDER,
        PayloadType::CERTIFICATE,
        PayloadType::AUTHENTICATION,
        PayloadType::EAP,
    ];
    assert_eq!(kinds(&answer), opening);
    assert_eq!(eap(&answer).method, Some((EapType::IDENTITY, &[][..])));
    let answer = script.exchange(IKE_AUTH, 2, &named(&answer, "kim@example.com"));
    assert_eq!(kinds(&answer), [PayloadType::EAP]);
    let answer = script.exchange(IKE_AUTH, 3, &word(&answer, WORD));
    assert_eq!(kinds(&answer), [PayloadType::EAP]);
    assert_eq!(eap(&answer).code, EapCode::SUCCESS);
    assert_eq!(script.endpoint.established(), 0);
    let proof = script.eap_proof(&MSK);
    let answer = script.exchange(IKE_AUTH, 4, &proof);
    let end = [
        &[PayloadType::AUTHENTICATION, PayloadType::CONFIGURATION],
        &CHILD[..],
    ];
    assert_eq!(kinds(&answer), end.concat());
    // RESERVED and the method stand before it.
    assert_eq!(answer[0].1[4..], script.mic_of_gateway(&MSK, &gateway));
    let sa = script.endpoint.summaries(None).next().unwrap();
    assert_eq!(sa.peer, Some("kim@example.com".parse().unwrap()));
    assert_eq!(sa.children.len(), 1);
    let callers = doorman.callers.lock().unwrap();
    assert_eq!(callers.len(), 1);
    assert_eq!(callers[0].remote, script.path.remote);
    assert_eq!(callers[0].connection, "roadwarriors");
}

/// All hear the same; the operator hears why.
#[test]
fn who_is_not_let_in_hears_no_reason() {
    for (name, reason) in [
        ("kim", RejectionReason::WrongPassword),
        ("nobody", RejectionReason::UnknownUser),
        (
            MADDENING,
            RejectionReason::Protocol("the authenticator's request is none"),
        ),
    ] {
        let (mut script, answer) = open(config(&doorman()));
        let mut answer = script.exchange(IKE_AUTH, 2, &named(&answer, name));
        if eap(&answer).code == EapCode::REQUEST {
            answer = script.exchange(IKE_AUTH, 3, &word(&answer, b"friend"));
        }
        assert_eq!(kinds(&answer), [PayloadType::EAP, PayloadType::NOTIFY]);
        assert_eq!(eap(&answer).code, EapCode::FAILURE);
        assert_eq!(notified(&answer), Some(NotifyType::AUTHENTICATION_FAILED));
        let expected = (&FailureReason::Eap(reason), Some(name.to_owned()));
        assert_eq!(failure(&script), expected);
        script.wait(Duration::from_secs(11));
        assert!(script.endpoint.is_quiet(), "{name}");
    }
}

/// Whoever sits between two conversations has no key: EAP-Success is not enough.
///
/// --> IKE_AUTH { AUTH }
/// <-- IKE_AUTH { N(AUTHENTICATION_FAILED) }
#[test]
fn the_key_of_another_conversation_does_not_do() {
    let (mut script, _) = says(config(&doorman()), "kim", WORD);
    let proof = script.eap_proof(&[0x4e; 64]);
    let answer = script.exchange(IKE_AUTH, 4, &proof);
    assert_eq!(kinds(&answer), [PayloadType::NOTIFY]);
    assert_eq!(notified(&answer), Some(NotifyType::AUTHENTICATION_FAILED));
    let expected = (&FailureReason::EapKey, Some("kim".to_owned()));
    assert_eq!(failure(&script), expected);
    assert_eq!(script.endpoint.established(), 0);
}

/// A client that shows its proof before it was let in is not; nor is one that says
/// what is the gateway's to say, or answers another question.
#[test]
fn nobody_lets_himself_in() {
    let name = |code, identifier| packet(code, identifier, EapType::IDENTITY, b"kim");
    let cases: [fn(&Script, u8) -> Chain; 4] = [
        |script, _| script.eap_proof(&MSK),
        |_, asked| packet(EapCode::SUCCESS, asked, EapType(0), &[]),
        |_, asked| packet(EapCode::REQUEST, asked, EapType::IDENTITY, b"kim"),
        |_, asked| {
            packet(
                EapCode::RESPONSE,
                asked.wrapping_add(1),
                EapType::IDENTITY,
                b"kim",
            )
        },
    ];
    for id in [2, 3] {
        for payloads in cases {
            let (mut script, mut answer) = open(config(&doorman()));
            if id == 3 {
                let named = name(EapCode::RESPONSE, eap(&answer).identifier);
                answer = script.exchange(IKE_AUTH, 2, &named);
            }
            let payloads = payloads(&script, eap(&answer).identifier);
            let answer = script.exchange(IKE_AUTH, id, &payloads);
            assert_eq!(notified(&answer), Some(NotifyType::INVALID_SYNTAX));
            assert!(matches!(failure(&script).0, FailureReason::Refused(_)));
            assert_eq!(script.endpoint.established(), 0);
        }
    }
}

/// What is said instead of a name is none.
#[test]
fn a_name_comes_first() {
    let (mut script, answer) = open(config(&doorman()));
    let answer = script.exchange(IKE_AUTH, 2, &word(&answer, WORD));
    assert_eq!(eap(&answer).code, EapCode::FAILURE);
    let reason = RejectionReason::Protocol("no identity");
    assert_eq!(failure(&script).0, &FailureReason::Eap(reason));
}

/// Each answer gives the peer as much time as the first message, but not for ever:
/// neither by many questions nor by slow answers.
#[test]
fn a_conversation_ends_some_time() {
    let (mut script, mut answer) = open(config(&doorman()));
    let mut id = 2;
    while eap(&answer).code == EapCode::REQUEST {
        answer = script.exchange(IKE_AUTH, id, &named(&answer, ENDLESS));
        id += 1;
    }
    assert_eq!(id, 2 + 64);
    let reason = RejectionReason::Protocol("it goes on for ever");
    assert_eq!(failure(&script).0, &FailureReason::Eap(reason));

    let (mut script, mut answer) = open(config(&doorman()));
    for id in 2..8 {
        script.wait(Duration::from_secs(29));
        answer = script.exchange(IKE_AUTH, id, &named(&answer, ENDLESS));
    }
    script.wait(Duration::from_secs(7));
    let silent = FailureReason::EapSilent { question: 7 };
    assert_eq!(failure(&script).0, &silent);
    assert!(script.endpoint.is_quiet());
}

/// Whom a configuration has lost is not let in by the one before.
#[test]
fn a_conversation_does_not_outlive_its_configuration() {
    let (mut script, _) = says(config(&doorman()), "kim", WORD);
    script.endpoint.reconfigure(Arc::new(config(&doorman())));
    let proof = script.eap_proof(&MSK);
    let answer = script.exchange(IKE_AUTH, 4, &proof);
    assert_eq!(notified(&answer), Some(NotifyType::TEMPORARY_FAILURE));
    let reason = Unacceptable::Reconfigured.into();
    assert_eq!(failure(&script).0, &FailureReason::Refused(reason));
    assert_eq!(script.endpoint.established(), 0);
}

/// With less of a key than there must be, whoever listens could compute AUTH.
#[test]
fn a_method_without_a_key_lets_nobody_in() {
    for length in [0, 63] {
        let doorman = Doorman::new(|terms| terms.msk = Secret::new(vec![0; length]));
        let (script, answer) = says(config(&doorman), "kim", WORD);
        assert_eq!(eap(&answer).code, EapCode::FAILURE);
        let reason = RejectionReason::NoKey;
        assert_eq!(failure(&script).0, &FailureReason::Eap(reason));
    }
}

/// A client that does not believe us says nothing any more, as Windows does, or
/// says so.
#[test]
fn a_client_that_gives_up_is_named() {
    let (mut script, _) = open(config(&doorman()));
    script.wait(Duration::from_secs(31));
    let silent = FailureReason::EapSilent { question: 1 };
    assert_eq!(failure(&script).0, &silent);
    assert!(script.endpoint.is_quiet());

    let (mut script, _) = open(config(&doorman()));
    let refusal = Informational {
        error: Some(NotifyType::AUTHENTICATION_FAILED),
        ..Informational::default()
    };
    let answer = script.exchange(ExchangeType::INFORMATIONAL, 2, &refusal.encode());
    assert_eq!(answer, []);
    let refused = FailureReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
    assert_eq!(failure(&script).0, &refused);
}

/// An authenticator that gives up is no fault of the peer's.
#[test]
fn an_authenticator_that_gives_up_ends_it() {
    let (mut script, answer) = open(config(&doorman()));
    let answer = script.exchange(IKE_AUTH, 2, &named(&answer, FORGOTTEN));
    assert_eq!(notified(&answer), Some(NotifyType::TEMPORARY_FAILURE));
    let expected = (&FailureReason::JobAbandoned, Some(FORGOTTEN.to_owned()));
    assert_eq!(failure(&script), expected);
}

/// RFC 5998 §3: without our AUTH, if both sides want it so.
#[test]
fn eap_alone_takes_two() {
    for (ours, theirs) in [(true, true), (true, false), (false, true)] {
        let mut config = config(&doorman());
        let connection = Arc::make_mut(&mut config.connections[0]);
        if let Requirement::Eap(requirement) = &mut connection.requirement {
            requirement.alone = ours;
        }
        let (mut script, _) = asked(config);
        if theirs {
            let kind = NotifyType::EAP_ONLY_AUTHENTICATION;
            script.notifies.push((kind, Vec::new()));
        }
        script.init();
        let payloads = script.eap_payloads();
        let answer = script.exchange(IKE_AUTH, 1, &payloads);
        let alone = [PayloadType::ID_RESPONDER, PayloadType::EAP];
        assert_eq!(kinds(&answer) == alone, ours && theirs, "{answer:?}");
        let answer = script.exchange(IKE_AUTH, 2, &named(&answer, "kim"));
        script.exchange(IKE_AUTH, 3, &word(&answer, WORD));
        let proof = script.eap_proof(&MSK);
        script.exchange(IKE_AUTH, 4, &proof);
        assert_eq!(script.endpoint.established(), 1);
    }
}

/// The name that the authenticator knows the peer by counts, and the first
/// connection that is for that name and its groups.
#[test]
fn a_user_gets_the_connection_of_its_group() {
    for (name, groups, expected) in [
        ("kim@example.com", &["staff", "admins"][..], Some("admins")),
        ("kim@example.com", &["staff"], Some("roadwarriors")),
        ("kim@example.org", &["admins"], None),
        ("EXAMPLE\\Kim", &["admins"], Some("admins")),
        ("kim@example.com", &[], None),
    ] {
        let doorman = Doorman::new(|terms| {
            terms.groups = groups.iter().map(ToString::to_string).collect();
        });
        let mut config = config(&doorman);
        let members = |connection: &mut Arc<_>, group: &str| {
            let connection: &mut ikexdp_proto::config::Connection = Arc::make_mut(connection);
            let ids = ["*@example.com", "example\\kim"];
            connection.remote_identities = ids.map(|text| text.parse().unwrap()).to_vec();
            if let Requirement::Eap(requirement) = &mut connection.requirement {
                requirement.groups = vec![group.to_owned()];
            }
        };
        let mut admins = Arc::clone(&config.connections[0]);
        Arc::make_mut(&mut admins).name = "admins".to_owned();
        members(&mut admins, "admins");
        members(&mut config.connections[0], "staff");
        config.connections.insert(0, admins);
        let (mut script, _) = says(config, name, WORD);
        let proof = script.eap_proof(&MSK);
        let answer = script.exchange(IKE_AUTH, 4, &proof);
        let sa = script.endpoint.summaries(None).next();
        let connection = sa.and_then(|sa| sa.connection);
        assert_eq!(connection.as_deref(), expected, "{name} of {groups:?}");
        if expected.is_none() {
            assert_eq!(notified(&answer), Some(NotifyType::AUTHENTICATION_FAILED));
            let groups = groups.iter().map(ToString::to_string).collect();
            assert_eq!(failure(&script).0, &FailureReason::NotAdmitted { groups });
        }
    }
}

pub(crate) fn let_in(change: impl FnOnce(&mut Admission)) -> Script {
    let (mut script, _) = says(config(&Doorman::new(change)), "DOMAIN\\kim", WORD);
    let proof = script.eap_proof(&MSK);
    script.exchange(IKE_AUTH, 4, &proof);
    script
}

/// The address of the authenticator's choice, in the pool or not; whoever comes
/// again takes it from its older self.
#[test]
fn an_address_may_be_the_authenticators_choice() {
    for address in ["10.9.0.77", "10.200.0.1"] {
        let address: std::net::IpAddr = address.parse().unwrap();
        let mut script = let_in(|terms| terms.addresses = vec![address]);
        for id in 1..3 {
            let sas: Vec<_> = script.endpoint.summaries(None).collect();
            let up = sas.iter().filter(|sa| sa.state == "established");
            let up: Vec<_> = up.map(|sa| (sa.id.0, sa.addresses.clone())).collect();
            assert_eq!(up, [(id, vec![address])]);
            if id == 2 {
                break;
            }
            script.begin_anew();
            script.init();
            let payloads = script.eap_payloads();
            let answer = script.exchange(IKE_AUTH, 1, &payloads);
            let answer = script.exchange(IKE_AUTH, 2, &named(&answer, "DOMAIN\\kim"));
            script.exchange(IKE_AUTH, 3, &word(&answer, WORD));
            let proof = script.eap_proof(&MSK);
            // The old one is deleted along with it.
            let request = script.seal(IKE_AUTH, 4, &proof);
            assert_eq!(script.deliver(&request).len(), 2);
        }
        let kim = Identity::of_user("DOMAIN\\kim");
        let closed = |event: &Event| matches!(event, Event::Closed { reason: CloseReason::Superseded, peer, .. } if *peer == kim);
        assert!(script.events.iter().any(closed));
    }
}

/// The authenticator's word on time is the last one, and it gets its own back.
#[test]
fn a_session_ends_when_the_authenticator_says() {
    let account = Arc::new(7_u32);
    let given = Account(Arc::clone(&account) as _);
    let mut script = let_in(|terms| {
        terms.session_timeout = Some(Duration::from_secs(600));
        terms.account = Some(given);
    });
    let back = |account: &Option<Account>| {
        let account = account.as_ref().map(|Account(account)| Arc::clone(account));
        account.and_then(|account| account.downcast::<u32>().ok())
    };
    let opened = script.events.iter().find_map(|event| match event {
        Event::Established(sa) => back(&sa.account),
        _ => None,
    });
    assert!(Arc::ptr_eq(&opened.unwrap(), &account));
    let asks = |sent: Vec<bytes::Bytes>, script: &mut Script| {
        for request in sent {
            let nothing = Informational::default().encode();
            script.answer(&request, &nothing);
        }
    };
    for _ in 0..599 {
        let sent = script.wait(Duration::from_secs(1));
        asks(sent, &mut script);
    }
    assert_eq!(script.endpoint.established(), 1);
    let sent = script.wait(Duration::from_secs(2));
    asks(sent, &mut script);
    let closed = script.events.iter().find_map(|event| match event {
        Event::Closed {
            reason: CloseReason::SessionTimeout,
            account,
            ..
        } => back(account),
        _ => None,
    });
    assert!(Arc::ptr_eq(&closed.unwrap(), &account));
}
