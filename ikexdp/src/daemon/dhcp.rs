//! DHCP in tunnels: who may ask is in the packet loop.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{JoinHandle, spawn_local};
use tracing::{info, warn};

use super::holders::Holders;
use super::order::{Mailbox, Order};
use crate::config::DataPlane;
use crate::dhcp::{Client, Counters, Counts, Scope, Server};

/// The task that answers, if there is one.
#[derive(Debug)]
pub(super) struct Dhcp {
    /// Whether the kernel has policies from us, as the daemon was started: without
    /// them a question may come in the clear, and its answer leaves so.
    is_carried: bool,
    /// Who has which address.
    pub(super) holders: Arc<Holders>,
    counters: Arc<Counters>,
    answering: Mutex<Option<JoinHandle<()>>>,
}

impl Dhcp {
    /// For a daemon that was started with `data_plane`.
    pub(super) fn new(data_plane: DataPlane) -> Self {
        Self {
            is_carried: data_plane == DataPlane::Xfrm,
            holders: Arc::default(),
            counters: Arc::default(),
            answering: Mutex::default(),
        }
    }

    /// Answers as `scopes` say, and no longer as others did. To be called in a
    /// [`LocalSet`](tokio::task::LocalSet). What cannot be done is said in the log:
    /// clients have their tunnels without it.
    pub(super) async fn serve(&self, scopes: &[Scope], mailbox: &Mailbox) {
        let before = self.exchange(None);
        if let Some(task) = before {
            task.abort();
            // It does not answer any more when it is over.
            let _ = task.await;
        }
        let scopes = self.answered(scopes);
        let server = match Server::open(scopes, &self.counters) {
            Ok(None) => return,
            Ok(Some(server)) => server,
            Err(error) => {
                warn!(reason = %error.source, "{error}");
                return;
            }
        };
        let connections = scopes.len();
        info!(connections, "DHCP is answered in tunnels");
        let (holders, mailbox) = (Arc::clone(&self.holders), mailbox.clone());
        let task = spawn_local(async move {
            let find = async |address| find(&holders, &mailbox, address).await;
            server.serve(find).await;
        });
        self.exchange(Some(task));
    }

    /// What came of questions so far.
    pub(super) fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// Those of `scopes` that are answered.
    const fn answered<'s>(&self, scopes: &'s [Scope]) -> &'s [Scope] {
        if self.is_carried { scopes } else { &[] }
    }

    fn exchange(&self, task: Option<JoinHandle<()>>) -> Option<JoinHandle<()>> {
        let answering = self.answering.lock();
        // Nothing is done under it that could panic half way.
        std::mem::replace(
            &mut *answering.unwrap_or_else(PoisonError::into_inner),
            task,
        )
    }
}

/// The client that has `address`.
async fn find(holders: &Holders, mailbox: &Mailbox, address: Ipv4Addr) -> Option<Client> {
    let id = holders.of(address)?;
    let sa = mailbox.ask(|reply| Order::Sa { id, reply }).await;
    let sa = sa.ok()??;
    Some(Client {
        connection: sa.connection?,
        children: sa.children,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_answered_by_a_daemon_that_was_started_without_policies() {
        let scope = Scope {
            connection: "staff".to_owned(),
            gateway: Ipv4Addr::new(10, 9, 0, 1),
            name_servers: Vec::new(),
            domains: Vec::new(),
        };
        let scopes = [scope];
        assert_eq!(Dhcp::new(DataPlane::Xfrm).answered(&scopes), &scopes);
        assert_eq!(Dhcp::new(DataPlane::None).answered(&scopes), &[]);
    }
}
