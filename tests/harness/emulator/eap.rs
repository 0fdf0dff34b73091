//! EAP inside IKE_AUTH (RFC 7296 §2.16), with EAP-MSCHAPv2.

use ikexdp_proto::wire::iana::{EapCode, EapType, ExchangeType, PayloadType};
use ikexdp_proto::wire::payload::eap::{self, EapPacket};
use ikexdp_proto::wire::writer::ChainWriter;

use super::exchange::Talk;
use super::line::Line;
use super::reading::find;
use crate::answer::Answer;
use crate::mschapv2::{self, Client};

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
    user: &Client<'_>,
) -> End {
    let mut said = mschapv2::Answer::default();
    loop {
        let Some(request) = find(&answer, PayloadType::EAP) else {
            return End::Refused(answer);
        };
        let packet = EapPacket::decode(request).unwrap();
        // Nobody may add anything behind it.
        assert_eq!(packet.octets(), request);
        let response = match (packet.code, packet.method) {
            (EapCode::SUCCESS, None) => return End::Success(said.msk),
            (EapCode::REQUEST, Some((EapType::IDENTITY, _))) => {
                response(packet.identifier, EapType::IDENTITY, user.name.as_bytes())
            }
            (EapCode::REQUEST, Some((EapType::MSCHAPV2, [1, ..]))) => {
                said = user.answer(request);
                said.response.clone()
            }
            (EapCode::REQUEST, Some((EapType::MSCHAPV2, _))) => said.acknowledge(request),
            (EapCode::REQUEST, Some(_)) => {
                response(packet.identifier, EapType::NAK, &[EapType::MSCHAPV2.0])
            }
            _ => return End::Refused(answer),
        };
        let mut chain = ChainWriter::default();
        eap::encode(&mut chain, &response);
        answer = talk.exchange(line, ExchangeType::IKE_AUTH, &chain.finish());
    }
}

fn response(identifier: u8, kind: EapType, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 5).unwrap().to_be_bytes();
    let head = [
        EapCode::RESPONSE.0,
        identifier,
        length[0],
        length[1],
        kind.0,
    ];
    [&head, data].concat()
}
