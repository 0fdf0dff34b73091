//! Counters with what they mean.

use std::iter;
use std::time::Duration;

use ikexdp_common::verdict::Verdict;
use ikexdp_proto::stats::Stat;

use crate::cli::amount::per_second;
use crate::cli::table::Table;
use crate::failure::FailureKind;
use crate::metrics::Metric;
use crate::radius::{self, DisconnectCounters};
use crate::view::{Counters, LimitedSource, Limits, Radius, Stats, XdpCounters};
use crate::xsk::QueueCounter;

/// What is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope {
    /// Counters that are zero as well.
    pub(super) zeros: bool,
    /// Queues or CPUs one by one.
    pub(super) parts: bool,
}

/// A reading before this one.
#[derive(Debug)]
pub(super) struct Since<'a, T> {
    pub(super) earlier: &'a T,
    pub(super) elapsed: Duration,
}

/// Counters that belong together.
struct Group<'a> {
    title: String,
    counters: Counters,
    help: fn(&str) -> &'static str,
    /// What they are the sum of, with a word for one of them.
    parts: Option<(&'static str, &'a [Counters])>,
}

/// What the daemon tells.
pub(super) fn of_daemon(stats: &Stats, scope: Scope, since: Option<Since<'_, Stats>>) -> String {
    let earlier = since.map(|since| (groups(since.earlier), since.elapsed));
    render(&groups(stats), scope, earlier.as_ref())
}

/// What the kernel tells of a program, whoever runs it.
pub(super) fn of_interface(
    counters: &XdpCounters,
    scope: Scope,
    since: Option<Since<'_, XdpCounters>>,
) -> String {
    let earlier = since.map(|since| (vec![group_of_xdp(since.earlier)], since.elapsed));
    let XdpCounters {
        interface,
        mode,
        program,
        pid,
        ..
    } = counters;
    let process = pid.map_or_else(
        || "a process that cannot be seen".to_owned(),
        |pid| format!("process {pid}"),
    );
    let head = format!("xdp on {interface}, {mode}: program {program} of {process}\n");
    head + &render(&[group_of_xdp(counters)], scope, earlier.as_ref())
}

/// Whom the program limits.
pub(super) fn of_limits(limits: &Limits) -> String {
    let mut table = Table::default();
    let Limits {
        known,
        is_partial,
        sources,
    } = limits;
    let limited = sources.len();
    let known = if *is_partial {
        format!("{known} looked at; XDP knows more")
    } else {
        format!("{known} known")
    };
    table.line(&format!("{limited} limited now, of {known}"));
    for LimitedSource { network, limits } in sources {
        let effects: Vec<_> = limits.iter().map(|limit| limit.effect()).collect();
        table.row([format!("  {network}"), effects.join(", ")]);
    }
    table.to_string()
}

/// The groups, with what was added since those read earlier.
fn render(
    groups: &[Group<'_>],
    scope: Scope,
    earlier: Option<&(Vec<Group<'_>>, Duration)>,
) -> String {
    let mut table = Table::default();
    let mut parts = String::new();
    for group in groups {
        let before = earlier.and_then(|(groups, elapsed)| {
            let before = groups.iter().find(|before| before.title == group.title)?;
            Some((before, *elapsed))
        });
        match group.parts {
            Some((word, each)) if scope.parts => {
                parts += &group.render_parts(word, each, scope.zeros, before);
            }
            _ => group.render(&mut table, scope.zeros, before),
        }
    }
    format!("{table}{parts}")
}

fn group_of_xdp(counters: &XdpCounters) -> Group<'_> {
    Group {
        title: "xdp".to_owned(),
        counters: counters.xdp.clone(),
        help: help_of_verdict,
        parts: Some(("cpu", &counters.cpus)),
    }
}

impl Group<'_> {
    fn render(&self, table: &mut Table, zeros: bool, before: Option<(&Self, Duration)>) {
        let mut names = self.shown(zeros).peekable();
        if names.peek().is_some() {
            table.line(&self.title);
        }
        for name in names {
            let value = value(&self.counters, name);
            let rate = before.and_then(|(before, elapsed)| {
                let rate = per_second(self::value(&before.counters, name), value, elapsed)?;
                Some(format!("{rate}/s"))
            });
            let help = (self.help)(name).to_owned();
            let rate = rate.unwrap_or_default();
            table.row([format!("  {name}"), value.to_string(), rate, help]);
        }
    }

    /// A row for each part, and a column for each counter.
    fn render_parts(
        &self,
        word: &str,
        each: &[Counters],
        zeros: bool,
        before: Option<(&Self, Duration)>,
    ) -> String {
        let names: Vec<_> = self.shown(zeros).collect();
        let mut table = Table::default();
        if names.is_empty() {
            return String::new();
        }
        let unit = if before.is_some() {
            ", by the second"
        } else {
            ""
        };
        table.line(&format!("{}{unit}", self.title));
        let titles = names.iter().map(|name| (*name).to_owned());
        let end = iter::once(String::new());
        table.row(
            iter::once(format!("  {word}"))
                .chain(titles)
                .chain(end.clone()),
        );
        for (number, part) in each.iter().enumerate() {
            let cell = |name: &&str| {
                let now = value(part, name);
                let Some((before, elapsed)) = before else {
                    return now.to_string();
                };
                let parts = before.parts.map_or(&[][..], |(_, parts)| parts);
                let then = parts.get(number).map_or(0, |part| value(part, name));
                per_second(then, now, elapsed).unwrap_or_default()
            };
            let cells = names.iter().map(cell);
            table.row(
                iter::once(format!("  {number}"))
                    .chain(cells)
                    .chain(end.clone()),
            );
        }
        table.to_string()
    }

    /// The names of those that are shown.
    fn shown(&self, zeros: bool) -> impl Iterator<Item = &str> {
        let shown = self.counters.0.iter();
        shown
            .filter(move |(_, value)| zeros || *value != 0)
            .map(|(name, _)| name.as_str())
    }
}

/// The counter of this name; zero, if it is new.
fn value(counters: &Counters, name: &str) -> u64 {
    counters.value(name).unwrap_or_default()
}

fn groups(stats: &Stats) -> Vec<Group<'_>> {
    let group = |title: &str, counters: &Counters, help| Group {
        title: title.to_owned(),
        counters: counters.clone(),
        help,
        parts: None,
    };
    let mut groups = vec![
        group("xdp", &stats.xdp, help_of_verdict),
        Group {
            parts: Some(("queue", &stats.queues)),
            ..group("queues", &sum(&stats.queues), |name| {
                help_of(
                    QueueCounter::ALL,
                    QueueCounter::name,
                    QueueCounter::help,
                    name,
                )
            })
        },
        group("daemon", &stats.daemon, |name| {
            help_of(Metric::ALL, Metric::name, Metric::help, name)
        }),
        group("engine", &stats.engine, |name| {
            help_of(Stat::ALL, Stat::name, Stat::help, name)
        }),
        group("failures", &stats.handshakes.failed, |name| {
            help_of(FailureKind::ALL, FailureKind::name, FailureKind::help, name)
        }),
    ];
    groups.extend(stats.radius.iter().map(|of_table| {
        let Radius {
            table,
            role,
            server,
            is_up,
            counters,
        } = of_table;
        let server = server.map_or_else(String::new, |server| format!(", {server}"));
        let down = if *is_up == Some(false) { ", down" } else { "" };
        let title = format!("radius {table}, {role}{server}{down}");
        group(&title, counters, help_of_radius)
    }));
    groups
}

fn help_of<T: Copy>(
    all: &[T],
    name_of: fn(T) -> &'static str,
    help_of: fn(T) -> &'static str,
    name: &str,
) -> &'static str {
    let counter = all.iter().find(|counter| name_of(**counter) == name);
    counter.map_or("", |counter| help_of(*counter))
}

fn help_of_verdict(name: &str) -> &'static str {
    help_of(Verdict::ALL, Verdict::name, Verdict::help, name)
}

fn help_of_radius(name: &str) -> &'static str {
    let help = radius::Counters::help(name).or_else(|| radius::Records::help(name));
    help.or_else(|| DisconnectCounters::help(name))
        .unwrap_or_default()
}

/// What all queues have counted together.
fn sum(queues: &[Counters]) -> Counters {
    // A queue without a socket counts nothing.
    let mut queues = queues.iter().filter(|queue| !queue.0.is_empty());
    let mut sum = queues.next().cloned().unwrap_or_default();
    for queue in queues {
        sum.add(queue);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Limit;

    fn shown(stats: &Stats, zeros: bool) -> String {
        let parts = false;
        of_daemon(stats, Scope { zeros, parts }, None)
    }

    #[test]
    fn queues_are_summed_up() {
        let queue = |received| [("received", received)].into_iter().collect();
        let counted = Stats {
            queues: vec![queue(3), queue(4)],
            ..Stats::default()
        };
        let expected = "\
queues
  received  7  Frames received.
";
        assert_eq!(shown(&counted, false), expected);
    }

    #[test]
    fn servers_stand_by_table_and_role() {
        let group = |role: &str, server: Option<&str>, is_up, counter| Radius {
            table: "lab".to_owned(),
            role: role.to_owned(),
            server: server.map(|server| server.parse().unwrap()),
            is_up,
            counters: [(counter, 3)].into_iter().collect(),
        };
        let counted = Stats {
            radius: vec![
                group(
                    "authentication",
                    Some("192.0.2.10:1812"),
                    Some(false),
                    "timeouts",
                ),
                group("records", None, None, "records_waiting"),
                group("disconnect", None, None, "refused"),
            ],
            ..Stats::default()
        };
        let expected = "\
radius lab, authentication, 192.0.2.10:1812, down
  timeouts         3  Requests that nobody answered.
radius lab, records
  records_waiting  3  Accounting records that no server has taken yet.
radius lab, disconnect
  refused          3  Requests that were refused, or were for nobody.
";
        assert_eq!(shown(&counted, false), expected);
    }

    #[test]
    fn counters_that_are_zero_are_shown_on_request() {
        let counted = Stats {
            daemon: [("udp_received", 12), ("udp_sent", 0)]
                .into_iter()
                .collect(),
            engine: [("established", 0), ("of_tomorrow", 3)]
                .into_iter()
                .collect(),
            ..Stats::default()
        };
        let expected = "\
daemon
  udp_received  12  IKE messages received by the kernel's UDP sockets.
engine
  of_tomorrow    3
";
        assert_eq!(shown(&counted, false), expected);
        assert_eq!(shown(&counted, true).lines().count(), 6);
    }

    #[test]
    fn a_second_reading_has_rates() {
        let counted = |received, sent| Stats {
            daemon: [("udp_received", received), ("udp_sent", sent)]
                .into_iter()
                .collect(),
            ..Stats::default()
        };
        let earlier = counted(10, 4);
        let since = || Since {
            earlier: &earlier,
            elapsed: Duration::from_secs(2),
        };
        let expected = "\
daemon
  udp_received  1010  500/s  IKE messages received by the kernel's UDP sockets.
  udp_sent         5  0.5/s  IKE messages sent by the kernel's UDP sockets.
";
        let shown = of_daemon(&counted(1010, 5), Scope::default(), Some(since()));
        assert_eq!(shown, expected);
        // A daemon that was started again has no rate yet.
        let shown = of_daemon(&counted(3, 9), Scope::default(), Some(since()));
        assert!(shown.contains("  udp_received  3         IKE"), "{shown}");
    }

    #[test]
    fn each_queue_has_a_row() {
        let queue = |received: u64, sent: u64| {
            let counters = [("received", received), ("sent", sent), ("starved", 0)];
            counters.into_iter().collect()
        };
        let counted = |more: u64| Stats {
            queues: vec![queue(30, 4), Counters::default(), queue(1000 + more, 5)],
            ..Stats::default()
        };
        let scope = Scope {
            zeros: false,
            parts: true,
        };
        let expected = "\
queues
  queue  received  sent
  0            30     4
  1             0     0
  2          1000     5
";
        assert_eq!(of_daemon(&counted(0), scope, None), expected);
        let earlier = counted(0);
        let since = Since {
            earlier: &earlier,
            elapsed: Duration::from_secs(1),
        };
        let expected = "\
queues, by the second
  queue  received  sent
  0             0     0
  1             0     0
  2           250     0
";
        assert_eq!(of_daemon(&counted(250), scope, Some(since)), expected);
    }

    #[test]
    fn an_interface_says_whose_program_it_has() {
        let verdicts = |redirected| -> Counters {
            let counters = [("pass_esp", 0), ("redirect_ike", redirected)];
            counters.into_iter().collect()
        };
        let counters = XdpCounters {
            interface: "eth0".to_owned(),
            mode: "native".to_owned(),
            program: 42,
            pid: Some(1234),
            xdp: verdicts(7),
            cpus: vec![verdicts(3), verdicts(4)],
        };
        let expected = "\
xdp on eth0, native: program 42 of process 1234
xdp
  redirect_ike  7  Redirected: IKEv2 on port 500.
";
        assert_eq!(of_interface(&counters, Scope::default(), None), expected);
        let scope = Scope {
            zeros: false,
            parts: true,
        };
        let expected = "\
xdp on eth0, native: program 42 of process 1234
xdp
  cpu  redirect_ike
  0               3
  1               4
";
        assert_eq!(of_interface(&counters, scope, None), expected);
    }

    #[test]
    fn who_is_limited_is_shown_with_what_becomes_of_it() {
        let source = |network: &str, limits: &[Limit]| LimitedSource {
            network: network.to_owned(),
            limits: limits.to_vec(),
        };
        let mut limits = Limits {
            known: 7,
            is_partial: false,
            sources: vec![
                source("198.51.100.7", &[Limit::Init, Limit::Proven]),
                source("2001:db8:1:2::/64", &[Limit::Stray]),
            ],
        };
        let expected = "\
2 limited now, of 7 known
  198.51.100.7       asked for cookies, handshakes dropped in spite of cookies
  2001:db8:1:2::/64  messages of no SA dropped
";
        assert_eq!(of_limits(&limits), expected);
        limits.is_partial = true;
        let first = "2 limited now, of 7 looked at; XDP knows more\n";
        assert!(of_limits(&limits).starts_with(first));
    }
}
