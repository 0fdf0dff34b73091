//! What the shield does with the XDP program, so that tests can have one that refuses.

use std::collections::{BTreeMap, BTreeSet};

use aya::maps::MapError;
use ikexdp_common::guard::Listing;
use ikexdp_common::maps::{Config, Secrets};
use ipnet::IpNet;

use crate::xdp::Program;

/// Maps of the program.
pub(in crate::daemon) trait Maps {
    /// What it acts on.
    fn config(&self) -> Config;

    /// Makes it act on that.
    fn configure(&mut self, config: Config) -> Result<(), MapError>;

    /// Makes it check with these.
    fn set_secrets(&mut self, secrets: &Secrets) -> Result<(), MapError>;

    /// Lists these prefixes, and no others: how many are left out.
    fn set_listed(&mut self, listed: &BTreeMap<IpNet, Listing>) -> Result<usize, MapError>;

    /// The same, where only `changed` may differ from what was listed.
    fn change_listed(
        &mut self,
        listed: &BTreeMap<IpNet, Listing>,
        changed: &BTreeSet<IpNet>,
    ) -> Result<usize, MapError>;

    /// Keeps these SPIs, and no others: how many are left out.
    fn set_kept_spis(&mut self, spis: &BTreeSet<u64>) -> Result<usize, MapError>;
}

impl Maps for Program {
    fn config(&self) -> Config {
        self.config()
    }

    fn configure(&mut self, config: Config) -> Result<(), MapError> {
        self.configure(config)
    }

    fn set_secrets(&mut self, secrets: &Secrets) -> Result<(), MapError> {
        self.set_secrets(secrets)
    }

    fn set_listed(&mut self, listed: &BTreeMap<IpNet, Listing>) -> Result<usize, MapError> {
        self.set_listed(listed)
    }

    fn change_listed(
        &mut self,
        listed: &BTreeMap<IpNet, Listing>,
        changed: &BTreeSet<IpNet>,
    ) -> Result<usize, MapError> {
        self.change_listed(listed, changed)
    }

    fn set_kept_spis(&mut self, spis: &BTreeSet<u64>) -> Result<usize, MapError> {
        self.set_kept_spis(spis)
    }
}
