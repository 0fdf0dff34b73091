//! A client, and its IKE_SA_INIT.

use std::net::IpAddr;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use ikexdp::probe::client::Fresh;
use ikexdp_proto::crypto::kex::{Group, KeyPair};
use ikexdp_proto::crypto::keymat::{IkeKeys, KeySeed};
use ikexdp_proto::message::init::InitReply;
use ikexdp_proto::nat;
use ikexdp_proto::types::{MessageId, Role, Spi, Spis};
use ikexdp_proto::wire::header::{Header, VERSION};
use ikexdp_proto::wire::iana::{AuthMethod, ExchangeType, NotifyType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::Proposal;
use ikexdp_proto::wire::writer::ChainWriter;
use ring::rand::SystemRandom;

use super::auth::Granted;
use super::exchange::{Talk, clear};
use super::line::{Line, Suite};
use super::offer::is_of;
use super::profile::{Cut, Profile};
use super::proof::{Said, User};
use super::reading::payloads;
use super::transport::{Ports, Transport};
use crate::answer::Answer;
use crate::lab::Ends;
use crate::namespace::Namespace;

/// A client that does what its profile says, on the network of a test.
pub struct Emulator {
    pub(crate) profile: Profile,
    pub(crate) user: User,
    pub(crate) talk: Talk,
    spis: Spis,
    key: Option<KeyPair>,
    pub(crate) said: Said,
    /// The number and the transforms of the proposal that was chosen.
    pub(crate) chosen: Option<Proposal>,
    pub(crate) line: Option<Line>,
    /// The IPv6 address that it had before, for which it asks.
    pub previous: Option<IpAddr>,
    pub(crate) auth_sent: Vec<usize>,
    pub(crate) methods: [AuthMethod; 2],
    /// What it got.
    pub granted: Granted,
}

impl Emulator {
    /// A client in `namespace`, which has sent nothing.
    #[must_use]
    pub fn new(
        namespace: &Namespace,
        ends: Ends,
        ports: Ports,
        profile: Profile,
        user: User,
    ) -> Self {
        let transport = Transport::new(namespace, (ends.client, ends.gateway), ports);
        let seed = ring::rand::generate(&SystemRandom::new()).unwrap();
        let mut random = ChaCha8Rng::from_seed(seed.expose());
        let key = profile.client.group.generate(&SystemRandom::new()).unwrap();
        let mut nonce_i = vec![0; profile.client.nonce_len];
        random.fill_bytes(&mut nonce_i);
        Self {
            spis: Spis {
                initiator: Spi(random.next_u64() | 1),
                responder: Spi::ZERO,
            },
            talk: Talk {
                transport,
                random,
                cut: profile.cut,
                sent: Vec::new(),
                asked: Vec::new(),
            },
            key: Some(key),
            said: Said {
                nonce_i,
                ..Said::default()
            },
            chosen: None,
            line: None,
            previous: None,
            auth_sent: Vec::new(),
            methods: [AuthMethod::NULL; 2],
            granted: Granted::default(),
            profile,
            user,
        }
    }

    /// Octets of the IKE messages of its first IKE_AUTH request.
    #[must_use]
    pub fn auth_sent(&self) -> &[usize] {
        &self.auth_sent
    }

    /// The methods by which it, and the gateway, proved who they are.
    #[must_use]
    pub fn methods(&self) -> [AuthMethod; 2] {
        self.methods
    }

    /// What the gateway has asked so far.
    #[must_use]
    pub fn asked(&self) -> &[(ExchangeType, Answer)] {
        &self.talk.asked
    }

    /// The number of the proposal that was chosen for the first IKE SA.
    #[must_use]
    pub fn chosen(&self) -> Option<u8> {
        self.chosen.as_ref().map(|proposal| proposal.number)
    }

    /// Sends its first request and does not wait for the answer.
    pub fn knock(&mut self) {
        self.said.request = self.opening(None);
        self.talk.transport.send(&self.said.request);
    }

    /// Connects.
    ///
    /// # Errors
    /// What the gateway has against it.
    pub fn connect(&mut self) -> Result<(), NotifyType> {
        self.init()?;
        self.auth()
    }

    /// IKE_SA_INIT, with all detours.
    ///
    /// # Errors
    /// What the gateway has against it.
    pub fn init(&mut self) -> Result<(), NotifyType> {
        let mut was_sent = !self.said.request.is_empty();
        let mut cookie = None;
        loop {
            if !was_sent {
                self.said.request = self.opening(cookie.as_deref());
            }
            let response = self.talk.open(&self.said.request, was_sent);
            was_sent = false;
            let (header, octets) = Header::decode(&response).unwrap();
            assert_eq!(header.spis.initiator, self.spis.initiator);
            // Android is strict here as well.
            let _ = payloads(header.next_payload, octets);
            match InitReply::decode(header.next_payload, octets).unwrap() {
                InitReply::Cookie(octets) => cookie = Some(octets.to_vec()),
                InitReply::InvalidKe(wanted) => {
                    let group = Group::ALL.into_iter().find(|group| group.id() == wanted);
                    let group = group.expect("a group that was offered");
                    self.key = Some(group.generate(&SystemRandom::new()).unwrap());
                }
                InitReply::Refused(reason) => return Err(reason),
                InitReply::Accepted(accepted) => {
                    self.said.nonce_r = accepted.nonce.to_vec();
                    self.said.hashes = accepted.notifies.signature_hashes.clone();
                    let is_cut = self.profile.client.fragments() && accepted.notifies.fragmentation;
                    self.talk.cut = if is_cut { self.profile.cut } else { Cut::Never };
                    let public = accepted.key_exchange.data.to_vec();
                    let proposal = accepted.proposal.clone();
                    self.said.response = response;
                    self.keys(header.spis, proposal, &public);
                    return Ok(());
                }
            }
        }
    }

    fn keys(&mut self, spis: Spis, chosen: Proposal, public: &[u8]) {
        let offered = self.profile.client.proposals.iter();
        assert!(
            chosen.spi.is_empty() && is_of(offered, &chosen),
            "{chosen:?} was not offered"
        );
        let key = self.key.take().expect("IKE_SA_INIT is not over");
        let suite = Suite::of(&chosen);
        assert_eq!(suite.group, key.group());
        let shared_secret = key.agree(public).unwrap();
        let seed = KeySeed {
            shared_secret: shared_secret.expose(),
            nonce_i: &self.said.nonce_i,
            nonce_r: &self.said.nonce_r,
            spis,
        };
        let keys = IkeKeys::derive(suite.prf, suite.cipher, Role::Initiator, &seed);
        self.spis = spis;
        self.chosen = Some(chosen);
        self.line = Some(Line::new(spis, keys.unwrap(), suite, 1));
    }

    /// The request of IKE_SA_INIT.
    fn opening(&self, cookie: Option<&[u8]>) -> Vec<u8> {
        let key = self.key.as_ref().expect("IKE_SA_INIT is not over");
        let mut chain = ChainWriter::default();
        if let Some(cookie) = cookie {
            Notify::new(NotifyType::COOKIE, cookie).encode(&mut chain);
        }
        let path = self.talk.transport.path();
        let source = if self.profile.client.fakes_nat {
            [0xfa; 20]
        } else {
            nat::hash(self.spis, path.local)
        };
        let fresh = Fresh {
            group: key.group().id(),
            public: key.public(),
            nonce: &self.said.nonce_i,
            nat: [source, nat::hash(self.spis, path.remote)],
        };
        self.profile.client.open(&mut chain, &fresh);
        let chain = chain.finish();
        let header = Header {
            spis: self.spis,
            next_payload: chain.first,
            version: VERSION,
            exchange: ExchangeType::IKE_SA_INIT,
            from: Role::Initiator,
            response: false,
            message_id: MessageId(0),
        };
        let request = clear(&header, &chain);
        let plain = cookie.is_none() && key.group() == self.profile.client.group;
        if let Some(length) = self.profile.client.opening_len.filter(|_| plain) {
            assert_eq!(request.len(), length, "{}", self.profile.client.name);
        }
        request
    }
}
