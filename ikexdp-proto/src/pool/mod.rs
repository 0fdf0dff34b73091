//! Addresses for clients (RFC 7296 §2.19).
//!
//! ```text
//! free ──first──> in use <──again── kept for its holder ──too many kept──> free
//!                   └────given back──────^
//! ```
//!
//! An address that is given back is kept for who had it: the same holder gets it
//! again as long as nobody else needed it. Others get what nobody is remembered
//! for, and when there is no more of that, what was given back longest ago.
//! Nothing is held for an address that nobody has or had: a pool of a /64 costs
//! no more than one of a /24.

mod kept;
mod runs;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use self::kept::Kept;
use self::runs::Runs;
use crate::config::AddressPool;
use crate::lease::{Assignment, Holder, Lease, RangeSummary};
use crate::limits::KEPT_ADDRESSES_MAX;

/// The pools of a configuration, with what has been given out of them.
#[derive(Debug)]
pub(crate) struct Pools {
    ranges: Vec<Range>,
    /// Our own addresses, which nobody gets.
    own: Vec<IpAddr>,
    /// Who has what, also what no pool has any more: it goes on until it is
    /// given back.
    in_use: BTreeMap<IpAddr, Holder>,
    /// How many have been given back, to tell what was so earlier.
    given_back: u64,
    /// How often anything changed.
    changes: u64,
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAddress {
    /// The pool has none of this family.
    OtherFamily,
    /// Every one is in use.
    Exhausted,
}

/// Addresses of one pool and one family.
#[derive(Debug)]
struct Range {
    pool: String,
    first: IpAddr,
    last: IpAddr,
    free: Runs,
    kept: Kept,
}

impl Pools {
    pub(crate) fn new(pools: &[AddressPool]) -> Self {
        let mut new = Self {
            ranges: Vec::new(),
            own: Vec::new(),
            in_use: BTreeMap::new(),
            given_back: 0,
            changes: 0,
        };
        new.reconfigure(pools);
        new
    }

    /// Gives out of these pools from now on. What is in use stays so, and what
    /// is kept as well where it is in one of them, under whatever name.
    pub(crate) fn reconfigure(&mut self, pools: &[AddressPool]) {
        let before = core::mem::take(&mut self.ranges);
        self.ranges = pools.iter().flat_map(Range::of).collect();
        let own = pools.iter().flat_map(|pool| &pool.gateway);
        self.own = own.copied().collect();
        for range in &mut self.ranges {
            for address in self.in_use.range(range.first..=range.last) {
                range.free.take(*address.0);
            }
        }
        for (age, address, holder) in before.iter().flat_map(|range| range.kept.iter()) {
            self.keep(age, address, holder);
        }
        self.changes = self.changes.saturating_add(1);
    }

    /// Takes back what an earlier run of the host knew: all of it is kept for
    /// its holders, what was in use at its end longest. What is in no pool is
    /// ignored.
    pub(crate) fn restore(&mut self, mut assignments: Vec<Assignment>) {
        assignments.sort_by_key(|known| known.given_back.unwrap_or(u64::MAX));
        for Assignment {
            address, holder, ..
        } in assignments
        {
            self.given_back = self.given_back.saturating_add(1);
            self.keep(self.given_back, address, holder);
        }
        self.forget_oldest();
        self.changes = self.changes.saturating_add(1);
    }

    /// Gives `holder` an address of the family of `wanted`: that one if it was
    /// nobody else's, else the last that was `holder`'s, else any. An unspecified
    /// one stands for any.
    ///
    /// # Errors
    /// [`NoAddress`]; a pool that is there no more has no family at all.
    pub(crate) fn lease(
        &mut self,
        pool: &str,
        holder: Holder,
        wanted: IpAddr,
    ) -> Result<IpAddr, NoAddress> {
        let serves =
            |range: &&mut Range| range.pool == pool && range.first.is_ipv4() == wanted.is_ipv4();
        let range = self.ranges.iter_mut().find(serves);
        let range = range.ok_or(NoAddress::OtherFamily)?;
        let address = range.take(holder, wanted).ok_or(NoAddress::Exhausted)?;
        self.in_use.insert(address, holder);
        self.changes = self.changes.saturating_add(1);
        Ok(address)
    }

    /// Gives `holder` this very address, whether it is in a pool or not.
    ///
    /// # Errors
    /// [`NoAddress::Exhausted`] if somebody has it, or we do.
    pub(crate) fn reserve(&mut self, holder: Holder, address: IpAddr) -> Result<IpAddr, NoAddress> {
        if self.in_use.contains_key(&address) || self.own.contains(&address) {
            return Err(NoAddress::Exhausted);
        }
        if let Some(range) = self.range_of(address) {
            range.free.take(address);
            // Whoever it was kept for finds that it was needed.
            range.kept.forget(address);
        }
        self.in_use.insert(address, holder);
        self.changes = self.changes.saturating_add(1);
        Ok(address)
    }

    /// Whether somebody has one of these.
    pub(crate) fn has_given(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|it| self.in_use.contains_key(it))
    }

    /// Gives addresses back.
    pub(crate) fn release(&mut self, lease: &Lease) {
        for address in lease.addresses() {
            let Some(holder) = self.in_use.remove(&address) else {
                continue;
            };
            self.given_back = self.given_back.saturating_add(1);
            let age = self.given_back;
            if let Some(range) = self.range_of(address) {
                range.kept.insert(age, address, holder);
            }
        }
        self.forget_oldest();
        self.changes = self.changes.saturating_add(1);
    }

    /// A number that is another whenever [`Self::assignments`] are others.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Who has or had what.
    pub(crate) fn assignments(&self) -> impl Iterator<Item = Assignment> {
        let in_use = self.in_use.iter().map(|(address, holder)| Assignment {
            address: *address,
            holder: *holder,
            given_back: None,
        });
        let kept = self.ranges.iter().flat_map(|range| range.kept.iter());
        in_use.chain(kept.map(|(age, address, holder)| Assignment {
            address,
            holder,
            given_back: Some(age),
        }))
    }

    pub(crate) fn summaries(&self) -> impl Iterator<Item = RangeSummary> {
        self.ranges.iter().map(|range| RangeSummary {
            pool: range.pool.clone(),
            first: range.first,
            last: range.last,
            in_use: self.in_use.range(range.first..=range.last).count(),
            kept: range.kept.len(),
        })
    }

    fn range_of(&mut self, address: IpAddr) -> Option<&mut Range> {
        let mut ranges = self.ranges.iter_mut();
        ranges.find(|range| (range.first..=range.last).contains(&address))
    }

    /// Keeps an address for its holder, if it is in a pool and free.
    fn keep(&mut self, age: u64, address: IpAddr, holder: Holder) {
        if let Some(range) = self.range_of(address)
            && range.free.take(address)
        {
            range.kept.insert(age, address, holder);
        }
    }

    fn forget_oldest(&mut self) {
        let kept = self.ranges.iter().map(|range| range.kept.len()).sum();
        for _ in KEPT_ADDRESSES_MAX..kept {
            let oldest = self.ranges.iter_mut();
            let oldest = oldest.filter(|range| range.kept.oldest().is_some());
            if let Some(range) = oldest.min_by_key(|range| range.kept.oldest())
                && let Some(address) = range.kept.take_oldest()
            {
                range.free.insert(address);
            }
        }
    }
}

impl Range {
    /// Those of a pool, nothing of which is given out.
    fn of(pool: &AddressPool) -> impl Iterator<Item = Self> {
        let v4 = pool.v4.map(|(first, last)| (first.into(), last.into()));
        let v6 = pool.v6.map(|(first, last)| (first.into(), last.into()));
        v4.into_iter().chain(v6).map(|(first, last)| Self {
            pool: pool.name.clone(),
            first,
            last,
            free: Runs::new(first, last),
            kept: Kept::default(),
        })
    }

    fn take(&mut self, holder: Holder, wanted: IpAddr) -> Option<IpAddr> {
        if self.free.take(wanted) || self.kept.take(holder, wanted) {
            return Some(wanted);
        }
        let before = self.kept.take_latest(holder);
        before
            .or_else(|| self.free.take_first())
            .or_else(|| self.kept.take_oldest())
    }
}

#[cfg(test)]
mod tests;
