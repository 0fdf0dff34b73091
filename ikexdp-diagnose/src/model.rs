//! What captures have told: files, attempts, and what was found out about them.
//!
//! A reader makes it, a judge adds findings, and reports show it.

use std::net::SocketAddr;

use ikexdp_proto::types::Spi;

use crate::inside::Inside;
use crate::message::Message;
use crate::time::Moment;
use crate::verdict::{Direction, Verdict};

/// One capture that was read: the file, not its packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// What the reader calls it; a path, or `-`.
    pub file: String,
    /// `pcap` or `pcapng`.
    pub format: &'static str,
    /// Frames that were read.
    pub frames: u64,
    /// Time of the earliest frame.
    pub first: Option<Moment>,
    /// Time of the latest frame; one that is far from all others, as no clock goes, does not count.
    pub last: Option<Moment>,
    /// Frames of a link type that is read.
    pub legible: u64,
    /// IKE messages, counted by datagrams.
    pub ike_messages: u64,
    /// Packets of ESP, from anybody.
    pub esp_packets: u64,
    /// UDP datagrams to or from port 4500, from anybody.
    pub nat_port_datagrams: u64,
    /// IP fragments that are of UDP to or from ports of IKE, or may be.
    pub ip_fragments: u64,
    /// Why the file was not read to its end, if it was not.
    pub truncated: Option<String>,
    /// What limits what can be said: link types that are not read, tables that were full.
    pub notes: Vec<String>,
    /// What the capturing host wrote about the section (pcapng).
    pub comments: Vec<String>,
    /// At which end it was made, as far as hop limits and directions tell.
    pub vantage: Vantage,
}

/// Where a capture was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vantage {
    /// On the client, or before any router behind it.
    Client,
    /// On the gateway, or behind any router before it.
    Gateway,
    /// Between them, or not known.
    #[default]
    Unknown,
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The captures; the client's first if there are two of one attempt.
    pub captures: Vec<Capture>,
    /// How much later the clock of the second capture is than that of the first, in nanoseconds, if there
    /// are two with common messages. Times of messages are corrected by it.
    pub clock_offset: Option<i64>,
    /// By their beginnings.
    pub attempts: Vec<Attempt>,
    /// What is wrong with all of it: no IKE.
    pub verdict: Option<Verdict>,
}

/// An attempt to set up one IKE SA, by the initiator's SPI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: usize,
    /// Chosen by the client.
    pub initiator_spi: Spi,
    /// Chosen by the gateway; the first if there are several, 0 if none.
    pub responder_spi: Spi,
    /// Where the client's first message came from.
    pub client: SocketAddr,
    /// Where it went.
    pub gateway: SocketAddr,
    /// Who the client is by what it sends, as "Windows".
    pub client_is: Option<&'static str>,
    /// IKE messages by time, of both captures.
    pub messages: Vec<Message>,
    /// Messages beyond [`MESSAGES_PER_ATTEMPT`](crate::limits::MESSAGES_PER_ATTEMPT).
    pub messages_left_out: u64,
    /// IP fragments of datagrams that never became whole, between the two hosts.
    pub fragments: Vec<LooseFragments>,
    /// ESP between the two hosts since the attempt began.
    pub esp: EspSeen,
    /// ICMP errors about its datagrams.
    pub icmp: Vec<IcmpSeen>,
    /// What keys have shown of it, if there are any.
    pub inside: Option<Inside>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it failed, if it did and that can be told.
    pub finding: Option<Finding>,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// The IKE SA is up.
    Established,
    /// It is not, and will not be.
    Failed,
    /// The capture ends before that can be said.
    #[default]
    Open,
}

/// A verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The cause.
    pub verdict: Verdict,
    /// How sure that is.
    pub confidence: Confidence,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// How far the evidence carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It fits, and so does something else; the evidence says what.
    Possible,
    /// It fits, and nothing else that is common does.
    Likely,
    /// The capture shows it.
    Certain,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Index of the capture.
    pub capture: usize,
    /// Numbers of its frames, from 1, as Wireshark counts them.
    pub frames: Vec<u64>,
    /// A sentence without a full stop.
    pub says: String,
}

/// IP fragments of one datagram that was never seen whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LooseFragments {
    /// Index of the capture.
    pub capture: usize,
    /// Who sent them.
    pub direction: Direction,
    /// Time of the first.
    pub time: Moment,
    /// What is there.
    pub pieces: Vec<Piece>,
}

/// One IP fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Where its data belong in the datagram, in octets behind the IP header.
    pub offset: u32,
    /// How many octets of data it has.
    pub length: u32,
    /// Whether others follow.
    pub more: bool,
    /// The frame it came in, from 1.
    pub frame: u64,
}

/// ESP between two hosts, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EspSeen {
    /// From the client.
    pub from_client: u64,
    /// From the gateway.
    pub from_gateway: u64,
    /// The first of a flow that began after the last response to IKE_AUTH: where, in which frame.
    pub first: Option<(usize, u64)>,
    /// When that was.
    pub began: Option<Moment>,
    /// NAT keepalives of the client after that.
    pub keepalives: u64,
}

/// An ICMP error that quotes a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpSeen {
    /// Index of the capture.
    pub capture: usize,
    /// The frame, from 1.
    pub frame: u64,
    /// When.
    pub time: Moment,
    /// What it says.
    pub error: IcmpError,
    /// Who had sent the datagram it is about.
    pub direction: Direction,
    /// The sender's port of that datagram.
    pub source_port: u16,
    /// The port it was for.
    pub destination_port: u16,
}

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// Fragmentation needed, or packet too big: the next link carries so many octets; 0 if it does not say.
    TooBig(u32),
    /// Nobody listens on the port.
    PortUnreachable,
    /// A firewall says no.
    Prohibited,
    /// No way there.
    Unreachable,
    /// Fragments were missing when the time to put them together was over.
    ReassemblyTime,
}

impl Outcome {
    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::Failed => "failed",
            Self::Open => "open",
        }
    }
}

impl Confidence {
    /// As an adverb or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

impl Vantage {
    /// A word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Unknown => "unknown",
        }
    }
}
