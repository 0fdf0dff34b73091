//! A set of addresses that costs as much as it has gaps.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of one family: the first of each run, and its last. No two runs
/// touch.
#[derive(Debug)]
pub(super) struct Runs(BTreeMap<IpAddr, IpAddr>);

impl Runs {
    /// Everything from `first` to `last`.
    pub(super) fn new(first: IpAddr, last: IpAddr) -> Self {
        let some = first <= last;
        Self(some.then_some((first, last)).into_iter().collect())
    }

    /// Takes an address out; says whether it was there.
    pub(super) fn take(&mut self, address: IpAddr) -> bool {
        let run = self.0.range(..=address).next_back();
        let Some((first, last)) = run.map(|(first, last)| (*first, *last)) else {
            return false;
        };
        if last < address {
            return false;
        }
        self.0.remove(&first);
        if let Some(before) = previous(address).filter(|before| first <= *before) {
            self.0.insert(first, before);
        }
        if let Some(behind) = next(address).filter(|behind| *behind <= last) {
            self.0.insert(behind, last);
        }
        true
    }

    /// Takes the lowest address out.
    pub(super) fn take_first(&mut self) -> Option<IpAddr> {
        let first = *self.0.first_key_value()?.0;
        self.take(first).then_some(first)
    }

    /// Puts in an address that is not there.
    pub(super) fn insert(&mut self, address: IpAddr) {
        let last = next(address).and_then(|behind| self.0.remove(&behind));
        let last = last.unwrap_or(address);
        let before = self.0.range_mut(..address).next_back();
        match before.filter(|(_, end)| next(**end) == Some(address)) {
            Some((_, end)) => *end = last,
            None => drop(self.0.insert(address, last)),
        }
    }
}

fn next(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().checked_add(1)?).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().checked_add(1)?).into(),
    })
}

fn previous(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().checked_sub(1)?).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().checked_sub(1)?).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    impl Runs {
        /// How many there are.
        pub(in super::super) fn len(&self) -> usize {
            let bits = |address: &IpAddr| match address {
                IpAddr::V4(address) => u128::from(address.to_bits()),
                IpAddr::V6(address) => address.to_bits(),
            };
            let runs = self.0.iter();
            runs.map(|(first, last)| (bits(last) - bits(first)) as usize + 1)
                .sum()
        }
    }

    fn shown(runs: &Runs) -> Vec<String> {
        let runs = runs.0.iter();
        runs.map(|(first, last)| first.to_string() + "-" + &last.to_string())
            .collect()
    }

    #[test]
    fn what_is_taken_leaves_a_gap_that_closes() {
        let mut runs = Runs::new(address("10.0.0.1"), address("10.0.0.5"));
        for taken in ["10.0.0.3", "10.0.0.1"] {
            assert!(runs.take(address(taken)));
            assert!(!runs.take(address(taken)), "{taken}");
        }
        assert_eq!(shown(&runs), ["10.0.0.2-10.0.0.2", "10.0.0.4-10.0.0.5"]);
        for outside in ["10.0.0.0", "10.0.0.6", "0.0.0.0", "2001:db8::1", "::"] {
            assert!(!runs.take(address(outside)), "{outside}");
        }
        assert_eq!(runs.take_first(), Some(address("10.0.0.2")));
        assert_eq!(runs.take_first(), Some(address("10.0.0.4")));
        assert_eq!(shown(&runs), ["10.0.0.5-10.0.0.5"]);
        for back in ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.2"] {
            runs.insert(address(back));
        }
        assert_eq!(shown(&runs), ["10.0.0.1-10.0.0.5"]);
    }

    #[test]
    fn the_first_and_the_last_address_of_all_are_no_special_case() {
        for (first, last) in [
            ("0.0.0.0", "255.255.255.255"),
            ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let mut runs = Runs::new(address(first), address(last));
            assert!(runs.take(address(first)) && runs.take(address(last)));
            runs.insert(address(last));
            runs.insert(address(first));
            assert_eq!(shown(&runs), [String::from(first) + "-" + last]);
        }
        let mut one = Runs::new(address("10.0.0.1"), address("10.0.0.1"));
        assert!(one.take_first().is_some());
        assert_eq!(one.take_first(), None);
        let mut none = Runs::new(address("10.0.0.2"), address("10.0.0.1"));
        assert_eq!(none.take_first(), None);
    }
}
