//! What was measured, as tables in Markdown.

use std::fmt::Write as _;

use super::{case::Case, limit::Limit, responder::Responder, sample::Sample};
use crate::median;

/// How busy a generator is, in percent, that may have kept the responder waiting.
const BUSY: f64 = 95.0;

/// What was measured of one kind of handshake: as many samples of each responder.
pub(super) struct Result {
    pub(super) case: Case,
    /// None where machines are emulated.
    pub(super) limit: Option<Limit>,
    pub(super) samples: Vec<(Responder, Vec<Sample>)>,
}

/// Resident memory of one responder: without an SA and with the numbers of them, in octets.
pub(super) struct Memory {
    pub(super) responder: Responder,
    pub(super) sizes: Vec<f64>,
}

/// The medians of a responder, and what they come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Handshakes in a second.
    pub(super) per_second: f64,
    /// Whether the generator was as fast as it can.
    pub(super) is_generator_busy: bool,
    /// CPU time for a handshake, in milliseconds: user and system.
    pub(super) cpu: [f64; 2],
    /// Handshakes in a second on a CPU.
    pub(super) per_cpu_second: f64,
    /// How many times that of the reference it is.
    pub(super) ratio: f64,
    /// The part of what the public-key operations alone allow, in percent: OpenSSL's and ours.
    pub(super) shares: Option<[f64; 2]>,
    /// What half of the clients and 99 of a hundred did not exceed, in milliseconds.
    pub(super) latency: [f64; 2],
}

impl Result {
    /// The medians of each responder.
    pub(super) fn lines(&self) -> Vec<(Responder, Line)> {
        let (_, reference) = self.samples.first().expect("a reference");
        let reference = middle(reference, Sample::cpu);
        let lines = self.samples.iter();
        lines
            .map(|(responder, samples)| (*responder, self.line(samples, reference)))
            .collect()
    }

    fn line(&self, samples: &[Sample], reference: f64) -> Line {
        let cpu = middle(samples, Sample::cpu);
        let share = |micros: f64| 100.0 * micros / (1e3 * cpu);
        Line {
            per_second: middle(samples, |it| it.per_second),
            is_generator_busy: middle(samples, |it| it.generator) >= BUSY,
            cpu: [
                middle(samples, |it| it.user),
                middle(samples, |it| it.system),
            ],
            per_cpu_second: 1e3 / cpu,
            ratio: reference / cpu,
            shares: self
                .limit
                .map(|limit| [share(limit.openssl), share(limit.ours)]),
            latency: [0, 1].map(|which| middle(samples, |it| it.latency[which])),
        }
    }
}

fn middle(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(value).collect())
}

/// All kinds of handshakes with all responders.
pub(super) fn handshakes(results: &[Result]) -> String {
    let mut table = String::from(
        "| handshake | responder | handshakes/s | CPU s per 1,000 (user + system) \
         | handshakes per CPU s | ratio | half within ms | 99 % within ms | of OpenSSL's limit | of our own limit |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for result in results {
        for (responder, line) in result.lines() {
            let [user, system] = line.cpu;
            let [half, most] = line.latency;
            let shares = line.shares.map_or("| |".to_owned(), |[openssl, ours]| {
                format!("{openssl:.0} % | {ours:.0} %")
            });
            let at_least = if line.is_generator_busy { "≥ " } else { "" };
            writeln!(
                table,
                "| {} | {responder} | {at_least}{} | {:.3} ({user:.3} + {system:.3}) | {} | {:.1} \
                 | {half:.1} | {most:.1} | {shares} |",
                result.case,
                thousands(line.per_second),
                user + system,
                thousands(line.per_cpu_second),
                line.ratio,
            )
            .unwrap();
        }
    }
    table
}

/// What the public-key operations of each kind of handshake allow.
pub(super) fn limits(results: &[Result]) -> String {
    let known = results.iter().filter_map(|it| Some((it.case, it.limit?)));
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return String::new();
    }
    let mut table = String::from(
        "\n| public-key operations of | OpenSSL us | ours us | OpenSSL's limit per CPU s | our own |\n\
         |---|--:|--:|--:|--:|\n",
    );
    for (case, Limit { openssl, ours }) in known {
        writeln!(
            table,
            "| {case} | {openssl:.0} | {ours:.0} | {} | {} |",
            thousands(1e6 / openssl),
            thousands(1e6 / ours)
        )
        .unwrap();
    }
    table
}

/// Resident memory, and what the most SAs that were measured take each.
pub(super) fn memory(numbers: &[u32], memory: &[Memory]) -> String {
    let mut table = String::from("| resident MiB with | none |");
    for &number in numbers {
        write!(table, " {} SAs |", thousands(number.into())).unwrap();
    }
    table += " octets for each |\n|---|";
    table += &"--:|".repeat(numbers.len() + 2);
    table.push('\n');
    for Memory { responder, sizes } in memory {
        write!(table, "| {responder} |").unwrap();
        for place in 0..=numbers.len() {
            match sizes.get(place) {
                Some(size) => write!(table, " {:.1} |", size / f64::from(1 << 20)).unwrap(),
                None => table.push_str(" |"),
            }
        }
        let most = sizes.len() - 1;
        let each = match most.checked_sub(1) {
            Some(number) => (sizes[most] - sizes[0]) / f64::from(numbers[number]),
            None => f64::NAN,
        };
        writeln!(table, " {} |", thousands(each)).unwrap();
    }
    table
}

/// A whole number as people read it: 12,345.
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
