//! A client whose every message is written by a test, down to what is inside
//! the encrypted payload.

mod child;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use ikexdp_proto::config::{Config, RemoteSelectors};
use ikexdp_proto::crypto::cipher::{Cipher, Encryption};
use ikexdp_proto::crypto::kex::{Group, KeyPair};
use ikexdp_proto::crypto::keymat::{IkeKeys, KeySeed};
use ikexdp_proto::crypto::prf::Prf;
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::data_plane::DataPlaneEvent;
use ikexdp_proto::error::Malformed;
use ikexdp_proto::event::Event;
use ikexdp_proto::identity::Identity;
use ikexdp_proto::job::{Job, JobId};
use ikexdp_proto::limits::DENIAL_STEP;
use ikexdp_proto::message::auth::{AuthMessage, OwnAuthentication};
use ikexdp_proto::message::child::ChildPayloads;
use ikexdp_proto::message::init::{InitNotifies, InitReply, InitRequest};
use ikexdp_proto::nat::NatHashes;
use ikexdp_proto::spi::RandomSpis;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Datagram, MessageId, Path, Role, Spi, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::{
    ExchangeType, HashAlgorithm, NotifyType, PayloadType, ProtocolId, TransformType,
};
use ikexdp_proto::wire::payload::configuration::Configuration;
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::{GENERIC_LEN, Payloads, id};
use ikexdp_proto::wire::sk::{Encrypted, FRAGMENT_LEN};
use ikexdp_proto::wire::writer::Chain;
use ikexdp_proto::{Command, Endpoint, Input, Output};
use ring::rand::SystemRandom;

pub use self::child::CHILD_SPI;
pub use crate::answer::{Answer, chain, clear_notify, is_unknown, kinds};
use crate::host;
use crate::kernel::Kernel;
use crate::parties::{CLIENT, Parties, Proof, proposal, selector};

/// The key that the gateway of [`config`] knows.
pub const KEY: &[u8] = b"correct horse";

/// A gateway that lets anybody in who knows the key.
#[must_use]
pub fn config() -> Config {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_gateway(|connection| {
        let remote = selector("192.0.2.0-192.0.2.255");
        connection.child.remote = RemoteSelectors::Fixed(vec![remote]);
        connection.child.local = vec![selector("10.0.0.0-10.255.255.255")];
    });
    parties.gateway
}

/// A client, and the endpoint it talks to.
pub struct Script {
    /// The gateway.
    pub endpoint: Endpoint,
    /// Virtual time.
    pub now: Instant,
    /// The way its datagrams take, as the gateway sees it.
    pub path: Path,
    /// The SPIs in its headers.
    pub spis: Spis,
    /// Whether the gateway's host vouches for it.
    pub is_allowed: bool,
    /// The gateway's kernel.
    pub kernel: Kernel,
    /// Jobs of the kernel, which wait for [`Self::work_once`]; with `None` each is done at once.
    pub waiting: Option<VecDeque<(JobId, Job)>>,
    /// Whether other jobs wait as well.
    pub all_wait: bool,
    /// NAT-keepalive packets it has sent, and when.
    pub keepalives: Vec<(Instant, Path)>,
    /// What the gateway has told.
    pub events: Vec<Event>,
    /// Who it says it is.
    pub identity: Identity,
    /// What its IKE_SA_INIT request tells about addresses.
    pub nat: Option<NatHashes>,
    /// Whether it says that it is Windows.
    pub is_windows: bool,
    /// The hashes of signatures that it verifies.
    pub signature_hashes: Vec<HashAlgorithm>,
    /// Notifies of its IKE_AUTH request.
    pub notifies: Vec<(NotifyType, Vec<u8>)>,
    /// CP of its IKE_AUTH request.
    pub configuration: Option<Configuration<'static>>,
    request: Bytes,
    pub(crate) response: Bytes,
    nonce_r: Vec<u8>,
    pub(crate) keys: Option<IkeKeys>,
    key: Option<KeyPair>,
    random: ChaCha8Rng,
}

/// What is needed to speak under an IKE SA.
pub struct Line {
    spis: Spis,
    keys: IkeKeys,
}

/// The nonce data of the initiator.
pub const NONCE: [u8; 32] = [0x4e; 32];

impl Script {
    /// A client of an endpoint with `config`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let entropy = ChaCha8Rng::seed_from_u64(1);
        Self {
            endpoint: Endpoint::new(Arc::new(config), Box::new(entropy), Box::new(RandomSpis)),
            now: Instant::from_micros(1),
            path: Path {
                local: address("198.51.100.1:500"),
                remote: address("192.0.2.10:500"),
                marker: false,
            },
            spis: Spis {
                initiator: Spi(0x1111_2222_3333_4444),
                responder: Spi::ZERO,
            },
            is_allowed: false,
            kernel: Kernel::default(),
            waiting: None,
            all_wait: false,
            is_windows: false,
            signature_hashes: Vec::new(),
            keepalives: Vec::new(),
            notifies: Vec::new(),
            nat: None,
            identity: CLIENT.parse().unwrap(),
            events: Vec::new(),
            configuration: None,
            request: Bytes::new(),
            response: Bytes::new(),
            nonce_r: Vec::new(),
            keys: None,
            key: Some(Group::Curve25519.generate(&SystemRandom::new()).unwrap()),
            random: ChaCha8Rng::seed_from_u64(2),
        }
    }

    /// Hands in a datagram, does what jobs come of it, returns what is sent.
    pub fn deliver(&mut self, payload: &[u8]) -> Vec<Bytes> {
        let datagram = Datagram {
            path: self.path,
            slot: None,
            is_allowed: self.is_allowed,
            payload,
        };
        self.endpoint.handle(self.now, Input::Datagram(datagram));
        self.drain()
    }

    /// Has the endpoint do something, returns what is sent.
    pub fn command(&mut self, command: Command) -> Vec<Bytes> {
        self.endpoint.handle(self.now, Input::Command(command));
        self.drain()
    }

    /// Has the gateway's kernel say something, returns what is sent.
    pub fn tell(&mut self, event: DataPlaneEvent) -> Vec<Bytes> {
        self.endpoint.handle(self.now, Input::DataPlane(event));
        self.drain()
    }

    /// Lets time pass, one timer after the other.
    pub fn wait(&mut self, duration: Duration) -> Vec<Bytes> {
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

    fn drain(&mut self) -> Vec<Bytes> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit.payload),
                Output::Keepalive(path) => self.keepalives.push((self.now, path)),
                Output::Event(event) => self.events.push(event),
                Output::Keys(_) => {}
                Output::Job(id, job) => match (&mut self.waiting, job) {
                    (Some(waiting), job @ Job::DataPlane { .. }) => waiting.push_back((id, job)),
                    (Some(waiting), job) if self.all_wait => waiting.push_back((id, job)),
                    (_, job) => self.work(id, job),
                },
            }
        }
        sent
    }

    fn work(&mut self, id: JobId, job: Job) {
        let result = host::run(job, &self.kernel);
        self.endpoint.handle(self.now, Input::JobDone(id, result));
    }

    /// Has the kernel do the job that has waited longest, returns what is sent.
    pub fn work_once(&mut self) -> Vec<Bytes> {
        let waiting = self.waiting.as_mut().and_then(VecDeque::pop_front);
        let (id, job) = waiting.expect("a job");
        self.work(id, job);
        self.drain()
    }

    /// An IKE_SA_INIT request, as `change` has it.
    pub fn init_request<'a>(&'a self, change: impl FnOnce(&mut InitRequest<'a>)) -> Bytes {
        let ours = self.key.as_ref().expect("IKE_SA_INIT is not over");
        let mut request = InitRequest {
            cookie: None,
            proposals: vec![proposal(
                ProtocolId::IKE,
                Vec::new(),
                &[
                    (TransformType::ENCRYPTION, 20, Some(256)),
                    (TransformType::PRF, 5, None),
                    (TransformType::KEY_EXCHANGE, 31, None),
                    (TransformType::KEY_EXCHANGE, 14, None),
                ],
            )],
            key_exchange: KeyExchange {
                group: ours.group().id(),
                data: ours.public(),
            },
            nonce: &NONCE,
            notifies: InitNotifies {
                fragmentation: true,
                nat: self.nat.clone().unwrap_or_default(),
                signature_hashes: self.signature_hashes.clone(),
                ..InitNotifies::default()
            },
            is_windows: self.is_windows,
            size_test: None,
        };
        change(&mut request);
        self.clear(ExchangeType::IKE_SA_INIT, &request.encode())
    }

    /// A request in the clear.
    #[must_use]
    pub fn clear(&self, exchange: ExchangeType, payloads: &Chain) -> Bytes {
        let mut message = Vec::new();
        let header = self.header(exchange, 0, payloads.first);
        header.encode(HEADER_LEN + payloads.octets.len(), &mut message);
        message.extend_from_slice(&payloads.octets);
        message.into()
    }

    const fn header(&self, exchange: ExchangeType, id: u32, next_payload: PayloadType) -> Header {
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
    pub fn init(&mut self) {
        self.init_as(|_| ());
    }

    /// The same with a request as `change` has it.
    pub fn init_as(&mut self, change: impl FnOnce(&mut InitRequest<'_>)) {
        self.request = self.init_request(|request| change(request));
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
        let key = self.key.take().expect("IKE_SA_INIT is not over");
        let shared_secret = key.agree(accepted.key_exchange.data).unwrap();
        let seed = KeySeed {
            shared_secret: shared_secret.expose(),
            nonce_i: &NONCE,
            nonce_r: &self.nonce_r,
            spis: self.spis,
        };
        let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let keys = IkeKeys::derive(Prf::HmacSha2_256, cipher, Role::Initiator, &seed);
        self.keys = Some(keys.unwrap());
    }

    /// Speaks under the IKE SA that CREATE_CHILD_SA has made; returns what the old one needs.
    pub fn move_to(&mut self, spis: Spis, shared_secret: &[u8], nonces: [&[u8]; 2]) -> Line {
        let seed = KeySeed {
            shared_secret,
            nonce_i: nonces[0],
            nonce_r: nonces[1],
            spis,
        };
        let old = self.keys.take().expect("IKE_SA_INIT is over");
        let cipher = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let keys = old.rekey(Prf::HmacSha2_256, cipher, Role::Initiator, &seed);
        self.keys = Some(keys.unwrap());
        Line {
            spis: core::mem::replace(&mut self.spis, spis),
            keys: old,
        }
    }

    /// Speaks under another IKE SA; returns what this one needs.
    pub fn switch_to(&mut self, line: Line) -> Line {
        Line {
            spis: core::mem::replace(&mut self.spis, line.spis),
            keys: self.keys.replace(line.keys).expect("IKE_SA_INIT is over"),
        }
    }

    /// Forgets the SA, to begin another.
    pub fn begin_anew(&mut self) {
        self.spis = Spis {
            initiator: Spi(self.spis.initiator.0 + 1),
            responder: Spi::ZERO,
        };
        self.keys = None;
        self.key = Some(Group::Curve25519.generate(&SystemRandom::new()).unwrap());
    }

    /// What proves that it has `key`.
    #[must_use]
    pub fn mic(&self, key: &[u8]) -> Vec<u8> {
        let keys = self.keys.as_ref().expect("IKE_SA_INIT is over");
        let key = SharedKey::new(key);
        keys.shared_key_auth(&key, &self.octets()).expose().clone()
    }

    /// What it signs to prove who it is.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let identity = id::body(&self.identity);
        let keys = self.keys.as_ref().expect("IKE_SA_INIT is over");
        keys.signed_octets(Role::Initiator, &self.request, &self.nonce_r, &identity)
    }

    /// The payloads of an IKE_AUTH request that is right, if `key` is.
    #[must_use]
    pub fn auth_payloads(&self, key: &[u8], child: Option<ChildPayloads>) -> Chain {
        let identity = id::body(&self.identity);
        let mic = self.mic(key);
        AuthMessage {
            identity: Some((PayloadType::ID_INITIATOR, &identity)),
            certificates: &[],
            authorities: &[],
            wanted: None,
            authentication: Some(OwnAuthentication::SharedKey(&mic)),
            configuration: self.configuration.clone(),
            child: Ok(child),
            notifies: &self.notifies,
        }
        .encode()
    }

    /// Completes the handshake with the CHILD SA of [`Self::child`].
    pub fn establish(&mut self) -> Answer {
        self.init();
        let payloads = self.auth_payloads(KEY, Some(Self::child()));
        self.exchange(ExchangeType::IKE_AUTH, 1, &payloads)
    }

    /// Seals a request.
    pub fn seal(&mut self, exchange: ExchangeType, id: u32, payloads: &Chain) -> Bytes {
        self.seal_part(exchange, id, payloads.first, None, &payloads.octets)
    }

    /// Seals a request or one fragment of it: (number, total).
    pub fn seal_part(
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
        self.seal_message(&header, first, fragment, plaintext)
    }

    fn seal_message(
        &mut self,
        header: &Header,
        first: PayloadType,
        fragment: Option<(u16, u16)>,
        plaintext: &[u8],
    ) -> Bytes {
        let keys = self.keys.as_mut().expect("IKE_SA_INIT is over");
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
            .seal(&mut message, plaintext, &mut self.random)
            .unwrap();
        message.into()
    }

    /// Sends a request and opens the response, which is whole; a denial takes its time.
    pub fn exchange(&mut self, exchange: ExchangeType, id: u32, payloads: &Chain) -> Answer {
        let request = self.seal(exchange, id, payloads);
        let mut sent = self.deliver(&request);
        if sent.is_empty() {
            sent = self.wait(DENIAL_STEP);
        }
        let [response] = sent.as_slice() else {
            panic!("one response, not {}", sent.len())
        };
        self.open(response)
    }

    /// Answers a request of the endpoint, returns what is sent on that.
    pub fn answer(&mut self, request: &[u8], payloads: &Chain) -> Vec<Bytes> {
        let (header, _) = Header::decode(request).unwrap();
        assert!(!header.response);
        let header = Header {
            response: true,
            ..self.header(header.exchange, header.message_id.0, PayloadType::ENCRYPTED)
        };
        let response = self.seal_message(&header, payloads.first, None, &payloads.octets);
        self.deliver(&response)
    }

    /// Opens a whole message of the endpoint.
    #[must_use]
    pub fn open(&self, message: &[u8]) -> Answer {
        let (header, _) = Header::decode(message).unwrap();
        let encrypted = Encrypted::locate(&header, message).unwrap();
        let keys = self.keys.as_ref().expect("IKE_SA_INIT is over");
        let plaintext = keys.open.open(message, encrypted.associated).unwrap();
        Payloads::new(encrypted.first, &plaintext)
            .map(|payload| {
                let payload = payload?;
                // RFC 7296 §3.2: so it is with every type that the RFC defines.
                assert!(!payload.critical, "{} is critical", payload.kind);
                Ok::<_, Malformed>((payload.kind, payload.body.to_vec()))
            })
            .collect::<Result<_, _>>()
            .unwrap()
    }
}
