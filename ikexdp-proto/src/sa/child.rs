//! CHILD SAs, and the configuration that goes with the first (RFC 7296 §2.9,
//! §2.19, §3.15).

use alloc::vec::Vec;
use core::net::IpAddr;

use super::Context;
use super::proposal::{choose_esp, chosen_esp};
use super::selector::narrow;
use crate::config::{Connection, RemoteSelectors};
use crate::error::{Error, ErrorNotify, Unacceptable};
use crate::event::ChildSummary;
use crate::message::child::ChildPayloads;
use crate::pool::Lease;
use crate::stats::Stat;
use crate::wire::iana::{ConfigurationAttribute, ConfigurationType};
use crate::wire::payload::configuration::{Attribute, Configuration};
use crate::wire::payload::ts::TrafficSelector;

/// What a peer wants along with its IKE SA.
#[derive(Debug)]
pub(super) struct ChildOffer {
    /// What it asks to be told; nothing if it sent no CFG_REQUEST.
    asked: Option<Vec<ConfigurationAttribute>>,
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
        let request = configuration.filter(|cp| cp.kind == ConfigurationType::REQUEST);
        let asked = request.map(|cp| {
            cp.attributes
                .iter()
                .map(|attribute| attribute.kind)
                .collect()
        });
        Self { asked, payloads }
    }

    fn asks_for(&self, kind: ConfigurationAttribute) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|asked| asked.contains(&kind))
    }
}

/// Gives a peer what `connection` has for it. A refusal concerns the CHILD SA
/// only: the IKE SA stands (RFC 7296 §2.21.2).
pub(super) fn answer(
    cx: &mut Context<'_>,
    connection: &Connection,
    offer: ChildOffer,
) -> ChildAnswer {
    let mut answer = ChildAnswer {
        configuration: None,
        payloads: Ok(None),
        lease: None,
        child: None,
        refusal: None,
    };
    match configure(cx, connection, &offer) {
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

/// Takes addresses from the connection's pool and says so.
fn configure(
    cx: &mut Context<'_>,
    connection: &Connection,
    offer: &ChildOffer,
) -> Result<Option<(Lease, Configuration<'static>)>, Error> {
    let RemoteSelectors::Pool(pool) = connection.child.remote else {
        return Ok(None);
    };
    let v4 = offer.asks_for(ConfigurationAttribute::INTERNAL_IP4_ADDRESS);
    let v6 = offer.asks_for(ConfigurationAttribute::INTERNAL_IP6_ADDRESS);
    if !v4 && !v6 {
        // RFC 7296 §2.19: the peer must ask where we insist on assigning.
        return match offer.payloads {
            Some(_) => Err(Unacceptable::ConfigurationRequired.into()),
            None => Ok(None),
        };
    }
    let Some(lease) = cx.pools.lease(pool, v4, v6) else {
        cx.stats.count(Stat::PoolExhausted);
        return Err(Unacceptable::Address.into());
    };
    let dns = cx.config.pools.get(pool).map_or(&[][..], |pool| &pool.dns);
    let mut attributes: Vec<Attribute<'static>> = lease.addresses().map(address).collect();
    for server in dns {
        let (kind, octets) = match server {
            IpAddr::V4(server) => (
                ConfigurationAttribute::INTERNAL_IP4_DNS,
                server.octets().to_vec(),
            ),
            IpAddr::V6(server) => (
                ConfigurationAttribute::INTERNAL_IP6_DNS,
                server.octets().to_vec(),
            ),
        };
        if offer.asks_for(kind) {
            attributes.push(Attribute {
                kind,
                value: octets.into(),
            });
        }
    }
    let configuration = Configuration {
        kind: ConfigurationType::REPLY,
        attributes,
    };
    Ok(Some((lease, configuration)))
}

fn address(address: IpAddr) -> Attribute<'static> {
    match address {
        IpAddr::V4(address) => Attribute {
            kind: ConfigurationAttribute::INTERNAL_IP4_ADDRESS,
            value: address.octets().to_vec().into(),
        },
        IpAddr::V6(address) => {
            // The prefix length follows: the client owns the one address.
            let mut value = address.octets().to_vec();
            value.push(128);
            Attribute {
                kind: ConfigurationAttribute::INTERNAL_IP6_ADDRESS,
                value: value.into(),
            }
        }
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
