//! What the host tells the engine to be.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use ikexdp_common::limit::{Limits, Rate};

use crate::crypto::cert::{CertifiedKey, TrustAnchors};
use crate::crypto::cipher::{Encryption, Integrity};
use crate::crypto::kex::Group;
use crate::crypto::prf::Prf;
use crate::crypto::scheme::SignatureScheme;
use crate::crypto::shared_key::SharedKey;
use crate::data_plane::Binding;
use crate::eap::{Authenticator, Supplicant};
use crate::identity::Identity;
use crate::pattern::IdentityPattern;
use crate::profile::Profile;
use crate::wire::payload::ts::TrafficSelector;

/// Everything the engine acts on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may connect, and as what; the first that fits is taken.
    pub connections: Vec<Arc<Connection>>,
    /// Where client addresses come from.
    pub pools: Vec<AddressPool>,
    /// The algorithms of IKE SAs.
    pub ike: IkeAlgorithms,
    /// How messages are cut.
    pub fragmentation: Fragmentation,
    /// What is demanded before there is state.
    pub gate: Gate,
    /// How long things take.
    pub timing: Timing,
    /// Where else we can be reached, for peers that move (RFC 4555 §3.6).
    pub additional_addresses: Vec<IpAddr>,
}

impl Config {
    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&AddressPool> {
        self.pools.iter().find(|pool| pool.name == name)
    }
}

/// Algorithms of IKE SAs, each list in our order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeAlgorithms {
    /// Ciphers.
    pub encryption: Vec<Encryption>,
    /// Integrity for ciphers that need it.
    pub integrity: Vec<Integrity>,
    /// Pseudorandom functions.
    pub prf: Vec<Prf>,
    /// Key exchange methods.
    pub groups: Vec<Group>,
    /// Whether AUTH may be an RSA signature of a SHA-1 hash, of either side: all that
    /// Windows does with an RSA key (RFC 7296 §3.8, RFC 8247 §3).
    pub rsa_sha1: bool,
}

impl IkeAlgorithms {
    /// Those of a profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        Self {
            encryption: profile.encryption().to_vec(),
            integrity: profile.integrity().to_vec(),
            prf: profile.prf().to_vec(),
            groups: profile.groups().to_vec(),
            rsa_sha1: profile.rsa_sha1(),
        }
    }
}

impl IkeAlgorithms {
    /// Whether a signature by `scheme` is taken.
    pub(crate) fn takes(&self, scheme: SignatureScheme) -> bool {
        self.rsa_sha1 || scheme != SignatureScheme::RsaSha1
    }
}

impl Default for IkeAlgorithms {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

impl fmt::Display for IkeAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        any_of(f, &self.encryption)?;
        if !self.integrity.is_empty() {
            f.write_str(" / ")?;
            any_of(f, &self.integrity)?;
        }
        f.write_str(" / ")?;
        any_of(f, &self.prf)?;
        f.write_str(" / ")?;
        any_of(f, &self.groups)
    }
}

/// Algorithms of CHILD SAs, each list in our order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspAlgorithms {
    /// Ciphers.
    pub encryption: Vec<Encryption>,
    /// Integrity for ciphers that need it.
    pub integrity: Vec<Integrity>,
    /// Groups of a key exchange of its own when it is rekeyed (perfect forward
    /// secrecy). Without any we ask for none, and take what peers ask for from
    /// the groups of IKE SAs.
    pub groups: Vec<Group>,
}

impl EspAlgorithms {
    /// Those of a profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        Self {
            encryption: profile.encryption().to_vec(),
            integrity: profile.integrity().to_vec(),
            groups: Vec::new(),
        }
    }
}

impl Default for EspAlgorithms {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

impl fmt::Display for EspAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        any_of(f, &self.encryption)?;
        if self.integrity.is_empty() {
            return Ok(());
        }
        f.write_str(" / ")?;
        any_of(f, &self.integrity)
    }
}

fn any_of<T: fmt::Display>(f: &mut fmt::Formatter<'_>, list: &[T]) -> fmt::Result {
    let mut separator = "";
    for one in list {
        write!(f, "{separator}{one}")?;
        separator = ", ";
    }
    Ok(())
}

/// Fragmentation of our messages (RFC 7383).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragmentation {
    /// Whether IKEV2_FRAGMENTATION_SUPPORTED is announced.
    pub enabled: bool,
    /// Longest IP datagram we send, in octets, IP header included; at least 576.
    pub datagram_len: u16,
    /// Whether a shorter one that was found to work is remembered for the network of
    /// the peer. Who plays many hosts does not: each would have to find out by itself.
    pub is_remembered: bool,
}

impl Default for Fragmentation {
    /// 1280 octets: what every IPv6 link carries, and most tunnels over IPv4.
    fn default() -> Self {
        Self {
            enabled: true,
            datagram_len: 1280,
            is_remembered: true,
        }
    }
}

/// What is demanded before there is state (RFC 7296 §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// When a stranger must first show that it can receive.
    pub cookies: Cookies,
    /// Half-open IKE SAs from which on it must, if that is automatic; always with 0.
    pub cookie_threshold: usize,
    /// IKE_SA_INIT requests in a second from which on it must, if that is automatic.
    pub cookie_rate: u32,
    /// Half-open IKE SAs at which no new one is made.
    pub half_open_max: usize,
    /// The same for one IPv4 address, or one /64 of IPv6; four times that for a /48.
    pub half_open_per_source: usize,
    /// IKE_SA_INIT requests in a second, of all sources: beyond, they are asked for
    /// cookies, and dropped if they have one.
    pub init_rate: u32,
    /// The same of one IPv4 address, or one /64 of IPv6; four times that for a /48.
    pub init_rate_per_source: u32,
    /// How many of those may come at once, after a silence.
    pub init_burst_per_source: u32,
    /// Whether a request that only wants to know how long an answer may be gets one.
    pub size_test: bool,
}

impl Gate {
    /// How many IKE_SA_INIT requests with a good cookie are let in.
    #[must_use]
    pub const fn proved_limits(&self) -> Limits {
        Limits {
            source: Rate::per_second(self.init_rate_per_source, self.init_burst_per_source),
            total: Rate::per_second(self.init_rate, self.init_rate),
        }
    }

    /// How many without one are let in before they are asked for it.
    #[must_use]
    pub const fn unproved_limits(&self) -> Limits {
        Limits {
            total: Rate::per_second(self.cookie_rate, self.cookie_rate),
            ..self.proved_limits()
        }
    }
}

impl Default for Gate {
    /// Hundreds of clients may come at once from behind one NAT, when the line of their
    /// office is back, and whoever floods us from one address has a sixteenth of what
    /// there is.
    fn default() -> Self {
        Self {
            cookies: Cookies::Automatic,
            cookie_threshold: 256,
            cookie_rate: 1000,
            half_open_max: 16_384,
            half_open_per_source: 1024,
            init_rate: 10_000,
            init_rate_per_source: 100,
            init_burst_per_source: 1000,
            size_test: true,
        }
    }
}

/// When a stranger must first show that it can receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookies {
    /// Never.
    Off,
    /// When there is much to do.
    #[default]
    Automatic,
    /// Always.
    Always,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a client has from IKE_SA_INIT to the end of IKE_AUTH; with EAP, for
    /// each answer.
    pub half_open: Duration,
    /// Silence of an established peer after which we ask whether it lives.
    pub liveness: Duration,
    /// The same, while the peer has not yet been heard after IKE_AUTH: it may
    /// never have got our response.
    pub first_liveness: Duration,
    /// Until the first repeat of a request of ours; it doubles with each.
    pub retransmit: Duration,
    /// Repeats of a request before the peer counts as dead.
    pub retransmits: u8,
    /// How often a NAT that we are behind is reminded of us (RFC 3948 §4).
    pub nat_keepalive: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            half_open: Duration::from_secs(30),
            liveness: Duration::from_secs(60),
            first_liveness: Duration::from_secs(10),
            retransmit: Duration::from_secs(1),
            retransmits: 5,
            nat_keepalive: Duration::from_secs(20),
        }
    }
}

/// A kind of peer: how both sides prove who they are and what they may reach.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name, for people.
    pub name: String,
    /// Who we are.
    pub local_identity: Identity,
    /// How we prove it.
    pub credential: Credential,
    /// Who the peer may be.
    pub remote_identities: Vec<IdentityPattern>,
    /// How it must prove it.
    pub requirement: Requirement,
    /// The CHILD SA it gets.
    pub child: ChildConfig,
    /// How long its SAs live.
    pub lifetimes: Lifetimes,
    /// What becomes of the IKE SAs a peer has when it makes another.
    pub uniqueness: Uniqueness,
}

/// How long SAs live, and who sees to it that there are new ones in time.
///
/// Rekeying begins somewhere between 80 and 90 % of a lifetime, so that clients
/// that came together do not stay together; what has not been rekeyed is deleted
/// at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Whether we rekey; otherwise the peer has to, or to come back after we
    /// have deleted the SA. Windows takes no rekeying from a gateway.
    pub initiate_rekey: bool,
    /// Of an IKE SA.
    pub ike: Duration,
    /// Of a CHILD SA.
    pub child: Duration,
    /// What one direction of a CHILD SA may carry, in octets; any amount if none.
    pub child_octets: Option<u64>,
    /// The same in packets.
    pub child_packets: Option<u64>,
}

impl Default for Lifetimes {
    /// Longer than the clients' own, which know better when they sleep: Windows
    /// and Apple rekey a CHILD SA within the hour, an IKE SA within eight.
    fn default() -> Self {
        Self {
            initiate_rekey: true,
            ike: Duration::from_secs(24 * 3600),
            child: Duration::from_secs(8 * 3600),
            child_octets: None,
            child_packets: None,
        }
    }
}

/// What becomes of the IKE SAs a peer has when it makes another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uniqueness {
    /// They are deleted: one identity, one IKE SA.
    Replace,
    /// They stay, unless the peer says that it has forgotten them
    /// (INITIAL_CONTACT, RFC 7296 §2.4).
    #[default]
    Keep,
    /// They stay, whatever the peer says: several devices have one identity.
    Never,
}

/// How we prove who we are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// By knowing a shared key.
    SharedKey(SharedKey),
    /// By a certificate and its private key: the first of these that the peer can
    /// verify, unless it wants another. There is at least one.
    Certificates(Vec<Arc<CertifiedKey>>),
    /// By EAP, as the initiator only; the gateway must have a certificate
    /// (RFC 7296 §2.16).
    Eap(Arc<dyn Supplicant>),
}

impl Credential {
    /// Whether a certificate of ours asserts `identity`.
    #[must_use]
    pub fn asserts(&self, identity: &Identity) -> bool {
        match self {
            Self::SharedKey(_) | Self::Eap(_) => false,
            Self::Certificates(keys) => keys.iter().any(|key| key.asserts(identity)),
        }
    }
}

/// How a peer must prove who it is.
#[derive(Clone, Debug)]
pub enum Requirement {
    /// By knowing a shared key.
    SharedKey(SharedKey),
    /// By a certificate of one of these authorities.
    Certificate(Arc<TrustAnchors>),
    /// By EAP.
    Eap(EapRequirement),
}

/// How a peer is authenticated by EAP.
#[derive(Clone, Debug)]
pub struct EapRequirement {
    /// By whom. Connections that share one share its users.
    pub authenticator: Arc<dyn Authenticator>,
    /// Whether a peer that wants it so may take EAP for our proof of who we are as
    /// well, without a signature of ours (RFC 5998). The method must prove it.
    pub alone: bool,
    /// The groups of which a user must be in one; any user will do if there are
    /// none.
    pub groups: Vec<String>,
}

impl EapRequirement {
    /// Whether one who is in `groups` will do.
    #[must_use]
    pub fn admits(&self, groups: &[String]) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|group| groups.contains(group))
    }
}

impl Connection {
    /// Whether `peer` may be who comes.
    #[must_use]
    pub fn admits(&self, peer: &Identity) -> bool {
        let mut patterns = self.remote_identities.iter();
        patterns.any(|pattern| pattern.fits(peer))
    }
}

/// The CHILD SA of a connection.
#[derive(Clone, Debug)]
pub struct ChildConfig {
    /// Its algorithms.
    pub esp: EspAlgorithms,
    /// What lies behind us.
    pub local: Vec<TrafficSelector>,
    /// Where the peer reaches services of the host besides: no subnet that it is
    /// told of.
    pub services: Vec<TrafficSelector>,
    /// What lies behind the peer.
    pub remote: RemoteSelectors,
    /// Whether, as the initiator, we ask for addresses; `local` are then those.
    pub request_addresses: bool,
    /// Whether, as the initiator, we begin without it, with a peer that says that it may be so
    /// (RFC 6023), and fail with another.
    pub childless: bool,
    /// What binds its traffic to devices and routes.
    pub binding: Binding,
}

/// What lies behind the peer.
#[derive(Clone, Debug)]
pub enum RemoteSelectors {
    /// The addresses the peer gets from the pool of this name.
    Pool(String),
    /// These.
    Fixed(Vec<TrafficSelector>),
}

/// Addresses for clients, and what they learn along with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPool {
    /// Its name, by which connections know it; no two have the same, or an
    /// address in common.
    pub name: String,
    /// First and last IPv4 address to give.
    pub v4: Option<(Ipv4Addr, Ipv4Addr)>,
    /// First and last IPv6 address to give.
    pub v6: Option<(Ipv6Addr, Ipv6Addr)>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// The domains that those servers are for (RFC 8598), as A-labels; for all
    /// if there are none.
    pub domains: Vec<String>,
    /// Our own addresses among those of the clients, which are in no range: what
    /// Windows asks for.
    pub gateway: Vec<IpAddr>,
}
