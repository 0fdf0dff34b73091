//! What the strictest of clients takes, which is Android.

use ikexdp_proto::wire::iana::PayloadType;
use ikexdp_proto::wire::payload::Payloads;

use crate::answer::Answer;

/// Payloads that may come more than once.
const SEVERAL: [PayloadType; 5] = [
    PayloadType::CERTIFICATE,
    PayloadType::CERTIFICATE_REQUEST,
    PayloadType::NOTIFY,
    PayloadType::DELETE,
    PayloadType::VENDOR_ID,
];

/// Walks payloads to the last octet; none is critical, and none there twice that must not be.
pub(crate) fn payloads(first: PayloadType, octets: &[u8]) -> Answer {
    let mut answer = Answer::new();
    for payload in Payloads::new(first, octets) {
        let payload = payload.unwrap_or_else(|error| panic!("{error}"));
        let kind = payload.kind;
        // RFC 7296 §3.2: so it is with every type that the RFC defines.
        assert!(!payload.critical, "{kind} is critical");
        let is_there = answer.iter().any(|(there, _)| *there == kind);
        assert!(
            !is_there || SEVERAL.contains(&kind),
            "{kind} is there twice"
        );
        answer.push((kind, payload.body.to_vec()));
    }
    answer
}

/// The body of the only payload of a type.
pub(crate) fn find(answer: &Answer, kind: PayloadType) -> Option<&[u8]> {
    let (_, body) = answer.iter().find(|(found, _)| *found == kind)?;
    Some(body)
}

/// The bodies of all payloads of a type.
pub(crate) fn all(answer: &Answer, kind: PayloadType) -> impl Iterator<Item = &[u8]> {
    let all = answer.iter().filter(move |(found, _)| *found == kind);
    all.map(|(_, body)| body.as_slice())
}
