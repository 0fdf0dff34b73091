//! What a CHILD SA is to be (RFC 7296 §2.7, §2.9), and what goes with the first.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::Context;
use super::configuration::{Asked, configure};
use super::proposal::{Pfs, choose_esp, chosen_esp, esp_mismatch};
use super::selector::narrow;
use crate::config::{ChildConfig, Connection, RemoteSelectors};
use crate::crypto::kex::Group;
use crate::error::{Error, Unacceptable};
use crate::event::ChildSummary;
use crate::identity::Identity;
use crate::lease::Lease;
use crate::message::child::{ChildPayloads, Selectors};
use crate::stats::Stat;
use crate::types::EspSpi;
use crate::wire::payload::configuration::Configuration;
use crate::wire::payload::ts::TrafficSelector;

/// What a peer wants along with its IKE SA.
#[derive(Debug)]
pub(super) struct ChildOffer {
    /// What it asks to be told; nothing if it sent no CFG_REQUEST.
    asked: Option<Asked>,
    /// The CHILD SA; none in a childless exchange.
    payloads: Option<ChildPayloads>,
}

/// What it gets.
#[derive(Debug, Default)]
pub(super) struct ChildAnswer {
    pub(super) configuration: Option<Configuration<'static>>,
    pub(super) lease: Option<Lease>,
    pub(super) child: Option<Negotiated>,
    /// Why there is no CHILD SA.
    pub(super) refusal: Option<Error>,
}

/// A CHILD SA that a peer offered, narrowed to what it gets.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub(super) summary: ChildSummary,
    /// The group of its own key exchange, if it has one.
    pub(super) group: Option<Group>,
    pub(super) payloads: ChildPayloads,
}

/// The two ends of what a CHILD SA may carry.
pub(super) struct Ends<'a> {
    pub(super) child: &'a ChildConfig,
    /// Addresses of a pool of ours, for the peer.
    pub(super) lease: Option<&'a Lease>,
    /// Addresses from the peer, for us.
    pub(super) assigned: &'a [IpAddr],
    /// Whether the peer says that it is Windows.
    pub(super) is_windows: bool,
}

impl ChildOffer {
    pub(super) fn new(
        configuration: Option<&Configuration<'_>>,
        payloads: Option<ChildPayloads>,
    ) -> Self {
        let asked = configuration.and_then(Asked::new);
        Self { asked, payloads }
    }
}

/// A peer that is let in.
pub(super) struct Guest<'a> {
    pub(super) connection: &'a Connection,
    pub(super) peer: &'a Identity,
    /// Addresses that it must have.
    pub(super) addresses: &'a [IpAddr],
    /// Whether it says that it is Windows.
    pub(super) is_windows: bool,
}

/// Gives a peer what its connection has for it. A refusal concerns the CHILD SA
/// only: the IKE SA stands (RFC 7296 §2.21.2).
pub(super) fn answer(cx: &mut Context<'_>, guest: &Guest<'_>, offer: ChildOffer) -> ChildAnswer {
    let mut answer = ChildAnswer::default();
    let wants_child = offer.payloads.is_some();
    match configure(cx, guest, offer.asked.as_ref(), wants_child) {
        Ok(Some((lease, configuration))) => {
            answer.lease = Some(lease);
            answer.configuration = Some(configuration);
        }
        Ok(None) => {}
        Err(error) => return answer.refuse(cx, error),
    }
    let Some(payloads) = offer.payloads else {
        return answer;
    };
    let ends = Ends {
        child: &guest.connection.child,
        lease: answer.lease.as_ref(),
        assigned: &[],
        is_windows: guest.is_windows,
    };
    match negotiate(cx, &ends, &payloads, Pfs::Never) {
        Ok(child) => {
            answer.child = Some(child);
            answer
        }
        Err(error) => answer.refuse(cx, error),
    }
}

impl ChildAnswer {
    /// Without a CHILD SA an address is of no use.
    pub(super) fn refuse(mut self, cx: &mut Context<'_>, error: Error) -> Self {
        cx.stats.count(Stat::ChildRefused);
        self.give_back(cx);
        Self {
            refusal: Some(error),
            ..Self::default()
        }
    }

    /// Nothing of it is needed.
    pub(super) fn give_back(&mut self, cx: &mut Context<'_>) {
        if let Some(child) = self.child.take() {
            cx.inbound.release(child.summary.spi_in);
        }
        if let Some(lease) = self.lease.take() {
            cx.pools.release(&lease);
        }
    }
}

/// Narrows the peer's offer to what is allowed between `ends`.
pub(super) fn negotiate(
    cx: &mut Context<'_>,
    ends: &Ends<'_>,
    offer: &ChildPayloads,
    pfs: Pfs<'_>,
) -> Result<Negotiated, Error> {
    let chosen = choose_esp(&offer.proposals, &ends.child.esp, pfs)
        .ok_or_else(|| esp_mismatch(&offer.proposals, &ends.child.esp, pfs, ends.is_windows))?;
    if let (Some(group), Pfs::Allowed { sent, .. }) = (chosen.group, pfs)
        && sent != Some(group.id())
    {
        return Err(Unacceptable::Group(group).into());
    }
    let offered = assigned(&offer.selectors.initiator, ends.lease);
    let narrowed = [
        narrow(&offered, &ends.remote()),
        narrow(&offer.selectors.responder, &ends.local()),
    ];
    let more = narrowed.iter().any(|narrowed| narrowed.more);
    let [remote, local] = narrowed.map(|narrowed| narrowed.selectors);
    if remote.is_empty() || local.is_empty() {
        return Err(Unacceptable::Selectors.into());
    }
    let spi_in = cx.esp_spi();
    Ok(Negotiated {
        summary: ChildSummary {
            spi_in,
            spi_out: chosen.spi,
            suite: chosen.suite,
            local: local.clone(),
            remote: remote.clone(),
            binding: ends.child.binding,
        },
        group: chosen.group,
        payloads: ChildPayloads {
            proposals: alloc::vec![chosen_esp(&chosen, spi_in)],
            selectors: Selectors {
                initiator: remote,
                responder: local,
                more,
            },
        },
    })
}

/// The CHILD SA of a peer's answer, if it is one that we offered to receive on
/// `spi_in`; `group` is that of our KE payload.
pub(super) fn accept(
    child: &ChildConfig,
    offered: &ChildPayloads,
    answer: &ChildPayloads,
    spi_in: EspSpi,
    group: Option<Group>,
) -> Result<ChildSummary, Error> {
    let groups = group.as_slice();
    let sent = group.map(Group::id);
    let pfs = match group {
        Some(_) => Pfs::Allowed { groups, sent },
        None => Pfs::Never,
    };
    let chosen = choose_esp(&answer.proposals, &child.esp, pfs)
        .filter(|chosen| chosen.group == group && answer.proposals.len() == 1)
        .ok_or(Error::Unacceptable(Unacceptable::Proposal))?;
    let narrowed = |answer: &[TrafficSelector], offered: &[TrafficSelector]| {
        !answer.is_empty() && narrow(answer, offered).selectors == answer
    };
    let (offered, answered) = (&offered.selectors, &answer.selectors);
    if !narrowed(&answered.initiator, &offered.initiator)
        || !narrowed(&answered.responder, &offered.responder)
    {
        return Err(Unacceptable::Selectors.into());
    }
    Ok(ChildSummary {
        spi_in,
        spi_out: chosen.spi,
        suite: chosen.suite,
        local: answered.initiator.clone(),
        remote: answered.responder.clone(),
        binding: child.binding,
    })
}

/// With the address of `lease` where a peer that has none yet writes the
/// unspecified one for it, as OpenIKED does.
fn assigned(offered: &[TrafficSelector], lease: Option<&Lease>) -> Vec<TrafficSelector> {
    let address = |selector: &TrafficSelector| {
        let unspecified = selector.start.is_unspecified() && selector.start == selector.end;
        let mut addresses = lease.filter(|_| unspecified)?.addresses();
        addresses.find(|address| address.is_ipv4() == selector.start.is_ipv4())
    };
    let offered = offered.iter().map(|selector| match address(selector) {
        Some(address) => TrafficSelector {
            start: address,
            end: address,
            ..*selector
        },
        None => *selector,
    });
    offered.collect()
}

impl Ends<'_> {
    /// What may lie behind the peer.
    pub(super) fn remote(&self) -> Vec<TrafficSelector> {
        match &self.child.remote {
            RemoteSelectors::Fixed(selectors) => selectors.clone(),
            RemoteSelectors::Pool(_) => hosts(self.lease.into_iter().flat_map(Lease::addresses)),
        }
    }

    /// What may lie behind us.
    pub(super) fn local(&self) -> Vec<TrafficSelector> {
        if self.child.request_addresses {
            hosts(self.assigned.iter().copied())
        } else {
            [&*self.child.local, &self.child.services].concat()
        }
    }
}

fn hosts(addresses: impl Iterator<Item = IpAddr>) -> Vec<TrafficSelector> {
    addresses.map(TrafficSelector::host).collect()
}
