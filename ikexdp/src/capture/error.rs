//! Why nothing is captured.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

/// Why a capture does not begin, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is none of this name.
    #[error("no such interface: {interface}; hint: `ip link` lists them")]
    NoInterface {
        /// The name asked for.
        interface: String,
    },
    /// We lack the capability.
    #[error(
        "not allowed to capture; hint: run as root, or give the program CAP_NET_RAW: \
         `setpriv --ambient-caps +net_raw --inh-caps +net_raw …`"
    )]
    NotAllowed,
    /// The kernel refuses something else.
    #[error("cannot capture")]
    Socket {
        /// Why not.
        source: Errno,
    },
    /// It was there, and is no longer.
    #[error("the interface has gone: {interface}; {frames} frames are written")]
    Gone {
        /// Its name at the start.
        interface: String,
        /// What is there.
        frames: u64,
    },
    /// The kernel has no more for us.
    #[error("the capture ended early: {frames} frames are written")]
    Lost {
        /// What is there.
        frames: u64,
        /// Why it ended.
        source: Errno,
    },
    /// The file is there already.
    #[error("file exists: {}; hint: name another, or give --force", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// What is there is a device, a directory, a link, or the like.
    #[error(
        "not a regular file: {}; hint: name another; `-` writes to standard output, wherever that leads",
        path.display()
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Signals or time cannot be watched.
    #[error("cannot wait for frames")]
    Wait(#[source] io::Error),
    /// The capture cannot be written.
    #[error("cannot write the capture")]
    Write(#[source] io::Error),
}
