//! Who is let pass and who is not heard, by prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ikexdp_common::guard::Listing;
use ipnet::IpNet;

use crate::config::Defence;

/// What is said about prefixes; the longest one decides.
#[derive(Debug, Default)]
pub(super) struct Lists {
    prefixes: BTreeMap<IpNet, Listing>,
    /// The lengths there are: one look for each.
    lengths: BTreeSet<u8>,
}

impl Lists {
    pub(super) fn new(defence: &Defence) -> Self {
        let allowed = defence.allow.iter().map(|net| (*net, Listing::Allowed));
        let blocked = defence.block.iter().map(|net| (*net, Listing::Blocked));
        let prefixes: BTreeMap<_, _> = allowed.chain(blocked).collect();
        Self {
            lengths: prefixes.keys().map(IpNet::prefix_len).collect(),
            prefixes,
        }
    }

    /// One by one, as XDP wants them.
    pub(super) const fn prefixes(&self) -> &BTreeMap<IpNet, Listing> {
        &self.prefixes
    }

    /// Whether nothing is taken from `address`.
    pub(super) fn blocks(&self, address: IpAddr) -> bool {
        let mut lengths = self.lengths.iter().rev();
        let listing = lengths.find_map(|length| {
            let prefix = IpNet::new(address, *length).ok()?.trunc();
            self.prefixes.get(&prefix).copied()
        });
        listing == Some(Listing::Blocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        let prefixes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let lists = Lists::new(&Defence {
            allow: prefixes(&["192.0.2.0/24", "2001:db8:1::/48"]),
            block: prefixes(&["192.0.0.0/16", "192.0.2.7/32", "2001:db8::/32"]),
            ..Defence::default()
        });
        for (address, blocked) in [
            ("192.0.3.1", true),
            ("192.0.2.1", false),
            ("192.0.2.7", true),
            ("192.1.2.7", false),
            ("2001:db8::1", true),
            ("2001:db8:1::1", false),
            ("::1", false),
        ] {
            assert_eq!(lists.blocks(address.parse().unwrap()), blocked, "{address}");
        }
        assert!(!Lists::default().blocks("192.0.2.1".parse().unwrap()));
    }
}
