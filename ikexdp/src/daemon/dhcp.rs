//! DHCP in tunnels: who may ask is in the packet loop.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{JoinHandle, spawn_local};
use tracing::{info, warn};

use super::holders::Holders;
use super::order::{Mailbox, Order};
use crate::dhcp::{Client, Counters, Counts, Scope, Server};

/// The task that answers, if there is one.
#[derive(Debug, Default)]
pub(super) struct Dhcp {
    /// Who has which address.
    pub(super) holders: Arc<Holders>,
    counters: Arc<Counters>,
    answering: Mutex<Option<JoinHandle<()>>>,
}

impl Dhcp {
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
