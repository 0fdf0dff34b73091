//! Takes out of the kernel what is seen to be ours.
//!
//! A name is not enough: the SPI we send on is the peer's choice and may be that of
//! another client's SA, and policies of other programs are named like ours. So the
//! kernel is asked first whose it is.

use ikexdp_proto::data_plane::{DataPlaneError, EspSaName, Lineage, Volume};
use netlink_packet_xfrm::XfrmMessage;
use netlink_packet_xfrm::policy::DelGetMessage as PolicyDelGetMessage;

use super::error::{failed, is_gone, unreachable};
use super::message::Message;
use super::sa;
use crate::netlink::{Channel, Refusal, Reply};

/// An SA or a policy that is to go.
pub(super) enum Removal {
    /// Of the lineage that its name tells.
    Sa(EspSaName),
    /// Of any lineage: `policy.rs` knows that none of ours wants it.
    Policy(PolicyDelGetMessage),
}

impl Removal {
    fn query(&self) -> Message {
        match self {
            Self::Sa(name) => sa::query(name),
            Self::Policy(policy) => Message::new(XfrmMessage::GetPolicy(policy.clone())),
        }
    }

    pub(super) fn delete(&self) -> Message {
        match self {
            Self::Sa(name) => sa::remove(name),
            Self::Policy(policy) => Message::new(XfrmMessage::DeletePolicy(policy.clone())),
        }
    }

    /// Whether that is what the kernel has answered.
    fn is(&self, answer: &Message) -> bool {
        let lineage = answer.lineage();
        match self {
            Self::Sa(name) => lineage == Some(name.lineage),
            Self::Policy(_) => lineage.is_some(),
        }
    }
}

/// Does all of `removals` in order, and tells what had gone through the SAs: the
/// kernel forgets it with them, and says it to those only who ask before. What is
/// not there, or is not ours, is none.
///
/// # Errors
/// [`DataPlaneError`] of the first that failed.
pub(super) fn remove(
    channel: &mut Channel<Message>,
    mut removals: &[Removal],
) -> Result<Volume, DataPlaneError> {
    /// Answers that were lost are asked for once more.
    const TRIES: usize = 2;
    let mut deletions = Vec::with_capacity(removals.len());
    let mut volume = Volume::default();
    let mut result = Ok(());
    for _ in 0..TRIES {
        let mut answers = Vec::with_capacity(removals.len());
        let asked = channel.exchange_into(removals.iter().map(Removal::query), &mut answers);
        let (answered, rest) = removals.split_at(answers.len());
        for (answer, removal) in answers.into_iter().zip(answered) {
            match there(answer, |answer| removal.is(answer)) {
                Ok(Some(answer)) => {
                    if let Removal::Sa(name) = removal {
                        volume.add(name.direction, answer.carried());
                    }
                    deletions.push(removal.delete());
                }
                Ok(None) => {}
                Err(refusal) => result = result.and(Err(failed("not read", refusal))),
            }
        }
        removals = rest;
        if removals.is_empty() {
            break;
        }
        result = result.and(asked.map_err(unreachable));
    }
    let replies = channel.exchange(deletions).map_err(unreachable)?;
    let mut refused = replies.into_iter().filter_map(Result::err);
    match refused.find(|refusal| !is_gone(refusal)) {
        Some(refusal) => result.and(Err(failed("not removed", refusal))),
        None => result.map(|()| volume),
    }
}

/// What the kernel has answered of an SA that `lineage` has; nothing if it is not
/// there, or somebody else's.
pub(super) fn owned(answer: Reply<Message>, lineage: Lineage) -> Result<Option<Message>, Refusal> {
    there(answer, |answer| answer.lineage() == Some(lineage))
}

fn there(
    answer: Reply<Message>,
    is: impl Fn(&Message) -> bool,
) -> Result<Option<Message>, Refusal> {
    match answer {
        Ok(answers) => Ok(answers.into_iter().find(is)),
        Err(refusal) if is_gone(&refusal) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
