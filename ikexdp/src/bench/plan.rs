//! What is to be done: whom the clients call, who they are, and for how long.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use ikexdp_proto::config::{
    ChildConfig, Config, Connection, EspAlgorithms, Fragmentation, Gate, IkeAlgorithms, Lifetimes,
    RemoteSelectors, Requirement, Timing, Uniqueness,
};
use ikexdp_proto::data_plane::Binding;
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ipnet::IpNet;

use super::pace::Load;
use super::who::{IdentityTemplate, Proof};
use crate::xdp::Interface;

/// The name of the connection: there is one at a time.
pub(super) const CONNECTION: &str = "bench";

/// Repeats of a request, each after twice the time of the one before.
const RETRANSMITS: u8 = 4;

/// The first wait for a response, as a part of all of them: 1 + 2 + 4 + 8 + 16.
const FIRST_WAIT: f64 = 1.0 / 31.0;

/// Longer than anybody measures: what the gateway does not end, ends by our own phases only.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Everything a run depends on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// How many clients there are.
    pub clients: NonZeroU32,
    /// How they begin.
    pub load: Load,
    /// Threads that play them, at most.
    pub threads: NonZeroUsize,
    /// What they send and hear by.
    pub transport: Transport,
    /// Where they are.
    pub source: Source,
    /// Who they are.
    pub identity: IdentityTemplate,
    /// How they prove it.
    pub proof: Proof,
    /// Who the gateway must be.
    pub gateway_identity: IdentityPattern,
    /// How it must prove it.
    pub requirement: Requirement,
    /// The algorithms of IKE SAs.
    pub ike: IkeAlgorithms,
    /// The algorithms of CHILD SAs.
    pub esp: EspAlgorithms,
    /// Whether there is none (RFC 6023).
    pub childless: bool,
    /// How messages are cut.
    pub fragmentation: Fragmentation,
    /// How long a request is repeated before the exchange has failed.
    pub timeout: Duration,
    /// How often all of it is done.
    pub rounds: NonZeroU32,
    /// How long SAs are then held.
    pub hold: Option<Duration>,
    /// How often each client asks meanwhile whether the gateway lives.
    pub liveness: Option<Duration>,
    /// How often each IKE SA is then replaced.
    pub rekeys: u32,
    /// Whether SAs are deleted at the end of a round.
    pub delete: bool,
}

/// What clients send and hear by.
#[derive(Clone, Debug)]
pub enum Transport {
    /// The kernel's UDP, a socket for each.
    Udp,
    /// AF_XDP on this interface: one thread, and each client at an address of its own, on
    /// the ports of IKE.
    Xdp(Interface),
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("udp"),
            Self::Xdp(interface) => write!(f, "xdp on {}", interface.name),
        }
    }
}

/// Where clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// All at one address, each with a port of its own.
    Address(IpAddr),
    /// Each at an address of its own in this network.
    Network(IpNet),
}

impl Source {
    /// Whether it has IPv4 addresses.
    #[must_use]
    pub const fn is_ipv4(self) -> bool {
        match self {
            Self::Address(address) => address.is_ipv4(),
            Self::Network(network) => matches!(network, IpNet::V4(_)),
        }
    }

    /// How many clients have room; a network's own address and its broadcast are
    /// nobody's.
    #[must_use]
    pub fn room(self) -> u128 {
        match self {
            Self::Address(_) => u128::MAX,
            Self::Network(network) => {
                let bits = network
                    .max_prefix_len()
                    .saturating_sub(network.prefix_len());
                let all = 1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX);
                all.saturating_sub(2)
            }
        }
    }

    /// Where the client `number` is, from 1 to [`Self::room`].
    #[must_use]
    pub fn address(self, number: u32) -> IpAddr {
        match self {
            Self::Address(address) => address,
            Self::Network(IpNet::V4(network)) => {
                let first = network.network().to_bits();
                Ipv4Addr::from_bits(first.saturating_add(number)).into()
            }
            Self::Network(IpNet::V6(network)) => {
                let first = network.network().to_bits();
                Ipv6Addr::from_bits(first.saturating_add(number.into())).into()
            }
        }
    }
}

impl FromStr for Source {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let network: IpNet = text
            .parse()
            .map_err(|_| "neither an address nor a network such as 10.1.0.0/16")?;
        Ok(Self::Network(network.trunc()))
    }
}

/// A part of a round, with numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Clients connect.
    Connect,
    /// Their SAs are held, and what the gateway asks is answered.
    Hold(Duration),
    /// Their IKE SAs are replaced.
    Rekey,
    /// Their IKE SAs are deleted.
    Delete,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Hold(_) => "hold",
            Self::Rekey => "rekey",
            Self::Delete => "delete",
        })
    }
}

impl Plan {
    /// The phases of a round, in order.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        let hold = self.hold.map(Phase::Hold);
        let rekeys = usize::try_from(self.rekeys).unwrap_or(usize::MAX);
        let mut phases = vec![Phase::Connect];
        phases.extend(hold);
        phases.extend(std::iter::repeat_n(Phase::Rekey, rekeys));
        phases.extend(self.delete.then_some(Phase::Delete));
        phases
    }

    /// Whether the engine has to act on something else for each client.
    pub(super) fn is_numbered(&self) -> bool {
        self.identity.is_numbered() || self.proof.is_numbered()
    }

    /// How many threads there will be.
    pub(super) fn threads(&self) -> NonZeroUsize {
        let clients = usize::try_from(self.clients.get()).unwrap_or(usize::MAX);
        let most = match self.transport {
            Transport::Udp => clients.min(self.load.threads_max()),
            // What comes for a client may come to any queue.
            Transport::Xdp(_) => 1,
        };
        NonZeroUsize::new(most).map_or(self.threads, |most| most.min(self.threads))
    }

    /// What the engine acts on for the client `number`, and for all that have the same identity.
    pub(super) fn config(&self, number: u32) -> Config {
        Config {
            connections: vec![self.connection(number).into()],
            pools: Vec::new(),
            ike: self.ike.clone(),
            fragmentation: self.fragmentation,
            gate: Gate::default(),
            timing: self.timing(),
            additional_addresses: Vec::new(),
        }
    }

    fn timing(&self) -> Timing {
        Timing {
            half_open: self.timeout,
            liveness: FOREVER,
            first_liveness: FOREVER,
            retransmit: self.timeout.mul_f64(FIRST_WAIT),
            retransmits: RETRANSMITS,
            ..Timing::default()
        }
    }

    fn connection(&self, number: u32) -> Connection {
        let everything = || {
            let last = Ipv6Addr::from_bits(u128::MAX);
            vec![
                TrafficSelector::addresses(
                    Ipv4Addr::UNSPECIFIED.into(),
                    Ipv4Addr::BROADCAST.into(),
                ),
                TrafficSelector::addresses(Ipv6Addr::UNSPECIFIED.into(), last.into()),
            ]
        };
        Connection {
            name: CONNECTION.to_owned(),
            local_identity: self.identity.of(number),
            credential: self.proof.of(number),
            remote_identities: vec![self.gateway_identity.clone()],
            requirement: self.requirement.clone(),
            child: ChildConfig {
                esp: self.esp.clone(),
                local: Vec::new(),
                services: Vec::new(),
                remote: RemoteSelectors::Fixed(everything()),
                request_addresses: !self.childless,
                childless: self.childless,
                binding: Binding::default(),
            },
            lifetimes: Lifetimes {
                initiate_rekey: false,
                ike: FOREVER,
                child: FOREVER,
                child_octets: None,
                child_packets: None,
            },
            uniqueness: Uniqueness::Never,
        }
    }
}

#[cfg(test)]
impl Plan {
    /// One of which tests change what they are about.
    pub(super) fn for_tests() -> Self {
        use ikexdp_proto::config::Credential;
        use ikexdp_proto::identity::Identity;

        let secret = ikexdp_proto::crypto::shared_key::SharedKey::new(b"secret");
        Self {
            gateway: ([192, 0, 2, 1], 500).into(),
            clients: NonZeroU32::MIN,
            load: Load::Concurrency(NonZeroUsize::MIN),
            threads: NonZeroUsize::MIN,
            transport: Transport::Udp,
            source: Source::Address([127, 0, 0, 1].into()),
            identity: IdentityTemplate::one(Identity::Fqdn("client.test".to_owned())),
            proof: Proof::Same(Credential::SharedKey(secret.clone())),
            gateway_identity: IdentityPattern::Any,
            requirement: Requirement::SharedKey(secret),
            ike: IkeAlgorithms::default(),
            esp: EspAlgorithms::default(),
            childless: false,
            fragmentation: Fragmentation::default(),
            timeout: Duration::from_secs(30),
            rounds: NonZeroU32::MIN,
            hold: None,
            liveness: None,
            rekeys: 0,
            delete: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_threads_than_have_something_to_do() {
        let mut plan = Plan::for_tests();
        plan.threads = NonZeroUsize::new(8).unwrap();
        assert_eq!(plan.threads().get(), 1);
        plan.clients = NonZeroU32::new(100).unwrap();
        plan.load = Load::Concurrency(NonZeroUsize::new(3).unwrap());
        assert_eq!(plan.threads().get(), 3);
        plan.load = Load::Rate(NonZeroU32::MIN);
        assert_eq!(plan.threads().get(), 8);
    }

    #[test]
    fn a_round_has_what_is_asked_for() {
        let mut plan = Plan::for_tests();
        assert_eq!(plan.phases(), [Phase::Connect]);
        let hold = Duration::from_secs(1);
        plan.hold = Some(hold);
        plan.rekeys = 2;
        plan.delete = true;
        let [rekey, last] = [Phase::Rekey, Phase::Delete];
        let all = [Phase::Connect, Phase::Hold(hold), rekey, rekey, last];
        assert_eq!(plan.phases(), all);
    }

    #[test]
    fn clients_are_in_a_network_or_behind_an_address() {
        let source = |text: &str| text.parse::<Source>().unwrap();
        let network = source("10.1.0.0/29");
        assert_eq!(network.room(), 6);
        assert_eq!(network.address(1).to_string(), "10.1.0.1");
        assert_eq!(network.address(6).to_string(), "10.1.0.6");
        assert_eq!(
            source("2001:db8::/64").address(300).to_string(),
            "2001:db8::12c"
        );
        assert_eq!(source("::/0").room(), u128::MAX - 2);
        assert_eq!(source("10.1.0.1/32").room(), 0);
        let address = source("192.0.2.1");
        assert_eq!(address.address(1), address.address(9));
        assert!("example".parse::<Source>().is_err());
    }
}
