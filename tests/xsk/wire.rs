//! A gateway and a peer on one wire.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use harness::namespace::Namespace;
pub(crate) use harness::udp::{PATIENCE, receive, socket, socket_here};
use nix::sched::{CloneFlags, setns};

/// The gateway's addresses and the peer's, of one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) gateway: IpAddr,
    pub(crate) peer: IpAddr,
}

pub(crate) const V4: Ends = Ends {
    gateway: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
};

pub(crate) const V6: Ends = Ends {
    gateway: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    peer: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
};

/// Two machines whose interfaces `wan` are the ends of a veth pair.
pub(crate) struct Wire {
    pub(crate) gateway: Namespace,
    pub(crate) peer: Namespace,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self::with_queues(1)
    }

    pub(crate) fn with_queues(queues: u32) -> Self {
        Self::with_rx_and_tx(queues, queues)
    }

    /// The gateway's queues; the peer sends on as many as the gateway receives.
    pub(crate) fn with_rx_and_tx(rx: u32, tx: u32) -> Self {
        let gateway = Namespace::new("gateway");
        let peer = Namespace::new("peer");
        gateway.exec(&format!(
            "ip link add wan numrxqueues {rx} numtxqueues {tx} \
             type veth peer name wan numrxqueues {rx} numtxqueues {rx} netns {}",
            peer.network().display()
        ));
        for (namespace, of) in [(&gateway, 1), (&peer, 2)] {
            namespace.exec(&format!("ip address add 192.0.2.{of}/24 dev wan"));
            namespace.exec(&format!("ip address add 2001:db8::{of}/64 dev wan"));
            namespace.exec("ip link set wan up");
        }
        Self { gateway, peer }
    }
}

/// Moves this thread to the network of `namespace` for as long as `task` takes.
pub(crate) fn elsewhere<R>(namespace: &Namespace, task: impl FnOnce() -> R) -> R {
    let enter = |network: &File| setns(network, CloneFlags::CLONE_NEWNET).unwrap();
    let here = File::open("/proc/thread-self/ns/net").unwrap();
    enter(&File::open(namespace.network()).unwrap());
    let result = task();
    enter(&here);
    result
}
