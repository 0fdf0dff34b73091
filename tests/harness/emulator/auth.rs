//! IKE_AUTH, as a profile has it, and what a client gets by it.

use std::net::IpAddr;

use chacha20::rand_core::Rng;
use ikexdp_eap::{NtHash, Password};
use ikexdp_proto::eap::Supplicant;
use ikexdp_proto::message::child::{ChildPayloads, Selectors};
use ikexdp_proto::wire::iana::{
    AuthMethod, ConfigurationAttribute, ConfigurationType, ExchangeType, NotifyType, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal};
use ikexdp_proto::wire::payload::ts;
use ikexdp_proto::wire::payload::{cert, id};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

use super::connect::Emulator;
use super::eap::{End, converse};
use super::line::Line;
use super::offer::{everything, is_of, with_spi};
use super::profile::Item;
use super::proof::Proof;
use super::reading::{all, find, payloads};
use crate::answer::Answer;

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
        assert!(is_taken, "{} takes no {theirs}", self.profile.client.name);
        self.methods = [method_in(&request), theirs];
        if let Proof::Password { name, password } = &self.user.proof {
            let body = find(&answer, PayloadType::ID_RESPONDER).unwrap().to_vec();
            let known = Password::new(name.clone(), NtHash::of(password));
            let msk = match converse(talk, &mut line, answer, known.begin()) {
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

    /// Asks for IKE_AUTH that often, a second apart, and gives up whatever the answer: as Windows does
    /// that hears none, or takes none.
    pub fn auth_in_vain(&mut self, times: usize) {
        let spi = self.talk.random.next_u32() | 0x100;
        let request = self.auth_request(spi);
        self.talk.transport.float();
        let mut line = self.line.take().expect("IKE_SA_INIT is over");
        let exchange = ExchangeType::IKE_AUTH;
        self.talk.ask_in_vain(&mut line, exchange, &request, times);
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

/// The method of AUTH in a request; none if it has no AUTH.
fn method_in(request: &Chain) -> AuthMethod {
    let sent = payloads(request.first, &request.octets);
    let proof = find(&sent, PayloadType::AUTHENTICATION);
    proof.map_or(AuthMethod::NULL, |body| AuthMethod(body[0]))
}

/// The types of all notifies.
fn notifies(answer: &Answer) -> Vec<NotifyType> {
    let all = all(answer, PayloadType::NOTIFY);
    all.map(|body| Notify::decode(body).unwrap().kind).collect()
}
