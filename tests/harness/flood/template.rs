//! A frame of which some fields are drawn anew each time, at a cost that a flood can bear: only they are
//! added to the checksums of the rest.

use std::ops::Range;

use chacha20::{ChaCha8Rng, rand_core::Rng};
use ikexdp_common::{
    checksum::{checksum, sum, udp_checksum},
    header::{ethernet, ipv4, udp},
};

use super::FORGED;

const L3: usize = ethernet::LEN;
const L4: usize = L3 + ipv4::LEN;
const PAYLOAD: usize = L4 + udp::LEN;

/// A UDP datagram over IPv4.
#[derive(Debug)]
pub(super) struct Template {
    frame: Vec<u8>,
    /// What is drawn besides the sender's address and port.
    fields: Vec<Range<usize>>,
    /// What the rest adds up to, in the checksums of IPv4 and UDP; nothing if nothing is drawn.
    rest: Option<[u32; 2]>,
}

impl Template {
    /// From any address and port, with any `fields` of the payload; in `frame` all of them are zero.
    pub(super) fn new(frame: &[u8], fields: &[Range<usize>]) -> Self {
        let place = |field: &Range<usize>| PAYLOAD + field.start..PAYLOAD + field.end;
        let fields: Vec<_> = fields.iter().map(place).collect();
        for field in fields.iter().chain([&SOURCE, &PORT]) {
            assert!(frame[field.clone()].iter().all(|octet| *octet == 0));
            assert!(field.start % 2 == 0 && field.end % 2 == 0);
        }
        Self {
            rest: Some(CHECKSUMS.map(|place| sum(&frame[place]) ^ 0xffff)),
            frame: frame.to_vec(),
            fields,
        }
    }

    /// Always the same.
    pub(super) const fn fixed(frame: Vec<u8>) -> Self {
        Self {
            frame,
            fields: Vec::new(),
            rest: None,
        }
    }

    /// The frame with other fields.
    pub(super) fn draw(&mut self, random: &mut ChaCha8Rng) -> &[u8] {
        if let Some([ip, udp]) = self.rest {
            let (prefix, mask) = FORGED;
            let source = prefix | random.next_u32() & mask;
            self.frame[SOURCE].copy_from_slice(&source.to_be_bytes());
            let port = 1024 | random.next_u32() as u16;
            self.frame[PORT].copy_from_slice(&port.to_be_bytes());
            let source = sum(&self.frame[SOURCE]);
            let mut drawn = source + sum(&self.frame[PORT]);
            for field in &self.fields {
                random.fill_bytes(&mut self.frame[field.clone()]);
                drawn += sum(&self.frame[field.clone()]);
            }
            let checksums = [checksum(ip + source), udp_checksum(udp + drawn)];
            for (place, checksum) in CHECKSUMS.into_iter().zip(checksums) {
                self.frame[place].copy_from_slice(&checksum.to_be_bytes());
            }
        }
        &self.frame
    }
}

/// Where the sender's address, its port, and the checksums of IPv4 and UDP are.
const SOURCE: Range<usize> = L3 + ipv4::SOURCE..L3 + ipv4::SOURCE + 4;
const PORT: Range<usize> = L4 + udp::SOURCE..L4 + udp::SOURCE + 2;
const CHECKSUMS: [Range<usize>; 2] = [
    L3 + ipv4::CHECKSUM..L3 + ipv4::CHECKSUM + 2,
    L4 + udp::CHECKSUM..L4 + udp::CHECKSUM + 2,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Packet;
    use chacha20::rand_core::SeedableRng;
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_drawn_is_what_would_be_built() {
        let gateway = Ipv4Addr::new(198, 51, 100, 2).into();
        let build = |source: u32, port: u16, payload: &[u8]| {
            let source = Ipv4Addr::from_bits(source);
            let packet = Packet::new(source.into(), gateway, 500);
            packet.from_port(port).carrying(payload).build()
        };
        let mut payload = vec![7; 61];
        payload[4..12].fill(0);
        payload[20..52].fill(0);
        let mut template = Template::new(&build(0, 0, &payload), &[4..12, 20..52]);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        // Enough for sums of which the checksum would say that there is none.
        for _ in 0..500_000 {
            let frame = template.draw(&mut random);
            let source = u32::from_be_bytes(frame[SOURCE].try_into().unwrap());
            let port = u16::from_be_bytes(frame[PORT].try_into().unwrap());
            assert_eq!(frame, build(source, port, &frame[PAYLOAD..]));
        }
    }
}
