//! What was measured, as tables in Markdown.

use std::fmt::Write as _;

use super::{case::Case, limit::Limit, responder::Responder, sample::Sample};
use crate::median;

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
    pub(super) sample: Sample,
    /// Handshakes in a second on a CPU.
    pub(super) per_cpu_second: f64,
    /// How many times that of the reference it is.
    pub(super) ratio: f64,
    /// The part of what the public-key operations alone allow, in percent: ours and OpenSSL's.
    pub(super) shares: Option<[f64; 2]>,
}

impl Result {
    /// The medians of each responder.
    pub(super) fn lines(&self) -> Vec<(Responder, Line)> {
        let (_, reference) = self.samples.first().expect("a reference");
        let reference = middle(reference, |it| it.cpu);
        let lines = self.samples.iter();
        lines
            .map(|(responder, samples)| (*responder, self.line(samples, reference)))
            .collect()
    }

    fn line(&self, samples: &[Sample], reference: f64) -> Line {
        let sample = Sample {
            cpu: middle(samples, |it| it.cpu),
            kernel: middle(samples, |it| it.kernel),
            per_second: middle(samples, |it| it.per_second),
            responder: middle(samples, |it| it.responder),
            generator: middle(samples, |it| it.generator),
            latency: [0, 1].map(|which| middle(samples, |it| it.latency[which])),
            repeats: middle(samples, |it| it.repeats),
        };
        let share = |micros: f64| micros / (10.0 * sample.cpu);
        let shares = self
            .limit
            .map(|limit| [share(limit.ours), share(limit.openssl)]);
        Line {
            sample,
            per_cpu_second: 1e3 / sample.cpu,
            ratio: reference / sample.cpu,
            shares,
        }
    }
}

fn middle(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(value).collect())
}

/// All kinds of handshakes with all responders.
pub(super) fn handshakes(results: &[Result]) -> String {
    let mut table = String::from(
        "| handshake | responder | CPU ms for each | in the kernel | handshakes per CPU second | × strongSwan \
         | of ikexdp's operations' limit | of OpenSSL's | handshakes/s | responder's CPU | generator's | median ms \
         | 99 % ms |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for result in results {
        for (responder, line) in result.lines() {
            let Line { sample, ratio, .. } = line;
            let shares = line.shares.map_or("|".to_owned(), |[ours, openssl]| {
                format!("{ours:.0} % | {openssl:.0} %")
            });
            let [half, most] = sample.latency;
            writeln!(
                table,
                "| {} | {responder} | {:.3} | {:.0} % | {} | {ratio:.1} | {shares} | {} | {:.0} % | {:.0} % \
                 | {half:.1} | {most:.1} |",
                result.case,
                sample.cpu,
                sample.kernel,
                thousands(line.per_cpu_second),
                thousands(sample.per_second),
                sample.responder,
                sample.generator,
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
        "\n| public-key operations of | ikexdp's µs | OpenSSL's µs | limit per CPU second | by OpenSSL's |\n\
         |---|--:|--:|--:|--:|\n",
    );
    for (case, Limit { openssl, ours }) in known {
        writeln!(
            table,
            "| {case} | {ours:.1} | {openssl:.1} | {} | {} |",
            thousands(1e6 / ours),
            thousands(1e6 / openssl)
        )
        .unwrap();
    }
    table
}

/// Resident memory, and what an SA takes of it, by those between the first two numbers.
pub(super) fn memory(numbers: &[u32], memory: &[Memory]) -> String {
    let mut table = String::from("| MiB resident, with IKE SAs | none |");
    for &number in numbers {
        write!(table, " {} |", thousands(number.into())).unwrap();
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
        let each = (sizes[2] - sizes[1]) / f64::from(numbers[1] - numbers[0]);
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
