//! What the daemon shows: the same on the control socket, in JSON and in tables.
//!
//! Names and units are for good: scripts read them.

mod counters;
mod event;
mod lists;
mod sources;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ikexdp_proto::data_plane::Carried;
use ikexdp_proto::event::{ChildSummary, FragmentationSummary, IkeSaSummary};
use ikexdp_proto::lease::RangeSummary;
use ikexdp_proto::types::Role;
use serde::{Deserialize, Serialize};

use crate::listed::Listed;

pub use self::counters::Counters;
pub use self::event::{Established, Event, HandshakeFailed, Happening, NAMES};
pub use self::lists::{ListCommand, ListedCounts, ListedPrefix, Listing, Relisted};
pub(crate) use self::sources::network;
pub use self::sources::{Limit, LimitedSource, Limits, Source, Sources};

/// The daemon at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running, in seconds.
    pub uptime_s: u64,
    /// Longest IP datagram it sends, in octets.
    pub fragment_size: u16,
    /// Whether it fragments at the IKE layer.
    pub fragmentation: bool,
    /// Whether peers that cannot fragment are sent IP fragments.
    pub ip_fragments: bool,
    /// What becomes of CHILD SAs.
    pub data_plane: String,
    /// Where the XDP program is, if there is one.
    pub xdp: Option<XdpStatus>,
    /// What the kernel's UDP sockets have to do without.
    pub shortcomings: Vec<String>,
    /// Half-open IKE SAs.
    pub half_open: usize,
    /// How long everybody has been asked for a cookie, in seconds, if they are.
    #[serde(default)]
    pub challenging_s: Option<u64>,
    /// Half-open IKE SAs at which no new one is made.
    #[serde(default)]
    pub half_open_max: usize,
    /// IKE SAs that are up.
    pub established: usize,
    /// Prefixes that are allowed and blocked.
    #[serde(default)]
    pub listed: ListedCounts,
    /// Jobs that the job threads have.
    pub jobs: usize,
    /// Memory held for incomplete messages, in octets.
    pub reassembly_octets: usize,
    /// The addresses for clients.
    pub pools: Vec<PoolStatus>,
    /// Captures for whose sake XDP leaves IKE to the kernel.
    #[serde(default)]
    pub captures: usize,
    /// Whose keys are being written, if anybody's are.
    #[serde(default)]
    pub decryption: Option<Decryption>,
}

/// A peer whose keys are being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decryption {
    /// The peer.
    pub peer: IpAddr,
    /// For how long, in seconds.
    pub seconds_left: u64,
    /// The directory.
    pub directory: String,
    /// Lines that are missing: more came at once than could be written.
    pub lines_lost: u64,
    /// Who wanted it: the user.
    pub uid: u32,
    /// And the process, which may have ended.
    pub pid: Option<i32>,
}

/// A configuration that was taken while the daemon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The file.
    pub path: String,
    /// How many connections it has.
    pub connections: usize,
    /// How many pools it has.
    pub pools: usize,
    /// What it has that takes a restart.
    pub postponed: Vec<Postponed>,
    /// What deserves a second look, in the file and on this host.
    pub cautions: Vec<String>,
}

/// A value that is only read at start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postponed {
    /// Its key, with its table.
    pub key: String,
    /// What the daemon runs with.
    pub running: String,
    /// What the file says.
    pub configured: String,
}

/// The addresses of a pool, of one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// The name of the pool.
    pub name: String,
    /// The first address.
    pub first: IpAddr,
    /// The last address.
    pub last: IpAddr,
    /// How many there are, or 2⁶⁴−1 if there are more.
    pub size: u64,
    /// How many are in use.
    pub in_use: usize,
    /// How many are free, but kept for who had them as long as others are left.
    pub kept: usize,
}

/// The XDP program on its interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdpStatus {
    /// The interface.
    pub interface: String,
    /// Where the program runs: `native` or `generic`.
    pub mode: String,
    /// How frames come from each RX queue: `zero-copy` or `copy`; or `none`, when
    /// its IKE takes the kernel's UDP sockets.
    pub queues: Vec<String>,
    /// The addresses whose IKE is taken.
    pub addresses: Vec<IpAddr>,
    /// Why the interface carries no IKE for now, or for good.
    pub trouble: Option<String>,
}

/// That XDP leaves IKE to the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Where the XDP program is, if there is one.
    pub xdp: Option<XdpStatus>,
    /// Why it may not be so.
    pub caution: Option<String>,
}

/// Where it is, in a few words.
impl fmt::Display for XdpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xdp on {}, {}", self.interface, self.mode)
    }
}

/// All counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// What the XDP program did with each frame; empty without it.
    pub xdp: Counters,
    /// The AF_XDP socket of each RX queue.
    pub queues: Vec<Counters>,
    /// The packet loop.
    pub daemon: Counters,
    /// The engine.
    pub engine: Counters,
    /// What became of handshakes.
    #[serde(default)]
    pub handshakes: Handshakes,
    /// RADIUS, by table, role and server.
    #[serde(default)]
    pub radius: Vec<Radius>,
}

/// What became of handshakes since the daemon began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshakes {
    /// Those that ended with an IKE SA.
    pub established: u64,
    /// Those that did not, by reason.
    pub failed: Counters,
    /// How long those took that ended with an IKE SA, in microseconds.
    pub duration_us: Histogram,
    /// Fragments that came in each of them.
    pub fragments_received: Histogram,
    /// Fragments that were sent in each of them.
    pub fragments_sent: Histogram,
}

/// How values are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many there were.
    pub count: u64,
    /// What they add up to.
    pub sum: u64,
    /// How many were at most so much, in steps that grow; a step counts those of
    /// the steps below it as well.
    pub steps: Vec<Step>,
}

/// A step of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The largest value that counts.
    pub at_most: u64,
    /// How many there were.
    pub count: u64,
}

impl Histogram {
    /// One without values.
    #[must_use]
    pub fn new(steps: &[u64]) -> Self {
        let empty = |at_most: &u64| Step {
            at_most: *at_most,
            count: 0,
        };
        Self {
            count: 0,
            sum: 0,
            steps: steps.iter().map(empty).collect(),
        }
    }

    /// Takes a value in.
    pub fn observe(&mut self, value: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(value);
        let steps = self.steps.iter_mut();
        for step in steps.filter(|step| value <= step.at_most) {
            step.count = step.count.saturating_add(1);
        }
    }
}

/// What a table `[[radius]]` has to do with one server, or with all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Radius {
    /// The name of the table.
    pub table: String,
    /// What it is about: servers are asked for `authentication` and `accounting`,
    /// `records` wait for any of them, and `disconnect` is what is asked of us.
    pub role: String,
    /// The server, if it is about one.
    pub server: Option<SocketAddr>,
    /// Whether it is asked before others.
    pub is_up: Option<bool>,
    /// What happened since the daemon started.
    pub counters: Counters,
}

/// What the kernel knows of the XDP program on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdpCounters {
    /// The interface.
    pub interface: String,
    /// Where the program runs: `native` or `generic`.
    pub mode: String,
    /// The program's id.
    pub program: u32,
    /// The process that keeps it there, if it can be found.
    pub pid: Option<u32>,
    /// What it did with each frame.
    pub xdp: Counters,
    /// The same by CPU.
    pub cpus: Vec<Counters>,
}

/// An IKE SA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sa {
    /// Its name, for `ikexdp terminate`.
    pub id: u64,
    /// How far it is.
    pub state: String,
    /// The connection it is of, once that is known.
    pub connection: Option<String>,
    /// Our part in it: `initiator` or `responder`.
    pub role: String,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// The initiator's SPI, in hexadecimal.
    pub initiator_spi: String,
    /// The responder's SPI, in hexadecimal.
    pub responder_spi: String,
    /// Who the peer is, once that is proved.
    pub identity: Option<String>,
    /// Its algorithms, once they are chosen.
    pub suite: Option<String>,
    /// How long it has existed, in seconds.
    pub age_s: u64,
    /// Addresses given to the peer.
    pub addresses: Vec<IpAddr>,
    /// How its messages are cut.
    pub fragmentation: Fragmentation,
    /// Its CHILD SAs.
    pub children: Vec<Child>,
}

/// How the messages of an IKE SA are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragmentation {
    /// Whether both sides announced RFC 7383.
    pub negotiated: bool,
    /// Longest IP datagram sent to this peer, in octets.
    pub datagram_len: u16,
    /// Fragments received in all.
    pub received: u32,
    /// Fragments sent in all.
    pub sent: u32,
}

/// A CHILD SA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The SPI we receive on, in hexadecimal.
    pub spi_in: String,
    /// The SPI the peer receives on, in hexadecimal.
    pub spi_out: String,
    /// Its algorithms.
    pub suite: String,
    /// What lies behind us.
    pub local: Vec<String>,
    /// What lies behind the peer.
    pub remote: Vec<String>,
    /// What has come from the peer, if the kernel tells.
    pub received: Option<Usage>,
    /// What has gone to the peer, if the kernel tells.
    pub sent: Option<Usage>,
}

/// Its SPIs, its algorithms, and between whom it is.
impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            spi_in,
            spi_out,
            suite,
            local,
            remote,
            ..
        } = self;
        let (local, remote) = (Listed(local), Listed(remote));
        write!(
            f,
            "{spi_in} in, {spi_out} out, {suite}: {local} <-> {remote}"
        )
    }
}

/// What an SA has carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// In octets.
    pub octets: u64,
    /// In packets.
    pub packets: u64,
}

impl From<Carried> for Usage {
    fn from(Carried { octets, packets }: Carried) -> Self {
        Self { octets, packets }
    }
}

impl From<RangeSummary> for PoolStatus {
    fn from(range: RangeSummary) -> Self {
        Self {
            size: u64::try_from(range.size()).unwrap_or(u64::MAX),
            name: range.pool,
            first: range.first,
            last: range.last,
            in_use: range.in_use,
            kept: range.kept,
        }
    }
}

impl From<IkeSaSummary> for Sa {
    fn from(sa: IkeSaSummary) -> Self {
        Self {
            id: sa.id.0,
            state: sa.state.to_owned(),
            connection: sa.connection,
            role: role(sa.role),
            local: sa.path.local,
            remote: sa.path.remote,
            initiator_spi: sa.spis.initiator.to_string(),
            responder_spi: sa.spis.responder.to_string(),
            identity: sa.peer.map(|peer| peer.to_string()),
            suite: sa.suite.map(|suite| suite.to_string()),
            age_s: sa.age.as_secs(),
            addresses: sa.addresses,
            fragmentation: sa.fragmentation.into(),
            children: sa.children.into_iter().map(Child::from).collect(),
        }
    }
}

fn role(role: Role) -> String {
    match role {
        Role::Initiator => "initiator",
        Role::Responder => "responder",
    }
    .to_owned()
}

impl From<FragmentationSummary> for Fragmentation {
    fn from(summary: FragmentationSummary) -> Self {
        let FragmentationSummary {
            negotiated,
            datagram_len,
            received,
            sent,
        } = summary;
        Self {
            negotiated,
            datagram_len,
            received,
            sent,
        }
    }
}

impl From<ChildSummary> for Child {
    fn from(child: ChildSummary) -> Self {
        Self {
            spi_in: child.spi_in.to_string(),
            spi_out: child.spi_out.to_string(),
            suite: child.suite.to_string(),
            local: child.local.iter().map(ToString::to_string).collect(),
            remote: child.remote.iter().map(ToString::to_string).collect(),
            received: None,
            sent: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_a_value_in_its_step_and_all_above() {
        let mut histogram = Histogram::new(&[0, 10, 100]);
        for value in [0, 10, 11, 101] {
            histogram.observe(value);
        }
        let counts: Vec<_> = histogram.steps.iter().map(|step| step.count).collect();
        assert_eq!(counts, [1, 2, 3]);
        assert_eq!((histogram.count, histogram.sum), (4, 122));
    }
}
