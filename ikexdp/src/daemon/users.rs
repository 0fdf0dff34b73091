//! RADIUS servers while the daemon runs: those of the configuration, and of those
//! before it whatever is still of use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_local};
use tracing::warn;

use super::accounts::Accounts;
use super::order::{Mailbox, Order};
use crate::radius::{Disconnections, Radius, Selector};

/// Servers that know users.
#[derive(Debug)]
pub(super) struct Users {
    runtime: Handle,
    accounts: Arc<Accounts>,
    tables: Mutex<Vec<Arc<Radius>>>,
    listening: Mutex<Vec<JoinHandle<()>>>,
}

impl Users {
    pub(super) const fn new(runtime: Handle, accounts: Arc<Accounts>) -> Self {
        Self {
            runtime,
            accounts,
            tables: Mutex::new(Vec::new()),
            listening: Mutex::new(Vec::new()),
        }
    }

    /// Tells servers that the daemon begins. To be called once, when it does.
    pub(super) fn begin(&self) {
        for table in lock(&self.tables).iter() {
            table.begin_accounting();
        }
    }

    /// Lets `tables` work: before that they let nobody in.
    pub(super) fn adopt(&self, tables: &[Arc<Radius>]) {
        let mut all = lock(&self.tables);
        all.retain(|table| table.is_in_use());
        for table in tables {
            table.start(&self.runtime);
            all.push(Arc::clone(table));
        }
    }

    /// Takes requests to disconnect as `tables` say, and no longer as others did.
    /// To be called in a [`LocalSet`](tokio::task::LocalSet). What cannot be listened
    /// to is said in the log: users come in without it.
    pub(super) async fn listen(&self, tables: &[Arc<Radius>], mailbox: &Mailbox) {
        let before = std::mem::take(&mut *lock(&self.listening));
        for task in before {
            task.abort();
            // The port is free when it is over.
            let _ = task.await;
        }
        for table in tables {
            match Disconnections::open(table.settings()) {
                Ok(None) => {}
                Ok(Some(requests)) => {
                    let (accounts, mailbox) = (Arc::clone(&self.accounts), mailbox.clone());
                    let task = spawn_local(async move {
                        let end = async |selector: Selector| {
                            disconnect(&accounts, &mailbox, &selector).await
                        };
                        let Err(error) = requests.serve(end).await;
                        warn!(%error, "requests to disconnect are not taken any more");
                    });
                    lock(&self.listening).push(task);
                }
                Err(error) => {
                    warn!(reason = %error.source, "{error}");
                }
            }
        }
    }

    /// Tells servers that whatever is left ends, and waits until they have taken what
    /// they were to be told; not for long.
    pub(super) async fn settle(&self) {
        self.accounts.finish(self.accounts.clock().now());
        let tables = std::mem::take(&mut *lock(&self.tables));
        let settle = |table: Arc<Radius>| {
            spawn_local(async move {
                table.end_accounting();
                let left = table.settle().await;
                if left > 0 {
                    let table = &table.settings().name;
                    warn!(
                        table,
                        left, "accounting records that no server took are lost"
                    );
                }
            })
        };
        let settling: Vec<_> = tables.into_iter().map(settle).collect();
        for table in settling {
            // A panic has been reported already.
            let _ = table.await;
        }
    }
}

/// Has the IKE SAs ended that `selector` selects, and says how many there were. A
/// peer that does not answer keeps nobody waiting.
async fn disconnect(accounts: &Accounts, mailbox: &Mailbox, selector: &Selector) -> usize {
    let ids = accounts.selected(selector);
    let ended = mailbox.ask(|reply| Order::End { ids, reply }).await;
    ended.unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is done under it that could panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
