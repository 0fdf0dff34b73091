//! What the control plane wants of the packet loop.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use ikexdp_proto::event::IkeSaSummary;
use ikexdp_proto::types::{EspSpi, IkeSaId};
use ipnet::IpNet;
use tokio::sync::oneshot;

use super::decryption::Reader;
use crate::config::Settings;
use crate::control::{Caller, Refusal};
use crate::view::{ListedPrefix, Listing, Observation, Relisted, Sources, Stats, Status};
use crate::waker::Waker;

/// Orders that wait, at most: more than there can be control connections.
const ORDERS: usize = 64;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<T>;

/// Something to do between datagrams.
#[derive(Debug)]
pub(super) enum Order {
    /// Tell how things are.
    Status(Reply<Status>),
    /// Tell every counter.
    Stats(Reply<Stats>),
    /// Tell who begins handshakes most often.
    Sources(Reply<Sources>),
    /// Tell the next IKE SAs behind one of them, in the order of their making.
    Sas {
        after: Option<IkeSaId>,
        reply: Reply<Vec<IkeSaSummary>>,
    },
    /// Tell one IKE SA, if it is there.
    Sa {
        id: IkeSaId,
        reply: Reply<Option<IkeSaSummary>>,
    },
    /// Replace an IKE SA or a CHILD SA of it, and tell whether there is one.
    Rekey {
        id: IkeSaId,
        child: Option<EspSpi>,
        reply: Reply<Result<(), Refusal>>,
    },
    /// Delete an IKE SA, and tell when it is gone.
    Terminate {
        id: IkeSaId,
        reply: Reply<Result<(), Refusal>>,
    },
    /// Delete these IKE SAs, and tell how many there are: nobody waits for peers.
    End {
        ids: Vec<IkeSaId>,
        reply: Reply<usize>,
    },
    /// Delete every IKE SA, and tell when they are gone and how many they were.
    TerminateAll(Reply<usize>),
    /// Act on other settings, as far as they can change, and tell when that is
    /// so.
    Reconfigure {
        settings: Box<Settings>,
        reply: Reply<()>,
    },
    /// Hand the keys of a peer to who reads along, or nobody's any more.
    Expose {
        reader: Option<Reader>,
        reply: Reply<()>,
    },
    /// Say something of prefixes by command, or nothing any more, and tell when XDP
    /// knows.
    List {
        prefixes: Vec<IpNet>,
        /// What, and for how many seconds if not until it is withdrawn.
        said: Option<(Listing, Option<u64>)>,
        by: Caller,
        reply: Reply<Result<Relisted, Refusal>>,
    },
    /// Tell the next prefixes behind one of them, in order.
    Lists {
        after: Option<IpNet>,
        reply: Reply<Vec<ListedPrefix>>,
    },
    /// Have XDP leave IKE to the kernel if somebody wants that, and tell when it is so.
    Observe(Reply<Observation>),
    /// Delete every IKE SA and end.
    Leave,
}

/// The packet loop does not take orders: it is about to end, or far behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unavailable;

/// The way to give orders.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    orders: Sender<Order>,
    waker: Waker,
}

impl Mailbox {
    /// The way to give orders, and the place where they arrive; `waker` is woken
    /// for each.
    pub(super) fn open(waker: Waker) -> (Self, Receiver<Order>) {
        let (orders, arriving) = bounded(ORDERS);
        (Self { orders, waker }, arriving)
    }

    /// Gives an order.
    pub(super) fn give(&self, order: Order) -> Result<(), Unavailable> {
        match self.orders.try_send(order) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Unavailable),
        }
    }

    /// Gives an order and waits for the answer.
    pub(super) async fn ask<T>(
        &self,
        order: impl FnOnce(Reply<T>) -> Order,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.give(order(reply))?;
        answer.await.map_err(|_| Unavailable)
    }
}
