//! What happens, told to those who follow it.

use std::sync::Arc;

use ikexdp_proto::event;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use crate::view::{Event, Happening};

/// Events kept for those who read slowly; of older ones they hear how many there were.
const BACKLOG: usize = 1024;

/// Those who may follow at a time. They hold their connections, and others need some as well.
const FOLLOWERS: usize = 8;

/// Where the packet loop tells what happens. It waits for nobody.
#[derive(Debug)]
pub struct Feed(Sender<Arc<Event>>);

impl Default for Feed {
    fn default() -> Self {
        Self(channel(BACKLOG).0)
    }
}

impl Feed {
    /// Tells `event` to those who follow; costs nothing if nobody does.
    pub fn tell(&self, event: &event::Event) {
        if self.0.receiver_count() > 0 {
            self.publish(event.into());
        }
    }

    fn publish(&self, what: Happening) {
        // If the last one has gone meanwhile, nobody wants to know.
        let _ = self.0.send(Arc::new(Event::now(what)));
    }

    /// Follows from now on, unless too many do.
    #[must_use]
    pub fn follow(&self) -> Option<Follower> {
        let has_room = self.0.receiver_count() < FOLLOWERS;
        has_room.then(|| Follower(self.0.subscribe()))
    }
}

/// Somebody who is told what happens.
#[derive(Debug)]
pub struct Follower(Receiver<Arc<Event>>);

impl Follower {
    /// The next event, as a line of JSON, or how many were lost before it; `None`
    /// when the daemon ends.
    pub(super) async fn next(&mut self) -> Option<String> {
        let event = match self.0.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(events)) => Arc::new(Event::now(Happening::Lost { events })),
            Err(RecvError::Closed) => return None,
        };
        // Our own types have string keys and no other way to fail.
        let mut line = serde_json::to_string(event.as_ref()).unwrap_or_default();
        line.push('\n');
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    fn closed(id: u64) -> Happening {
        let spi_in = "0a0b0c0d".to_owned();
        Happening::ChildClosed { id, spi_in }
    }

    fn next(follower: &mut Follower) -> Option<Happening> {
        let runtime = Builder::new_current_thread().build().unwrap();
        let line = runtime.block_on(follower.next())?;
        let event: Event = serde_json::from_str(&line).unwrap();
        Some(event.what)
    }

    #[test]
    fn who_reads_slowly_hears_how_much_was_lost() {
        let feed = Feed::default();
        let mut follower = feed.follow().unwrap();
        let more = 7;
        let told = BACKLOG as u64 + more;
        (0..told).for_each(|id| feed.publish(closed(id)));
        assert_eq!(next(&mut follower), Some(Happening::Lost { events: more }));
        for id in more..told {
            assert_eq!(next(&mut follower), Some(closed(id)));
        }
        drop(feed);
        assert_eq!(next(&mut follower), None);
    }

    #[test]
    fn nobody_hears_of_what_was_before() {
        let feed = Feed::default();
        feed.publish(closed(1));
        let mut follower = feed.follow().unwrap();
        feed.publish(closed(2));
        assert_eq!(next(&mut follower), Some(closed(2)));
    }

    #[test]
    fn some_may_follow_and_no_more() {
        let feed = Feed::default();
        let mut followers: Vec<_> = (0..FOLLOWERS).map(|_| feed.follow().unwrap()).collect();
        assert!(feed.follow().is_none());
        followers.pop();
        assert!(feed.follow().is_some());
    }
}
