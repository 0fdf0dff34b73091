//! A handshake that was recorded, and its repetitions.
//!
//! A gateway whose random numbers are drawn from the same seed does the same with the same datagrams
//! and the same results of jobs. So no client is needed to repeat its part, and no public-key work.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use ikexdp_proto::config::{Config, Credential, Requirement};
use ikexdp_proto::crypto::aead::OpenKey;
use ikexdp_proto::crypto::cert::{CertifiedKey, TrustAnchors};
use ikexdp_proto::crypto::sign::SigningKey;
use ikexdp_proto::data_plane::{NoDataPlane, Volume};
use ikexdp_proto::event::Event;
use ikexdp_proto::job::{Agreed, JobResult};
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::spi::RandomSpis;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Datagram, Path, Secret};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use ikexdp_proto::wire::sk::Encrypted;
use ikexdp_proto::wire::writer::Chain as Payloads;
use ikexdp_proto::{Command, Endpoint, ExposedKeys, Input, Output};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::addresses::V4;
use crate::host;
use crate::parties::{Parties, Proof};
use crate::pki::{self, Chain, Key, Pki};

/// What a gateway does for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Takes the IKE_SA_INIT request, until there is a secret to be agreed on.
    InitRequest,
    /// Answers it.
    InitResponse,
    /// Takes the IKE_AUTH request, with all its fragments, until there is something to be verified or
    /// installed.
    AuthRequest,
    /// Goes on until it has answered.
    AuthResponse,
    /// Does a job.
    Job,
}

/// A handshake, as its gateway saw it.
pub(crate) struct Recording {
    config: Arc<Config>,
    datagrams: Vec<Bytes>,
    results: Vec<Done>,
    keys: ExposedKeys,
}

/// What came of a job.
enum Done {
    Agreed(Vec<u8>, Vec<u8>),
    Signed(Vec<u8>),
    Verified,
    Installed,
}

/// The way of a client's datagrams, as the gateway sees it.
pub(crate) fn path() -> Path {
    Path {
        local: SocketAddr::new(V4.gateway, 500),
        remote: SocketAddr::new(V4.client, 500),
        marker: false,
    }
}

/// A gateway that nobody has spoken to yet.
pub(crate) fn fresh(config: &Arc<Config>) -> Endpoint {
    endpoint(config, 1)
}

fn endpoint(config: &Arc<Config>, seed: u64) -> Endpoint {
    let random = Box::new(ChaCha8Rng::seed_from_u64(seed));
    Endpoint::new(Arc::clone(config), random, Box::new(RandomSpis))
}

/// When all of it happens.
const NOW: Instant = Instant::from_micros(1);

/// Hands in a datagram of a client.
pub(crate) fn deliver(gateway: &mut Endpoint, payload: &[u8], outputs: &mut Vec<Output>) {
    let datagram = Datagram {
        path: path(),
        slot: None,
        is_allowed: false,
        payload,
    };
    hand_in(gateway, Input::Datagram(datagram), outputs);
}

fn hand_in(endpoint: &mut Endpoint, input: Input<'_>, outputs: &mut Vec<Output>) {
    endpoint.handle(NOW, input);
    while let Some(output) = endpoint.poll_output() {
        outputs.push(output);
    }
}

impl Recording {
    /// Connects a client to a gateway.
    pub(crate) fn of(parties: &Parties) -> Self {
        let config = Arc::new(parties.gateway.clone());
        let (mut gateway, mut client) =
            (fresh(&config), endpoint(&parties.client.clone().into(), 2));
        let mut outputs = Vec::new();
        let path = path();
        let expose = Command::Expose(Some(path.remote.ip()));
        hand_in(&mut gateway, Input::Command(expose), &mut outputs);
        let initiate = Command::Initiate {
            connection: "home".into(),
            path: Path {
                local: path.remote,
                remote: path.local,
                marker: false,
            },
        };
        hand_in(&mut client, Input::Command(initiate), &mut outputs);
        let mut recording = (Vec::new(), Vec::new(), None);
        let mut to_gateway = sent(&mut client, outputs, &mut |_| (), &mut None);
        while let Some(request) = to_gateway.pop_front() {
            let mut outputs = Vec::new();
            deliver(&mut gateway, &request, &mut outputs);
            let mut note = |result: &JobResult| recording.1.push(Done::of(result));
            let responses = sent(&mut gateway, outputs, &mut note, &mut recording.2);
            recording.0.push(request);
            for response in responses {
                let datagram = Datagram {
                    path: Path {
                        local: path.remote,
                        remote: path.local,
                        marker: false,
                    },
                    slot: None,
                    is_allowed: false,
                    payload: &response,
                };
                let mut outputs = Vec::new();
                hand_in(&mut client, Input::Datagram(datagram), &mut outputs);
                to_gateway.extend(sent(&mut client, outputs, &mut |_| (), &mut None));
            }
        }
        let (datagrams, results, keys) = recording;
        Self {
            config,
            datagrams,
            results,
            keys: keys.expect("the gateway has made keys"),
        }
    }

    /// Repeats the gateway's part, up to the end of `last` if that is given; the results of jobs are those
    /// that were recorded.
    pub(crate) fn repeat(
        &self,
        last: Option<Stage>,
        meter: &mut dyn FnMut(Stage, &mut dyn FnMut()),
    ) {
        let mut gateway = fresh(&self.config);
        let mut results = self.results.iter();
        let mut outputs = Vec::with_capacity(16);
        let mut is_up = false;
        for payload in &self.datagrams {
            let mut stage = arrival(payload);
            meter(stage, &mut || deliver(&mut gateway, payload, &mut outputs));
            while let Some(output) = outputs.pop() {
                is_up |= matches!(output, Output::Event(Event::Established(_)));
                let Output::Job(id, job) = output else {
                    continue;
                };
                // A job ends what an arrival has begun.
                if last == Some(stage) && stage == arrival(payload) {
                    return;
                }
                let mut job = Some(job);
                meter(Stage::Job, &mut || {
                    let job = job.take().expect("a meter runs it once");
                    std::hint::black_box(host::run(job, &NoDataPlane));
                });
                let mut result = Some(results.next().expect("one more result").again());
                stage = match stage {
                    Stage::InitRequest | Stage::InitResponse => Stage::InitResponse,
                    _ => Stage::AuthResponse,
                };
                meter(stage, &mut || {
                    let result = result.take().expect("a meter runs it once");
                    hand_in(&mut gateway, Input::JobDone(id, result), &mut outputs);
                });
            }
            if last == Some(stage) && stage == Stage::InitResponse {
                return;
            }
        }
        assert!(is_up, "a repeated handshake succeeds as the first did");
    }

    /// The IKE_SA_INIT request.
    pub(crate) fn init_request(&self) -> Bytes {
        self.datagrams[0].clone()
    }

    /// How many datagrams the IKE_AUTH request has.
    pub(crate) fn auth_datagrams(&self) -> usize {
        self.datagrams.len() - 1
    }

    /// The payloads of the IKE_AUTH request.
    pub(crate) fn auth_payloads(&self) -> Payloads {
        let keys = &self.keys.keys.from_initiator;
        let (encryption, integrity) = (keys.encryption.expose(), keys.integrity.expose());
        let key = OpenKey::new(self.keys.suite.cipher, encryption, integrity).unwrap();
        let mut first = PayloadType::NONE;
        let mut octets = Vec::new();
        for message in &self.datagrams[1..] {
            let (header, _) = Header::decode(message).unwrap();
            let encrypted = Encrypted::locate(&header, message).unwrap();
            if first == PayloadType::NONE {
                first = encrypted.first;
            }
            octets.extend(key.open(message, encrypted.associated).unwrap());
        }
        Payloads { first, octets }
    }

    /// The gateway's configuration.
    pub(crate) const fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

/// What an endpoint sends; jobs are done at once.
fn sent(
    endpoint: &mut Endpoint,
    outputs: Vec<Output>,
    note: &mut dyn FnMut(&JobResult),
    keys: &mut Option<ExposedKeys>,
) -> VecDeque<Bytes> {
    let mut sent = VecDeque::new();
    let mut outputs = VecDeque::from(outputs);
    while let Some(output) = outputs.pop_front() {
        match output {
            Output::Transmit(transmit) => sent.push_back(transmit.payload),
            Output::Keys(exposed) => *keys = Some(*exposed),
            Output::Job(id, job) => {
                let result = host::run(job, &NoDataPlane);
                note(&result);
                let mut more = Vec::new();
                hand_in(endpoint, Input::JobDone(id, result), &mut more);
                outputs.extend(more);
            }
            Output::Keepalive(_) | Output::Event(_) => {}
        }
    }
    sent
}

/// What the arrival of this message begins.
fn arrival(message: &[u8]) -> Stage {
    let (header, _) = Header::decode(message).unwrap();
    if header.exchange == ExchangeType::IKE_SA_INIT {
        Stage::InitRequest
    } else {
        Stage::AuthRequest
    }
}

impl Done {
    fn of(result: &JobResult) -> Self {
        match result {
            JobResult::Secret(Ok(agreed)) => {
                Self::Agreed(agreed.public.clone(), agreed.shared_secret.expose().clone())
            }
            JobResult::Signature(Ok(signature)) => Self::Signed(signature.clone()),
            JobResult::Verified(Ok(())) => Self::Verified,
            JobResult::DataPlane(Ok(_)) => Self::Installed,
            other => panic!("a job of a gateway came to {other:?}"),
        }
    }

    fn again(&self) -> JobResult {
        match self {
            Self::Agreed(public, secret) => JobResult::Secret(Ok(Agreed {
                public: public.clone(),
                shared_secret: Secret::new(secret.clone()),
            })),
            Self::Signed(signature) => JobResult::Signature(Ok(signature.clone())),
            Self::Verified => JobResult::Verified(Ok(())),
            Self::Installed => JobResult::DataPlane(Ok(Volume::default())),
        }
    }
}

/// Two parties with certificates for such keys, each issued by an authority below the root.
pub(crate) fn certified(key: Key) -> Parties {
    let pki = Pki::new(key);
    let anchors = Arc::new(TrustAnchors::new(&[root(&pki)]).unwrap());
    let trust = || Requirement::Certificate(Arc::clone(&anchors));
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_gateway(|connection| {
        connection.local_identity = pki::GATEWAY.parse().unwrap();
        connection.credential = credential(&pki.gateway);
        connection.requirement = trust();
    });
    parties.change_client(|connection| {
        connection.local_identity = pki::CLIENT.parse().unwrap();
        connection.credential = credential(&pki.client);
        connection.requirement = trust();
        let gateway = pki::GATEWAY.parse().unwrap();
        connection.remote_identities = vec![IdentityPattern::Exactly(gateway)];
    });
    parties
}

fn credential(own: &Chain) -> Credential {
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let key = SigningKey::from_der(&key).unwrap();
    let key = CertifiedKey::new(chain(own), key).unwrap();
    Credential::Certificates(vec![Arc::new(key)])
}

/// The certificates that are sent along.
pub(crate) fn chain(own: &Chain) -> Vec<CertificateDer<'static>> {
    [&own.leaf, &own.intermediate].map(|pem| der(pem)).to_vec()
}

/// The trust anchor.
pub(crate) fn root(pki: &Pki) -> CertificateDer<'static> {
    der(&pki.root)
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}
