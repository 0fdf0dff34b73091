//! The AF_XDP sockets of the RX queues.

use std::time::Duration;

use tracing::warn;

use super::fast_path::FastPathError;
use crate::xdp::{Interface, Program};
use crate::xsk::{Socket, Transfer};

/// How long queues may take to be free of the sockets of a daemon that has just
/// ended.
const RELEASE_MAX: Duration = Duration::from_secs(3);

/// One socket on each RX queue, as far as queues can have one.
pub(super) struct Queues(Vec<Option<Socket>>);

impl Queues {
    /// Opens a socket on each queue, and makes `program` send it the queue's
    /// IKE. What comes before a socket is there, and what comes to a queue that
    /// has none, takes the kernel's UDP sockets.
    ///
    /// # Errors
    /// [`FastPathError`] if no queue has a socket.
    pub(super) fn open(
        interface: &Interface,
        transfers: &[Transfer],
        program: &mut Program,
    ) -> Result<Self, FastPathError> {
        let mut patience = RELEASE_MAX;
        let mut sockets = Vec::new();
        let mut refusals = Vec::new();
        for queue in interface.sockets() {
            let socket = match Socket::open(interface, queue, transfers, patience) {
                Ok(socket) => Some(socket),
                Err(refusal) => {
                    // Whoever keeps one queue keeps the others as well.
                    patience = Duration::ZERO;
                    refusals.push(refusal);
                    None
                }
            };
            if let Some(socket) = &socket {
                program.set_socket(queue, socket)?;
            }
            sockets.push(socket);
        }
        if sockets.iter().all(Option::is_none)
            && let Some(refusal) = refusals.pop()
        {
            return Err(refusal.into());
        }
        for refusal in refusals {
            let error: &(dyn std::error::Error + 'static) = &refusal;
            warn!(error, "IKE of this queue takes the kernel's UDP sockets");
        }
        let queues = usize::try_from(interface.rx_queues).unwrap_or(usize::MAX);
        if queues > sockets.len() {
            let hint = "`ethtool -L` sets how many there are of both";
            warn!(
                rx_queues = interface.rx_queues,
                tx_queues = interface.tx_queues,
                hint,
                "IKE of RX queues without a TX queue takes the kernel's UDP sockets"
            );
            sockets.resize_with(queues, || None);
        }
        Ok(Self(sockets))
    }

    /// The socket of a queue.
    pub(super) fn get_mut(&mut self, queue: u32) -> Option<&mut Socket> {
        self.0.get_mut(usize::try_from(queue).ok()?)?.as_mut()
    }

    /// The sockets, and the queues they are on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Socket)> {
        let sockets = (0..).zip(&self.0);
        sockets.filter_map(|(queue, socket)| Some((queue, socket.as_ref()?)))
    }

    /// The sockets, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.0.iter_mut().flatten()
    }

    /// One value for each queue, that of queue 0 first.
    pub(super) fn map<T>(&self, value: impl FnMut(Option<&Socket>) -> T) -> Vec<T> {
        self.0.iter().map(Option::as_ref).map(value).collect()
    }
}
