//! What was measured, as it is told. The names are for good.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::plan::{Phase, Plan};
use super::record::{Attached, Record, Traffic};
use super::settings::Settings;

/// What it is called that the gateway has refused CHILD SAs.
const CHILDREN_REFUSED: &str = "children_refused";

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Address and port of the gateway.
    pub gateway: String,
    /// `udp`, or `xdp` and its interface.
    pub transport: String,
    /// What it was told to do.
    pub settings: Settings,
    /// How many clients there were.
    pub clients: u32,
    /// The threads that played them.
    pub threads: usize,
    /// With AF_XDP, where the program runs: `native` or `generic`.
    pub xdp_mode: Option<String>,
    /// With AF_XDP, how frames come and go: `zero-copy` or `copy`.
    pub xdp_transfer: Option<String>,
    /// Whether somebody has ended it before its time: the last phase is not whole then,
    /// and those after it are not there.
    pub interrupted: bool,
    /// The algorithms of IKE SAs, if one came up.
    pub suite: Option<String>,
    /// Each phase of each round, in order.
    pub phases: Vec<PhaseReport>,
}

/// One phase of one round.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseReport {
    /// The round, from 1.
    pub round: u32,
    /// `connect`, `hold`, `rekey` or `delete`.
    pub phase: String,
    /// From the first beginning to the last end, in seconds.
    pub seconds: f64,
    /// Clients that began; in `hold`, questions whether the gateway lives.
    pub begun: u64,
    /// Of those, who succeeded.
    pub succeeded: u64,
    /// Of those, who failed.
    pub failed: u64,
    /// How many failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// SAs that ended although no client wanted it, by reason.
    pub lost: BTreeMap<String, u64>,
    /// Who succeeded, by the second.
    pub per_second: f64,
    /// How long it took who succeeded, from when it was due to begin, in milliseconds.
    pub latency_ms: Option<Latency>,
    /// What it took who succeeded, on average.
    pub per_exchange: Option<PerExchange>,
    /// All that was sent, repeats included.
    pub sent: Volume,
    /// All that was received.
    pub received: Volume,
    /// Requests that clients sent again.
    pub retransmissions: u64,
    /// Datagrams that this host did not send, by reason.
    pub unsent: BTreeMap<String, u64>,
    /// CHILD SAs that the gateway refused, of IKE SAs that came up.
    pub children_refused: u64,
    /// Clients whose messages arrived only once they were cut into smaller fragments.
    pub fragments_lowered: u64,
    /// Which part of the time the generator's threads had something to do, in percent:
    /// near 100, it is the generator that was measured.
    pub generator_busy_percent: f64,
    /// The same for the thread that had the most to do.
    pub busiest_thread_percent: f64,
    /// With AF_XDP, what went by the kernel all the same: first messages, and what XDP
    /// cannot take.
    pub by_kernel: Option<ByKernel>,
}

/// What went by the kernel.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ByKernel {
    /// Of the clients.
    pub sent: Volume,
    /// Of the gateway.
    pub received: Volume,
}

/// Quantiles.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The shortest.
    pub min: f64,
    /// The average.
    pub mean: f64,
    /// What half of them did not exceed.
    pub p50: f64,
    /// What 90 % did not exceed.
    pub p90: f64,
    /// What 99 % did not exceed.
    pub p99: f64,
    /// What 99.9 % did not exceed.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

/// What one took on average, each way.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PerExchange {
    /// Datagrams of clients.
    pub datagrams_sent: f64,
    /// Octets in them, IP headers included.
    pub octets_sent: f64,
    /// Datagrams of the gateway.
    pub datagrams_received: f64,
    /// Octets in them, IP headers included.
    pub octets_received: f64,
}

/// Datagrams one way.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Volume {
    /// How many.
    pub datagrams: u64,
    /// Octets in them, IP headers included.
    pub octets: u64,
}

impl From<Traffic> for Volume {
    fn from(traffic: Traffic) -> Self {
        let Traffic { datagrams, octets } = traffic;
        Self { datagrams, octets }
    }
}

impl Report {
    /// One without phases.
    pub(super) fn new(plan: &Plan, attached: Option<Attached>) -> Self {
        let (xdp_mode, xdp_transfer) = attached.map(|it| (it.mode, it.transfer)).unzip();
        Self {
            xdp_mode,
            xdp_transfer,
            interrupted: false,
            gateway: plan.gateway.to_string(),
            transport: plan.transport.to_string(),
            settings: Settings::new(plan),
            clients: plan.clients.get(),
            threads: plan.threads().get(),
            suite: None,
            phases: Vec::new(),
        }
    }

    /// Adds a phase of a round.
    pub(super) fn add(&mut self, round: u32, phase: Phase, record: &Record) {
        if let Some(suite) = record.suite {
            self.suite = Some(suite.to_string());
        }
        let mut report = PhaseReport::new(round, phase, record, self.threads);
        report.by_kernel = self.xdp_mode.is_some().then(|| ByKernel {
            sent: record.by_kernel.sent.into(),
            received: record.by_kernel.received.into(),
        });
        self.phases.push(report);
    }

    /// How many clients connected, in all rounds.
    #[must_use]
    pub fn connected(&self) -> u64 {
        let connect = Phase::Connect.to_string();
        let phases = self.phases.iter().filter(|it| it.phase == connect);
        phases.map(|it| it.succeeded).sum()
    }

    /// How often what failed, or was lost or refused, in all phases.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for phase in &self.phases {
            if phase.children_refused > 0 {
                super::record::count(&mut sum, CHILDREN_REFUSED, phase.children_refused);
            }
            for (reason, times) in phase.failures.iter().chain(&phase.lost) {
                super::record::count(&mut sum, reason, *times);
            }
        }
        sum
    }
}

impl PhaseReport {
    fn new(round: u32, phase: Phase, record: &Record, threads: usize) -> Self {
        let time = record.span.map(|(start, end)| end.since(start));
        let seconds = time.unwrap_or_default().as_secs_f64();
        let start = record.span.map(|(start, _)| start);
        let useful_time = record
            .last
            .zip(start)
            .map(|(last, start)| last.since(start));
        let useful_seconds = useful_time.unwrap_or_default().as_secs_f64();
        let succeeded = record.latency.len();
        let useful = &record.useful;
        let mean = |sum: u64| sum as f64 / succeeded as f64;
        Self {
            round,
            phase: phase.to_string(),
            seconds,
            begun: record.begun,
            succeeded,
            failed: record.failures.values().sum(),
            failures: record.failures.clone(),
            lost: record.lost.clone(),
            per_second: ratio(succeeded as f64, useful_seconds),
            latency_ms: (succeeded > 0).then(|| Latency::of(record)),
            per_exchange: (succeeded > 0).then(|| PerExchange {
                datagrams_sent: mean(useful.sent.datagrams),
                octets_sent: mean(useful.sent.octets),
                datagrams_received: mean(useful.received.datagrams),
                octets_received: mean(useful.received.octets),
            }),
            sent: record.traffic.sent.into(),
            received: record.traffic.received.into(),
            retransmissions: record.retransmissions,
            unsent: record.unsent.clone(),
            children_refused: record.children_refused,
            fragments_lowered: record.fragments_lowered,
            generator_busy_percent: busy(record.busy, seconds, threads),
            busiest_thread_percent: busy(record.busiest, seconds, 1),
            by_kernel: None,
        }
    }
}

impl Latency {
    fn of(record: &Record) -> Self {
        let all = &record.latency;
        let milliseconds = |micros: u64| micros as f64 / 1000.0;
        let quantile = |quantile| milliseconds(all.value_at_quantile(quantile));
        Self {
            min: milliseconds(all.min()),
            mean: all.mean() / 1000.0,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: milliseconds(all.max()),
        }
    }
}

fn busy(time: Duration, seconds: f64, threads: usize) -> f64 {
    ratio(100.0 * time.as_secs_f64(), seconds * threads as f64).min(100.0)
}

/// Nothing, where there was no time for anything.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::time::Instant;
    use serde_json::Value;

    use crate::bench::record::{Exchanged, count};

    /// Two succeeded within a second, one failed a second later.
    fn report() -> Report {
        let mut record = Record::new().unwrap();
        let start = Instant::from_micros(5_000_000);
        record.extend(start, start + Duration::from_secs(2));
        record.begun = 3;
        record.busy = Duration::from_secs(1);
        record.busiest = Duration::from_millis(800);
        let sent = |octets| Traffic {
            datagrams: 2,
            octets,
        };
        for (milliseconds, octets) in [(10, 900), (30, 1000)] {
            let exchanged = Exchanged {
                sent: sent(octets),
                received: sent(octets),
            };
            let end = start + Duration::from_secs(1);
            let since = start + Duration::from_millis(1000 - milliseconds);
            record.succeed(since, end, exchanged);
        }
        count(&mut record.failures, "AUTHENTICATION_FAILED", 1);
        Report {
            gateway: "192.0.2.1:500".to_owned(),
            transport: "udp".to_owned(),
            settings: Settings::default(),
            clients: 3,
            threads: 2,
            xdp_mode: None,
            xdp_transfer: None,
            interrupted: false,
            suite: None,
            phases: vec![PhaseReport::new(1, Phase::Connect, &record, 2)],
        }
    }

    #[test]
    fn what_was_measured_is_reckoned_up() {
        let report = report();
        let phase = &report.phases[0];
        assert_eq!((phase.begun, phase.succeeded, phase.failed), (3, 2, 1));
        assert_eq!(phase.seconds.to_string(), "2");
        assert_eq!(phase.per_second.to_string(), "2", "who fails, fails late");
        assert_eq!(phase.generator_busy_percent.to_string(), "25");
        assert_eq!(phase.busiest_thread_percent.to_string(), "40");
        let each = phase.per_exchange.unwrap();
        assert_eq!(each.octets_sent.to_string(), "950");
        assert_eq!(each.datagrams_received.to_string(), "2");
        // Three digits are right.
        let latency = phase.latency_ms.unwrap();
        assert!((latency.p50 - 10.0).abs() < 0.02, "{latency:?}");
        assert!((latency.max - 30.0).abs() < 0.06, "{latency:?}");
        assert_eq!(report.connected(), 2);
        assert_eq!(report.failures()["AUTHENTICATION_FAILED"], 1);
    }

    /// An SA that carries nothing is less than clients want.
    #[test]
    fn a_refused_child_sa_is_a_failure() {
        let mut report = report();
        assert!(!report.failures().contains_key(CHILDREN_REFUSED));
        report.phases[0].children_refused = 7;
        assert_eq!(report.failures()[CHILDREN_REFUSED], 7);
    }

    /// Nothing at all is no reason to divide by it.
    #[test]
    fn who_does_nothing_has_no_latency() {
        let record = Record::new().unwrap();
        let phase = PhaseReport::new(1, Phase::Delete, &record, 2);
        assert!(phase.latency_ms.is_none() && phase.per_exchange.is_none());
        assert_eq!(phase.per_second.to_string(), "0");
    }

    #[test]
    fn every_name_is_documented() {
        const DOCUMENT: &str = include_str!("../../../docs/performance.md");
        fn names(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        found.push(name.clone());
                        names(value, found);
                    }
                }
                Value::Array(values) => values.iter().for_each(|value| names(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        names(&serde_json::to_value(report()).unwrap(), &mut found);
        assert!(found.len() > 30, "{found:?}");
        for name in found {
            assert!(DOCUMENT.contains(&format!("`{name}`")), "{name}");
        }
    }
}
