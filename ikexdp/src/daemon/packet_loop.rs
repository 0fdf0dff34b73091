//! The packet loop: sleeps until something comes, and gives everything that
//! came a turn.

use std::rc::Rc;
use std::time::Duration;

use ikexdp_proto::time::Instant;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::desk::Desk;
use super::driver::Driver;
use crate::metrics::Metric;
use crate::udp::{Batch, Sockets};
use crate::waker::Waker;

/// How long peers have to answer when we leave.
const FAREWELL: Duration = Duration::from_millis(1500);

/// Jobs taken back in a turn, so that they do not make datagrams wait.
const JOBS: usize = 64;

/// Descriptors told of in a turn; the others are told of in the next.
const EVENTS: usize = 32;

/// Everything the loop reads from, with the thread it runs on.
#[derive(Debug)]
pub(super) struct PacketLoop {
    epoll: Epoll,
    waker: Waker,
    sockets: Rc<Sockets>,
    batch: Batch,
    driver: Driver,
    desk: Desk,
}

/// What a descriptor is of. UDP sockets are named by their place from here on.
const MAIL: u64 = 0;
const UDP: u64 = 1;

impl PacketLoop {
    /// A loop that is woken by `waker` for jobs that are done and for orders.
    ///
    /// # Errors
    /// [`Errno`] if the kernel cannot watch the descriptors.
    pub(super) fn new(driver: Driver, desk: Desk, waker: Waker) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |source| EpollEvent::new(EpollFlags::EPOLLIN, source);
        epoll.add(&waker, readable(MAIL))?;
        for (source, socket) in (UDP..).zip(driver.sockets.iter()) {
            epoll.add(socket, readable(source))?;
        }
        Ok(Self {
            epoll,
            waker,
            sockets: Rc::clone(&driver.sockets),
            batch: Batch::default(),
            driver,
            desk,
        })
    }

    /// Runs until the order to leave has come and peers had time to answer.
    ///
    /// # Errors
    /// [`Errno`] if the kernel no longer tells of the descriptors.
    pub(super) fn run(mut self) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let mut end = None;
        loop {
            let timeout = self.timeout(end);
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error),
            };
            for event in events.iter().take(ready) {
                self.read(event.data());
            }
            self.driver.timeout();
            self.desk.serve(&mut self.driver);
            if self.desk.is_leaving() {
                let now = self.driver.clock.now();
                let end = *end.get_or_insert(now + FAREWELL);
                if self.driver.engine.is_quiet() || end <= now {
                    return Ok(());
                }
            }
        }
    }

    /// How long to sleep.
    fn timeout(&self, end: Option<Instant>) -> EpollTimeout {
        let Some(due) = self.driver.deadline().into_iter().chain(end).min() else {
            return EpollTimeout::NONE;
        };
        let wait = due.since(self.driver.clock.now());
        // Rounded up: to wake early is to wake for nothing.
        let milliseconds = wait.as_micros().div_ceil(1000);
        EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
    }

    fn read(&mut self, source: u64) {
        match source {
            MAIL => self.mail(),
            source => self.udp(source.saturating_sub(UDP)),
        }
    }

    /// Takes back jobs; orders are looked for in every turn.
    fn mail(&mut self) {
        self.waker.clear();
        for _ in 0..JOBS {
            if !self.driver.job_done() {
                return;
            }
        }
        self.waker.wake();
    }

    fn udp(&mut self, place: u64) {
        let Ok(place) = usize::try_from(place) else {
            return;
        };
        if let Some(socket) = self.sockets.iter().nth(place) {
            let driver = &mut self.driver;
            let read = self
                .batch
                .receive(socket, |datagram| driver.datagram(datagram));
            if read.is_err() {
                driver.metrics.count(Metric::UdpReceiveFailed);
            }
        }
    }
}
