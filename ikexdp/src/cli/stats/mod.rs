//! `ikexdp stats`.

mod table;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Args;
use ikexdp_common::verdict::Verdict;
use serde::Serialize;

use self::table::{Scope, Since};
use super::interval::interval;
use super::{CliError, Query};
use crate::clock::{Clock, rfc3339};
use crate::control::{Request, call};
use crate::view::{Stats, XdpCounters};
use crate::xdp::{Attached, AttachedError};

/// Puts the cursor at the top left, and clears what is there.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Show those that are zero as well
    #[arg(long)]
    all: bool,
    /// Show each RX queue instead of their sum; with `--interface`, each CPU
    #[arg(long)]
    per_queue: bool,
    /// Read again and again, and show what is added in a second
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "1s", value_parser = interval)]
    watch: Option<Duration>,
    /// Read what the XDP program on this interface counts, from the kernel and not from the daemon,
    /// which need not answer
    #[arg(long, value_name = "INTERFACE", conflicts_with = "socket")]
    interface: Option<String>,
    /// Show which sources the XDP program limits now: who is asked for cookies, and whose messages
    /// are dropped
    #[arg(long, requires = "interface", conflicts_with_all = ["all", "per_queue"])]
    sources: bool,
    #[command(flatten)]
    query: Query,
}

pub(super) fn execute(options: &Options, out: &mut impl Write) -> Result<(), CliError> {
    if let Some(interface) = &options.interface {
        let attached = Attached::find(interface)?;
        if options.sources {
            let read = || Ok(attached.limits()?);
            return options.show(out, read, |limits, _| table::of_limits(limits));
        }
        let read = || Ok(xdp_counters(interface, &attached)?);
        options.show(out, read, |counters, since| {
            table::of_interface(counters, options.scope(), since)
        })
    } else {
        let read = || Ok(ask(&options.query.daemon.socket)?);
        options.show(out, read, |stats, since| {
            table::of_daemon(stats, options.scope(), since)
        })
    }
}

fn ask(socket: &Path) -> Result<Stats, crate::control::ClientError> {
    call(socket, &Request::Stats)
}

/// What the kernel knows of a program.
fn xdp_counters(interface: &str, attached: &Attached) -> Result<XdpCounters, AttachedError> {
    let counters = attached.counters()?;
    let of = |count: &dyn Fn(Verdict) -> u64| {
        let verdicts = Verdict::ALL.iter();
        verdicts
            .map(|verdict| (verdict.name(), count(*verdict)))
            .collect()
    };
    let on_cpu = |cpu: usize, verdict| counters.per_cpu(verdict).get(cpu).copied();
    let cpus = Verdict::ALL
        .first()
        .map_or(0, |verdict| counters.per_cpu(*verdict).len());
    Ok(XdpCounters {
        interface: interface.to_owned(),
        mode: attached.mode().to_string(),
        program: attached.id(),
        pid: attached.process().map(|process| process.pid),
        xdp: of(&|verdict| counters.total(verdict)),
        cpus: (0..cpus)
            .map(|cpu| of(&|verdict| on_cpu(cpu, verdict).unwrap_or_default()))
            .collect(),
    })
}

/// A reading with the time of day, for those who compute rates themselves.
#[derive(Serialize)]
struct Timed<'a, T> {
    time: String,
    #[serde(flatten)]
    reading: &'a T,
}

impl Options {
    const fn scope(&self) -> Scope {
        Scope {
            zeros: self.all,
            parts: self.per_queue,
        }
    }

    /// Shows what `read` reads, once or for as long as somebody looks at it.
    fn show<T: Serialize>(
        &self,
        out: &mut impl Write,
        read: impl Fn() -> Result<T, CliError>,
        table: impl Fn(&T, Option<Since<'_, T>>) -> String,
    ) -> Result<(), CliError> {
        let Some(interval) = self.watch else {
            let reading = read()?;
            return Ok(self.query.show(out, &reading, || table(&reading, None))?);
        };
        let clock = Clock::start();
        let clears = io::stdout().is_terminal();
        let mut before = None;
        loop {
            let now = clock.now();
            let reading = read()?;
            if self.query.json {
                let time = rfc3339();
                let reading = &reading;
                serde_json::to_writer(&mut *out, &Timed { time, reading })
                    .map_err(io::Error::from)?;
            } else {
                let since = before.as_ref().map(|(then, earlier)| Since {
                    earlier,
                    elapsed: now.since(*then),
                });
                let text = table(&reading, since);
                write!(out, "{}{text}", if clears { CLEAR } else { "" })?;
            }
            writeln!(out)?;
            out.flush()?;
            before = Some((now, reading));
            thread::sleep((now + interval).since(clock.now()));
        }
    }
}
