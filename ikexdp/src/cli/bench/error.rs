//! What is wrong with the options, or with what came of them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use ikexdp_common::maps::LOCAL_ADDRESSES;
use ikexdp_proto::crypto::cert::CertificateError;

use super::INTERRUPTED;
use crate::bench::{BenchError, Report};
use crate::xdp::InterfaceError;

/// Why `ikexdp bench` failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The gateway has no address.
    #[error("cannot find the gateway: {gateway}; hint: give its address")]
    Resolve {
        /// Its name.
        gateway: String,
        /// Why not.
        source: io::Error,
    },
    /// The gateway has no address of the clients' family.
    #[error("{gateway} has no address of the family of `--source`; hint: give both of one family")]
    Family {
        /// Its name.
        gateway: String,
    },
    /// This host does not reach the gateway.
    #[error(
        "no way to {gateway}; hint: look at `ip route`, or say with `--source` where clients are"
    )]
    NoRoute {
        /// Where it is.
        gateway: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The network is too small.
    #[error(
        "`--source` has room for {room} clients, `--clients` wants {clients}; hint: give a shorter prefix"
    )]
    Room {
        /// How many there are to be.
        clients: NonZeroU32,
        /// How many there can be.
        room: u128,
    },
    /// They would have one port for all.
    #[error("`--transport xdp` needs an address for each client; hint: give `--source` a network")]
    OneAddress,
    /// The program has no room.
    #[error(
        "`--transport xdp` has room for {LOCAL_ADDRESSES} clients, `--clients` wants {clients}; \
         hint: use `--transport udp`"
    )]
    Many {
        /// How many there are to be.
        clients: NonZeroU32,
    },
    /// The interface cannot be used.
    #[error(transparent)]
    Interface(InterfaceError),
    /// An interface that nothing takes.
    #[error("`--interface` is for `--transport xdp`; hint: by UDP the kernel knows the way")]
    NoXdp,
    /// Nobody could answer so soon.
    #[error("`--timeout` is less than 100ms; hint: a first repeat comes after a thirtieth of it")]
    Timeout,
    /// Nobody asks so often.
    #[error("`--liveness` is less than 10ms; hint: clients ask every ten seconds or more rarely")]
    Liveness,
    /// The SAs of a round would stay.
    #[error("`--rounds` needs `--delete`; hint: without it the SAs of a round stay for the next")]
    Rounds,
    /// A file cannot be read.
    #[error("cannot read {} of `{option}`", path.display())]
    Read {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no key in the file.
    #[error("nothing in {} of `{option}`; hint: what is in it is the secret, but for white space at its end", path.display())]
    NoSecret {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A password is text.
    #[error("no text in {} of `--eap-password-file`; hint: a password is in UTF-8", path.display())]
    NoText {
        /// The file.
        path: PathBuf,
    },
    /// It is not what it should be.
    #[error("no {kind} in {} of `{option}`; hint: it is to be in PEM, and not encrypted", path.display())]
    NotPem {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is missing.
        kind: &'static str,
    },
    /// A certificate cannot be used.
    #[error("cannot use {} of `{option}`", path.display())]
    Certificate {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: CertificateError,
    },
    /// The key is of no use.
    #[error(
        "cannot use {} of `--key`; hint: it must be RSA of 2048 to 4096 bits, ECDSA or Ed25519", path.display()
    )]
    PrivateKey {
        /// The file.
        path: PathBuf,
    },
    /// The certificate says something else.
    #[error(
        "`--certificate` does not say that clients are {identity}; hint: give `--id` one of {names}"
    )]
    NotAsserted {
        /// Who they are to be.
        identity: String,
        /// Whom it names.
        names: String,
    },
    /// It could not be done.
    #[error(transparent)]
    Run(Box<BenchError>),
    /// Somebody has pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// No client connected.
    #[error("no client connected: {}", list(failures))]
    Nothing {
        /// How often what failed.
        failures: BTreeMap<String, u64>,
    },
    /// Some failed.
    #[error("some failed: {}", list(failures))]
    Some {
        /// How often what failed.
        failures: BTreeMap<String, u64>,
    },
}

impl LoadError {
    /// What the program returns.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Interrupted => INTERRUPTED,
            _ => 1,
        }
    }
}

/// Whether all went as it should.
pub(super) fn judge(report: &Report) -> Result<(), LoadError> {
    if report.interrupted {
        return Err(LoadError::Interrupted);
    }
    let failures = report.failures();
    if report.connected() == 0 {
        return Err(LoadError::Nothing { failures });
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(LoadError::Some { failures })
    }
}

/// Each reason and how often.
pub(super) fn list(failures: &BTreeMap<String, u64>) -> String {
    let each = failures.iter();
    let each: Vec<_> = each
        .map(|(reason, times)| format!("{reason} {times}"))
        .collect();
    each.join(", ")
}
