//! Who is let pass and who is not heard, by prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use ikexdp_common::guard;
use ikexdp_common::maps::LISTED_MAX;
use ikexdp_proto::time::Instant;
use ipnet::IpNet;

use crate::config::Defence;
use crate::control::Caller;
use crate::view::{ListCommand, ListedCounts, ListedPrefix, Listing};

/// Commands that are withdrawn at a time because they are over: the packet loop stands
/// still meanwhile.
const EXPIRED_MAX: usize = 1024;

/// What is said about prefixes; the longest one decides, and about the same the command.
#[derive(Debug, Default)]
pub(super) struct Lists {
    configured: BTreeMap<IpNet, Listing>,
    commanded: BTreeMap<IpNet, Commanded>,
    /// What holds of both.
    prefixes: BTreeMap<IpNet, guard::Listing>,
    /// How many there are of each length: one look for each.
    lengths: BTreeMap<u8, usize>,
    /// How many prefixes are blocked.
    blocked: usize,
    /// When commands are over.
    ends: BTreeSet<(Instant, IpNet)>,
}

/// What a command says of a prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commanded {
    pub(super) listing: Listing,
    pub(super) by: Caller,
    pub(super) since: Instant,
    /// Until it is withdrawn, if there is none.
    pub(super) until: Option<Instant>,
}

/// There is no room for so many prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// No command has listed this prefix; the configuration may say something of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotCommanded {
    pub(super) prefix: IpNet,
    pub(super) configured: Option<Listing>,
}

impl Lists {
    pub(super) fn new(defence: &Defence) -> Self {
        let mut lists = Self::default();
        lists.configure(defence);
        lists
    }

    /// Takes another configuration. Commands stay.
    pub(super) fn configure(&mut self, defence: &Defence) {
        let allowed = defence.allow.iter().map(|net| (*net, Listing::Allowed));
        let blocked = defence.block.iter().map(|net| (*net, Listing::Blocked));
        *self = Self {
            configured: allowed.chain(blocked).collect(),
            commanded: take(&mut self.commanded),
            ends: take(&mut self.ends),
            ..Self::default()
        };
        let configured = self.configured.keys();
        let all: BTreeSet<_> = configured.chain(self.commanded.keys()).copied().collect();
        all.into_iter().for_each(|prefix| self.settle(prefix));
    }

    /// Says the same of all `prefixes`.
    ///
    /// # Errors
    /// [`Full`] if there would be more than XDP has room for; then nothing has changed.
    pub(super) fn list(&mut self, prefixes: &[IpNet], said: Commanded) -> Result<(), Full> {
        let mut new: BTreeSet<_> = prefixes.iter().copied().collect();
        new.retain(|prefix| !self.prefixes.contains_key(prefix));
        if !new.is_empty() && self.prefixes.len().saturating_add(new.len()) > LISTED_MAX {
            return Err(Full);
        }
        for &prefix in prefixes {
            self.withdraw(prefix);
            self.ends.extend(said.until.map(|end| (end, prefix)));
            self.commanded.insert(prefix, said);
            self.settle(prefix);
        }
        Ok(())
    }

    /// Withdraws what commands have said of `prefixes`.
    ///
    /// # Errors
    /// [`NotCommanded`] if they have said nothing of one; then nothing has changed.
    pub(super) fn unlist(&mut self, prefixes: &[IpNet]) -> Result<(), NotCommanded> {
        for prefix in prefixes {
            if !self.commanded.contains_key(prefix) {
                return Err(NotCommanded {
                    prefix: *prefix,
                    configured: self.configured.get(prefix).copied(),
                });
            }
        }
        for &prefix in prefixes {
            self.withdraw(prefix);
            self.settle(prefix);
        }
        Ok(())
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Withdraws commands that are over at `now`, and not too many at a time: of which
    /// prefixes.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<IpNet> {
        let over = self.ends.iter().take_while(|(end, _)| *end <= now);
        let over = over.take(EXPIRED_MAX).map(|(_, prefix)| *prefix);
        let over: Vec<_> = over.collect();
        for &prefix in &over {
            self.withdraw(prefix);
            self.settle(prefix);
        }
        over
    }

    /// One by one, as XDP wants them.
    pub(super) const fn prefixes(&self) -> &BTreeMap<IpNet, guard::Listing> {
        &self.prefixes
    }

    /// How many there are.
    pub(super) fn counts(&self) -> ListedCounts {
        ListedCounts {
            allowed: self.prefixes.len().saturating_sub(self.blocked),
            blocked: self.blocked,
            commanded: self.commanded.len(),
        }
    }

    /// What there is behind `after`, in order.
    pub(super) fn page(
        &self,
        now: Instant,
        after: Option<IpNet>,
    ) -> impl Iterator<Item = ListedPrefix> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let prefixes = self.prefixes.range((first, Bound::Unbounded));
        prefixes.filter_map(move |(&prefix, _)| {
            let configured = self.configured.get(&prefix).copied();
            let said = self.commanded.get(&prefix);
            Some(ListedPrefix {
                prefix,
                listing: said.map(|said| said.listing).or(configured)?,
                configured,
                command: said.map(|said| said.view(now)),
            })
        })
    }

    /// What is said about `address`.
    pub(super) fn listing(&self, address: IpAddr) -> guard::Listing {
        let mut lengths = self.lengths.keys().rev();
        let listing = lengths.find_map(|length| {
            let prefix = IpNet::new(address, *length).ok()?.trunc();
            self.prefixes.get(&prefix).copied()
        });
        listing.unwrap_or_default()
    }

    fn withdraw(&mut self, prefix: IpNet) {
        let said = self.commanded.remove(&prefix);
        if let Some(end) = said.and_then(|said| said.until) {
            self.ends.remove(&(end, prefix));
        }
    }

    /// Finds out what holds of `prefix`.
    fn settle(&mut self, prefix: IpNet) {
        let commanded = self.commanded.get(&prefix).map(|said| said.listing);
        let listing = commanded.or_else(|| self.configured.get(&prefix).copied());
        let listing = listing.map(guard::Listing::from);
        let length = self.lengths.entry(prefix.prefix_len()).or_default();
        let was_listed = match listing {
            Some(listing) => self.prefixes.insert(prefix, listing),
            None => self.prefixes.remove(&prefix),
        };
        let is_blocked = |it| usize::from(it == Some(guard::Listing::Blocked));
        let blocked = self.blocked.saturating_add(is_blocked(listing));
        self.blocked = blocked.saturating_sub(is_blocked(was_listed));
        match (was_listed, listing) {
            (None, Some(_)) => *length = length.saturating_add(1),
            (Some(_), None) => *length = length.saturating_sub(1),
            _ => {}
        }
        if *length == 0 {
            self.lengths.remove(&prefix.prefix_len());
        }
    }
}

impl Commanded {
    fn view(&self, now: Instant) -> ListCommand {
        let left = self.until.map(|until| until.since(now));
        ListCommand {
            uid: self.by.uid,
            pid: self.by.pid,
            age_s: now.since(self.since).as_secs(),
            seconds_left: left.as_ref().map(Duration::as_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_micros(1);

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn configured(allow: &[&str], block: &[&str]) -> Defence {
        let prefixes = |texts: &[&str]| texts.iter().map(|text| net(text)).collect();
        Defence {
            allow: prefixes(allow),
            block: prefixes(block),
            ..Defence::default()
        }
    }

    fn said(listing: Listing, seconds: Option<u64>) -> Commanded {
        Commanded {
            listing,
            by: Caller {
                uid: 7,
                pid: Some(8),
            },
            since: START,
            until: seconds.map(|seconds| START + Duration::from_secs(seconds)),
        }
    }

    fn of(lists: &Lists, address: &str) -> guard::Listing {
        lists.listing(address.parse().unwrap())
    }

    #[test]
    fn the_longest_prefix_decides() {
        let lists = Lists::new(&configured(
            &["192.0.2.0/24", "2001:db8:1::/48"],
            &["192.0.0.0/16", "192.0.2.7/32", "2001:db8::/32"],
        ));
        for (address, listing) in [
            ("192.0.3.1", guard::Listing::Blocked),
            ("192.0.2.1", guard::Listing::Allowed),
            ("192.0.2.7", guard::Listing::Blocked),
            ("192.1.2.7", guard::Listing::Unlisted),
            ("2001:db8::1", guard::Listing::Blocked),
            ("2001:db8:1::1", guard::Listing::Allowed),
            ("::1", guard::Listing::Unlisted),
        ] {
            assert_eq!(of(&lists, address), listing, "{address}");
        }
        let nothing = Lists::default();
        assert_eq!(of(&nothing, "192.0.2.1"), guard::Listing::Unlisted);
    }

    #[test]
    fn a_command_wins_over_the_configuration_until_it_is_withdrawn() {
        let mut lists = Lists::new(&configured(&["192.0.2.0/24"], &[]));
        let both = [net("192.0.2.0/24"), net("198.51.100.0/24")];
        lists.list(&both, said(Listing::Blocked, None)).unwrap();
        // A reload changes nothing of what was commanded.
        lists.configure(&configured(&["192.0.2.0/24", "203.0.113.0/24"], &[]));
        assert_eq!(of(&lists, "192.0.2.1"), guard::Listing::Blocked);
        assert_eq!(of(&lists, "198.51.100.1"), guard::Listing::Blocked);
        assert_eq!(of(&lists, "203.0.113.1"), guard::Listing::Allowed);
        lists.unlist(&both).unwrap();
        assert_eq!(of(&lists, "192.0.2.1"), guard::Listing::Allowed);
        assert_eq!(of(&lists, "198.51.100.1"), guard::Listing::Unlisted);
    }

    #[test]
    fn what_no_command_has_listed_is_not_withdrawn_and_nothing_with_it() {
        let mut lists = Lists::new(&configured(&["192.0.2.0/24"], &[]));
        let blocked = net("198.51.100.0/24");
        lists
            .list(&[blocked], said(Listing::Blocked, None))
            .unwrap();
        for (text, configured) in [
            ("192.0.2.0/24", Some(Listing::Allowed)),
            ("198.51.100.0/25", None),
        ] {
            let prefix = net(text);
            let refused = NotCommanded { prefix, configured };
            assert_eq!(lists.unlist(&[blocked, prefix]), Err(refused));
        }
        assert_eq!(of(&lists, "198.51.100.1"), guard::Listing::Blocked);
    }

    #[test]
    fn what_has_an_end_ends() {
        let mut lists = Lists::default();
        let [short, long, endless] = ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"].map(net);
        for (prefix, seconds) in [(short, Some(1)), (long, Some(2)), (endless, None)] {
            let said = said(Listing::Blocked, seconds);
            lists.list(&[prefix], said).unwrap();
        }
        for (seconds, over) in [(1, short), (2, long)] {
            let end = START + Duration::from_secs(seconds);
            assert_eq!(lists.end(), Some(end));
            assert!(lists.expire(START).is_empty());
            assert_eq!(lists.expire(end), [over]);
            assert_eq!(lists.listing(over.addr()), guard::Listing::Unlisted);
        }
        assert_eq!(lists.end(), None);
        assert_eq!(lists.listing(endless.addr()), guard::Listing::Blocked);
    }

    #[test]
    fn of_what_ends_together_a_part_ends_at_a_time() {
        let hosts = (0..EXPIRED_MAX as u32 + 1).map(|host| IpAddr::from(host.to_be_bytes()).into());
        let hosts: Vec<IpNet> = hosts.collect();
        let mut lists = Lists::default();
        lists.list(&hosts, said(Listing::Blocked, Some(1))).unwrap();
        let end = START + Duration::from_secs(1);
        for left in [1, 0] {
            assert_eq!(lists.end(), Some(end));
            assert!(!lists.expire(end).is_empty());
            assert_eq!(lists.prefixes().len(), left);
        }
        assert_eq!(lists.end(), None);
    }

    /// It holds for as long as the last command says.
    #[test]
    fn what_is_said_anew_ends_anew() {
        let mut lists = Lists::new(&configured(&["192.0.2.0/24"], &[]));
        let prefix = net("192.0.2.0/24");
        for seconds in [Some(1), Some(9), None] {
            lists
                .list(&[prefix], said(Listing::Blocked, seconds))
                .unwrap();
            let end = seconds.map(|seconds| START + Duration::from_secs(seconds));
            assert_eq!(lists.end(), end);
        }
        lists.unlist(&[prefix]).unwrap();
        assert_eq!(of(&lists, "192.0.2.1"), guard::Listing::Allowed);
        lists.configure(&configured(&[], &[]));
        assert_eq!(of(&lists, "192.0.2.1"), guard::Listing::Unlisted);
        assert!(lists.lengths.is_empty());
    }

    #[test]
    fn prefixes_are_counted_by_what_holds() {
        let mut lists = Lists::new(&configured(&["192.0.2.0/24"], &["198.51.100.0/24"]));
        let counts = |lists: &Lists| {
            let ListedCounts {
                allowed,
                blocked,
                commanded,
            } = lists.counts();
            [allowed, blocked, commanded]
        };
        assert_eq!(counts(&lists), [1, 1, 0]);
        let both = [net("192.0.2.0/24"), net("203.0.113.0/24")];
        lists.list(&both, said(Listing::Blocked, None)).unwrap();
        assert_eq!(counts(&lists), [0, 3, 2]);
        lists
            .list(&both[..1], said(Listing::Allowed, None))
            .unwrap();
        lists.configure(&configured(&[], &["198.51.100.0/24"]));
        assert_eq!(counts(&lists), [1, 2, 2]);
        lists.unlist(&both).unwrap();
        assert_eq!(counts(&lists), [0, 1, 0]);
    }

    /// What is listed already can be said anew even then.
    #[test]
    fn there_is_room_for_what_xdp_has_room_for() {
        let hosts = (0..LISTED_MAX as u32).map(|host| IpAddr::from(host.to_be_bytes()).into());
        let hosts: Vec<IpNet> = hosts.collect();
        let mut lists = Lists::new(&configured(&["192.0.2.0/24"], &[]));
        assert_eq!(lists.list(&hosts, said(Listing::Blocked, None)), Err(Full));
        assert_eq!(lists.prefixes().len(), 1);
        let (last, others) = hosts.split_last().unwrap();
        lists.list(others, said(Listing::Blocked, None)).unwrap();
        lists.list(others, said(Listing::Allowed, None)).unwrap();
        let one_more = [*last];
        assert_eq!(
            lists.list(&one_more, said(Listing::Blocked, None)),
            Err(Full)
        );
        assert_eq!(lists.prefixes().len(), LISTED_MAX);
    }

    #[test]
    fn a_page_says_what_holds_since_when_and_by_whom() {
        let mut lists = Lists::new(&configured(&["192.0.2.0/24"], &["198.51.100.0/24"]));
        let said = said(Listing::Blocked, Some(90));
        lists.list(&[net("192.0.2.0/24")], said).unwrap();
        let now = START + Duration::from_secs(30);
        let page: Vec<_> = lists.page(now, None).collect();
        let command = ListCommand {
            uid: 7,
            pid: Some(8),
            age_s: 30,
            seconds_left: Some(60),
        };
        let commanded = ListedPrefix {
            prefix: net("192.0.2.0/24"),
            listing: Listing::Blocked,
            configured: Some(Listing::Allowed),
            command: Some(command),
        };
        let configured = ListedPrefix {
            prefix: net("198.51.100.0/24"),
            listing: Listing::Blocked,
            configured: Some(Listing::Blocked),
            command: None,
        };
        assert_eq!(page, [commanded.clone(), configured.clone()]);
        let rest: Vec<_> = lists.page(now, Some(commanded.prefix)).collect();
        assert_eq!(rest, [configured]);
    }
}
