//! Wakes the packet loop from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// A descriptor that is readable from [`Self::wake`] to [`Self::clear`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    descriptor: EventFd,
    /// Whether it was woken since it was cleared: to wake it once more would be a system
    /// call for nothing.
    is_awake: AtomicBool,
}

impl Waker {
    /// A waker that sleeps.
    ///
    /// # Errors
    /// [`io::Error`] if the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(Arc::new(Shared {
            descriptor: EventFd::from_flags(flags)?,
            is_awake: AtomicBool::new(false),
        })))
    }

    /// Makes the descriptor readable. It can only fail where it already is: the
    /// counter behind it is full then.
    pub fn wake(&self) {
        if !self.0.is_awake.swap(true, SeqCst) {
            let _ = self.0.descriptor.write(1);
        }
    }

    /// Puts it to sleep, to be called before looking for what it woke for: what
    /// comes later wakes again.
    pub fn clear(&self) {
        let _ = self.0.descriptor.read();
        // Not before: who wakes it between the two would be read away, and never heard.
        self.0.is_awake.swap(false, SeqCst);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    impl Waker {
        pub(crate) fn is_awake(&self) -> bool {
            let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
        }
    }

    #[test]
    fn it_is_awake_until_cleared_however_often_it_was_woken() {
        let waker = Waker::new().unwrap();
        assert!(!waker.is_awake());
        waker.wake();
        waker.clone().wake();
        assert!(waker.is_awake());
        waker.clear();
        assert!(!waker.is_awake());
        waker.clear();
        assert!(!waker.is_awake());
    }
}
