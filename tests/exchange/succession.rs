//! IKE SAs in the place of others, seen from a peer's side (RFC 7296 §1.3.2,
//! §2.18, §2.25).

use std::collections::VecDeque;
use std::time::Duration;

use harness::parties::proposal;
use harness::script::{Answer, CHILD_SPI, Line, Script, chain, config, is_unknown, kinds};
use ikexdp_proto::Command;
use ikexdp_proto::crypto::kex::{Group, KeyPair};
use ikexdp_proto::message::create_child::{CreateChild, CreateChildReply};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::types::{EspSpi, MessageId, Spi, Spis};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{
    ExchangeType, GroupId, NotifyType, PayloadType, ProtocolId, TransformType,
};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::Proposal;
use ikexdp_proto::wire::writer::Chain;
use ring::rand::SystemRandom;

const CREATE_CHILD_SA: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

/// The client's SPI of the new IKE SA.
const SPI: [u8; 8] = [0xaa; 8];

const NONCE: [u8; 32] = [0x5a; 32];

fn up() -> Script {
    let mut script = Script::new(config());
    script.establish();
    script.events.clear();
    script
}

fn key() -> KeyPair {
    Group::Curve25519.generate(&SystemRandom::new()).unwrap()
}

fn offer(spi: &[u8], group: u16) -> Vec<Proposal> {
    let transforms = [
        (TransformType::ENCRYPTION, 20, Some(256)),
        (TransformType::PRF, 5, None),
        (TransformType::KEY_EXCHANGE, group, None),
    ];
    vec![proposal(ProtocolId::IKE, spi.to_vec(), &transforms)]
}

fn request(key: &KeyPair) -> CreateChild<'_> {
    CreateChild {
        rekeyed: None,
        proposals: offer(&SPI, 31),
        nonce: &NONCE,
        key_exchange: Some(KeyExchange {
            group: key.group().id(),
            data: key.public(),
        }),
        selectors: None,
    }
}

fn nothing() -> Chain {
    Informational::default().encode()
}

fn delete_ike() -> Chain {
    let delete = Informational {
        delete_ike: true,
        ..Informational::default()
    };
    delete.encode()
}

fn refusal(answer: &Answer) -> Notify<'_> {
    assert_eq!(kinds(answer), [PayloadType::NOTIFY]);
    Notify::decode(&answer[0].1).unwrap()
}

/// --> CREATE_CHILD_SA { SA, Ni, KEi }
/// <-- CREATE_CHILD_SA { SA, Nr, KEr }
/// Returns what the old IKE SA needs.
fn replace(script: &mut Script, id: u32) -> Line {
    replace_by(script, id, offer(&SPI, 31), 1)
}

/// The same with another offer, of which the proposal `number` is chosen.
fn replace_by(script: &mut Script, id: u32, proposals: Vec<Proposal>, number: u8) -> Line {
    let key = key();
    let request = CreateChild {
        proposals,
        ..request(&key)
    };
    let answer = script.exchange(CREATE_CHILD_SA, id, &request.encode());
    let chain = chain(&answer);
    let reply = CreateChildReply::decode(chain.first, &chain.octets);
    let Ok(CreateChildReply::Accepted(accepted)) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(accepted.proposals[0].number, number);
    let theirs: [u8; 8] = accepted.proposals[0].spi.as_slice().try_into().unwrap();
    let spis = Spis {
        initiator: Spi(u64::from_be_bytes(SPI)),
        responder: Spi(u64::from_be_bytes(theirs)),
    };
    let value = accepted.key_exchange.expect("KEr").data.to_vec();
    let nonce_r = accepted.nonce.to_vec();
    let secret = key.agree(&value).unwrap();
    script.move_to(spis, secret.expose(), [&NONCE, &nonce_r])
}

/// RFC 7296 §3.3.1 has proposals begin with 1 and count. macOS 14 offers the one that was chosen for
/// the first IKE SA, with the number that it had there; and what is numbered alike is told apart by
/// what it is.
#[test]
fn proposals_may_be_numbered_as_the_peer_likes() {
    let numbered = |spi: u8, group, number| Proposal {
        number,
        ..offer(&[spi; 8], group).remove(0)
    };
    let ours = |number| numbered(SPI[0], 31, number);
    for (proposals, number) in [
        (vec![ours(3)], 3),
        (vec![ours(0)], 0),
        (vec![numbered(0xbb, 1, 9), ours(4)], 4),
        (vec![numbered(0xbb, 1, 3), ours(3)], 3),
    ] {
        let mut script = up();
        let _old = replace_by(&mut script, 2, proposals, number);
        assert_eq!(script.exchange(INFORMATIONAL, 0, &nothing()), []);
    }
}

/// RFC 7296 §2.18: the counters of the new IKE SA begin at 0, on both sides.
#[test]
fn the_message_ids_of_a_new_ike_sa_begin_at_0() {
    let mut script = up();
    let _old = replace(&mut script, 2);
    for early in [1, 3] {
        let request = script.seal(INFORMATIONAL, early, &nothing());
        assert!(script.deliver(&request).is_empty());
    }
    assert_eq!(script.exchange(INFORMATIONAL, 0, &nothing()), []);
    assert_eq!(script.exchange(INFORMATIONAL, 1, &nothing()), []);
    let spis = script.spis;
    let mut sas = script.endpoint.summaries(None);
    let id = sas.find(|sa| sa.spis == spis).expect("the new IKE SA").id;
    drop(sas);
    let sent = script.command(Command::Terminate(id));
    let (header, _) = Header::decode(&sent[0]).unwrap();
    assert_eq!(header.message_id, MessageId(0));
}

/// A peer that goes on replacing and deletes nothing does not fill our memory:
/// one old IKE SA still answers, those before it do not.
#[test]
fn only_the_last_of_the_replaced_is_waited_for() {
    let mut script = up();
    let first = replace(&mut script, 2);
    let second = replace(&mut script, 0);
    let current = script.switch_to(first);
    let request = script.seal(INFORMATIONAL, 3, &nothing());
    assert!(is_unknown(&script.deliver(&request)));
    script.switch_to(second);
    assert_eq!(script.exchange(INFORMATIONAL, 1, &delete_ike()), []);
    script.switch_to(current);
    assert_eq!(script.exchange(INFORMATIONAL, 0, &nothing()), []);
}

/// What the old IKE SA had is the new one's, and only its keys are good for it.
#[test]
fn a_new_ike_sa_has_the_child_sas_of_the_old() {
    let mut script = up();
    let before = script.endpoint.summaries(None).next().unwrap();
    let _old = replace(&mut script, 2);
    let after: Vec<_> = script.endpoint.summaries(None).collect();
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].children, before.children);
    assert_eq!(after[0].peer, before.peer);
    script.kernel.holds(&after);
    let delete = Informational {
        delete_esp: vec![EspSpi(CHILD_SPI)],
        ..Informational::default()
    };
    let answer = script.exchange(INFORMATIONAL, 0, &delete.encode());
    assert_eq!(kinds(&answer), [PayloadType::DELETE]);
    assert_eq!(script.endpoint.summaries(None).next().unwrap().children, []);
}

/// RFC 7296 §2.8, §2.25.2: what is still asked of the old IKE SA is answered, and
/// changes nothing; its end is the peer's delete.
#[test]
fn a_replaced_ike_sa_makes_nothing_more_and_is_deleted_by_the_peer() {
    let mut script = up();
    let old = replace(&mut script, 2);
    let new = script.switch_to(old);
    let again = key();
    let answer = script.exchange(CREATE_CHILD_SA, 3, &request(&again).encode());
    assert_eq!(refusal(&answer).kind, NotifyType::TEMPORARY_FAILURE);
    let delete_child = Informational {
        delete_esp: vec![EspSpi(CHILD_SPI)],
        ..Informational::default()
    };
    assert_eq!(
        script.exchange(INFORMATIONAL, 4, &delete_child.encode()),
        []
    );
    assert_eq!(script.exchange(INFORMATIONAL, 5, &delete_ike()), []);
    let more = script.seal(INFORMATIONAL, 6, &nothing());
    assert!(script.deliver(&more).is_empty());
    script.switch_to(new);
    let sas: Vec<_> = script.endpoint.summaries(None).collect();
    assert_eq!(sas[0].children.len(), 1);
    script.kernel.holds(&sas);
    assert_eq!(script.exchange(INFORMATIONAL, 0, &nothing()), []);
}

/// A request of ours that is out when the peer replaces the IKE SA is still
/// answered on the old one.
#[test]
fn an_answer_on_a_replaced_ike_sa_is_taken() {
    let mut script = up();
    let asked = script.wait(Duration::from_millis(10_500));
    assert_eq!(asked.len(), 1);
    let old = replace(&mut script, 2);
    let new = script.switch_to(old);
    assert!(script.answer(&asked[0], &nothing()).is_empty());
    assert_eq!(script.exchange(INFORMATIONAL, 3, &delete_ike()), []);
    script.switch_to(new);
    assert_eq!(script.exchange(INFORMATIONAL, 0, &nothing()), []);
    // Nothing is repeated.
    assert!(script.wait(Duration::from_secs(30)).is_empty());
}

/// RFC 7296 §1.3.2, §2.18, §3.3.1: there must be an SPI of eight octets that is
/// not zero, and a key exchange.
#[test]
fn an_ike_sa_without_spi_or_key_exchange_is_refused() {
    let mut script = up();
    let key = key();
    let cases = [
        ("no SPI", offer(&[], 31)),
        ("a short SPI", offer(&SPI[..4], 31)),
        ("an SPI of zero", offer(&[0; 8], 31)),
        ("no key exchange", offer(&SPI, 0)),
        ("a group that is not allowed", offer(&SPI, 2)),
    ];
    for ((what, proposals), id) in cases.into_iter().zip(2..) {
        let asked = CreateChild {
            proposals,
            ..request(&key)
        };
        let answer = script.exchange(CREATE_CHILD_SA, id, &asked.encode());
        let kind = refusal(&answer).kind;
        assert_eq!(kind, NotifyType::NO_PROPOSAL_CHOSEN, "{what}");
    }
    assert_eq!(script.endpoint.established(), 1);
}

/// <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD: x25519) }
#[test]
fn a_value_of_another_group_makes_no_ike_sa() {
    let mut script = up();
    let key = key();
    let asked = CreateChild {
        key_exchange: Some(KeyExchange {
            group: GroupId::ECP_256,
            data: &[4; 64],
        }),
        ..request(&key)
    };
    let answer = script.exchange(CREATE_CHILD_SA, 2, &asked.encode());
    let notify = refusal(&answer);
    assert_eq!(notify.kind, NotifyType::INVALID_KE_PAYLOAD);
    assert_eq!(notify.data, [0, 31]);
    let _old = replace(&mut script, 3);
    assert_eq!(script.exchange(INFORMATIONAL, 0, &nothing()), []);
}

/// RFC 7296 §1.3.2: KEi must be there. Without it the request is no request, and
/// that is fatal on both sides (§2.21.3).
/// <-- CREATE_CHILD_SA { N(INVALID_SYNTAX) }
#[test]
fn an_ike_sa_without_a_value_ends_the_old_one() {
    let mut script = up();
    let key = key();
    let asked = CreateChild {
        key_exchange: None,
        ..request(&key)
    };
    let answer = script.exchange(CREATE_CHILD_SA, 2, &asked.encode());
    assert_eq!(refusal(&answer).kind, NotifyType::INVALID_SYNTAX);
    assert!(script.endpoint.is_quiet());
    script.kernel.holds(&[]);
}

/// Who is told to go does not stay by replacing its IKE SA meanwhile, with a request
/// of ours left unanswered.
#[test]
fn an_end_is_not_forgotten_while_a_key_is_agreed_on() {
    let mut script = up();
    // We have asked whether it lives, and it says nothing.
    assert_eq!(script.wait(Duration::from_secs(10)).len(), 1);
    script.waiting = Some(VecDeque::new());
    script.all_wait = true;
    let key = key();
    let request = script.seal(CREATE_CHILD_SA, 2, &request(&key).encode());
    assert!(script.deliver(&request).is_empty());
    let id = script.endpoint.summaries(None).next().unwrap().id;
    script.command(Command::Terminate(id));
    let sent = script.work_once();
    let answer = script.open(&sent[0]);
    assert_eq!(refusal(&answer).kind, NotifyType::TEMPORARY_FAILURE);
    script.waiting = None;
    script.wait(Duration::from_secs(600));
    assert!(script.endpoint.is_quiet());
}
