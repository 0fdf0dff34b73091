//! What fuzzers do with their octets: the bodies of the targets in `fuzz/`, and
//! of the test that replays their corpus.

mod capture;
mod frame;

use std::time::Duration;

use ikexdp_proto::limits::{FRAGMENT_COST, FRAGMENTS_MAX, MESSAGE_LEN_MAX};
use ikexdp_proto::message::auth::{AuthRequest, AuthResponse};
use ikexdp_proto::message::eap::{EapAccepted, EapOpened, EapResponse};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::message::init::{InitReply, InitRequest};
use ikexdp_proto::types::Spi;
use ikexdp_proto::wire::header::{HEADER_LEN, Header};
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use ikexdp_proto::wire::sk::Encrypted;
use ikexdp_proto::wire::writer::Chain;

pub use self::capture::capture;
pub use self::frame::frame;
use crate::script::{Script, config};

/// Most memory for one message under reassembly, in octets.
const REASSEMBLY_MAX: usize = MESSAGE_LEN_MAX + FRAGMENTS_MAX as usize * FRAGMENT_COST;

/// A target, and what it is called.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 5] = [
    ("capture", capture),
    ("frame", frame),
    ("message", message),
    ("fragments", fragments),
    ("endpoint", endpoint),
];

/// The octets are a message but for its length: every reader takes it or refuses
/// it, and what was taken is written the same way again.
pub fn message(octets: &[u8]) {
    let mut octets = octets.to_vec();
    let length = octets.len() as u32;
    if let Some(field) = octets.get_mut(HEADER_LEN - 4..HEADER_LEN) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    let Ok((header, payloads)) = Header::decode(&octets) else {
        return;
    };
    let mut encoded = Vec::new();
    header.encode(octets.len(), &mut encoded);
    // The flags that nobody uses yet do not survive.
    assert_eq!(encoded[..19], octets[..19]);
    assert_eq!(encoded[20..], octets[20..HEADER_LEN]);
    let first = header.next_payload;
    if let Ok(request) = InitRequest::decode(first, payloads) {
        let chain = request.encode();
        let again = InitRequest::decode(chain.first, &chain.octets).expect("what we write is read");
        assert_eq!(again.nonce, request.nonce);
        assert_eq!(again.key_exchange, request.key_exchange);
        assert_eq!(again.notifies, request.notifies);
    }
    let _ = InitReply::decode(first, payloads);
    let _ = AuthRequest::decode(first, payloads);
    let _ = AuthResponse::decode(first, payloads);
    let _ = EapOpened::decode(first, payloads);
    let _ = EapResponse::decode(first, payloads);
    let _ = EapAccepted::decode(first, payloads);
    let _ = Informational::decode(first, payloads);
    let _ = Encrypted::locate(&header, &octets);
}

/// The octets are the numbers and sizes of fragments under the right keys: the
/// endpoint holds no more than it may, and a message that is whole is answered.
pub fn fragments(octets: &[u8]) {
    let mut script = Script::new(config());
    script.establish();
    let mut id = 2;
    for step in octets.chunks_exact(6).take(200) {
        let total = u16::from_be_bytes([step[0] & 1, step[1]]);
        let number = u16::from_be_bytes([step[2] & 1, step[3]]);
        let length = usize::from(u16::from_be_bytes([step[4] & 0x0f, step[5]]));
        let first = if number == 1 {
            PayloadType::VENDOR_ID
        } else {
            PayloadType::NONE
        };
        let part = vec![0; length];
        let exchange = ExchangeType::INFORMATIONAL;
        let fragment = script.seal_part(exchange, id, first, Some((number, total)), &part);
        let sent = script.deliver(&fragment);
        assert!(script.endpoint.reassembly_octets() <= REASSEMBLY_MAX);
        assert!(sent.len() <= 1);
        if !sent.is_empty() {
            assert!(number <= total && total <= FRAGMENTS_MAX);
            id += 1;
        }
        if script.endpoint.is_quiet() {
            return;
        }
    }
}

/// The octets are steps of a peer that knows the keys, and of strangers: what
/// they send, and how long they wait.
pub fn endpoint(octets: &[u8]) {
    let mut script = Script::new(config());
    script.establish();
    let mut id = 2;
    let mut rest = octets;
    while let [step, length, tail @ ..] = rest {
        let (body, after) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = after;
        let keyed = Chain {
            first: PayloadType(33 + (step >> 3)),
            octets: body.to_vec(),
        };
        match step & 7 {
            0 => script.now = script.now + Duration::from_millis(100 * u64::from(*length)),
            1 => {
                script.wait(Duration::from_secs(u64::from(*length)));
            }
            2 => {
                script.deliver(body);
            }
            3 => {
                let message = script.clear(ExchangeType(34 + (step >> 3) % 4), &keyed);
                script.deliver(&message);
            }
            4 => {
                let mut stranger = script.spis;
                stranger.initiator = Spi(u64::from(*length));
                stranger.responder = Spi::ZERO;
                let ours = std::mem::replace(&mut script.spis, stranger);
                let message = script.clear(ExchangeType::IKE_SA_INIT, &keyed);
                script.deliver(&message);
                script.spis = ours;
            }
            kind => {
                let exchange = [
                    ExchangeType::INFORMATIONAL,
                    ExchangeType::CREATE_CHILD_SA,
                    ExchangeType::IKE_AUTH,
                ][usize::from(kind) - 5];
                let message = script.seal(exchange, id, &keyed);
                // A request that authenticates is answered, whatever is in it.
                if !script.deliver(&message).is_empty() {
                    id += 1;
                }
            }
        }
        assert!(script.endpoint.reassembly_octets() <= REASSEMBLY_MAX);
    }
}
