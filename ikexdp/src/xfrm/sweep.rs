//! Removes what is ours, whoever installed it.

use netlink_packet_xfrm::policy::DelGetMessage as PolicyDelGetMessage;
use netlink_packet_xfrm::policy::ModifyMessage as PolicyModifyMessage;
use netlink_packet_xfrm::state::{
    DelGetMessage as StateDelGetMessage, GetDumpMessage, ModifyMessage as StateModifyMessage,
};
use netlink_packet_xfrm::{IPPROTO_ESP, UserSaId, XfrmAttrs, XfrmMessage};

use super::message::Message;
use super::policy::identify;
use crate::netlink::{Channel, NetlinkError};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// SAs.
    pub sas: usize,
    /// Policies.
    pub policies: usize,
}

/// Removes every policy and every SA whose reqid is ours. Policies go first:
/// without its SA, a policy has the kernel ask for one.
pub(super) fn sweep(channel: &mut Channel<Message>) -> Result<Swept, NetlinkError> {
    let mut policies = Vec::new();
    let question = XfrmMessage::GetPolicy(PolicyDelGetMessage::default());
    channel.dump(Message::new(question), |answer| {
        if let (Some(_), XfrmMessage::AddPolicy(policy)) = (answer.lineage(), answer.get()) {
            policies.push(removal_of_policy(policy));
        }
    })?;
    let mut sas = Vec::new();
    let nlas = vec![XfrmAttrs::Proto(IPPROTO_ESP)];
    let question = XfrmMessage::GetDumpSa(GetDumpMessage { nlas });
    channel.dump(Message::new(question), |answer| {
        if let (Some(_), XfrmMessage::AddSa(sa)) = (answer.lineage(), answer.get()) {
            sas.push(removal_of_sa(sa));
        }
    })?;
    let mut remove = |messages: Vec<Message>| {
        let replies = channel.exchange(messages)?;
        // What is gone by now has expired.
        Ok(replies.iter().filter(|reply| reply.is_ok()).count())
    };
    Ok(Swept {
        policies: remove(policies)?,
        sas: remove(sas)?,
    })
}

fn removal_of_policy(policy: &PolicyModifyMessage) -> Message {
    let info = &policy.user_policy_info;
    let names = policy
        .nlas
        .iter()
        .filter(|attribute| matches!(attribute, XfrmAttrs::Mark(_) | XfrmAttrs::IfId(_)));
    Message::new(XfrmMessage::DeletePolicy(identify(
        info.selector,
        info.direction,
        names.cloned().collect(),
    )))
}

fn removal_of_sa(sa: &StateModifyMessage) -> Message {
    let info = &sa.user_sa_info;
    let mut attributes = sa.nlas.iter();
    let mark = attributes.find(|attribute| matches!(attribute, XfrmAttrs::Mark(_)));
    Message::new(XfrmMessage::DeleteSa(StateDelGetMessage {
        user_sa_id: UserSaId {
            daddr: info.id.daddr,
            spi: info.id.spi,
            family: info.family,
            proto: info.id.proto,
        },
        nlas: mark.cloned().into_iter().collect(),
    }))
}
