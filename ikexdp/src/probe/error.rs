//! Why nothing could be found out.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Why a gateway was not asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The gateway has no address.
    #[error("cannot find the gateway: {host}; hint: give its address, or look at the name in DNS")]
    Resolve {
        /// Its name.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// It has none of the family that was asked for.
    #[error("{host} has no {family} address; hint: leave out `-4` and `-6`")]
    Family {
        /// Its name.
        host: String,
        /// IPv4 or IPv6.
        family: &'static str,
    },
    /// No socket.
    #[error(
        "cannot bind UDP port {port} for {address}; hint: ports below 1024 need root, and a port can be in use"
    )]
    Bind {
        /// Where the gateway is.
        address: IpAddr,
        /// The port of ours; 0 for any.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// This host does not reach it.
    #[error("no way to {remote}; hint: look at `ip route get {}`", remote.ip())]
    NoRoute {
        /// Where it is.
        remote: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A datagram is not sent, or none can be received.
    #[error(
        "cannot send to {remote}; hint: look whether a rule of this host's own firewall forbids it"
    )]
    Send {
        /// Where to.
        remote: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The socket does not do what is asked of it.
    #[error("cannot set up a UDP socket")]
    Socket(#[source] io::Error),
    /// There is no randomness.
    #[error("the system has no randomness")]
    Random,
}
