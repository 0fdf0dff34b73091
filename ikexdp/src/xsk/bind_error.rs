//! Why a queue has no socket.

use std::io;

/// Why there is no socket on a queue.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// There is room for one socket only.
    #[error(
        "{interface} queue {queue} has an AF_XDP socket already; hint: stop the process that has it"
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// The RX queue.
        queue: u32,
    },
    /// The kernel wants more privilege.
    #[error(
        "not allowed to open an AF_XDP socket on {interface} queue {queue}; \
         hint: run as root, or with CAP_NET_RAW, and CAP_IPC_LOCK for its memory"
    )]
    NotAllowed {
        /// The interface.
        interface: String,
        /// The RX queue.
        queue: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused for another reason.
    #[error("cannot open an AF_XDP socket on {interface} queue {queue}")]
    Refused {
        /// The interface.
        interface: String,
        /// The RX queue.
        queue: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BindError {
    /// What it means that the kernel said `source`.
    pub(super) fn new(interface: &str, queue: u32, source: io::Error) -> Self {
        let interface = interface.to_owned();
        match source.raw_os_error() {
            Some(libc::EBUSY) => Self::Occupied { interface, queue },
            // The latter when the memory is more than may be locked.
            Some(libc::EPERM | libc::ENOBUFS) => Self::NotAllowed {
                interface,
                queue,
                source,
            },
            _ => Self::Refused {
                interface,
                queue,
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_fits_the_error() {
        let message = |code| {
            let source = io::Error::from_raw_os_error(code);
            BindError::new("eth0", 3, source).to_string()
        };
        assert!(message(libc::EBUSY).contains("hint: stop the process"));
        for code in [libc::EPERM, libc::ENOBUFS] {
            assert!(message(code).contains("CAP_IPC_LOCK"));
        }
        assert!(!message(libc::EINVAL).contains("hint"));
    }
}
