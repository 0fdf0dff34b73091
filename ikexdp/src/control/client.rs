//! The command line's end of the control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Refusal, Request, Response};
use crate::view::Event;

/// How long the daemon may take for what it can answer at once. To delete an SA
/// takes as long as its peer does, and to read files as long as their disk.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "the daemon is not running: nobody listens on {}; \
         hint: start it with `ikexdp run`, or name its socket with `--socket`",
        path.display()
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is not for us.
    #[error("not allowed to use the control socket: {}; hint: run as root", path.display())]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The connection failed.
    #[error("the daemon does not answer on {}", path.display())]
    Lost {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer is not what was asked for.
    #[error("the daemon speaks another language; hint: is it of another version?")]
    Malformed(#[from] serde_json::Error),
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Sends `request` to the daemon at `path` and waits for its answer.
///
/// # Errors
/// [`ClientError`], also if the daemon refuses.
pub fn call<T: DeserializeOwned>(path: &Path, request: &Request) -> Result<T, ClientError> {
    let waits = matches!(
        request,
        Request::Terminate { .. } | Request::TerminateAll | Request::Reload
    );
    let patience = Some(PATIENCE).filter(|_| !waits);
    ask(path, request, patience).map(|(answer, _)| answer)
}

/// The same, of what the daemon can answer at once, by somebody who has no more time than
/// `patience` for each step.
///
/// # Errors
/// [`ClientError`], also if the daemon refuses.
pub fn call_within<T: DeserializeOwned>(
    path: &Path,
    request: &Request,
    patience: Duration,
) -> Result<T, ClientError> {
    ask(path, request, Some(patience)).map(|(answer, _)| answer)
}

/// Follows what happens at the daemon at `path` from now on.
///
/// # Errors
/// [`ClientError`], also if the daemon refuses.
pub fn follow(path: &Path) -> Result<Events, ClientError> {
    let lost = |source| explain(path, source);
    let ((), stream) = ask(path, &Request::Events, Some(PATIENCE))?;
    // Nothing may happen for a long time.
    stream.get_ref().set_read_timeout(None).map_err(lost)?;
    let path = path.to_owned();
    Ok(Events { path, stream })
}

/// Sends `request` to the daemon at `path`, and has it hold what it answers with for as
/// long as the connection is there. It may take `patience` for each step.
///
/// # Errors
/// [`ClientError`], also if the daemon refuses.
pub fn hold<T: DeserializeOwned>(
    path: &Path,
    request: &Request,
    patience: Duration,
) -> Result<(T, Held), ClientError> {
    let (answer, stream) = ask(path, request, Some(patience))?;
    Ok((answer, Held(stream.into_inner())))
}

/// A connection that the daemon holds something for; dropping it ends that.
#[derive(Debug)]
pub struct Held(UnixStream);

impl AsFd for Held {
    /// Readable when the daemon has ended: it says nothing more.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What happens, for as long as the daemon runs.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Iterator for Events {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).map_err(ClientError::from)),
            Err(source) => Some(Err(explain(&self.path, source))),
        }
    }
}

fn ask<T: DeserializeOwned>(
    path: &Path,
    request: &Request,
    patience: Option<Duration>,
) -> Result<(T, BufReader<UnixStream>), ClientError> {
    let exchanged = exchange(path, request, patience);
    let (answer, stream) = exchanged.map_err(|source| explain(path, source))?;
    Ok((read(&answer)?, stream))
}

fn read<T: DeserializeOwned>(answer: &str) -> Result<T, ClientError> {
    match serde_json::from_str(answer)? {
        Response::Ok(answer) => Ok(answer),
        Response::Error(refusal) => Err(ClientError::Refused(refusal)),
    }
}

fn explain(path: &Path, source: io::Error) -> ClientError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NotRunning { path }
        }
        io::ErrorKind::PermissionDenied => ClientError::NotAllowed { path },
        _ => ClientError::Lost { path, source },
    }
}

fn exchange(
    path: &Path,
    request: &Request,
    patience: Option<Duration>,
) -> io::Result<(String, BufReader<UnixStream>)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // That of writing is that of connecting as well: a daemon that hangs accepts nobody.
    socket.set_write_timeout(patience)?;
    socket.set_read_timeout(patience)?;
    socket.connect(&SockAddr::unix(path)?)?;
    let mut stream = UnixStream::from(OwnedFd::from(socket));
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut stream = BufReader::new(stream);
    let mut answer = String::new();
    if stream.read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((answer, stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use tempfile::TempDir;

    #[test]
    fn a_daemon_that_hangs_holds_nobody_up_for_longer_than_wanted() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("control.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let patience = Duration::from_millis(1);
        // First it does not answer, then there is no room for connections either.
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let asked = call_within::<()>(&path, &Request::Status, patience);
            assert!(matches!(asked, Err(ClientError::Lost { .. })), "{asked:?}");
            loop {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                if socket.connect(&SockAddr::unix(&path).unwrap()).is_err() {
                    break;
                }
                waiting.push(socket);
            }
        }
    }
}
