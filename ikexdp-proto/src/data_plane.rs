//! What the engine wants of the kernel, which carries the traffic of CHILD SAs.
//!
//! The host has a [`DataPlane`] and does the engine's data-plane jobs on it one
//! after the other, in the order they were handed out: an SA may be removed
//! before the engine has heard that it is installed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::crypto::keymat::EspKeys;
use crate::suite::EspSuite;
use crate::types::EspSpi;
use crate::wire::payload::ts::TrafficSelector;

/// Where CHILD SAs are kept: the kernel, or something that plays it.
pub trait DataPlane: fmt::Debug + Send + Sync {
    /// Does all of `batch` in order, and tells what had gone through the SAs that it
    /// has removed. If something cannot be installed or moved, what the batch has
    /// installed before is removed again; to remove what is not there is no error.
    ///
    /// # Errors
    /// [`DataPlaneError`] if something could not be installed or moved.
    fn apply(&self, batch: &[Operation]) -> Result<Volume, DataPlaneError>;

    /// What has gone through each of `sas`; one that is not there counts as having carried nothing.
    ///
    /// # Errors
    /// [`DataPlaneError`] if nobody could be asked.
    fn carried(&self, sas: &[EspSaName]) -> Result<Vec<Carried>, DataPlaneError>;

    /// Whether it does everything sooner than somebody could be asked to do it.
    fn is_immediate(&self) -> bool {
        false
    }
}

/// One thing to do.
#[derive(Debug)]
pub enum Operation {
    /// A new SA.
    InstallSa(EspSa),
    /// The traffic in both directions that SAs of one lineage carry. Another
    /// CHILD SA may have the same: the later one gets the traffic, until it is
    /// removed.
    InstallPolicies(Policies),
    /// An SA is over.
    RemoveSa(EspSaName),
    /// No SA of the lineage is left.
    RemovePolicies(Policies),
    /// The peer, or we, are reached elsewhere now. Sequence numbers and replay
    /// windows of the SAs go on.
    Move {
        /// Both directions of each CHILD SA, as they were named until now.
        sas: Vec<EspSaName>,
        /// The policies, as they were installed.
        policies: Vec<Policies>,
        /// Where the tunnel goes from now on.
        to: Tunnel,
    },
}

impl Operation {
    /// Of how much it is done one after the other: SAs, and policies of lineages.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Move { sas, policies, .. } => sas.len().saturating_add(policies.len()),
            _ => 1,
        }
    }
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the peer.
    Inbound,
    /// To the peer.
    Outbound,
}

/// The outer addresses of ESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Our end; the port counts only in UDP.
    pub local: SocketAddr,
    /// The peer's end; the port counts only in UDP.
    pub remote: SocketAddr,
    /// Whether ESP goes in UDP (RFC 3948), between these ports.
    pub in_udp: bool,
}

/// One direction of a CHILD SA.
#[derive(Debug)]
pub struct EspSa {
    /// Which one.
    pub direction: Direction,
    /// Its SPI, chosen by who receives.
    pub spi: EspSpi,
    /// Between which addresses.
    pub tunnel: Tunnel,
    /// Its algorithms.
    pub suite: EspSuite,
    /// Its keys.
    pub keys: EspKeys,
    /// The lineage it belongs to.
    pub lineage: Lineage,
    /// What binds it to devices and routes.
    pub binding: Binding,
    /// When the kernel says that it is worn, and when it gives it up.
    pub limits: UsageLimits,
}

/// What the kernel knows an SA by, and whose it must be: the SPI we send on is the
/// peer's choice, and may be that of somebody else's SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspSaName {
    /// Which direction of its CHILD SA it is.
    pub direction: Direction,
    /// Its SPI.
    pub spi: EspSpi,
    /// Between which addresses; ESP is received at one of them.
    pub tunnel: Tunnel,
    /// The lineage it belongs to. An SA of that name but of another lineage counts
    /// as not there.
    pub lineage: Lineage,
    /// Part of the name as far as it is a mark.
    pub binding: Binding,
}

impl EspSa {
    /// What it is known by.
    #[must_use]
    pub const fn name(&self) -> EspSaName {
        EspSaName {
            direction: self.direction,
            spi: self.spi,
            tunnel: self.tunnel,
            lineage: self.lineage,
            binding: self.binding,
        }
    }
}

/// A CHILD SA and those that take its place by rekeying: they share policies,
/// which find the SAs by this number (the kernel's reqid). From 1 to
/// [`Lineage::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(pub u32);

impl Lineage {
    /// The last number; the host has the upper eight bits to tell its own.
    pub const MAX: u32 = 0x00ff_ffff;
}

/// What ties the traffic of a connection to devices and routes of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The identifier of an xfrm interface, for route-based set-ups.
    pub if_id: Option<u32>,
    /// The mark that packets carry that are to be protected, and those that were
    /// when they leave the tunnel; ESP itself is received with any.
    pub mark: Option<Mark>,
}

/// A packet mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its value.
    pub value: u32,
    /// The bits that are looked at.
    pub mask: u32,
}

/// How much an SA may carry; `None` for any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageLimits {
    /// Octets after which the engine hears of [`DataPlaneEvent::Expired`].
    pub soft_octets: Option<u64>,
    /// Octets after which nothing more is carried.
    pub hard_octets: Option<u64>,
    /// Packets after which the engine hears of it.
    pub soft_packets: Option<u64>,
    /// Packets after which nothing more is carried.
    pub hard_packets: Option<u64>,
}

/// What traffic is protected, and by which SAs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Whose SAs protect it.
    pub lineage: Lineage,
    /// Between which addresses.
    pub tunnel: Tunnel,
    /// What lies behind us.
    pub local: Vec<TrafficSelector>,
    /// What lies behind the peer.
    pub remote: Vec<TrafficSelector>,
    /// What binds it to devices and routes.
    pub binding: Binding,
}

/// What has gone through an SA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// In octets.
    pub octets: u64,
    /// In packets.
    pub packets: u64,
}

/// What has gone through SAs, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// From the peer.
    pub received: Carried,
    /// To the peer.
    pub sent: Carried,
}

impl Carried {
    /// What both have carried.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            octets: self.octets.saturating_add(other.octets),
            packets: self.packets.saturating_add(other.packets),
        }
    }
}

impl Volume {
    /// Adds what an SA has carried.
    pub const fn add(&mut self, direction: Direction, carried: Carried) {
        let sum = match direction {
            Direction::Inbound => &mut self.received,
            Direction::Outbound => &mut self.sent,
        };
        *sum = sum.plus(carried);
    }

    /// What both have carried.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            received: self.received.plus(other.received),
            sent: self.sent.plus(other.sent),
        }
    }
}

impl DataPlaneEvent {
    /// Whose SA it is about.
    #[must_use]
    pub const fn lineage(&self) -> Lineage {
        match self {
            Self::Expired { lineage, .. } | Self::Remapped { lineage, .. } => *lineage,
        }
    }
}

/// What the kernel has to say by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPlaneEvent {
    /// An SA has carried as much as it should, or as it may.
    Expired {
        /// The lineage it belongs to.
        lineage: Lineage,
        /// Which direction.
        direction: Direction,
        /// Its SPI.
        spi: EspSpi,
        /// Whether the kernel has given it up already.
        hard: bool,
        /// What has gone through it.
        carried: Carried,
    },
    /// Authentic ESP in UDP came from another address or port than before: a NAT
    /// has forgotten its mapping.
    Remapped {
        /// The lineage of the SA.
        lineage: Lineage,
        /// The SPI it came in on.
        spi: EspSpi,
        /// The address and port it comes from now.
        remote: SocketAddr,
    },
}

/// Why the kernel does not carry an SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataPlaneError {
    /// It does not know the algorithms, or ESP itself.
    Unsupported(String),
    /// Somebody else has an SA of that name.
    Taken(String),
    /// Anything else.
    Failed(String),
}

impl fmt::Display for DataPlaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(why) => write!(f, "the kernel cannot do it: {why}"),
            Self::Taken(what) => write!(f, "the kernel has it already: {what}"),
            Self::Failed(why) => write!(f, "the kernel did not take it: {why}"),
        }
    }
}

impl core::error::Error for DataPlaneError {}

/// A data plane that carries nothing, for labs and benches.
#[derive(Clone, Copy, Debug)]
pub struct NoDataPlane;

impl DataPlane for NoDataPlane {
    fn apply(&self, _: &[Operation]) -> Result<Volume, DataPlaneError> {
        Ok(Volume::default())
    }

    fn carried(&self, sas: &[EspSaName]) -> Result<Vec<Carried>, DataPlaneError> {
        Ok(sas.iter().map(|_| Carried::default()).collect())
    }

    fn is_immediate(&self) -> bool {
        true
    }
}

impl Tunnel {
    /// The address ESP of `direction` is received at.
    #[must_use]
    pub const fn destination(&self, direction: Direction) -> IpAddr {
        match direction {
            Direction::Inbound => self.local.ip(),
            Direction::Outbound => self.remote.ip(),
        }
    }
}
