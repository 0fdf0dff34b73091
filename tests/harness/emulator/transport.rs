//! The two UDP ports of a client.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use ikexdp_proto::types::{IKE_PORT, NAT_T_PORT, Path};

use crate::namespace::Namespace;
use crate::udp::socket;

/// What comes before IKE on port 4500 (RFC 3948 §2.2).
const MARKER: [u8; 4] = [0; 4];

/// How long a client waits before it repeats a request: as long as Windows.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a client sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// 500, then 4500.
    Own,
    /// Any that are free, as behind a NAT with many others.
    Any,
}

/// A client's way to its gateway.
#[derive(Debug)]
pub(crate) struct Transport {
    ike: UdpSocket,
    nat: UdpSocket,
    gateway: IpAddr,
    /// Whether it has moved to port 4500.
    has_floated: bool,
}

impl Transport {
    pub(crate) fn new(
        namespace: &Namespace,
        (own, gateway): (IpAddr, IpAddr),
        ports: Ports,
    ) -> Self {
        let socket = |port| {
            let port = if ports == Ports::Own { port } else { 0 };
            let socket = socket(namespace, own, port);
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self {
            ike: socket(IKE_PORT),
            nat: socket(NAT_T_PORT),
            gateway,
            has_floated: false,
        }
    }

    /// RFC 7296 §2.23: from now on everything goes from 4500 to 4500.
    pub(crate) fn float(&mut self) {
        self.has_floated = true;
    }

    /// Its own view of the way.
    pub(crate) fn path(&self) -> Path {
        Path {
            local: self.socket().local_addr().unwrap(),
            remote: self.remote(),
            marker: self.has_floated,
        }
    }

    pub(crate) fn send(&self, message: &[u8]) {
        let datagram = if self.has_floated {
            [&MARKER, message].concat()
        } else {
            message.to_vec()
        };
        self.socket().send_to(&datagram, self.remote()).unwrap();
    }

    /// The next message; none if it is time to ask again.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 0x1_0000];
        let (length, from) = self.socket().recv_from(&mut buffer).ok()?;
        assert_eq!(
            from,
            self.remote(),
            "an answer comes from where it was asked"
        );
        buffer.truncate(length);
        if self.has_floated {
            let message = buffer.strip_prefix(&MARKER);
            buffer = message.expect("IKE on port 4500 has a marker").to_vec();
        }
        Some(buffer)
    }

    fn socket(&self) -> &UdpSocket {
        if self.has_floated {
            &self.nat
        } else {
            &self.ike
        }
    }

    fn remote(&self) -> SocketAddr {
        let port = if self.has_floated {
            NAT_T_PORT
        } else {
            IKE_PORT
        };
        SocketAddr::new(self.gateway, port)
    }
}
