//! Sockets that systemd bound for us (systemd.socket(5)): low ports are for the
//! privileged, which it is, and we need not be.
#![expect(unsafe_code, reason = "the number of a descriptor becomes its owner")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{SockType, getsockopt, sockopt};

use super::socket::local_address;

/// Those that nobody has taken.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<(SocketAddr, OwnedFd)>);

impl Inherited {
    /// What this process was started with; nothing but the first time.
    ///
    /// # Errors
    /// [`io::Error`] if that is not what the environment says, or is no UDP
    /// socket.
    pub(super) fn take() -> io::Result<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);

        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(Self::default());
        }
        let mut sockets = Vec::new();
        for fd in sd_notify::listen_fds()? {
            // SAFETY: the environment says that whoever started this process left
            // the descriptor open for it to own (sd_listen_fds(3)), and it is made
            // an owner of once.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            if getsockopt(&fd, sockopt::SockType)? != SockType::Datagram {
                return Err(Errno::ESOCKTNOSUPPORT.into());
            }
            fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            let address = local_address(&fd).ok_or(Errno::EAFNOSUPPORT)?;
            sockets.push((address, fd));
        }
        Ok(Self(sockets))
    }

    /// The one that is bound to `address`.
    pub(super) fn remove(&mut self, address: SocketAddr) -> Option<OwnedFd> {
        let place = self.0.iter().position(|(bound, _)| *bound == address)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Where one is bound that is left over.
    pub(super) fn left_over(&self) -> Option<SocketAddr> {
        self.0.first().map(|(address, _)| *address)
    }
}
