//! What `ikexdp top` knows, without a terminal or a daemon.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use ikexdp_proto::time::Instant;

use crate::view::{Counters, LimitedSource, Sources, Stats, Status};

/// Readings of which the course is shown: as many as a wide terminal has columns.
const COURSE: usize = 256;

/// How often the daemon may be asked, and how seldom.
const INTERVALS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(60)];

/// How often it is asked without further ado.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// What the daemon tells at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) status: Status,
    pub(super) stats: Stats,
    pub(super) sources: Sources,
    /// Whom XDP limits, as the kernel knows.
    pub(super) limited: Vec<LimitedSource>,
}

/// What comes first in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// What grows fastest.
    #[default]
    Rate,
    /// What is most.
    Total,
}

/// A counter, and what was added to it of late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) total: u64,
    /// Not known at the first reading.
    pub(super) added: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Model {
    before: Option<Reading>,
    now: Option<Reading>,
    read_at: Instant,
    /// How long it took from one to the other.
    elapsed: Duration,
    /// Frames, or messages, and handshakes: what was added from reading to reading.
    pub(super) traffic: VecDeque<u64>,
    pub(super) handshakes: VecDeque<u64>,
    /// Why there is no answer.
    pub(super) trouble: Option<String>,
    pub(super) paused: bool,
    pub(super) interval: Duration,
    pub(super) order: Order,
}

impl Model {
    pub(super) const fn new(interval: Duration) -> Self {
        Self {
            before: None,
            now: None,
            read_at: Instant::ZERO,
            elapsed: Duration::ZERO,
            traffic: VecDeque::new(),
            handshakes: VecDeque::new(),
            trouble: None,
            paused: false,
            interval,
            order: Order::Rate,
        }
    }

    /// Takes what the daemon told at `at`, or why it did not.
    pub(super) fn hear(&mut self, at: Instant, told: Result<Reading, String>) {
        let reading = match told {
            Ok(reading) => reading,
            Err(trouble) => {
                self.trouble = Some(trouble);
                return;
            }
        };
        self.trouble = None;
        self.before = self.now.take();
        let was = self.before.as_ref().map(|before| before.status.pid);
        if was.is_some_and(|pid| pid != reading.status.pid) {
            // Another daemon, which counts from zero.
            self.before = None;
            self.traffic.clear();
            self.handshakes.clear();
        }
        self.elapsed = at.since(self.read_at);
        self.read_at = at;
        self.now = Some(reading);
        if self.before.is_some() {
            let traffic = sum_of_added(&self.traffic_rows());
            remember(&mut self.traffic, traffic);
            let established = self.row(|stats| &stats.engine, "established");
            remember(&mut self.handshakes, established.added.unwrap_or_default());
        }
    }

    pub(super) const fn reading(&self) -> Option<&Reading> {
        self.now.as_ref()
    }

    pub(super) const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// How long nothing has been heard, if that is longer than it should be.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let silence = now.since(self.read_at);
        let is_long = silence > self.interval.saturating_mul(3).max(Duration::from_secs(2));
        (is_long && !self.paused && self.now.is_some()).then_some(silence)
    }

    pub(super) fn slower(&mut self) {
        let [_, longest] = INTERVALS;
        self.interval = self.interval.saturating_mul(2).min(longest);
    }

    pub(super) fn faster(&mut self) {
        let [shortest, _] = INTERVALS;
        let half = self.interval.checked_div(2).unwrap_or(shortest);
        self.interval = half.max(shortest);
    }

    pub(super) const fn reorder(&mut self) {
        self.order = match self.order {
            Order::Rate => Order::Total,
            Order::Total => Order::Rate,
        };
    }

    /// What XDP did with frames; without it, messages of the UDP sockets.
    pub(super) fn traffic_rows(&self) -> Vec<Row> {
        let verdicts = self.rows(|stats| &stats.xdp);
        if !verdicts.is_empty() {
            return verdicts;
        }
        let mut rows = self.rows(|stats| &stats.daemon);
        rows.retain(|row| row.name.starts_with("udp_"));
        rows
    }

    /// Counters that are not zero, in the order that is wanted.
    pub(super) fn rows(&self, of: fn(&Stats) -> &Counters) -> Vec<Row> {
        let Some(now) = &self.now else {
            return Vec::new();
        };
        let counters = of(&now.stats).0.iter().filter(|(_, total)| *total > 0);
        let mut rows: Vec<_> = counters.map(|(name, _)| self.row(of, name)).collect();
        rows.sort_by_key(|row| {
            Reverse(match self.order {
                Order::Rate => (row.added.unwrap_or_default(), row.total),
                Order::Total => (row.total, 0),
            })
        });
        rows
    }

    /// The counter `name`; zero, if there is none.
    pub(super) fn row(&self, of: fn(&Stats) -> &Counters, name: &str) -> Row {
        let value = |reading: &Reading| of(&reading.stats).value(name).unwrap_or_default();
        let total = self.now.as_ref().map(value).unwrap_or_default();
        let before = self.before.as_ref().map(value);
        Row {
            name: name.to_owned(),
            total,
            added: before.and_then(|before| total.checked_sub(before)),
        }
    }

    /// Queues with what the counters `names` of each gained, the busiest first.
    pub(super) fn queues<const N: usize>(&self, names: [&str; N]) -> Vec<(usize, [u64; N])> {
        let Some(now) = &self.now else {
            return Vec::new();
        };
        let queues = now.stats.queues.iter().enumerate().map(|(number, queue)| {
            let before = self.before.as_ref();
            let before = before.and_then(|before| before.stats.queues.get(number));
            let added = names.map(|name| {
                let value = |queue: &Counters| queue.value(name).unwrap_or_default();
                before.map_or(0, |before| value(queue).saturating_sub(value(before)))
            });
            (number, added)
        });
        let mut queues: Vec<_> = queues.collect();
        queues.sort_by_key(|(number, added)| (Reverse(*added), *number));
        queues
    }
}

fn sum_of_added(rows: &[Row]) -> u64 {
    let added = rows.iter().filter_map(|row| row.added);
    added.fold(0, u64::saturating_add)
}

fn remember(course: &mut VecDeque<u64>, value: u64) {
    if course.len() == COURSE {
        course.pop_front();
    }
    course.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(pid: u32, redirected: u64, dropped: u64) -> Result<Reading, String> {
        let xdp = [("redirect_ike", redirected), ("drop_short", dropped)];
        let queue = |received| [("received", received)].into_iter().collect();
        Ok(Reading {
            status: Status {
                pid,
                ..Status::default()
            },
            stats: Stats {
                xdp: xdp.into_iter().collect(),
                queues: vec![queue(1), queue(redirected)],
                ..Stats::default()
            },
            ..Reading::default()
        })
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn names(model: &Model) -> Vec<String> {
        let rows = model.traffic_rows().into_iter();
        rows.map(|row| row.name).collect()
    }

    #[test]
    fn what_grows_fastest_comes_first_or_what_is_most() {
        let mut model = Model::new(INTERVAL);
        model.hear(at(1), reading(1, 10, 1000));
        assert!(model.traffic_rows().iter().all(|row| row.added.is_none()));
        model.hear(at(2), reading(1, 30, 1001));
        assert_eq!(names(&model), ["redirect_ike", "drop_short"]);
        assert_eq!(model.traffic_rows()[0].added, Some(20));
        assert_eq!(model.traffic, [21]);
        assert_eq!(model.queues(["received"]), [(1, [20]), (0, [0])]);
        model.reorder();
        assert_eq!(names(&model), ["drop_short", "redirect_ike"]);
    }

    #[test]
    fn a_daemon_that_was_started_again_begins_anew() {
        let mut model = Model::new(INTERVAL);
        model.hear(at(1), reading(1, 10, 10));
        model.hear(at(2), reading(1, 11, 10));
        model.hear(at(3), Err("gone".to_owned()));
        assert_eq!(model.trouble.as_deref(), Some("gone"));
        assert!(model.reading().is_some(), "what was known is still shown");
        model.hear(at(9), reading(2, 3, 0));
        assert_eq!(model.trouble, None);
        assert_eq!(model.traffic_rows()[0].added, None);
        assert!(model.traffic.is_empty());
    }

    #[test]
    fn silence_is_told_unless_nobody_asks() {
        let mut model = Model::new(INTERVAL);
        assert_eq!(model.silence(at(60)), None);
        model.hear(at(60), reading(1, 1, 1));
        assert_eq!(model.silence(at(63)), None);
        assert_eq!(model.silence(at(64)), Some(Duration::from_secs(4)));
        model.paused = true;
        assert_eq!(model.silence(at(64)), None);
    }

    #[test]
    fn the_course_does_not_grow_for_ever() {
        let mut model = Model::new(INTERVAL);
        for second in 0..1000 {
            model.hear(at(second), reading(1, second, 0));
        }
        assert_eq!(model.traffic.len(), COURSE);
    }

    #[test]
    fn the_interval_has_bounds() {
        let mut model = Model::new(INTERVAL);
        (0..20).for_each(|_| model.slower());
        assert_eq!(model.interval, Duration::from_secs(60));
        (0..20).for_each(|_| model.faster());
        assert_eq!(model.interval, Duration::from_millis(250));
    }
}
