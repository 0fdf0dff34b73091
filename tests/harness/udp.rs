//! UDP sockets of the machines of a lab, which do not wait for ever.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::namespace::Namespace;

/// How long to wait for what must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A socket of `namespace`; port 0 is any that is free.
#[must_use]
pub fn socket(namespace: &Namespace, address: IpAddr, port: u16) -> UdpSocket {
    namespace.run(move || socket_here(address, port))
}

/// The same, in the namespace of this thread.
#[must_use]
pub fn socket_here(address: IpAddr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(address, port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Receives a datagram, which must come, and who sent it.
#[expect(
    clippy::must_use_candidate,
    reason = "that one came may be all there is to know"
)]
pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 0x1_0000];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
    buffer.truncate(length);
    (buffer, from)
}
