//! A client whose every message is written by a test.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;
use ring::rand::SystemRandom;
use rustls_pki_types::UnixTime;

use super::Counting;
use crate::config::{
    AddressPool, ChildConfig, Config, Connection, Credential, EspAlgorithms, Fragmentation, Gate,
    IdentityPattern, IkeAlgorithms, RemoteSelectors, Requirement, Timing,
};
use crate::crypto::cipher::{Cipher, Encryption};
use crate::crypto::kex::{Group, KeyPair};
use crate::crypto::keymat::{IkeKeys, KeySeed};
use crate::crypto::prf::Prf;
use crate::endpoint::{Endpoint, Input, Output};
use crate::event::Event;
use crate::identity::Identity;
use crate::job::JobHost;
use crate::message::auth::{AuthMessage, OwnAuthentication};
use crate::message::child::ChildPayloads;
use crate::message::init::{InitNotifies, InitReply, InitRequest};
use crate::sa::proposal::{offer_esp, offer_ike};
use crate::time::Instant;
use crate::types::{Datagram, EspSpi, MessageId, Path, Role, Secret, Spi, Spis};
use crate::wire::header::{HEADER_LEN, Header, VERSION};
use crate::wire::iana::{ExchangeType, PayloadType};
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::ts::TrafficSelector;
use crate::wire::payload::{GENERIC_LEN, Payloads, id};
use crate::wire::sk::{Encrypted, FRAGMENT_LEN};
use crate::wire::writer::Chain;

const KEY: &[u8] = b"correct horse";

/// A gateway that lets anybody in who knows the key.
pub(crate) fn config() -> Config {
    let connection = Connection {
        name: "test".into(),
        local_identity: Identity::Fqdn("gateway.example.com".into()),
        credential: Credential::SharedKey(Secret::new(KEY.to_vec())),
        remote_identities: alloc::vec![IdentityPattern::Any],
        requirement: Requirement::SharedKey(Secret::new(KEY.to_vec())),
        child: ChildConfig {
            esp: EspAlgorithms::default(),
            local: alloc::vec![range("10.0.0.0", "10.255.255.255")],
            remote: RemoteSelectors::Fixed(alloc::vec![range("192.0.2.0", "192.0.2.255")]),
            request_addresses: false,
        },
    };
    Config {
        connections: alloc::vec![Arc::new(connection)],
        pools: alloc::vec![AddressPool::default()],
        ike: IkeAlgorithms::default(),
        fragmentation: Fragmentation::default(),
        gate: Gate::default(),
        timing: Timing::default(),
    }
}

/// Every protocol and port from `start` to `end`.
pub(crate) fn range(start: &str, end: &str) -> TrafficSelector {
    TrafficSelector::addresses(start.parse().unwrap(), end.parse().unwrap())
}

/// A client, and the endpoint it talks to.
pub(crate) struct Script {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    pub(crate) path: Path,
    pub(crate) spis: Spis,
    pub(crate) events: Vec<Event>,
    pub(crate) request: Bytes,
    response: Bytes,
    nonce_r: Vec<u8>,
    keys: Option<IkeKeys>,
    key: Option<KeyPair>,
}

/// An answer of the endpoint: type and body of each payload inside.
pub(crate) type Answer = Vec<(PayloadType, Vec<u8>)>;

impl Script {
    pub(crate) fn new(config: Config) -> Self {
        let group = Group::Curve25519;
        let path = |local: &str, remote: &str| Path {
            local: local.parse::<SocketAddr>().unwrap(),
            remote: remote.parse::<SocketAddr>().unwrap(),
            marker: false,
        };
        Self {
            endpoint: Endpoint::new(Arc::new(config), Box::new(Counting::default())),
            now: Instant::from_micros(1),
            path: path("198.51.100.1:500", "192.0.2.10:500"),
            spis: Spis {
                initiator: Spi(0x1111_2222_3333_4444),
                responder: Spi::ZERO,
            },
            events: Vec::new(),
            request: Bytes::new(),
            response: Bytes::new(),
            nonce_r: Vec::new(),
            keys: None,
            key: Some(group.generate(&SystemRandom::new()).unwrap()),
        }
    }

    /// Hands in a datagram, does what jobs come of it, returns what is sent.
    pub(crate) fn deliver(&mut self, payload: &[u8]) -> Vec<Bytes> {
        let datagram = Datagram {
            path: self.path,
            slot: None,
            payload,
        };
        self.endpoint.handle(self.now, Input::Datagram(datagram));
        self.drain()
    }

    /// Lets time pass, one timer after the other.
    pub(crate) fn wait(&mut self, duration: core::time::Duration) -> Vec<Bytes> {
        let end = self.now + duration;
        let mut sent = Vec::new();
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.endpoint.handle(at, Input::Timeout);
            sent.extend(self.drain());
        }
        self.now = end;
        sent
    }

    pub(crate) fn drain(&mut self) -> Vec<Bytes> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit.payload),
                Output::Event(event) => self.events.push(event),
                Output::Job(id, job) => {
                    let result = job.run(JobHost {
                        random: &SystemRandom::new(),
                        unix_time: UnixTime::since_unix_epoch(core::time::Duration::ZERO),
                    });
                    self.endpoint.handle(self.now, Input::JobDone(id, result));
                }
            }
        }
        sent
    }

    /// An IKE_SA_INIT request, as `change` has it.
    pub(crate) fn init_request<'a>(&'a self, change: impl FnOnce(&mut InitRequest<'a>)) -> Bytes {
        let ours = self.key.as_ref().unwrap();
        let mut request = InitRequest {
            cookie: None,
            proposals: offer_ike(&IkeAlgorithms::default()),
            key_exchange: KeyExchange {
                group: ours.group().id(),
                data: ours.public(),
            },
            nonce: &[0x4e; 32],
            notifies: InitNotifies {
                fragmentation: true,
                ..InitNotifies::default()
            },
        };
        change(&mut request);
        self.clear(ExchangeType::IKE_SA_INIT, &request.encode())
    }

    /// A request in the clear.
    pub(crate) fn clear(&self, exchange: ExchangeType, payloads: &Chain) -> Bytes {
        let mut message = Vec::new();
        let header = self.header(exchange, 0, payloads.first);
        header.encode(HEADER_LEN + payloads.octets.len(), &mut message);
        message.extend_from_slice(&payloads.octets);
        message.into()
    }

    fn header(&self, exchange: ExchangeType, id: u32, next_payload: PayloadType) -> Header {
        Header {
            spis: self.spis,
            next_payload,
            version: VERSION,
            exchange,
            from: Role::Initiator,
            response: false,
            message_id: MessageId(id),
        }
    }

    /// Completes IKE_SA_INIT: keys are there.
    pub(crate) fn init(&mut self) {
        self.request = self.init_request(|_| ());
        let sent = self.deliver(&self.request.clone());
        let [response] = sent.as_slice() else {
            panic!("one response, not {}", sent.len())
        };
        self.response = response.clone();
        let (header, payloads) = Header::decode(&self.response).unwrap();
        let Ok(InitReply::Accepted(accepted)) = InitReply::decode(header.next_payload, payloads)
        else {
            panic!("IKE_SA_INIT was refused")
        };
        self.spis = header.spis;
        self.nonce_r = accepted.nonce.to_vec();
        let key = self.key.take().unwrap();
        let shared_secret = key.agree(accepted.key_exchange.data).unwrap();
        let seed = KeySeed {
            shared_secret: shared_secret.expose(),
            nonce_i: &[0x4e; 32],
            nonce_r: &self.nonce_r,
            spis: self.spis,
        };
        let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let keys = IkeKeys::derive(Prf::HmacSha2_256, cipher, Role::Initiator, &seed);
        self.keys = Some(keys.unwrap());
    }

    /// The payloads of an IKE_AUTH request that is right, unless `key` is wrong.
    pub(crate) fn auth_payloads(&self, key: &[u8], child: Option<ChildPayloads>) -> Chain {
        let identity = id::body(&Identity::Fqdn("client.example.com".into()));
        let keys = self.keys.as_ref().unwrap();
        let octets = keys.signed_octets(Role::Initiator, &self.request, &self.nonce_r, &identity);
        let mic = keys.shared_key_auth(key, &octets);
        AuthMessage {
            identity: (PayloadType::ID_INITIATOR, &identity),
            certificates: &[],
            authorities: &[],
            wanted: None,
            authentication: OwnAuthentication::SharedKey(mic.expose()),
            configuration: None,
            child: Ok(child),
        }
        .encode()
    }

    /// A CHILD SA that the configuration has room for.
    pub(crate) fn child() -> ChildPayloads {
        ChildPayloads {
            proposals: offer_esp(&EspAlgorithms::default(), EspSpi(0xc0ff_ee00)),
            initiator: alloc::vec![range("192.0.2.10", "192.0.2.10")],
            responder: alloc::vec![range("10.1.0.0", "10.1.255.255")],
        }
    }

    /// Completes the handshake with the CHILD SA of [`Self::child`].
    pub(crate) fn establish(&mut self) -> Answer {
        self.init();
        let payloads = self.auth_payloads(KEY, Some(Self::child()));
        self.exchange(ExchangeType::IKE_AUTH, 1, &payloads)
    }

    /// Seals a request.
    pub(crate) fn seal(&mut self, exchange: ExchangeType, id: u32, payloads: &Chain) -> Bytes {
        self.seal_part(exchange, id, payloads.first, None, &payloads.octets)
    }

    /// Seals a request or one fragment of it: (number, total).
    pub(crate) fn seal_part(
        &mut self,
        exchange: ExchangeType,
        id: u32,
        first: PayloadType,
        fragment: Option<(u16, u16)>,
        plaintext: &[u8],
    ) -> Bytes {
        let kind = if fragment.is_some() {
            PayloadType::ENCRYPTED_FRAGMENT
        } else {
            PayloadType::ENCRYPTED
        };
        let header = self.header(exchange, id, kind);
        let keys = self.keys.as_mut().unwrap();
        let numbers = if fragment.is_some() { FRAGMENT_LEN } else { 0 };
        let body = keys.seal.cipher().sealed_len(plaintext.len()) + numbers;
        let mut message = Vec::new();
        header.encode(HEADER_LEN + GENERIC_LEN + body, &mut message);
        message.extend([first.0, 0]);
        message.extend(((GENERIC_LEN + body) as u16).to_be_bytes());
        if let Some((number, total)) = fragment {
            message.extend(number.to_be_bytes());
            message.extend(total.to_be_bytes());
        }
        keys.seal
            .seal(&mut message, plaintext, &mut Counting::default())
            .unwrap();
        message.into()
    }

    /// Sends a request and opens the response, which is whole.
    pub(crate) fn exchange(&mut self, exchange: ExchangeType, id: u32, payloads: &Chain) -> Answer {
        let request = self.seal(exchange, id, payloads);
        let sent = self.deliver(&request);
        let [response] = sent.as_slice() else {
            panic!("one response, not {}", sent.len())
        };
        self.open(response)
    }

    /// Opens a whole message of the endpoint.
    pub(crate) fn open(&self, message: &[u8]) -> Answer {
        let (header, _) = Header::decode(message).unwrap();
        let encrypted = Encrypted::locate(&header, message).unwrap();
        let keys = self.keys.as_ref().unwrap();
        let plaintext = keys.open.open(message, encrypted.associated).unwrap();
        Payloads::new(encrypted.first, &plaintext)
            .map(|payload| payload.map(|payload| (payload.kind, payload.body.to_vec())))
            .collect::<Result<_, _>>()
            .unwrap()
    }
}

/// The types of an answer's payloads, in order.
pub(crate) fn kinds(answer: &Answer) -> Vec<PayloadType> {
    answer.iter().map(|(kind, _)| *kind).collect()
}
