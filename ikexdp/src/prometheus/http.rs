//! As much of HTTP as it takes to be scraped: a request for a connection.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use httparse::{EMPTY_HEADER, Request, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::shared::Shared;
use super::text::MEDIA_TYPE;

/// Connections served at a time. The oldest makes room for one more: a scrape takes
/// milliseconds, so that it is of somebody who is slow.
const CONNECTIONS: usize = 32;

/// Longest head of a request, in octets.
const HEAD_LEN_MAX: u64 = 8192;

/// Headers of a request, at most.
const HEADERS_MAX: usize = 64;

/// How long it may take to ask and to take the answer, all in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a page is shown to whoever asks: shorter than a scrape interval, so that
/// nobody sees the same twice.
const AGE_MAX: Duration = Duration::from_secs(1);

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why nobody can ask for metrics.
#[derive(Debug, thiserror::Error)]
#[error(
    "metrics are not served on {address}; hint: see who has the port with `ss -ltnp`, or set \
     `gateway.metrics-address`"
)]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// Where metrics can be asked for.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The metrics; by HEAD no more than the head of the answer.
    Metrics { by_head: bool },
    /// Something that is not here.
    Elsewhere,
    /// Something else than to read.
    Otherwise,
    /// What is no request of HTTP/1, or too long.
    Nonsense,
}

impl Server {
    /// Listens on `address`; to be called in a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`] if the system refuses.
    pub fn open(address: SocketAddr) -> Result<Self, ListenError> {
        // The standard library lets the port be taken again at once (SO_REUSEADDR).
        let listener = StdListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        match listener {
            Ok(listener) => Ok(Self { listener }),
            Err(source) => Err(ListenError { address, source }),
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`io::Error`] if the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers with what `page` gives, if it gives something, for ever; with the same
    /// to all who ask at about the same time. To be called in a
    /// [`LocalSet`](tokio::task::LocalSet); connections end with it.
    pub async fn serve<P, F>(self, page: P)
    where
        P: Fn() -> F + 'static,
        F: Future<Output = Option<String>> + 'static,
    {
        let page = Rc::new(Shared::new(page, AGE_MAX));
        let mut connections = JoinSet::new();
        let mut oldest_first = VecDeque::<AbortHandle>::new();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                // Descriptors may have run out, and there will be some again.
                Err(error) => {
                    warn!(%error, "connection for metrics not accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Those that are over are forgotten.
            while connections.try_join_next().is_some() {}
            oldest_first.retain(|connection| !connection.is_finished());
            if oldest_first.len() >= CONNECTIONS
                && let Some(oldest) = oldest_first.pop_front()
            {
                oldest.abort();
            }
            let page = Rc::clone(&page);
            oldest_first.push_back(connections.spawn_local(async move {
                let served = timeout(PATIENCE, converse(stream, &page)).await;
                if let Err(error) = served.unwrap_or_else(|late| Err(late.into())) {
                    debug!(%error, "connection for metrics lost");
                }
            }));
        }
    }
}

async fn converse<P, F>(mut stream: TcpStream, page: &Shared<P>) -> io::Result<()>
where
    P: Fn() -> F,
    F: Future<Output = Option<String>>,
{
    let Some(asked) = request(&mut stream).await? else {
        return Ok(());
    };
    let (status, body) = match asked {
        Asked::Metrics { .. } => match page.page().await {
            Some(page) => ("200 OK", page),
            None => {
                let body = "the daemon is ending, or has too much to do\n";
                ("503 Service Unavailable", body.into())
            }
        },
        Asked::Elsewhere => ("404 Not Found", "metrics are at /metrics\n".into()),
        Asked::Otherwise => ("405 Method Not Allowed\r\nAllow: GET, HEAD", "".into()),
        Asked::Nonsense => ("400 Bad Request", "".into()),
    };
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    if asked != (Asked::Metrics { by_head: true }) {
        answer.push_str(&body);
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads a request; nothing if there is none.
async fn request(stream: &mut TcpStream) -> io::Result<Option<Asked>> {
    let mut head = Vec::new();
    let mut limited = stream.take(HEAD_LEN_MAX);
    loop {
        if limited.read_buf(&mut head).await? == 0 {
            let is_too_long = limited.limit() == 0;
            return Ok(is_too_long.then_some(Asked::Nonsense));
        }
        if let Some(asked) = parse(&head) {
            return Ok(Some(asked));
        }
    }
}

/// What `head` asks for, once it is there.
fn parse(head: &[u8]) -> Option<Asked> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Partial) => return None,
        Ok(Status::Complete(_)) => {}
        Err(_) => return Some(Asked::Nonsense),
    }
    let path = request.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    Some(match (request.method.unwrap_or_default(), path) {
        ("GET", "/metrics") => Asked::Metrics { by_head: false },
        ("HEAD", "/metrics") => Asked::Metrics { by_head: true },
        ("GET" | "HEAD", _) => Asked::Elsewhere,
        _ => Asked::Otherwise,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream as StdStream};
    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, spawn_blocking};

    const PAGE: &str = "up 1\n";

    /// What comes of `client` when it talks to a server.
    fn with_server<T: Send + 'static>(client: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
        with_server_of(Some(PAGE), client)
    }

    /// The same, where there is this page, or none.
    fn with_server_of<T: Send + 'static>(
        page: Option<&'static str>,
        client: impl FnOnce(SocketAddr) -> T + Send + 'static,
    ) -> T {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(LocalSet::new().run_until(async {
            let server = Server::open("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = server.address().unwrap();
            let client = spawn_blocking(move || client(address));
            tokio::select! {
                () = server.serve(move || async move { page.map(str::to_owned) }) => panic!("it ended"),
                result = client => result.unwrap(),
            }
        }))
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = StdStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// What a server answers to each of `requests`, on a connection of its own.
    fn answers(requests: &[&str]) -> Vec<String> {
        let requests: Vec<_> = requests.iter().map(|it| (*it).to_owned()).collect();
        with_server(move |address| {
            let requests = requests.iter();
            requests.map(|request| ask(address, request)).collect()
        })
    }

    #[test]
    fn metrics_are_served_and_nothing_else() {
        let answers = answers(&[
            "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /metrics?name=up HTTP/1.0\r\n\r\n",
            "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            "\u{7f}\u{0}\r\n\r\n",
            "GET /metrics HTTP/1.1\r\n",
        ]);
        let page = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        for (answer, status) in answers.iter().zip([
            "200 OK\r\nContent-Type: text/plain; version=0.0.4",
            "200 OK",
            "200 OK",
            "404 Not Found",
            "405 Method Not Allowed\r\nAllow: GET, HEAD\r\n",
            "400 Bad Request",
        ]) {
            let expected = format!("HTTP/1.1 {status}");
            assert!(answer.starts_with(&expected), "{status}: {answer}");
        }
        assert_eq!(page(&answers[0]), PAGE);
        assert!(
            answers[0].contains("Content-Length: 5\r\n"),
            "{}",
            answers[0]
        );
        assert_eq!(page(&answers[1]), PAGE);
        assert_eq!(page(&answers[2]), "");
        assert_eq!(answers[6], "", "a request that does not end has no answer");
    }

    /// The packet loop may be behind, and go on.
    #[test]
    fn without_a_page_it_is_said_what_may_be_the_matter() {
        let answer = with_server_of(None, |address| {
            ask(address, "GET /metrics HTTP/1.1\r\n\r\n")
        });
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let why = "\r\n\r\nthe daemon is ending, or has too much to do\n";
        assert!(answer.ends_with(why), "{answer}");
    }

    #[test]
    fn a_request_that_is_too_long_is_refused_and_kept_no_longer() {
        let mut long = "GET /metrics HTTP/1.1\r\nX: ".to_owned();
        long.push_str(&"x".repeat(usize::try_from(HEAD_LEN_MAX).unwrap() - long.len()));
        let answers = answers(&[&long]);
        assert!(answers[0].starts_with("HTTP/1.1 400"), "{}", answers[0]);
    }

    #[test]
    fn of_those_who_are_slow_the_oldest_makes_room() {
        with_server(|address| {
            let connect = |_| StdStream::connect(address).unwrap();
            let mut slow: Vec<_> = (0..CONNECTIONS).map(connect).collect();
            let answer = ask(address, "GET /metrics HTTP/1.1\r\n\r\n");
            assert!(answer.ends_with(PAGE), "{answer}");
            assert_eq!(slow[0].read(&mut [0; 8]).unwrap(), 0, "it is hung up");
            for other in &mut slow[1..] {
                other.set_nonblocking(true).unwrap();
                let waits = other.read(&mut [0; 8]).unwrap_err();
                assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
            }
        });
    }

    #[test]
    fn a_port_that_is_taken_is_said() {
        let taken = StdListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let error = Server::open(address).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("metrics are not served on {address}; hint: ")),
            "{error}"
        );
    }
}
