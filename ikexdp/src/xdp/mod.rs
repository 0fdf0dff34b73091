//! The XDP program: loaded into the kernel, told about this host, attached.

mod addresses;
mod attached;
mod error;
mod fitting;
mod interface;
mod limits;
mod local;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, XskMap};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use ikexdp_common::address::Address;
use ikexdp_common::guard::Listing;
use ikexdp_common::maps::{self, Config, Secrets};
use ikexdp_common::verdict::Verdict;
use ipnet::IpNet;

pub use self::addresses::LocalAddresses;
pub use self::attached::{Attached, AttachedError};
pub use self::error::{AttachError, LoadError};
pub use self::interface::{Interface, InterfaceError};
use self::local::Local;

/// The program, as the build script made it.
static OBJECT: &[u8] = include_bytes_aligned!(env!("IKEXDP_XDP_OBJECT"));

/// Its name, in the object and wherever the kernel lists it.
const NAME: &str = "ikexdp";

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before the kernel spends anything on a frame.
    Native,
    /// In the network stack, whatever the driver.
    Generic,
}

impl Mode {
    /// Every mode, the fastest first.
    pub const ALL: [Self; 2] = [Self::Native, Self::Generic];

    /// What `ip link set` calls it.
    const fn ip_link_name(self) -> &'static str {
        match self {
            Self::Native => "xdpdrv",
            Self::Generic => "xdpgeneric",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// The program in the kernel, with its maps.
pub struct Program {
    ebpf: Ebpf,
    counters: PerCpuArray<MapData, u64>,
    sockets: XskMap<MapData>,
    words: Array<MapData, [u64; Config::WORDS]>,
    config: Config,
    secrets: Array<MapData, [u64; Secrets::WORDS]>,
    prefixes: LpmTrie<MapData, [u8; 16], u8>,
    /// What the map above holds.
    listed: BTreeMap<IpNet, Listing>,
    /// Whether that is all it was told of.
    is_whole: bool,
    spis: HashMap<MapData, u64, u8>,
    /// What the map above holds.
    kept_spis: BTreeSet<u64>,
    local: Local,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("addresses", self.addresses())
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Loads the program, with room for the limits of so many sources; it sees no
    /// frame before it is attached.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn load(config: Config, sources: u32) -> Result<Self, LoadError> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(maps::SOURCES, sources)
            .load(OBJECT)?;
        xdp(&mut ebpf)?.load()?;
        let mut program = Self {
            counters: take(&mut ebpf, maps::COUNTERS)?,
            sockets: take(&mut ebpf, maps::SOCKETS)?,
            words: take(&mut ebpf, maps::CONFIG)?,
            config,
            secrets: take(&mut ebpf, maps::SECRETS)?,
            prefixes: take(&mut ebpf, maps::LISTED)?,
            listed: BTreeMap::new(),
            is_whole: true,
            spis: take(&mut ebpf, maps::KEPT_SPIS)?,
            kept_spis: BTreeSet::new(),
            local: Local::take(&mut ebpf)?,
            ebpf,
        };
        program.configure(config)?;
        Ok(program)
    }

    /// Makes the program act on `config`, but for `lists`, which follows from what
    /// is listed.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, which it has no reason to.
    pub fn configure(&mut self, config: Config) -> Result<(), MapError> {
        self.config = Config {
            lists: !self.listed.is_empty(),
            ..config
        };
        self.words.set(0, self.config.to_words(), 0)
    }

    /// What the program acts on.
    #[must_use]
    pub const fn config(&self) -> Config {
        self.config
    }

    /// Makes the program check cookies and SPIs with `secrets`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, which it has no reason to.
    pub fn set_secrets(&mut self, secrets: &Secrets) -> Result<(), MapError> {
        self.secrets.set(0, secrets.to_words(), 0)
    }

    /// Makes `listed` what is said about sources, of a source by its longest prefix;
    /// or the longest [`LISTED_MAX`](maps::LISTED_MAX) prefixes of it. Says how many
    /// are left out.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn set_listed(&mut self, listed: &BTreeMap<IpNet, Listing>) -> Result<usize, MapError> {
        let fitting = fitting::prefixes(listed);
        let is_gone = |prefix: &IpNet| !fitting.contains_key(prefix);
        let gone: Vec<_> = self.listed.keys().copied().filter(is_gone).collect();
        let gone = gone.into_iter().map(|prefix| (prefix, None));
        let comes = fitting.iter().map(|(prefix, it)| (*prefix, Some(*it)));
        self.change(gone.chain(comes))?;
        let left_out = listed.len().saturating_sub(maps::LISTED_MAX);
        self.is_whole = left_out == 0;
        Ok(left_out)
    }

    /// The same, where only `changed` of `listed` may differ from what was said last:
    /// what it takes depends on these alone, as long as there is room for all.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn change_listed(
        &mut self,
        listed: &BTreeMap<IpNet, Listing>,
        changed: &BTreeSet<IpNet>,
    ) -> Result<usize, MapError> {
        if !self.is_whole || listed.len() > maps::LISTED_MAX {
            return self.set_listed(listed);
        }
        let changes = changed.iter().copied();
        self.change(changes.map(|prefix| (prefix, listed.get(&prefix).copied())))?;
        self.is_whole = true;
        Ok(0)
    }

    fn change(
        &mut self,
        changes: impl IntoIterator<Item = (IpNet, Option<Listing>)>,
    ) -> Result<(), MapError> {
        // Unless it comes to its end.
        self.is_whole = false;
        for (prefix, listing) in fitting::in_order(&self.listed, changes) {
            self.hold(prefix, listing)?;
        }
        if fitting::is_bare(&self.listed) {
            self.hold(fitting::ALL_V4, None)?;
        }
        self.configure(self.config)
    }

    /// Has the map say `listing` of `prefix`, or nothing.
    fn hold(&mut self, prefix: IpNet, listing: Option<Listing>) -> Result<(), MapError> {
        if self.listed.get(&prefix).copied() == listing {
            return Ok(());
        }
        let key = prefix_key(prefix);
        if let Some(listing) = listing {
            self.prefixes.insert(&key, listing as u8, 0)?;
            self.listed.insert(prefix, listing);
        } else {
            self.prefixes.remove(&key)?;
            self.listed.remove(&prefix);
        }
        Ok(())
    }

    /// Makes `spis` those that are ours whatever the secrets say, or the first
    /// [`KEPT_SPIS_MAX`](maps::KEPT_SPIS_MAX) of them. Says how many are left out.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn set_kept_spis(&mut self, spis: &BTreeSet<u64>) -> Result<usize, MapError> {
        let fitting: BTreeSet<_> = spis.iter().copied().take(maps::KEPT_SPIS_MAX).collect();
        // What goes makes room for what comes.
        let gone: Vec<_> = self.kept_spis.difference(&fitting).copied().collect();
        for spi in gone {
            self.spis.remove(&spi)?;
            self.kept_spis.remove(&spi);
        }
        for &spi in &fitting {
            if !self.kept_spis.contains(&spi) {
                self.spis.insert(spi, 0, 0)?;
                self.kept_spis.insert(spi);
            }
        }
        Ok(spis.len().saturating_sub(fitting.len()))
    }

    /// The addresses whose IKE is ours.
    #[must_use]
    pub const fn addresses(&self) -> &BTreeSet<IpAddr> {
        self.local.addresses()
    }

    /// Makes `addresses` the ones whose IKE is ours, or of each family the first
    /// [`LOCAL_ADDRESSES`](maps::LOCAL_ADDRESSES), and says how many are left
    /// out. Their IKE is the kernel's.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn set_addresses(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<usize, MapError> {
        self.local.set_addresses(addresses)
    }

    /// Makes `broadcasts` those that nobody sends from: what comes from there is the
    /// kernel's, which knows better than to answer. There is room for as many as for
    /// addresses.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn set_broadcasts(&mut self, broadcasts: &BTreeSet<Ipv4Addr>) -> Result<(), MapError> {
        self.local.set_broadcasts(broadcasts)
    }

    /// Gives the IKE messages of an RX queue to an AF_XDP socket, until that is
    /// closed.
    ///
    /// # Errors
    ///
    /// When the queue has a number that the interface cannot have.
    pub fn set_socket(&mut self, queue: u32, socket: &impl AsFd) -> Result<(), MapError> {
        self.sockets.set(queue, socket.as_fd().as_raw_fd(), 0)
    }

    /// Attaches the program in the first of `modes` that the interface has.
    ///
    /// # Errors
    ///
    /// When it has none of them, or another program.
    pub fn attach(
        &mut self,
        interface: &Interface,
        modes: &[Mode],
    ) -> Result<Attachment, AttachError> {
        let Interface {
            name,
            index,
            rx_queues,
            ..
        } = interface;
        if usize::try_from(*rx_queues).is_ok_and(|queues| queues > maps::QUEUES) {
            return Err(AttachError::Queues {
                interface: name.clone(),
                queues: *rx_queues,
            });
        }
        let mut refusals = Vec::new();
        for &mode in modes {
            match self.attach_in(mode, *index) {
                Ok(link) => {
                    return Ok(Attachment {
                        link,
                        mode,
                        refusals,
                    });
                }
                Err(refusal) => refusals.push((mode, refusal)),
            }
        }
        if let Some(occupant) = interface::occupant(name)? {
            return Err(AttachError::Occupied {
                interface: name.clone(),
                program: occupant.program,
                id: occupant.id,
                mode: occupant.mode,
            });
        }
        let (mode, source) = refusals
            .pop()
            .unwrap_or((Mode::Generic, ProgramError::NotAttached));
        Err(AttachError::Refused {
            interface: name.clone(),
            mode,
            source,
        })
    }

    /// Attaches by a link, which ends with us however we end: aya does so on
    /// every kernel since 5.9.
    fn attach_in(&mut self, mode: Mode, index: u32) -> Result<XdpLink, ProgramError> {
        let program = xdp(&mut self.ebpf)?;
        let link = program.attach_to_if_index(
            index,
            match mode {
                Mode::Native => XdpMode::Driver,
                Mode::Generic => XdpMode::Skb,
            },
        )?;
        program.take_link(link)
    }

    /// Reads the counters.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, which it has no reason to.
    pub fn counters(&self) -> Result<Counters, MapError> {
        Counters::read(&self.counters)
    }

    /// The loaded program itself.
    ///
    /// # Errors
    ///
    /// Never in practice: the object has it.
    pub fn xdp(&mut self) -> Result<&mut Xdp, ProgramError> {
        xdp(&mut self.ebpf)
    }
}

/// As the map has it: prefixes of IPv4 lie behind the 96 bits that map them.
fn prefix_key(prefix: IpNet) -> Key<[u8; 16]> {
    let length = match prefix {
        IpNet::V4(prefix) => u32::from(prefix.prefix_len()).saturating_add(96),
        IpNet::V6(prefix) => prefix.prefix_len().into(),
    };
    let Address(octets) = prefix.network().into();
    Key::new(length, octets)
}

fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp, ProgramError> {
    ebpf.program_mut(NAME)
        .ok_or(ProgramError::NotLoaded)?
        .try_into()
}

fn take<M: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &str) -> Result<M, MapError> {
    ebpf.take_map(name)
        .ok_or_else(|| MapError::InvalidName {
            name: name.to_owned(),
        })?
        .try_into()
}

/// The program on an interface. It is there as long as this is held, and the
/// kernel removes it when the process dies.
#[derive(Debug)]
pub struct Attachment {
    #[expect(dead_code, reason = "detaches when dropped")]
    link: XdpLink,
    mode: Mode,
    refusals: Vec<(Mode, ProgramError)>,
}

impl Attachment {
    /// Where the program runs.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The modes tried before, and why they are not.
    #[must_use]
    pub fn refusals(&self) -> &[(Mode, ProgramError)] {
        &self.refusals
    }
}

/// How many frames had which fate, since the program was loaded.
#[derive(Clone, Debug)]
pub struct Counters(Vec<Vec<u64>>);

impl Counters {
    fn read(map: &PerCpuArray<MapData, u64>) -> Result<Self, MapError> {
        let read = |verdict: &Verdict| Ok(map.get(&(*verdict as u32), 0)?.to_vec());
        let counters = Verdict::ALL.iter().map(read);
        counters.collect::<Result<_, _>>().map(Self)
    }

    /// Frames on all CPUs.
    #[must_use]
    pub fn total(&self, verdict: Verdict) -> u64 {
        self.per_cpu(verdict)
            .iter()
            .fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Frames on each CPU.
    #[must_use]
    pub fn per_cpu(&self, verdict: Verdict) -> &[u64] {
        self.0.get(verdict.index()).map_or(&[], Vec::as_slice)
    }
}
