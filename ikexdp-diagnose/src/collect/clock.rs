//! When a capture ends, whatever a single frame says.

use std::time::Duration;

use crate::time::Moment;

/// A capture may be silent for a night. What jumps further and is alone with that is no time but damage.
const JUMP: Duration = Duration::from_secs(24 * 60 * 60);

/// Believes a jump when a second frame is there.
#[derive(Debug, Default)]
pub(super) struct Clock {
    jumped: Option<Moment>,
}

impl Clock {
    /// The latest time so far, with one more frame.
    pub(super) fn latest(&mut self, last: Option<Moment>, time: Moment) -> Moment {
        let Some(last) = last else {
            return time;
        };
        if time.since(last) <= JUMP {
            return last.max(time);
        }
        let is_confirmed = self
            .jumped
            .is_some_and(|jumped| jumped.since(time).max(time.since(jumped)) <= JUMP);
        if is_confirmed {
            self.jumped = None;
            return time;
        }
        self.jumped = Some(time);
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(seconds: &[u64]) -> u64 {
        let mut clock = Clock::default();
        let moments = seconds.iter().map(|time| Moment(time * 1_000_000_000));
        let last = moments.fold(None, |last, time| Some(clock.latest(last, time)));
        last.unwrap().0 / 1_000_000_000
    }

    #[test]
    fn a_frame_of_an_absurd_time_does_not_move_the_end() {
        assert_eq!(last(&[10, 20, 2_500_000_000]), 20);
        assert_eq!(last(&[10, 2_500_000_000, 30, 25]), 30);
        assert_eq!(last(&[10, 200_000, 200_001]), 200_001);
        assert_eq!(last(&[0, 1_700_000_000, 1_700_000_001]), 1_700_000_001);
    }
}
