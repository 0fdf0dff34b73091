//! Flights of TLS in EAP packets (RFC 5216 §2.1.5, §3.1).
//!
//! ```text
//!  0                   1                   2                   3
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |L M S R R R R R|      TLS Message Length (if L is set)
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!                 |  TLS Data ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
//! ```

use std::vec;

use ikexdp_proto::eap::RejectionReason;

use crate::limits::{FLIGHT_LEN_MAX, FRAGMENT_LEN};

const LENGTH_INCLUDED: u8 = 0x80;
const MORE_FRAGMENTS: u8 = 0x40;

/// Asks the peer to begin.
pub(super) const START: [u8; 1] = [0x20];

/// Takes a fragment without adding anything to it.
pub(super) const ACKNOWLEDGEMENT: [u8; 1] = [0];

/// A packet's worth of a flight. Nothing in it takes a fragment, or a flight that
/// needs no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    pub(super) is_last: bool,
    /// How long the flight is going to be.
    announced: Option<usize>,
    pub(super) octets: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads the data of a packet. Bits without a meaning are ignored
    /// (RFC 5216 §3.1).
    pub(super) fn decode(data: &'a [u8]) -> Result<Self, RejectionReason> {
        let malformed = RejectionReason::Protocol("malformed EAP-TLS packet");
        let Some((&flags, rest)) = data.split_first() else {
            return Err(malformed);
        };
        let (announced, octets) = if flags & LENGTH_INCLUDED == 0 {
            (None, rest)
        } else {
            let (len, octets) = rest.split_first_chunk().ok_or(malformed)?;
            let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
            (Some(len), octets)
        };
        Ok(Self {
            is_last: flags & MORE_FRAGMENTS == 0,
            announced,
            octets,
        })
    }
}

/// A flight of the peer's, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    announced: Option<usize>,
    octets: Vec<u8>,
}

/// What a fragment makes of a flight.
#[derive(Debug)]
pub(super) enum Received {
    /// There is more to come.
    Part(Inbound),
    /// It is whole.
    Whole(Vec<u8>),
}

impl Inbound {
    /// Adds a fragment.
    pub(super) fn receive(mut self, fragment: Fragment<'_>) -> Result<Received, RejectionReason> {
        let refused = |what| Err(RejectionReason::Protocol(what));
        if fragment.octets.is_empty() {
            return refused("no TLS data where some belongs");
        }
        // The first fragment says how long the flight is, and others may as well.
        let announced = self.announced.or(fragment.announced);
        if fragment.announced.is_some_and(|len| Some(len) != announced) {
            return refused("EAP-TLS fragments of different flights");
        }
        self.announced = announced;
        let len = self.octets.len().saturating_add(fragment.octets.len());
        if len.max(announced.unwrap_or(0)) > FLIGHT_LEN_MAX {
            return refused("more TLS data at once than 24 KiB");
        }
        self.octets.extend_from_slice(fragment.octets);
        let is_as_announced = announced.is_none_or(|announced| announced == len);
        let is_within = announced.is_none_or(|announced| announced >= len);
        match fragment.is_last {
            true if is_as_announced => Ok(Received::Whole(self.octets)),
            false if is_within => Ok(Received::Part(self)),
            _ => refused("EAP-TLS fragments that do not add up to their flight"),
        }
    }
}

/// A flight of ours, as the data of packets.
#[derive(Debug)]
pub(super) struct Outbound(vec::IntoIter<Vec<u8>>);

impl Outbound {
    /// Cuts a flight. One packet needs no length (RFC 5216 §3.1).
    pub(super) fn new(flight: &[u8]) -> Self {
        let len = u32::try_from(flight.len()).unwrap_or(u32::MAX);
        let mut rest = flight;
        let mut packets = Vec::new();
        while let Some((octets, behind)) = rest.split_at_checked(FRAGMENT_LEN)
            && !behind.is_empty()
        {
            let packet = if packets.is_empty() {
                let flags = LENGTH_INCLUDED | MORE_FRAGMENTS;
                [&[flags][..], &len.to_be_bytes(), octets].concat()
            } else {
                [&[MORE_FRAGMENTS], octets].concat()
            };
            packets.push(packet);
            rest = behind;
        }
        packets.push([&ACKNOWLEDGEMENT, rest].concat());
        Self(packets.into_iter())
    }

    /// The next packet, and whether there are more behind it.
    pub(super) fn next(&mut self) -> Option<(Vec<u8>, bool)> {
        let packet = self.0.next()?;
        Some((packet, self.0.len() > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn receive(packets: &[&[u8]]) -> Result<Received, RejectionReason> {
        let mut received = Received::Part(Inbound::default());
        for packet in packets {
            let Received::Part(inbound) = received else {
                panic!("whole before {packet:02x?}");
            };
            received = inbound.receive(Fragment::decode(packet)?)?;
        }
        Ok(received)
    }

    #[test]
    fn a_flight_is_put_together() {
        for (packets, why) in [
            (&[&hex!("00 616263")[..]][..], "bare"),
            (&[&hex!("80 00000003 616263")], "with its length"),
            (&[&hex!("1f 616263")], "with bits that mean nothing"),
            (
                &[&hex!("c0 00000003 61"), &hex!("40 62"), &hex!("00 63")],
                "in fragments",
            ),
            (
                &[&hex!("c0 00000003 61"), &hex!("80 00000003 6263")],
                "with two lengths",
            ),
            (
                &[&hex!("40 61"), &hex!("00 6263")],
                "in fragments without a length",
            ),
        ] {
            match receive(packets) {
                Ok(Received::Whole(octets)) => assert_eq!(octets, b"abc", "{why}"),
                other => panic!("{why}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_flight_that_does_not_add_up_is_refused() {
        for (packets, why) in [
            (&[&hex!("")[..]][..], "empty packet"),
            (&[&hex!("00")], "no data"),
            (&[&hex!("80 000003")], "half a length"),
            (&[&hex!("80 00000004 616263")], "too little"),
            (&[&hex!("80 00000002 616263")], "too much"),
            (&[&hex!("c0 00000002 616263")], "too much, and more to come"),
            (
                &[&hex!("c0 00000003 61"), &hex!("40")],
                "fragment without data",
            ),
            (
                &[&hex!("c0 00000003 61"), &hex!("80 00000004 6263")],
                "other length",
            ),
            (&[&hex!("c0 00010001 61")], "announced too long"),
            (&[&hex!("c0 ffffffff 61")], "announced much too long"),
        ] {
            assert!(receive(packets).is_err(), "{why}");
        }
    }

    #[test]
    fn a_flight_has_an_end() {
        let packet = [&[MORE_FRAGMENTS][..], &[0; 4095]].concat();
        let mut inbound = Inbound::default();
        for _ in 0..6 {
            match inbound.receive(Fragment::decode(&packet).unwrap()).unwrap() {
                Received::Part(part) => inbound = part,
                Received::Whole(_) => panic!("there is more to come"),
            }
        }
        assert!(inbound.octets.len() <= FLIGHT_LEN_MAX);
        assert!(inbound.receive(Fragment::decode(&packet).unwrap()).is_err());
    }

    #[test]
    fn a_flight_is_cut_and_put_together_again() {
        for len in [1, 999, 1000, 1001, 2000, 2001, 9999] {
            let flight: Vec<u8> = (0..len).map(|n: usize| n.to_le_bytes()[0]).collect();
            let mut outbound = Outbound::new(&flight);
            let mut inbound = Inbound::default();
            loop {
                let (packet, has_more) = outbound.next().unwrap();
                let fragment = Fragment::decode(&packet).unwrap();
                assert!(fragment.octets.len() <= FRAGMENT_LEN);
                assert_eq!(fragment.is_last, !has_more);
                match inbound.receive(fragment).unwrap() {
                    Received::Part(part) => inbound = part,
                    Received::Whole(octets) => break assert_eq!(octets, flight),
                }
            }
            assert!(outbound.next().is_none());
        }
    }

    #[test]
    fn only_the_first_of_several_packets_has_the_length() {
        let mut outbound = Outbound::new(&[7; 2500]);
        let flags = |packet: &[u8]| packet[0];
        let (first, _) = outbound.next().unwrap();
        assert_eq!(first[..5], hex!("c0 000009c4"));
        assert_eq!(flags(&outbound.next().unwrap().0), 0x40);
        assert_eq!(flags(&outbound.next().unwrap().0), 0);
        assert_eq!(flags(&Outbound::new(&[7; 1000]).next().unwrap().0), 0);
    }
}
