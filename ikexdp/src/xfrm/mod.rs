//! ESP in the kernel, told by netlink (XFRM): SAs, policies, and what the kernel
//! has to say of them.
//!
//! What is ours is known by its reqid, see `reqid.rs`: nothing else is touched, and
//! nothing of ours outlives the daemon for longer than until its next start.

mod address;
mod algorithms;
mod bypass;
mod error;
mod events;
mod message;
mod policy;
mod ports;
mod rehearsal;
mod relocation;
mod removal;
mod reqid;
mod sa;
mod sweep;
mod traffic;
mod transaction;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use ikexdp_proto::data_plane::{Carried, DataPlane, DataPlaneError, EspSaName, Operation, Volume};
use netlink_sys::protocols::NETLINK_XFRM;

pub use self::bypass::bypass;
pub use self::error::XfrmError;
use self::error::{failed, unreachable};
pub use self::events::Events;
use self::message::Message;
use self::policy::Owners;
pub use self::rehearsal::rehearse;
use self::removal::owned;
pub use self::sweep::Swept;
use self::transaction::Transaction;
use crate::netlink::{Channel, NetlinkError};

/// The SAs and policies of the kernel.
#[derive(Debug)]
pub struct Xfrm(Mutex<State>);

#[derive(Debug)]
struct State {
    channel: Channel<Message>,
    owners: Owners,
}

impl Xfrm {
    /// Gets hold of the SAs and policies of this network namespace.
    ///
    /// # Errors
    /// [`XfrmError`] if the kernel has none, or not for us.
    pub fn open() -> Result<Self, XfrmError> {
        Ok(Self(Mutex::new(State {
            channel: channel()?,
            owners: Owners::default(),
        })))
    }

    /// Removes everything that is ours: what a daemon left behind that ended in
    /// disorder, or all there is, before we end.
    ///
    /// # Errors
    /// [`XfrmError`] if the kernel does not tell what there is.
    pub fn sweep(&self) -> Result<Swept, XfrmError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.owners = Owners::default();
        Ok(sweep::sweep(&mut state.channel)?)
    }
}

impl DataPlane for Xfrm {
    fn apply(&self, batch: &[Operation]) -> Result<Volume, DataPlaneError> {
        // After a panic what we know may be wrong, and what the kernel says
        // still counts.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { channel, owners } = &mut *state;
        Transaction::new(channel, owners).run(batch)
    }

    /// On a channel of its own, so that nobody waits for nobody.
    fn carried(&self, sas: &[EspSaName]) -> Result<Vec<Carried>, DataPlaneError> {
        let replies = channel()
            .and_then(|mut channel| channel.exchange(sas.iter().map(sa::query)))
            .map_err(unreachable)?;
        let carried = replies.into_iter().zip(sas).map(|(reply, sa)| {
            let answer = owned(reply, sa.lineage).map_err(|why| failed("SA not read", why))?;
            Ok(answer.as_ref().map(Message::carried).unwrap_or_default())
        });
        carried.collect()
    }
}

fn channel() -> Result<Channel<Message>, NetlinkError> {
    Channel::open(NETLINK_XFRM)
}
