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

    /// What is said about `address`.
    pub(super) fn listing(&self, address: IpAddr) -> Listing {
        let mut lengths = self.lengths.iter().rev();
        let listing = lengths.find_map(|length| {
            let prefix = IpNet::new(address, *length).ok()?.trunc();
            self.prefixes.get(&prefix).copied()
        });
        listing.unwrap_or_default()
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
        for (address, listing) in [
            ("192.0.3.1", Listing::Blocked),
            ("192.0.2.1", Listing::Allowed),
            ("192.0.2.7", Listing::Blocked),
            ("192.1.2.7", Listing::Unlisted),
            ("2001:db8::1", Listing::Blocked),
            ("2001:db8:1::1", Listing::Allowed),
            ("::1", Listing::Unlisted),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(lists.listing(address), listing, "{address}");
        }
        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(Lists::default().listing(address), Listing::Unlisted);
    }
}
