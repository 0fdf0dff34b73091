//! The journal's own protocol: a datagram for a line, with its fields.
//!
//! ```text
//! PRIORITY=4
//! SYSLOG_IDENTIFIER=ikexdp
//! MESSAGE=handshake failed kind="timeout" peer=198.51.100.7:4500
//! IKEXDP_KIND=timeout
//! IKEXDP_PEER=198.51.100.7:4500
//! IKEXDP_PEER=198.51.100.7
//! ```
//!
//! Source: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>, systemd.journal-fields(7).

use std::fmt::{self, Debug};
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Sends what is written to the journal, each write as a datagram, and waits for room.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// The journal that listens on `path`.
    ///
    /// # Errors
    /// [`io::Error`] if there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // Only to see that it is there: it may be started again, and is then another.
        UnixDatagram::unbound()?.connect(path)?;
        let path = path.to_owned();
        Ok(Self { socket, path })
    }
}

impl io::Write for Journal {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.socket.send_to(datagram, &self.path)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes an event as the journal wants it.
#[derive(Debug)]
pub(super) struct Native;

impl<S> FormatEvent<S, DefaultFields> for Native
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        context.format_fields(Writer::new(&mut line), event)?;
        let priority = priority(*event.metadata().level());
        writeln!(writer, "PRIORITY={priority}\nSYSLOG_IDENTIFIER=ikexdp")?;
        assign(&mut writer, "MESSAGE", &line)?;
        let mut fields = Fields {
            writer,
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result
    }
}

/// The number that syslog(3) has for a level.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Writes the fields of an event, but for the message.
struct Fields<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" || self.result.is_err() {
            return;
        }
        let name = field.name().chars();
        // The journal knows no other characters in names.
        let name = name.map(|it| {
            if it.is_ascii_alphanumeric() {
                it.to_ascii_uppercase()
            } else {
                '_'
            }
        });
        let name: String = "IKEXDP_".chars().chain(name).collect();
        self.result = assign(&mut self.writer, &name, value);
        // Only whole values can be looked for, and the port of a peer changes.
        if let Ok(address) = value.parse::<SocketAddr>() {
            let address = address.ip().to_string();
            self.result = self.result.and(assign(&mut self.writer, &name, &address));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// Writes a field. A value ends with its line: peers choose some of them, and must not
/// write fields of their own.
fn assign(writer: &mut Writer<'_>, name: &str, value: &str) -> fmt::Result {
    write!(writer, "{name}=")?;
    for (place, line) in value.split('\n').enumerate() {
        if place > 0 {
            writer.write_str("\\n")?;
        }
        writer.write_str(line)?;
    }
    writer.write_char('\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;
    use tempfile::TempDir;
    use tracing_appender::non_blocking::NonBlockingBuilder;

    /// The datagrams that a journal has when `log` has written.
    fn datagrams(log: impl FnOnce()) -> Vec<String> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        let (writer, guard) = NonBlockingBuilder::default().finish(Journal::open(&path).unwrap());
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(writer)
            .event_format(Native)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        drop(guard);
        listener.set_nonblocking(true).unwrap();
        let mut datagram = vec![0; 65_536];
        let mut datagrams = Vec::new();
        while let Ok(length) = listener.recv(&mut datagram) {
            datagrams.push(String::from_utf8(datagram[..length].to_vec()).unwrap());
        }
        datagrams
    }

    #[test]
    fn a_line_is_a_datagram_with_its_fields() {
        let peer: SocketAddr = "198.51.100.7:4500".parse().unwrap();
        let datagrams = datagrams(|| {
            tracing::warn!(kind = "timeout", id = 7, %peer, nothing = None::<u8>, "handshake failed");
            tracing::info!("ready");
        });
        let expected = "PRIORITY=4\n\
            SYSLOG_IDENTIFIER=ikexdp\n\
            MESSAGE=handshake failed kind=\"timeout\" id=7 peer=198.51.100.7:4500\n\
            IKEXDP_KIND=timeout\n\
            IKEXDP_ID=7\n\
            IKEXDP_PEER=198.51.100.7:4500\n\
            IKEXDP_PEER=198.51.100.7\n";
        let ready = "PRIORITY=6\nSYSLOG_IDENTIFIER=ikexdp\nMESSAGE=ready\n";
        assert_eq!(datagrams, [expected, ready]);
    }

    #[test]
    fn a_peer_writes_no_fields_of_its_own() {
        let identity = "kim\nMESSAGE=all is well\n_PID=1";
        let datagrams = datagrams(|| tracing::info!(identity, "{identity}"));
        let fields: Vec<_> = datagrams[0]
            .lines()
            .map(|it| it.split('=').next().unwrap())
            .collect();
        assert_eq!(
            fields,
            [
                "PRIORITY",
                "SYSLOG_IDENTIFIER",
                "MESSAGE",
                "IKEXDP_IDENTITY"
            ]
        );
        assert!(datagrams[0].ends_with("=kim\\nMESSAGE=all is well\\n_PID=1\n"));
    }

    /// It takes nothing until somebody reads.
    #[test]
    fn a_journal_that_is_stuck_stops_nobody_who_writes() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(8)
            .finish(Journal::open(&path).unwrap());
        let lost = writer.error_counter();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(writer)
            .event_format(Native)
            .finish();
        let written = thread::spawn(move || {
            tracing::subscriber::with_default(subscriber, || {
                for number in 0..10_000 {
                    tracing::info!(number, "flood");
                }
            });
        });
        written.join().unwrap();
        assert_ne!(lost.dropped_lines(), 0);
        listener
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        while listener.recv(&mut [0; 1024]).is_ok() {}
        drop(guard);
    }

    #[test]
    fn without_a_journal_there_is_none() {
        let directory = TempDir::new().unwrap();
        assert!(Journal::open(&directory.path().join("socket")).is_err());
    }
}
