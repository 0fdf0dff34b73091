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
    entries: Mutex<Vec<T>>,
    grown: Condvar,
}

impl<T: Clone> Journal<T> {
    /// Appends `entry` and wakes who waits.
    pub fn push(&self, entry: T) {
        self.0.entries.lock().unwrap().push(entry);
        self.0.grown.notify_all();
    }

    /// All entries so far.
    #[must_use]
    pub fn entries(&self) -> Vec<T> {
        self.0.entries.lock().unwrap().clone()
    }

    /// Waits until `find` sees what it is looking for among all entries; `None` after `timeout`.
    pub fn wait_for<R>(&self, timeout: Duration, find: impl Fn(&[T]) -> Option<R>) -> Option<R> {
        let entries = self.0.entries.lock().unwrap();
        let (entries, _) = self
            .0
            .grown
            .wait_timeout_while(entries, timeout, |entries| find(entries).is_none())
            .unwrap();
        find(&entries)
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
            entries: Mutex::default(),
            grown: Condvar::new(),
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
    fn a_wait_ends_without_what_never_comes() {
        let journal = Journal::<u8>::default();
        journal.push(1);
        assert_eq!(
            journal.wait_for(Duration::from_millis(1), |entries| entries.get(1).copied()),
            None
        );
    }
}
