//! Messages as another parser reads them.

use ikexdp_proto::message::init::{InitNotifies, InitRequest};
use ikexdp_proto::nat::NatHashes;
use ikexdp_proto::types::{MessageId, Role, Spi, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::{ExchangeType, GroupId, ProtocolId, TransformType};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::sa::{Proposal, Transform};
use ipsec_parser::IkeV2PayloadContent;

use crate::EVERY_HASH;

/// What an unconfigured Windows 10 offers: 12 proposals, one algorithm of each
/// type in each, all with 1024-bit MODP.
fn windows_proposals() -> Vec<Proposal> {
    let ciphers = [(3, None), (12, Some(128)), (12, Some(192)), (12, Some(256))];
    let hashes = [(2, 2), (12, 5), (13, 6)];
    let every = ciphers
        .into_iter()
        .flat_map(|cipher| hashes.map(|hash| (cipher, hash)));
    every
        .zip(1..)
        .map(|(((cipher, bits), (integrity, prf)), number)| Proposal {
            number,
            protocol: ProtocolId::IKE,
            spi: Vec::new(),
            transforms: vec![
                Transform::new(TransformType::ENCRYPTION, cipher, bits),
                Transform::new(TransformType::INTEGRITY, integrity, None),
                Transform::new(TransformType::PRF, prf, None),
                Transform::new(TransformType::KEY_EXCHANGE, 2, None),
            ],
        })
        .collect()
}

fn message(request: &InitRequest<'_>) -> Vec<u8> {
    let chain = request.encode();
    let header = Header {
        spis: Spis {
            initiator: Spi(0x0102_0304_0506_0708),
            responder: Spi::ZERO,
        },
        next_payload: chain.first,
        version: VERSION,
        exchange: ExchangeType::IKE_SA_INIT,
        from: Role::Initiator,
        response: false,
        message_id: MessageId(0),
    };
    let mut message = Vec::new();
    header.encode(HEADER_LEN + chain.octets.len(), &mut message);
    message.extend(chain.octets);
    message
}

/// ipsec-parser reads what we write, payload by payload.
#[test]
fn another_parser_reads_what_we_write() {
    let request = InitRequest {
        is_windows: true,
        size_test: None,
        cookie: Some(b"cookie"),
        proposals: windows_proposals(),
        key_exchange: KeyExchange {
            group: GroupId::CURVE25519,
            data: &[7; 32],
        },
        nonce: &[9; 32],
        notifies: InitNotifies {
            nat: NatHashes {
                sources: vec![[1; 20]],
                destination: Some([2; 20]),
            },
            fragmentation: true,
            signature_hashes: EVERY_HASH.to_vec(),
            childless: false,
        },
    };
    let message = message(&request);
    let (rest, header) = ipsec_parser::parse_ikev2_header(&message).unwrap();
    assert_eq!(usize::try_from(header.length).unwrap(), message.len());
    assert_eq!(header.init_spi, 0x0102_0304_0506_0708);
    let first = header.next_payload;
    let (rest, payloads) = ipsec_parser::parse_ikev2_payload_list(rest, first).unwrap();
    assert!(rest.is_empty());
    let payloads: Vec<_> = payloads
        .unwrap()
        .into_iter()
        .map(|payload| payload.content)
        .collect();
    let IkeV2PayloadContent::Notify(cookie) = &payloads[1] else {
        panic!("the cookie comes first: {payloads:?}")
    };
    // Its data come out four octets short; that much is theirs.
    assert_eq!(cookie.notify_type, ipsec_parser::NotifyType(16_390));
    let IkeV2PayloadContent::SA(proposals) = &payloads[2] else {
        panic!("then the proposals")
    };
    assert_eq!(proposals.len(), 12);
    for (theirs, ours) in proposals.iter().zip(&request.proposals) {
        assert_eq!(theirs.proposal_num, ours.number);
        let ids: Vec<u16> = theirs.transforms.iter().map(|t| t.transform_id).collect();
        let expected: Vec<u16> = ours.transforms.iter().map(|t| t.id).collect();
        assert_eq!(ids, expected);
    }
    let IkeV2PayloadContent::KE(key_exchange) = &payloads[3] else {
        panic!("then the public value")
    };
    assert_eq!(key_exchange.kex_data, [7; 32]);
    let IkeV2PayloadContent::Nonce(nonce) = &payloads[4] else {
        panic!("then the nonce")
    };
    assert_eq!(nonce.nonce_data, [9; 32]);
    let notifies = payloads[5..]
        .iter()
        .filter(|payload| matches!(payload, IkeV2PayloadContent::Notify(_)));
    assert_eq!(notifies.count(), 4);
}
