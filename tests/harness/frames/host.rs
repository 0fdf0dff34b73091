//! The gateway of the tables on the host: what the maps say, in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ikexdp_common::address::Address;
use ikexdp_common::challenge::Write;
use ikexdp_common::classify::{Gateway, Load};
use ikexdp_common::cookie::CookieSecrets;
use ikexdp_common::guard::{Bucket, Listing, Read, Shield};
use ikexdp_common::judge::judge;
use ikexdp_common::limit::{self, Over};
use ikexdp_common::maps::{Config, Secrets};
use ikexdp_common::spi::SpiSecrets;
use ikexdp_common::verdict::Verdict;
use ipnet::IpNet;

use super::table::{BROADCAST, OURS_V4, OURS_V6};

/// What the gateway of the tables has been told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// By the map of its configuration.
    pub config: Config,
    /// Prefixes.
    pub listed: BTreeMap<IpNet, Listing>,
    /// SPIs of before.
    pub kept_spis: BTreeSet<u64>,
}

/// Secrets that are none.
#[must_use]
pub fn secrets() -> Secrets {
    Secrets {
        cookies: CookieSecrets::new([1, 2], [3, 4]),
        spis: SpiSecrets::new(7, [5, 6], [7, 8]),
    }
}

/// A bucket for everything that tokens are taken for.
type Buckets = [u64; Bucket::COUNT];

/// The gateway, at a time that does not pass.
#[derive(Debug, Default)]
pub struct Here {
    told: Told,
    sources: RefCell<HashMap<Address, Buckets>>,
    all: RefCell<Buckets>,
}

impl Here {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(told: Told) -> Self {
        Self {
            told,
            ..Self::default()
        }
    }

    /// What becomes of a frame, and what it is then.
    #[must_use]
    pub fn judge(&self, frame: &[u8]) -> (Verdict, Vec<u8>) {
        let mut frame = Frame(frame.to_vec());
        let verdict = judge(&mut frame, self);
        (verdict, frame.0)
    }
}

impl From<Config> for Here {
    fn from(config: Config) -> Self {
        Self::new(Told {
            config,
            ..Told::default()
        })
    }
}

impl Gateway for Here {
    fn owns_v4(&self, address: u32) -> bool {
        address == OURS_V4.to_bits()
    }

    fn owns_v6(&self, address: u128) -> bool {
        address == OURS_V6.to_bits()
    }

    fn drops_ikev1(&self) -> bool {
        self.told.config.drop_ikev1
    }
}

impl Shield for Here {
    fn config(&self) -> Config {
        let lists = !self.told.listed.is_empty();
        Config {
            lists,
            ..self.told.config
        }
    }

    fn secrets(&self) -> Secrets {
        secrets()
    }

    fn is_ours(&self, address: Address) -> bool {
        let address = IpAddr::from(address);
        address == OURS_V4 || address == BROADCAST || address == OURS_V6
    }

    fn listing(&self, address: Address) -> Listing {
        let listed = self.told.listed.iter();
        listed
            .filter(|(prefix, _)| prefix.contains(&IpAddr::from(address)))
            .max_by_key(|(prefix, _)| prefix.prefix_len())
            .map_or(Listing::Unlisted, |(_, listing)| *listing)
    }

    fn is_kept(&self, spi: u64) -> bool {
        self.told.kept_spis.contains(&spi)
    }

    fn take(&self, address: Address, bucket: Bucket) -> Result<(), Over> {
        let mut sources = self.sources.borrow_mut();
        let of = |address| sources.get(&address).copied().unwrap_or_default();
        let mut source: Buckets = of(address.source());
        let mut network: Option<Buckets> = address.network().map(of);
        let buckets = limit::Buckets {
            source: &mut source[bucket as usize],
            network: network
                .as_mut()
                .map(|network| &mut network[bucket as usize]),
            total: &mut self.all.borrow_mut()[bucket as usize],
        };
        let limits = self.told.config.limits(bucket);
        let taken = limits.take(buckets, 1);
        sources.insert(address.source(), source);
        if let (Some(key), Some(network)) = (address.network(), network) {
            sources.insert(key, network);
        }
        taken
    }
}

/// A frame in memory.
struct Frame(Vec<u8>);

impl Load for Frame {
    fn length(&self) -> usize {
        self.0.len()
    }

    fn load<const N: usize>(&self, layer: usize, field: usize) -> Option<[u8; N]> {
        self.0.as_slice().load(layer, field)
    }
}

impl Read for Frame {
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.load(at, 0)
    }
}

impl Write for Frame {
    fn truncate(&mut self, length: usize) -> Option<()> {
        assert!(
            length <= self.0.len(),
            "a reply is no longer than its request"
        );
        self.0.truncate(length);
        Some(())
    }

    fn store<const N: usize>(&mut self, layer: usize, field: usize, octets: [u8; N]) -> Option<()> {
        *self.0.get_mut(layer + field..)?.first_chunk_mut()? = octets;
        Some(())
    }
}
