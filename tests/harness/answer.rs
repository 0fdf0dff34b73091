//! What an endpoint answers, opened.

use ikexdp_proto::wire::iana::PayloadType;
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
