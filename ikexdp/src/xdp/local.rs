//! What the program knows of this host's addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError};
use ikexdp_common::address::Address;
use ikexdp_common::filter::AddressFilter;
use ikexdp_common::maps::{self, BROADCAST, LOCAL};

use super::error::LoadError;
use super::{fitting, take};

/// The maps of addresses, and what they hold.
pub(super) struct Local {
    v4: HashMap<MapData, [u8; 4], u8>,
    v6: HashMap<MapData, [u8; 16], u8>,
    filter: Array<MapData, [u64; AddressFilter::WORDS]>,
    /// What the first two maps hold as addresses of the gateway.
    addresses: BTreeSet<IpAddr>,
    /// What the first of them holds besides.
    broadcasts: BTreeSet<Ipv4Addr>,
}

impl Local {
    /// Takes the maps of a program that has just been loaded.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            v4: take(ebpf, maps::LOCAL_V4)?,
            v6: take(ebpf, maps::LOCAL_V6)?,
            filter: take(ebpf, maps::LOCAL_FILTER)?,
            addresses: BTreeSet::new(),
            broadcasts: BTreeSet::new(),
        })
    }

    pub(super) const fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.addresses
    }

    /// See [`Program::set_addresses`](super::Program::set_addresses).
    pub(super) fn set_addresses(
        &mut self,
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<usize, MapError> {
        let fitting = fitting::addresses(addresses);
        let gone: Vec<_> = self.addresses.difference(&fitting).copied().collect();
        for address in gone {
            match address {
                IpAddr::V4(address) => self.v4.remove(&address.octets())?,
                IpAddr::V6(address) => self.v6.remove(&address.octets())?,
            }
            self.addresses.remove(&address);
        }
        // Before they are there to be found.
        set_filter(&mut self.filter, &fitting, &self.broadcasts)?;
        for &address in &fitting {
            if self.addresses.contains(&address) {
                continue;
            }
            match address {
                IpAddr::V4(address) => self.v4.insert(address.octets(), LOCAL, 0)?,
                IpAddr::V6(address) => self.v6.insert(address.octets(), 0, 0)?,
            }
            self.addresses.insert(address);
        }
        Ok(addresses.len().saturating_sub(fitting.len()))
    }

    /// See [`Program::set_broadcasts`](super::Program::set_broadcasts).
    pub(super) fn set_broadcasts(
        &mut self,
        broadcasts: &BTreeSet<Ipv4Addr>,
    ) -> Result<(), MapError> {
        let is_ours = |address: &Ipv4Addr| self.addresses.contains(&IpAddr::V4(*address));
        let others = broadcasts.iter().copied();
        let others = others.filter(|address| !is_ours(address));
        let fitting: BTreeSet<_> = others.take(maps::LOCAL_ADDRESSES).collect();
        let gone: Vec<_> = self.broadcasts.difference(&fitting).copied().collect();
        for address in gone {
            // It may have become an address of ours meanwhile.
            if !self.addresses.contains(&IpAddr::V4(address)) {
                self.v4.remove(&address.octets())?;
            }
            self.broadcasts.remove(&address);
        }
        set_filter(&mut self.filter, &self.addresses, &fitting)?;
        for address in fitting {
            // Also what was there: it may have been an address of ours meanwhile, and gone with it.
            self.v4.insert(address.octets(), BROADCAST, 0)?;
            self.broadcasts.insert(address);
        }
        Ok(())
    }
}

/// Has the program look for these, and for hardly any other.
fn set_filter(
    filter: &mut Array<MapData, [u64; AddressFilter::WORDS]>,
    addresses: &BTreeSet<IpAddr>,
    broadcasts: &BTreeSet<Ipv4Addr>,
) -> Result<(), MapError> {
    let addresses = addresses.iter().copied();
    let broadcasts = broadcasts.iter().copied().map(IpAddr::V4);
    let told: AddressFilter = addresses.chain(broadcasts).map(Address::from).collect();
    filter.set(0, told.to_words(), 0)
}
