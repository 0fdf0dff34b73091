//! EAP inside IKE_AUTH (RFC 7296 §2.16).

use ikexdp_proto::eap::{Reply, Respondent};
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use ikexdp_proto::wire::payload::eap::{self, EapPacket};
use ikexdp_proto::wire::writer::ChainWriter;

use super::exchange::Talk;
use super::line::Line;
use super::reading::find;
use crate::answer::Answer;

/// What comes of a conversation.
pub(crate) enum End {
    /// The key that both have.
    Success(Vec<u8>),
    /// What ended it.
    Refused(Answer),
}

/// Answers what the gateway asks, beginning with the request in `answer`.
pub(crate) fn converse(
    talk: &mut Talk,
    line: &mut Line,
    mut answer: Answer,
    mut respondent: Box<dyn Respondent>,
) -> End {
    loop {
        let Some(packet) = find(&answer, PayloadType::EAP) else {
            return End::Refused(answer);
        };
        // Nobody may add anything behind it.
        assert_eq!(EapPacket::decode(packet).unwrap().octets(), packet);
        let response = match respondent.hear(packet) {
            Reply::Answer {
                response,
                respondent: next,
            } => {
                respondent = next;
                response
            }
            Reply::Accept(msk) => return End::Success(msk.expose().clone()),
            Reply::Refuse(_) => return End::Refused(answer),
        };
        let mut chain = ChainWriter::default();
        eap::encode(&mut chain, &response);
        answer = talk.exchange(line, ExchangeType::IKE_AUTH, &chain.finish());
    }
}
