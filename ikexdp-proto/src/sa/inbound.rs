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
    owners: BTreeMap<Lineage, IkeSaId>,
}

impl Lineages {
    /// Takes the next number that nobody has.
    pub(super) fn reserve(&mut self, owner: IkeSaId) -> Lineage {
        loop {
            self.last = self.last.saturating_add(1);
            if self.last > Lineage::MAX {
                self.last = 1;
            }
            let lineage = Lineage(self.last);
            if let Entry::Vacant(place) = self.owners.entry(lineage) {
                place.insert(owner);
                return lineage;
            }
        }
    }

    /// Another IKE SA has it now.
    pub(super) fn pass_on(&mut self, lineage: Lineage, owner: IkeSaId) {
        self.owners.insert(lineage, owner);
    }

    /// Gives one back.
    pub(super) fn release(&mut self, lineage: Lineage) {
        self.owners.remove(&lineage);
    }

    /// Who has it.
    pub(crate) fn owner(&self, lineage: Lineage) -> Option<IkeSaId> {
        self.owners.get(&lineage).copied()
    }
}
