//! What plays the kernel's part in keeping CHILD SAs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ikexdp_proto::data_plane::{
    Carried, DataPlane, DataPlaneError, Direction, EspSa, EspSaName, Lineage, Operation, Policies,
    Tunnel, Volume,
};
use ikexdp_proto::event::IkeSaSummary;
use ikexdp_proto::types::EspSpi;

/// What a kernel knows an SA by.
type Name = (Direction, EspSpi);

/// A kernel that keeps books, and carries what a test says that it does.
#[derive(Debug, Default)]
pub struct Kernel(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    sas: BTreeMap<Name, Kept>,
    policies: BTreeMap<Lineage, Policies>,
    carried: BTreeMap<Name, Carried>,
    refusal: Option<DataPlaneError>,
    /// SAs installed so far that were there already.
    collisions: usize,
}

/// An SA in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The lineage it was installed under.
    pub lineage: Lineage,
    /// Between which addresses.
    pub tunnel: Tunnel,
    encryption: Vec<u8>,
    integrity: Vec<u8>,
}

impl Kernel {
    fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on nothing can be installed or moved, or everything again.
    pub fn refuse(&self, refusal: Option<DataPlaneError>) {
        self.books(|books| books.refusal = refusal);
    }

    /// Has `octets` come in on `spi`.
    pub fn carry(&self, spi: EspSpi, octets: u64) {
        let name = (Direction::Inbound, spi);
        self.books(|books| books.carried.entry(name).or_default().octets += octets);
    }

    /// An SA, if it is there.
    #[must_use]
    pub fn sa(&self, direction: Direction, spi: EspSpi) -> Option<Kept> {
        self.books(|books| books.sas.get(&(direction, spi)).cloned())
    }

    /// Every SA and every lineage that has policies.
    #[must_use]
    pub fn names(&self) -> (Vec<Name>, Vec<Lineage>) {
        self.books(|books| {
            let policies = books.policies.keys().copied().collect();
            (books.sas.keys().copied().collect(), policies)
        })
    }

    /// Checks that this is what `sas` need, and nothing else.
    pub fn holds(&self, sas: &[IkeSaSummary]) {
        let children = sas.iter().flat_map(|sa| &sa.children);
        let mut needed: Vec<Name> = children
            .clone()
            .flat_map(|child| {
                [
                    (Direction::Inbound, child.spi_in),
                    (Direction::Outbound, child.spi_out),
                ]
            })
            .collect();
        needed.sort_unstable();
        self.books(|books| {
            assert_eq!(books.collisions, 0, "something was installed twice");
            let there: Vec<Name> = books.sas.keys().copied().collect();
            assert_eq!(there, needed, "the SAs of the kernel");
            for child in children {
                let lineage = books.sas[&(Direction::Outbound, child.spi_out)].lineage;
                let policies = &books.policies[&lineage];
                assert_eq!(
                    (&policies.local, &policies.remote),
                    (&child.local, &child.remote)
                );
            }
            for lineage in books.policies.keys() {
                let mut sas = books.sas.values();
                assert!(sas.any(|sa| sa.lineage == *lineage), "policies without SAs");
            }
        });
    }

    /// Checks that what goes out here under a key comes in there under the same.
    pub fn speaks_with(&self, other: &Self) {
        let sas = self.books(|books| books.sas.clone());
        for ((direction, spi), kept) in sas {
            let opposite = match direction {
                Direction::Inbound => Direction::Outbound,
                Direction::Outbound => Direction::Inbound,
            };
            let theirs = other.sa(opposite, spi).expect("the other end has it");
            assert_eq!(
                (&kept.encryption, &kept.integrity),
                (&theirs.encryption, &theirs.integrity),
                "keys of {spi}"
            );
        }
    }
}

impl Books {
    fn apply(&mut self, batch: &[Operation]) -> Result<Volume, DataPlaneError> {
        let mut volume = Volume::default();
        for operation in batch {
            match operation {
                Operation::InstallSa(sa) => self.install(sa)?,
                Operation::InstallPolicies(policies) => {
                    self.policies.insert(policies.lineage, policies.clone());
                }
                Operation::RemoveSa(name) => {
                    if self.sa(name).is_some() {
                        let key = (name.direction, name.spi);
                        self.sas.remove(&key);
                        let carried = self.carried.remove(&key).unwrap_or_default();
                        volume.add(name.direction, carried);
                    }
                }
                Operation::RemovePolicies(policies) => {
                    self.policies.remove(&policies.lineage);
                }
                Operation::Move { sas, policies, to } => self.relocate(sas, policies, *to)?,
            }
        }
        Ok(volume)
    }

    /// The SA of that name, if it is of the lineage that is told.
    fn sa(&mut self, name: &EspSaName) -> Option<&mut Kept> {
        let kept = self.sas.get_mut(&(name.direction, name.spi))?;
        (kept.lineage == name.lineage).then_some(kept)
    }

    fn install(&mut self, sa: &EspSa) -> Result<(), DataPlaneError> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let kept = Kept {
            lineage: sa.lineage,
            tunnel: sa.tunnel,
            encryption: sa.keys.encryption.expose().clone(),
            integrity: sa.keys.integrity.expose().clone(),
        };
        match self.sas.insert((sa.direction, sa.spi), kept) {
            None => Ok(()),
            Some(_) => {
                self.collisions += 1;
                Err(DataPlaneError::Taken(sa.spi.to_string()))
            }
        }
    }

    fn relocate(
        &mut self,
        sas: &[EspSaName],
        policies: &[Policies],
        to: Tunnel,
    ) -> Result<(), DataPlaneError> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        for name in sas {
            if let Some(kept) = self.sa(name) {
                kept.tunnel = to;
            }
        }
        for policies in policies {
            if let Some(kept) = self.policies.get_mut(&policies.lineage) {
                kept.tunnel = to;
            }
        }
        Ok(())
    }
}

impl DataPlane for Kernel {
    fn apply(&self, batch: &[Operation]) -> Result<Volume, DataPlaneError> {
        self.books(|books| {
            let before = (books.sas.clone(), books.policies.clone());
            let applied = books.apply(batch);
            if applied.is_err() {
                // All or nothing.
                (books.sas, books.policies) = before;
            }
            applied
        })
    }

    fn carried(&self, sas: &[EspSaName]) -> Result<Vec<Carried>, DataPlaneError> {
        self.books(|books| {
            let mut carried = |name: &EspSaName| {
                books.sa(name)?;
                books.carried.get(&(name.direction, name.spi)).copied()
            };
            Ok(sas
                .iter()
                .map(|name| carried(name).unwrap_or_default())
                .collect())
        })
    }
}
