//! Why there is no XDP program.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use ikexdp_common::maps;

use super::{InterfaceError, Mode};
use crate::causes::causes;

/// Why the program is not in the kernel.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel wants more privilege.
    #[error(
        "not allowed to load the XDP program; \
         hint: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NotAllowed(#[source] EbpfError),
    /// The kernel refused it for another reason.
    #[error("cannot load the XDP program; hint: it needs Linux 6.1 or later")]
    Refused(#[source] EbpfError),
}

impl From<EbpfError> for LoadError {
    fn from(error: EbpfError) -> Self {
        let is_denial = |cause: &(dyn std::error::Error + 'static)| {
            // Not EACCES, which is how the verifier refuses.
            let cause: Option<&io::Error> = cause.downcast_ref();
            cause.and_then(io::Error::raw_os_error) == Some(libc::EPERM)
        };
        if causes(&error).any(is_denial) {
            Self::NotAllowed(error)
        } else {
            Self::Refused(error)
        }
    }
}

impl From<ProgramError> for LoadError {
    fn from(error: ProgramError) -> Self {
        EbpfError::from(error).into()
    }
}

impl From<MapError> for LoadError {
    fn from(error: MapError) -> Self {
        EbpfError::from(error).into()
    }
}

/// Why the program is not on the interface.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is room for one program only.
    #[error(
        "{interface} has an XDP program already: {program} (id {id}, {mode}); \
         hint: stop what attached it, or `ip link set dev {interface} {off} off`",
        off = mode.ip_link_name()
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// The other program's name.
        program: String,
        /// The other program's id, as `bpftool prog` shows it.
        id: u32,
        /// Where it runs.
        mode: Mode,
    },
    /// There is no place for so many sockets.
    #[error(
        "{interface} has more RX queues than {max}: {queues}; \
         hint: `ethtool -L {interface} combined {max}`",
        max = maps::QUEUES
    )]
    Queues {
        /// The interface.
        interface: String,
        /// How many queues it has.
        queues: u32,
    },
    /// The kernel refused.
    #[error("cannot attach the XDP program to {interface} in {mode} mode")]
    Refused {
        /// The interface.
        interface: String,
        /// The last mode tried.
        mode: Mode,
        /// What the kernel said.
        source: ProgramError,
    },
    /// The interface went away meanwhile.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
}
