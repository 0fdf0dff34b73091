//! A message of ours that may have to be sent again.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::event::Unacknowledged;
use crate::limits::{DATAGRAM_LEN_MIN, UNACKNOWLEDGED_MIN};
use crate::time::Instant;
use crate::wire::header::Header;

/// A sealed message, kept until its exchange is over.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Its header; of fragments, what their headers have in common.
    pub(crate) header: Header,
    /// When it was sent first.
    pub(crate) first: Instant,
    /// Times it has been sent again.
    pub(crate) repeats: u8,
    /// Longest IP datagram when it was first sealed.
    datagram_len: u16,
    /// What the path added to each then, in octets.
    overhead: usize,
    datagrams: Vec<Bytes>,
    /// Whether it can be cut anew, and has not been.
    can_be_recut: bool,
    /// The same in smaller fragments.
    lowered: Option<Vec<Bytes>>,
    last_was_lowered: bool,
}

impl Sent {
    /// Keeps a message that went out as `datagrams`, at `first`.
    pub(crate) fn new(
        header: Header,
        (datagram_len, overhead): (u16, usize),
        datagrams: Vec<Bytes>,
        can_be_recut: bool,
        first: Instant,
    ) -> Self {
        Self {
            header,
            first,
            repeats: 0,
            datagram_len,
            overhead,
            datagrams,
            can_be_recut,
            lowered: None,
            last_was_lowered: false,
        }
    }

    /// What to send when the message seems not to have arrived.
    ///
    /// The first time the same again: most losses are just that. From then on
    /// in the smallest fragments (RFC 7383 §2.5.2), because the path may drop the
    /// larger ones, and in the old ones, because some peers refuse a changed
    /// total; twice in either by turns, because others, such as OpenIKED, drop
    /// the fragment by which they see the change along with what they had. Where
    /// the peer asks over a path that adds more `overhead` than the first, the
    /// first cut is too long at once. `recut` makes the smaller ones of the first.
    pub(crate) fn repeat(
        &mut self,
        overhead: usize,
        recut: impl FnOnce(&[Bytes]) -> Vec<Bytes>,
    ) -> &[Bytes] {
        let lost = matches!(self.repeats & 3, 1 | 2);
        let wanted = lost || overhead > self.overhead;
        let lower = wanted && self.datagram_len > DATAGRAM_LEN_MIN;
        self.repeats = self.repeats.saturating_add(1);
        if self.can_be_recut && lower {
            self.can_be_recut = false;
            // A receiver tells the two cuts apart by their totals: only one in
            // more fragments replaces what it has.
            let lowered = recut(&self.datagrams);
            self.lowered = Some(lowered).filter(|lowered| lowered.len() > self.datagrams.len());
        }
        self.last_was_lowered = lower && lost && self.lowered.is_some();
        match &self.lowered {
            Some(lowered) if lower => lowered,
            _ => &self.datagrams,
        }
    }

    /// Whether the message, now that it is known to have arrived, most likely
    /// did so in smaller fragments.
    pub(crate) const fn arrived_lowered(&self) -> bool {
        self.last_was_lowered
    }

    /// What is known of it if the peer asked again and then fell silent.
    pub(crate) fn unacknowledged(&self) -> Option<Unacknowledged> {
        let longest = self.datagrams.iter().map(Bytes::len).max();
        let longest = longest.unwrap_or(0).saturating_add(self.overhead);
        (self.repeats >= UNACKNOWLEDGED_MIN).then_some(Unacknowledged {
            exchange: self.header.exchange,
            times: self.repeats,
            fragments: u16::try_from(self.datagrams.len()).unwrap_or(u16::MAX),
            datagram_len: u16::try_from(longest).unwrap_or(u16::MAX),
            lowered: self.lowered.is_some(),
        })
    }

    /// The datagrams as they were first sealed.
    pub(crate) fn datagrams(&self) -> &[Bytes] {
        &self.datagrams
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::types::{MessageId, Role, Spi, Spis};
    use crate::wire::header::VERSION;
    use crate::wire::iana::{ExchangeType, PayloadType};

    /// IPv4 and UDP headers.
    const OVERHEAD: usize = 28;

    fn sent(datagrams: &[&'static [u8]], datagram_len: u16) -> Sent {
        let datagrams = datagrams.iter().copied().map(Bytes::from_static).collect();
        let header = Header {
            spis: Spis {
                initiator: Spi(1),
                responder: Spi(2),
            },
            next_payload: PayloadType::ENCRYPTED,
            version: VERSION,
            exchange: ExchangeType::IKE_AUTH,
            from: Role::Responder,
            response: true,
            message_id: MessageId(1),
        };
        let size = (datagram_len, OVERHEAD);
        Sent::new(header, size, datagrams, true, Instant::ZERO)
    }

    fn lowered(_: &[Bytes]) -> Vec<Bytes> {
        alloc::vec![Bytes::from_static(b"small"); 3]
    }

    #[test]
    fn repeats_alternate_between_the_first_cut_and_a_smaller_one() {
        let mut sent = sent(&[b"one", b"two"], 1280);
        let lengths: Vec<usize> = (0..5)
            .map(|_| sent.repeat(OVERHEAD, lowered).len())
            .collect();
        assert_eq!(lengths, [2, 3, 3, 2, 2]);
        assert!(!sent.arrived_lowered());
        sent.repeat(OVERHEAD, lowered);
        assert!(sent.arrived_lowered());
    }

    /// As OpenIKED 7.2 does: of a new total it misses the first fragment. On a
    /// path that is narrower than the first cut it has had the last of that.
    #[test]
    fn who_drops_all_at_a_changed_total_gets_the_smaller_cut_whole() {
        let mut sent = sent(&[b"long", b"1"], 1280);
        let (mut total, mut stored) = (2, BTreeSet::from([1]));
        let is_whole = |_| {
            let repeated = sent.repeat(OVERHEAD, lowered);
            let arriving = repeated.iter().enumerate();
            for (number, _) in arriving.filter(|(_, datagram)| datagram.as_ref() != b"long") {
                if total == repeated.len() {
                    stored.insert(number);
                } else {
                    (total, stored) = (repeated.len(), BTreeSet::new());
                }
            }
            stored.len() == total
        };
        // More are not sent of a request, nor asked for by many clients.
        assert!((0..5).any(is_whole));
    }

    /// Asked for on port 500 and again on 4500, behind a marker.
    #[test]
    fn a_path_that_takes_more_room_gets_the_smaller_cut() {
        let mut sent = sent(&[b"one", b"two"], 1280);
        for _ in 0..4 {
            assert_eq!(sent.repeat(OVERHEAD + 4, lowered).len(), 3);
        }
        // Which says nothing about the sizes that pass.
        assert!(!sent.arrived_lowered());
        assert_eq!(sent.repeat(OVERHEAD, lowered).len(), 2);
        assert_eq!(sent.repeat(OVERHEAD, lowered).len(), 3);
    }

    #[test]
    fn what_was_asked_for_again_is_not_acknowledged() {
        let mut sent = sent(&[b"four", b"sixsix"], 1280);
        assert_eq!(sent.unacknowledged(), None);
        // Once may be a datagram that crossed ours.
        sent.repeat(OVERHEAD, lowered);
        assert_eq!(sent.unacknowledged(), None);
        sent.repeat(OVERHEAD, lowered);
        let known = Unacknowledged {
            exchange: ExchangeType::IKE_AUTH,
            times: 2,
            fragments: 2,
            datagram_len: 34,
            lowered: true,
        };
        assert_eq!(sent.unacknowledged(), Some(known));
    }

    #[test]
    fn what_is_small_already_stays_as_it_is() {
        let mut sent = sent(&[b"one", b"two"], 576);
        for _ in 0..5 {
            let repeated = sent.repeat(OVERHEAD, |_| panic!("must not be sealed anew"));
            assert_eq!(repeated.len(), 2);
            assert!(!sent.arrived_lowered());
        }
    }

    /// RFC 7383 §2.6: a receiver takes new fragments for old ones if the total
    /// does not grow.
    #[test]
    fn a_smaller_cut_that_makes_no_more_fragments_is_not_sent() {
        let mut sent = sent(&[b"one", b"two", b"three"], 600);
        for _ in 0..4 {
            let repeated = sent.repeat(OVERHEAD, lowered);
            assert_eq!(repeated[0], Bytes::from_static(b"one"));
        }
    }
}
