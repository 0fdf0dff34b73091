//! SAs whose peers are reached elsewhere: MOBIKE, and NATs that forget.
//!
//! The kernel's own way (XFRM_MSG_MIGRATE) is not taken. It finds an SA by its
//! lineage and addresses, and so moves one of those that there are while they are
//! rekeyed; it cannot put ESP into UDP or take it out; and it copies the sequence
//! numbers while the SA still goes on with them. See
//! docs/decisions/0012-sas-move-by-being-made-anew.md.

use ikexdp_proto::data_plane::{DataPlaneError, Direction, EspSaName, Operation, Policies, Tunnel};
use netlink_packet_xfrm::state::ModifyMessage as StateModifyMessage;
use netlink_packet_xfrm::{Address, ReplayEsn, XFRM_STATE_ESN, XfrmAttrs, XfrmMessage};

use super::address::family;
use super::error::{failed, is_gone, unreachable};
use super::message::Message;
use super::policy::{Key, Owner};
use super::sa;
use super::transaction::{Step, Subject, Transaction};

/// Sequence numbers left out: those that other processors may use between the
/// reading of an SA and its end, which is one system call. None must come twice.
const SEQUENCE_GAP: u32 = 1024;

/// How an SA gets to its new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It is there.
    None,
    /// Only a port is another: the kernel changes that in the SA, which goes on
    /// undisturbed.
    Update,
    /// It ends, and another begins where it ended.
    Renew,
}

fn way(from: &Tunnel, to: &Tunnel) -> Way {
    let addresses = |tunnel: &Tunnel| (tunnel.local.ip(), tunnel.remote.ip(), tunnel.in_udp);
    let ports = |tunnel: &Tunnel| (tunnel.local.port(), tunnel.remote.port());
    if addresses(from) != addresses(to) {
        Way::Renew
    } else if to.in_udp && ports(from) != ports(to) {
        Way::Update
    } else {
        Way::None
    }
}

impl Transaction<'_> {
    /// Moves SAs and policies. An SA that is gone stays gone: it has carried all
    /// it may, and the engine will hear of that.
    pub(super) fn relocate(&mut self, operation: &Operation) -> Result<(), DataPlaneError> {
        let Operation::Move { sas, policies, to } = operation else {
            return Ok(());
        };
        let mut steps = self.sas(sas, to)?;
        for policies in policies {
            steps.extend(self.policies(policies, to)?);
        }
        self.take(steps)
    }

    /// Reads the SAs, and ends those that have to begin anew. In one system call:
    /// the less comes between, the less is lost on the way, and the fewer packets
    /// could be replayed because the new window does not know them.
    fn sas(
        &mut self,
        sas: &[EspSaName],
        to: &Tunnel,
    ) -> Result<Vec<Step<'static>>, DataPlaneError> {
        let moving: Vec<_> = sas
            .iter()
            .map(|name| (name, way(&name.tunnel, to)))
            .filter(|(_, way)| *way != Way::None)
            .collect();
        let messages = moving.iter().flat_map(|(name, way)| {
            let end = (*way == Way::Renew).then(|| sa::remove(name));
            [sa::query(name)].into_iter().chain(end)
        });
        let replies = self.channel.exchange(messages).map_err(unreachable)?;
        let mut replies = replies.into_iter();
        let mut steps = Vec::with_capacity(moving.len());
        let mut result = Ok(());
        for (name, way) in moving {
            let read = replies.next();
            let ended = (way == Way::Renew).then(|| replies.next()).flatten();
            let before = match read {
                Some(Ok(answers)) => answers.into_iter().next(),
                Some(Err(refusal)) if !is_gone(&refusal) => {
                    result = Err(failed("SA not read", refusal));
                    None
                }
                _ => None,
            };
            let Some(before) = before.as_ref().and_then(state) else {
                continue;
            };
            let after = moved(before, name.direction, to);
            let back = moved(before, name.direction, &name.tunnel);
            if way == Way::Update {
                steps.push(Step {
                    message: Message::new(XfrmMessage::UpdateSa(after)),
                    undo: Message::new(XfrmMessage::UpdateSa(back)),
                    subject: Subject::MovedSa,
                });
            } else if matches!(ended, Some(Ok(_))) {
                self.undo(Message::new(XfrmMessage::AddSa(back)));
                let name = EspSaName {
                    tunnel: *to,
                    ..*name
                };
                steps.push(Step {
                    message: Message::new(XfrmMessage::AddSa(after)),
                    undo: sa::remove(&name),
                    subject: Subject::MovedSa,
                });
            }
        }
        result.map(|()| steps)
    }

    fn policies(
        &mut self,
        policies: &Policies,
        to: &Tunnel,
    ) -> Result<Vec<Step<'static>>, DataPlaneError> {
        let owner = Owner::new(policies.lineage, to);
        if owner == Owner::new(policies.lineage, &policies.tunnel) {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for key in Key::all(policies)? {
            self.remember(key);
            if let Some((change, undo)) = self.owners.relocate(&key, owner) {
                steps.extend(key.messages(change, undo).map(Step::policy));
            }
        }
        Ok(steps)
    }
}

fn state(answer: &Message) -> Option<&StateModifyMessage> {
    match answer.get() {
        XfrmMessage::AddSa(state) => Some(state),
        _ => None,
    }
}

/// The SA that goes on, in `tunnel`, where this one ended.
fn moved(before: &StateModifyMessage, direction: Direction, tunnel: &Tunnel) -> StateModifyMessage {
    let (source, destination) = sa::ends(direction, tunnel);
    let mut user_sa_info = before.user_sa_info;
    user_sa_info.id.daddr = Address::from_ip(&destination);
    user_sa_info.saddr = Address::from_ip(&source);
    user_sa_info.family = family(destination);
    let extended = user_sa_info.flags & XFRM_STATE_ESN != 0;
    // What is not here is said anew, or was not said by us.
    let kept = before.nlas.iter().filter_map(|attribute| match attribute {
        XfrmAttrs::ReplayStateEsn(replay) if direction == Direction::Outbound => {
            Some(XfrmAttrs::ReplayStateEsn(skip(replay, extended)))
        }
        XfrmAttrs::EncryptionAlgAead(_)
        | XfrmAttrs::EncryptionAlg(_)
        | XfrmAttrs::AuthenticationAlgTrunc(_)
        | XfrmAttrs::ReplayStateEsn(_)
        | XfrmAttrs::Mark(_)
        | XfrmAttrs::IfId(_) => Some(attribute.clone()),
        _ => None,
    });
    let mut nlas: Vec<_> = kept.collect();
    // What it has carried counts on.
    nlas.push(XfrmAttrs::LifetimeBytes(user_sa_info.lifetime_cur));
    nlas.extend(sa::encapsulation(direction, tunnel));
    StateModifyMessage { user_sa_info, nlas }
}

/// Leaves [`SEQUENCE_GAP`] numbers out; at the end of them the SA has none left.
fn skip(replay: &ReplayEsn, extended: bool) -> ReplayEsn {
    let (low, carried) = replay.oseq.overflowing_add(SEQUENCE_GAP);
    let (oseq, oseq_hi) = match (carried, extended) {
        (false, _) => (low, replay.oseq_hi),
        (true, true) => (low, replay.oseq_hi.saturating_add(1)),
        (true, false) => (u32::MAX, replay.oseq_hi),
    };
    ReplayEsn {
        oseq,
        oseq_hi,
        ..replay.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(local: &str, remote: &str, in_udp: bool) -> Tunnel {
        Tunnel {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            in_udp,
        }
    }

    #[test]
    fn what_only_changes_ports_is_not_ended() {
        let from = tunnel("192.0.2.1:4500", "198.51.100.1:4500", true);
        let port = tunnel("192.0.2.1:4500", "198.51.100.1:1024", true);
        let address = tunnel("192.0.2.1:4500", "198.51.100.2:4500", true);
        let native = Tunnel {
            in_udp: false,
            ..from
        };
        for (from, to, expected) in [
            (from, from, Way::None),
            (from, port, Way::Update),
            (from, address, Way::Renew),
            (from, native, Way::Renew),
            (native, from, Way::Renew),
            (
                native,
                Tunnel {
                    in_udp: false,
                    ..port
                },
                Way::None,
            ),
        ] {
            assert_eq!(way(&from, &to), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn no_sequence_number_comes_twice() {
        let at = |oseq, oseq_hi| ReplayEsn {
            oseq,
            oseq_hi,
            ..ReplayEsn::default()
        };
        let after = |replay, extended| {
            let after = skip(&replay, extended);
            (after.oseq, after.oseq_hi)
        };
        assert_eq!(after(at(5, 0), false), (1029, 0));
        assert_eq!(after(at(u32::MAX - 1, 7), true), (1022, 8));
        assert_eq!(after(at(u32::MAX - 1, 0), false), (u32::MAX, 0));
    }
}
