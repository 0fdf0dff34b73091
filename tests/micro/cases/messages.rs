//! Reading messages, choosing of what they offer, and cookies.

use std::hint::black_box;
use std::sync::Arc;

use ikexdp_common::cookie::CookieSecrets;
use ikexdp_proto::config::{Config, Cookies};
use ikexdp_proto::message::auth::AuthRequest;
use ikexdp_proto::message::init::InitRequest;
use ikexdp_proto::types::{MessageId, Role, Spi, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::ExchangeType;
use ikexdp_proto::wire::writer::ChainWriter;
use ikexdp_proto::{Endpoint, Output};
use ring::rand::SystemRandom;

use crate::Case;
use crate::addresses::V4;
use crate::client::{Client, Fresh, windows, windows_dh2048};
use crate::parties::{Parties, Proof};
use crate::pki::Key;
use crate::record::{Recording, certified, deliver, fresh};

pub(super) fn cases() -> Vec<Case> {
    let psk = Recording::of(&Parties::new(Proof::SharedKey));
    let request = psk.init_request().to_vec();
    let config = psk.config();
    let mut strict = Config::clone(config);
    strict.gate.cookies = Cookies::Always;
    let windows = [windows(), windows_dh2048()].map(|client| opening(&client));
    let [refused, taken] = windows;
    let mut cases = vec![
        parse_init("init-request", request.clone()),
        parse_init("init-request-windows", refused.clone()),
        parse_auth("auth-request-psk", &psk),
        parse_auth(
            "auth-request-rsa-4096",
            &Recording::of(&certified(Key::Rsa4096)),
        ),
        // Choice of algorithms is most of these two.
        take("init-request-windows-dh2048", config, taken, |output| {
            matches!(output, Output::Job(..))
        }),
        take("init-request-windows-refused", config, refused, is_sent),
        take(
            "init-request-for-a-cookie",
            &Arc::new(strict),
            request,
            is_sent,
        ),
    ];
    cases.extend(cookies());
    cases
}

const fn is_sent(output: &Output) -> bool {
    matches!(output, Output::Transmit(_))
}

fn parse_init(name: &str, message: Vec<u8>) -> Case {
    Case::plain(format!("parse/{name}"), move || {
        let (header, payloads) = Header::decode(black_box(&message)).unwrap();
        black_box(InitRequest::decode(header.next_payload, payloads).unwrap());
    })
}

fn parse_auth(name: &str, recording: &Recording) -> Case {
    let payloads = recording.auth_payloads();
    Case::plain(format!("parse/{name}"), move || {
        let request = AuthRequest::decode(payloads.first, black_box(&payloads.octets));
        black_box(request.unwrap());
    })
}

/// What a gateway does with a first request, until there is such an output.
fn take(
    name: &str,
    config: &Arc<Config>,
    request: Vec<u8>,
    is_expected: impl Fn(&Output) -> bool + 'static,
) -> Case {
    let config = Arc::clone(config);
    Case::prepared(format!("gateway/{name}"), move |meter| {
        let mut gateway: Endpoint = fresh(&config);
        let mut outputs = Vec::with_capacity(4);
        meter(&mut || deliver(&mut gateway, &request, &mut outputs));
        assert!(outputs.iter().any(&is_expected), "{outputs:?}");
    })
}

/// The first request of a client.
fn opening(client: &Client) -> Vec<u8> {
    let key = client.group.generate(&SystemRandom::new()).unwrap();
    let mut chain = ChainWriter::default();
    let fresh = Fresh {
        group: key.group().id(),
        public: key.public(),
        nonce: &vec![0x4e; client.nonce_len],
        nat: [[7; 20]; 2],
    };
    client.open(&mut chain, &fresh);
    let chain = chain.finish();
    let header = Header {
        spis: Spis {
            initiator: Spi(0x1111_2222_3333_4444),
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

fn cookies() -> [Case; 2] {
    const SPI: u64 = 0x1111_2222_3333_4444;
    const NONCE: [u8; 32] = [0x4e; 32];
    let secrets = CookieSecrets::new([1, 2], [3, 4]);
    let checking = secrets.clone();
    let cookie = secrets.mint(V4.client, SPI, &NONCE);
    [
        Case::plain("cookie/make", move || {
            secrets.mint(V4.client, black_box(SPI), &NONCE)
        }),
        Case::plain("cookie/verify", move || {
            assert!(checking.verify(black_box(&cookie), V4.client, SPI, &NONCE));
        }),
    ]
}
