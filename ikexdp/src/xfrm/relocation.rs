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
use super::removal::{Removal, owned};
use super::sa;
use super::transaction::{Step, Subject, Transaction, Undo};

/// Sequence numbers left out: those that other processors may use between the
/// reading of an SA and its end. None must come twice: ciphers make their nonces of
/// them. The peer takes any step forward; an SA without extended sequence numbers
/// has room for 65,536 of these.
const SEQUENCE_GAP: u32 = 1 << 16;

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

    fn sas(
        &mut self,
        sas: &[EspSaName],
        to: &Tunnel,
    ) -> Result<Vec<Step<'static>>, DataPlaneError> {
        let moving = self.read(sas, to)?;
        let (renewed, updated): (Vec<_>, Vec<_>) =
            moving.into_iter().partition(|sa| sa.way == Way::Renew);
        let mut steps = self.end(renewed, to)?;
        steps.extend(updated.into_iter().map(|sa| Step {
            message: sa.after,
            undo: Undo::Tell(sa.back),
            subject: Subject::MovedSa,
        }));
        Ok(steps)
    }

    /// The SAs that are there and have to move.
    fn read(&mut self, sas: &[EspSaName], to: &Tunnel) -> Result<Vec<Moving>, DataPlaneError> {
        let names = sas.iter().filter(|name| way(&name.tunnel, to) != Way::None);
        let replies = self.channel.exchange(names.clone().map(sa::query));
        let mut moving = Vec::with_capacity(sas.len());
        for (name, reply) in names.zip(replies.map_err(unreachable)?) {
            let answer = owned(reply, name.lineage).map_err(|why| failed("SA not read", why))?;
            moving.extend(answer.and_then(|answer| Moving::new(name, to, &answer)));
        }
        Ok(moving)
    }

    /// Ends SAs, and gives what makes them anew. Each is read again and ended in one
    /// system call: the less comes between, the less is lost on the way, and the
    /// fewer packets could be replayed because the new window does not know them.
    fn end(&mut self, sas: Vec<Moving>, to: &Tunnel) -> Result<Vec<Step<'static>>, DataPlaneError> {
        let messages = sas
            .iter()
            .flat_map(|sa| [sa::query(&sa.name), sa::remove(&sa.name)]);
        let mut replies = Vec::new();
        let reached = self.channel.exchange_into(messages, &mut replies);
        let mut result = reached.map_err(unreachable);
        let mut replies = replies.into_iter();
        let mut steps = Vec::with_capacity(sas.len());
        for before in sas {
            let last = replies.next().and_then(Result::ok);
            let last = last.and_then(|answers| Moving::new(&before.name, to, answers.first()?));
            match replies.next() {
                // It may be there still, and is not harmed by being made again then.
                Some(Ok(_)) | None => {
                    let sa = last.unwrap_or(before);
                    self.undo(Undo::Tell(sa.back));
                    let name = EspSaName {
                        tunnel: *to,
                        ..sa.name
                    };
                    steps.push(Step {
                        message: sa.after,
                        undo: Undo::Remove(Removal::Sa(name)),
                        subject: Subject::MovedSa,
                    });
                }
                Some(Err(refusal)) if is_gone(&refusal) => {}
                Some(Err(refusal)) => result = result.and(Err(failed("SA not ended", refusal))),
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
            if let Some(before) = self.owners.relocate(&key, owner) {
                steps.extend(key.install(owner, Some(before)).map(Step::policy));
            }
        }
        Ok(steps)
    }
}

/// An SA on its way.
struct Moving {
    name: EspSaName,
    way: Way,
    /// Puts it where it has to be.
    after: Message,
    /// Puts it where it was.
    back: Message,
}

impl Moving {
    /// What the kernel has answered of `name`, which goes `to` elsewhere.
    fn new(name: &EspSaName, to: &Tunnel, answer: &Message) -> Option<Self> {
        let XfrmMessage::AddSa(before) = answer.get() else {
            return None;
        };
        let way = way(&name.tunnel, to);
        // If it has to go back, what was sent over there does not come twice either.
        let [after, back] = [(to, 1), (&name.tunnel, 2)].map(|(tunnel, gaps)| {
            let sa = moved(before, name.direction, tunnel, gaps);
            Message::new(match way {
                Way::Renew => XfrmMessage::AddSa(sa),
                Way::Update | Way::None => XfrmMessage::UpdateSa(sa),
            })
        });
        Some(Self {
            name: *name,
            way,
            after,
            back,
        })
    }
}

/// The SA that goes on, in `tunnel`, where this one ended; outbound, so many
/// [`SEQUENCE_GAP`]s later.
fn moved(
    before: &StateModifyMessage,
    direction: Direction,
    tunnel: &Tunnel,
    gaps: u32,
) -> StateModifyMessage {
    let (source, destination) = sa::ends(direction, tunnel);
    let mut user_sa_info = before.user_sa_info;
    user_sa_info.id.daddr = Address::from_ip(&destination);
    user_sa_info.saddr = Address::from_ip(&source);
    user_sa_info.family = family(destination);
    let extended = user_sa_info.flags & XFRM_STATE_ESN != 0;
    // What is not here is said anew, or was not said by us.
    let kept = before.nlas.iter().filter_map(|attribute| match attribute {
        XfrmAttrs::ReplayStateEsn(replay) if direction == Direction::Outbound => {
            Some(XfrmAttrs::ReplayStateEsn(skip(replay, extended, gaps)))
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

/// Leaves so many [`SEQUENCE_GAP`]s out; at the end of the numbers the SA has none
/// left.
fn skip(replay: &ReplayEsn, extended: bool, gaps: u32) -> ReplayEsn {
    let gap = SEQUENCE_GAP.saturating_mul(gaps);
    let (low, carried) = replay.oseq.overflowing_add(gap);
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
        let after = |replay, extended, gaps| {
            let after = skip(&replay, extended, gaps);
            (after.oseq, after.oseq_hi)
        };
        assert_eq!(after(at(5, 0), false, 1), ((1 << 16) + 5, 0));
        assert_eq!(after(at(5, 0), false, 2), ((2 << 16) + 5, 0));
        assert_eq!(after(at(u32::MAX - 1, 7), true, 1), ((1 << 16) - 2, 8));
        assert_eq!(after(at(u32::MAX - 1, 0), false, 1), (u32::MAX, 0));
    }
}
