//! RADIUS servers while the daemon runs: those of the configuration, and of those
//! before it whatever is still of use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_local};
use tracing::warn;

use super::accounts::Accounts;
use super::order::{Mailbox, Order};
use crate::radius::{Disconnections, Radius, Role, Selector, ServerStatus};
use crate::view::{self, Counters};

/// Servers that know users.
#[derive(Debug)]
pub(super) struct Users {
    runtime: Handle,
    accounts: Arc<Accounts>,
    tables: Mutex<Vec<Arc<Radius>>>,
    listening: Mutex<Vec<Listening>>,
}

/// A table whose servers may end sessions.
#[derive(Debug)]
struct Listening {
    requests: Arc<Disconnections>,
    task: JoinHandle<()>,
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
        for Listening { requests, task } in before {
            task.abort();
            // The port is free when nobody has it any more.
            let _ = task.await;
            drop(requests);
        }
        for table in tables {
            match Disconnections::open(table.settings()) {
                Ok(None) => {}
                Ok(Some(requests)) => {
                    let (accounts, mailbox) = (Arc::clone(&self.accounts), mailbox.clone());
                    let requests = Arc::new(requests);
                    let serving = Arc::clone(&requests);
                    let task = spawn_local(async move {
                        let end = async |selector: Selector| {
                            disconnect(&accounts, &mailbox, &selector).await
                        };
                        let Err(error) = serving.serve(end).await;
                        warn!(%error, "requests to disconnect are not taken any more");
                    });
                    lock(&self.listening).push(Listening { requests, task });
                }
                Err(error) => {
                    warn!(reason = %error.source, "{error}");
                }
            }
        }
    }

    /// What happened with all servers. A table that was read again has begun anew, and
    /// goes on as it was for the sessions from before: both count as one.
    pub(super) fn stats(&self) -> Vec<view::Radius> {
        let mut all: Vec<view::Radius> = Vec::new();
        let mut add = |one: view::Radius| {
            let name = |it: &view::Radius| (it.table.clone(), it.role.clone(), it.server);
            match all.iter_mut().find(|known| name(known) == name(&one)) {
                Some(known) => {
                    known.is_up = one.is_up;
                    known.counters.add(&one.counters);
                }
                None => all.push(one),
            }
        };
        for table in lock(&self.tables).iter() {
            let name = &table.settings().name;
            for server in table.servers() {
                add(of_server(name, &server));
            }
            if let Some(records) = table.records() {
                add(of_table(name, "records", records.iter().collect()));
            }
        }
        for Listening { requests, .. } in lock(&self.listening).iter() {
            let counters = requests.counters().iter().collect();
            add(of_table(requests.table(), "disconnect", counters));
        }
        all
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

fn of_server(table: &str, server: &ServerStatus) -> view::Radius {
    let role = match server.role {
        Role::Authentication => "authentication",
        Role::Accounting => "accounting",
    };
    view::Radius {
        server: Some(server.address),
        is_up: Some(server.is_up),
        ..of_table(table, role, server.counters.iter().collect())
    }
}

fn of_table(table: &str, role: &str, counters: Counters) -> view::Radius {
    view::Radius {
        table: table.to_owned(),
        role: role.to_owned(),
        server: None,
        is_up: None,
        counters,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is done under it that could panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
