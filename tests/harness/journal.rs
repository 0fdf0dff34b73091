//! A list that grows while others wait for what they need to see in it.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// Entries that one thread appends and others read, in the order of arrival.
///
/// Clones share the entries.
#[derive(Debug)]
pub struct Journal<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    entries: Vec<T>,
    /// Whether it grows no more.
    closed: bool,
}

impl<T: Clone> Journal<T> {
    /// Appends `entry` and wakes who waits.
    pub fn push(&self, entry: T) {
        self.0.state.lock().unwrap().entries.push(entry);
        self.0.changed.notify_all();
    }

    /// Tells who waits that nothing comes any more.
    pub fn close(&self) {
        self.0.state.lock().unwrap().closed = true;
        self.0.changed.notify_all();
    }

    /// All entries so far.
    #[must_use]
    pub fn entries(&self) -> Vec<T> {
        self.0.state.lock().unwrap().entries.clone()
    }

    /// Waits until `find` sees what it is looking for among all entries; `None` after `timeout`, or
    /// when nothing comes any more.
    pub fn wait_for<R>(&self, timeout: Duration, find: impl Fn(&[T]) -> Option<R>) -> Option<R> {
        let state = self.0.state.lock().unwrap();
        let missing = |state: &mut State<T>| !state.closed && find(&state.entries).is_none();
        let waited = self.0.changed.wait_timeout_while(state, timeout, missing);
        find(&waited.unwrap().0.entries)
    }
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Journal<T> {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                entries: Vec::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_waiter_sees_what_another_thread_appends() {
        let journal = Journal::default();
        let writer = journal.clone();
        let writer = thread::spawn(move || (0..100).for_each(|number| writer.push(number)));
        let found = journal.wait_for(Duration::from_secs(10), |numbers| {
            numbers.last().copied().filter(|&last| last == 99)
        });
        writer.join().unwrap();
        assert_eq!(found, Some(99));
        assert_eq!(journal.entries().len(), 100);
    }

    #[test]
    fn a_wait_ends_with_what_is_waited_for_or_the_journal() {
        let journal = Journal::<u8>::default();
        let writer = journal.clone();
        let writer = thread::spawn(move || writer.close());
        assert_eq!(
            journal.wait_for(Duration::MAX, |entries| entries.first().copied()),
            None
        );
        writer.join().unwrap();
    }

    #[test]
    fn a_wait_ends_without_what_never_comes() {
        let journal = Journal::<u8>::default();
        journal.push(1);
        assert_eq!(
            journal.wait_for(Duration::from_millis(1), |entries| entries.get(1).copied()),
            None
        );
    }
}
