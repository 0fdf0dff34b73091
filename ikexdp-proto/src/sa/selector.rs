//! Narrowing of traffic selectors (RFC 7296 §2.9).

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::limits::SELECTORS_MAX;
use crate::wire::payload::ts::TrafficSelector;

/// What two sides have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Narrowed {
    pub(crate) selectors: Vec<TrafficSelector>,
    /// Whether there would be more than [`SELECTORS_MAX`].
    pub(crate) more: bool,
}

/// What is in both `offered` and `allowed`: every pair's common part, without
/// those that lie inside another.
pub(crate) fn narrow(offered: &[TrafficSelector], allowed: &[TrafficSelector]) -> Narrowed {
    let pairs = || {
        let pairs = offered
            .iter()
            .flat_map(|offered| allowed.iter().map(move |allowed| (offered, allowed)));
        pairs.filter_map(|(offered, allowed)| intersection(offered, allowed))
    };
    let mut selectors: Vec<TrafficSelector> = Vec::new();
    let covers = |selectors: &[TrafficSelector], common: &TrafficSelector| {
        selectors.iter().any(|wider| contains(wider, common))
    };
    for common in pairs() {
        if covers(&selectors, &common) {
            continue;
        }
        selectors.retain(|narrower| !contains(&common, narrower));
        if selectors.len() < SELECTORS_MAX {
            selectors.push(common);
        }
    }
    let is_full = selectors.len() == SELECTORS_MAX;
    let more = is_full && pairs().any(|common| !covers(&selectors, &common));
    Narrowed { selectors, more }
}

fn intersection(a: &TrafficSelector, b: &TrafficSelector) -> Option<TrafficSelector> {
    let protocol = match (a.protocol, b.protocol) {
        (0, protocol) | (protocol, 0) => protocol,
        (a, b) if a == b => a,
        _ => return None,
    };
    let (start_port, end_port) = common_ports(a, b)?;
    let (start, end) = match (a.start, b.start) {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
            (a.start.max(b.start), a.end.min(b.end))
        }
        _ => return None,
    };
    (start <= end).then_some(TrafficSelector {
        protocol,
        start_port,
        end_port,
        start,
        end,
    })
}

/// OPAQUE ports, which start high and end low (RFC 7296 §3.13.1), have nothing
/// in common with any range but that of all ports.
fn common_ports(a: &TrafficSelector, b: &TrafficSelector) -> Option<(u16, u16)> {
    let every =
        |selector: &TrafficSelector| (selector.start_port, selector.end_port) == (0, u16::MAX);
    let opaque = |selector: &TrafficSelector| selector.start_port > selector.end_port;
    if every(a) || (opaque(a) && opaque(b)) {
        return Some((b.start_port, b.end_port));
    }
    if every(b) {
        return Some((a.start_port, a.end_port));
    }
    let start = a.start_port.max(b.start_port);
    let end = a.end_port.min(b.end_port);
    (!opaque(a) && !opaque(b) && start <= end).then_some((start, end))
}

fn contains(outer: &TrafficSelector, inner: &TrafficSelector) -> bool {
    intersection(outer, inner).as_ref() == Some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(offered: &[TrafficSelector], allowed: &[TrafficSelector]) -> Vec<TrafficSelector> {
        let Narrowed { selectors, more } = super::narrow(offered, allowed);
        assert!(!more);
        selectors
    }

    fn range(start: &str, end: &str) -> TrafficSelector {
        TrafficSelector::addresses(start.parse().unwrap(), end.parse().unwrap())
    }

    fn everything() -> [TrafficSelector; 2] {
        [
            range("0.0.0.0", "255.255.255.255"),
            range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ]
    }

    #[test]
    fn a_client_that_asks_for_everything_gets_its_address() {
        let host = range("10.9.0.7", "10.9.0.7");
        assert_eq!(narrow(&everything(), &[host]), [host]);
    }

    #[test]
    fn families_do_not_mix() {
        let [v4, v6] = everything();
        assert_eq!(narrow(&[v4], &[v6]), []);
        assert_eq!(narrow(&[v4, v6], &[v6, v4]), [v4, v6]);
    }

    #[test]
    fn what_lies_inside_another_is_left_out() {
        let [v4, _] = everything();
        let subnet = range("10.0.0.0", "10.255.255.255");
        assert_eq!(narrow(&[subnet, v4], &[v4]), [v4]);
        assert_eq!(narrow(&[v4, subnet], &[v4]), [v4]);
        let other = range("192.0.2.0", "192.0.2.255");
        assert_eq!(narrow(&[v4], &[subnet, other]), [subnet, other]);
    }

    #[test]
    fn protocols_and_ports_are_narrowed_too() {
        let [v4, _] = everything();
        let with = |protocol, start_port, end_port| TrafficSelector {
            protocol,
            start_port,
            end_port,
            ..v4
        };
        let dns = with(17, 53, 53);
        let opaque = with(17, u16::MAX, 0);
        assert_eq!(narrow(&[dns], &[v4]), [dns]);
        assert_eq!(narrow(&[dns], &[with(17, 50, 60)]), [dns]);
        assert_eq!(narrow(&[dns], &[with(6, 53, 53)]), []);
        assert_eq!(narrow(&[dns], &[with(17, 54, 60)]), []);
        assert_eq!(narrow(&[opaque], &[v4]), [opaque]);
        assert_eq!(narrow(&[opaque], &[opaque]), [opaque]);
        assert_eq!(narrow(&[opaque], &[dns]), []);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let hosts: Vec<_> = (0..=SELECTORS_MAX)
            .map(|last| TrafficSelector::host([10, 9, 0, last as u8].into()))
            .collect();
        let narrowed = super::narrow(&everything(), &hosts);
        assert_eq!(narrowed.selectors, hosts[..SELECTORS_MAX]);
        assert!(narrowed.more);
        // What comes later has room for all.
        let [v4, _] = everything();
        let all: Vec<_> = hosts.into_iter().chain([v4]).collect();
        assert_eq!(narrow(&everything(), &all), [v4]);
    }
}
