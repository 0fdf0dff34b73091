//! A CHILD SA, and what the kernel is told of it (RFC 7296 §2.17, RFC 4301 §4.4).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::estate::Estate;
use super::lifetime::{Lifetime, soft_limit};
use super::{Context, Core};
use crate::config::Lifetimes;
use crate::crypto::keymat::{ChildKeys, EspKeys, IkeKeys};
use crate::data_plane::{
    Direction, EspSa, EspSaName, Lineage, Operation, Policies, Tunnel, UsageLimits,
};
use crate::event::ChildSummary;
use crate::job::JobId;
use crate::types::{EspSpi, Role};

/// A CHILD SA.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) summary: ChildSummary,
    pub(super) lineage: Lineage,
    pub(super) lifetime: Lifetime,
    pub(super) phase: Phase,
    /// The SA that we send on, as long as the kernel does not have it.
    outbound: Option<Box<EspSa>>,
    /// Whether the kernel has it, or is being given it.
    pub(super) sends: bool,
    /// The job that installs it.
    pub(super) installing: Option<JobId>,
}

/// Where a CHILD SA is between its making and its deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It carries traffic.
    Live,
    /// We are replacing it.
    Rekeying,
    /// The peer has replaced it by this one, and will delete it.
    Replaced(EspSpi),
    /// We shall ask the peer to delete it.
    Doomed,
    /// We have asked.
    Deleting,
}

/// What both sides know when they have agreed on a CHILD SA.
pub(super) struct Agreement<'a> {
    pub(super) summary: ChildSummary,
    /// Of the IKE SA that it is made under.
    pub(super) keys: &'a IkeKeys,
    /// Of a key exchange of its own.
    pub(super) shared_secret: Option<&'a [u8]>,
    pub(super) nonces: &'a Nonces,
    /// Our part in the exchange that makes it.
    pub(super) role: Role,
    /// The lineage it goes on with, if it replaces a CHILD SA.
    pub(super) lineage: Option<Lineage>,
}

/// The nonces of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nonces {
    pub(super) initiator: Vec<u8>,
    pub(super) responder: Vec<u8>,
}

impl Nonces {
    /// Of two exchanges that did the same, the one with the lowest of the four
    /// nonces is undone (RFC 7296 §2.8.1).
    pub(super) fn lose_to(&self, other: &Self) -> bool {
        let lowest = |nonces: &Self| nonces.initiator.clone().min(nonces.responder.clone());
        lowest(self).cmp(&lowest(other)) == Ordering::Less
    }
}

impl Child {
    /// Makes a CHILD SA of what was agreed on, and what the kernel must have of it
    /// before the peer may send.
    pub(super) fn new(
        cx: &mut Context<'_>,
        core: &Core,
        estate: &Estate,
        agreement: Agreement<'_>,
    ) -> (Self, Vec<Operation>) {
        let (tunnel, lifetimes) = (estate.tunnel, estate.lifetimes());
        let Agreement {
            summary,
            keys,
            shared_secret,
            nonces,
            role,
            lineage,
        } = agreement;
        let binding = summary.binding;
        let ChildKeys {
            from_initiator,
            from_responder,
        } = keys.child(
            summary.suite.cipher,
            shared_secret,
            [&nonces.initiator, &nonces.responder],
        );
        let (ours, theirs) = match role {
            Role::Initiator => (from_initiator, from_responder),
            Role::Responder => (from_responder, from_initiator),
        };
        let replaces = lineage.is_some();
        let lineage = match lineage {
            Some(lineage) => {
                cx.lineages.join(lineage);
                lineage
            }
            None => cx.lineage(core.id),
        };
        let mut esp = |direction, spi, keys: EspKeys| EspSa {
            direction,
            spi,
            tunnel,
            suite: summary.suite,
            keys,
            lineage,
            binding,
            limits: limits(cx, lifetimes),
        };
        let inbound = esp(Direction::Inbound, summary.spi_in, theirs);
        let outbound = esp(Direction::Outbound, summary.spi_out, ours);
        let child = Self {
            summary,
            lineage,
            lifetime: Lifetime::begin(cx, lifetimes.child, lifetimes.initiate_rekey),
            phase: Phase::Live,
            outbound: Some(Box::new(outbound)),
            sends: false,
            installing: None,
        };
        let mut first = alloc::vec![Operation::InstallSa(inbound)];
        if !replaces {
            let policies = child.policies(tunnel);
            first.push(Operation::InstallPolicies(policies));
        }
        (child, first)
    }

    /// The SPI we receive on, which names it.
    pub(super) const fn spi(&self) -> EspSpi {
        self.summary.spi_in
    }

    /// Whether it carries the same traffic as `other`, and so can go on under the
    /// same policies.
    pub(super) fn has_traffic_of(&self, other: &ChildSummary) -> bool {
        self.summary.local == other.local && self.summary.remote == other.remote
    }

    /// What is missing for us to send on it; nothing if nothing is.
    pub(super) fn take_outbound(&mut self, tunnel: Tunnel) -> Option<Operation> {
        let mut outbound = self.outbound.take()?;
        self.sends = true;
        // The peer may have moved since.
        outbound.tunnel = tunnel;
        Some(Operation::InstallSa(*outbound))
    }

    /// Both SAs, as the kernel knows them.
    pub(super) fn names(&self, tunnel: Tunnel) -> [EspSaName; 2] {
        let name = |direction, spi| EspSaName {
            direction,
            spi,
            tunnel,
            lineage: self.lineage,
            binding: self.summary.binding,
        };
        [
            name(Direction::Inbound, self.summary.spi_in),
            name(Direction::Outbound, self.summary.spi_out),
        ]
    }

    /// Those that are ours in the kernel. The SPI we send on is the peer's choice:
    /// what we could not install under it is somebody else's.
    pub(super) fn kept(&self, tunnel: Tunnel) -> impl Iterator<Item = EspSaName> {
        let names = self.names(tunnel).into_iter();
        names.filter(|name| self.sends || name.direction == Direction::Inbound)
    }

    pub(super) fn policies(&self, tunnel: Tunnel) -> Policies {
        Policies {
            lineage: self.lineage,
            tunnel,
            local: self.summary.local.clone(),
            remote: self.summary.remote.clone(),
            binding: self.summary.binding,
        }
    }

    /// What takes it out of the kernel; with its policies if it is the `last` of
    /// its lineage.
    pub(super) fn removal(&self, tunnel: Tunnel, last: bool) -> Vec<Operation> {
        let sas = self.kept(tunnel).map(Operation::RemoveSa);
        let policies = last.then(|| Operation::RemovePolicies(self.policies(tunnel)));
        policies.into_iter().chain(sas).collect()
    }
}

fn limits(cx: &mut Context<'_>, lifetimes: Lifetimes) -> UsageLimits {
    let mut soft = |hard: Option<u64>| hard.map(|hard| soft_limit(cx, hard));
    UsageLimits {
        soft_octets: soft(lifetimes.child_octets),
        hard_octets: lifetimes.child_octets,
        soft_packets: soft(lifetimes.child_packets),
        hard_packets: lifetimes.child_packets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7296 §2.8.1: octet by octet, and what ends first is the lower one.
    #[test]
    fn the_lowest_of_four_nonces_loses() {
        let nonces = |initiator: &[u8], responder: &[u8]| Nonces {
            initiator: initiator.to_vec(),
            responder: responder.to_vec(),
        };
        let (low, high) = (nonces(&[9, 9], &[1, 9]), nonces(&[2, 0], &[8, 8]));
        assert!(low.lose_to(&high) && !high.lose_to(&low));
        let (short, long) = (nonces(&[9], &[3, 4]), nonces(&[3, 4, 0], &[9]));
        assert!(short.lose_to(&long) && !long.lose_to(&short));
    }
}
