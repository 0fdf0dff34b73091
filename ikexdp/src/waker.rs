//! Wakes the packet loop from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};

/// A descriptor that is readable from [`Self::wake`] to [`Self::clear`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// A waker that sleeps.
    ///
    /// # Errors
    /// [`io::Error`] if the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(Arc::new(EventFd::from_flags(flags)?)))
    }

    /// Makes the descriptor readable. It can only fail where it already is: the
    /// counter behind it is full then.
    pub fn wake(&self) {
        let _ = self.0.write(1);
    }

    /// Puts it to sleep, to be called before looking for what it woke for: what
    /// comes later wakes again.
    pub fn clear(&self) {
        let _ = self.0.read();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn is_awake(waker: &Waker) -> bool {
        let mut fds = [PollFd::new(waker.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn it_is_awake_until_cleared_however_often_it_was_woken() {
        let waker = Waker::new().unwrap();
        assert!(!is_awake(&waker));
        waker.wake();
        waker.clone().wake();
        assert!(is_awake(&waker));
        waker.clear();
        assert!(!is_awake(&waker));
        waker.clear();
        assert!(!is_awake(&waker));
    }
}
