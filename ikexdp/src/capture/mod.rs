//! IKE as it passes an interface, written to a file: for `ikexdp diagnose`, or Wireshark.

mod error;
mod file;
mod filter;
mod frame;
pub mod limits;
mod ring;
mod sieve;
mod sight;
mod signals;
mod socket;
mod tally;

use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use ikexdp_proto::time::Instant;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use self::error::CaptureError;
use self::file::{Description, Recorder, Statistics, size};
use self::limits::{BATCH, TICK};
use self::ring::Ring;
use self::sieve::Sieve;
use self::sight::Sight;
use self::signals::Signals;
use self::socket::Socket;
use crate::clock::{Clock, since_1970};

/// What is to be captured, and how much of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The interface.
    pub interface: String,
    /// How long at most, if not until it is stopped.
    pub duration: Option<Duration>,
    /// How many octets at most.
    pub size: u64,
    /// How long frames are kept in memory, if they are.
    pub ring: Option<Duration>,
    /// What the user says of it.
    pub comments: Vec<String>,
    /// Where the daemon listens, if there is one.
    pub daemon: PathBuf,
}

/// What a capture tells while it runs.
pub trait Audience {
    /// Something that the user should know at once.
    fn warn(&mut self, warning: &str);

    /// It has begun; `is_left`: XDP leaves IKE to the kernel for its sake.
    fn begin(&mut self, plan: &Plan, is_left: bool);

    /// How many frames there are, with so many octets.
    fn progress(&mut self, frames: u64, octets: u64);
}

/// Why a capture is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody wanted it.
    Stopped,
    /// It was time.
    Time,
    /// There was no more room.
    Size,
}

/// What came of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Why it is over.
    pub end: End,
    /// Frames in the file.
    pub frames: u64,
    /// Frames that the kernel had no room for.
    pub dropped: u64,
    /// Frames that the ring had no room for, before their time.
    pub evicted: u64,
    /// What XDP kept from being captured.
    pub unseen: String,
}

/// A capture under way.
#[derive(Debug)]
struct Capture<'a, W: Write> {
    plan: &'a Plan,
    socket: Socket,
    sight: Sight,
    signals: Signals,
    sieve: Sieve,
    recorder: Recorder<W>,
    ring: Option<Ring>,
    /// The interface has gone down, or away.
    went_down: bool,
    clock: Clock,
    /// When it began, since 1970.
    began: Duration,
    accepted: u64,
    evicted: u64,
}

/// Captures what `plan` says into what `open` opens, which is asked only when frames can be
/// had, until it is time or a signal comes.
///
/// # Errors
/// [`CaptureError`] if it cannot begin, or go on; what was captured by then is written.
pub fn capture<W: Write>(
    plan: &Plan,
    open: impl FnOnce() -> Result<W, CaptureError>,
    audience: &mut impl Audience,
) -> Result<Summary, CaptureError> {
    let signals = Signals::watch().map_err(CaptureError::Wait)?;
    let socket = Socket::open(&plan.interface)?;
    let out = open()?;
    let sight = Sight::clear(&plan.interface, &plan.daemon);
    let description = describe(plan, sight.state());
    let recorder = Recorder::begin(out, socket.link(), &description);
    let mut capture = Capture {
        plan,
        socket,
        sight,
        signals,
        sieve: Sieve::default(),
        recorder: recorder.map_err(CaptureError::Write)?,
        ring: plan.ring.map(Ring::new),
        went_down: false,
        clock: Clock::start(),
        began: since_1970(),
        accepted: 0,
        evicted: 0,
    };
    capture.recorder.flush().map_err(CaptureError::Write)?;
    audience.begin(plan, capture.sight.is_held());
    let ended = capture.run(audience);
    capture.finish(ended)
}

impl<W: Write> Capture<'_, W> {
    fn run(&mut self, audience: &mut impl Audience) -> Result<End, CaptureError> {
        let deadline = self.plan.duration.map(|it| self.clock.now() + it);
        let mut tick = self.clock.now() + TICK;
        loop {
            for warning in self.sight.warnings() {
                audience.warn(&warning);
            }
            let time = self.clock.now();
            if deadline.is_some_and(|deadline| deadline <= time) {
                return Ok(End::Time);
            }
            if tick <= time {
                tick = time + TICK;
                self.look_around(audience)?;
            }
            self.wait(deadline.map_or(tick, |it| it.min(tick)))?;
            if self.signals.stop() {
                // What has come before the signal is taken.
                return Ok(self.read()?.unwrap_or(End::Stopped));
            }
            if let Some(end) = self.read()? {
                return Ok(end);
            }
            if std::mem::take(&mut self.went_down) {
                self.is_there()?;
                let interface = &self.plan.interface;
                audience.warn(&format!(
                    "{interface} is down: nothing passes until it is up"
                ));
            }
            if self.signals.dump() {
                self.empty_ring()?;
            }
        }
    }

    /// What is done once in a while.
    fn look_around(&mut self, audience: &mut impl Audience) -> Result<(), CaptureError> {
        // It goes down before it goes away, of which the socket says nothing more.
        self.is_there()?;
        if self.sight.renew() {
            audience.warn(
                "XDP leaves IKE to the kernel from now on, where it passes netfilter's input chain",
            );
        }
        let kept = self.ring.as_ref().map_or(0, Ring::len);
        let kept = u64::try_from(kept).unwrap_or(u64::MAX);
        let frames = self.recorder.frames().saturating_add(kept);
        audience.progress(frames, self.recorder.octets());
        Ok(())
    }

    fn is_there(&self) -> Result<(), CaptureError> {
        if self.socket.is_there() {
            return Ok(());
        }
        Err(CaptureError::Gone {
            interface: self.plan.interface.clone(),
            frames: self.recorder.frames(),
        })
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, until: Instant) -> Result<(), CaptureError> {
        let wait = until.since(self.clock.now()).as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        let watched = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut descriptors = vec![watched(self.socket.as_fd()), watched(self.signals.as_fd())];
        descriptors.extend(self.sight.descriptor().map(watched));
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(CaptureError::Wait(error.into())),
        }
        let daemon = descriptors.get(2).and_then(PollFd::revents);
        if daemon.is_some_and(|events| !events.is_empty()) {
            self.sight.lose();
        }
        Ok(())
    }

    /// Takes the frames that wait, as long as there is room.
    fn read(&mut self) -> Result<Option<End>, CaptureError> {
        for _ in 0..BATCH {
            let frame = match self.socket.receive() {
                Ok(frame) => frame,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(Errno::ENETDOWN) => {
                    self.went_down = true;
                    continue;
                }
                Err(source) => {
                    let frames = self.recorder.frames();
                    return Err(CaptureError::Lost { frames, source });
                }
            };
            let Some(frame) = frame else {
                continue;
            };
            self.accepted = self.accepted.saturating_add(1);
            if !self.sieve.takes(self.socket.link(), &frame.octets) {
                continue;
            }
            let room = self.plan.size.saturating_sub(self.recorder.octets());
            if size(&frame) > room {
                // Of a ring as well: what was written of it has filled the file.
                return Ok(Some(End::Size));
            }
            if let Some(ring) = &mut self.ring {
                self.evicted = self.evicted.saturating_add(ring.push(frame, room));
            } else {
                self.recorder.write(&frame).map_err(CaptureError::Write)?;
            }
        }
        self.recorder.flush().map_err(CaptureError::Write)?;
        Ok(None)
    }

    /// Writes what the ring holds.
    fn empty_ring(&mut self) -> Result<(), CaptureError> {
        if let Some(ring) = &mut self.ring {
            for frame in ring.drain(since_1970()) {
                self.recorder.write(&frame).map_err(CaptureError::Write)?;
            }
            self.recorder.flush().map_err(CaptureError::Write)?;
        }
        Ok(())
    }

    /// Ends the file, however the capture ended.
    fn finish(mut self, ended: Result<End, CaptureError>) -> Result<Summary, CaptureError> {
        if !matches!(ended, Err(CaptureError::Write(_))) {
            self.empty_ring()?;
        }
        let unseen = self.sight.unseen();
        let (frames, dropped) = (self.recorder.frames(), self.socket.dropped());
        let statistics = Statistics {
            time: (self.began, since_1970()),
            accepted: self.accepted,
            dropped,
            written: frames,
            comment: unseen.clone(),
        };
        let finished = self.recorder.finish(&statistics);
        let end = ended.map_err(|error| match error {
            // With what was still in memory.
            CaptureError::Lost { source, .. } => CaptureError::Lost { frames, source },
            CaptureError::Gone { interface, .. } => CaptureError::Gone { interface, frames },
            error => error,
        })?;
        finished.map_err(CaptureError::Write)?;
        Ok(Summary {
            end,
            frames,
            dropped,
            evicted: self.evicted,
            unseen,
        })
    }
}

fn describe(plan: &Plan, xdp: &str) -> Description {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host = host.to_string_lossy();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut comments = plan.comments.clone();
    comments.push(format!("host: {host}, interface: {}", plan.interface));
    comments.push(format!("XDP: {xdp}"));
    comments.push(format!(
        "of ESP there are only headers, and only of packets 1 to {} of each SA",
        limits::ESP_PACKETS
    ));
    comments.push(WHOLE.to_owned());
    Description {
        application: concat!("ikexdp capture ", env!("CARGO_PKG_VERSION")).to_owned(),
        system: format!("Linux {}", kernel.trim()),
        interface: plan.interface.clone(),
        filter: FILTER.to_owned(),
        comments,
    }
}

/// What may be of others than IKE, and is not cut.
const WHOLE: &str = "later IP fragments of UDP whose first one did not come before them are here \
     whole, whatever they carry, and so is what ICMP errors quote";

/// What is taken, as people and tcpdump write it.
const FILTER: &str = "udp port 500, or udp port 4500 with a non-ESP marker, or fragments of either, \
     or icmp about them, or first packets of esp";
