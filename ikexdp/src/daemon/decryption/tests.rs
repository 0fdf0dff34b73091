//! The switch, with a packet loop that does what the test says.

use std::cell::RefCell;
use std::fs::{self, File};

use crossbeam_channel::Receiver;
use ikexdp_proto::types::Secret;
use tempfile::TempDir;
use tokio::join;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, yield_now};

use super::*;
use crate::daemon::order::Reply;
use crate::waker::Waker;
use crate::wireshark::Table;

const KIM: &str = "198.51.100.7";
const LEE: &str = "198.51.100.8";

const CALLER: Caller = Caller {
    uid: 0,
    pid: Some(7),
};

/// What there is of a daemon.
struct Daemon {
    directory: TempDir,
    decryption: Arc<Decryption>,
    mailbox: Mailbox,
    orders: Receiver<Order>,
    /// Whom the packet loop hands keys to.
    reader: RefCell<Option<Reader>>,
}

impl Daemon {
    /// One that may write keys.
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let (mailbox, orders) = Mailbox::open(Waker::new().unwrap());
        Self {
            decryption: Arc::new(Decryption::new(directory.path(), true)),
            directory,
            mailbox,
            orders,
            reader: RefCell::default(),
        }
    }

    async fn start(&self, peer: &str) -> Result<view::Decryption, Refusal> {
        let whose = (peer.parse().unwrap(), 600);
        let started = self.decryption.start(&self.mailbox, whose, CALLER).await;
        started.unwrap()
    }

    /// Does what the next order says, which is about who reads along: whose keys are
    /// handed over then, and where to say that it is so.
    async fn ordered(&self) -> (Option<String>, Reply<()>) {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Expose { reader, reply }) => {
                    let peer = reader.as_ref().map(|reader| reader.peer.to_string());
                    self.reader.replace(reader);
                    return (peer, reply);
                }
                Ok(other) => panic!("another order: {other:?}"),
                Err(_) => yield_now().await,
            }
        }
    }

    /// Does as many orders: whose keys are handed over after each.
    async fn obey(&self, orders: usize) -> Vec<Option<String>> {
        let mut peers = Vec::new();
        for _ in 0..orders {
            let (peer, reply) = self.ordered().await;
            peers.push(peer);
            reply.send(()).unwrap();
        }
        peers
    }

    /// Makes keys.
    fn make(&self, text: &str) {
        let line = Line {
            table: Table::Ike,
            text: Secret::new(text.to_owned()),
        };
        let reader = self.reader.borrow();
        reader.as_ref().expect("a reader").pass_on(Some(line), "");
    }

    async fn is_over(&self) {
        while self.decryption.view().is_some() {
            yield_now().await;
        }
    }

    fn table(&self, table: Table) -> String {
        fs::read_to_string(self.path(table)).unwrap()
    }

    fn path(&self, table: Table) -> PathBuf {
        self.directory.path().join(DIRECTORY).join(table.file())
    }
}

fn with_daemon(test: impl AsyncFnOnce(&Daemon)) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let daemon = Daemon::new();
    LocalSet::new().block_on(&runtime, test(&daemon));
    assert!(daemon.orders.is_empty(), "nothing else is wanted");
}

fn peer(peer: &str) -> Option<String> {
    Some(peer.to_owned())
}

#[test]
fn who_goes_away_in_the_middle_leaves_nothing_half_on() {
    with_daemon(async |daemon| {
        let (_, reply) = tokio::select! {
            _ = daemon.start(KIM) => panic!("the packet loop has not answered"),
            ordered = daemon.ordered() => ordered,
        };
        reply.send(()).unwrap();
        let (was_on, peers) = join!(daemon.decryption.stop(), daemon.obey(1));
        assert!(was_on);
        assert_eq!(peers, [None]);
        assert_eq!(daemon.decryption.view(), None);
    });
}

#[test]
fn who_does_not_wait_for_the_end_gets_it_all_the_same() {
    with_daemon(async |daemon| {
        let _ = join!(daemon.start(KIM), daemon.obey(1));
        let (peer, reply) = tokio::select! {
            _ = daemon.decryption.stop() => panic!("the packet loop has not answered"),
            ordered = daemon.ordered() => ordered,
        };
        assert_eq!(peer, None);
        assert!(daemon.decryption.view().is_some(), "it is on until then");
        reply.send(()).unwrap();
        assert!(!daemon.decryption.stop().await, "it is off");
    });
}

#[test]
fn of_two_who_ask_at_once_the_second_is_served() {
    with_daemon(async |daemon| {
        let (first, second, peers) = join!(daemon.start(KIM), daemon.start(LEE), daemon.obey(3));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(peers, [peer(KIM), None, peer(LEE)]);
        let view = daemon.decryption.view().expect("it is on");
        assert_eq!(view.peer.to_string(), LEE);
        let _ = join!(daemon.decryption.stop(), daemon.obey(1));
    });
}

#[test]
fn a_reload_that_allows_it_no_longer_ends_what_just_begins() {
    with_daemon(async |daemon| {
        let begins = async {
            let (_, reply) = daemon.ordered().await;
            let adopted = async {
                daemon.decryption.adopt(false).await;
                assert_eq!(daemon.decryption.view(), None);
            };
            let answers = async {
                reply.send(()).unwrap();
                daemon.obey(1).await
            };
            let ((), peers) = join!(adopted, answers);
            assert_eq!(peers, [None]);
        };
        let _ = join!(daemon.start(KIM), begins);
        let refused = daemon.start(KIM).await.unwrap_err();
        assert!(refused.hint.is_some());
    });
}

#[test]
fn a_packet_loop_with_too_much_to_do_hears_of_the_end_later() {
    with_daemon(async |daemon| {
        let _ = join!(daemon.start(KIM), daemon.obey(1));
        while daemon.mailbox.give(Order::Leave).is_ok() {}
        let obeys = async {
            // Long enough for it to be tried in vain.
            for _ in 0..100 {
                yield_now().await;
            }
            while let Ok(order) = daemon.orders.try_recv() {
                assert!(matches!(order, Order::Leave));
            }
            daemon.obey(1).await
        };
        let (was_on, peers) = join!(daemon.decryption.stop(), obeys);
        assert!(was_on);
        assert_eq!(peers, [None]);
    });
}

#[test]
fn what_was_handed_over_before_the_end_is_written() {
    with_daemon(async |daemon| {
        let _ = join!(daemon.start(KIM), daemon.obey(1));
        let makes = async {
            // The end has been asked for, and the packet loop has not heard of it.
            while daemon.orders.is_empty() {
                yield_now().await;
            }
            daemon.make("the last\n");
            daemon.obey(1).await
        };
        join!(daemon.decryption.stop(), makes);
        assert_eq!(daemon.table(Table::Ike), "the last\n");
    });
}

#[test]
fn a_table_that_becomes_full_ends_it() {
    with_daemon(async |daemon| {
        let _ = join!(daemon.start(KIM), daemon.obey(1));
        let table = File::options().write(true).open(daemon.path(Table::Ike));
        table.unwrap().set_len(tables::LENGTH_MAX - 5).unwrap();
        daemon.make("one\n");
        daemon.make("two\n");
        assert_eq!(daemon.obey(1).await, [None]);
        daemon.is_over().await;
        assert!(daemon.table(Table::Ike).ends_with("\0one\n"));
        assert!(!daemon.decryption.stop().await, "it is off");
    });
}

#[test]
fn lines_for_which_there_is_no_room_are_counted() {
    with_daemon(async |daemon| {
        let _ = join!(daemon.start(KIM), daemon.obey(1));
        for _ in 0..LINES + 2 {
            daemon.make("1\n");
        }
        assert_eq!(daemon.decryption.view().unwrap().lines_lost, 2);
        let _ = join!(daemon.decryption.stop(), daemon.obey(1));
        assert_eq!(daemon.table(Table::Ike).lines().count(), LINES);
    });
}
