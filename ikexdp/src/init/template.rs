//! The configuration that `ikexdp init` writes.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::listed::Listed;
use crate::pki::GatewayName;

/// What the configuration says beside what is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// By what name clients reach the gateway.
    pub name: GatewayName,
    /// The interface that faces them.
    pub interface: String,
    /// Addresses for them.
    pub pools: Vec<IpNet>,
    /// Name servers for them.
    pub dns: Vec<IpAddr>,
}

/// The configuration. The interface is quoted as TOML wants it; all else has no
/// character that needs it.
pub(super) fn configuration(facts: &Facts) -> String {
    let Facts {
        name,
        interface,
        pools,
        dns,
    } = facts;
    let interface = toml::Value::from(interface.as_str());
    let quoted = |value: &dyn std::fmt::Display| format!("\"{value}\"");
    let addresses: Vec<_> = pools.iter().map(|pool| quoted(pool)).collect();
    let addresses = Listed(&addresses);
    let dns = match dns.as_slice() {
        [] => "# dns = [\"192.0.2.53\"]".to_owned(),
        dns => {
            let dns: Vec<_> = dns.iter().map(|server| quoted(server)).collect();
            format!("dns = [{}]", Listed(&dns))
        }
    };
    let services = match pools.iter().find_map(own_address) {
        Some(own) => format!(
            r#"# The gateway's own address among them, for Windows, which asks it what to send through the tunnel. Where the network
# routes theirs back to this host, it should have the address: `ip address add {own}/32 dev lo`.
gateway-addresses = ["{own}"]
dhcp = true
"#
        ),
        None => String::new(),
    };
    format!(
        r#"# The configuration of ikexdp, made by `ikexdp init`: see ikexdp.toml(5) for every key, and run `ikexdp check` after each
# change.

[gateway]
# The interface that faces the clients.
interface = {interface}
# What Linux and Android have, and what Apple's and Windows' clients do if they are told to: the profiles that
# `ikexdp client add` writes tell them.
algorithms = "compatible"

[[pool]]
name = "clients"
# Clients get addresses from here; the network behind the gateway must know the way back to them.
addresses = [{addresses}]
{services}# The name servers that clients learn.
{dns}

[[connection]]
name = "clients"
# Who the gateway is, and how it proves it: by the first certificate that the client can verify. An iPhone that is set up
# by hand can verify the one for RSA alone, and that with `rsa-sha1 = true` in [ike].
local = {{ id = "{name}", certificates = [
    {{ certificate = "pki/gateway-ecdsa.pem", key = "pki/gateway-ecdsa.key" }},
    {{ certificate = "pki/gateway-rsa.pem", key = "pki/gateway-rsa.key" }},
] }}
# Whose certificates clients must have, and which of them count no more.
remote = {{ ca = "pki/ca.pem", crl = ["pki/clients.crl"] }}
pool = "clients"
# What clients reach through the tunnel; this is everything.
local-networks = ["0.0.0.0/0", "::/0"]

# Clients with a password, as `ikexdp client add --eap` makes them.
[[connection]]
name = "users"
local = {{ id = "{name}", certificates = [
    {{ certificate = "pki/gateway-ecdsa.pem", key = "pki/gateway-ecdsa.key" }},
    {{ certificate = "pki/gateway-rsa.pem", key = "pki/gateway-rsa.key" }},
] }}
remote = {{ eap-users = "users.toml" }}
pool = "clients"
local-networks = ["0.0.0.0/0", "::/0"]
"#
    )
}

/// The first address of an IPv4 pool, if it has more.
fn own_address(pool: &IpNet) -> Option<Ipv4Addr> {
    match pool {
        IpNet::V4(pool) if pool.hosts().nth(1).is_some() => pool.hosts().next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_toml_with_what_was_found_out() {
        let facts = Facts {
            name: "vpn.example.com".parse().unwrap(),
            interface: "we\"ird".to_owned(),
            pools: ["10.80.0.0/24", "fd00::/64"]
                .map(|it| it.parse().unwrap())
                .into(),
            dns: vec!["192.0.2.53".parse().unwrap()],
        };
        let table: toml::Table = toml::from_str(&configuration(&facts)).unwrap();
        assert_eq!(table["gateway"]["interface"].as_str(), Some("we\"ird"));
        let pool = &table["pool"][0];
        assert_eq!(pool["addresses"].as_array().unwrap().len(), 2);
        assert_eq!(pool["dns"][0].as_str(), Some("192.0.2.53"));
        assert_eq!(pool["gateway-addresses"][0].as_str(), Some("10.80.0.1"));
        assert_eq!(pool["dhcp"].as_bool(), Some(true));
        let local = &table["connection"][0]["local"];
        assert_eq!(local["id"].as_str(), Some("vpn.example.com"));
        let none = Facts {
            dns: vec![],
            pools: ["10.80.0.7/32", "fd00::/64"]
                .map(|it| it.parse().unwrap())
                .into(),
            ..facts
        };
        let table: toml::Table = toml::from_str(&configuration(&none)).unwrap();
        for absent in ["dns", "dhcp", "gateway-addresses"] {
            assert!(table["pool"][0].get(absent).is_none(), "{absent}");
        }
    }
}
