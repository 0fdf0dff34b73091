//! The configuration file as it is written.
//!
//! Values that have more rules than TOML knows are kept as text with their
//! place, so that everything wrong with a file is reported in one run. Nothing
//! here implements `Debug`: secrets would be printed.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

/// Text with its place in the file.
pub(super) type Text = Spanned<String>;

/// Text with its place in the file, wiped when nobody needs it any more.
pub(super) type SecretText = Spanned<Zeroizing<String>>;

/// A list of texts with its place in the file.
pub(super) type Texts = Spanned<Vec<Text>>;

/// The whole file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    pub(super) gateway: Gateway,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) timing: Timing,
    #[serde(default)]
    pub(super) defence: Defence,
    #[serde(default)]
    pub(super) ike: Ike,
    #[serde(default, rename = "pool")]
    pub(super) pools: Vec<Spanned<Pool>>,
    #[serde(default, rename = "radius")]
    pub(super) radius: Vec<Spanned<Radius>>,
    #[serde(default, rename = "connection")]
    pub(super) connections: Vec<Spanned<Connection>>,
}

/// How datagrams come and go.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Gateway {
    pub(super) interface: Option<Text>,
    pub(super) transport: Option<Text>,
    pub(super) xdp_mode: Option<Text>,
    pub(super) xdp_transfer: Option<Text>,
    pub(super) ikev1: Option<Text>,
    pub(super) data_plane: Option<Text>,
    pub(super) algorithms: Option<Text>,
    pub(super) fragmentation: Option<Spanned<bool>>,
    pub(super) fragment_size: Option<Spanned<u32>>,
    pub(super) ip_fragments: Option<bool>,
    pub(super) size_test: Option<bool>,
    pub(super) cookie_threshold: Option<Spanned<usize>>,
    pub(super) half_open_max: Option<Spanned<usize>>,
    #[serde(default)]
    pub(super) additional_addresses: Vec<Text>,
    pub(super) control_socket: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) metrics_address: Option<Text>,
    pub(super) allow_key_export: Option<Spanned<bool>>,
}

/// What is logged, and how.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Option<Text>,
    pub(super) format: Option<Text>,
}

/// How long things take.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Timing {
    pub(super) half_open: Option<Text>,
    pub(super) liveness: Option<Text>,
    pub(super) first_liveness: Option<Text>,
    pub(super) retransmit: Option<Text>,
    pub(super) retransmits: Option<Spanned<u32>>,
    pub(super) nat_keepalive: Option<Text>,
}

/// What strangers may have done for them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Defence {
    pub(super) cookies: Option<Text>,
    pub(super) cookie_rate: Option<Spanned<u32>>,
    pub(super) half_open_per_source: Option<Spanned<u32>>,
    pub(super) init_rate: Option<Spanned<u32>>,
    pub(super) init_rate_per_source: Option<Spanned<u32>>,
    pub(super) init_burst_per_source: Option<Spanned<u32>>,
    pub(super) sources: Option<Spanned<u32>>,
    pub(super) node: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) allow: Vec<Text>,
    #[serde(default)]
    pub(super) block: Vec<Text>,
}

/// Algorithms of IKE SAs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Ike {
    pub(super) encryption: Option<Texts>,
    pub(super) integrity: Option<Texts>,
    pub(super) prf: Option<Texts>,
    pub(super) groups: Option<Texts>,
    pub(super) rsa_sha1: Option<Spanned<bool>>,
}

/// Algorithms of CHILD SAs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Esp {
    pub(super) encryption: Option<Texts>,
    pub(super) integrity: Option<Texts>,
    pub(super) groups: Option<Texts>,
}

/// Addresses for clients.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) name: Text,
    pub(super) addresses: Texts,
    #[serde(default)]
    pub(super) dns: Vec<Text>,
    #[serde(default)]
    pub(super) domains: Vec<Text>,
    #[serde(default)]
    pub(super) gateway_addresses: Vec<Text>,
    pub(super) dhcp: Option<Spanned<bool>>,
}

/// Servers that know users.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Radius {
    pub(super) name: Text,
    pub(super) servers: Texts,
    pub(super) secret: Option<SecretText>,
    pub(super) secret_file: Option<Spanned<PathBuf>>,
    pub(super) timeout: Option<Text>,
    pub(super) tries: Option<Spanned<u32>>,
    pub(super) dead_time: Option<Text>,
    pub(super) nas_identifier: Option<Text>,
    pub(super) source_address: Option<Text>,
    pub(super) accounting: Option<Spanned<bool>>,
    pub(super) accounting_servers: Option<Texts>,
    pub(super) interim_interval: Option<Text>,
    pub(super) disconnect: Option<Spanned<Disconnect>>,
}

/// Who may end sessions.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Disconnect {
    pub(super) listen: Text,
    pub(super) clients: Option<Texts>,
    pub(super) require_message_authenticator: Option<bool>,
}

/// A kind of peer.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Connection {
    pub(super) name: Text,
    pub(super) local: Spanned<Local>,
    pub(super) remote: Spanned<Remote>,
    pub(super) pool: Option<Text>,
    pub(super) remote_networks: Option<Texts>,
    pub(super) local_networks: Option<Texts>,
    pub(super) if_id: Option<Spanned<u32>>,
    pub(super) mark: Option<Text>,
    pub(super) uniqueness: Option<Text>,
    pub(super) initiate_rekey: Option<bool>,
    pub(super) ike_lifetime: Option<Text>,
    pub(super) child_lifetime: Option<Text>,
    pub(super) child_octets: Option<Spanned<u64>>,
    pub(super) child_packets: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) esp: Esp,
}

/// The table of the connection of this name.
pub(super) fn table<'a>(tables: &'a [Spanned<Connection>], name: &str) -> Option<&'a Connection> {
    let mut tables = tables.iter().map(Spanned::get_ref);
    tables.find(|table| table.name.get_ref() == name)
}

/// Who we are, and how we prove it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Local {
    pub(super) id: Text,
    pub(super) certificate: Option<Spanned<PathBuf>>,
    pub(super) key: Option<Spanned<PathBuf>>,
    pub(super) certificates: Option<Spanned<Vec<CertifiedKey>>>,
    pub(super) secret: Option<SecretText>,
    pub(super) secret_file: Option<Spanned<PathBuf>>,
}

impl Local {
    /// The private key of each certificate.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Spanned<PathBuf>> {
        let several = self.certificates.iter().flat_map(Spanned::get_ref);
        several.map(|it| &it.key).chain(&self.key)
    }
}

/// A certificate and its private key.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CertifiedKey {
    pub(super) certificate: Spanned<PathBuf>,
    pub(super) key: Spanned<PathBuf>,
}

/// Who the peer may be, and how it must prove it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Remote {
    pub(super) ids: Option<Texts>,
    pub(super) ca: Option<Spanned<PathBuf>>,
    pub(super) crl: Option<Spanned<Vec<Spanned<PathBuf>>>>,
    pub(super) revocation: Option<Text>,
    pub(super) fetch_revocation: Option<Spanned<bool>>,
    pub(super) secret: Option<SecretText>,
    pub(super) secret_file: Option<Spanned<PathBuf>>,
    pub(super) eap_users: Option<Spanned<PathBuf>>,
    pub(super) eap_ca: Option<Spanned<PathBuf>>,
    pub(super) eap_radius: Option<Text>,
    pub(super) eap_alone: Option<bool>,
    pub(super) groups: Option<Texts>,
}
