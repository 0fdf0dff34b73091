//! Addresses for clients that nobody here uses.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::host::Host;
use crate::pki::{PkiError, random};

/// Draws before it is given up: a host with routes to all private networks has none
/// that is free.
const DRAWS: usize = 64;

/// A network of each family that the host has, at random, so that two offices that
/// are joined one day do not use the same. None of IPv4 if all are in use.
///
/// # Errors
/// [`PkiError::Random`].
pub(super) fn draw(host: &Host) -> Result<Vec<IpNet>, PkiError> {
    let mut pools = Vec::new();
    for _ in 0..DRAWS {
        let [first, second] = random()?;
        // 10.0 to 10.63 is what others like most.
        let network = Ipv4Addr::new(10, 64 | first >> 1, second, 0);
        let Ok(net) = Ipv4Net::new(network, 24) else {
            continue;
        };
        if host.collision(&net.into()).is_none() {
            pools.push(net.into());
            break;
        }
    }
    if host.has_ipv6() {
        pools.extend(unique_local(random()?));
    }
    Ok(pools)
}

/// A network of unique local addresses (RFC 4193 §3.2.2): 40 random bits, which
/// nobody else has drawn.
fn unique_local(global_id: [u8; 5]) -> Option<IpNet> {
    let [a, b, c, d, e] = global_id.map(u16::from);
    let address = Ipv6Addr::new(0xfd00 | a, b << 8 | c, d << 8 | e, 0, 0, 0, 0, 0);
    Ipv6Net::new(address, 64).ok().map(IpNet::from)
}

#[cfg(test)]
mod tests {
    use super::super::host::tests::host;
    use super::*;

    #[test]
    fn pools_are_private_and_free() {
        let host = host();
        let private: IpNet = "10.64.0.0/10".parse().unwrap();
        let upper: IpNet = "10.128.0.0/9".parse().unwrap();
        let local: IpNet = "fd00::/8".parse().unwrap();
        for _ in 0..100 {
            let pools = draw(&host).unwrap();
            assert!(
                private.contains(&pools[0]) || upper.contains(&pools[0]),
                "{pools:?}"
            );
            assert_eq!(pools[0].prefix_len(), 24);
            assert!(local.contains(&pools[1]) && pools[1].prefix_len() == 64);
            assert!(pools.iter().all(|pool| host.collision(pool).is_none()));
        }
    }

    #[test]
    fn a_host_without_ipv6_has_no_pool_of_it() {
        let mut host = host();
        host.addresses.retain(|(_, net)| net.addr().is_ipv4());
        assert_eq!(draw(&host).unwrap().len(), 1);
    }

    #[test]
    fn where_everything_is_taken_there_is_none() {
        let mut host = host();
        host.routes[0].destination = "10.0.0.0/8".parse().unwrap();
        let pools = draw(&host).unwrap();
        assert!(pools.iter().all(|pool| pool.addr().is_ipv6()), "{pools:?}");
    }
}
