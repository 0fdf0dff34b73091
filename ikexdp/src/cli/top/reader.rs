//! Asks the daemon, and the kernel, again and again, on a thread of its own: who looks can still leave when it hangs.

use std::io;
use std::path::{Path, PathBuf};
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

/// What the daemon tells now.
pub(super) fn read(socket: &Path) -> Result<Reading, ClientError> {
    let status: Status = call(socket, &Request::Status)?;
    let interface = status.xdp.as_ref().map(|xdp| xdp.interface.as_str());
    Ok(Reading {
        limited: interface.map(limited).unwrap_or_default(),
        status,
        stats: call(socket, &Request::Stats)?,
        sources: call(socket, &Request::Sources)?,
    })
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
        let ask = move || {
            loop {
                let at = clock.now();
                let reading = read(&socket).map_err(|error| in_a_line(&error));
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
