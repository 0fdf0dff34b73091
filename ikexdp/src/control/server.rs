//! The daemon's end of the control socket.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::{Caller, Follower, PREFIXES_MAX, Refusal, Request, Response};

/// Connections served at a time; more wait.
const CONNECTIONS: usize = 16;

/// Longest request in octets: the longest prefix takes 46, with what is around it.
const REQUEST_LEN_MAX: usize = 256 + 46 * PREFIXES_MAX;

/// How long somebody may hold a connection without reading or writing.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often to look whether somebody who waits for an answer is still there.
const HANG_UP_POLL: Duration = Duration::from_millis(100);

/// Only the owner.
const MODE: u32 = 0o600;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another daemon listens there.
    #[error(
        "control socket is in use: {}; \
         hint: ikexdp runs already, see `ikexdp status`, or set `gateway.control-socket`",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is there.
    #[error(
        "not a socket: {}; hint: remove it, or set `gateway.control-socket`",
        path.display()
    )]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot open the control socket: {}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What comes of a request.
#[derive(Debug)]
pub enum Answer {
    /// A line.
    Line(String),
    /// That somebody is told what happens, and then what happens.
    Events(Follower),
    /// A line, and what ends when the other end is closed.
    Held(String, Box<dyn fmt::Debug>),
}

/// The open control socket; its file goes with it.
#[derive(Debug)]
pub struct Listener {
    listener: StdListener,
    path: PathBuf,
}

impl Listener {
    /// Opens the control socket at `path`, in the place of one that a killed
    /// daemon left.
    ///
    /// # Errors
    /// [`ControlError`] if a daemon listens there, or nobody can.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let refused = |source| ControlError::Refused {
            path: path.to_owned(),
            source,
        };
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                let path = path.to_owned();
                return Err(ControlError::NotASocket { path });
            }
            Ok(_) if StdStream::connect(path).is_ok() => {
                let path = path.to_owned();
                return Err(ControlError::InUse { path });
            }
            Ok(_) => {}
            Err(_) => {
                let directory = path.parent().unwrap_or(path);
                fs::create_dir_all(directory).map_err(refused)?;
            }
        }
        // It gets its name only when nobody but us can use it.
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}", std::process::id()));
        let unfinished = PathBuf::from(unfinished);
        let listener = StdListener::bind(&unfinished).map_err(refused)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(MODE))
            .and_then(|()| fs::rename(&unfinished, path))
            .and_then(|()| listener.set_nonblocking(true))
            .map_err(refused)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Answers requests with what `handle` makes of them, for ever; to be called
    /// in a tokio runtime.
    ///
    /// # Errors
    /// [`io::Error`] if the runtime cannot watch the socket.
    pub async fn serve<H, F>(&self, handle: H) -> io::Result<()>
    where
        H: Fn(Request, Caller) -> F + Clone + 'static,
        F: Future<Output = Answer> + 'static,
    {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // Descriptors may have run out, and there will be some again.
                Err(error) => {
                    warn!(%error, "control connection not accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let handle = handle.clone();
            tokio::task::spawn_local(async move {
                if let Err(error) = converse(stream, handle).await {
                    debug!(%error, "control connection lost");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // If it is gone already, all the better.
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers one request after the other until there is none.
async fn converse<H, F>(stream: UnixStream, handle: H) -> io::Result<()>
where
    H: Fn(Request, Caller) -> F,
    F: Future<Output = Answer>,
{
    let credentials = stream.peer_cred()?;
    let caller = Caller {
        uid: credentials.uid(),
        pid: credentials.pid(),
    };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut stream).take(REQUEST_LEN_MAX as u64);
        let read = timeout(IDLE_MAX, limited.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let complete = line.ends_with(b"\n");
        let answer = match serde_json::from_slice(&line) {
            Ok(request) if complete => tokio::select! {
                // An order is given even by those who do not wait for its end.
                biased;
                answer = handle(request, caller) => answer,
                // It may have to wait for peers; nobody waits with it any more.
                gone = hang_up(stream.get_ref()) => return gone,
            },
            Ok(_) => refusal("request does not end"),
            Err(error) => refusal(&format!("request cannot be read: {error}")),
        };
        let mut line = match answer {
            Answer::Line(line) => line,
            Answer::Events(follower) => return tell(stream, follower).await,
            Answer::Held(line, held) => {
                let kept = keep(stream, line).await;
                drop(held);
                return kept;
            }
        };
        line.push('\n');
        timeout(IDLE_MAX, stream.write_all(line.as_bytes())).await??;
        if !complete {
            return Ok(());
        }
    }
}

/// Tells what happens until the other end is closed. It may take its time: it
/// misses something then, and holds up nobody.
async fn tell(mut stream: BufReader<UnixStream>, mut follower: Follower) -> io::Result<()> {
    let mut line = answer(&Response::Ok(()));
    line.push('\n');
    loop {
        stream.write_all(line.as_bytes()).await?;
        line = tokio::select! {
            event = follower.next() => match event {
                Some(line) => line,
                None => return Ok(()),
            },
            gone = hang_up(stream.get_ref()) => return gone,
        };
    }
}

/// Answers, and waits until the other end is closed.
async fn keep(mut stream: BufReader<UnixStream>, mut line: String) -> io::Result<()> {
    line.push('\n');
    timeout(IDLE_MAX, stream.write_all(line.as_bytes())).await??;
    hang_up(stream.get_ref()).await
}

/// Waits until the other end is closed, and not just done with asking.
async fn hang_up(stream: &UnixStream) -> io::Result<()> {
    // That it can be written to is told as well, and it can nearly always.
    while !stream.ready(Interest::WRITABLE).await?.is_write_closed() {
        sleep(HANG_UP_POLL).await;
    }
    Ok(())
}

fn refusal(message: &str) -> Answer {
    Answer::Line(answer(&Response::<()>::Error(Refusal {
        message: message.to_owned(),
        hint: None,
    })))
}

/// A response as it is sent.
pub(crate) fn answer<T: Serialize>(response: &Response<T>) -> String {
    // Our own types have string keys and no other way to fail.
    serde_json::to_string(response).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{ClientError, Feed, call, follow};
    use super::*;
    use crate::view::{Happening, Listing};
    use ikexdp_proto::event::Event;
    use ikexdp_proto::types::{EspSpi, IkeSaId};
    use ipnet::IpNet;
    use std::future::pending;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::rc::Rc;
    use std::thread;
    use tempfile::TempDir;
    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    /// An SA whose peer never answers.
    const NEVER: u64 = 0;

    /// What happens when the daemon is asked something.
    fn happened() -> Event {
        let (id, spi) = (IkeSaId(7), EspSpi(0x0a0b_0c0d));
        Event::ChildClosed { id, spi }
    }

    /// Runs `client` against a daemon that answers with what it was asked.
    fn with_daemon(client: impl FnOnce(&Path) + Send + 'static) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("run/control.sock");
        let listener = Listener::bind(&path).unwrap();
        let client = thread::spawn({
            let path = path.clone();
            move || client(&path)
        });
        let feed = Rc::new(Feed::default());
        let echo = move |request: Request, _| {
            let feed = Rc::clone(&feed);
            async move {
                Answer::Line(match request {
                    Request::Terminate { id: NEVER } => pending().await,
                    Request::Terminate { id } => answer(&Response::<()>::Error(Refusal {
                        message: format!("no IKE SA: {id}"),
                        hint: Some("`ikexdp sas` lists them".to_owned()),
                    })),
                    Request::Events => match feed.follow() {
                        Some(follower) => return Answer::Events(follower),
                        None => return refusal("too many follow"),
                    },
                    request => {
                        feed.tell(&happened());
                        answer(&Response::Ok(request))
                    }
                })
            }
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(LocalSet::new().run_until(async {
            let finished = tokio::task::spawn_blocking(move || client.join().unwrap());
            tokio::select! {
                served = listener.serve(echo) => served.unwrap(),
                finished = finished => finished.unwrap(),
            }
        }));
        drop(listener);
        assert!(!path.exists());
    }

    /// A request that takes as much as any does.
    fn longest() -> Request {
        let prefix: IpNet = "2001:db8:1111:2222:3333:4444:5555:6666/128"
            .parse()
            .unwrap();
        Request::List {
            prefixes: vec![prefix; PREFIXES_MAX],
            listing: Listing::Blocked,
            seconds: Some(u64::MAX),
        }
    }

    #[test]
    fn a_request_comes_through_and_so_does_the_answer() {
        with_daemon(|path| {
            for request in [
                Request::Status,
                Request::Stats,
                Request::Sas { after: Some(7) },
                Request::TerminateAll,
                Request::Reload,
                longest(),
            ] {
                let answer: Request = call(path, &request).unwrap();
                assert_eq!(answer, request);
            }
            let refused = call::<()>(path, &Request::Terminate { id: 9 });
            let error = refused.unwrap_err().to_string();
            assert_eq!(error, "no IKE SA: 9; hint: `ikexdp sas` lists them");
        });
    }

    #[test]
    fn the_socket_is_for_its_owner_alone() {
        with_daemon(|path| {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, MODE);
        });
    }

    #[test]
    fn a_second_daemon_is_told_of_the_first() {
        with_daemon(|path| {
            let error = Listener::bind(path).unwrap_err();
            assert!(matches!(error, ControlError::InUse { .. }), "{error}");
            assert!(error.to_string().contains("ikexdp runs already"));
        });
    }

    #[test]
    fn who_hangs_up_makes_room() {
        with_daemon(|path| {
            for _ in 0..2 * CONNECTIONS {
                let mut stream = StdStream::connect(path).unwrap();
                let request = b"{\"command\":\"terminate\",\"id\":0}\n";
                stream.write_all(request).unwrap();
            }
            let answer: Request = call(path, &Request::Status).unwrap();
            assert_eq!(answer, Request::Status);
        });
    }

    #[test]
    fn who_has_asked_everything_is_answered() {
        with_daemon(|path| {
            let mut stream = StdStream::connect(path).unwrap();
            stream.write_all(b"{\"command\":\"status\"}\n").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "{\"ok\":{\"command\":\"status\"}}\n");
        });
    }

    #[test]
    fn who_follows_hears_what_happens() {
        with_daemon(|path| {
            let mut followers: Vec<_> = (0..2).map(|_| follow(path).unwrap()).collect();
            for _ in 0..3 {
                let _: Request = call(path, &Request::Status).unwrap();
            }
            for follower in &mut followers {
                for _ in 0..3 {
                    let event = follower.next().unwrap().unwrap();
                    assert_eq!(event.what, Happening::from(&happened()));
                }
            }
        });
    }

    #[test]
    fn who_no_longer_follows_makes_room() {
        with_daemon(|path| {
            for _ in 0..CONNECTIONS {
                drop(follow(path).unwrap());
                // It is noticed a little later.
                thread::sleep(2 * HANG_UP_POLL);
            }
            let mut followers = Vec::new();
            let refused = loop {
                match follow(path) {
                    Ok(follower) => followers.push(follower),
                    Err(error) => break error,
                }
            };
            assert_eq!(refused.to_string(), "too many follow");
            // Others are served all the same, and nobody is cut off.
            let _: Request = call(path, &Request::Status).unwrap();
            for follower in &mut followers {
                assert!(follower.next().unwrap().is_ok());
            }
        });
    }

    #[test]
    fn nonsense_is_refused_and_does_no_harm() {
        with_daemon(|path| {
            let mut stream = StdStream::connect(path).unwrap();
            let exchange = |stream: &mut StdStream, request: &[u8]| {
                stream.write_all(request).unwrap();
                let mut answer = [0; 1024];
                let length = stream.read(&mut answer).unwrap();
                String::from_utf8(answer[..length].to_vec()).unwrap()
            };
            for request in ["\n", "{\"command\":\"dance\"}\n", "{}\n"] {
                let answer = exchange(&mut stream, request.as_bytes());
                assert!(answer.contains("\"error\""), "{request}: {answer}");
            }
            let answer = exchange(&mut stream, b"{\"command\":\"status\"}\n");
            assert_eq!(answer, "{\"ok\":{\"command\":\"status\"}}\n");
            // Longer than any request: refused and hung up on.
            let answer = exchange(&mut stream, &[b'x'; REQUEST_LEN_MAX]);
            assert!(answer.contains("\"error\""), "{answer}");
            assert_eq!(exchange(&mut stream, b""), "");
        });
    }

    #[test]
    fn what_a_killed_daemon_left_is_replaced_and_nothing_else() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("control.sock");
        drop(StdListener::bind(&path).unwrap());
        let client_error = call::<()>(&path, &Request::Status).unwrap_err();
        assert!(matches!(client_error, ClientError::NotRunning { .. }));
        drop(Listener::bind(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&path).unwrap_err();
        assert!(matches!(error, ControlError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_client_without_a_daemon_is_told_what_to_do() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("control.sock");
        let error = call::<()>(&path, &Request::Status).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(
            error.contains("hint: start it with `ikexdp run`"),
            "{error}"
        );
    }
}
