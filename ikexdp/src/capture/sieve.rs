//! What the kernel's filter cannot know: whose later fragments are.

use std::collections::{BTreeSet, VecDeque};

use etherparse::{IpNumber, LaxNetSlice, LaxSlicedPacket};
use ikexdp_diagnose::ipv6::FragmentHeader;

use super::filter::Link;
use super::limits::OTHERS;

/// A fragmented datagram: its addresses and number.
type Name = (u128, u128, u32);

/// Remembers which fragmented datagrams are none of IKE: ESP in UDP, or of other ports.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    others: BTreeSet<Name>,
    /// The same in the order of their coming, as the oldest is forgotten first.
    order: VecDeque<Name>,
}

impl Sieve {
    /// Whether `frame` belongs into a capture. What cannot be read does: it is of the
    /// kernel's choice, and somebody may want to see it.
    pub(super) fn takes(&mut self, link: Link, frame: &[u8]) -> bool {
        let Some((name, fragment)) = fragment(link, frame) else {
            return true;
        };
        match fragment {
            Fragment::Later => !self.others.contains(&name),
            Fragment::First(datagram) if is_ike(datagram) => true,
            Fragment::First(_) => {
                self.remember(name);
                false
            }
        }
    }

    fn remember(&mut self, name: Name) {
        if !self.others.insert(name) {
            return;
        }
        self.order.push_back(name);
        if self.order.len() > OTHERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.others.remove(&oldest);
        }
    }
}

/// Which part of a datagram a packet carries.
enum Fragment<'a> {
    /// The one with the UDP header.
    First(&'a [u8]),
    Later,
}

/// The fragment in `frame`, if there is one.
fn fragment(link: Link, frame: &[u8]) -> Option<(Name, Fragment<'_>)> {
    let packet = match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(frame).ok()?,
        Link::Ip => LaxSlicedPacket::from_ip(frame).ok()?,
    };
    let (name, offset, payload) = match packet.net? {
        LaxNetSlice::Ipv4(ip) if ip.is_payload_fragmented() => {
            let header = ip.header();
            let from = u32::from(header.source_addr());
            let to = u32::from(header.destination_addr());
            let number = u32::from(header.identification());
            let name = (from.into(), to.into(), number);
            (
                name,
                header.fragments_offset().value(),
                ip.payload().clone(),
            )
        }
        LaxNetSlice::Ipv6(ip) if ip.is_payload_fragmented() => {
            let header = ip.header();
            let extensions = ip.extensions().slice();
            let fragment = FragmentHeader::find(header.next_header().0, extensions)?;
            let from = u128::from(header.source_addr());
            let to = u128::from(header.destination_addr());
            let name = (from, to, fragment.identification);
            (name, fragment.offset, ip.payload().clone())
        }
        _ => return None,
    };
    if payload.ip_number != IpNumber::UDP {
        return None;
    }
    let fragment = match offset {
        0 => Fragment::First(payload.payload),
        _ => Fragment::Later,
    };
    Some((name, fragment))
}

/// Whether the UDP datagram that begins so carries IKE (RFC 3948 §2.2).
fn is_ike(datagram: &[u8]) -> bool {
    let Some(([a, b, c, d, _, _, _, _], payload)) = datagram.split_first_chunk() else {
        return false;
    };
    let ports = [u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])];
    if ports.contains(&500) {
        return true;
    }
    ports.contains(&4500) && payload.starts_with(&[0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{IpFragOffset, Ipv4Header, Ipv6FragmentHeader, Ipv6Header};

    const UDP: IpNumber = IpNumber::UDP;

    fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x30, 0x39];
        datagram.extend(port.to_be_bytes());
        datagram.extend([0x0f, 0xff, 0, 0]);
        datagram.extend(payload);
        datagram
    }

    fn v4(number: u16, offset: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap();
        let mut header = Ipv4Header::new(length, 64, UDP, [192, 0, 2, 1], [192, 0, 2, 2]).unwrap();
        header.identification = number;
        header.more_fragments = offset == 0;
        header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        let mut packet = Vec::new();
        header.write(&mut packet).unwrap();
        packet.extend(payload);
        packet
    }

    fn v6(number: u32, offset: u16, payload: &[u8]) -> Vec<u8> {
        let offset = IpFragOffset::try_new(offset).unwrap();
        let fragment = Ipv6FragmentHeader::new(UDP, offset, offset.value() == 0, number);
        let header = Ipv6Header {
            payload_length: u16::try_from(8 + payload.len()).unwrap(),
            next_header: IpNumber::IPV6_FRAGMENTATION_HEADER,
            hop_limit: 64,
            source: [1; 16],
            destination: [2; 16],
            ..Ipv6Header::default()
        };
        let mut packet = Vec::new();
        header.write(&mut packet).unwrap();
        fragment.write(&mut packet).unwrap();
        packet.extend(payload);
        packet
    }

    #[test]
    fn later_fragments_follow_the_first() {
        let ike = datagram(4500, &[0; 64]);
        let esp = datagram(4500, &[1; 64]);
        let dns = datagram(53, &[0; 64]);
        let mut sieve = Sieve::default();
        for (number, first, taken) in [(1, &ike, true), (2, &esp, false), (3, &dns, false)] {
            for [first, later] in [
                [v4(number, 0, first), v4(number, 9, b"more")],
                [v6(number.into(), 0, first), v6(number.into(), 9, b"more")],
            ] {
                assert_eq!(sieve.takes(Link::Ip, &first), taken, "{number}");
                assert_eq!(sieve.takes(Link::Ip, &later), taken, "{number}");
            }
        }
        // The first one was lost, or comes late.
        assert!(sieve.takes(Link::Ip, &v4(4, 9, b"more")));
        // What is no fragment is the kernel's choice, and so is what nobody can read.
        assert!(sieve.takes(Link::Ip, &[]));
        assert!(sieve.takes(Link::Ethernet, &[0xff; 60]));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut sieve = Sieve::default();
        let esp = datagram(4500, &[1; 64]);
        for number in 0..2 * u32::try_from(OTHERS).unwrap() {
            sieve.takes(Link::Ip, &v6(number, 0, &esp));
        }
        assert_eq!((sieve.others.len(), sieve.order.len()), (OTHERS, OTHERS));
    }
}
