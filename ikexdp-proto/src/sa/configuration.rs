//! The configuration a peer asks for along with its IKE SA (RFC 7296 §2.19,
//! §3.15; RFC 8598; MS-IKEE).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Context;
use super::negotiate::Guest;
use crate::config::{AddressPool, Connection, RemoteSelectors};
use crate::error::{Error, Unacceptable};
use crate::lease::{Holder, Lease};
use crate::pool::NoAddress;
use crate::prefix::Prefix;
use crate::stats::Stat;
use crate::wire::iana::{ConfigurationAttribute, ConfigurationType};
use crate::wire::payload::configuration::{Attribute, Configuration};

/// What a peer asks to be told.
#[derive(Debug)]
pub(super) struct Asked {
    /// The IPv4 address it would like, unspecified if any will do; `None` if it
    /// wants none.
    v4: Option<IpAddr>,
    /// The same for IPv6.
    v6: Option<IpAddr>,
    /// What else, of what we can tell.
    further: Vec<ConfigurationAttribute>,
}

/// What we can tell along with addresses.
const FURTHER: [ConfigurationAttribute; 7] = [
    ConfigurationAttribute::INTERNAL_IP4_DNS,
    ConfigurationAttribute::INTERNAL_IP6_DNS,
    ConfigurationAttribute::INTERNAL_IP4_SUBNET,
    ConfigurationAttribute::INTERNAL_IP6_SUBNET,
    ConfigurationAttribute::INTERNAL_DNS_DOMAIN,
    ConfigurationAttribute::INTERNAL_IP4_SERVER,
    ConfigurationAttribute::INTERNAL_IP6_SERVER,
];

impl Asked {
    /// What `configuration` asks for; `None` if it is no CFG_REQUEST.
    pub(super) fn new(configuration: &Configuration<'_>) -> Option<Self> {
        let wish = |kind, any: IpAddr| {
            let mut attributes = configuration.attributes.iter();
            let attribute = attributes.find(|attribute| attribute.kind == kind)?;
            Some(attribute.address().unwrap_or(any))
        };
        let asked = Self {
            v4: wish(
                ConfigurationAttribute::INTERNAL_IP4_ADDRESS,
                Ipv4Addr::UNSPECIFIED.into(),
            ),
            v6: wish(
                ConfigurationAttribute::INTERNAL_IP6_ADDRESS,
                Ipv6Addr::UNSPECIFIED.into(),
            ),
            further: FURTHER
                .into_iter()
                .filter(|kind| configuration.has(*kind))
                .collect(),
        };
        (configuration.kind == ConfigurationType::REQUEST).then_some(asked)
    }

    fn has(&self, kind: ConfigurationAttribute) -> bool {
        self.further.contains(&kind)
    }
}

/// Takes addresses for a peer from the connection's pool, or those that it must
/// have, and says so along with what else it asked for.
pub(super) fn configure(
    cx: &mut Context<'_>,
    guest: &Guest<'_>,
    asked: Option<&Asked>,
    wants_child: bool,
) -> Result<Option<(Lease, Configuration<'static>)>, Error> {
    let connection = guest.connection;
    let RemoteSelectors::Pool(name) = &connection.child.remote else {
        return Ok(None);
    };
    let Some(asked) = asked.filter(|asked| asked.v4.or(asked.v6).is_some()) else {
        // RFC 7296 §2.19: the peer must ask where we insist on assigning.
        return if wants_child {
            Err(Unacceptable::ConfigurationRequired.into())
        } else {
            Ok(None)
        };
    };
    let lease = lease(cx, name, guest, asked)?;
    let pool = cx.config.pool(name);
    let mut attributes: Vec<_> = lease.addresses().map(address).collect();
    attributes.extend(pool.into_iter().flat_map(|pool| names(pool, asked)));
    attributes.extend(subnets(connection, asked));
    attributes.extend(pool.into_iter().flat_map(|pool| ourselves(pool, asked)));
    let configuration = Configuration {
        kind: ConfigurationType::REPLY,
        attributes,
    };
    Ok(Some((lease, configuration)))
}

/// One address of one family is better than none: INTERNAL_ADDRESS_FAILURE is
/// for those who get nothing at all (RFC 7296 §3.15.4).
fn lease(
    cx: &mut Context<'_>,
    pool: &str,
    guest: &Guest<'_>,
    asked: &Asked,
) -> Result<Lease, Error> {
    let holder = Holder::of(&guest.connection.name, guest.peer);
    let mut exhausted = false;
    let mut take = |wanted: IpAddr| {
        let mut fixed = guest.addresses.iter().copied();
        let fixed = fixed.find(|address| address.is_ipv4() == wanted.is_ipv4());
        let taken = match fixed {
            Some(address) => cx.pools.reserve(holder, address),
            None => cx.pools.lease(pool, holder, wanted),
        };
        exhausted |= taken == Err(NoAddress::Exhausted);
        taken.ok()
    };
    let lease = Lease {
        v4: asked.v4.and_then(&mut take),
        v6: asked.v6.and_then(&mut take),
    };
    let is_empty = lease.addresses().next().is_none();
    if exhausted || is_empty {
        cx.stats.count(Stat::PoolExhausted);
    }
    if is_empty {
        return Err(Unacceptable::Address.into());
    }
    Ok(lease)
}

/// Name servers, and the domains they are for; those are of no use without.
fn names(pool: &AddressPool, asked: &Asked) -> Vec<Attribute<'static>> {
    let servers = pool.dns.iter().copied().map(server);
    let mut attributes: Vec<_> = servers.filter(|server| asked.has(server.kind)).collect();
    let kind = ConfigurationAttribute::INTERNAL_DNS_DOMAIN;
    if asked.has(kind) && !attributes.is_empty() {
        attributes.extend(pool.domains.iter().map(|domain| Attribute {
            kind,
            value: domain.as_bytes().to_vec().into(),
        }));
    }
    attributes
}

/// What lies behind us, for peers that route by it.
fn subnets(connection: &Connection, asked: &Asked) -> Vec<Attribute<'static>> {
    let selectors = connection.child.local.iter();
    let prefixes = selectors.flat_map(|selector| Prefix::cover(selector.start, selector.end));
    let subnets = prefixes.map(subnet);
    subnets.filter(|subnet| asked.has(subnet.kind)).collect()
}

/// Our own addresses in the tunnel, which Windows asks for.
fn ourselves(pool: &AddressPool, asked: &Asked) -> Vec<Attribute<'static>> {
    let addresses = pool.gateway.iter().map(|address| {
        bare(
            *address,
            ConfigurationAttribute::INTERNAL_IP4_SERVER,
            ConfigurationAttribute::INTERNAL_IP6_SERVER,
        )
    });
    addresses.filter(|it| asked.has(it.kind)).collect()
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

fn server(address: IpAddr) -> Attribute<'static> {
    bare(
        address,
        ConfigurationAttribute::INTERNAL_IP4_DNS,
        ConfigurationAttribute::INTERNAL_IP6_DNS,
    )
}

/// An attribute that is an address and nothing else, by the kind of its family.
fn bare(
    address: IpAddr,
    v4: ConfigurationAttribute,
    v6: ConfigurationAttribute,
) -> Attribute<'static> {
    match address {
        IpAddr::V4(address) => Attribute {
            kind: v4,
            value: address.octets().to_vec().into(),
        },
        IpAddr::V6(address) => Attribute {
            kind: v6,
            value: address.octets().to_vec().into(),
        },
    }
}

fn subnet(prefix: Prefix) -> Attribute<'static> {
    match prefix.network {
        IpAddr::V4(network) => {
            let mut value = network.octets().to_vec();
            value.extend(prefix.netmask().to_be_bytes());
            Attribute {
                kind: ConfigurationAttribute::INTERNAL_IP4_SUBNET,
                value: value.into(),
            }
        }
        IpAddr::V6(network) => {
            let mut value = network.octets().to_vec();
            value.push(prefix.length);
            Attribute {
                kind: ConfigurationAttribute::INTERNAL_IP6_SUBNET,
                value: value.into(),
            }
        }
    }
}
