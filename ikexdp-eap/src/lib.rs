//! EAP methods of the gateway's own, without a RADIUS server: EAP-MSCHAPv2 from a
//! file of users, and EAP-TLS with certificates. Of EAP-MSCHAPv2 there is the other
//! side as well, for those who play clients: [`Password`].
//!
//! A peer is proposed EAP-TLS first, where there are both, and says so if it wants
//! the other (RFC 3748 §5.3.1). What it is called has no say in that: otherwise
//! whoever asks would learn who is in the file of users.
//!
//! Whatever is wrong with a peer, it hears an EAP Failure and nothing else: no
//! Failure Request of MSCHAPv2, no TLS alert (RFC 5216 §2.1.3 has one sent as a
//! courtesy to the peer). The operator is told the reason.
#![forbid(unsafe_code)]

mod conversation;
pub mod limits;
mod method;
mod mschapv2;
mod name;
mod packet;
mod tls;
mod users;

use std::sync::Arc;

use ikexdp_proto::eap::{Authenticator, Caller, Conversation};

use crate::conversation::{Greeting, Offer};
pub use crate::mschapv2::{NtHash, Password};
pub use crate::tls::{TlsError, TlsSettings, client_verifier};
pub use crate::users::{UserFault, UserFileError, Users};
/// The types of certificates, keys and verifiers that EAP-TLS takes.
pub use rustls;

/// The methods there are. Without any, every peer is refused.
#[derive(Clone, Debug, Default)]
pub struct Methods {
    /// EAP-TLS.
    pub tls: Option<TlsSettings>,
    /// EAP-MSCHAPv2, for these users.
    pub mschapv2: Option<Arc<Users>>,
}

/// Knows peers by what it has been given, and asks nobody else.
#[derive(Clone, Debug)]
pub struct LocalAuthenticator {
    offers: Arc<[Offer]>,
    server_name: Arc<str>,
}

impl LocalAuthenticator {
    /// Offers `methods`. A peer may show `server_name` to its user; an empty one is
    /// replaced, because there are peers that take it for a malformed challenge.
    #[must_use]
    pub fn new(methods: Methods, server_name: &str) -> Self {
        let tls = methods.tls.map(Offer::Tls);
        let mschapv2 = methods.mschapv2.map(Offer::Mschapv2);
        let server_name = match server_name {
            "" => "ikexdp",
            name => name,
        };
        Self {
            offers: tls.into_iter().chain(mschapv2).collect(),
            server_name: server_name.into(),
        }
    }
}

impl Authenticator for LocalAuthenticator {
    fn begin(&self, _: Caller) -> Box<dyn Conversation> {
        Box::new(Greeting {
            offers: Arc::clone(&self.offers),
            server_name: Arc::clone(&self.server_name),
        })
    }
}
