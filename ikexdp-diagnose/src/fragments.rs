//! IP fragments: which of a datagram are there, which are missing, and the datagram once it is whole.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::limits::{DATAGRAM_MAX, FRAGMENTED_MAX, FRAGMENTED_OCTETS_MAX, PIECES_MAX};
use crate::model::Piece;
use crate::packet::Fragment;
use crate::time::Moment;

/// How long fragments of one datagram may be apart. Linux waits 30 s, RFC 8200 §4.5 says 60 s; behind that
/// the same number is another datagram's.
const PATIENCE: Duration = Duration::from_secs(60);

/// Datagrams of which some fragments have been seen.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    under_watch: BTreeMap<Key, Datagram>,
    /// By age; one may be gone from the map by now.
    order: VecDeque<(Key, Moment)>,
    octets: usize,
}

/// What fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) id: u32,
}

/// A datagram of which fragments have been seen.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) key: Key,
    pub(crate) time: Moment,
    pub(crate) pieces: Vec<Piece>,
    /// Its data as far as they were captured, in their places.
    pub(crate) data: Vec<u8>,
    /// Whether a fragment was captured in part, so that `data` have holes.
    pub(crate) is_cut: bool,
    pub(crate) hop_limit: u8,
    pub(crate) outgoing: Option<bool>,
    /// Octets of the IP header before the data.
    pub(crate) header_len: usize,
}

/// What is known of the packet that a fragment came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    pub(crate) frame: u64,
    pub(crate) time: Moment,
    pub(crate) hop_limit: u8,
    pub(crate) outgoing: Option<bool>,
}

/// What became of a fragment.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The datagram that it completes.
    pub(crate) whole: Option<Datagram>,
    /// Datagrams that nothing more is expected of.
    pub(crate) given_up: Vec<Datagram>,
}

impl Fragments {
    /// Takes a fragment.
    pub(crate) fn take(&mut self, key: Key, fragment: &Fragment<'_>, around: Around) -> Taken {
        let mut taken = Taken::default();
        if let Some(known) = self.under_watch.get(&key)
            && around.time.since(known.time) > PATIENCE
        {
            taken.given_up.extend(self.remove(&key));
        }
        let datagram = self.under_watch.entry(key).or_insert_with(|| {
            self.order.push_back((key, around.time));
            Datagram::new(key, fragment, around)
        });
        let before = datagram.data.len();
        datagram.add(fragment, around.frame);
        self.octets = self
            .octets
            .saturating_add(datagram.data.len().saturating_sub(before));
        if datagram.is_whole() {
            taken.whole = self.remove(&key);
        }
        while self.under_watch.len() > FRAGMENTED_MAX
            || self.octets > FRAGMENTED_OCTETS_MAX
            || self.order.len() > FRAGMENTED_MAX.saturating_mul(4)
        {
            let Some((oldest, time)) = self.order.pop_front() else {
                break;
            };
            if self
                .under_watch
                .get(&oldest)
                .is_some_and(|it| it.time == time)
            {
                taken.given_up.extend(self.remove(&oldest));
            }
        }
        taken
    }

    /// All that never became whole.
    pub(crate) fn finish(self) -> impl Iterator<Item = Datagram> {
        self.under_watch.into_values()
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.under_watch.remove(key)?;
        self.octets = self.octets.saturating_sub(datagram.data.len());
        Some(datagram)
    }
}

impl Datagram {
    const fn new(key: Key, fragment: &Fragment<'_>, around: Around) -> Self {
        Self {
            key,
            time: around.time,
            pieces: Vec::new(),
            data: Vec::new(),
            is_cut: false,
            hop_limit: around.hop_limit,
            outgoing: around.outgoing,
            header_len: fragment.header_len,
        }
    }

    fn add(&mut self, fragment: &Fragment<'_>, frame: u64) {
        let end = fragment.offset.saturating_add(fragment.length);
        let is_known = |piece: &Piece| usize::try_from(piece.offset) == Ok(fragment.offset);
        if self.pieces.len() >= PIECES_MAX || end > DATAGRAM_MAX || self.pieces.iter().any(is_known)
        {
            return;
        }
        self.pieces.push(Piece {
            offset: u32::try_from(fragment.offset).unwrap_or(u32::MAX),
            length: u32::try_from(fragment.length).unwrap_or(u32::MAX),
            more: fragment.more,
            frame,
        });
        self.is_cut |= fragment.data.len() < fragment.length;
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        let place = self.data.get_mut(fragment.offset..).unwrap_or_default();
        for (octet, value) in place.iter_mut().zip(fragment.data) {
            *octet = *value;
        }
    }

    fn is_whole(&self) -> bool {
        let (length, missing) = gaps(&self.pieces);
        length.is_some() && missing.is_empty()
    }

    /// Octets of the data at the beginning that were captured, if any were.
    pub(crate) fn beginning(&self) -> &[u8] {
        let first = self.pieces.iter().find(|piece| piece.offset == 0);
        let length = first.map_or(0, |piece| usize::try_from(piece.length).unwrap_or(0));
        self.data.get(..length).unwrap_or_default()
    }
}

/// How long the datagram of these fragments is, if the last is there, and what is missing: from where, to where if
/// that is known.
pub(crate) fn gaps(pieces: &[Piece]) -> (Option<u32>, Vec<(u32, Option<u32>)>) {
    let mut sorted = pieces.to_vec();
    sorted.sort_unstable();
    let mut missing = Vec::new();
    let (mut covered, mut total) = (0u32, None);
    for piece in &sorted {
        if piece.offset > covered {
            missing.push((covered, Some(piece.offset)));
        }
        let end = piece.offset.saturating_add(piece.length);
        covered = covered.max(end);
        if !piece.more {
            total = Some(end);
        }
    }
    if total.is_none() {
        missing.push((covered, None));
    }
    (total, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key {
        source: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        destination: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        protocol: 17,
        id: 1,
    };

    fn fragment(offset: usize, data: &[u8], more: bool) -> Fragment<'_> {
        Fragment {
            id: 1,
            protocol: 17,
            offset,
            more,
            data,
            length: data.len(),
            header_len: 20,
        }
    }

    const fn around(frame: u64, seconds: u64) -> Around {
        Around {
            frame,
            time: Moment(seconds * 1_000_000_000),
            hop_limit: 64,
            outgoing: None,
        }
    }

    #[test]
    fn a_datagram_is_put_together_in_any_order() {
        let mut fragments = Fragments::default();
        assert!(
            fragments
                .take(KEY, &fragment(8, &[2; 8], true), around(1, 0))
                .whole
                .is_none()
        );
        assert!(
            fragments
                .take(KEY, &fragment(16, &[3; 4], false), around(2, 0))
                .whole
                .is_none()
        );
        let taken = fragments.take(KEY, &fragment(0, &[1; 8], true), around(3, 0));
        let whole = taken.whole.unwrap();
        assert_eq!(
            whole.data,
            [[1; 8], [2; 8], [3, 3, 3, 3, 0, 0, 0, 0]].concat()[..20]
        );
        assert_eq!(whole.beginning(), [1; 8]);
        assert_eq!(fragments.octets, 0);
    }

    #[test]
    fn what_is_missing_is_told() {
        let piece = |offset, length, more| Piece {
            offset,
            length,
            more,
            frame: 1,
        };
        let (total, missing) = gaps(&[piece(0, 1480, true), piece(2960, 581, false)]);
        assert_eq!((total, missing), (Some(3541), vec![(1480, Some(2960))]));
        let (total, missing) = gaps(&[piece(0, 1480, true)]);
        assert_eq!((total, missing), (None, vec![(1480, None)]));
    }

    #[test]
    fn a_number_that_comes_again_later_is_another_datagram() {
        let mut fragments = Fragments::default();
        fragments.take(KEY, &fragment(0, &[1; 8], true), around(1, 0));
        let taken = fragments.take(KEY, &fragment(8, &[1; 8], false), around(2, 100));
        assert!(taken.whole.is_none());
        assert_eq!(taken.given_up.len(), 1);
    }

    #[test]
    fn no_more_are_watched_than_there_is_room_for() {
        let mut fragments = Fragments::default();
        let mut given_up = 0;
        for id in 0..3000 {
            let taken =
                fragments.take(Key { id, ..KEY }, &fragment(0, &[1; 8], true), around(1, 0));
            given_up += taken.given_up.len();
        }
        assert_eq!(given_up, 3000 - FRAGMENTED_MAX);
        assert_eq!(fragments.octets, 8 * FRAGMENTED_MAX);
    }
}
