//! EAP (RFC 3748), as far as the engine knows it: it asks a peer for its name, and
//! carries messages between the peer and an [`Authenticator`], which may be a
//! RADIUS server or live in the same process. What the messages say is between
//! those two. Where we are the peer, as the initiator, it carries them between the
//! gateway and a [`Supplicant`], who knows how to answer.
//!
//! ```text
//! peer              engine                  Authenticator
//!  |  <- Request/Identity                        |
//!  |  Response/Identity ->  begin, hear       -> |
//!  |  <- Request/...            Turn::Ask     <- |
//!  |  Response/...      ->  hear              -> |
//!  |  <- Success                Turn::Accept  <- |
//!
//! gateway           engine                  Supplicant
//!  |  Request/Identity ->   begin, hear       -> |
//!  |  <- Response/Identity     Reply::Answer  <- |
//!  |  Request/...      ->   hear              -> |
//!  |  <- Response/...          Reply::Answer  <- |
//!  |  Success          ->   hear              -> |
//!  |  <- AUTH                  Reply::Accept  <- |
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::types::Secret;

/// Shortest master session key, in octets (RFC 3748 §7.10).
pub(crate) const MSK_LEN_MIN: usize = 64;

/// Somebody who knows peers by EAP.
pub trait Authenticator: fmt::Debug + Send + Sync {
    /// Begins a conversation with a peer. Nothing is computed or sent yet.
    fn begin(&self, caller: Caller) -> Box<dyn Conversation>;
}

/// A conversation with one peer, while it is our turn. To drop it ends it.
pub trait Conversation: fmt::Debug + Send {
    /// Takes the peer's response, the first of which is its identity, and calls
    /// `done` with what there is to answer: before it returns, or later from
    /// another thread. May take some milliseconds, but never waits for others.
    ///
    /// `response` is a whole EAP packet of code Response, whose identifier is that
    /// of the request before it.
    fn hear(self: Box<Self>, response: Vec<u8>, done: Done);
}

/// Whom the next turn is told. To drop it is to give up.
pub type Done = Box<dyn FnOnce(Turn) + Send>;

/// What is known of a peer before it has said anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Where it calls from.
    pub remote: SocketAddr,
    /// Where it has called.
    pub local: SocketAddr,
    /// The connection it is for.
    pub connection: String,
}

/// What comes of a response.
#[derive(Debug)]
pub enum Turn {
    /// The peer is asked for more.
    Ask {
        /// A whole EAP packet of code Request.
        request: Vec<u8>,
        /// Who takes its response.
        conversation: Box<dyn Conversation>,
    },
    /// The peer is who it says.
    Accept(Box<Admission>),
    /// It is not, or that cannot be found out. The peer hears the same whatever
    /// the reason.
    Reject(Rejection),
}

/// A peer that is let in, and on what terms.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Who it is: the name it gave, or another that the authenticator knows it by.
    pub user: String,
    /// The master session key, at least 64 octets (RFC 3748 §7.10). Methods without
    /// one prove nothing to the peer and are not for IKE (RFC 7296 §2.16).
    pub msk: Secret<Vec<u8>>,
    /// The addresses it must have, in place of some of the pool.
    pub addresses: Vec<IpAddr>,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// How long it may stay, from now on.
    pub session_timeout: Option<Duration>,
    /// What the authenticator wants back with what becomes of the IKE SA.
    pub account: Option<Account>,
}

/// Something of the authenticator's own that goes along with an IKE SA.
#[derive(Clone)]
pub struct Account(pub Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(..)")
    }
}

/// Why a peer is not let in; for the operator, never for the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Whom it said to be, once it has.
    pub user: Option<String>,
    /// Why.
    pub reason: RejectionReason,
}

/// Why a peer is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// Nobody has this name.
    UnknownUser,
    /// The password is wrong.
    WrongPassword,
    /// Its certificate does not stand, or the handshake in which it showed it; with
    /// the reason.
    Certificate(String),
    /// It wants none of the methods that there are.
    NoCommonMethod,
    /// It sent what the method has no place for; with what that was.
    Protocol(&'static str),
    /// The RADIUS server says no, perhaps with a reason.
    Radius {
        /// Which server.
        server: SocketAddr,
        /// Its Reply-Message.
        message: Option<String>,
    },
    /// No RADIUS server has answered.
    RadiusSilent {
        /// Those that were asked.
        servers: Vec<SocketAddr>,
    },
    /// The RADIUS server lets the peer in, but says nothing of a key
    /// (MS-MPPE-Recv-Key and MS-MPPE-Send-Key): the method has none.
    NoKey,
}

impl RejectionReason {
    pub(crate) const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnknownUser => {
                "add the user with `ikexdp client add --eap`, or correct the name in the client"
            }
            Self::WrongPassword => "correct the password in the client, or give the user another",
            Self::Certificate(_) => {
                "the client's certificate must be of an authority in `remote.eap-ca`, in time, and name the user"
            }
            Self::NoCommonMethod => "set the client to a method that the connection has",
            Self::Protocol(_) => return None,
            Self::Radius { .. } => "the RADIUS server's log says why",
            Self::RadiusSilent { .. } => {
                "is it up, is this gateway one of its clients, and is the secret the same on both sides?"
            }
            Self::NoKey => "use EAP-TLS, EAP-TTLS, PEAP or EAP-MSCHAPv2",
        })
    }
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownUser => f.write_str("unknown user"),
            Self::WrongPassword => f.write_str("wrong password"),
            Self::Certificate(reason) => f.write_str(reason),
            Self::NoCommonMethod => f.write_str("no common EAP method"),
            Self::Protocol(what) => write!(f, "EAP: {what}"),
            Self::Radius {
                server,
                message: Some(message),
            } => write!(f, "RADIUS server {server} rejects it: {message}"),
            Self::Radius {
                server,
                message: None,
            } => write!(f, "RADIUS server {server} rejects it"),
            Self::RadiusSilent { servers } => {
                f.write_str("no RADIUS server answers")?;
                let mut separator = ": ";
                for server in servers {
                    write!(f, "{separator}{server}")?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::NoKey => f.write_str("RADIUS server gives no key: the EAP method has none"),
        }
    }
}

/// Somebody who can prove by EAP who we are, where we are the peer.
pub trait Supplicant: fmt::Debug + Send + Sync {
    /// Begins to answer an authenticator. Nothing is computed or sent yet.
    fn begin(&self) -> Box<dyn Respondent>;
}

/// What answers one authenticator, while it is our turn. To drop it ends the
/// conversation.
pub trait Respondent: fmt::Debug + Send {
    /// Takes a whole EAP packet of code Request, Success or Failure, which may say
    /// anything. May take some milliseconds, but never waits for others.
    fn hear(self: Box<Self>, packet: &[u8]) -> Reply;
}

/// What comes of what an authenticator says.
#[derive(Debug)]
pub enum Reply {
    /// A request is answered.
    Answer {
        /// A whole EAP packet of code Response, with the identifier of the request.
        response: Vec<u8>,
        /// Who takes what comes next.
        respondent: Box<dyn Respondent>,
    },
    /// We are let in, by somebody who has shown that it knows us: the master session
    /// key, at least 64 octets (RFC 3748 §7.10).
    Accept(Secret<Vec<u8>>),
    /// We are not, or do not want to be.
    Refuse(Refusal),
}

/// Why we are not let in, or do not want to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The authenticator says no, without a reason.
    Unexplained,
    /// The authenticator says no, with a reason: a number of its method. That of
    /// EAP-MSCHAPv2 is Windows' own, such as 691 for a wrong name or password
    /// (RFC 2759 §6).
    Reason(u32),
    /// The authenticator wants none of the methods that we have.
    NoCommonMethod,
    /// The authenticator did not prove that it knows us.
    Unproved,
    /// The authenticator sent what the method has no place for; with what that was.
    Protocol(&'static str),
}

impl Refusal {
    pub(crate) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Unexplained | Self::Reason(_) => Some("compare the name and the password"),
            Self::NoCommonMethod => Some("set the gateway to a method that we have"),
            Self::Unproved => Some("somebody may be in the gateway's place"),
            Self::Protocol(_) => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexplained => f.write_str("EAP has failed"),
            Self::Reason(number) => write!(f, "EAP has failed: E={number}"),
            Self::NoCommonMethod => f.write_str("no common EAP method"),
            Self::Unproved => f.write_str("authenticator does not know us"),
            Self::Protocol(what) => write!(f, "EAP: {what}"),
        }
    }
}
