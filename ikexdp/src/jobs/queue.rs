//! A queue of work for threads, which wakes them for what has been put in together and not
//! for each of it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work, and those who take it. Who is at work when more comes finds it without being
/// woken.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    more: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    /// Takers that sleep, and that nobody has woken yet.
    sleeping: usize,
    /// Takers that were woken, and have not noticed yet.
    woken: usize,
    is_closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                sleeping: 0,
                woken: 0,
                is_closed: false,
            }),
            more: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Puts all of `items` in, and wakes as many takers as that is work for.
    pub(super) fn extend(&self, items: &mut Vec<T>) {
        let mut state = self.state();
        let woken = state.sleeping.min(items.len());
        state.sleeping = state.sleeping.saturating_sub(woken);
        state.woken = state.woken.saturating_add(woken);
        state.items.extend(items.drain(..));
        drop(state);
        for _ in 0..woken {
            self.more.notify_one();
        }
    }

    /// Takes the next item, if there is one.
    pub(super) fn try_take(&self) -> Option<T> {
        self.state().items.pop_front()
    }

    /// Takes the next item; sleeps until there is one. Nothing is taken from a queue that
    /// is closed.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            state.sleeping = state.sleeping.saturating_add(1);
            let asleep = |state: &mut State<T>| state.woken == 0 && !state.is_closed;
            let awake = self.more.wait_while(state, asleep);
            state = awake.unwrap_or_else(PoisonError::into_inner);
            state.woken = state.woken.saturating_sub(1);
        }
    }

    /// Throws away what is in it, and sends all takers home.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.more.notify_all();
        drop(items);
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing is done under it that could panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn everything_is_taken_once_by_whoever_has_time() {
        let queue = Queue::default();
        let (taken, all) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..4 {
                let taken = taken.clone();
                let queue = &queue;
                scope.spawn(move || {
                    while let Some(item) = queue.take() {
                        taken.send(item).unwrap();
                    }
                });
            }
            for start in (0..1000_u32).step_by(8) {
                queue.extend(&mut (start..start + 8).collect());
            }
            let mut items: Vec<u32> = all.iter().take(1000).collect();
            items.sort_unstable();
            assert_eq!(items, (0..1000).collect::<Vec<_>>());
            queue.close();
        });
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn nothing_is_left_in_a_closed_queue() {
        let queue = Queue::default();
        queue.extend(&mut vec!['a', 'b']);
        assert_eq!([queue.try_take(), queue.take()], [Some('a'), Some('b')]);
        assert_eq!(queue.try_take(), None);
        queue.extend(&mut vec!['c']);
        queue.close();
        assert_eq!([queue.try_take(), queue.take()], [None, None]);
    }
}
