//! What an endpoint answers, opened.

use bytes::Bytes;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{NotifyType, PayloadType};
use ikexdp_proto::wire::payload::Payloads;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

/// An answer of the endpoint: type and body of each payload inside.
pub type Answer = Vec<(PayloadType, Vec<u8>)>;

/// The types of an answer's payloads, in order.
#[must_use]
pub fn kinds(answer: &Answer) -> Vec<PayloadType> {
    answer.iter().map(|(kind, _)| *kind).collect()
}

/// The same as they stand in a message.
#[must_use]
pub fn chain(answer: &Answer) -> Chain {
    let mut chain = ChainWriter::default();
    for (kind, body) in answer {
        chain.payload(*kind, |writer| writer.bytes(body));
    }
    chain.finish()
}

/// The only notify of a message in the clear, with its data.
#[must_use]
pub fn clear_notify(message: &[u8]) -> (NotifyType, Vec<u8>) {
    let (header, payloads) = Header::decode(message).unwrap();
    let mut payloads = Payloads::new(header.next_payload, payloads);
    let notify = payloads.next().unwrap().unwrap();
    assert!(payloads.next().is_none(), "one payload");
    assert_eq!(notify.kind, PayloadType::NOTIFY);
    let notify = Notify::decode(notify.body).unwrap();
    (notify.kind, notify.data.to_vec())
}

/// Whether nothing but this was sent: that there is no such SA, or not any more.
#[must_use]
pub fn is_unknown(sent: &[Bytes]) -> bool {
    let [sent] = sent else { return false };
    clear_notify(sent) == (NotifyType::INVALID_IKE_SPI, Vec::new())
}
