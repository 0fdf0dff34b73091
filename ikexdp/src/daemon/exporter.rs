//! Metrics while the daemon runs, where the configuration says.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::task::{JoinHandle, spawn_local};
use tracing::{info, warn};

use crate::prometheus::Server;

/// The task that answers, if there is one.
#[derive(Debug, Default)]
pub(super) struct Exporter(Mutex<Option<Serving>>);

/// Where it answers, and the task.
type Serving = (SocketAddr, JoinHandle<()>);

impl Exporter {
    /// Serves what `page` gives on `address`, and no longer elsewhere. To be called in
    /// a [`LocalSet`](tokio::task::LocalSet). What cannot be done is said in the log:
    /// clients are served without it.
    pub(super) async fn serve<P, F>(&self, address: Option<SocketAddr>, page: P)
    where
        P: Fn() -> F + Clone + 'static,
        F: Future<Output = Option<String>> + 'static,
    {
        if let Some((before, task)) = self.exchange(None) {
            if Some(before) == address && !task.is_finished() {
                self.exchange(Some((before, task)));
                return;
            }
            task.abort();
            // The port is free when nobody has it any more.
            let _ = task.await;
        }
        let Some(address) = address else {
            return;
        };
        let server = match Server::open(address) {
            Ok(server) => server,
            Err(error) => {
                warn!(reason = %error.source, "{error}");
                return;
            }
        };
        info!(%address, "metrics are served");
        let task = spawn_local(server.serve(page));
        self.exchange(Some((address, task)));
    }

    fn exchange(&self, serving: Option<Serving>) -> Option<Serving> {
        // Nothing is done under it that could panic half way.
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut before, serving)
    }
}
