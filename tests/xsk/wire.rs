//! A gateway and a peer on one wire.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use harness::namespace::Namespace;
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

/// How long to wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

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
        let gateway = Namespace::new("gateway");
        let peer = Namespace::new("peer");
        let queues = format!("numrxqueues {queues} numtxqueues {queues}");
        gateway.exec(&format!(
            "ip link add wan {queues} type veth peer name wan {queues} netns {}",
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

/// A socket of `namespace` that does not wait for ever.
pub(crate) fn socket(namespace: &Namespace, address: IpAddr, port: u16) -> UdpSocket {
    namespace.run(move || socket_here(address, port))
}

/// The same, in the namespace of this thread.
pub(crate) fn socket_here(address: IpAddr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(address, port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
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

/// Receives a datagram, which must come.
pub(crate) fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 0x1_0000];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
    buffer.truncate(length);
    (buffer, from)
}
