//! What a table `[[radius]]` says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ikexdp_proto::types::Secret;

/// The port of authentication (RFC 2865 §3).
pub const AUTHENTICATION_PORT: u16 = 1812;

/// The port of accounting (RFC 2866 §3).
pub const ACCOUNTING_PORT: u16 = 1813;

/// The port of requests to disconnect (RFC 5176 §3).
pub const DISCONNECT_PORT: u16 = 3799;

/// The servers that know some users, and how to talk to them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a connection calls it.
    pub name: String,
    /// The servers, the one to prefer first.
    pub servers: Vec<SocketAddr>,
    /// What they and we share.
    pub secret: Arc<Secret<Vec<u8>>>,
    /// How long to wait for an answer before the first repeat; it doubles.
    pub timeout: Duration,
    /// How often a request is sent to a server, the first time included.
    pub tries: u32,
    /// How long a server that did not answer is passed over.
    pub dead_time: Duration,
    /// What we are called (NAS-Identifier).
    pub nas_identifier: String,
    /// The address that requests come from; that of the route if there is none.
    pub source_address: Option<IpAddr>,
    /// Who hears how long sessions last and what they carry, if somebody does.
    pub accounting: Option<AccountingSettings>,
    /// Who may end sessions, if somebody may.
    pub disconnect: Option<DisconnectSettings>,
}

/// Who hears how long sessions last and what they carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountingSettings {
    /// The servers, the one to prefer first.
    pub servers: Vec<SocketAddr>,
    /// How often they hear of a session that goes on, unless the server that let
    /// the user in says so.
    pub interim_interval: Option<Duration>,
}

/// Who may end sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisconnectSettings {
    /// Where requests come to.
    pub listen: SocketAddr,
    /// Where they come from.
    pub clients: Vec<IpAddr>,
    /// Whether they must have a Message-Authenticator.
    pub require_message_authenticator: bool,
}

impl Settings {
    /// The defaults, for servers that share `secret` with us.
    #[must_use]
    pub fn new(name: &str, servers: Vec<SocketAddr>, secret: Secret<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            servers,
            secret: Arc::new(secret),
            timeout: Duration::from_secs(2),
            tries: 3,
            dead_time: Duration::from_secs(60),
            nas_identifier: "ikexdp".to_owned(),
            source_address: None,
            accounting: None,
            disconnect: None,
        }
    }
}
