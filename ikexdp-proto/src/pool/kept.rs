//! Addresses that were given back, kept for who had them.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use crate::lease::Holder;

/// Addresses by their age, which is lower the longer ago one was given back; no
/// two have the same.
#[derive(Debug, Default)]
pub(super) struct Kept {
    by_age: BTreeMap<u64, (IpAddr, Holder)>,
    by_holder: BTreeSet<(Holder, u64)>,
    by_address: BTreeMap<IpAddr, u64>,
}

impl Kept {
    /// Keeps an address that is not kept yet.
    pub(super) fn insert(&mut self, age: u64, address: IpAddr, holder: Holder) {
        self.by_age.insert(age, (address, holder));
        self.by_holder.insert((holder, age));
        self.by_address.insert(address, age);
    }

    /// Takes `address` out if it is kept for `holder`; says whether it is.
    pub(super) fn take(&mut self, holder: Holder, address: IpAddr) -> bool {
        let age = self.by_address.get(&address).copied();
        let age = age.filter(|age| self.by_holder.contains(&(holder, *age)));
        age.and_then(|age| self.remove(age)).is_some()
    }

    /// Keeps `address` for nobody any more.
    pub(super) fn forget(&mut self, address: IpAddr) {
        if let Some(age) = self.by_address.get(&address).copied() {
            self.remove(age);
        }
    }

    /// Takes out what `holder` had last.
    pub(super) fn take_latest(&mut self, holder: Holder) -> Option<IpAddr> {
        let ages = (holder, u64::MIN)..=(holder, u64::MAX);
        let (_, age) = *self.by_holder.range(ages).next_back()?;
        self.remove(age)
    }

    /// Takes out what was given back longest ago.
    pub(super) fn take_oldest(&mut self) -> Option<IpAddr> {
        let age = self.oldest()?;
        self.remove(age)
    }

    /// The age of what was given back longest ago.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.by_age.keys().next().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Everything: its age, the address, whom it is kept for; the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, IpAddr, Holder)> {
        let kept = self.by_age.iter();
        kept.map(|(age, (address, holder))| (*age, *address, *holder))
    }

    fn remove(&mut self, age: u64) -> Option<IpAddr> {
        let (address, holder) = self.by_age.remove(&age)?;
        self.by_holder.remove(&(holder, age));
        self.by_address.remove(&address);
        Some(address)
    }
}
