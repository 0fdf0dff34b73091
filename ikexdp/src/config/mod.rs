//! The configuration file: read, checked as a whole, and turned into what the
//! daemon and the engine act on.

mod algorithms;
mod binding;
mod caution;
mod certificate;
mod connection;
mod context;
mod credential;
mod defence;
mod eap;
mod fault;
mod file;
mod gateway;
mod lifetimes;
mod local;
mod networks;
mod numbers;
mod problem;
mod radius;
mod revocation;
mod services;
mod settings;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ikexdp_proto::config::Config;
use rustls_pki_types::UnixTime;
use zeroize::Zeroizing;

pub use caution::Caution;
pub use certificate::CertificateSummary;
pub use connection::Proofs;
pub use credential::Proof;
pub use defence::prefix;
pub use eap::{EapMethod, TlsAuthorities};
pub use fault::Fault;
pub use gateway::CONTROL_SOCKET;
pub use local::OwnProof;
pub use problem::{ConfigError, Problem};
pub use revocation::RevocationFault;
pub use settings::{
    DataPlane, Defence, Ikev1, LogFormat, LogSettings, Settings, Transport, XdpMode, XdpSettings,
    XdpTransfer,
};

use crate::radius::Radius;

use context::Context;
pub(crate) use context::{is_world_readable, read_file};
use file::File;
use problem::{Problems, key_at, line_of};

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub settings: Settings,
    /// How both sides of each connection prove who they are.
    pub proofs: Vec<Proofs>,
    /// What deserves a second look.
    pub cautions: Vec<Problem<Caution>>,
}

/// Reads the configuration file at `path`, and every file it names; `now` is the
/// time of day for which certificates must be valid.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong, each with its key, its line
/// and its remedy. A file that is not TOML, or has a key that does not exist, is
/// reported alone: what follows would be guesses.
pub fn load(path: &Path, now: UnixTime) -> Result<Loaded, ConfigError> {
    // The text may hold secrets.
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(source) => {
            let path = path.to_owned();
            return Err(ConfigError::Read { path, source });
        }
    };
    parse(path, &text, now)
}

fn parse(path: &Path, text: &str, now: UnixTime) -> Result<Loaded, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| unreadable(path, text, &error))?;
    let mut cx = Context {
        path,
        now,
        problems: Problems::new(text),
    };
    let settings = convert(&mut cx, &file);
    let Problems {
        faults, cautions, ..
    } = cx.problems;
    match settings {
        Some((settings, proofs)) if faults.is_empty() => Ok(Loaded {
            path: path.to_owned(),
            settings,
            proofs,
            cautions,
        }),
        _ => Err(ConfigError::Invalid {
            path: path.to_owned(),
            faults,
        }),
    }
}

/// Why `text` is no configuration.
fn unreadable(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let path = path.to_owned();
    let offset = error.span().map_or(0, |span| span.start);
    let line = line_of(text, offset);
    // Only the first line: the rest would repeat a line of the file, which may
    // hold a secret.
    let message = error.message().to_owned();
    // Where the text is not TOML, anything can stand where a key should.
    if toml::from_str::<toml::Table>(text).is_err() {
        return ConfigError::Syntax {
            path,
            line,
            message,
        };
    }
    ConfigError::Kind {
        path,
        line,
        key: key_at(text, offset),
        message,
    }
}

/// `None` only if a fault was noted; one may also be noted with a value.
fn convert(cx: &mut Context<'_>, file: &File) -> Option<(Settings, Vec<Proofs>)> {
    let gateway = gateway::gateway(cx, &file.gateway);
    let log = gateway::log(cx, &file.log);
    let timing = gateway::timing(cx, &file.timing);
    let defence = defence::defence(cx, &file.defence);
    let additional_addresses = gateway::additional_addresses(cx, &file.gateway);
    let profile = algorithms::profile(cx, &file.gateway);
    // With none that is right, the rest is looked at all the same.
    let assumed = profile.unwrap_or_default();
    let ike = algorithms::ike(cx, &file.ike, assumed);
    let pools = networks::pools(cx, &file.pools);
    let radius = radius::tables(cx, &file.radius);
    // Without it, what connections say of it would be guesses.
    let radius: Vec<_> = radius?.into_iter().map(Radius::new).map(Arc::new).collect();
    let connections = connection::connections(cx, &file.connections, &pools, &radius, assumed);
    let (connections, proofs): (Vec<_>, _) = connections.into_iter().unzip();
    let gate = gateway.as_ref().map(|gateway| gateway.gate);
    let gate = defence::gate(cx, &file.defence, gate.unwrap_or_default());
    let (gateway, ike) = (gateway?, ike?);
    defence::consider(cx, &file.defence, &gateway.transport);
    profile?;
    gateway::consider_init(cx, &file.gateway, &ike);
    local::consider_verifiers(cx, &file.connections, &connections, assumed, &ike);
    eap::consider_order(cx, &file.connections, &connections);
    let dhcp = services::scopes(cx, &connections, &pools, gateway.data_plane);
    let engine = Config {
        connections,
        pools: pools.into_iter().map(|pool| pool.pool).collect(),
        ike,
        fragmentation: gateway.fragmentation,
        gate: gate?,
        timing: timing?,
        additional_addresses: additional_addresses?,
    };
    let settings = Settings {
        engine: Arc::new(engine),
        transport: gateway.transport,
        ip_fragments: gateway.ip_fragments,
        data_plane: gateway.data_plane,
        defence: defence?,
        control_socket: gateway.control_socket,
        state_dir: gateway.state_dir,
        metrics_address: gateway.metrics_address,
        allow_key_export: gateway.allow_key_export,
        log: log?,
        radius,
        dhcp,
    };
    Some((settings, proofs))
}

#[cfg(test)]
mod tests;
