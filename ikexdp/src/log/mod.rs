//! Where the lines of the log go.
//!
//! A thread of its own writes them: whoever reads the log slowly, or not at all,
//! does not stop the packet loop. Lines that are lost are counted.

mod journald;
mod lost;

use std::env;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::stat::fstat;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::journald::{Journal, Native};
pub use self::lost::LostLines;
pub(crate) use self::lost::threaded;
use crate::config::{LogFormat, LogSettings};

/// Lines that wait to be written, at most.
const LINES: usize = 16_384;

/// Octets of lines that are written with one system call, at most.
const WRITTEN: usize = 32 << 10;

/// How long lines are gathered after some were written.
const GATHERED: Duration = Duration::from_millis(5);

/// The process has a log already.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the log")]
pub struct LogError(#[from] TryInitError);

/// The open log; what was said is written before it is dropped.
#[derive(Debug)]
pub struct Log {
    _writer: WorkerGuard,
    lost: LostLines,
}

impl Log {
    /// Opens the log for the whole process, on standard error.
    ///
    /// Where that leads to the journal, lines go there by its own protocol, so that
    /// their fields can be looked for; but not in JSON, which is for other readers.
    /// The journal knows the time of a line itself, so it is left out there; and
    /// colours are for terminals.
    ///
    /// # Errors
    /// [`LogError`] if it has one already.
    pub fn open(settings: &LogSettings) -> Result<Self, LogError> {
        let is_journal = is_journal(io::stderr());
        let native = (settings.format == LogFormat::Text && is_journal)
            .then(|| Journal::open(Path::new(journald::SOCKET)).ok())
            .flatten();
        let is_native = native.is_some();
        let builder = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LINES)
            .thread_name("ikexdp-log");
        let (writer, guard, lost) = match native {
            Some(journal) => threaded(builder, Gathered(journal)),
            None => threaded(
                builder,
                Gathered(BufWriter::with_capacity(WRITTEN, io::stderr())),
            ),
        };
        let lines = tracing_subscriber::fmt()
            .with_max_level(settings.level)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .with_writer(writer);
        match (settings.format, is_journal) {
            _ if is_native => lines.event_format(Native).finish().try_init(),
            (LogFormat::Text, false) => lines.finish().try_init(),
            (LogFormat::Text, true) => lines.without_time().finish().try_init(),
            (LogFormat::Json, false) => lines.json().flatten_event(true).finish().try_init(),
            (LogFormat::Json, true) => lines
                .json()
                .flatten_event(true)
                .without_time()
                .finish()
                .try_init(),
        }?;
        panic::set_hook(Box::new(|panic| {
            let thread = std::thread::current();
            let thread = thread.name().unwrap_or_default();
            let place = panic.location().map(ToString::to_string);
            tracing::error!(
                thread,
                place,
                "panic: {}",
                panic.payload_as_str().unwrap_or_default()
            );
        }));
        Ok(Self {
            _writer: guard,
            lost,
        })
    }

    /// What counts the lines that are lost.
    #[must_use]
    pub fn lost(&self) -> LostLines {
        self.lost.clone()
    }
}

/// Does not look for the next line at once when all are written: while the thread that
/// writes is not waiting for it, the one that has it need not wake anybody.
#[derive(Debug)]
struct Gathered<W>(W);

impl<W: Write> Write for Gathered<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.write(lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        thread::sleep(GATHERED);
        flushed
    }
}

/// Whether `stream` leads to the journal: systemd names its device and inode to
/// what it starts (systemd.exec(5)), whose children may write elsewhere.
fn is_journal(stream: impl AsFd) -> bool {
    let Ok(stat) = fstat(stream) else {
        return false;
    };
    let name = format!("{}:{}", stat.st_dev, stat.st_ino);
    env::var_os("JOURNAL_STREAM").is_some_and(|journal| *journal == *name)
}
