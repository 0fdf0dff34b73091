//! Received frames whose reply may still come.
//!
//! A reply to a frame rides back in that frame: its headers know the way, and
//! its memory is the driver's already. The engine answers at once or after a
//! job; until then the frame waits here. Frames are few (they are the same that
//! the driver receives into), so the oldest gives way when there are too many,
//! and a reply that comes too late takes the kernel's sockets. So does one that
//! comes later without a job: a denial, which has time.

use std::collections::VecDeque;

use ikexdp_proto::types::ReplySlot;

/// Frames of type `F`, found by the slots that the engine knows them by.
#[derive(Debug)]
pub struct Parked<F> {
    /// The frame that the engine is looking at.
    current: Option<(ReplySlot, F)>,
    /// Slots ascend.
    waiting: VecDeque<(ReplySlot, F)>,
    capacity: usize,
    last: u64,
}

/// What became of the current frame when the engine was done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It left with a reply, or nothing will be replied.
    Free,
    /// It waits.
    Parked,
    /// It waits in the place of the one that waited longest.
    Evicted,
}

impl<F> Parked<F> {
    /// Room for `capacity` frames; no more memory is taken later.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            current: None,
            waiting: VecDeque::with_capacity(capacity),
            capacity,
            last: 0,
        }
    }

    /// Makes `frame` the current one and names its slot.
    pub fn receive(&mut self, frame: F) -> (ReplySlot, &F) {
        self.last = self.last.wrapping_add(1);
        let slot = ReplySlot(self.last);
        let (slot, frame) = self.current.insert((slot, frame));
        (*slot, frame)
    }

    /// The frame of `slot`, if it has not been forgotten or used.
    pub fn take(&mut self, slot: ReplySlot) -> Option<F> {
        if let Some((_, frame)) = self.current.take_if(|(current, _)| *current == slot) {
            return Some(frame);
        }
        let place = self
            .waiting
            .binary_search_by_key(&slot.0, |(slot, _)| slot.0)
            .ok()?;
        // What moves is little: the frames themselves stay where they are.
        self.waiting.remove(place).map(|(_, frame)| frame)
    }

    /// Puts the current frame away, if it is still there: to wait if a reply
    /// `may_come`, else back where frames come from.
    pub fn settle(&mut self, may_come: bool) -> Settled {
        let Some((slot, frame)) = self.current.take() else {
            return Settled::Free;
        };
        if !may_come || self.capacity == 0 {
            return Settled::Free;
        }
        let full = self.waiting.len() >= self.capacity;
        if full {
            self.waiting.pop_front();
        }
        self.waiting.push_back((slot, frame));
        if full {
            Settled::Evicted
        } else {
            Settled::Parked
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    /// A frame that shows when it went back.
    type Frame = Rc<&'static str>;

    fn park(parked: &mut Parked<Frame>, name: &'static str) -> (ReplySlot, Frame) {
        let frame = Rc::new(name);
        let (slot, _) = parked.receive(Rc::clone(&frame));
        parked.settle(true);
        (slot, frame)
    }

    fn is_back(frame: &Frame) -> bool {
        Rc::strong_count(frame) == 1
    }

    #[test]
    fn a_frame_is_taken_once() {
        let mut parked = Parked::with_capacity(4);
        let (slot, frame) = parked.receive(Rc::new("at once"));
        assert_eq!(**frame, "at once");
        assert_eq!(parked.take(slot).as_deref(), Some(&"at once"));
        assert_eq!(parked.take(slot), None);
        assert_eq!(parked.settle(true), Settled::Free);
        let (slot, _) = park(&mut parked, "later");
        assert_eq!(parked.take(slot).as_deref(), Some(&"later"));
        assert_eq!(parked.take(slot), None);
    }

    #[test]
    fn frames_are_taken_in_any_order() {
        let mut parked = Parked::with_capacity(4);
        let frames = ["a", "b", "c"].map(|name| park(&mut parked, name));
        for place in [1, 2, 0] {
            let (slot, frame) = &frames[place];
            assert_eq!(parked.take(*slot).as_ref(), Some(frame));
        }
        assert!(parked.waiting.is_empty());
    }

    #[test]
    fn a_frame_without_a_reply_goes_back() {
        let mut parked = Parked::with_capacity(4);
        let frame = Rc::new("nothing to say");
        let (slot, _) = parked.receive(Rc::clone(&frame));
        assert_eq!(parked.settle(false), Settled::Free);
        assert!(is_back(&frame));
        assert_eq!(parked.take(slot), None);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut parked = Parked::with_capacity(2);
        let (oldest, first) = park(&mut parked, "oldest");
        let (older, _) = park(&mut parked, "older");
        let (slot, _) = parked.receive(Rc::new("new"));
        assert_eq!(parked.settle(true), Settled::Evicted);
        assert!(is_back(&first));
        assert_eq!(parked.take(oldest), None);
        assert!(parked.take(older).is_some() && parked.take(slot).is_some());
    }

    #[test]
    fn what_has_left_takes_no_room() {
        let mut parked = Parked::with_capacity(2);
        let (oldest, _) = park(&mut parked, "slow");
        for _ in 0..10 {
            let (slot, _) = parked.receive(Rc::new("fast"));
            assert_eq!(parked.settle(true), Settled::Parked);
            assert!(parked.take(slot).is_some());
        }
        assert!(parked.take(oldest).is_some());
    }

    #[test]
    fn a_frame_that_nobody_put_away_gives_way_to_the_next() {
        let mut parked = Parked::with_capacity(2);
        let first = Rc::new("first");
        let (slot, _) = parked.receive(Rc::clone(&first));
        parked.receive(Rc::new("second"));
        assert!(is_back(&first));
        assert_eq!(parked.take(slot), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut parked = Parked::with_capacity(8);
        let room = parked.waiting.capacity();
        for round in 0..1000 {
            let (slot, _) = park(&mut parked, "one of many");
            if round % 3 == 0 {
                parked.take(slot);
            }
            assert!(parked.waiting.len() <= 8);
        }
        assert_eq!(parked.waiting.capacity(), room);
    }
}
