//! Signals that end a capture, or have it write what it holds.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{SigId, flag, low_level};

/// What has come by then is the same wish: `timeout` sends its signal to us and to our group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// What has been signalled, and what becomes readable when something is.
#[derive(Debug)]
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    dump: Arc<AtomicBool>,
    pipe: UnixStream,
    handlers: Vec<SigId>,
}

impl Signals {
    /// Watches SIGINT, SIGTERM and SIGHUP, which end a capture, and SIGUSR1. Whoever repeats
    /// the former ends the process: the capture may hang where it is written to.
    ///
    /// # Errors
    /// [`io::Error`] if the system refuses.
    pub(super) fn watch() -> io::Result<Self> {
        let (pipe, writer) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let mut signals = Self {
            stop: Arc::default(),
            dump: Arc::default(),
            pipe,
            handlers: Vec::new(),
        };
        let (patient, alarm) = UnixStream::pair()?;
        let is_repeated = Arc::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let handlers = &mut signals.handlers;
            let is_repeated = Arc::clone(&is_repeated);
            handlers.push(flag::register_conditional_default(signal, is_repeated)?);
            handlers.push(low_level::pipe::register(signal, alarm.try_clone()?)?);
        }
        take_the_next_as_repeated(patient, is_repeated)?;
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
            let flag = if signal == SIGUSR1 {
                &signals.dump
            } else {
                &signals.stop
            };
            // First what is looked at, then what wakes.
            let handlers = &mut signals.handlers;
            handlers.push(flag::register(signal, Arc::clone(flag))?);
            handlers.push(low_level::pipe::register(signal, writer.try_clone()?)?);
        }
        Ok(signals)
    }

    /// Whether the capture is to end.
    pub(super) fn stop(&mut self) -> bool {
        self.clear();
        self.stop.load(SeqCst)
    }

    /// Whether what is held is to be written; once for each time it is wanted.
    pub(super) fn dump(&mut self) -> bool {
        self.dump.swap(false, SeqCst)
    }

    /// Has the descriptor sleep again.
    fn clear(&mut self) {
        let mut octets = [0; 64];
        loop {
            match self.pipe.read(&mut octets) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }
}

/// Sets `is_repeated` a while after the first signal, which is told by `signals`.
fn take_the_next_as_repeated(
    mut signals: UnixStream,
    is_repeated: Arc<AtomicBool>,
) -> io::Result<()> {
    let wait = move || {
        // It ends without one when signals are watched no more.
        if signals.read_exact(&mut [0]).is_ok() {
            thread::sleep(SAME_WISH);
            is_repeated.store(true, SeqCst);
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .map(drop)
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}
