//! Tables for people.

use std::fmt::{self, Display};
use std::time::Duration;

use ikexdp_common::verdict::Verdict;
use ikexdp_proto::stats::Stat;

use crate::listed::Listed;
use crate::metrics::Metric;
use crate::radius::{self, DisconnectCounters};
use crate::view::{
    Child, Counters, Decryption, Fragmentation, PoolStatus, Radius, Sa, Stats, Status,
};
use crate::xsk::QueueCounter;

/// The daemon at a glance.
pub(super) fn status(status: &Status) -> String {
    let mut table = Table::default();
    let mut row = |name: &str, value: &dyn Display| table.row([name.to_owned(), value.to_string()]);
    row("version", &status.version);
    row("pid", &status.pid);
    row("up", &age(status.uptime_s));
    match &status.xdp {
        None => row("transport", &"udp"),
        Some(xdp) => {
            row("transport", xdp);
            row("RX queues", &Listed(&xdp.queues));
            match xdp.addresses.as_slice() {
                [] => row("addresses", &"none"),
                addresses => row("addresses", &Listed(addresses)),
            }
            if let Some(trouble) = &xdp.trouble {
                row("warning", trouble);
            }
        }
    }
    let fragmentation = match (status.fragmentation, status.ip_fragments) {
        (true, false) => "IKE fragments",
        (true, true) => "IKE fragments, IP fragments for peers without",
        (false, false) => "no fragments",
        (false, true) => "IP fragments",
    };
    row(
        "datagrams",
        &format_args!("{} octets, {fragmentation}", status.fragment_size),
    );
    row("data plane", &status.data_plane);
    row("established", &status.established);
    row("half-open", &status.half_open);
    row("jobs", &status.jobs);
    row(
        "reassembly",
        &format_args!("{} octets", status.reassembly_octets),
    );
    for pool in &status.pools {
        let PoolStatus {
            first,
            last,
            size,
            in_use,
            kept,
            ..
        } = pool;
        row(
            &format!("pool {}", pool.name),
            &format_args!("{in_use} of {size} in use, {kept} kept: {first}-{last}"),
        );
    }
    if let Some(decryption) = &status.decryption {
        let Decryption {
            peer,
            seconds_left,
            directory,
            uid,
            ..
        } = decryption;
        let left = age(*seconds_left);
        row(
            "warning",
            &format_args!("keys of {peer} are written for user {uid}, {left} more: {directory}"),
        );
    }
    for shortcoming in &status.shortcomings {
        row("warning", shortcoming);
    }
    table.to_string()
}

/// Counters with what they mean: those that are not zero, or all.
pub(super) fn stats(stats: &Stats, all: bool) -> String {
    let mut table = Table::default();
    let mut group = |title: &str, counters: &Counters, help: fn(&str) -> &'static str| {
        let shown = counters.0.iter().filter(|(_, value)| all || *value != 0);
        let rows = shown.map(|(name, value)| {
            let help = help(name).to_owned();
            [format!("  {name}"), value.to_string(), help]
        });
        let mut rows = rows.peekable();
        if rows.peek().is_some() {
            table.line(title);
            rows.for_each(|row| table.row(row));
        }
    };
    group("xdp", &stats.xdp, |name| {
        let verdict = Verdict::ALL.iter().find(|verdict| verdict.name() == name);
        verdict.map_or("", |verdict| verdict.help())
    });
    group("queues", &sum(&stats.queues), |name| {
        let mut counters = QueueCounter::ALL.iter();
        let counter = counters.find(|counter| counter.name() == name);
        counter.map_or("", |counter| counter.help())
    });
    group("daemon", &stats.daemon, |name| {
        let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
        metric.map_or("", |metric| metric.help())
    });
    group("engine", &stats.engine, |name| {
        let stat = Stat::ALL.iter().find(|stat| stat.name() == name);
        stat.map_or("", |stat| stat.help())
    });
    for Radius {
        table,
        role,
        server,
        is_up,
        counters,
    } in &stats.radius
    {
        let server = server.map_or_else(String::new, |server| format!(", {server}"));
        let down = if *is_up == Some(false) { ", down" } else { "" };
        group(
            &format!("radius {table}, {role}{server}{down}"),
            counters,
            help_of_radius,
        );
    }
    table.to_string()
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

/// IKE SAs, and below each its CHILD SAs.
pub(super) fn sas(sas: &[Sa]) -> String {
    const TITLES: [&str; 9] = [
        "id",
        "state",
        "connection",
        "peer",
        "identity",
        "addresses",
        "suite",
        "fragments",
        "age",
    ];
    let unknown = || "-".to_owned();
    let mut table = Table::default();
    table.row(TITLES.map(str::to_owned));
    for sa in sas {
        let Fragmentation { received, sent, .. } = sa.fragmentation;
        table.row([
            sa.id.to_string(),
            sa.state.clone(),
            sa.connection.clone().unwrap_or_else(unknown),
            sa.remote.to_string(),
            sa.identity.clone().unwrap_or_else(unknown),
            Listed(&sa.addresses).to_string(),
            sa.suite.clone().unwrap_or_else(unknown),
            format!("{received} in, {sent} out"),
            age(sa.age_s).to_string(),
        ]);
        for child in &sa.children {
            let Child {
                spi_in,
                spi_out,
                suite,
                local,
                remote,
                received,
                sent,
            } = child;
            let (local, remote) = (Listed(local), Listed(remote));
            table.line(&format!(
                "    child {spi_in} in, {spi_out} out, {suite}: {local} <-> {remote}"
            ));
            if let (Some(received), Some(sent)) = (received, sent) {
                table.line(&format!(
                    "      received {} octets in {} packets, sent {} octets in {} packets",
                    received.octets, received.packets, sent.octets, sent.packets
                ));
            }
        }
    }
    table.to_string()
}

fn age(seconds: u64) -> impl Display {
    humantime::format_duration(Duration::from_secs(seconds))
}

/// Columns as wide as they need to be, numbers to the right unless they come
/// last, with lines between the rows that pay them no heed.
struct Table<const N: usize> {
    rows: Vec<Row<N>>,
}

enum Row<const N: usize> {
    Cells([String; N]),
    Line(String),
}

impl<const N: usize> Default for Table<N> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<const N: usize> Table<N> {
    fn row(&mut self, cells: [String; N]) {
        self.rows.push(Row::Cells(cells));
    }

    fn line(&mut self, line: &str) {
        self.rows.push(Row::Line(line.to_owned()));
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for row in &self.rows {
            if let Row::Cells(cells) = row {
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = cell.chars().count().max(*width);
                }
            }
        }
        widths
    }
}

impl<const N: usize> Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            match row {
                Row::Line(line) => writeln!(f, "{line}")?,
                Row::Cells(cells) => {
                    let mut line = String::new();
                    for (column, (cell, width)) in (1..).zip(cells.iter().zip(widths)) {
                        let is_number = cell.bytes().all(|octet| octet.is_ascii_digit());
                        line += &if is_number && column < N {
                            format!("{cell:>width$}  ")
                        } else {
                            format!("{cell:<width$}  ")
                        };
                    }
                    writeln!(f, "{}", line.trim_end())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Usage, XdpStatus};

    fn sa(id: u64) -> Sa {
        Sa {
            id,
            state: "established".to_owned(),
            connection: Some("staff".to_owned()),
            role: "responder".to_owned(),
            local: "192.0.2.1:4500".parse().unwrap(),
            remote: "198.51.100.7:4500".parse().unwrap(),
            initiator_spi: "0000000000000001".to_owned(),
            responder_spi: "0000000000000002".to_owned(),
            identity: Some("laptop.example".to_owned()),
            suite: Some("aes256-gcm16/prf-sha2-256/x25519".to_owned()),
            age_s: 3661,
            addresses: vec!["10.9.0.1".parse().unwrap()],
            fragmentation: Fragmentation {
                negotiated: true,
                datagram_len: 1280,
                received: 5,
                sent: 4,
            },
            children: Vec::new(),
        }
    }

    #[test]
    fn sas_stand_in_columns_with_their_children_below() {
        let mut first = sa(7);
        first.children.push(Child {
            spi_in: "0a0b0c0d".to_owned(),
            spi_out: "01020304".to_owned(),
            suite: "aes256-gcm16".to_owned(),
            local: vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
            remote: vec!["10.9.0.1/32".to_owned()],
            received: Some(Usage {
                octets: 840,
                packets: 10,
            }),
            sent: Some(Usage {
                octets: 84,
                packets: 1,
            }),
        });
        let half_open = Sa {
            state: "half-open".to_owned(),
            connection: None,
            identity: None,
            suite: None,
            age_s: 2,
            addresses: Vec::new(),
            ..sa(1234)
        };
        let expected = "\
id    state        connection  peer               identity        addresses  suite                             fragments    age
   7  established  staff       198.51.100.7:4500  laptop.example  10.9.0.1   aes256-gcm16/prf-sha2-256/x25519  5 in, 4 out  1h 1m 1s
    child 0a0b0c0d in, 01020304 out, aes256-gcm16: 0.0.0.0/0, ::/0 <-> 10.9.0.1/32
      received 840 octets in 10 packets, sent 84 octets in 1 packets
1234  half-open    -           198.51.100.7:4500  -                          -                                 5 in, 4 out  2s
";
        assert_eq!(sas(&[first, half_open]), expected);
    }

    #[test]
    fn a_status_tells_where_frames_come_from() {
        let status = Status {
            version: "1.2.3".to_owned(),
            pid: 42,
            uptime_s: 61,
            fragment_size: 1280,
            fragmentation: true,
            data_plane: "none".to_owned(),
            xdp: Some(XdpStatus {
                interface: "eth0".to_owned(),
                mode: "native".to_owned(),
                queues: vec!["zero-copy".to_owned(), "copy".to_owned()],
                addresses: vec!["192.0.2.1".parse().unwrap()],
                trouble: Some("interface is down: eth0".to_owned()),
            }),
            shortcomings: vec!["no IPv6 on this host".to_owned()],
            established: 7,
            pools: vec![PoolStatus {
                name: "staff".to_owned(),
                first: "10.9.0.1".parse().unwrap(),
                last: "10.9.0.254".parse().unwrap(),
                size: 254,
                in_use: 7,
                kept: 12,
            }],
            ..Status::default()
        };
        let expected = "\
version      1.2.3
pid          42
up           1m 1s
transport    xdp on eth0, native
RX queues    zero-copy, copy
addresses    192.0.2.1
warning      interface is down: eth0
datagrams    1280 octets, IKE fragments
data plane   none
established  7
half-open    0
jobs         0
reassembly   0 octets
pool staff   7 of 254 in use, 12 kept: 10.9.0.1-10.9.0.254
warning      no IPv6 on this host
";
        assert_eq!(super::status(&status), expected);
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
        assert_eq!(stats(&counted, false), expected);
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
        assert_eq!(stats(&counted, false), expected);
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
        assert_eq!(stats(&counted, false), expected);
        assert_eq!(stats(&counted, true).lines().count(), 6);
    }
}
