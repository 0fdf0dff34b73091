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
    /// What was counted by those that are gone: a counter does not fall when the
    /// configuration is read again.
    past: Mutex<Vec<view::Radius>>,
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
            past: Mutex::new(Vec::new()),
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
        for gone in all.extract_if(.., |table| !table.is_in_use()) {
            let mut past = lock(&self.past);
            of_radius(&gone).for_each(|one| add(&mut past, one));
        }
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
            add(&mut lock(&self.past), of_requests(&requests));
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

    /// What happened with all servers since the daemon began. A table that was read again
    /// has begun anew, and goes on as it was for the sessions from before: both count as
    /// one, with what was before.
    pub(super) fn stats(&self) -> Vec<view::Radius> {
        let mut all: Vec<view::Radius> = Vec::new();
        for table in lock(&self.tables).iter() {
            of_radius(table).for_each(|one| add(&mut all, one));
        }
        for Listening { requests, .. } in lock(&self.listening).iter() {
            add(&mut all, of_requests(requests));
        }
        for past in lock(&self.past).iter() {
            // Who is not asked any more is not shown.
            if let Some(known) = find(&mut all, past) {
                known.counters.add(&past.counters);
            }
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

/// Counts what happened with `one`, which may be known.
fn add(all: &mut Vec<view::Radius>, one: view::Radius) {
    match find(all, &one) {
        Some(known) => {
            known.is_up = one.is_up;
            known.counters.add(&one.counters);
        }
        None => all.push(one),
    }
}

/// The same server, or table, among `all`.
fn find<'a>(all: &'a mut [view::Radius], one: &view::Radius) -> Option<&'a mut view::Radius> {
    let mut all = all.iter_mut();
    all.find(|it| it.table == one.table && it.role == one.role && it.server == one.server)
}

/// What happened with each server of a table, and with its records.
fn of_radius(radius: &Radius) -> impl Iterator<Item = view::Radius> {
    let name = &radius.settings().name;
    let servers = radius.servers().into_iter();
    let servers = servers.map(move |server| of_server(name, &server));
    let records = radius.records().map(|records| records.iter().collect());
    servers.chain(records.map(|counters| of_table(name, "records", counters)))
}

fn of_requests(requests: &Disconnections) -> view::Radius {
    let counters = requests.counters().iter().collect();
    of_table(requests.table(), "disconnect", counters)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::testing::{Server, admitted, patient};
    use crate::radius::{DisconnectSettings, Settings};
    use crate::waker::Waker;
    use std::net::UdpSocket;
    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, yield_now};

    /// A counter of all of this role.
    fn counted(users: &Users, role: &str, counter: &str) -> Option<u64> {
        let stats = users.stats();
        let mut of_role = stats.iter().filter(|one| one.role == role);
        let one = of_role.next()?;
        assert_eq!(of_role.next(), None, "one server");
        one.counters.value(counter)
    }

    #[test]
    fn a_counter_does_not_fall_when_the_configuration_is_read_again() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let users = Users::new(runtime.handle().clone(), Arc::default());
            let server = Server::open().await;
            let table = || Arc::new(Radius::new(patient(vec![server.address()])));
            for round in 1..=3 {
                let radius = table();
                users.adopt(&[Arc::clone(&radius)]);
                assert_eq!(
                    counted(&users, "authentication", "requests"),
                    Some(round - 1)
                );
                admitted(&radius, &server).await;
                assert_eq!(counted(&users, "authentication", "accepts"), Some(round));
            }
            users.adopt(&[]);
            assert_eq!(users.stats(), [], "nobody is asked");
            users.adopt(&[table()]);
            assert_eq!(counted(&users, "authentication", "accepts"), Some(3));
        });
    }

    #[test]
    fn what_servers_have_asked_is_counted_on_when_the_socket_is_another() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let users = Users::new(runtime.handle().clone(), Arc::default());
            let (mailbox, _orders) = Mailbox::open(Waker::new().unwrap());
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            let settings = Settings {
                disconnect: Some(DisconnectSettings {
                    listen: "127.0.0.1:0".parse().unwrap(),
                    clients: vec![peer.local_addr().unwrap().ip()],
                    require_message_authenticator: false,
                }),
                ..patient(vec!["127.0.0.1:9".parse().unwrap()])
            };
            let tables = [Arc::new(Radius::new(settings))];
            for round in 1..=2 {
                users.listen(&tables, &mailbox).await;
                let address = lock(&users.listening)[0].requests.address().unwrap();
                peer.send_to(b"no packet", address).unwrap();
                while counted(&users, "disconnect", "dropped_malformed") != Some(round) {
                    yield_now().await;
                }
            }
        });
    }
}
