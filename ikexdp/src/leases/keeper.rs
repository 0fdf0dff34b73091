//! Writes leases down, on a thread of its own: a slow disk must not stop the
//! packet loop.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use ikexdp_proto::lease::Assignment;
use ikexdp_proto::time::Instant;
use tracing::{info, warn};

use super::file::write;

/// How long changes wait for others to be written with them: what a crash may
/// cost, and how often a busy gateway writes all of its leases.
const DELAY: Duration = Duration::from_secs(5);

/// Knows when there is something to write, and has it written.
pub struct Keeper {
    /// `None` only while being dropped.
    work: Option<Sender<Vec<Assignment>>>,
    thread: Option<JoinHandle<()>>,
    /// What number of changes has been written, or is about to be.
    written: u64,
    due: Option<Instant>,
}

impl Keeper {
    /// Keeps leases in the file at `path`, which has what there was after
    /// `written` changes.
    ///
    /// # Errors
    /// [`io::Error`] if the system gives no more threads.
    pub fn start(path: PathBuf, written: u64) -> io::Result<Self> {
        let (work, queue) = bounded(1);
        let thread = thread::Builder::new()
            .name("ikexdp-leases".to_owned())
            .spawn(move || write_all(&path, &queue))?;
        Ok(Self {
            work: Some(work),
            thread: Some(thread),
            written,
            due: None,
        })
    }

    /// Looks whether there have been changes.
    pub fn look(&mut self, now: Instant, changes: u64) {
        if changes != self.written && self.due.is_none() {
            self.due = Some(now + DELAY);
        }
    }

    /// When [`Self::timeout`] is to be called next.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Has `leases` written if it is time; they are what there is after so many
    /// `changes`.
    pub fn timeout(
        &mut self,
        now: Instant,
        changes: u64,
        leases: impl Iterator<Item = Assignment>,
    ) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        match &self.work {
            // The disk is still busy with the last ones.
            Some(work) if work.is_full() => self.due = Some(now + DELAY),
            _ => self.write(changes, leases),
        }
    }

    /// Has the last `leases` written, and waits for that.
    pub fn finish(mut self, changes: u64, leases: impl Iterator<Item = Assignment>) {
        if changes != self.written {
            self.write(changes, leases);
        }
    }

    fn write(&mut self, changes: u64, leases: impl Iterator<Item = Assignment>) {
        self.written = changes;
        if let Some(work) = &self.work {
            // Nobody takes them only if the thread has panicked, which is told.
            let _ = work.send(leases.collect());
        }
    }
}

/// Writes whatever comes until nothing comes any more; tells of the first of
/// several failures, and of their end.
fn write_all(file: &Path, queue: &Receiver<Vec<Assignment>>) {
    let mut failing = false;
    let path = file.display();
    for leases in queue {
        let written = write(file, &leases);
        match &written {
            Ok(()) if failing => info!(%path, "leases are written again"),
            Err(error) if !failing => {
                let hint = "set `gateway.state-dir` to a directory with room; \
                            until then clients may get other addresses after a restart";
                let error = error.to_string();
                warn!(%path, error, hint, "leases cannot be written");
            }
            Ok(()) | Err(_) => {}
        }
        failing = written.is_err();
    }
}

impl Drop for Keeper {
    /// What is being written is finished.
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // A panic of it has been reported already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("written", &self.written)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;
    use ikexdp_proto::lease::Holder;
    use tempfile::TempDir;

    fn lease(last: u8) -> Assignment {
        Assignment {
            address: [10, 9, 0, last].into(),
            holder: Holder::of("staff", &"kim@example.com".parse().unwrap()),
            given_back: None,
        }
    }

    #[test]
    fn changes_are_written_together_and_only_if_there_are_some() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("leases");
        let mut keeper = Keeper::start(path.clone(), 1).unwrap();
        let start = Instant::from_micros(1);
        keeper.look(start, 1);
        assert_eq!(keeper.deadline(), None);
        keeper.look(start, 2);
        let due = keeper.deadline().unwrap();
        assert_eq!(due, start + DELAY);
        // A later change waits no longer.
        keeper.look(start + Duration::from_secs(1), 3);
        assert_eq!(keeper.deadline(), Some(due));
        let never = std::iter::from_fn(|| panic!("nobody needs them yet"));
        keeper.timeout(start + Duration::from_secs(2), 3, never);
        keeper.timeout(due, 3, [lease(1)].into_iter());
        assert_eq!(keeper.deadline(), None);
        keeper.look(due, 3);
        assert_eq!(keeper.deadline(), None);
        drop(keeper);
        assert_eq!(load(&path), [lease(1)]);
    }

    #[test]
    fn the_end_is_written_at_once() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("leases");
        let mut keeper = Keeper::start(path.clone(), 1).unwrap();
        keeper.look(Instant::ZERO, 2);
        keeper.finish(2, [lease(1), lease(2)].into_iter());
        assert_eq!(load(&path), [lease(1), lease(2)]);
        // There is nothing to write, and so nothing is touched.
        let keeper = Keeper::start(path.clone(), 2).unwrap();
        keeper.finish(2, [lease(3)].into_iter());
        assert_eq!(load(&path), [lease(1), lease(2)]);
    }

    #[test]
    fn a_disk_that_refuses_stops_nothing() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "in the place of a directory").unwrap();
        let keeper = Keeper::start(file.join("leases"), 1).unwrap();
        keeper.finish(2, [lease(1)].into_iter());
        assert_eq!(load(&file.join("leases")), []);
    }
}
