//! Why nothing could be measured.

use std::io;
use std::net::IpAddr;

use aya::maps::MapError;
use nix::errno::Errno;

use crate::xdp::{AttachError, LoadError};
use crate::{udp, xsk};

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A client has no socket.
    #[error("cannot bind a UDP socket at {address}; hint: {}", hint(source))]
    Bind {
        /// Where.
        address: IpAddr,
        /// Why not.
        source: io::Error,
    },
    /// IKE's own ports cannot be had, which AF_XDP needs beside it.
    #[error(transparent)]
    Ports(#[from] udp::BindError),
    /// The XDP program is not in the kernel.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is not on the interface.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// It takes no more addresses or sockets.
    #[error("cannot tell the XDP program where clients are")]
    Map(#[from] MapError),
    /// A queue has no socket.
    #[error(transparent)]
    Queue(#[from] xsk::BindError),
    /// The kernel does not tell of sockets.
    #[error("cannot wait for datagrams")]
    Poll(#[source] Errno),
    /// The system gives no more threads, or no descriptor to wake them by.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A thread has ended by itself.
    #[error("a thread has panicked, which is an error in this program")]
    Panicked,
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Random,
    /// There is no memory for latencies.
    #[error("cannot keep latencies")]
    Histogram(#[from] hdrhistogram::errors::CreationError),
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRNOTAVAIL) => {
            "it must be this host's; `ip route add local NETWORK dev lo` makes a whole network so"
        }
        Some(Errno::EADDRINUSE | Errno::EAGAIN) => {
            "there is no port left: give `--source` a network, so that each client has an address"
        }
        Some(Errno::EMFILE | Errno::ENFILE) => {
            "each client has a socket: raise the limit (`ulimit -n`), or lower `--clients`"
        }
        _ => "`--source` says where clients are",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_not_there_names_the_remedy() {
        let told = |errno: Errno| {
            BenchError::Bind {
                address: [10, 1, 0, 1].into(),
                source: errno.into(),
            }
            .to_string()
        };
        assert!(told(Errno::EADDRNOTAVAIL).contains("ip route add local"));
        assert!(told(Errno::EMFILE).contains("ulimit -n"));
        assert!(told(Errno::EADDRINUSE).contains("--source"));
    }
}
