//! What clients send and hear by.

mod udp;
mod xdp;

use std::io;
use std::net::SocketAddr;

use ikexdp_proto::types::{Datagram, IKE_PORT, NAT_T_PORT, Path};
use nix::sys::epoll::Epoll;

use self::udp::Udp;
pub(super) use self::udp::make_room;
use self::xdp::Xdp;
use super::error::BenchError;
use super::plan::{Plan, Transport};
use super::record::{Attached, Exchanged};
use crate::udp::SendError;

/// The ends of the clients of one thread.
pub(super) enum Line {
    Udp(Udp),
    Xdp(Box<Xdp>),
}

/// Why a datagram did not leave.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    #[error(transparent)]
    Client(#[from] io::Error),
    #[error(transparent)]
    Kernel(#[from] SendError),
}

impl Line {
    /// Opens what the clients `numbers` take; `epoll` tells of what comes, by tokens of
    /// less than 2^33.
    ///
    /// # Errors
    /// [`BenchError`] if it cannot be had.
    pub(super) fn open(
        plan: &Plan,
        numbers: impl Iterator<Item = u32>,
        epoll: &Epoll,
    ) -> Result<Self, BenchError> {
        Ok(match &plan.transport {
            Transport::Udp => Self::Udp(Udp::open(plan, numbers, epoll)?),
            Transport::Xdp(interface) => {
                Self::Xdp(Box::new(Xdp::open(plan, interface, numbers, epoll)?))
            }
        })
    }

    /// The way from the client at this place to the gateway.
    pub(super) fn path(&self, place: usize, gateway: SocketAddr) -> Option<Path> {
        let marker = gateway.port() == NAT_T_PORT;
        let port = if marker { NAT_T_PORT } else { IKE_PORT };
        let local = match self {
            Self::Udp(udp) => udp.local(place),
            Self::Xdp(xdp) => xdp.local(place, port),
        };
        Some(Path {
            local: local?,
            remote: gateway,
            marker,
        })
    }

    /// The client that is there.
    pub(super) fn place(&self, local: SocketAddr) -> Option<usize> {
        match self {
            Self::Udp(udp) => udp.place(local),
            Self::Xdp(xdp) => xdp.place(local),
        }
    }

    /// Reads what has come to what `token` tells of; [`Self::next`] has it.
    pub(super) fn poll(&mut self, token: u64) {
        match self {
            Self::Udp(udp) => udp.poll(token),
            Self::Xdp(xdp) => xdp.poll(token),
        }
    }

    /// The next message that was read, and the place of the client it is for.
    pub(super) fn next(&mut self) -> Option<(usize, Datagram<'_>)> {
        match self {
            Self::Udp(udp) => udp.next(),
            Self::Xdp(xdp) => xdp.next(),
        }
    }

    /// Sends a message for the client that is at one end of `path`.
    ///
    /// # Errors
    /// [`Unsent`]; the message is lost then.
    pub(super) fn send(&mut self, path: &Path, message: &[u8]) -> Result<(), Unsent> {
        match self {
            Self::Udp(udp) => Ok(udp.send(path, message)?),
            Self::Xdp(xdp) => xdp.send(path, message),
        }
    }

    /// Sends a NAT-keepalive packet; if it is lost, there will be another.
    pub(super) fn keep_alive(&self, path: &Path) {
        match self {
            Self::Udp(udp) => udp.keep_alive(path),
            Self::Xdp(xdp) => xdp.keep_alive(path),
        }
    }

    /// How AF_XDP is attached, if it is.
    pub(super) fn attached(&self) -> Option<Attached> {
        match self {
            Self::Udp(_) => None,
            Self::Xdp(xdp) => Some(xdp.attached()),
        }
    }

    /// What went by the kernel since this was asked the last time, with AF_XDP.
    pub(super) fn take_by_kernel(&mut self) -> Exchanged {
        match self {
            Self::Udp(_) => Exchanged::default(),
            Self::Xdp(xdp) => xdp.take_by_kernel(),
        }
    }

    /// Ends a turn. Returns whether this is to be called again soon.
    pub(super) fn flush(&mut self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Xdp(xdp) => xdp.flush(),
        }
    }
}
