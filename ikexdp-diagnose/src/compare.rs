//! Two captures of one attempt: whose is which, and how far their clocks are apart.

use std::collections::BTreeMap;
use std::time::Duration;

use ikexdp_proto::types::Spi;

use crate::collect::{Kept, Reading};
use crate::limits::MATCHES_MAX;
use crate::model::Vantage;
use crate::time::Moment;
use crate::verdict::Direction;

/// How far apart differences may be that tell of one offset: the longest way there and back, and a clock that drifts.
const SPREAD: i64 = 500_000_000;

/// Repeats of one message that are matched with each other: no client sends more.
const REPEATS_MATCHED: usize = 16;

/// Whether the first of two captures is the gateway's.
///
/// Hop limits and directions tell; if they do not, the time that answers take does: it is longer at the client.
pub(crate) fn is_swapped(first: &Reading, second: &Reading) -> bool {
    match (first.capture.vantage, second.capture.vantage) {
        (Vantage::Client, Vantage::Gateway) => return false,
        (Vantage::Gateway, Vantage::Client) => return true,
        _ => {}
    }
    let mut longer_at_second = 0i64;
    for (first, second) in common(first, second) {
        for (key, gap) in gaps(first) {
            match gaps(second).get(&key).map(|other| other.cmp(&gap)) {
                Some(std::cmp::Ordering::Greater) => {
                    longer_at_second = longer_at_second.saturating_add(1)
                }
                Some(std::cmp::Ordering::Less) => {
                    longer_at_second = longer_at_second.saturating_sub(1)
                }
                _ => {}
            }
        }
    }
    match longer_at_second {
        0 => first.capture.vantage == Vantage::Gateway || second.capture.vantage == Vantage::Client,
        score => score > 0,
    }
}

/// How much later the clock of `gateway` is than that of `client`, in nanoseconds; `None` if they have no message in
/// common.
pub(crate) fn offset(client: &Reading, gateway: &Reading) -> Option<i64> {
    let mut differences = Vec::new();
    for (client, gateway) in common(client, gateway) {
        let mut there = BTreeMap::<u64, Vec<Moment>>::new();
        for message in &gateway.messages {
            let times = there.entry(message.digest).or_default();
            if times.len() < REPEATS_MATCHED {
                times.push(message.time);
            }
        }
        for here in &client.messages {
            for time in there.get(&here.digest).into_iter().flatten() {
                if differences.len() < MATCHES_MAX {
                    differences.push((difference(*time, here.time), here.direction));
                }
            }
        }
    }
    differences.sort_unstable();
    let cluster = densest(&differences);
    let median = |direction| {
        let mut of: Vec<i64> = cluster
            .iter()
            .filter(|(_, it)| *it == direction)
            .map(|(it, _)| *it)
            .collect();
        of.sort_unstable();
        of.get(of.len() / 2).copied()
    };
    // A way takes as long in both directions, as far as anybody can tell: half of it cancels out.
    match (
        median(Direction::FromClient),
        median(Direction::FromGateway),
    ) {
        (Some(there), Some(back)) => Some(there.midpoint(back)),
        (there, back) => there.or(back),
    }
}

/// The attempts that both have.
fn common<'a>(
    first: &'a Reading,
    second: &'a Reading,
) -> impl Iterator<Item = (&'a Kept, &'a Kept)> {
    let both = |(spi, kept): (&Spi, &'a Kept)| Some((kept, second.messages.get(spi)?));
    first.messages.iter().filter_map(both)
}

/// How long answers took, by exchange and message ID.
fn gaps(kept: &Kept) -> BTreeMap<(u8, u32), Duration> {
    let mut asked = BTreeMap::new();
    let mut gaps = BTreeMap::new();
    for message in &kept.messages {
        let key = (message.header.exchange.0, message.header.message_id.0);
        if message.direction == Direction::FromClient && !message.header.response {
            // The last before the answer; repeats make this too short, at both ends alike.
            asked.insert(key, message.time);
        } else if message.direction == Direction::FromGateway
            && message.header.response
            && let Some(asked) = asked.get(&key)
        {
            gaps.entry(key)
                .or_insert_with(|| message.time.since(*asked));
        }
    }
    gaps
}

fn difference(later: Moment, earlier: Moment) -> i64 {
    let later = i128::from(later.0);
    let difference = later.saturating_sub(i128::from(earlier.0));
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}

/// The most differences that are within [`SPREAD`], of sorted ones: repeats that are matched with the wrong original lie
/// beside them.
fn densest(sorted: &[(i64, Direction)]) -> &[(i64, Direction)] {
    let mut best: &[_] = &[];
    let mut start = 0usize;
    for (end, (latest, _)) in sorted.iter().enumerate() {
        while sorted
            .get(start)
            .is_some_and(|(first, _)| latest.saturating_sub(*first) > SPREAD)
        {
            start = start.saturating_add(1);
        }
        let window = sorted.get(start..=end).unwrap_or_default();
        if window.len() > best.len() {
            best = window;
        }
    }
    best
}
