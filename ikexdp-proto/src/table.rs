//! The IKE SAs of an endpoint, and what they are found by.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Bound;

use ikexdp_common::address::Address;

use crate::config::Config;
use crate::endpoint::Host;
use crate::identity::Identity;
use crate::limits::REASSEMBLY_TOTAL_MAX;
use crate::sa::{Context, IkeSa};
use crate::time::Instant;
use crate::types::{IkeSaId, Spi};

/// All IKE SAs.
#[derive(Debug, Default)]
pub(crate) struct Table {
    sas: BTreeMap<IkeSaId, Box<Entry>>,
    spis: OwnSpis,
    by_request: BTreeMap<RequestKey, IkeSaId>,
    /// The SAs that are up, by whom they are with.
    by_peer: BTreeSet<(Arc<str>, IkeSaId)>,
    timers: BTreeSet<(Instant, IkeSaId)>,
    /// Incomplete messages; those of unauthenticated peers come first, the
    /// oldest of them foremost.
    reassemblies: BTreeSet<(bool, Instant, IkeSaId)>,
    reassembly_octets: usize,
    half_open: usize,
    /// Of each source, and of each network.
    half_open_of: BTreeMap<Address, usize>,
    established: usize,
}

/// Whose our SPIs are, with those that a CREATE_CHILD_SA exchange under way will
/// give to a new SA.
#[derive(Debug, Default)]
pub(crate) struct OwnSpis(BTreeMap<Spi, IkeSaId>);

impl OwnSpis {
    /// Whether somebody has `spi`.
    pub(crate) fn contains(&self, spi: Spi) -> bool {
        self.0.contains_key(&spi)
    }

    /// Takes `spi` from `id`, if it has it still.
    fn release(&mut self, spi: Spi, id: IkeSaId) {
        if self.0.get(&spi) == Some(&id) {
            self.0.remove(&spi);
        }
    }
}

/// Where an IKE_SA_INIT request came from, and the initiator's SPI in it: there
/// is at most one SA for them.
pub(crate) type RequestKey = (IpAddr, Spi);

#[derive(Debug)]
struct Entry {
    sa: IkeSa,
    spi: Spi,
    request: Option<RequestKey>,
    /// What it is found by in `by_peer`, while it is.
    peer: Option<Arc<str>>,
    booked: Booked,
}

/// What the indexes know of an SA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Booked {
    deadline: Option<Instant>,
    half_open: bool,
    established: bool,
    reassembly: Option<(bool, Instant, usize)>,
    /// Our SPIs of IKE SAs that may take its place.
    awaited: [Option<Spi>; 2],
}

impl Booked {
    fn of(sa: &IkeSa, config: &Config) -> Self {
        let reassembly = sa.reassembly();
        Self {
            deadline: sa.deadline(config),
            half_open: sa.is_half_open(),
            established: sa.is_established(),
            reassembly: reassembly.map(|(since, octets)| (sa.is_authenticated(), since, octets)),
            awaited: sa.awaited_spis(),
        }
    }
}

impl Table {
    /// Half-open SAs of ours as the responder.
    pub(crate) const fn half_open(&self) -> usize {
        self.half_open
    }

    /// The same, of those that came from where `address` is.
    pub(crate) fn half_open_of(&self, source: Address) -> usize {
        self.half_open_of.get(&source).copied().unwrap_or_default()
    }

    /// SAs that are up.
    pub(crate) const fn established(&self) -> usize {
        self.established
    }

    /// Memory held for incomplete messages, in octets.
    pub(crate) const fn reassembly_octets(&self) -> usize {
        self.reassembly_octets
    }

    /// When the first timer runs out.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// The SAs whose timers have run out by `now`.
    pub(crate) fn expired(&self, now: Instant) -> Vec<IkeSaId> {
        let due = self.timers.range(..=(now, IkeSaId(u64::MAX)));
        due.map(|(_, id)| *id).collect()
    }

    pub(crate) fn by_spi(&self, spi: Spi) -> Option<IkeSaId> {
        self.spis.0.get(&spi).copied()
    }

    /// Our SPIs.
    pub(crate) const fn spis(&self) -> &OwnSpis {
        &self.spis
    }

    /// The same one by one.
    pub(crate) fn each_spi(&self) -> impl Iterator<Item = Spi> {
        self.spis.0.keys().copied()
    }

    pub(crate) fn by_request(&self, request: &RequestKey) -> Option<IkeSaId> {
        self.by_request.get(request).copied()
    }

    /// SAs that are up and may be with `peer`: identities that are the same in
    /// other octets are written alike.
    pub(crate) fn by_peer(&self, peer: &Identity) -> Vec<IkeSaId> {
        let key: Arc<str> = peer.to_string().into();
        let first = (Arc::clone(&key), IkeSaId(0));
        let last = (key, IkeSaId(u64::MAX));
        let range = self.by_peer.range(first..=last);
        range.map(|(_, id)| *id).collect()
    }

    pub(crate) fn ids(&self) -> Vec<IkeSaId> {
        self.sas.keys().copied().collect()
    }

    pub(crate) fn find(&self, id: IkeSaId) -> Option<&IkeSa> {
        self.sas.get(&id).map(|entry| &entry.sa)
    }

    /// The SAs in the order of their making: all, or those after one.
    pub(crate) fn after(&self, id: Option<IkeSaId>) -> impl Iterator<Item = &IkeSa> {
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.sas.range((start, Bound::Unbounded));
        range.map(|(_, entry)| &entry.sa)
    }

    /// Adds an SA; `request` is what it was made by, if a peer made it.
    pub(crate) fn insert(&mut self, config: &Config, sa: IkeSa, request: Option<RequestKey>) {
        let id = sa.core.id;
        let spi = sa.core.our_spi();
        self.spis.0.insert(spi, id);
        if let Some(request) = request {
            self.by_request.insert(request, id);
        }
        let entry = Entry {
            sa,
            spi,
            request,
            peer: None,
            booked: Booked::default(),
        };
        self.sas.insert(id, Box::new(entry));
        self.settle(config, id);
    }

    /// Lets `handle` change an SA; nothing happens if it is gone.
    pub(crate) fn update(
        &mut self,
        host: &mut Host,
        id: IkeSaId,
        handle: impl FnOnce(&mut IkeSa, &mut Context<'_>),
    ) {
        if let Some(entry) = self.sas.get_mut(&id) {
            handle(&mut entry.sa, &mut host.context(&self.spis));
            self.settle(&host.config, id);
        }
    }

    /// Brings the indexes up to date with a new configuration.
    pub(crate) fn settle_all(&mut self, config: &Config) {
        for id in self.ids() {
            self.settle(config, id);
        }
    }

    /// Brings the indexes up to date with an SA that may have changed.
    fn settle(&mut self, config: &Config, id: IkeSaId) {
        let Some(entry) = self.sas.get_mut(&id) else {
            return;
        };
        let now = if entry.sa.is_gone() {
            Booked::default()
        } else {
            Booked::of(&entry.sa, config)
        };
        let before = core::mem::replace(&mut entry.booked, now);
        if before.deadline != now.deadline {
            if let Some(deadline) = before.deadline {
                self.timers.remove(&(deadline, id));
            }
            if let Some(deadline) = now.deadline {
                self.timers.insert((deadline, id));
            }
        }
        if let Some((authenticated, since, octets)) = before.reassembly {
            self.reassemblies.remove(&(authenticated, since, id));
            self.reassembly_octets = self.reassembly_octets.saturating_sub(octets);
        }
        if let Some((authenticated, since, octets)) = now.reassembly {
            self.reassemblies.insert((authenticated, since, id));
            self.reassembly_octets = self.reassembly_octets.saturating_add(octets);
        }
        self.half_open = self
            .half_open
            .saturating_sub(before.half_open.into())
            .saturating_add(now.half_open.into());
        if before.half_open != now.half_open
            && let Some((address, _)) = entry.request
        {
            book_half_open(&mut self.half_open_of, address, now.half_open);
        }
        if before.awaited != now.awaited {
            for spi in before.awaited.into_iter().flatten() {
                self.spis.release(spi, id);
            }
            for spi in now.awaited.into_iter().flatten() {
                self.spis.0.insert(spi, id);
            }
        }
        self.established = self
            .established
            .saturating_sub(before.established.into())
            .saturating_add(now.established.into());
        match (entry.sa.peer(), &entry.peer) {
            (Some(peer), None) => {
                let key: Arc<str> = peer.to_string().into();
                entry.peer = Some(Arc::clone(&key));
                self.by_peer.insert((key, id));
            }
            (None, Some(_)) => {
                if let Some(key) = entry.peer.take() {
                    self.by_peer.remove(&(key, id));
                }
            }
            _ => {}
        }
        if entry.sa.is_gone() {
            let (spi, request) = (entry.spi, entry.request);
            self.sas.remove(&id);
            self.spis.release(spi, id);
            if let Some(request) = request {
                self.by_request.remove(&request);
            }
        }
    }

    /// The SA whose incomplete message must go, if all together hold too much.
    pub(crate) fn over_budget(&self) -> Option<IkeSaId> {
        let (_, _, id) = self.reassemblies.first()?;
        (self.reassembly_octets > REASSEMBLY_TOTAL_MAX).then_some(*id)
    }
}

/// Counts one half-open SA of a peer at `address` more, or one less, for its source and for
/// the network that it is in.
fn book_half_open(of: &mut BTreeMap<Address, usize>, address: IpAddr, more: bool) {
    let address = Address::from(address);
    for key in [Some(address.source()), address.network()]
        .into_iter()
        .flatten()
    {
        let before = of.remove(&key).unwrap_or_default();
        let now = if more {
            before.saturating_add(1)
        } else {
            before.saturating_sub(1)
        };
        if now > 0 {
            of.insert(key, now);
        }
    }
}
