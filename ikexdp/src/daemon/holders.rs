//! Which IKE SA has which IPv4 address of the tunnel.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ikexdp_proto::event::Event;
use ikexdp_proto::types::{IkeSaId, Role};

/// Those that are up and have one. The packet loop tells what happens, the control
/// plane asks who has an address.
#[derive(Debug, Default)]
pub(super) struct Holders(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    addresses: BTreeMap<IkeSaId, Ipv4Addr>,
    holders: BTreeMap<Ipv4Addr, IkeSaId>,
}

impl Holders {
    /// Hears what has happened.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::Established(sa) if sa.role == Role::Responder => {
                let mut addresses = sa.addresses.iter();
                let address = addresses.find_map(|address| match address {
                    IpAddr::V4(address) => Some(*address),
                    IpAddr::V6(_) => None,
                });
                if let Some(address) = address {
                    self.table().give(sa.id, address);
                }
            }
            Event::Rekeyed { id, new, .. } => {
                let mut table = self.table();
                if let Some(address) = table.take(*id) {
                    table.give(*new, address);
                }
            }
            Event::Closed { id, .. } => {
                self.table().take(*id);
            }
            _ => {}
        }
    }

    /// Who has `address`.
    pub(super) fn of(&self, address: Ipv4Addr) -> Option<IkeSaId> {
        self.table().holders.get(&address).copied()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing is done under it that could panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn give(&mut self, id: IkeSaId, address: Ipv4Addr) {
        self.addresses.insert(id, address);
        self.holders.insert(address, id);
    }

    /// Somebody else may have the address already.
    fn take(&mut self, id: IkeSaId) -> Option<Ipv4Addr> {
        let address = self.addresses.remove(&id)?;
        if self.holders.get(&address) == Some(&id) {
            self.holders.remove(&address);
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_holders_until_that_goes() {
        let address = Ipv4Addr::new(10, 9, 0, 1);
        let [first, second, third] = [1, 2, 3].map(IkeSaId);
        let holders = Holders::default();
        holders.table().give(first, address);
        assert_eq!(holders.of(address), Some(first));
        // The next one has it before the first is known to be gone.
        holders.table().give(second, address);
        holders.table().take(first);
        assert_eq!(holders.of(address), Some(second));
        holders.table().take(third);
        assert_eq!(holders.table().take(second), Some(address));
        assert_eq!(holders.of(address), None);
        assert!(holders.table().addresses.is_empty());
    }
}
