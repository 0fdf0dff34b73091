//! The packet loop: sleeps until something comes, and gives everything that
//! came a turn.

use std::error::Error;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use ikexdp_proto::time::Instant;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tracing::warn;

use super::desk::Desk;
use super::driver::Driver;
use super::fast_path::FastPath;
use super::systemd::Watchdog;
use crate::metrics::Metric;
use crate::udp::{Batch, Sockets};
use crate::waker::Waker;
use crate::xsk::Frame;

/// How long peers have to answer when we leave.
const FAREWELL: Duration = Duration::from_millis(1500);

/// How long the kernel has after that to say what sessions have carried: some
/// thousands of SAs are removed in a second.
const COUNT: Duration = Duration::from_secs(3);

/// How long replies wait when the kernel had no room for them: nothing tells
/// when it has.
const STALL: Duration = Duration::from_millis(1);

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
    frames: Vec<Frame>,
    driver: Driver,
    desk: Desk,
    watchdog: Option<Watchdog>,
}

/// What a descriptor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Jobs that are done, and orders.
    Mail,
    /// Addresses and links that come or go.
    Addresses,
    /// What the kernel says of CHILD SAs.
    DataPlane,
    /// The UDP socket at this place.
    Udp(u32),
    /// The AF_XDP socket of this RX queue.
    Queue(u32),
}

impl PacketLoop {
    /// A loop that is woken by `waker` for jobs that are done and for orders.
    ///
    /// # Errors
    /// [`Errno`] if the kernel cannot watch the descriptors.
    pub(super) fn new(driver: Driver, desk: Desk, waker: Waker) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let watch = |source: Source, descriptor: &dyn AsFd| {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, source.into());
            epoll.add(descriptor.as_fd(), event)
        };
        watch(Source::Mail, &waker)?;
        for (place, socket) in (0..).zip(driver.sockets.iter()) {
            watch(Source::Udp(place), socket)?;
        }
        if let Some(events) = &driver.events {
            watch(Source::DataPlane, events)?;
        }
        if let Some(fast_path) = &driver.fast_path {
            watch(Source::Addresses, fast_path.addresses())?;
            for (queue, socket) in fast_path.sockets() {
                watch(Source::Queue(queue), socket)?;
            }
        }
        let watchdog = Watchdog::new(driver.clock.now());
        Ok(Self {
            epoll,
            waker,
            sockets: Rc::clone(&driver.sockets),
            batch: Batch::default(),
            frames: Vec::new(),
            driver,
            desk,
            watchdog,
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
                self.read(Source::from(event.data()));
            }
            // Peers do not wait for timers and orders.
            self.driver.release();
            self.driver.timeout();
            self.desk.serve(&mut self.driver);
            self.driver.flush();
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.timeout(self.driver.clock.now());
            }
            if self.desk.is_leaving() {
                let now = self.driver.clock.now();
                let end = *end.get_or_insert(now + FAREWELL);
                let is_told = self.driver.engine.is_quiet() || end <= now;
                let is_counted = !self.driver.accounts.is_owed() || end + COUNT <= now;
                if is_told && is_counted {
                    self.driver.finish();
                    return Ok(());
                }
            }
        }
    }

    /// How long to sleep.
    fn timeout(&self, end: Option<Instant>) -> EpollTimeout {
        let now = self.driver.clock.now();
        let fast_path = self.driver.fast_path.as_ref();
        let stall = fast_path.is_some_and(FastPath::is_stalled);
        let stall = stall.then(|| now + STALL);
        let watchdog = self.watchdog.as_ref().map(Watchdog::deadline);
        let engine = self.driver.deadline().into_iter();
        let ends = [end, end.map(|end| end + COUNT)].into_iter().flatten();
        let ends = ends.filter(|end| *end > now);
        let dues = engine.chain(ends).chain(stall).chain(watchdog);
        let Some(due) = dues.min() else {
            return EpollTimeout::NONE;
        };
        let wait = due.since(now);
        // Rounded up: to wake early is to wake for nothing.
        let milliseconds = wait.as_micros().div_ceil(1000);
        EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
    }

    fn read(&mut self, source: Source) {
        match source {
            Source::Mail => self.mail(),
            Source::Addresses => self.addresses(),
            Source::DataPlane => self.driver.data_plane_events(),
            Source::Udp(place) => self.udp(place),
            Source::Queue(queue) => self.queue(queue),
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

    fn addresses(&mut self) {
        let refresh = self.driver.fast_path.as_mut();
        if let Some(Err(error)) = refresh.map(FastPath::refresh) {
            let hint = "IKE to new addresses takes the kernel's UDP sockets; restart the daemon";
            let error: &(dyn Error + 'static) = &error;
            warn!(error, hint, "interface and addresses not followed");
        }
    }

    fn udp(&mut self, place: u32) {
        let socket = usize::try_from(place)
            .ok()
            .and_then(|place| self.sockets.iter().nth(place));
        if let Some(socket) = socket {
            let driver = &mut self.driver;
            let read = self
                .batch
                .receive(socket, |datagram| driver.datagram(datagram));
            if read.is_err() {
                driver.metrics.count(Metric::UdpReceiveFailed);
            }
        }
    }

    fn queue(&mut self, queue: u32) {
        if let Some(fast_path) = &mut self.driver.fast_path {
            fast_path.receive(queue, &mut self.frames);
        }
        for frame in self.frames.drain(..) {
            self.driver.frame(frame);
        }
    }
}

/// The kind is in the upper half of what epoll gives back.
impl From<Source> for u64 {
    fn from(source: Source) -> Self {
        let (kind, place) = match source {
            Source::Mail => (0, 0),
            Source::Addresses => (1, 0),
            Source::DataPlane => (2, 0),
            Source::Udp(place) => (3, place),
            Source::Queue(queue) => (4, queue),
        };
        kind << 32 | Self::from(place)
    }
}

impl From<u64> for Source {
    fn from(data: u64) -> Self {
        let place = u32::try_from(data & u64::from(u32::MAX)).unwrap_or_default();
        match data >> 32 {
            0 => Self::Mail,
            1 => Self::Addresses,
            2 => Self::DataPlane,
            3 => Self::Udp(place),
            _ => Self::Queue(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::limits::SETTLE_TIME_MAX;

    /// What systemd ends tells servers nothing, and leaves SAs in the kernel.
    #[test]
    fn systemd_waits_until_the_daemon_has_ended() {
        const UNIT: &str = include_str!("../../../dist/systemd/ikexdp.service");
        let mut lines = UNIT.lines();
        let limit = lines.find_map(|line| line.strip_prefix("TimeoutStopSec="));
        let seconds = limit.unwrap().strip_suffix('s').unwrap().parse().unwrap();
        // As much again is for a kernel and a machine that are slow.
        let usual = FAREWELL + COUNT + SETTLE_TIME_MAX;
        assert!(Duration::from_secs(seconds) >= 2 * usual);
    }

    #[test]
    fn a_source_survives_epoll() {
        for source in [
            Source::Mail,
            Source::Addresses,
            Source::DataPlane,
            Source::Udp(3),
            Source::Queue(0),
            Source::Queue(u32::MAX),
        ] {
            assert_eq!(Source::from(u64::from(source)), source);
        }
    }
}
