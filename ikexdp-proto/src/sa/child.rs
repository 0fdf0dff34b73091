//! CHILD SAs, and what goes with the first (RFC 7296 §2.9).

use alloc::vec::Vec;

use super::Context;
use super::configuration::{Asked, configure};
use super::proposal::{choose_esp, chosen_esp};
use super::selector::narrow;
use crate::config::{Connection, RemoteSelectors};
use crate::error::{Error, ErrorNotify, Unacceptable};
use crate::event::ChildSummary;
use crate::identity::Identity;
use crate::lease::Lease;
use crate::message::child::ChildPayloads;
use crate::stats::Stat;
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
#[derive(Debug)]
pub(super) struct ChildAnswer {
    pub(super) configuration: Option<Configuration<'static>>,
    pub(super) payloads: Result<Option<ChildPayloads>, ErrorNotify>,
    pub(super) lease: Option<Lease>,
    pub(super) child: Option<ChildSummary>,
    /// Why there is no CHILD SA.
    pub(super) refusal: Option<Error>,
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

/// Gives a peer what `connection` has for it. A refusal concerns the CHILD SA
/// only: the IKE SA stands (RFC 7296 §2.21.2).
pub(super) fn answer(
    cx: &mut Context<'_>,
    connection: &Connection,
    peer: &Identity,
    offer: ChildOffer,
) -> ChildAnswer {
    let mut answer = ChildAnswer {
        configuration: None,
        payloads: Ok(None),
        lease: None,
        child: None,
        refusal: None,
    };
    let wants_child = offer.payloads.is_some();
    match configure(cx, connection, peer, offer.asked.as_ref(), wants_child) {
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
    match negotiate(cx, connection, &payloads, answer.lease.as_ref()) {
        Ok((child, payloads)) => {
            answer.child = Some(child);
            answer.payloads = Ok(Some(payloads));
            answer
        }
        Err(error) => answer.refuse(cx, error),
    }
}

impl ChildAnswer {
    /// Without a CHILD SA an address is of no use.
    fn refuse(mut self, cx: &mut Context<'_>, error: Error) -> Self {
        cx.stats.count(Stat::ChildRefused);
        if let Some(lease) = self.lease.take() {
            cx.pools.release(&lease);
        }
        self.configuration = None;
        if let Some(notify) = error.notify() {
            self.payloads = Err(notify);
        }
        self.refusal = Some(error);
        self
    }
}

fn negotiate(
    cx: &mut Context<'_>,
    connection: &Connection,
    offer: &ChildPayloads,
    lease: Option<&Lease>,
) -> Result<(ChildSummary, ChildPayloads), Error> {
    let (chosen, spi_out) = choose_esp(&offer.proposals, &connection.child.esp)
        .ok_or(Error::Unacceptable(Unacceptable::Proposal))?;
    let offered = assigned(&offer.initiator, lease);
    let remote = narrow(&offered, &remote_selectors(connection, lease));
    let local = narrow(&offer.responder, &connection.child.local);
    if remote.is_empty() || local.is_empty() {
        return Err(Unacceptable::Selectors.into());
    }
    let spi_in = cx.esp_spi();
    let child = ChildSummary {
        spi_in,
        spi_out,
        suite: chosen.suite,
        local: local.clone(),
        remote: remote.clone(),
    };
    let payloads = ChildPayloads {
        proposals: alloc::vec![chosen_esp(&chosen, spi_in)],
        initiator: remote,
        responder: local,
    };
    Ok((child, payloads))
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

fn remote_selectors(connection: &Connection, lease: Option<&Lease>) -> Vec<TrafficSelector> {
    match &connection.child.remote {
        RemoteSelectors::Fixed(selectors) => selectors.clone(),
        RemoteSelectors::Pool(_) => lease
            .into_iter()
            .flat_map(Lease::addresses)
            .map(TrafficSelector::host)
            .collect(),
    }
}
