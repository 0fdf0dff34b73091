//! Which IKE SAs are shown.

use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;

use crate::view::Sa;

/// All conditions hold at once.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Filter {
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Only those whose peer has this in its identity, or with `*` in it: whose identity is like that
    #[arg(long, value_name = "TEXT")]
    identity: Option<Pattern>,
    /// Only those that are `established`, or in another state, as the table has it
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those whose peer is at this address or in this network, or was given an address of it
    #[arg(long, value_name = "ADDRESS", value_parser = network)]
    address: Option<IpNet>,
    /// Only those that have existed for longer, such as `1h`
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Only those whose peer does not fragment at the IKE layer
    #[arg(long)]
    unfragmented: bool,
}

impl Filter {
    pub(super) fn takes(&self, sa: &Sa) -> bool {
        let is =
            |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
        let identity = self.identity.as_ref().is_none_or(|pattern| {
            let identity = sa.identity.as_deref();
            identity.is_some_and(|identity| pattern.fits(identity))
        });
        let mut addresses = sa.addresses.iter().copied().chain([sa.remote.ip()]);
        let address = self
            .address
            .is_none_or(|network| addresses.any(|address| network.contains(&address)));
        let age = Duration::from_secs(sa.age_s);
        is(&self.connection, sa.connection.as_deref())
            && identity
            && is(&self.state, Some(&sa.state))
            && address
            && self.older_than.is_none_or(|limit| age > limit)
            && !(self.unfragmented && sa.fragmentation.negotiated)
    }
}

/// An address stands for itself alone.
fn network(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    text.parse::<IpAddr>()
        .map(IpNet::from)
        .or_else(|_| text.parse())
}

/// A part of a text, or all of it with `*` for anything; in either case of
/// letters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(String);

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_lowercase()))
    }
}

impl Pattern {
    fn fits(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let Some((first, rest)) = self.0.split_once('*') else {
            return text.contains(&self.0);
        };
        let Some(mut text) = text.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // The first place is the best: it leaves the most to look in.
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            match text.split_once(part) {
                Some((_, after)) => text = after,
                None => return false,
            }
        }
        text.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sas::tests::sa;
    use crate::view::Fragmentation;

    #[test]
    fn a_pattern_is_a_part_or_with_stars_the_whole() {
        for (pattern, text, fits) in [
            ("laptop", "my-Laptop.example", true),
            ("LAPTOP", "my-laptop.example", true),
            ("laptop", "lap", false),
            ("*.example", "laptop.example", true),
            ("*.example", "laptop.example.net", false),
            ("laptop*", "my-laptop", false),
            ("l*.*e", "laptop.example", true),
            ("l*.*.*e", "laptop.example", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a**a", "aba", true),
            ("*ab*", "cabd", true),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.fits(text), fits, "{pattern:?} {text}");
        }
    }

    #[test]
    fn conditions_hold_at_once() {
        let is = |filter: Filter| filter.takes(&sa(7));
        let text = |text: &str| Some(text.to_owned());
        let none = Filter::default;
        assert!(is(none()));
        let connection = |name| Filter {
            connection: text(name),
            ..none()
        };
        assert!(is(connection("staff")) && !is(connection("staf")));
        let state = |name| Filter {
            state: text(name),
            ..none()
        };
        assert!(is(state("established")) && !is(state("half-open")));
        let identity = |name: &str| Filter {
            identity: name.parse().ok(),
            ..none()
        };
        assert!(is(identity("laptop")) && !is(identity("phone")));
        // The peer's own, and the one it was given.
        for (address, fits) in [
            ("198.51.100.7", true),
            ("198.51.100.0/24", true),
            ("10.9.0.1", true),
            ("10.9.0.2", false),
            ("2001:db8::/32", false),
        ] {
            let filter = Filter {
                address: network(address).ok(),
                ..none()
            };
            assert_eq!(is(filter), fits, "{address}");
        }
        let older = |seconds| Filter {
            older_than: Some(Duration::from_secs(seconds)),
            ..none()
        };
        assert!(is(older(3660)) && !is(older(3661)));
        let both = Filter {
            state: text("established"),
            ..connection("other")
        };
        assert!(!is(both));
    }

    #[test]
    fn who_cannot_fragment_is_found() {
        let filter = Filter {
            unfragmented: true,
            ..Filter::default()
        };
        assert!(!filter.takes(&sa(7)));
        let whole = Sa {
            fragmentation: Fragmentation {
                negotiated: false,
                ..sa(7).fragmentation
            },
            ..sa(7)
        };
        assert!(filter.takes(&whole));
    }

    #[test]
    fn who_is_not_known_yet_has_no_identity() {
        let stranger = Sa {
            identity: None,
            connection: None,
            ..sa(7)
        };
        let filter = Filter {
            identity: "*".parse().ok(),
            ..Filter::default()
        };
        assert!(!filter.takes(&stranger));
    }
}
