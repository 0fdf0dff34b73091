//! The largest size that arrives, found in few steps, on a path that may lose anything.

use serde::Serialize;

/// How often the size above the limit is tried anew before it is believed not to arrive.
const DOUBTS_MAX: u8 = 3;

/// What became of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// It arrives.
    Arrived,
    /// It does not, however often it is sent.
    Lost,
    /// It does not, and something says that so many octets would.
    TooBig(u16),
    /// It is not known, and neither will any other be.
    Unasked,
}

/// A size that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Octets of the IP datagram.
    pub octets: u16,
    /// Whether it has arrived.
    pub arrived: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The largest that arrives; none if not even the smallest does.
    pub limit: Option<u16>,
    /// What was tried, in order.
    pub steps: Vec<Step>,
}

/// Finds, as long as it may ask, the largest size from `min` to `max` that arrives. `ask` tries one, and is told how many times as hard
/// as usual: what is lost by chance must not count as too long.
///
/// # Errors
/// Those of `ask`.
pub(super) fn search<E>(
    (min, max): (u16, u16),
    mut ask: impl FnMut(u16, u8) -> Result<Tried, E>,
) -> Result<Found, E> {
    let mut found = Found::default();
    let mut try_one = |found: &mut Found, octets, effort| {
        let tried = ask(octets, effort)?;
        if tried == Tried::Unasked {
            return Ok::<_, E>(tried);
        }
        let arrived = tried == Tried::Arrived;
        found.steps.push(Step { octets, arrived });
        if arrived {
            found.limit = found.limit.max(Some(octets));
        }
        Ok(tried)
    };
    let first = try_one(&mut found, max, 1)?;
    if matches!(first, Tried::Arrived | Tried::Unasked) || max <= min {
        return Ok(found);
    }
    if try_one(&mut found, min, 1)? != Tried::Arrived {
        return Ok(found);
    }
    let mut low = min;
    let mut high = max;
    let mut hint = told(first);
    let mut doubts: u8 = 0;
    loop {
        while high.saturating_sub(low) > 1 {
            let octets = next(low, high, hint.take());
            match try_one(&mut found, octets, 1)? {
                Tried::Arrived => {
                    low = octets;
                    // What was told is right if the next does not arrive.
                    hint = Some(octets.saturating_add(1)).filter(|_| told(first) == Some(octets));
                }
                Tried::Unasked => return Ok(found),
                other => {
                    high = octets;
                    hint = told(other);
                }
            }
        }
        if doubts == DOUBTS_MAX || try_one(&mut found, high, 2)? != Tried::Arrived {
            return Ok(found);
        }
        // It was lost by chance: there may be more above.
        doubts = doubts.saturating_add(1);
        low = high;
        high = max;
        if low >= high {
            return Ok(found);
        }
    }
}

/// What somebody has said that would arrive.
const fn told(tried: Tried) -> Option<u16> {
    match tried {
        Tried::TooBig(octets) => Some(octets),
        Tried::Arrived | Tried::Lost | Tried::Unasked => None,
    }
}

/// The size to try between two: what was told, or the middle.
fn next(low: u16, high: u16, hint: Option<u16>) -> u16 {
    let half = high.saturating_sub(low) / 2;
    hint.filter(|it| low < *it && *it < high)
        .unwrap_or(low.saturating_add(half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const RANGE: (u16, u16) = (576, 1500);

    fn find(mut ask: impl FnMut(u16, u8) -> Tried) -> Found {
        search(RANGE, |octets, effort| {
            Ok::<_, Infallible>(ask(octets, effort))
        })
        .unwrap()
    }

    #[test]
    fn every_limit_is_found() {
        for limit in 576..=1500 {
            let found = find(|octets, _| {
                if octets <= limit {
                    Tried::Arrived
                } else {
                    Tried::Lost
                }
            });
            assert_eq!(found.limit, Some(limit));
            assert!(found.steps.len() < 16, "{limit}: {:?}", found.steps);
        }
        assert_eq!(find(|_, _| Tried::Lost).limit, None);
    }

    /// And what was not asked for is not among what was tried.
    #[test]
    fn the_search_ends_where_nothing_more_is_asked() {
        for answered in 0..12 {
            let mut asked = 0;
            let found = find(|octets, _| {
                asked += 1;
                match octets {
                    _ if asked > answered => Tried::Unasked,
                    ..=1400 => Tried::Arrived,
                    _ => Tried::Lost,
                }
            });
            assert!(found.steps.len() <= answered);
            assert!(found.limit.is_none_or(|it| it <= 1400));
        }
    }

    #[test]
    fn what_is_told_saves_steps_and_a_lie_does_no_harm() {
        for (limit, told) in [
            (1400, 1400),
            (1400, 600),
            (1400, 1450),
            (1400, 0),
            (1400, 9000),
        ] {
            let found = find(|octets, _| {
                if octets <= limit {
                    Tried::Arrived
                } else {
                    Tried::TooBig(told)
                }
            });
            assert_eq!(found.limit, Some(limit), "{told}");
            let is_right = told == limit;
            assert!(
                found.steps.len() <= if is_right { 5 } else { 16 },
                "{found:?}"
            );
        }
    }

    /// One in five of all questions is not answered, though each may be asked several times.
    #[test]
    fn what_is_lost_by_chance_does_not_count() {
        let mut right = 0;
        for seed in 0..200_u32 {
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
            let found = find(|octets, effort| {
                let mut is_lost = true;
                for _ in 0..3 * u32::from(effort) {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    is_lost &= (state >> 16) % 5 == 0;
                }
                if octets <= 1400 && !is_lost {
                    Tried::Arrived
                } else {
                    Tried::Lost
                }
            });
            assert!(found.limit.is_none_or(|it| it <= 1400));
            right += u32::from(found.limit == Some(1400));
        }
        assert!(right > 190, "{right} of 200");
    }
}
