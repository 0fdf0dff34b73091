//! Lines that nobody will read.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Counts the lines that were lost.
#[derive(Clone, Debug)]
pub struct LostLines {
    /// Those that found the queue full.
    too_many: ErrorCounter,
    /// Those that were not taken where they go.
    refused: Arc<AtomicU64>,
}

impl LostLines {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        let too_many = u64::try_from(self.too_many.dropped_lines()).unwrap_or(u64::MAX);
        too_many.saturating_add(self.refused.load(Ordering::Relaxed))
    }
}

/// Has a thread write lines to `writer`, and counts what is lost.
pub(crate) fn threaded(
    builder: NonBlockingBuilder,
    writer: impl Write + Send + 'static,
) -> (NonBlocking, WorkerGuard, LostLines) {
    let refused = Arc::<AtomicU64>::default();
    let counting = Counting {
        writer,
        refused: Arc::clone(&refused),
    };
    let (writer, guard) = builder.finish(counting);
    let too_many = writer.error_counter();
    (writer, guard, LostLines { too_many, refused })
}

/// Counts the lines that the writer refuses, of which the thread says nothing.
struct Counting<W> {
    writer: W,
    refused: Arc<AtomicU64>,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.writer.write(part)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.writer.write_all(line);
        if written.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::journald::Journal;
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixDatagram;
    use tempfile::TempDir;

    #[test]
    fn lines_that_the_journal_does_not_take_are_counted() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("socket");
        let _journal = UnixDatagram::bind(&path).unwrap();
        let open = Journal::open(&path).unwrap();
        let (mut writer, guard, lost) = threaded(NonBlockingBuilder::default(), open);
        writer.write_all(b"MESSAGE=taken\n").unwrap();
        // Longer than a datagram can be.
        writer.write_all(&vec![b'x'; 16 << 20]).unwrap();
        drop(guard);
        assert_eq!(lost.count(), 1);
    }

    #[test]
    fn lines_for_a_journal_that_has_gone_are_counted() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let open = Journal::open(&path).unwrap();
        drop(journal);
        fs::remove_file(&path).unwrap();
        let (mut writer, guard, lost) = threaded(NonBlockingBuilder::default(), open);
        writer.write_all(b"MESSAGE=lost\n").unwrap();
        drop(guard);
        assert_eq!(lost.count(), 1);
    }
}
