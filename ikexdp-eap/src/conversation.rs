//! A conversation with one peer, from its identity to the end of a method.
//!
//! ```text
//! peer                             authenticator
//!  |  Response/Identity ->               |  Greeting
//!  |  <- Request/A                       |  Proposal
//!  |  Response/Nak (B) ->                |
//!  |  <- Request/B                       |  Proposal
//!  |  Response/B ->                      |
//!  |  <- Request/B                       |  Agreement
//! ```

use std::sync::Arc;

use ikexdp_proto::eap::{Admission, Conversation, Done, Rejection, RejectionReason, Turn};

use crate::method::{Ask, Method, Step};
use crate::mschapv2;
use crate::name::PeerName;
use crate::packet::{Response, Type, request};
use crate::tls::{self, TlsSettings};
use crate::users::Users;

/// A method that there is, with what it needs.
#[derive(Clone, Debug)]
pub(crate) enum Offer {
    Tls(TlsSettings),
    Mschapv2(Arc<Users>),
}

impl Offer {
    const fn kind(&self) -> Type {
        match self {
            Self::Tls(_) => Type::TLS,
            Self::Mschapv2(_) => Type::MSCHAPV2,
        }
    }
}

/// Nothing is known of the peer; its identity is next.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The methods, the one to propose first.
    pub(crate) offers: Arc<[Offer]>,
    pub(crate) server_name: Arc<str>,
}

impl Conversation for Greeting {
    fn hear(self: Box<Self>, response: Vec<u8>, done: Done) {
        let turn = self.identify(&response);
        done(turn.unwrap_or_else(|reason| reject(None, reason)));
    }
}

impl Greeting {
    fn identify(self, packet: &[u8]) -> Result<Turn, RejectionReason> {
        let response = decode(packet)?;
        if response.kind != Type::IDENTITY {
            return Err(RejectionReason::Protocol("no identity where it belongs"));
        }
        let peer = Peer {
            name: PeerName::decode(response.data)?,
            identifier: response.identifier,
        };
        Ok(propose(self.server_name, peer, self.offers.to_vec()))
    }
}

/// A method was proposed: the peer goes on with it, or wants another.
#[derive(Debug)]
struct Proposal {
    peer: Peer,
    kind: Type,
    method: Box<dyn Method>,
    server_name: Arc<str>,
    /// The methods that were not proposed yet.
    others: Vec<Offer>,
}

impl Conversation for Proposal {
    fn hear(self: Box<Self>, response: Vec<u8>, done: Done) {
        let wanted = match decode(&response) {
            Ok(nak) if nak.kind == Type::NAK && nak.identifier == self.peer.identifier => nak.data,
            _ => {
                let agreement = Agreement {
                    peer: self.peer,
                    kind: self.kind,
                    method: self.method,
                };
                return Box::new(agreement).hear(response, done);
            }
        };
        let mut others = self.others;
        others.retain(|offer| wanted.contains(&offer.kind().0));
        done(propose(self.server_name, self.peer, others));
    }
}

/// A method is under way; the peer cannot ask for another any more
/// (RFC 3748 §5.3.1).
#[derive(Debug)]
struct Agreement {
    peer: Peer,
    kind: Type,
    method: Box<dyn Method>,
}

impl Conversation for Agreement {
    fn hear(self: Box<Self>, response: Vec<u8>, done: Done) {
        let Self { peer, kind, method } = *self;
        let step = peer
            .answer(kind, &response)
            .and_then(|data| method.hear(&peer.name, data));
        done(match step {
            Err(reason) => reject(Some(&peer.name), reason),
            Ok(Step::Accept { user, msk }) => Turn::Accept(Box::new(Admission {
                user,
                msk,
                addresses: Vec::new(),
                groups: Vec::new(),
                session_timeout: None,
                account: None,
            })),
            Ok(Step::Ask(Ask { data, next })) => {
                let peer = peer.next();
                Turn::Ask {
                    request: request(peer.identifier, kind, &data),
                    conversation: Box::new(Self {
                        peer,
                        kind,
                        method: next,
                    }),
                }
            }
        });
    }
}

/// Whom the conversation is with.
#[derive(Debug)]
struct Peer {
    name: PeerName,
    /// That of the last request (RFC 3748 §4.1).
    identifier: u8,
}

impl Peer {
    fn next(self) -> Self {
        let identifier = self.identifier.wrapping_add(1);
        Self { identifier, ..self }
    }

    /// The data of the response to our last request.
    fn answer<'a>(&self, kind: Type, packet: &'a [u8]) -> Result<&'a [u8], RejectionReason> {
        let response = decode(packet)?;
        if response.identifier != self.identifier {
            return Err(RejectionReason::Protocol("response to another request"));
        }
        if response.kind != kind {
            return Err(RejectionReason::Protocol("response of another method"));
        }
        Ok(response.data)
    }
}

/// Begins with the first of `offers`.
fn propose(server_name: Arc<str>, peer: Peer, offers: Vec<Offer>) -> Turn {
    let mut others = offers.into_iter();
    let Some(offer) = others.next() else {
        return reject(Some(&peer.name), RejectionReason::NoCommonMethod);
    };
    let peer = peer.next();
    let kind = offer.kind();
    let opening = match offer {
        Offer::Tls(settings) => tls::begin(settings),
        Offer::Mschapv2(users) => mschapv2::begin(users, &server_name, peer.identifier),
    };
    match opening {
        Ok(Ask { data, next }) => Turn::Ask {
            request: request(peer.identifier, kind, &data),
            conversation: Box::new(Proposal {
                peer,
                kind,
                method: next,
                server_name,
                others: others.collect(),
            }),
        },
        Err(reason) => reject(Some(&peer.name), reason),
    }
}

fn decode(packet: &[u8]) -> Result<Response<'_>, RejectionReason> {
    Response::decode(packet).ok_or(RejectionReason::Protocol("malformed response"))
}

fn reject(name: Option<&PeerName>, reason: RejectionReason) -> Turn {
    Turn::Reject(Rejection {
        user: name.map(PeerName::to_string),
        reason,
    })
}
