//! Which metrics there are.
//!
//! Counters come from the enums that declare them, with their help; a counter that is
//! added there is on the page.

use ikexdp_proto::stats::Stat;

use super::text::{Kind, Text};
use crate::metrics::Metric;
use crate::radius::{self, DisconnectCounters};
use crate::view::{Counters, Handshakes, PoolStatus, Radius, Stats, Status, XdpStatus};
use crate::xsk::QueueCounter;

/// Counters with the labels of whatever they are of.
type Labelled<'a> = (Vec<(&'a str, &'a str)>, &'a Counters);

/// All metrics of a daemon that began at `started`, in seconds since 1970, as
/// Prometheus reads them.
#[must_use]
pub fn page(started: u64, status: &Status, stats: &Stats) -> String {
    let mut text = Text::default();
    daemon(&mut text, started, status);
    handshakes(&mut text, &stats.handshakes);
    sas(&mut text, status);
    let help = |name: &str| {
        let stat = Stat::ALL.iter().find(|stat| stat.name() == name);
        stat.map(|stat| stat.help())
    };
    counters(
        &mut text,
        "ikexdp_ike",
        help,
        &[(Vec::new(), &stats.engine)],
    );
    let help = |name: &str| {
        let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
        metric.map(|metric| metric.help())
    };
    counters(&mut text, "ikexdp", help, &[(Vec::new(), &stats.daemon)]);
    if let Some(xdp) = &status.xdp {
        self::xdp(&mut text, xdp, stats);
    }
    pools(&mut text, &status.pools);
    radius(&mut text, &stats.radius);
    text.into_string()
}

fn daemon(text: &mut Text, started: u64, status: &Status) {
    let help = "The version of the daemon.";
    let mut family = text.family("ikexdp_build_info", help, Kind::Gauge);
    family.sample(&[("version", &status.version)], 1);
    let help = "When the daemon began, in seconds since 1970.";
    text.single("process_start_time_seconds", help, Kind::Gauge, started);
    let help = "Jobs that the job threads have.";
    text.single("ikexdp_jobs", help, Kind::Gauge, status.jobs);
    let help = "Memory held for incomplete messages.";
    let octets = status.reassembly_octets;
    text.single("ikexdp_reassembly_bytes", help, Kind::Gauge, octets);
    let help = "Longest IP datagram with IKE that is sent.";
    let octets = status.fragment_size;
    text.single("ikexdp_fragment_size_bytes", help, Kind::Gauge, octets);
}

fn handshakes(text: &mut Text, handshakes: &Handshakes) {
    let help = "Handshakes that ended, by result, and by reason if they failed.";
    let mut family = text.family("ikexdp_handshakes_total", help, Kind::Counter);
    let established = [("result", "established"), ("reason", "")];
    family.sample(&established, handshakes.established);
    for (reason, count) in &handshakes.failed.0 {
        family.sample(&[("result", "failed"), ("reason", reason)], count);
    }
    let name = "ikexdp_handshake_duration_seconds";
    let help = "Time from the first message to the IKE SA, of handshakes that led to one.";
    let mut family = text.family(name, help, Kind::Histogram);
    family.histogram(&[], &handshakes.duration_us, 1_000_000);
    let name = "ikexdp_handshake_fragments";
    let help = "IKE fragments of a handshake that led to an IKE SA.";
    let mut family = text.family(name, help, Kind::Histogram);
    for (direction, fragments) in [
        ("received", &handshakes.fragments_received),
        ("sent", &handshakes.fragments_sent),
    ] {
        family.histogram(&[("direction", direction)], fragments, 1);
    }
}

fn sas(text: &mut Text, status: &Status) {
    let mut family = text.family("ikexdp_ike_sas", "IKE SAs by state.", Kind::Gauge);
    family.sample(&[("state", "half_open")], status.half_open);
    family.sample(&[("state", "established")], status.established);
    let help = "Half-open IKE SAs at which no new one is made.";
    let max = status.half_open_max;
    text.single("ikexdp_ike_sas_half_open_max", help, Kind::Gauge, max);
    let help = "Prefixes that are allowed and blocked, by the configuration or by command.";
    let mut family = text.family("ikexdp_listed_prefixes", help, Kind::Gauge);
    family.sample(&[("listing", "allowed")], status.listed.allowed);
    family.sample(&[("listing", "blocked")], status.listed.blocked);
}

fn xdp(text: &mut Text, xdp: &XdpStatus, stats: &Stats) {
    let interface = ("interface", xdp.interface.as_str());
    let help = "Where the XDP program is attached.";
    let mut family = text.family("ikexdp_xdp_info", help, Kind::Gauge);
    family.sample(&[interface, ("mode", &xdp.mode)], 1);
    let help = "Whether the interface carries no IKE by XDP, for now or for good.";
    let trouble = u8::from(xdp.trouble.is_some());
    let mut family = text.family("ikexdp_xdp_trouble", help, Kind::Gauge);
    family.sample(&[interface], trouble);
    let help =
        "RX queues by the way frames come from them; none: IKE takes the kernel's UDP sockets.";
    let mut family = text.family("ikexdp_xdp_queues", help, Kind::Gauge);
    for transfer in ["zero-copy", "copy", "none"] {
        let queues = xdp.queues.iter().filter(|queue| *queue == transfer);
        family.sample(&[interface, ("transfer", transfer)], queues.count());
    }
    let help = "Frames that the XDP program has seen, by what it did with them, and why.";
    let mut family = text.family("ikexdp_xdp_frames_total", help, Kind::Counter);
    for (verdict, frames) in &stats.xdp.0 {
        // A verdict is called by its action first.
        let action = verdict.split('_').next().unwrap_or_default();
        let labels = [interface, ("action", action), ("verdict", verdict)];
        family.sample(&labels, frames);
    }
    let help = |name: &str| {
        let counter = QueueCounter::ALL.iter().find(|one| one.name() == name);
        counter.map(|counter| counter.help())
    };
    let numbers: Vec<_> = (0..stats.queues.len()).map(|it| it.to_string()).collect();
    let queues = numbers.iter().zip(&stats.queues);
    let queues = queues.map(|(number, counted)| (vec![interface, ("queue", number)], counted));
    let queues: Vec<_> = queues.collect();
    counters(text, "ikexdp_af_xdp", help, &queues);
}

fn pools(text: &mut Text, pools: &[PoolStatus]) {
    let help = "Addresses for clients; those that are kept are free, but kept for who had them.";
    let mut family = text.family("ikexdp_pool_addresses", help, Kind::Gauge);
    for pool in pools {
        let of_family = if pool.first.is_ipv4() { "ipv4" } else { "ipv6" };
        let count = |octets: usize| u64::try_from(octets).unwrap_or(u64::MAX);
        let (in_use, kept) = (count(pool.in_use), count(pool.kept));
        let free = pool.size.saturating_sub(in_use).saturating_sub(kept);
        for (state, addresses) in [("in_use", in_use), ("kept", kept), ("free", free)] {
            let labels = [
                ("pool", &*pool.name),
                ("family", of_family),
                ("state", state),
            ];
            family.sample(&labels, addresses);
        }
    }
}

fn radius(text: &mut Text, all: &[Radius]) {
    let servers: Vec<_> = all
        .iter()
        .filter_map(|one| Some((one, one.server?.to_string())))
        .collect();
    if !servers.is_empty() {
        let help = "Whether the server is asked before others: it answered last time, or that was long ago.";
        let mut family = text.family("ikexdp_radius_up", help, Kind::Gauge);
        for server in &servers {
            family.sample(&of_server(server), u8::from(server.0.is_up == Some(true)));
        }
    }
    let of_servers = servers
        .iter()
        .map(|server| (of_server(server), &server.0.counters));
    let of_servers: Vec<_> = of_servers.collect();
    counters(text, "ikexdp_radius", radius::Counters::help, &of_servers);
    for (role, prefix, help) in [
        (
            "records",
            "ikexdp_radius",
            radius::Records::help as fn(&str) -> _,
        ),
        (
            "disconnect",
            "ikexdp_radius_disconnect",
            DisconnectCounters::help,
        ),
    ] {
        let tables = all.iter().filter(|one| one.role == role);
        let tables = tables.map(|one| (vec![("table", &*one.table)], &one.counters));
        counters(text, prefix, help, &tables.collect::<Vec<_>>());
    }
}

fn of_server<'a>((one, server): &'a (&Radius, String)) -> Vec<(&'a str, &'a str)> {
    vec![
        ("table", &one.table),
        ("role", &one.role),
        ("server", server),
    ]
}

/// A metric for each counter of the same name; `help` is asked for what it counts.
fn counters(
    text: &mut Text,
    prefix: &str,
    help: impl Fn(&str) -> Option<&'static str>,
    all: &[Labelled<'_>],
) {
    // What could not be asked has none.
    let Some((_, longest)) = all.iter().max_by_key(|(_, counters)| counters.0.len()) else {
        return;
    };
    for (name, _) in &longest.0 {
        // What waits comes and goes; all else is counted.
        let (kind, suffix) = match name.ends_with("_waiting") {
            true => (Kind::Gauge, ""),
            false => (Kind::Counter, "_total"),
        };
        let metric = format!("{prefix}_{name}{suffix}");
        let mut family = text.family(&metric, help(name).unwrap_or_default(), kind);
        for (labels, counters) in all {
            for (_, value) in counters.0.iter().filter(|(known, _)| known == name) {
                family.sample(labels, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::view::ListedCounts;
    use ikexdp_common::verdict::Verdict;
    use std::collections::BTreeSet;

    fn all<'a>(names: impl Iterator<Item = &'a str>) -> Counters {
        names.zip(1..).collect()
    }

    /// A daemon that has everything there can be.
    fn everything() -> (Status, Stats) {
        let pool = |first: &str, last: &str, size| PoolStatus {
            name: "staff".to_owned(),
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            size,
            in_use: 2,
            kept: 1,
        };
        let status = Status {
            version: "1.2.3".to_owned(),
            half_open: 3,
            half_open_max: 100,
            listed: ListedCounts {
                allowed: 4,
                blocked: 5,
                commanded: 6,
            },
            xdp: Some(XdpStatus {
                interface: "eth0".to_owned(),
                mode: "native".to_owned(),
                queues: vec!["copy".to_owned(), "none".to_owned()],
                addresses: Vec::new(),
                trouble: None,
            }),
            pools: vec![
                pool("10.9.0.1", "10.9.0.9", 9),
                pool("2001:db8::1", "2001:db9::", u64::MAX),
            ],
            ..Status::default()
        };
        let radius = |role: &str, server: Option<&str>, counters| Radius {
            table: "lab".to_owned(),
            role: role.to_owned(),
            server: server.map(|server| server.parse().unwrap()),
            is_up: server.map(|_| true),
            counters,
        };
        let of_server = || radius::Counters::default().iter().collect();
        let handshakes = Handshakes {
            failed: all(FailureKind::ALL.iter().map(|kind| kind.name())),
            ..Handshakes::default()
        };
        let stats = Stats {
            xdp: all(Verdict::ALL.iter().map(|one| one.name())),
            queues: vec![
                all(QueueCounter::ALL.iter().map(|one| one.name())),
                Counters::default(),
            ],
            daemon: all(Metric::ALL.iter().map(|one| one.name())),
            engine: all(Stat::ALL.iter().map(|one| one.name())),
            handshakes,
            radius: vec![
                radius("authentication", Some("192.0.2.1:1812"), of_server()),
                radius("accounting", Some("192.0.2.1:1813"), of_server()),
                radius("records", None, radius::Records::default().iter().collect()),
                radius(
                    "disconnect",
                    None,
                    DisconnectCounters::default().iter().collect(),
                ),
            ],
        };
        (status, stats)
    }

    fn of_everything() -> String {
        let (status, stats) = everything();
        page(1_700_000_000, &status, &stats)
    }

    #[test]
    fn what_is_counted_is_on_the_page() {
        let page = of_everything();
        for line in [
            "process_start_time_seconds 1700000000",
            "ikexdp_build_info{version=\"1.2.3\"} 1",
            "ikexdp_ike_sas{state=\"half_open\"} 3",
            "ikexdp_ike_sas_half_open_max 100",
            "ikexdp_listed_prefixes{listing=\"blocked\"} 5",
            "ikexdp_handshakes_total{result=\"failed\",reason=\"refused\"} 1",
            "ikexdp_xdp_frames_total{interface=\"eth0\",action=\"pass\",verdict=\"pass_not_ip\"} 1",
            "ikexdp_xdp_queues{interface=\"eth0\",transfer=\"none\"} 1",
            "ikexdp_af_xdp_received_total{interface=\"eth0\",queue=\"0\"} 1",
            "ikexdp_pool_addresses{pool=\"staff\",family=\"ipv4\",state=\"free\"} 6",
            "ikexdp_radius_up{table=\"lab\",role=\"authentication\",server=\"192.0.2.1:1812\"} 1",
            "ikexdp_radius_records_waiting{table=\"lab\"} 0",
            "ikexdp_radius_disconnect_requests_total{table=\"lab\"} 0",
        ] {
            assert!(page.lines().any(|one| one == line), "{line}:\n{page}");
        }
        for (place, stat) in Stat::ALL.iter().enumerate() {
            let line = format!("\nikexdp_ike_{}_total {}\n", stat.name(), place + 1);
            assert!(page.contains(&line), "{line}");
            assert!(page.contains(stat.help()), "{stat:?}");
        }
        for metric in Metric::ALL {
            let line = format!("\nikexdp_{}_total ", metric.name());
            assert!(page.contains(&line), "{line}");
        }
    }

    /// Prometheus refuses a page on which a metric begins twice, or a series is twice.
    #[test]
    fn nothing_is_twice_and_nothing_without_a_meaning() {
        let page = of_everything();
        let mut seen = BTreeSet::new();
        for line in page.lines() {
            // A sample without its value, or a comment without what it says.
            let name = match line.strip_prefix("# ") {
                Some(comment) => comment.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "),
                None => line.rsplit_once(' ').unwrap().0.to_owned(),
            };
            assert!(
                !line.starts_with("# HELP ") || line.ends_with('.'),
                "no meaning: {line}"
            );
            assert!(seen.insert(name), "twice: {line}");
        }
    }

    #[test]
    fn without_xdp_and_radius_there_is_none_of_their_metrics() {
        let page = page(0, &Status::default(), &Stats::default());
        for absent in ["xdp_", "radius_"] {
            assert!(!page.contains(&format!("ikexdp_{absent}")), "{page}");
        }
    }
}
