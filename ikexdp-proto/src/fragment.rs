//! Fragmentation (RFC 7383): how a message is cut, and how one is put together.
//!
//! Only plaintext of authentic fragments gets here; what an outsider sends
//! changes nothing.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::crypto::cipher::Cipher;
use crate::error::Limit;
use crate::event::Incomplete;
use crate::limits::{FRAGMENT_COST, FRAGMENTS_MAX, MESSAGE_LEN_MAX, REASSEMBLY_TIME_MAX};
use crate::time::Instant;
use crate::types::Path;
use crate::wire::header::HEADER_LEN;
use crate::wire::iana::PayloadType;
use crate::wire::payload::GENERIC_LEN;
use crate::wire::sk::{FRAGMENT_LEN, FragmentNumber};
use crate::wire::writer::Chain;

/// How the payloads of a message are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// They fit into one SK payload, or the peer takes nothing else.
    Whole,
    /// Each SKF payload takes this many octets of them.
    Fragments(usize),
}

/// Cuts `payloads` octets so that no IP datagram on `path` is longer than
/// `datagram_len`. There is never an empty last fragment.
pub(crate) fn cut(payloads: usize, cipher: Cipher, path: &Path, datagram_len: u16) -> Cut {
    let room = usize::from(datagram_len).saturating_sub(path.overhead());
    let whole = cipher
        .sealed_len(payloads)
        .saturating_add(HEADER_LEN + GENERIC_LEN);
    if whole <= room {
        return Cut::Whole;
    }
    let body = room.saturating_sub(HEADER_LEN + GENERIC_LEN + FRAGMENT_LEN);
    Cut::Fragments(cipher.capacity(body).max(1))
}

/// A message under reassembly.
#[derive(Debug)]
pub(crate) struct Reassembly {
    total: u16,
    first: Option<PayloadType>,
    parts: BTreeMap<u16, Vec<u8>>,
    octets: usize,
    started: Instant,
    /// Whether the sender has cut it anew.
    recut: bool,
}

/// What came of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It was the last that was missing.
    Complete {
        /// The message.
        payloads: Chain,
        /// Whether the sender cut it anew, because larger fragments did not
        /// arrive.
        recut: bool,
    },
    /// Others are still missing.
    Incomplete,
    /// It was there already, or belongs to a cut that was given up
    /// (RFC 7383 §2.6: a smaller total is dropped).
    Stale,
}

impl Reassembly {
    /// Begins with nothing, at `now`, for a message in `total` fragments.
    fn new(total: u16, recut: bool, now: Instant) -> Self {
        Self {
            recut,
            total,
            first: None,
            parts: BTreeMap::new(),
            octets: 0,
            started: now,
        }
    }

    /// Adds an authentic fragment to the message in `place`, which is empty
    /// before the first fragment and after the last.
    ///
    /// # Errors
    /// [`Limit`] if the message is too long or in too many fragments; the
    /// place is empty then.
    pub(crate) fn add(
        place: &mut Option<Box<Self>>,
        fragment: FragmentNumber,
        first: PayloadType,
        mut plaintext: Vec<u8>,
        now: Instant,
    ) -> Result<Added, Limit> {
        if fragment.total > FRAGMENTS_MAX {
            *place = None;
            return Err(Limit::Fragments);
        }
        let fresh = |recut| Box::new(Self::new(fragment.total, recut, now));
        let message = match place {
            Some(message) if fragment.total < message.total => return Ok(Added::Stale),
            // What we have does not fit any more.
            Some(message) if fragment.total > message.total => place.insert(fresh(true)),
            Some(message) => message,
            None => place.insert(fresh(false)),
        };
        if message.parts.contains_key(&fragment.number) {
            return Ok(Added::Stale);
        }
        message.octets = message.octets.saturating_add(plaintext.len());
        if message.octets > MESSAGE_LEN_MAX {
            *place = None;
            return Err(Limit::MessageLength);
        }
        // The padding is gone, but its memory is not.
        plaintext.shrink_to_fit();
        message.parts.insert(fragment.number, plaintext);
        if fragment.number == 1 {
            message.first = Some(first);
        }
        match (
            message.first,
            message.parts.len() == usize::from(message.total),
        ) {
            (Some(first), true) => {
                let recut = message.recut;
                let parts = core::mem::take(&mut message.parts);
                let octets = parts.into_values().collect::<Vec<_>>().concat();
                *place = None;
                let payloads = Chain { first, octets };
                Ok(Added::Complete { payloads, recut })
            }
            _ => Ok(Added::Incomplete),
        }
    }

    /// Memory held, in octets.
    pub(crate) fn memory(&self) -> usize {
        let parts = self.parts.len().saturating_mul(FRAGMENT_COST);
        self.octets.saturating_add(parts)
    }

    /// When the first fragment came.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// When to give up.
    pub(crate) fn deadline(&self) -> Instant {
        self.started + REASSEMBLY_TIME_MAX
    }

    /// Which fragments are not there.
    pub(crate) fn incomplete(&self) -> Incomplete {
        let numbers = 1..=self.total;
        Incomplete {
            missing: numbers
                .filter(|number| !self.parts.contains_key(number))
                .collect(),
            total: self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::{Encryption, Integrity};

    const FIRST: PayloadType = PayloadType::ID_INITIATOR;

    struct Receiver(Option<Box<Reassembly>>);

    impl Receiver {
        fn add(&mut self, number: u16, total: u16, plaintext: &[u8]) -> Result<Added, Limit> {
            let first = if number == 1 {
                FIRST
            } else {
                PayloadType::NONE
            };
            let fragment = FragmentNumber { number, total };
            Reassembly::add(
                &mut self.0,
                fragment,
                first,
                plaintext.to_vec(),
                Instant::ZERO,
            )
        }
    }

    fn complete(octets: &[u8], recut: bool) -> Result<Added, Limit> {
        let payloads = Chain {
            first: FIRST,
            octets: octets.to_vec(),
        };
        Ok(Added::Complete { payloads, recut })
    }

    #[test]
    fn fragments_come_in_any_order_and_more_than_once() {
        let mut receiver = Receiver(None);
        assert_eq!(receiver.add(3, 3, b"c"), Ok(Added::Incomplete));
        assert_eq!(receiver.add(1, 3, b"a"), Ok(Added::Incomplete));
        assert_eq!(receiver.add(1, 3, b"x"), Ok(Added::Stale));
        assert_eq!(receiver.add(2, 3, b"b"), complete(b"abc", false));
        assert!(receiver.0.is_none());
    }

    /// RFC 7383 §2.6: a sender that found its fragments too large cuts the same
    /// message smaller, so into more of them.
    #[test]
    fn a_larger_total_begins_anew_and_a_smaller_is_dropped() {
        let mut receiver = Receiver(None);
        assert_eq!(receiver.add(1, 2, b"old"), Ok(Added::Incomplete));
        assert_eq!(receiver.add(2, 3, b"b"), Ok(Added::Incomplete));
        assert_eq!(receiver.add(2, 2, b"old"), Ok(Added::Stale));
        assert_eq!(receiver.add(1, 3, b"a"), Ok(Added::Incomplete));
        assert_eq!(receiver.add(3, 3, b""), complete(b"ab", true));
    }

    #[test]
    fn one_fragment_may_be_all() {
        assert_eq!(Receiver(None).add(1, 1, b"all"), complete(b"all", false));
    }

    #[test]
    fn there_is_an_end_to_what_a_peer_can_make_us_hold() {
        let mut receiver = Receiver(None);
        assert_eq!(
            receiver.add(1, FRAGMENTS_MAX + 1, b""),
            Err(Limit::Fragments)
        );
        for number in 1..=64 {
            let added = receiver.add(number, FRAGMENTS_MAX, &[0; 1024]);
            assert_eq!(added, Ok(Added::Incomplete));
        }
        assert_eq!(
            receiver.add(65, FRAGMENTS_MAX, b"x"),
            Err(Limit::MessageLength)
        );
        assert!(receiver.0.is_none());
    }

    /// Empty fragments are allowed, and cost memory all the same.
    #[test]
    fn empty_fragments_are_not_free() {
        let mut receiver = Receiver(None);
        for number in 2..=FRAGMENTS_MAX {
            let added = receiver.add(number, FRAGMENTS_MAX, b"");
            assert_eq!(added, Ok(Added::Incomplete));
        }
        assert_eq!(receiver.0.unwrap().memory(), 127 * FRAGMENT_COST);
    }

    /// Design: at least 64 fragments and 64 KiB.
    #[test]
    fn the_largest_message_is_taken() {
        let mut receiver = Receiver(None);
        let parts = FRAGMENTS_MAX;
        let each = MESSAGE_LEN_MAX / usize::from(parts);
        for number in 1..parts {
            let added = receiver.add(number, parts, &alloc::vec![1; each]);
            assert_eq!(added, Ok(Added::Incomplete));
        }
        let all = alloc::vec![1; MESSAGE_LEN_MAX];
        assert_eq!(
            receiver.add(parts, parts, &alloc::vec![1; each]),
            complete(&all, false)
        );
    }

    /// For every way an IKE message can travel: the cut is the largest that
    /// fits, exact multiples make no empty last fragment, and what fits whole
    /// is left whole.
    #[test]
    fn cuts_are_exact() {
        let ciphers = [
            (Encryption::AesGcm16_256, None),
            (Encryption::AesCbc256, Some(Integrity::HmacSha2_256_128)),
            (Encryption::AesCbc128, Some(Integrity::HmacSha2_384_192)),
            (Encryption::AesCbc128, Some(Integrity::HmacSha2_512_256)),
        ];
        for (encryption, integrity) in ciphers {
            let cipher = Cipher::new(encryption, integrity).unwrap();
            for (remote, marker, around) in [
                ("192.0.2.1:500", false, 28),
                ("192.0.2.1:4500", true, 32),
                ("[2001:db8::1]:500", false, 48),
                ("[2001:db8::1]:4500", true, 52),
            ] {
                let path = Path {
                    local: remote.parse().unwrap(),
                    remote: remote.parse().unwrap(),
                    marker,
                };
                for datagram_len in [576, 577, 591, 592, 1280, 1400, 1500] {
                    let fragment = |part: usize| around + 28 + 4 + 4 + cipher.sealed_len(part);
                    let Cut::Fragments(part) = cut(10_000, cipher, &path, datagram_len) else {
                        panic!("10,000 octets fit in {datagram_len}")
                    };
                    assert!(fragment(part) <= usize::from(datagram_len));
                    assert!(fragment(part + 1) > usize::from(datagram_len));
                    let whole = |size: usize| cut(size, cipher, &path, datagram_len) == Cut::Whole;
                    let longest = (1..2000).rev().find(|size| whole(*size)).unwrap();
                    assert!(fragment(longest) - 4 <= usize::from(datagram_len));
                    assert!(fragment(longest + 1) - 4 > usize::from(datagram_len));
                }
            }
        }
    }
}
