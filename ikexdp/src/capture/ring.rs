//! The last minutes, in memory.

use std::collections::VecDeque;
use std::time::Duration;

use super::file::size;
use super::frame::Frame;

/// Frames, the oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    frames: VecDeque<Frame>,
    octets: u64,
    /// How long a frame stays.
    lasts: Duration,
}

impl Ring {
    /// An empty one, in which frames stay for `lasts`.
    pub(super) const fn new(lasts: Duration) -> Self {
        Self {
            frames: VecDeque::new(),
            octets: 0,
            lasts,
        }
    }

    /// Adds a frame, of a file that has room for so many octets. Says how many older ones had
    /// to go for want of room.
    pub(super) fn push(&mut self, frame: Frame, room: u64) -> u64 {
        let oldest = frame.time.saturating_sub(self.lasts);
        self.octets = self.octets.saturating_add(size(&frame));
        self.frames.push_back(frame);
        self.forget(|frame, _| frame.time < oldest);
        self.forget(|_, octets| octets > room)
    }

    /// Takes everything out that is not older than it may be `now`.
    pub(super) fn drain(&mut self, now: Duration) -> impl Iterator<Item = Frame> {
        let oldest = now.saturating_sub(self.lasts);
        self.forget(|frame, _| frame.time < oldest);
        self.octets = 0;
        self.frames.drain(..)
    }

    /// How many frames there are.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    fn forget(&mut self, goes: impl Fn(&Frame, u64) -> bool) -> u64 {
        let mut gone: u64 = 0;
        while let Some(frame) = self.frames.front() {
            if !goes(frame, self.octets) {
                break;
            }
            self.octets = self.octets.saturating_sub(size(frame));
            self.frames.pop_front();
            gone = gone.saturating_add(1);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(seconds: u64) -> Frame {
        Frame {
            time: Duration::from_secs(seconds),
            outgoing: false,
            length: 100,
            octets: vec![0; 100],
        }
    }

    fn times(ring: &mut Ring, now: u64) -> Vec<u64> {
        let frames = ring.drain(Duration::from_secs(now));
        frames.map(|frame| frame.time.as_secs()).collect()
    }

    #[test]
    fn frames_stay_for_their_time_and_as_long_as_there_is_room() {
        let mut ring = Ring::new(Duration::from_secs(60));
        let room = 3 * size(&frame(0));
        assert_eq!(ring.push(frame(100), room), 0);
        assert_eq!(ring.push(frame(161), room), 0);
        assert_eq!(ring.len(), 1, "a minute is over");
        assert_eq!(ring.push(frame(162), room), 0);
        assert_eq!(ring.push(frame(163), room), 0);
        assert_eq!(ring.push(frame(164), room), 1, "no room");
        assert_eq!(times(&mut ring, 223), [163, 164], "the first is too old");
        assert_eq!(ring.push(frame(230), 10), 1, "no room for any");
        assert_eq!(times(&mut ring, 230), [0; 0]);
    }
}
