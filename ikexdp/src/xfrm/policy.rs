//! Policies: how they are described to the kernel, and who owns which.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ikexdp_proto::data_plane::{Binding, Direction, Lineage, Policies, Tunnel};
use netlink_packet_xfrm::policy::{
    DelGetMessage as PolicyDelGetMessage, ModifyMessage as PolicyModifyMessage,
};
use netlink_packet_xfrm::{
    Address, IPPROTO_ESP, Id, Mark, Selector, UserPolicyId, UserPolicyInfo, UserTemplate,
    XFRM_MODE_TUNNEL, XFRM_POLICY_FWD, XFRM_POLICY_IN, XFRM_POLICY_OUT, XfrmAttrs, XfrmMessage,
};

use super::address::family;
use super::message::Message;
use super::removal::Removal;
use super::reqid::reqid;
use super::traffic::{Inexpressible, Traffic};
use super::transaction::Undo;

/// The kernel takes the policy with the least number, and this is the number of
/// the one that selects everything. Other IKE daemons are near it, so that the
/// more specific policy takes precedence whoever made it.
const PRIORITY_OF_EVERYTHING: u32 = 400_000;

/// The policies of a set.
const KINDS: [u8; 3] = [XFRM_POLICY_OUT, XFRM_POLICY_IN, XFRM_POLICY_FWD];

/// What tells one set of policies from another: the kernel has each only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    traffic: Traffic,
    if_id: u32,
    /// Value and mask.
    mark: (u32, u32),
}

/// Whose SAs protect the traffic, and between which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    lineage: Lineage,
    local: IpAddr,
    remote: IpAddr,
}

impl Owner {
    pub(super) const fn new(lineage: Lineage, tunnel: &Tunnel) -> Self {
        Self {
            lineage,
            local: tunnel.local.ip(),
            remote: tunnel.remote.ip(),
        }
    }
}

/// Who has a set of policies when its owner is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Who came before, and still wants them.
    Owner(Owner),
    Nobody,
}

impl Key {
    /// Every set that `policies` asks for.
    ///
    /// # Errors
    /// [`Inexpressible`].
    pub(super) fn all(policies: &Policies) -> Result<Vec<Self>, Inexpressible> {
        let Binding { if_id, mark } = policies.binding;
        let traffic = Traffic::between(&policies.local, &policies.remote)?;
        let keys = traffic.into_iter().map(|traffic| Self {
            traffic,
            if_id: if_id.unwrap_or_default(),
            mark: mark.map_or((0, 0), |mark| (mark.value, mark.mask)),
        });
        Ok(keys.collect())
    }

    /// The messages that make the policies `owner`'s, each with what undoes it. If
    /// nobody had them `before`, there must be none: another program's are left
    /// alone.
    pub(super) fn install(
        &self,
        owner: Owner,
        before: Option<Owner>,
    ) -> impl Iterator<Item = (Message, Undo)> {
        KINDS.into_iter().map(move |kind| match before {
            None => {
                let policy = XfrmMessage::AddPolicy(self.policy(kind, owner));
                let undo = Undo::Remove(self.removal(kind));
                (Message::new(policy), undo)
            }
            Some(before) => {
                let [to, back] = [owner, before].map(|owner| self.replacement(kind, owner));
                (to, Undo::Tell(back))
            }
        })
    }

    /// The messages that make the policies, which are ours, `owner`'s.
    pub(super) fn replace(&self, owner: Owner) -> [Message; 3] {
        KINDS.map(|kind| self.replacement(kind, owner))
    }

    /// Takes the policies away, which are ours.
    pub(super) fn remove(&self) -> [Removal; 3] {
        KINDS.map(|kind| self.removal(kind))
    }

    fn replacement(&self, kind: u8, owner: Owner) -> Message {
        Message::new(XfrmMessage::UpdatePolicy(self.policy(kind, owner)))
    }

    fn removal(&self, kind: u8) -> Removal {
        let name = identify(self.selector(kind), kind, self.attributes().collect());
        Removal::Policy(name)
    }

    fn policy(&self, kind: u8, owner: Owner) -> PolicyModifyMessage {
        PolicyModifyMessage {
            user_policy_info: UserPolicyInfo {
                selector: self.selector(kind),
                priority: PRIORITY_OF_EVERYTHING.saturating_sub(self.traffic.specificity()),
                direction: kind,
                ..UserPolicyInfo::default()
            },
            nlas: [XfrmAttrs::Template(vec![owner.template(kind)])]
                .into_iter()
                .chain(self.attributes())
                .collect(),
        }
    }

    fn selector(&self, kind: u8) -> Selector {
        if kind == XFRM_POLICY_OUT {
            self.traffic.outbound()
        } else {
            self.traffic.inbound()
        }
    }

    fn attributes(&self) -> impl Iterator<Item = XfrmAttrs> {
        let (value, mask) = self.mark;
        let mark = (mask != 0).then_some(XfrmAttrs::Mark(Mark { value, mask }));
        let if_id = (self.if_id != 0).then_some(XfrmAttrs::IfId(self.if_id));
        mark.into_iter().chain(if_id)
    }
}

/// What the kernel knows a policy by.
pub(super) fn identify(
    selector: Selector,
    direction: u8,
    nlas: Vec<XfrmAttrs>,
) -> PolicyDelGetMessage {
    PolicyDelGetMessage {
        user_policy_id: UserPolicyId {
            selector,
            direction,
            ..UserPolicyId::default()
        },
        nlas,
    }
}

impl Owner {
    /// What protects the traffic of a policy.
    fn template(self, kind: u8) -> UserTemplate {
        let (source, destination, direction) = if kind == XFRM_POLICY_OUT {
            (self.local, self.remote, Direction::Outbound)
        } else {
            (self.remote, self.local, Direction::Inbound)
        };
        UserTemplate {
            id: Id {
                daddr: Address::from_ip(&destination),
                proto: IPPROTO_ESP,
                ..Id::default()
            },
            saddr: Address::from_ip(&source),
            family: family(destination),
            reqid: reqid(self.lineage, direction),
            mode: XFRM_MODE_TUNNEL,
            ..UserTemplate::default()
        }
    }
}

/// Who wants which policies. The kernel has those of the last who came; the others
/// wait for it to go.
#[derive(Debug, Default)]
pub(super) struct Owners(BTreeMap<Key, Vec<Owner>>);

impl Owners {
    /// Puts `owner` before all others. Gives the one that the kernel has until then.
    pub(super) fn add(&mut self, key: Key, owner: Owner) -> Option<Owner> {
        let owners = self.0.entry(key).or_insert_with(|| Vec::with_capacity(1));
        let first = owners.last().copied();
        owners.retain(|other| other.lineage != owner.lineage);
        owners.push(owner);
        first
    }

    /// Takes the owner of `lineage` away. Says what that is to the kernel, if
    /// anything.
    pub(super) fn remove(&mut self, key: &Key, lineage: Lineage) -> Option<Next> {
        let owners = self.0.get_mut(key)?;
        let is_first = owners.last().is_some_and(|first| first.lineage == lineage);
        owners.retain(|owner| owner.lineage != lineage);
        let next = owners.last().copied();
        if next.is_none() {
            self.0.remove(key);
        }
        is_first.then(|| next.map_or(Next::Nobody, Next::Owner))
    }

    /// Puts `owner` where that of its lineage is. Gives the one that the kernel has
    /// until then, if that is it.
    pub(super) fn relocate(&mut self, key: &Key, owner: Owner) -> Option<Owner> {
        let owners = self.0.get_mut(key)?;
        let first = owners.last().copied()?;
        let same = |other: &&mut Owner| other.lineage == owner.lineage;
        *owners.iter_mut().find(same)? = owner;
        (first.lineage == owner.lineage).then_some(first)
    }

    /// Who wants the policies of `key`.
    pub(super) fn of(&self, key: &Key) -> Vec<Owner> {
        self.0.get(key).cloned().unwrap_or_default()
    }

    /// Makes `owners` those who want the policies of `key`.
    pub(super) fn restore(&mut self, key: Key, owners: Vec<Owner>) {
        if owners.is_empty() {
            self.0.remove(&key);
        } else {
            self.0.insert(key, owners);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::wire::payload::ts::TrafficSelector;

    fn owner(lineage: u32, remote: &str) -> Owner {
        Owner {
            lineage: Lineage(lineage),
            local: "192.0.2.1".parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    fn key() -> Key {
        let host = |address: &str| vec![TrafficSelector::host(address.parse().unwrap())];
        let end = "192.0.2.1:4500".parse().unwrap();
        let policies = Policies {
            lineage: Lineage(1),
            tunnel: Tunnel {
                local: end,
                remote: end,
                in_udp: false,
            },
            local: host("10.0.0.1"),
            remote: host("10.9.0.1"),
            binding: Binding::default(),
        };
        Key::all(&policies).unwrap().pop().unwrap()
    }

    #[test]
    fn the_last_who_came_has_the_policies_until_it_goes() {
        let key = key();
        let (old, new) = (owner(1, "198.51.100.1"), owner(2, "198.51.100.2"));
        let mut owners = Owners::default();
        assert_eq!(owners.add(key, old), None);
        assert_eq!(owners.add(key, new), Some(old));
        assert_eq!(owners.remove(&key, new.lineage), Some(Next::Owner(old)));
        assert_eq!(owners.remove(&key, old.lineage), Some(Next::Nobody));
        assert_eq!(owners.remove(&key, old.lineage), None);
        assert!(owners.0.is_empty());
    }

    #[test]
    fn who_waits_goes_unnoticed() {
        let key = key();
        let (old, new) = (owner(1, "198.51.100.1"), owner(2, "198.51.100.2"));
        let mut owners = Owners::default();
        owners.add(key, old);
        owners.add(key, new);
        assert_eq!(owners.relocate(&key, owner(1, "198.51.100.3")), None);
        assert_eq!(owners.of(&key), [owner(1, "198.51.100.3"), new]);
        assert_eq!(owners.remove(&key, old.lineage), None);
        let moved = owner(2, "198.51.100.4");
        assert_eq!(owners.relocate(&key, moved), Some(new));
        assert_eq!(owners.remove(&key, new.lineage), Some(Next::Nobody));
    }

    #[test]
    fn who_comes_again_is_there_once() {
        let key = key();
        let (before, after) = (owner(1, "198.51.100.1"), owner(1, "198.51.100.2"));
        let mut owners = Owners::default();
        owners.add(key, before);
        assert_eq!(owners.add(key, after), Some(before));
        assert_eq!(owners.of(&key), [after]);
    }
}
