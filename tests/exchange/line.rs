//! Two endpoints on a line that a test holds in its hands: it may say something in
//! between, keep a job undone, or choose what is random.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use harness::eap::{self, Doorman, MSK, Visitor, WORD};
use harness::host;
use harness::parties::{Parties, Proof};
use ikexdp_proto::config::Config;
use ikexdp_proto::data_plane::NoDataPlane;
use ikexdp_proto::event::{CloseReason, Event, FailureReason, HandshakeFailure};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::job::{Job, JobResult};
use ikexdp_proto::limits::DENIAL_STEP;
use ikexdp_proto::message::init::notify_only;
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::spi::RandomSpis;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Datagram, Path, Role};
use ikexdp_proto::wire::header::{HEADER_LEN, Header};
use ikexdp_proto::wire::iana::NotifyType;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::{Command, Endpoint, ExposedKeys, Input, Output};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// One end.
pub(crate) struct End {
    pub(crate) endpoint: Endpoint,
    path: Path,
    pub(crate) events: Vec<Event>,
    /// What it has told somebody who reads along.
    keys: Vec<ExposedKeys>,
    /// Which jobs its host fails to do.
    abandons: fn(&Job) -> bool,
}

impl End {
    fn new(config: &Config, local: &str, remote: &str) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        Self {
            endpoint: endpoint(config, &[]),
            path: Path {
                local: address(local),
                remote: address(remote),
                marker: false,
            },
            events: Vec::new(),
            keys: Vec::new(),
            abandons: |_| false,
        }
    }

    pub(crate) fn handle(&mut self, now: Instant, input: Input<'_>) -> Vec<Bytes> {
        self.endpoint.handle(now, input);
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit.payload),
                Output::Keepalive(_) => {}
                Output::Keys(keys) => self.keys.push(*keys),
                Output::Event(event) => self.events.push(event),
                Output::Job(id, job) => {
                    let result = if (self.abandons)(&job) {
                        JobResult::Abandoned
                    } else {
                        host::run(job, &NoDataPlane)
                    };
                    self.endpoint.handle(now, Input::JobDone(id, result));
                }
            }
        }
        sent
    }

    pub(crate) fn receive(&mut self, now: Instant, payload: &[u8]) -> Vec<Bytes> {
        let datagram = Datagram {
            path: self.path,
            slot: None,
            is_allowed: false,
            payload,
        };
        self.handle(now, Input::Datagram(datagram))
    }

    /// Why its last handshake failed.
    pub(crate) fn failure(&self) -> Option<&FailureReason> {
        self.failures().last().map(|failure| &failure.reason)
    }

    /// What it tells of its last handshake, which failed.
    pub(crate) fn failed(&self) -> &HandshakeFailure {
        self.failures().last().expect("a handshake failed")
    }

    fn failures(&self) -> impl Iterator<Item = &HandshakeFailure> {
        self.events.iter().filter_map(|event| match event {
            Event::HandshakeFailed(failure) => Some(failure.as_ref()),
            _ => None,
        })
    }

    /// The SPIs it receives ESP on, the oldest SA's first.
    fn spis_in(&self) -> Vec<u32> {
        let summaries = self.endpoint.summaries(None);
        let children = summaries.flat_map(|summary| summary.children);
        children.map(|child| child.spi_in.0).collect()
    }
}

/// Both ends.
pub(crate) struct Line {
    pub(crate) now: Instant,
    pub(crate) client: End,
    pub(crate) gateway: End,
}

impl Line {
    pub(crate) fn new(parties: &Parties) -> Self {
        const CLIENT: &str = "192.0.2.10:500";
        const GATEWAY: &str = "198.51.100.1:500";
        Self {
            now: Instant::from_micros(1),
            client: End::new(&parties.client, CLIENT, GATEWAY),
            gateway: End::new(&parties.gateway, GATEWAY, CLIENT),
        }
    }

    /// Has the client begin a handshake, returns its request.
    pub(crate) fn initiate(&mut self) -> Bytes {
        let command = Command::Initiate {
            connection: "home".into(),
            path: self.client.path,
        };
        let mut sent = self.client.handle(self.now, Input::Command(command));
        assert_eq!(sent.len(), 1);
        sent.remove(0)
    }

    /// Carries to the gateway what the client sends, and back, until both are
    /// silent.
    fn carry(&mut self, mut from_client: Vec<Bytes>) {
        while !from_client.is_empty() {
            from_client = self.round(&from_client);
        }
    }

    /// Carries to the gateway what the client sends, and its answers back;
    /// returns what the client sends then.
    pub(crate) fn round(&mut self, from_client: &[Bytes]) -> Vec<Bytes> {
        let from_gateway: Vec<Bytes> = from_client
            .iter()
            .flat_map(|datagram| self.gateway.receive(self.now, datagram))
            .collect();
        let from_gateway = if from_gateway.is_empty() {
            // It takes its time to say who is not let in.
            self.now = self.now + DENIAL_STEP;
            self.gateway.handle(self.now, Input::Timeout)
        } else {
            from_gateway
        };
        from_gateway
            .iter()
            .flat_map(|datagram| self.client.receive(self.now, datagram))
            .collect()
    }

    pub(crate) fn connect(&mut self) {
        let request = self.initiate();
        self.carry(vec![request]);
    }
}

/// An endpoint whose SPIs of CHILD SAs come from `words`, if there are some.
fn endpoint(config: &Config, words: &'static [u32]) -> Endpoint {
    let words = Words {
        words,
        drawn: 0,
        others: ChaCha8Rng::seed_from_u64(1),
    };
    Endpoint::new(
        Arc::new(config.clone()),
        Box::new(words),
        Box::new(RandomSpis),
    )
}

/// Gives the same few words over and over where 32 bits are asked for.
struct Words {
    words: &'static [u32],
    drawn: usize,
    others: ChaCha8Rng,
}

impl TryRng for Words {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.words.is_empty() {
            return Ok(self.others.next_u32());
        }
        assert!(self.drawn < 100, "every word is taken");
        self.drawn += 1;
        Ok(self.words[(self.drawn - 1) % self.words.len()])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.others.try_next_u64()
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.others.try_fill_bytes(destination)
    }
}

impl TryCryptoRng for Words {}

/// What anybody who sees `request` could answer.
fn forged(request: &[u8], notify: &Notify<'_>) -> Vec<u8> {
    let payloads = notify_only(notify);
    let (header, _) = Header::decode(request).unwrap();
    let header = Header {
        next_payload: payloads.first,
        from: Role::Responder,
        response: true,
        ..header
    };
    let mut message = Vec::new();
    header.encode(HEADER_LEN + payloads.octets.len(), &mut message);
    message.extend_from_slice(&payloads.octets);
    message
}

/// RFC 7296 §2.21.1: nothing in a response to IKE_SA_INIT is authenticated, so a
/// refusal does not keep the right response from coming.
#[test]
fn a_forged_refusal_does_not_end_a_handshake() {
    for notify in [
        Notify::new(NotifyType::NO_PROPOSAL_CHOSEN, &[]),
        Notify::new(NotifyType::INVALID_SYNTAX, &[]),
        // A group that the client does not take.
        Notify::new(NotifyType::INVALID_KE_PAYLOAD, &[0, 2]),
    ] {
        let mut line = Line::new(&Parties::new(Proof::SharedKey));
        let request = line.initiate();
        let answer = line.client.receive(line.now, &forged(&request, &notify));
        assert!(answer.is_empty(), "{:?}", notify.kind);
        assert_eq!(line.client.failure(), None, "{:?}", notify.kind);
        line.carry(vec![request]);
        assert_eq!(line.client.endpoint.established(), 1);
    }
}

/// The answer of another responder, who has chosen what the client never offered.
#[test]
fn a_forged_choice_does_not_end_a_handshake() {
    let mut parties = Parties::new(Proof::SharedKey);
    let mut line = Line::new(&parties);
    let request = line.initiate();
    let genuine = line.gateway.receive(line.now, &request).remove(0);
    // The first transform of the proposal, encryption, becomes one nobody has.
    let mut other = genuine.to_vec();
    let (_, payloads) = Header::decode(&genuine).unwrap();
    let id = HEADER_LEN + 4 + 8 + 7;
    assert_eq!(payloads[id - HEADER_LEN], 20, "AES-GCM");
    other[id] = 99;
    other[8..16].copy_from_slice(&[9; 8]);
    assert!(line.client.receive(line.now, &other).is_empty());
    assert_eq!(line.client.failure(), None);
    let sent = line.client.receive(line.now, &genuine);
    line.carry(sent);
    assert_eq!(line.client.endpoint.established(), 1);

    // Alone it is believed, when there has been time for another.
    parties.client.timing.retransmit = Duration::from_millis(100);
    let mut line = Line::new(&parties);
    let request = line.initiate();
    let refusal = Notify::new(NotifyType::NO_PROPOSAL_CHOSEN, &[]);
    line.client.receive(line.now, &forged(&request, &refusal));
    let mut repeats = Vec::new();
    while let Some(at) = line.client.endpoint.poll_timeout() {
        repeats.extend(line.client.handle(at, Input::Timeout));
        line.now = at;
    }
    assert_eq!(repeats, [request]);
    let refused = FailureReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN);
    assert_eq!(line.client.failure(), Some(&refused));
}

/// RFC 7296 §2.6: a cookie has 1 to 64 octets; §2.2: the exchange has number 0.
#[test]
fn a_cookie_that_is_none_is_not_sent_back() {
    let mut line = Line::new(&Parties::new(Proof::SharedKey));
    let request = line.initiate();
    for (length, taken) in [(0, 0), (65, 0), (64, 1)] {
        let cookie = vec![7; length];
        let reply = forged(&request, &Notify::new(NotifyType::COOKIE, &cookie));
        let mut numbered = reply.clone();
        numbered[23] = 1;
        assert!(line.client.receive(line.now, &numbered).is_empty());
        let again = line.client.receive(line.now, &reply);
        assert_eq!(again.len(), taken, "{length} octets");
    }
    assert_eq!(line.client.endpoint.stats().value(Stat::InitMalformed), 2);
}

/// A peer that is not told would go on asking, or believe that it is in.
#[test]
fn an_abandoned_job_is_told_to_the_peer() {
    let failed = FailureReason::PeerRefused(NotifyType::TEMPORARY_FAILURE);
    let abandons: [fn(&Job) -> bool; 2] = [
        |job| matches!(job, Job::Verify(_)),
        |job| matches!(job, Job::Sign { .. }),
    ];
    for abandons in abandons {
        let mut line = Line::new(&Parties::new(Proof::Certificates(0)));
        line.gateway.abandons = abandons;
        line.connect();
        assert_eq!(line.gateway.failure(), Some(&FailureReason::JobAbandoned));
        assert_eq!(line.client.failure(), Some(&failed));
    }
    let mut line = Line::new(&Parties::new(Proof::Certificates(0)));
    line.client.abandons = abandons[0];
    line.connect();
    assert_eq!(line.client.failure(), Some(&FailureReason::JobAbandoned));
    let closed = line.gateway.events.iter().any(|event| {
        let told = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
        matches!(event, Event::Closed { reason, .. } if *reason == told)
    });
    assert!(closed, "the gateway hears it");
    assert_eq!(line.client.endpoint.established(), 0);
}

/// A gateway that has been refused has not proved who it is: it is not treated as
/// one that has, and its SA is not said to be closing.
#[test]
fn a_refused_gateway_has_not_proved_who_it_is() {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_client(|connection| {
        // Two, for the client names the one it wants if there is only one.
        let others = ["one.example.com", "two.example.com"];
        connection.remote_identities = others
            .map(|name| IdentityPattern::Exactly(name.parse().unwrap()))
            .to_vec();
    });
    let mut line = Line::new(&parties);
    let mut from_client = vec![line.initiate()];
    // IKE_SA_INIT and IKE_AUTH, but not the refusal.
    for _ in 0..2 {
        from_client = line.round(&from_client);
    }
    let states: Vec<&str> = line
        .client
        .endpoint
        .summaries(None)
        .map(|summary| summary.state)
        .collect();
    assert_eq!(states, ["refusing"]);
    line.carry(from_client);
    assert!(line.client.endpoint.is_quiet());
}

/// A name is the same whatever string type it is written with (RFC 5280 §7.1):
/// AD CS writes PrintableString, we write UTF8String.
#[test]
fn a_name_in_another_string_type_is_the_same() {
    let written: Identity = "CN=client7,O=Example".parse().unwrap();
    let mut printable = written.data();
    for tag in printable.iter_mut().filter(|octet| **octet == 0x0c) {
        *tag = 0x13;
    }
    let printable = Identity::DistinguishedName(printable);
    assert_ne!(written, printable);
    assert_eq!(written.to_string(), printable.to_string());
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_gateway(|connection| {
        connection.local_identity = written.clone();
        connection.remote_identities = vec![IdentityPattern::Exactly(written.clone())];
    });
    parties.change_client(|connection| {
        connection.local_identity = printable.clone();
        connection.remote_identities = vec![IdentityPattern::Exactly(printable.clone())];
    });
    let mut line = Line::new(&parties);
    line.connect();
    assert_eq!(line.client.endpoint.established(), 1);
}

/// Two SAs with one inbound SPI would be one for the kernel.
#[test]
fn no_two_child_sas_receive_on_the_same_spi() {
    let parties = Parties::new(Proof::SharedKey);
    let mut line = Line::new(&parties);
    line.gateway.endpoint = endpoint(&parties.gateway, &[1000, 1000, 1001]);
    line.connect();
    line.connect();
    assert_eq!(line.gateway.spis_in(), [1000, 1001]);
    // What is closed is free again.
    let first = line.client.endpoint.summaries(None).next().unwrap().id;
    let terminate = Input::Command(Command::Terminate(first));
    let sent = line.client.handle(line.now, terminate);
    line.carry(sent);
    line.connect();
    assert_eq!(line.gateway.spis_in(), [1001, 1000]);
}

/// An initiator has said what SPI it will receive on before it is let in.
#[test]
fn a_handshake_that_fails_gives_its_spi_back() {
    let mut refused = Parties::new(Proof::SharedKey);
    refused.gateway.pools[0].v4 = None;
    refused.gateway.pools[0].v6 = None;
    for parties in [Parties::new(Proof::WrongSharedKey), refused] {
        let mut line = Line::new(&parties);
        line.client.endpoint = endpoint(&parties.client, &[1000]);
        line.connect();
        line.connect();
        assert!(line.client.spis_in().is_empty());
    }
}

/// A response of the responder, whose plaintext is as `change` has it.
fn changed(keys: &ExposedKeys, response: &Bytes, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    const ASSOCIATED_LEN: usize = HEADER_LEN + 4;
    const IV_LEN: usize = 8;
    let (key, salt) = keys.keys.from_responder.encryption.expose().split_at(32);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let (open, sealed) = response.split_at(ASSOCIATED_LEN + IV_LEN);
    let (associated, iv) = open.split_at(ASSOCIATED_LEN);
    let nonce = || Nonce::try_assume_unique_for_key(&[salt, iv].concat()).unwrap();
    let mut octets = sealed.to_vec();
    let plaintext = key.open_in_place(nonce(), Aad::from(associated), &mut octets);
    let plaintext = plaintext.unwrap();
    change(plaintext);
    let mut message = plaintext.to_vec();
    key.seal_in_place_append_tag(nonce(), Aad::from(associated), &mut message)
        .unwrap();
    [open, &message].concat()
}

/// Whoever has let us in by EAP has its key as well, which all the keys of IKE do not
/// show (RFC 7296 §2.16):
/// --> IKE_AUTH { AUTH }
/// <-- IKE_AUTH { AUTH by another key, CP, SA, TSi, TSr }
#[test]
fn a_gateway_without_the_key_of_eap_is_not_taken() {
    let visitor = Visitor {
        name: "kim@example.com",
        word: WORD,
        msk: MSK.to_vec(),
    };
    let parties = eap::parties(&Doorman::new(|_| ()), visitor);
    // Behind its header, method and what is reserved: the MIC.
    let changes: [fn(&mut [u8]); 2] = [|_| (), |plaintext| plaintext[8] ^= 1];
    for (change, is_taken) in changes.into_iter().zip([true, false]) {
        let mut line = Line::new(&parties);
        let client = line.gateway.path.remote.ip();
        let expose = Command::Expose(Some(client));
        line.gateway.handle(line.now, Input::Command(expose));
        let mut from_client = vec![line.initiate()];
        let last = loop {
            let [request] = from_client.as_slice() else {
                panic!("one request: {:?}", line.client.failure());
            };
            let sent = line.gateway.receive(line.now, request);
            if line.gateway.endpoint.established() == 1 {
                break sent;
            }
            let receive = |it: &Bytes| line.client.receive(line.now, it);
            from_client = sent.iter().flat_map(receive).collect();
        };
        let response = changed(&line.gateway.keys[0], &last[0], change);
        let told = line.client.receive(line.now, &response);
        assert_eq!(line.client.endpoint.established(), usize::from(is_taken));
        let failure = (!is_taken).then_some(&FailureReason::EapKey);
        assert_eq!(line.client.failure(), failure);
        // For the gateway the SA is up: it hears that it is not.
        line.carry(told);
        assert_eq!(line.gateway.endpoint.established(), usize::from(is_taken));
    }
}
