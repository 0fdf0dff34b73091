//! What the daemon acts on, besides the engine's configuration.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ikexdp_proto::config::Config;
use tracing_subscriber::filter::LevelFilter;

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
    /// Where commands come from.
    pub control_socket: PathBuf,
    /// What is logged, and how.
    pub log: LogSettings,
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
