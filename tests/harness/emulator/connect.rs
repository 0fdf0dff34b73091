//! IKE_SA_INIT and IKE_AUTH, as a profile has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use ikexdp_proto::crypto::kex::{Group, KeyPair};
use ikexdp_proto::crypto::keymat::{IkeKeys, KeySeed};
use ikexdp_proto::message::child::{ChildPayloads, Selectors};
use ikexdp_proto::message::init::InitReply;
use ikexdp_proto::nat;
use ikexdp_proto::types::{MessageId, Role, Spi, Spis};
use ikexdp_proto::wire::header::{Header, VERSION};
use ikexdp_proto::wire::iana::{
    AuthMethod, ConfigurationAttribute, ConfigurationType, ExchangeType, NotifyType, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal};
use ikexdp_proto::wire::payload::ts::{self, TrafficSelector};
use ikexdp_proto::wire::payload::{cert, id};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};
use ring::rand::SystemRandom;

use super::eap::{End, converse};
use super::exchange::{Talk, clear};
use super::line::{Line, Suite};
use super::profile::{Cut, Fresh, Item, Profile};
use super::proof::{Proof, Said, User};
use super::reading::{all, find, payloads};
use super::transport::{Ports, Transport};
use crate::answer::Answer;
use crate::lab::Ends;
use crate::mschapv2::Client;
use crate::namespace::Namespace;

/// A client that does what its profile says, on the network of a test.
pub struct Emulator {
    pub(crate) profile: Profile,
    pub(crate) user: User,
    pub(crate) talk: Talk,
    spis: Spis,
    key: Option<KeyPair>,
    said: Said,
    /// The number and the transforms of the proposal that was chosen.
    pub(crate) chosen: Option<Proposal>,
    pub(crate) line: Option<Line>,
    /// The IPv6 address that it had before, for which it asks.
    pub previous: Option<IpAddr>,
    auth_sent: Vec<usize>,
    methods: [AuthMethod; 2],
    /// What it got.
    pub granted: Granted,
}

/// What a client has got.
#[derive(Clone, Debug, Default)]
pub struct Granted {
    /// Its addresses inside.
    pub addresses: Vec<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// TSi and TSr.
    pub selectors: Selectors,
    /// The SPI that it receives on, and the one that it sends on.
    pub spis: [u32; 2],
    /// SAr2.
    pub esp: Vec<Proposal>,
    /// N of the last answer.
    pub notifies: Vec<NotifyType>,
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
        let key = profile.group.generate(&SystemRandom::new()).unwrap();
        let mut nonce_i = vec![0; profile.nonce_len];
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
                    let is_cut = self.profile.fragments() && accepted.notifies.fragmentation;
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
        let offered = self.profile.proposals.iter();
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
        let source = if self.profile.fakes_nat {
            [0xfa; 20]
        } else {
            nat::hash(self.spis, path.local)
        };
        let fresh = Fresh {
            group: key.group(),
            public: key.public(),
            nonce: &self.said.nonce_i,
            nat: [source, nat::hash(self.spis, path.remote)],
        };
        self.profile.open(&mut chain, &fresh);
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
        let plain = cookie.is_none() && key.group() == self.profile.group;
        if let Some(length) = self.profile.opening_len.filter(|_| plain) {
            assert_eq!(request.len(), length, "{}", self.profile.name);
        }
        request
    }

    /// IKE_AUTH, with EAP if there is a password.
    ///
    /// # Errors
    /// What the gateway has against it.
    pub fn auth(&mut self) -> Result<(), NotifyType> {
        let spi = self.talk.random.next_u32() | 0x100;
        let request = self.auth_request(spi);
        self.talk.transport.float();
        let signature = self.profile.signature;
        let mut line = self.line.take().expect("IKE_SA_INIT is over");
        let talk = &mut self.talk;
        let mut answer = talk.exchange(&mut line, ExchangeType::IKE_AUTH, &request);
        self.auth_sent.clone_from(&talk.sent);
        let refused = |answer: &Answer| notifies(answer).into_iter().find(|it| it.is_error());
        if find(&answer, PayloadType::AUTHENTICATION).is_none() {
            return Err(refused(&answer).expect("a reason"));
        }
        let theirs = self.said.verify(&line, &self.user, signature, &answer);
        let is_taken = !self.profile.refuses_ecdsa
            || matches!(theirs, AuthMethod::RSA_SHA1 | AuthMethod::SHARED_KEY);
        assert!(is_taken, "{} takes no {theirs}", self.profile.name);
        self.methods = [method_in(&request), theirs];
        if let Proof::Password { name, password } = &self.user.proof {
            let body = find(&answer, PayloadType::ID_RESPONDER).unwrap().to_vec();
            let msk = match converse(talk, &mut line, answer, &Client { name, password }) {
                End::Success(msk) => msk,
                End::Refused(answer) => {
                    return Err(refused(&answer).unwrap_or(NotifyType::AUTHENTICATION_FAILED));
                }
            };
            let mut chain = ChainWriter::default();
            self.said.prove_by(&mut chain, &line, &self.user, &msk);
            answer = talk.exchange(&mut line, ExchangeType::IKE_AUTH, &chain.finish());
            self.said.verify_by(&line, &msk, &body, &answer);
        }
        self.line = Some(line);
        if let Some(reason) = refused(&answer) {
            return Err(reason);
        }
        self.grant(spi, &answer);
        Ok(())
    }

    fn auth_request(&self, spi: u32) -> Chain {
        let line = self.line.as_ref().expect("IKE_SA_INIT is over");
        let mut chain = ChainWriter::default();
        for item in &self.profile.auth {
            self.auth_payload(&mut chain, line, *item, spi);
        }
        chain.finish()
    }

    fn auth_payload(&self, chain: &mut ChainWriter, line: &Line, item: Item, spi: u32) {
        match item {
            Item::Identity => {
                let body = id::body(&self.user.identity);
                id::encode(chain, PayloadType::ID_INITIATOR, &body);
            }
            Item::Certificates => {
                for certificate in self.user.certificates() {
                    cert::CertificatePayload::encode_x509(chain, &certificate);
                }
            }
            Item::Authorities => {
                let mut hashes = vec![[0xca; 20]; self.profile.authorities];
                hashes.extend(self.user.trusted().hashes());
                cert::encode_request(chain, &hashes);
            }
            Item::Wanted => {
                let body = id::body(&self.user.gateway);
                id::encode(chain, PayloadType::ID_RESPONDER, &body);
            }
            Item::Proof => {
                let signature = self.profile.signature;
                self.said.prove(chain, line, &self.user, signature);
            }
            Item::Notify(kind) => Notify::new(kind, &[]).encode(chain),
            Item::Configuration => {
                let attribute = |kind: &u16| Attribute {
                    kind: ConfigurationAttribute(*kind),
                    value: self.value_of(*kind).into(),
                };
                Configuration {
                    kind: ConfigurationType::REQUEST,
                    attributes: self.profile.attributes.iter().map(attribute).collect(),
                }
                .encode(chain);
            }
            Item::Child => ChildPayloads {
                proposals: with_spi(&self.profile.esp, &spi.to_be_bytes()),
                selectors: Selectors::new(everything(), everything()),
            }
            .encode(chain),
        }
    }

    /// What is in an attribute of its CFG_REQUEST: nothing, or an address with the length of a prefix.
    fn value_of(&self, kind: u16) -> Vec<u8> {
        match self.previous {
            Some(IpAddr::V6(address)) if kind == ConfigurationAttribute::INTERNAL_IP6_ADDRESS.0 => {
                [&address.octets()[..], &[64]].concat()
            }
            _ => Vec::new(),
        }
    }

    /// Takes what the gateway gives, if it makes sense.
    fn grant(&mut self, spi: u32, answer: &Answer) {
        let body = |kind| find(answer, kind).unwrap_or_else(|| panic!("no {kind}"));
        let esp = sa::decode(body(PayloadType::SECURITY_ASSOCIATION)).unwrap();
        self.granted.take_child(spi, esp, &self.profile.esp);
        let selectors = |kind| ts::decode(body(kind)).unwrap();
        self.granted.selectors = Selectors::new(
            selectors(PayloadType::TRAFFIC_SELECTOR_INITIATOR),
            selectors(PayloadType::TRAFFIC_SELECTOR_RESPONDER),
        );
        self.granted.notifies = notifies(answer);
        let configuration = Configuration::decode(body(PayloadType::CONFIGURATION)).unwrap();
        assert_eq!(configuration.kind, ConfigurationType::REPLY);
        for attribute in &configuration.attributes {
            let value = &attribute.value;
            match attribute.kind {
                ConfigurationAttribute::INTERNAL_IP4_DNS => {
                    let octets: [u8; 4] = value[..].try_into().unwrap();
                    self.granted.dns.push(octets.into());
                }
                _ => self.granted.addresses.extend(attribute.address()),
            }
        }
    }
}

impl Granted {
    /// A CHILD SA whose proposal is one of those that were offered.
    pub(crate) fn take_child(&mut self, spi: u32, esp: Vec<Proposal>, offered: &[Proposal]) {
        let [chosen] = esp.as_slice() else {
            panic!("one proposal, not {esp:?}");
        };
        assert!(is_of(offered.iter(), chosen), "{chosen:?} was not offered");
        let theirs = chosen.spi[..].try_into().expect("four octets");
        self.spis = [spi, u32::from_be_bytes(theirs)];
        self.esp = esp;
    }
}

/// Whether `chosen` is of the proposal with its number, with one transform of each type.
pub(crate) fn is_of<'a>(
    mut offered: impl Iterator<Item = &'a Proposal>,
    chosen: &Proposal,
) -> bool {
    let same = |it: &&Proposal| it.number == chosen.number && it.protocol == chosen.protocol;
    let transforms = &chosen.transforms;
    let once = |place: usize| {
        let mut before = transforms[..place].iter();
        !before.any(|it| it.kind == transforms[place].kind)
    };
    offered.find(same).is_some_and(|offered| {
        let is_offered = transforms.iter().all(|it| offered.transforms.contains(it));
        is_offered && (0..transforms.len()).all(once)
    })
}

/// The same proposals for an SA that is received on `spi`.
pub(crate) fn with_spi(proposals: &[Proposal], spi: &[u8]) -> Vec<Proposal> {
    let with = |proposal: &Proposal| Proposal {
        spi: spi.to_vec(),
        ..proposal.clone()
    };
    proposals.iter().map(with).collect()
}

/// All addresses of both families.
pub(crate) fn everything() -> Vec<TrafficSelector> {
    let v4 = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST].map(IpAddr::V4);
    let v6 = [Ipv6Addr::UNSPECIFIED, Ipv6Addr::from(u128::MAX)].map(IpAddr::V6);
    let both = [v4, v6].map(|[first, last]| TrafficSelector::addresses(first, last));
    both.to_vec()
}

/// The method of AUTH in a request; none if it has no AUTH.
fn method_in(request: &Chain) -> AuthMethod {
    let sent = payloads(request.first, &request.octets);
    let proof = find(&sent, PayloadType::AUTHENTICATION);
    proof.map_or(AuthMethod::NULL, |body| AuthMethod(body[0]))
}

/// The types of all notifies.
pub(crate) fn notifies(answer: &Answer) -> Vec<NotifyType> {
    let all = all(answer, PayloadType::NOTIFY);
    all.map(|body| Notify::decode(body).unwrap().kind).collect()
}
