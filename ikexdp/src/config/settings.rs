//! What the daemon acts on, besides the engine's configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ikexdp_common::maps::SOURCES_DEFAULT;
use ikexdp_proto::config::Config;
use ipnet::IpNet;
use tracing_subscriber::filter::LevelFilter;

use crate::dhcp::Scope;
use crate::radius::Radius;

/// Everything a configuration file says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the engine.
    pub engine: Arc<Config>,
    /// How datagrams come and go.
    pub transport: Transport,
    /// Whether messages may leave as IP fragments to a peer that cannot
    /// fragment at the IKE layer.
    pub ip_fragments: bool,
    /// What becomes of the CHILD SAs.
    pub data_plane: DataPlane,
    /// What strangers may ask for.
    pub defence: Defence,
    /// Where commands come from.
    pub control_socket: PathBuf,
    /// Where what must outlive the daemon is kept.
    pub state_dir: PathBuf,
    /// Where metrics can be asked for, if anywhere.
    pub metrics_address: Option<SocketAddr>,
    /// Whether the keys of a peer may be written.
    pub allow_key_export: bool,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Servers that know users.
    pub radius: Vec<Arc<Radius>>,
    /// What clients are answered by DHCP.
    pub dhcp: Vec<Scope>,
}

impl Settings {
    /// What can only change by a restart: each key, and its value for people.
    #[must_use]
    pub fn fixed(&self) -> [(&'static str, String); 12] {
        let xdp = match &self.transport {
            Transport::Xdp(settings) => Some(settings),
            Transport::Udp => None,
        };
        let of_xdp =
            |value: fn(&XdpSettings) -> String| xdp.map_or_else(|| "none".to_owned(), value);
        let kind = xdp.map_or(TransportKind::Udp, |_| TransportKind::Xdp);
        [
            ("gateway.transport", kind.to_string()),
            ("gateway.interface", of_xdp(|xdp| xdp.interface.clone())),
            ("gateway.xdp-mode", of_xdp(|xdp| xdp.mode.to_string())),
            (
                "gateway.xdp-transfer",
                of_xdp(|xdp| xdp.transfer.to_string()),
            ),
            ("gateway.ikev1", of_xdp(|xdp| xdp.ikev1.to_string())),
            ("gateway.data-plane", self.data_plane.to_string()),
            (
                "gateway.control-socket",
                self.control_socket.display().to_string(),
            ),
            ("gateway.state-dir", self.state_dir.display().to_string()),
            ("defence.sources", self.defence.sources.to_string()),
            ("defence.node", self.defence.node.to_string()),
            ("log.level", self.log.level.to_string()),
            ("log.format", self.log.format.to_string()),
        ]
    }
}

/// How datagrams come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By XDP and AF_XDP, and by the kernel's UDP sockets where those do not reach.
    Xdp(XdpSettings),
    /// By the kernel's UDP sockets alone.
    Udp,
}

/// How the XDP program is attached and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpSettings {
    /// The name of the interface.
    pub interface: String,
    /// Where the program runs.
    pub mode: XdpMode,
    /// How frames come from the driver.
    pub transfer: XdpTransfer,
    /// What it does with IKEv1.
    pub ikev1: Ikev1,
}

/// What strangers may ask for, besides what the engine sees to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defence {
    /// Sources of which that is known at a time.
    pub sources: u32,
    /// The first octet of our SPIs.
    pub node: u8,
    /// Sources that are not limited.
    pub allow: BTreeSet<IpNet>,
    /// Sources that are not heard. Of two prefixes the longer decides.
    pub block: BTreeSet<IpNet>,
}

impl Default for Defence {
    fn default() -> Self {
        Self {
            sources: SOURCES_DEFAULT,
            node: 0,
            allow: BTreeSet::new(),
            block: BTreeSet::new(),
        }
    }
}

/// Where the XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver if it can, else in the kernel's stack.
    Auto,
    /// In the driver.
    Native,
    /// In the kernel's stack.
    Generic,
}

/// How frames come from the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpTransfer {
    /// Written into our memory if the driver can, else copied.
    Auto,
    /// Copied.
    Copy,
}

/// What the XDP program does with IKEv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ikev1 {
    /// Leaves it to the kernel and its rules, and to the daemon, which does not
    /// answer it either.
    Pass,
    /// Drops it.
    Drop,
}

/// What becomes of CHILD SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPlane {
    /// The kernel carries them, by its ESP.
    Xfrm,
    /// They are negotiated and shown, and carry nothing.
    None,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// The form of a line.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: LevelFilter::INFO,
            format: LogFormat::Text,
        }
    }
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object of JSON.
    Json,
}

/// The kinds of [`Transport`] by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransportKind {
    Xdp,
    Udp,
}

impl TransportKind {
    pub(super) const ALL: [Self; 2] = [Self::Xdp, Self::Udp];
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xdp => "xdp",
            Self::Udp => "udp",
        })
    }
}

impl XdpMode {
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Native, Self::Generic];
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

impl XdpTransfer {
    pub(super) const ALL: [Self; 2] = [Self::Auto, Self::Copy];
}

impl fmt::Display for XdpTransfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Copy => "copy",
        })
    }
}

impl Ikev1 {
    pub(super) const ALL: [Self; 2] = [Self::Pass, Self::Drop];
}

impl fmt::Display for Ikev1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
        })
    }
}

impl DataPlane {
    pub(super) const ALL: [Self; 2] = [Self::Xfrm, Self::None];
}

impl fmt::Display for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xfrm => "xfrm",
            Self::None => "none",
        })
    }
}

impl LogFormat {
    pub(super) const ALL: [Self; 2] = [Self::Text, Self::Json];
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}
