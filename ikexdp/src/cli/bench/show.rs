//! What was measured, for people.

use std::num::NonZeroU32;

use super::error::list;
use crate::bench::{Latency, Phase, PhaseReport, Progress, Report};
use crate::cli::table::Table;

/// Busy for more than this part of the time, in percent, the generator is what was measured.
const BUSY: f64 = 90.0;

/// One line while it runs.
pub(super) fn progress(progress: &Progress, clients: NonZeroU32) -> String {
    let Progress {
        round,
        phase,
        done,
        failed,
    } = progress;
    if matches!(phase, Phase::Hold(_)) {
        return format!("round {round}, {phase}");
    }
    format!("round {round}, {phase}: {done} of {clients} done, {failed} failed")
}

/// All of it, at the end.
pub(super) fn table(report: &Report) -> String {
    let mut table = Table::default();
    let suite = report.suite.as_deref().unwrap_or("none was agreed on");
    let Report {
        gateway,
        transport,
        clients,
        threads,
        ..
    } = report;
    table.line(&format!("gateway  {gateway}"));
    table.line(&format!(
        "clients  {clients}, played by {threads} threads, by {transport}"
    ));
    if let (Some(mode), Some(transfer)) = (&report.xdp_mode, &report.xdp_transfer) {
        table.line(&format!("xdp      {mode}, {transfer}"));
    }
    table.line(&format!("suite    {suite}"));
    if report.interrupted {
        table.line("interrupted: the last phase is not whole");
    }
    table.line("");
    let names = [
        "round", "phase", "begun", "done", "failed", "seconds", "per s", "p50 ms", "p90 ms",
        "p99 ms", "max ms", "repeated",
    ];
    table.row(names.map(str::to_owned));
    for phase in &report.phases {
        table.row(row(phase));
    }
    for phase in &report.phases {
        for note in notes(phase) {
            let PhaseReport {
                round, phase: name, ..
            } = phase;
            table.line(&format!("round {round}, {name}: {note}"));
        }
    }
    table.to_string()
}

fn row(phase: &PhaseReport) -> [String; 12] {
    let latency = phase.latency_ms.as_ref();
    let milliseconds = |of: fn(&Latency) -> f64| {
        latency.map_or_else(String::new, |latency| format!("{:.1}", of(latency)))
    };
    [
        phase.round.to_string(),
        phase.phase.clone(),
        phase.begun.to_string(),
        phase.succeeded.to_string(),
        phase.failed.to_string(),
        format!("{:.3}", phase.seconds),
        format!("{:.1}", phase.per_second),
        milliseconds(|it| it.p50),
        milliseconds(|it| it.p90),
        milliseconds(|it| it.p99),
        milliseconds(|it| it.max),
        phase.retransmissions.to_string(),
    ]
}

/// What no column is for.
fn notes(phase: &PhaseReport) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(each) = &phase.per_exchange {
        notes.push(format!(
            "each sent {:.1} datagrams, {:.0} octets, and received {:.1}, {:.0}",
            each.datagrams_sent, each.octets_sent, each.datagrams_received, each.octets_received
        ));
    }
    for (what, reasons) in [
        ("failed", &phase.failures),
        ("lost", &phase.lost),
        ("datagrams not sent", &phase.unsent),
    ] {
        if !reasons.is_empty() {
            notes.push(format!("{what}: {}", list(reasons)));
        }
    }
    if phase.children_refused > 0 {
        notes.push(format!("CHILD SAs refused: {}", phase.children_refused));
    }
    if phase.fragments_lowered > 0 {
        notes.push(format!(
            "clients that had to send smaller fragments: {}",
            phase.fragments_lowered
        ));
    }
    if let Some(by_kernel) = &phase.by_kernel {
        notes.push(format!(
            "by the kernel: sent {} datagrams, and received {}",
            by_kernel.sent.datagrams, by_kernel.received.datagrams
        ));
    }
    if phase.busiest_thread_percent > BUSY {
        notes.push(format!(
            "a thread of the generator was busy for {:.0} % of the time, which may be what was measured",
            phase.busiest_thread_percent
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn progress_is_a_line() {
        let clients = NonZeroU32::new(100).unwrap();
        let shown = |phase| {
            let seen = Progress {
                round: 2,
                phase,
                done: 40,
                failed: 1,
            };
            progress(&seen, clients)
        };
        let expected = "round 2, rekey: 40 of 100 done, 1 failed";
        assert_eq!(shown(Phase::Rekey), expected);
        assert_eq!(shown(Phase::Hold(Duration::ZERO)), "round 2, hold");
    }
}
