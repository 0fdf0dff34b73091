//! The SPIs that we receive ESP on, and the lineages of CHILD SAs.

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;

use crate::data_plane::Lineage;
use crate::types::{EspSpi, IkeSaId};

/// The SPIs of all CHILD SAs there are, and of those we have offered: for the
/// kernel, two with one SPI would be one.
#[derive(Debug, Default)]
pub(crate) struct InboundSpis(BTreeSet<EspSpi>);

impl InboundSpis {
    /// Takes one that nobody has.
    pub(super) fn reserve(&mut self, random: &mut dyn CryptoRng) -> EspSpi {
        loop {
            let spi = EspSpi(random.next_u32());
            if !spi.is_reserved() && self.0.insert(spi) {
                return spi;
            }
        }
    }

    /// Gives one back.
    pub(super) fn release(&mut self, spi: EspSpi) {
        self.0.remove(&spi);
    }
}

/// The lineages there are, and whose they are: two with one number would share
/// their policies.
#[derive(Debug, Default)]
pub(crate) struct Lineages {
    last: u32,
    known: BTreeMap<Lineage, Known>,
}

#[derive(Debug)]
struct Known {
    owner: IkeSaId,
    /// CHILD SAs of the lineage, those that are being installed among them.
    children: usize,
}

impl Lineages {
    /// Takes the next number that nobody has, for one CHILD SA.
    pub(super) fn reserve(&mut self, owner: IkeSaId) -> Lineage {
        loop {
            self.last = self.last.saturating_add(1);
            if self.last > Lineage::MAX {
                self.last = 1;
            }
            let lineage = Lineage(self.last);
            if let Entry::Vacant(place) = self.known.entry(lineage) {
                place.insert(Known { owner, children: 1 });
                return lineage;
            }
        }
    }

    /// One more CHILD SA is of it.
    pub(super) fn join(&mut self, lineage: Lineage) {
        if let Some(known) = self.known.get_mut(&lineage) {
            known.children = known.children.saturating_add(1);
        }
    }

    /// Another IKE SA has it now.
    pub(super) fn pass_on(&mut self, lineage: Lineage, owner: IkeSaId) {
        if let Some(known) = self.known.get_mut(&lineage) {
            known.owner = owner;
        }
    }

    /// A CHILD SA of it is no more. Returns whether it was the last.
    pub(super) fn leave(&mut self, lineage: Lineage) -> bool {
        let Some(known) = self.known.get_mut(&lineage) else {
            return true;
        };
        known.children = known.children.saturating_sub(1);
        let last = known.children == 0;
        if last {
            self.known.remove(&lineage);
        }
        last
    }

    /// Who has it.
    pub(crate) fn owner(&self, lineage: Lineage) -> Option<IkeSaId> {
        self.known.get(&lineage).map(|known| known.owner)
    }
}
