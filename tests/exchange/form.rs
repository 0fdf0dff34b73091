//! What the form of a message leaves open, and what it does not (RFC 7296 §2.5, §3).

use harness::script::{Answer, KEY, Script, chain, config, kinds};
use ikexdp_proto::Command;
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::message::init::notify_only;
use ikexdp_proto::wire::header::{HEADER_LEN, Header};
use ikexdp_proto::wire::iana::{
    ConfigurationAttribute, ConfigurationType, ExchangeType, NotifyType, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::{GENERIC_LEN, Payloads};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn up() -> Script {
    let mut script = Script::new(config());
    script.establish();
    script
}

fn nothing() -> Chain {
    Informational::default().encode()
}

/// The payloads in reverse order, behind a Vendor ID and one of a type that
/// nobody knows, with every reserved bit set, and critical where that means nothing.
fn odd(payloads: &Chain) -> Chain {
    let payloads = Payloads::new(payloads.first, &payloads.octets).map(Result::unwrap);
    let mut all: Answer = payloads
        .map(|payload| (payload.kind, payload.body.to_vec()))
        .collect();
    all.push((PayloadType(200), vec![1, 2, 3]));
    all.push((PayloadType::VENDOR_ID, b"somebody".to_vec()));
    all.reverse();
    for (kind, body) in &mut all {
        match *kind {
            PayloadType::KEY_EXCHANGE => body[2..4].fill(0xff),
            PayloadType::AUTHENTICATION
            | PayloadType::TRAFFIC_SELECTOR_INITIATOR
            | PayloadType::TRAFFIC_SELECTOR_RESPONDER => body[1..4].fill(0xff),
            PayloadType::SECURITY_ASSOCIATION => reserve(body),
            _ => {}
        }
    }
    let mut odd = chain(&all);
    let mut place = 0;
    for (kind, body) in all {
        odd.octets[place + 1] = if kind == PayloadType(200) { 0x7f } else { 0xff };
        place += GENERIC_LEN + body.len();
    }
    odd
}

/// Sets what is reserved in an SA payload with one proposal.
fn reserve(body: &mut [u8]) {
    body[1] = 0xff;
    let mut place = 8 + usize::from(body[6]);
    while place < body.len() {
        let length = usize::from(body[place + 3]);
        body[place + 1] = 0xff;
        body[place + 5] = 0xff;
        place += length;
    }
}

/// RFC 7296 §2.5, §3.1, §3.2: for what may be added later, all of this is taken.
#[test]
fn neither_order_nor_reserved_bits_matter() {
    let mut script = Script::new(config());
    let request = script.init_request(|_| ());
    let plain = Chain {
        first: PayloadType(request[16]),
        octets: request[HEADER_LEN..].to_vec(),
    };
    let mut request = script
        .clear(ExchangeType::IKE_SA_INIT, &odd(&plain))
        .to_vec();
    // A later minor version, and every flag but that of responses.
    request[17] = 0x2f;
    request[19] = 0xdf;
    let sent = script.deliver(&request);
    assert_eq!(sent.len(), 1);
    let (header, payloads) = Header::decode(&sent[0]).unwrap();
    let mut payloads = Payloads::new(header.next_payload, payloads).map(Result::unwrap);
    assert!(payloads.any(|payload| payload.kind == PayloadType::SECURITY_ASSOCIATION));

    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(KEY, Some(Script::child()));
    let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &odd(&payloads));
    assert!(kinds(&answer).contains(&PayloadType::SECURITY_ASSOCIATION));
    assert_eq!(script.endpoint.established(), 1);
}

/// RFC 7296 §2.5, §3.1, §3.2: in the clear as well nothing is critical.
#[test]
fn what_we_send_is_version_2_0_and_sets_nothing_that_is_reserved() {
    let mut script = Script::new(config());
    let response = script.deliver(&script.init_request(|_| ())).remove(0);
    assert_eq!(response[17], 0x20);
    assert_eq!(response[19], 0x20, "a response of the responder");
    let mut place = HEADER_LEN;
    while place < response.len() {
        assert_eq!(response[place + 1], 0, "payload at {place}");
        let length = [response[place + 2], response[place + 3]];
        place += usize::from(u16::from_be_bytes(length));
    }
    let mut script = up();
    let id = script.endpoint.summaries(None).next().unwrap().id;
    let request = script.command(Command::Terminate(id)).remove(0);
    assert_eq!(request[17], 0x20);
    assert_eq!(request[19], 0, "a request of the responder");
}

/// RFC 7296 §1.5, §2.4, §2.21.4: what nobody has protected neither ends an SA nor
/// gets an answer, whatever it says.
#[test]
fn what_is_not_protected_changes_nothing() {
    let mut script = up();
    let delete = Informational {
        delete_ike: true,
        ..Informational::default()
    };
    let unknown = notify_only(&Notify::new(NotifyType::INVALID_IKE_SPI, &[]));
    let syntax = notify_only(&Notify::new(NotifyType::INVALID_SYNTAX, &[]));
    for payloads in [delete.encode(), unknown, syntax] {
        for (id, flags) in [(2, 0x08), (0, 0x28), (0, 0x20)] {
            let mut message = script.clear(INFORMATIONAL, &payloads).to_vec();
            message[19] = flags;
            message[23] = id;
            assert!(script.deliver(&message).is_empty());
        }
    }
    assert_eq!(script.exchange(INFORMATIONAL, 2, &nothing()), []);
}

/// RFC 7296 §2.4: that a peer begins anew says nothing of what it has, until it
/// has proved who it is.
#[test]
fn a_new_handshake_does_not_end_an_sa() {
    let mut script = up();
    let before = script.endpoint.summaries(None).next().unwrap();
    script.begin_anew();
    script.init();
    let payloads = script.auth_payloads(b"wrong", Some(Script::child()));
    script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let after = script.endpoint.summaries(None).next().unwrap();
    assert_eq!(after.spis, before.spis);
    assert_eq!(after.children, before.children);
}

/// RFC 7296 §2.20, §3.15: nobody need tell its version, nor take a configuration.
/// --> INFORMATIONAL { CP(CFG_REQUEST: APPLICATION_VERSION) }
/// <-- INFORMATIONAL { }
#[test]
fn who_asks_for_our_version_is_answered_without() {
    let mut script = up();
    let kinds = [ConfigurationType::REQUEST, ConfigurationType::SET];
    for (kind, id) in kinds.into_iter().zip(2..) {
        let mut chain = ChainWriter::default();
        let configuration = Configuration {
            kind,
            attributes: vec![Attribute {
                kind: ConfigurationAttribute::APPLICATION_VERSION,
                value: Vec::new().into(),
            }],
        };
        configuration.encode(&mut chain);
        assert_eq!(script.exchange(INFORMATIONAL, id, &chain.finish()), []);
    }
}

/// RFC 7296 §3.11: SAs of a protocol that we have none of are none.
/// --> INFORMATIONAL { D(AH: c0ffee00) }
/// <-- INFORMATIONAL { }
#[test]
fn a_delete_of_another_protocol_deletes_nothing() {
    let mut script = up();
    let mut delete = ChainWriter::default();
    delete.payload(PayloadType::DELETE, |body| {
        body.bytes(&[2, 4, 0, 1]);
        body.u32(harness::script::CHILD_SPI);
    });
    assert_eq!(script.exchange(INFORMATIONAL, 2, &delete.finish()), []);
    let sa = script.endpoint.summaries(None).next().unwrap();
    assert_eq!(sa.children.len(), 1);
}
