//! EAP as engine tests need it: a client of [`Script`], an authenticator that asks for
//! one word, and somebody who knows one.

use std::sync::{Arc, Mutex};

use ikexdp_proto::config::{Config, Credential, EapRequirement, Requirement};
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::eap::{
    Admission, Authenticator, Caller, Conversation, Done, Refusal, Rejection, RejectionReason,
    Reply, Respondent, Supplicant, Turn,
};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::types::{Role, Secret};
use ikexdp_proto::wire::iana::{EapCode, EapType, PayloadType};
use ikexdp_proto::wire::payload::eap::{self, EapPacket};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::{auth, id};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

use crate::parties::{Parties, Proof, selector};
use crate::script::{NONCE, Script};

/// The word that opens.
pub const WORD: &[u8] = b"mellon";

/// The key that the method makes.
pub const MSK: [u8; 64] = [0x4d; 64];

/// A name whose answers are never enough.
pub const ENDLESS: &str = "endless";

/// A name that the authenticator goes mad of.
pub const MADDENING: &str = "maddening";

/// A name that the authenticator forgets to answer.
pub const FORGOTTEN: &str = "forgotten";

/// The type of its requests, which is for experiments.
const TYPE: EapType = EapType(255);

/// Lets anybody in who knows the word.
#[derive(Debug)]
pub struct Doorman {
    terms: Admission,
    /// Whoever has called.
    pub callers: Mutex<Vec<Caller>>,
}

impl Doorman {
    /// One that lets people in on these terms, under the names that they give.
    #[must_use]
    pub fn new(change: impl FnOnce(&mut Admission)) -> Arc<Self> {
        let mut terms = Admission {
            user: String::new(),
            msk: Secret::new(MSK.to_vec()),
            addresses: Vec::new(),
            groups: Vec::new(),
            session_timeout: None,
            account: None,
        };
        change(&mut terms);
        Arc::new(Self {
            terms,
            callers: Mutex::default(),
        })
    }
}

impl Authenticator for Doorman {
    fn begin(&self, caller: Caller) -> Box<dyn Conversation> {
        self.callers.lock().unwrap().push(caller);
        Box::new(Talk {
            terms: self.terms.clone(),
            identifier: 0,
        })
    }
}

#[derive(Debug)]
struct Talk {
    terms: Admission,
    identifier: u8,
}

impl Conversation for Talk {
    fn hear(mut self: Box<Self>, response: Vec<u8>, done: Done) {
        let packet = EapPacket::decode(&response).unwrap();
        let (kind, data) = packet.method.unwrap();
        if kind == EapType::IDENTITY {
            self.terms.user = String::from_utf8(data.to_vec()).unwrap();
        }
        let rejected = |reason| Turn::Reject(Rejection { user: None, reason });
        done(match (self.terms.user.as_str(), kind, data) {
            (FORGOTTEN, ..) => return,
            (MADDENING, ..) => Turn::Ask {
                request: vec![EapCode::SUCCESS.0, 1, 0, 4],
                conversation: self,
            },
            ("nobody", ..) => rejected(RejectionReason::UnknownUser),
            (ENDLESS, ..) | (_, EapType::IDENTITY, _) => {
                self.identifier = packet.identifier.wrapping_add(1);
                Turn::Ask {
                    request: request(self.identifier),
                    conversation: self,
                }
            }
            (_, TYPE, WORD) => Turn::Accept(Box::new(self.terms)),
            _ => rejected(RejectionReason::WrongPassword),
        });
    }
}

/// Says a name and a word, and has a key for it.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Its name.
    pub name: &'static str,
    /// Its word.
    pub word: &'static [u8],
    /// The key that it makes of that.
    pub msk: Vec<u8>,
}

impl Supplicant for Visitor {
    fn begin(&self) -> Box<dyn Respondent> {
        Box::new(self.clone())
    }
}

impl Respondent for Visitor {
    fn hear(self: Box<Self>, packet: &[u8]) -> Reply {
        let packet = EapPacket::decode(packet).unwrap();
        let (kind, said) = match (packet.code, packet.method) {
            (EapCode::SUCCESS, _) => return Reply::Accept(Secret::new(self.msk)),
            (EapCode::FAILURE, _) => return Reply::Refuse(Refusal::Reason(7)),
            (_, Some((EapType::IDENTITY, _))) => (EapType::IDENTITY, self.name.as_bytes()),
            (_, method) => (method.unwrap().0, self.word),
        };
        Reply::Answer {
            response: octets(EapCode::RESPONSE, packet.identifier, kind, said),
            respondent: self,
        }
    }
}

/// A gateway with a certificate that asks `doorman` whom to let in, and `visitor`.
#[must_use]
pub fn parties(doorman: &Arc<Doorman>, visitor: Visitor) -> Parties {
    let mut parties = Parties::new(Proof::Certificates(0));
    parties.gateway = config(doorman);
    parties.change_client(|connection| {
        connection.credential = Credential::Eap(Arc::new(visitor));
    });
    parties
}

fn request(identifier: u8) -> Vec<u8> {
    vec![EapCode::REQUEST.0, identifier, 0, 5, TYPE.0]
}

/// What a client says on the request in `answer`.
#[must_use]
pub fn response(answer: &[(PayloadType, Vec<u8>)], kind: EapType, data: &[u8]) -> Chain {
    let (_, request) = answer
        .iter()
        .find(|(kind, _)| *kind == PayloadType::EAP)
        .expect("EAP");
    let request = EapPacket::decode(request).unwrap();
    assert_eq!(request.code, EapCode::REQUEST);
    packet(EapCode::RESPONSE, request.identifier, kind, data)
}

/// The same to a question for a name, and for the word.
#[must_use]
pub fn named(answer: &[(PayloadType, Vec<u8>)], name: &str) -> Chain {
    response(answer, EapType::IDENTITY, name.as_bytes())
}

/// Says the word, or another.
#[must_use]
pub fn word(answer: &[(PayloadType, Vec<u8>)], word: &[u8]) -> Chain {
    response(answer, TYPE, word)
}

/// An EAP packet as the only payload.
#[must_use]
pub fn packet(code: EapCode, identifier: u8, kind: EapType, data: &[u8]) -> Chain {
    let mut chain = ChainWriter::default();
    eap::encode(&mut chain, &octets(code, identifier, kind, data));
    chain.finish()
}

fn octets(code: EapCode, identifier: u8, kind: EapType, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 5).unwrap().to_be_bytes();
    let head = [code.0, identifier, length[0], length[1], kind.0];
    [&head, data].concat()
}

/// A gateway with a certificate that asks `doorman` whom to let in.
#[must_use]
pub fn config(doorman: &Arc<Doorman>) -> Config {
    let mut parties = Parties::new(Proof::Certificates(0));
    parties.change_gateway(|connection| {
        connection.child.local = vec![selector("10.0.0.0-10.255.255.255")];
        connection.requirement = Requirement::Eap(EapRequirement {
            authenticator: Arc::clone(doorman) as Arc<dyn Authenticator>,
            alone: false,
            groups: Vec::new(),
        });
    });
    parties.gateway
}

impl Script {
    /// The payloads of an IKE_AUTH request that wants EAP.
    #[must_use]
    pub fn eap_payloads(&self) -> Chain {
        let mut chain = ChainWriter::default();
        let identity = id::body(&self.identity);
        id::encode(&mut chain, PayloadType::ID_INITIATOR, &identity);
        if let Some(configuration) = &self.configuration {
            configuration.encode(&mut chain);
        }
        let mut child = Self::child();
        if self.configuration.is_some() {
            child.selectors.initiator = vec![selector("0.0.0.0-255.255.255.255")];
        }
        child.encode(&mut chain);
        for (kind, data) in &self.notifies {
            Notify::new(*kind, data).encode(&mut chain);
        }
        chain.finish()
    }

    /// What proves that the gateway has `key`.
    #[must_use]
    pub fn mic_of_gateway(&self, key: &[u8], identity: &Identity) -> Vec<u8> {
        let keys = self.keys.as_ref().expect("IKE_SA_INIT is over");
        let identity = id::body(identity);
        let octets = keys.signed_octets(Role::Responder, &self.response, &NONCE, &identity);
        let key = SharedKey::new(key);
        keys.shared_key_auth(&key, &octets).expose().clone()
    }

    /// The payloads of the IKE_AUTH request that ends EAP, with the key it made.
    #[must_use]
    pub fn eap_proof(&self, msk: &[u8]) -> Chain {
        let mut chain = ChainWriter::default();
        auth::encode_shared_key(&mut chain, &self.mic(msk));
        chain.finish()
    }
}
