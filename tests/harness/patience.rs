//! Waiting for what shows only when one looks.

use std::{thread, time::Duration};

/// How often to look.
const TRIES: usize = 300;

/// How long to wait until the next look.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until there is something to find; `what` is for people.
pub fn until<R>(what: &str, mut look: impl FnMut() -> Option<R>) -> R {
    for _ in 0..TRIES {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(PAUSE);
    }
    panic!("waited in vain: {what}");
}
