//! Two machines, and what their kernels are told of ESP between them.

use std::{
    collections::{BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    sync::Arc,
};

use harness::{
    lab::{address, connect},
    namespace::Namespace,
    traffic::ping,
};
use ikexdp::{
    udp::{Ports, Sockets},
    xfrm::{Events, Swept, Xfrm, bypass},
};
use ikexdp_proto::{
    crypto::{
        cipher::{Cipher, Encryption},
        keymat::EspKeys,
    },
    data_plane::{
        Binding, Carried, DataPlane, DataPlaneError, DataPlaneEvent, Direction, EspSa, EspSaName,
        Lineage, Operation, Policies, Tunnel, UsageLimits, Volume,
    },
    suite::EspSuite,
    types::{EspSpi, NAT_T_PORT, Secret},
    wire::payload::ts::TrafficSelector,
};
use nix::poll::{PollFd, PollFlags, poll};

/// How long the kernel may take to say something, in milliseconds.
const PATIENCE: u16 = 10_000;

/// Of each machine: its addresses on the wire, and those that it protects.
pub(super) const OUTER: [[&str; 2]; 2] = [
    ["192.0.2.1", "2001:db8:1::1"],
    ["192.0.2.2", "2001:db8:1::2"],
];
pub(super) const INNER: [[&str; 2]; 2] =
    [["10.1.0.1", "2001:db8:a::1"], ["10.2.0.1", "2001:db8:b::1"]];

/// A machine.
pub(super) struct End {
    pub(super) namespace: Namespace,
    xfrm: Arc<Xfrm>,
    events: Events,
    said: VecDeque<DataPlaneEvent>,
    /// Takes ESP out of UDP.
    _sockets: Sockets,
}

/// What both ends agree on, as IKE would have.
#[derive(Clone, Copy)]
pub(super) struct Agreed {
    pub(super) suite: EspSuite,
    /// As the first end sees it.
    pub(super) tunnel: Tunnel,
    pub(super) lineage: Lineage,
    pub(super) binding: Binding,
    pub(super) limits: UsageLimits,
}

/// Two machines on one link.
pub(super) fn ends() -> [End; 2] {
    let namespaces = ["left", "right"].map(Namespace::new);
    let [left, right] = &namespaces;
    connect((left, "eth0"), (right, "eth0"));
    let mut place = 0..;
    namespaces.map(|namespace| {
        let place: usize = place.next().unwrap();
        let [v4, v6] = OUTER[place].map(str::to_owned);
        address(&namespace, "eth0", &[&(v4 + "/24"), &(v6 + "/64")]);
        let [v4, v6] = INNER[place].map(str::to_owned);
        address(&namespace, "lo", &[&(v4 + "/32"), &(v6 + "/128")]);
        for (inner, outer) in INNER[1 - place].iter().zip(OUTER[1 - place]) {
            let source = INNER[place].iter().zip(OUTER[place]);
            let source = source.map(|(inner, _)| inner);
            let own = source
                .into_iter()
                .find(|own| own.contains(':') == inner.contains(':'));
            let own = own.unwrap();
            namespace.exec(&format!("ip route add {inner} via {outer} src {own}"));
        }
        let open = || {
            // The first that talks of XFRM loads it.
            let xfrm = Arc::new(Xfrm::open().unwrap());
            let sockets = Sockets::bind(Ports::default()).unwrap();
            for socket in sockets.iter() {
                bypass(socket, socket.local_addr().is_ipv4()).unwrap();
            }
            (xfrm, Events::listen().unwrap(), sockets)
        };
        let (xfrm, events, sockets) = namespace.run(open);
        End {
            namespace,
            xfrm,
            events,
            said: VecDeque::new(),
            _sockets: sockets,
        }
    })
}

impl End {
    pub(super) fn apply(&self, batch: Vec<Operation>) -> Result<Volume, DataPlaneError> {
        let xfrm = Arc::clone(&self.xfrm);
        self.namespace.run(move || xfrm.apply(&batch))
    }

    pub(super) fn carried(&self, names: Vec<EspSaName>) -> Vec<Carried> {
        let xfrm = Arc::clone(&self.xfrm);
        self.namespace.run(move || xfrm.carried(&names)).unwrap()
    }

    pub(super) fn sweep(&self) -> Swept {
        let xfrm = Arc::clone(&self.xfrm);
        self.namespace.run(move || xfrm.sweep()).unwrap()
    }

    /// The next thing that the kernel says.
    pub(super) fn event(&mut self) -> DataPlaneEvent {
        loop {
            if let Some(event) = self.said.pop_front() {
                return event;
            }
            let mut fds = [PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PATIENCE), Ok(1), "the kernel says nothing");
            self.events
                .read(|event| self.said.push_back(event))
                .unwrap();
        }
    }

    /// The policies that the kernel has, in no order.
    pub(super) fn policies(&self) -> BTreeSet<String> {
        let list = self.namespace.exec("ip xfrm policy list nosock");
        let policies = list.replace("\nsrc ", "\n\nsrc ");
        policies
            .split_terminator("\n\n")
            .map(|policy| policy.trim().to_owned())
            .collect()
    }

    /// Whether the kernel has no SA and no policy.
    pub(super) fn is_clean(&self) -> bool {
        let sas = self.namespace.exec("ip xfrm state list");
        sas.is_empty() && self.policies().is_empty()
    }
}

impl Agreed {
    /// AES-GCM over IPv4.
    pub(super) fn new() -> Self {
        Self {
            suite: EspSuite {
                cipher: Cipher::new(Encryption::AesGcm16_128, None).unwrap(),
                extended_sequence_numbers: false,
            },
            tunnel: tunnel(0, false),
            lineage: Lineage(1),
            binding: Binding::default(),
            limits: UsageLimits::default(),
        }
    }

    /// What the end at `place` has its kernel do: two SAs, and the policies.
    pub(super) fn install(&self, place: usize) -> Vec<Operation> {
        let sas = self.sas(place).into_iter().map(Operation::InstallSa);
        let policies = Operation::InstallPolicies(self.policies(place));
        sas.chain([policies]).collect()
    }

    /// Inbound, and outbound.
    pub(super) fn sas(&self, place: usize) -> Vec<EspSa> {
        let sas = self.names(place).map(|name| EspSa {
            direction: name.direction,
            spi: name.spi,
            tunnel: name.tunnel,
            suite: self.suite,
            keys: self.keys(name.spi),
            lineage: name.lineage,
            binding: name.binding,
            limits: self.limits,
        });
        sas.into()
    }

    pub(super) fn remove(&self, place: usize) -> Vec<Operation> {
        let policies = Operation::RemovePolicies(self.policies(place));
        let sas = self.names(place).map(Operation::RemoveSa);
        [policies].into_iter().chain(sas).collect()
    }

    /// Inbound, and outbound: an SPI is that of who receives.
    pub(super) fn names(&self, place: usize) -> [EspSaName; 2] {
        let name = |direction, receiver: usize| EspSaName {
            direction,
            spi: self.spi(receiver),
            tunnel: self.seen_from(place),
            lineage: self.lineage,
            binding: self.binding,
        };
        [
            name(Direction::Inbound, place),
            name(Direction::Outbound, 1 - place),
        ]
    }

    pub(super) fn policies(&self, place: usize) -> Policies {
        let protected = |place: usize| {
            let hosts = INNER[place].iter();
            hosts
                .map(|address| TrafficSelector::host(address.parse().unwrap()))
                .collect()
        };
        Policies {
            lineage: self.lineage,
            tunnel: self.seen_from(place),
            local: protected(place),
            remote: protected(1 - place),
            binding: self.binding,
        }
    }

    fn seen_from(&self, place: usize) -> Tunnel {
        let Tunnel {
            local,
            remote,
            in_udp,
        } = self.tunnel;
        if place == 0 {
            return self.tunnel;
        }
        Tunnel {
            local: remote,
            remote: local,
            in_udp,
        }
    }

    fn spi(&self, receiver: usize) -> EspSpi {
        EspSpi(0x1000 * (self.lineage.0 + 1) + u32::try_from(receiver).unwrap())
    }

    /// The same at both ends, and others for each SA.
    fn keys(&self, spi: EspSpi) -> EspKeys {
        let material = |length: usize| {
            let octets = (0..=u8::MAX).cycle().skip(usize::try_from(spi.0).unwrap());
            Secret::new(octets.take(length).collect())
        };
        let cipher = self.suite.cipher;
        EspKeys {
            encryption: material(cipher.encryption().key_material()),
            integrity: material(cipher.integrity_key_material()),
        }
    }
}

/// Between the first addresses of both, or the second.
pub(super) fn tunnel(family: usize, in_udp: bool) -> Tunnel {
    let [local, remote] = OUTER.map(|addresses| {
        let address: IpAddr = addresses[family].parse().unwrap();
        SocketAddr::new(address, NAT_T_PORT)
    });
    Tunnel {
        local,
        remote,
        in_udp,
    }
}

pub(super) fn install(ends: &[End; 2], agreed: &Agreed) {
    for (place, end) in ends.iter().enumerate() {
        end.apply(agreed.install(place)).unwrap();
    }
}

pub(super) fn remove(ends: &[End; 2], agreed: &Agreed) {
    for (place, end) in ends.iter().enumerate() {
        end.apply(agreed.remove(place)).unwrap();
        assert!(end.is_clean());
    }
}

/// Pings so often in each family; how many went unanswered.
pub(super) fn pings(ends: &[End; 2], count: u32) -> u32 {
    let lost = |address: &str| ping(&ends[0].namespace, address.parse().unwrap(), count);
    INNER[1].map(lost).iter().sum()
}
