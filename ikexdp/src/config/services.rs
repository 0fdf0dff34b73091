//! What the gateway itself has for clients in the tunnel: its own address there, and
//! DHCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ikexdp_proto::config::{self, AddressPool, RemoteSelectors};
use ikexdp_proto::wire::payload::ts::TrafficSelector;

use super::caution::Caution;
use super::context::Context;
use super::fault::Fault;
use super::file::{Connection, Pool, Text};
use super::networks::PlacedPool;
use super::problem::Key;
use super::settings::DataPlane;
use crate::dhcp::Scope;

/// The gateway's own addresses: `pool` gives none of them.
pub(super) fn gateway_addresses(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &Pool,
    pool: &mut AddressPool,
) {
    let key = key.at("gateway-addresses");
    for text in &table.gateway_addresses {
        match gateway_address(text, pool) {
            Ok(address) => pool.gateway.push(address),
            Err(fault) => {
                cx.problems.fault::<()>(&key, text.span(), fault);
            }
        }
    }
}

fn gateway_address(text: &Text, pool: &mut AddressPool) -> Result<IpAddr, Fault> {
    let value = text.get_ref();
    let Ok(address) = value.parse::<IpAddr>() else {
        let value = value.clone();
        return Err(Fault::Address { value });
    };
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_broadcast {
        return Err(Fault::NoHost { value: address });
    }
    let mut known = pool.gateway.iter();
    if known.any(|known| known.is_ipv4() == address.is_ipv4()) {
        return Err(Fault::SecondAddress { value: address });
    }
    match address {
        IpAddr::V4(it) => leave_out(&mut pool.v4, it, |first| {
            first.to_bits().checked_add(1).map(Ipv4Addr::from_bits)
        }),
        IpAddr::V6(it) => leave_out(&mut pool.v6, it, |first| {
            first.to_bits().checked_add(1).map(Ipv6Addr::from_bits)
        }),
    }
    if gives(pool, address) {
        return Err(Fault::GivenToClients { value: address });
    }
    Ok(address)
}

/// Has a range begin behind its first address if that is `address`, and it is not the
/// only one.
fn leave_out<T: Copy + PartialEq>(
    range: &mut Option<(T, T)>,
    address: T,
    behind: impl Fn(T) -> Option<T>,
) {
    if let Some((first, last)) = range
        && *first == address
        && *first != *last
        && let Some(next) = behind(address)
    {
        *first = next;
    }
}

/// Whether a client could get `address`.
fn gives(pool: &AddressPool, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => pool
            .v4
            .is_some_and(|(first, last)| first <= it && it <= last),
        IpAddr::V6(it) => pool
            .v6
            .is_some_and(|(first, last)| first <= it && it <= last),
    }
}

/// Notes the gateway's addresses that another pool gives to clients.
pub(super) fn compare(cx: &mut Context<'_>, pools: &[PlacedPool]) {
    for placed in pools {
        for address in &placed.pool.gateway {
            let others = pools.iter().filter(|other| !std::ptr::eq(*other, placed));
            if others.clone().any(|other| gives(&other.pool, *address)) {
                let key = Key::named("pool", &placed.pool.name).at("gateway-addresses");
                let fault = Fault::GivenToClients { value: *address };
                cx.problems.fault::<()>(&key, placed.span.clone(), fault);
            }
        }
    }
}

/// Whether clients of `pool` are answered by DHCP.
pub(super) fn dhcp(cx: &mut Context<'_>, key: &Key<'_>, table: &Pool, pool: &AddressPool) -> bool {
    let Some(switch) = table.dhcp.as_ref().filter(|switch| *switch.get_ref()) else {
        return false;
    };
    if own_v4(pool).is_none() {
        let fault = Fault::DhcpNeedsAddress;
        cx.problems
            .fault::<()>(&key.at("dhcp"), switch.span(), fault);
    }
    true
}

/// Notes what would have a question in the clear taken for a client's: a policy that
/// is bound lets every packet pass that is not, on every other interface.
pub(super) fn refuse_bound(cx: &mut Context<'_>, key: &Key<'_>, table: &Connection) {
    let if_id = table.if_id.as_ref().map(|it| ("if-id", it.span()));
    let mark = table.mark.as_ref().map(|it| ("mark", it.span()));
    for (name, span) in if_id.into_iter().chain(mark) {
        cx.problems
            .fault::<()>(&key.at(name), span, Fault::BoundDhcp);
    }
}

/// Where clients of `pool` reach what the gateway answers by DHCP: they ask
/// everybody, and know who answers by its address.
pub(super) fn services(pool: &PlacedPool) -> Vec<TrafficSelector> {
    let own = own_v4(&pool.pool).filter(|_| pool.dhcp);
    let services = own.map(|own| [Ipv4Addr::BROADCAST, own]);
    let addresses = services.into_iter().flatten();
    addresses
        .map(|address| TrafficSelector::host(address.into()))
        .collect()
}

/// What is answered by DHCP, and to whom; whether a daemon does so depends on the data
/// plane that it was started with, which need not be that of this file.
pub(super) fn scopes(
    cx: &mut Context<'_>,
    connections: &[Arc<config::Connection>],
    pools: &[PlacedPool],
    data_plane: DataPlane,
) -> Vec<Scope> {
    let asked = pools.iter().filter(|placed| placed.dhcp);
    if data_plane == DataPlane::None {
        for placed in asked.clone() {
            let key = Key::named("pool", &placed.pool.name).at("dhcp");
            cx.problems
                .caution(&key, placed.span.clone(), Caution::OnlyXfrm);
        }
    }
    let scopes = connections.iter().filter_map(|connection| {
        let RemoteSelectors::Pool(name) = &connection.child.remote else {
            return None;
        };
        let placed = asked.clone().find(|placed| placed.pool.name == *name)?;
        let v4 = |address: &IpAddr| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        };
        Some(Scope {
            connection: connection.name.clone(),
            gateway: own_v4(&placed.pool)?,
            name_servers: placed.pool.dns.iter().filter_map(v4).collect(),
            domains: placed.pool.domains.clone(),
        })
    });
    scopes.collect()
}

fn own_v4(pool: &AddressPool) -> Option<Ipv4Addr> {
    pool.gateway.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}
