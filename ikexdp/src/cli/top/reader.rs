//! Asks the daemon, and the kernel, again and again, on a thread of its own: who looks can still leave when it hangs.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use ikexdp_proto::time::Instant;

use super::model::Reading;
use crate::causes::in_a_line;
use crate::clock::Clock;
use crate::control::{ClientError, Request, call};
use crate::view::{LimitedSource, Status};
use crate::xdp::Attached;

/// How long what the kernel has told of sources is good: there may be very many.
const LIMITED_AGE_MAX: Duration = Duration::from_secs(5);

/// Who asks one reading after the other.
#[derive(Debug)]
pub(super) struct Asker {
    socket: PathBuf,
    clock: Clock,
    /// Whom XDP limits, and when that was so.
    limited: Option<(Instant, Vec<LimitedSource>)>,
}

impl Asker {
    pub(super) const fn new(socket: PathBuf, clock: Clock) -> Self {
        Self {
            socket,
            clock,
            limited: None,
        }
    }

    /// What the daemon tells now.
    pub(super) fn read(&mut self) -> Result<Reading, ClientError> {
        let status: Status = call(&self.socket, &Request::Status)?;
        let interface = status.xdp.as_ref().map(|xdp| xdp.interface.as_str());
        Ok(Reading {
            limited: interface.map_or_else(Vec::new, |interface| self.limited(interface)),
            status,
            stats: call(&self.socket, &Request::Stats)?,
            sources: call(&self.socket, &Request::Sources)?,
        })
    }

    fn limited(&mut self, interface: &str) -> Vec<LimitedSource> {
        let now = self.clock.now();
        let known = self.limited.take();
        let known = known.filter(|(at, _)| now.since(*at) < LIMITED_AGE_MAX);
        let (_, limited) = self
            .limited
            .insert(known.unwrap_or_else(|| (now, limited(interface))));
        limited.clone()
    }
}

/// Whom XDP limits; nobody, if the kernel does not tell us.
fn limited(interface: &str) -> Vec<LimitedSource> {
    let limits = Attached::find(interface).and_then(|attached| attached.limits());
    limits.unwrap_or_default().sources
}

/// The thread that asks; it ends with this.
#[derive(Debug)]
pub(super) struct Reader {
    intervals: Sender<Duration>,
    readings: Receiver<(Instant, Result<Reading, String>)>,
}

impl Reader {
    pub(super) fn start(socket: PathBuf, clock: Clock, interval: Duration) -> io::Result<Self> {
        let (intervals, changes) = channel();
        let (told, readings) = channel();
        let mut interval = interval;
        let mut asker = Asker::new(socket, clock);
        let ask = move || {
            loop {
                let at = clock.now();
                let reading = asker.read().map_err(|error| in_a_line(&error));
                if told.send((at, reading)).is_err() {
                    return;
                }
                let due = at + interval;
                match changes.recv_timeout(due.since(clock.now())) {
                    Ok(changed) => interval = changed,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        thread::Builder::new()
            .name("ikexdp-reader".to_owned())
            .spawn(ask)?;
        Ok(Self {
            intervals,
            readings,
        })
    }

    /// Asks at once, and then at this interval.
    pub(super) fn set_interval(&self, interval: Duration) {
        // The thread ends after us.
        let _ = self.intervals.send(interval);
    }

    /// What has been told since the last time.
    pub(super) fn readings(&self) -> impl Iterator<Item = (Instant, Result<Reading, String>)> {
        self.readings.try_iter()
    }
}
