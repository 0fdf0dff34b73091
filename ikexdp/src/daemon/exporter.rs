//! Metrics while the daemon runs, where the configuration says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::prometheus::{ListenError, Server};

/// How long to wait before an address is tried again: each time twice as long, up to the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// The task that answers, if there is one.
#[derive(Debug, Default)]
pub(super) struct Exporter(Mutex<Option<Serving>>);

#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    /// Has an address that could not be had tried again now.
    retry: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Serves what `page` gives on `address`, and no longer elsewhere. To be called in
    /// a [`LocalSet`](tokio::task::LocalSet). What cannot be done is said in the log, and
    /// tried again: clients are served without it.
    pub(super) async fn serve<P, F>(&self, address: Option<SocketAddr>, page: P)
    where
        P: Fn() -> F + 'static,
        F: Future<Output = Option<String>> + 'static,
    {
        if let Some(before) = self.exchange(None) {
            if Some(before.address) == address && !before.task.is_finished() {
                before.retry.notify_one();
                self.exchange(Some(before));
                return;
            }
            before.task.abort();
            // The port is free when nobody has it any more.
            let _ = before.task.await;
        }
        let Some(address) = address else {
            return;
        };
        let opened = Server::open(address);
        let retry = Arc::<Notify>::default();
        let wanted = Arc::clone(&retry);
        let task = spawn_local(async move {
            let server = insist(opened, &wanted).await;
            info!(%address, "metrics are served");
            server.serve(page).await;
        });
        self.exchange(Some(Serving {
            address,
            retry,
            task,
        }));
    }

    fn exchange(&self, serving: Option<Serving>) -> Option<Serving> {
        // Nothing is done under it that could panic half way.
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut before, serving)
    }
}

/// Tries until the address can be had, and says the first time that it cannot, and whenever
/// a `retry` is wanted: it may come later than we do, or somebody else may have the port.
async fn insist(opened: Result<Server, ListenError>, retry: &Notify) -> Server {
    let [mut pause, longest] = PAUSES;
    let (mut opened, mut is_news) = (opened, true);
    loop {
        let error = match opened {
            Ok(server) => return server,
            Err(error) => error,
        };
        if is_news {
            warn!(reason = %error.source, "{error}");
        }
        is_news = tokio::select! {
            () = sleep(pause) => false,
            () = retry.notified() => true,
        };
        pause = pause.saturating_mul(2).min(longest);
        opened = Server::open(error.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener as StdListener;
    use tokio::net::TcpStream;
    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, yield_now};

    #[test]
    fn a_port_that_was_taken_is_had_when_it_is_free() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let taken = StdListener::bind("127.0.0.1:0").unwrap();
            let address = taken.local_addr().unwrap();
            let exporter = Exporter::default();
            let page = || async { None };
            exporter.serve(Some(address), page).await;
            yield_now().await;
            drop(taken);
            assert!(TcpStream::connect(address).await.is_err());
            // As a reload does.
            exporter.serve(Some(address), page).await;
            while TcpStream::connect(address).await.is_err() {
                yield_now().await;
            }
            exporter.serve(None, page).await;
            assert!(TcpStream::connect(address).await.is_err());
        });
    }
}
