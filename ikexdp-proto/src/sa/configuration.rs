//! The configuration a peer asks for along with its IKE SA (RFC 7296 §2.19,
//! §3.15).

use alloc::vec::Vec;
use core::net::IpAddr;

use super::Context;
use crate::config::{Connection, RemoteSelectors};
use crate::error::{Error, Unacceptable};
use crate::pool::Lease;
use crate::stats::Stat;
use crate::wire::iana::{ConfigurationAttribute, ConfigurationType};
use crate::wire::payload::configuration::{Attribute, Configuration};

/// What a peer asks to be told.
#[derive(Debug)]
pub(super) struct Asked(Vec<ConfigurationAttribute>);

impl Asked {
    /// What `configuration` asks for; `None` if it is no CFG_REQUEST.
    pub(super) fn new(configuration: &Configuration<'_>) -> Option<Self> {
        let kinds = configuration.attributes.iter();
        let kinds = kinds.map(|attribute| attribute.kind).collect();
        (configuration.kind == ConfigurationType::REQUEST).then_some(Self(kinds))
    }

    fn contains(&self, kind: ConfigurationAttribute) -> bool {
        self.0.contains(&kind)
    }
}

/// Takes addresses from the connection's pool and says so.
pub(super) fn configure(
    cx: &mut Context<'_>,
    connection: &Connection,
    asked: Option<&Asked>,
    wants_child: bool,
) -> Result<Option<(Lease, Configuration<'static>)>, Error> {
    let RemoteSelectors::Pool(pool) = connection.child.remote else {
        return Ok(None);
    };
    let asks_for = |kind| asked.is_some_and(|asked| asked.contains(kind));
    let v4 = asks_for(ConfigurationAttribute::INTERNAL_IP4_ADDRESS);
    let v6 = asks_for(ConfigurationAttribute::INTERNAL_IP6_ADDRESS);
    if !v4 && !v6 {
        // RFC 7296 §2.19: the peer must ask where we insist on assigning.
        return if wants_child {
            Err(Unacceptable::ConfigurationRequired.into())
        } else {
            Ok(None)
        };
    }
    let Some(lease) = cx.pools.lease(pool, v4, v6) else {
        cx.stats.count(Stat::PoolExhausted);
        return Err(Unacceptable::Address.into());
    };
    let dns = cx.config.pools.get(pool).map_or(&[][..], |pool| &pool.dns);
    let servers = dns.iter().copied().map(server);
    let attributes = lease.addresses().map(address);
    let attributes = attributes.chain(servers.filter(|server| asks_for(server.kind)));
    let configuration = Configuration {
        kind: ConfigurationType::REPLY,
        attributes: attributes.collect(),
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

fn server(address: IpAddr) -> Attribute<'static> {
    match address {
        IpAddr::V4(server) => Attribute {
            kind: ConfigurationAttribute::INTERNAL_IP4_DNS,
            value: server.octets().to_vec().into(),
        },
        IpAddr::V6(server) => Attribute {
            kind: ConfigurationAttribute::INTERNAL_IP6_DNS,
            value: server.octets().to_vec().into(),
        },
    }
}
