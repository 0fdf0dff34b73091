//! Connections: who may come, and what they get.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ikexdp_proto::config::{ChildConfig, Connection, RemoteSelectors};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ipnet::IpNet;
use toml::Spanned;

use super::algorithms;
use super::binding::binding;
use super::caution::Caution;
use super::context::Context;
use super::credential::{Proof, requirement};
use super::eap::Ourselves;
use super::fault::Fault;
use super::file::{self, Text, Texts};
use super::lifetimes::{lifetimes, uniqueness};
use super::local::{OwnProof, credential};
use super::networks::{PlacedPool, selectors};
use super::problem::Key;
use super::services::{refuse_bound, services};
use crate::radius::Radius;

/// How both sides of a connection prove who they are, for people.
#[derive(Clone, Debug)]
pub struct Proofs {
    /// What we show.
    pub local: OwnProof,
    /// What the peer must show.
    pub remote: Proof,
}

/// Reads every connection.
pub(super) fn connections(
    cx: &mut Context<'_>,
    tables: &[Spanned<file::Connection>],
    pools: &[PlacedPool],
    radius: &[Arc<Radius>],
    profile: Profile,
) -> Vec<(Arc<Connection>, Proofs)> {
    let mut names: Vec<&str> = Vec::with_capacity(tables.len());
    let mut connections = Vec::with_capacity(tables.len());
    for table in tables.iter().map(Spanned::get_ref) {
        let name = table.name.get_ref();
        let key = Key::named("connection", name);
        cx.take_name(&mut names, &key, &table.name);
        connections.extend(connection(cx, &key, table, pools, radius, profile));
    }
    if tables.is_empty() {
        cx.problems
            .fault::<()>(&Key::of("connection"), 0..0, Fault::NoConnection);
    }
    for table in radius {
        let settings = table.settings();
        let named = |connection: &Spanned<file::Connection>| {
            let remote = connection.get_ref().remote.get_ref();
            let name = remote.eap_radius.as_ref();
            name.is_some_and(|name| *name.get_ref() == settings.name)
        };
        if !tables.iter().any(named) {
            let key = Key::named("radius", &settings.name);
            cx.problems.caution(&key, 0..0, Caution::UnusedRadius);
        }
    }
    for pool in pools {
        let named = |table: &Spanned<file::Connection>| {
            let pool_of_table = table.get_ref().pool.as_ref();
            pool_of_table.is_some_and(|name| *name.get_ref() == pool.pool.name)
        };
        if !tables.iter().any(named) {
            let key = Key::named("pool", &pool.pool.name);
            let span = pool.span.clone();
            cx.problems.caution(&key, span, Caution::UnusedPool);
        }
    }
    connections
}

fn connection(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Connection,
    pools: &[PlacedPool],
    radius: &[Arc<Radius>],
    profile: Profile,
) -> Option<(Arc<Connection>, Proofs)> {
    let local_id = identity(cx, &key.at("local.id"), &table.local.get_ref().id);
    let credential = credential(cx, key, &table.local, local_id.as_ref());
    let patterns = patterns(
        cx,
        &key.at("remote.ids"),
        table.remote.get_ref().ids.as_ref(),
    );
    let ourselves = Ourselves {
        local: &table.local,
        identity: local_id.as_ref(),
        credential: credential.as_ref().map(|(credential, _)| credential),
        radius,
    };
    let requirement = requirement(cx, key, &table.remote, &ourselves);
    let esp = algorithms::esp(cx, key, &table.esp, profile);
    let local = match &table.local_networks {
        Some(networks) => selectors(cx, &key.at("local-networks"), networks),
        None => Some(everything()),
    };
    let remote = remote_selectors(cx, key, table, pools);
    let pool = table.pool.as_ref().map(Spanned::get_ref);
    let pool = pools.iter().find(|placed| pool == Some(&placed.pool.name));
    let binding = binding(cx, key, table);
    if pool.is_some_and(|pool| pool.dhcp) {
        refuse_bound(cx, key, table);
    }
    let lifetimes = lifetimes(cx, key, table);
    let uniqueness = uniqueness(cx, key, table.uniqueness.as_ref());
    let (credential, local_proof) = credential?;
    let (requirement, remote_proof) = requirement?;
    let connection = Connection {
        name: table.name.get_ref().clone(),
        local_identity: local_id?,
        credential,
        remote_identities: patterns?,
        requirement,
        child: ChildConfig {
            esp: esp?,
            local: local?,
            services: pool.map(services).unwrap_or_default(),
            remote: remote?,
            // The daemon answers; nothing here begins a handshake.
            request_addresses: false,
            childless: false,
            binding: binding?,
        },
        lifetimes: lifetimes?,
        uniqueness: uniqueness?,
    };
    let proofs = Proofs {
        local: local_proof,
        remote: remote_proof,
    };
    Some((Arc::new(connection), proofs))
}

fn identity(cx: &mut Context<'_>, key: &Key<'_>, text: &Text) -> Option<Identity> {
    match text.get_ref().parse() {
        Ok(identity) => Some(identity),
        Err(source) => {
            let value = text.get_ref().clone();
            let fault = Fault::Identity { value, source };
            cx.problems.fault(key, text.span(), fault)
        }
    }
}

/// Who the peer may be; anybody who proves it if the file does not say.
fn patterns(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    texts: Option<&Texts>,
) -> Option<Vec<IdentityPattern>> {
    let Some(texts) = texts else {
        return Some(vec![IdentityPattern::Any]);
    };
    if texts.get_ref().is_empty() {
        let example = "ids = [\"*\"]";
        return cx
            .problems
            .fault(key, texts.span(), Fault::Empty { example });
    }
    // Every wrong identity is reported, not only the first.
    let patterns: Vec<_> = texts
        .get_ref()
        .iter()
        .map(|text| pattern(cx, key, text))
        .collect();
    patterns.into_iter().collect()
}

fn pattern(cx: &mut Context<'_>, key: &Key<'_>, text: &Text) -> Option<IdentityPattern> {
    let value = text.get_ref();
    // What has no star and is no network is one identity.
    let is_network = value.parse::<IpNet>().is_ok();
    if !value.contains('*') && !is_network {
        return identity(cx, key, text).map(IdentityPattern::Exactly);
    }
    value.parse().ok().or_else(|| {
        let value = value.clone();
        cx.problems
            .fault(key, text.span(), Fault::Pattern { value })
    })
}

fn remote_selectors(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Connection,
    pools: &[PlacedPool],
) -> Option<RemoteSelectors> {
    match (&table.pool, &table.remote_networks) {
        (Some(pool), None) => {
            let name = pool.get_ref();
            let known: Vec<_> = pools.iter().map(|it| it.pool.name.as_str()).collect();
            if known.contains(&name.as_str()) {
                return Some(RemoteSelectors::Pool(name.clone()));
            }
            let fault = Fault::UnknownPool {
                name: name.clone(),
                known: known.join(", "),
            };
            cx.problems.fault(&key.at("pool"), pool.span(), fault)
        }
        (None, Some(networks)) => {
            selectors(cx, &key.at("remote-networks"), networks).map(RemoteSelectors::Fixed)
        }
        (Some(pool), Some(_)) => {
            let other = "remote-networks";
            let fault = Fault::Both { other };
            cx.problems.fault(&key.at("pool"), pool.span(), fault)
        }
        (None, None) => {
            let example = "pool = \"staff\"";
            let fault = Fault::Missing { example };
            cx.problems.fault(&key.at("pool"), table.name.span(), fault)
        }
    }
}

fn everything() -> Vec<TrafficSelector> {
    const V4: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    const V6: (Ipv6Addr, Ipv6Addr) = (Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX));
    vec![
        TrafficSelector::addresses(IpAddr::V4(V4.0), IpAddr::V4(V4.1)),
        TrafficSelector::addresses(IpAddr::V6(V6.0), IpAddr::V6(V6.1)),
    ]
}
