//! The name of this host, and the name servers it uses.

use std::net::IpAddr;

use crate::pki::GatewayName;

/// Top-level names that no client elsewhere resolves (RFC 6761, RFC 6762, RFC 8375,
/// RFC 9476, and what networks at home and in clouds use).
const LOCAL: [&str; 14] = [
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "test",
];

/// The full name of a host that calls itself `hostname`, if others may know it too:
/// the name itself, or what `hosts` (hosts(5)) says it is in full.
pub(super) fn public_name(hostname: &str, hosts: &str) -> Option<GatewayName> {
    let in_full = hosts.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut names = line.split_whitespace().skip(1);
        let first = names.next()?;
        let is_ours = first == hostname || names.any(|name| name == hostname);
        is_ours.then_some(first)
    });
    let candidates = [Some(hostname), in_full];
    candidates.into_iter().flatten().find_map(|name| {
        let top = name.rsplit_once('.')?.1.to_ascii_lowercase();
        let name: GatewayName = name.parse().ok()?;
        let is_public = name.host().is_some() && !LOCAL.contains(&top.as_str());
        is_public.then_some(name)
    })
}

/// The name servers in a resolv.conf(5) that clients can use as well: none that are
/// in this host or on one of its links only.
pub(super) fn name_servers(resolv_conf: &str) -> Vec<IpAddr> {
    let servers = resolv_conf.lines().filter_map(|line| {
        let server = line.strip_prefix("nameserver")?.split_whitespace().next()?;
        server.parse::<IpAddr>().ok()
    });
    let reachable = servers.filter(|server| match server {
        IpAddr::V4(it) => !it.is_loopback() && !it.is_unspecified() && !it.is_link_local(),
        IpAddr::V6(it) => !it.is_loopback() && !it.is_unspecified() && !it.is_unicast_link_local(),
    });
    reachable.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_others_know_has_a_domain_that_is_not_local() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 vpn.acme.org vpn # own\n::1 x.lan x\n";
        let name = |hostname| public_name(hostname, hosts).map(|name| name.to_string());
        assert_eq!(name("gw.acme.org").as_deref(), Some("gw.acme.org"));
        assert_eq!(name("vpn").as_deref(), Some("vpn.acme.org"));
        for local in [
            "gateway",
            "x",
            "localhost",
            "ip-10-0-0-1.ec2.internal",
            "a.LOCAL",
            "a b.org",
        ] {
            assert_eq!(name(local), None, "{local}");
        }
    }

    #[test]
    fn a_name_server_in_this_host_is_nobody_elses() {
        let text = "search lan\nnameserver 127.0.0.53\nnameserver 192.0.2.53 \n\
                    nameserver ::1\nnameserver fe80::1%eth0\nnameserver 2001:db8::53\n#nameserver 192.0.2.54\n";
        let servers = ["192.0.2.53", "2001:db8::53"].map(|it| it.parse::<IpAddr>().unwrap());
        assert_eq!(name_servers(text), servers);
    }
}
