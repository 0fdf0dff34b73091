//! Takes out of the kernel what is seen to be ours.
//!
//! A name is not enough: the SPI we send on is the peer's choice and may be that of
//! another client's SA, and policies of other programs are named like ours. So the
//! kernel is asked first whose it is.

use ikexdp_proto::data_plane::{DataPlaneError, EspSaName, Lineage};
use netlink_packet_xfrm::XfrmMessage;
use netlink_packet_xfrm::policy::DelGetMessage as PolicyDelGetMessage;

use super::error::{failed, is_gone, unreachable};
use super::message::Message;
use super::sa;
use crate::netlink::{Channel, Refusal, Reply};

/// An SA or a policy that is to go.
pub(super) enum Removal {
    Sa(EspSaName),
    /// A policy of a lineage.
    Policy(PolicyDelGetMessage, Lineage),
}

impl Removal {
    const fn lineage(&self) -> Lineage {
        match self {
            Self::Sa(name) => name.lineage,
            Self::Policy(_, lineage) => *lineage,
        }
    }

    fn query(&self) -> Message {
        match self {
            Self::Sa(name) => sa::query(name),
            Self::Policy(policy, _) => Message::new(XfrmMessage::GetPolicy(policy.clone())),
        }
    }

    pub(super) fn delete(&self) -> Message {
        match self {
            Self::Sa(name) => sa::remove(name),
            Self::Policy(policy, _) => Message::new(XfrmMessage::DeletePolicy(policy.clone())),
        }
    }
}

/// Does all of `removals` in order. What is not there, or is not ours, is none.
///
/// # Errors
/// [`DataPlaneError`] of the first that failed.
pub(super) fn remove(
    channel: &mut Channel<Message>,
    removals: &[Removal],
) -> Result<(), DataPlaneError> {
    let queries = removals.iter().map(Removal::query);
    let answers = channel.exchange(queries).map_err(unreachable)?;
    let mut result = Ok(());
    let mut deletions = Vec::with_capacity(removals.len());
    for (answer, removal) in answers.into_iter().zip(removals) {
        match owned(answer, removal.lineage()) {
            Ok(Some(_)) => deletions.push(removal.delete()),
            Ok(None) => {}
            Err(refusal) => result = result.and(Err(failed("not read", refusal))),
        }
    }
    let replies = channel.exchange(deletions).map_err(unreachable)?;
    let refused = replies.into_iter().filter_map(Result::err);
    let mut refused = refused.filter(|refusal| !is_gone(refusal));
    let refused = refused.next().map(|refusal| failed("not removed", refusal));
    result.and(refused.map_or(Ok(()), Err))
}

/// What the kernel has answered of something that `lineage` has; nothing if it is
/// not there, or somebody else's.
pub(super) fn owned(answer: Reply<Message>, lineage: Lineage) -> Result<Option<Message>, Refusal> {
    match answer {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            Ok(answers.find(|answer| answer.lineage() == Some(lineage)))
        }
        Err(refusal) if is_gone(&refusal) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
