//! What goes wrong with XFRM, in words for people.

use std::fmt::Display;

use ikexdp_proto::data_plane::{DataPlaneError, EspSa};

use super::algorithms;
use super::traffic::Inexpressible;
use crate::causes::in_a_line;
use crate::netlink::{NetlinkError, Refusal};

/// Why there is no data plane.
#[derive(Debug, thiserror::Error)]
pub enum XfrmError {
    /// The kernel has no XFRM, or none that can be talked to.
    #[error(
        "the kernel has no IPsec to be told of over netlink; \
         hint: `modprobe xfrm_user`, or set `gateway.data-plane` to \"none\""
    )]
    Missing(#[source] NetlinkError),
    /// The process lacks CAP_NET_ADMIN.
    #[error(
        "not allowed to set up IPsec in the kernel; hint: run as root or with CAP_NET_ADMIN, \
         or set `gateway.data-plane` to \"none\""
    )]
    NotAllowed(#[source] NetlinkError),
    /// Anything else.
    #[error("cannot set up IPsec in the kernel")]
    Netlink(#[source] NetlinkError),
}

impl From<NetlinkError> for XfrmError {
    fn from(error: NetlinkError) -> Self {
        match error.errno() {
            Some(libc::EPROTONOSUPPORT) => Self::Missing(error),
            Some(libc::EPERM) => Self::NotAllowed(error),
            _ => Self::Netlink(error),
        }
    }
}

/// Why `sa` could not be installed.
pub(super) fn not_installed(sa: &EspSa, refusal: &Refusal) -> DataPlaneError {
    let spi = sa.spi;
    match refusal.errno() {
        Some(libc::EEXIST) => DataPlaneError::Taken(format!("SA of SPI {spi}")),
        // No ESP; no algorithm of that name; no implementation of it.
        Some(
            libc::EPROTONOSUPPORT
            | libc::EAFNOSUPPORT
            | libc::EOPNOTSUPP
            | libc::ENOSYS
            | libc::ENOENT,
        ) => {
            let address = sa.tunnel.local.ip();
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let modules = algorithms::modules(sa.suite.cipher, address);
            DataPlaneError::Unsupported(format!(
                "ESP over {family} with {}: {refusal}; hint: it takes the modules {modules}",
                sa.suite
            ))
        }
        _ => failed(format_args!("SA of SPI {spi}"), refusal),
    }
}

/// Why a policy could not be installed.
pub(super) fn no_policy(refusal: &Refusal) -> DataPlaneError {
    match refusal.errno() {
        Some(libc::EEXIST) => {
            DataPlaneError::Taken("policy of another program for the same traffic".to_owned())
        }
        _ => failed("policy", refusal),
    }
}

/// Why `what` did not work out.
pub(super) fn failed(what: impl Display, why: impl Display) -> DataPlaneError {
    DataPlaneError::Failed(format!("{what}: {why}"))
}

/// Whether what was to be removed was not there.
pub(super) fn is_gone(refusal: &Refusal) -> bool {
    matches!(refusal.errno(), Some(libc::ESRCH | libc::ENOENT))
}

/// With what the system says of it.
pub(super) fn unreachable(error: NetlinkError) -> DataPlaneError {
    DataPlaneError::Failed(in_a_line(&error))
}

impl From<Inexpressible> for DataPlaneError {
    fn from(error: Inexpressible) -> Self {
        Self::Unsupported(error.to_string())
    }
}
