//! `ikexdp mtu`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::{Args, value_parser};
use humantime::parse_duration;
use ikexdp_diagnose::printable::printable;
use ikexdp_proto::types::{IKE_PORT, NAT_T_PORT};

use super::CliError;
use super::table::Table;
use super::target::{Target, timeout};
use crate::mtu::{self, Plan, Report, TRIES, TooBig, Way};

/// The path to which gateway.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// The port to ask: 500, or 4500, where clients behind NAT are served
    #[arg(long, value_name = "500|4500", default_value_t = IKE_PORT, value_parser = port)]
    port: u16,
    /// How often a size is tried before it counts as lost; more on a path that loses much
    #[arg(long, value_name = "N", default_value_t = TRIES, value_parser = value_parser!(u8).range(1..=50))]
    tries: u8,
    /// From one datagram to the next: gateways limit how many requests a source may send
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = parse_duration)]
    pace: Duration,
    /// How long an answer may take at most; usually it is four times as long as the first took
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = timeout)]
    timeout: Duration,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let address = options.target.resolve()?;
    let plan = Plan {
        host: options.target.host,
        address,
        port: options.port,
        tries: options.tries,
        pace: options.pace,
        timeout: options.timeout,
    };
    let mut stderr = io::stderr();
    let is_watched = stderr.is_terminal();
    let report = mtu::run(&plan, |octets, arrived| {
        if is_watched {
            let what = if arrived { "arrives" } else { "is lost" };
            // Whoever does not see it has closed the terminal.
            let _ = write!(stderr, "\r{octets} octets: {what}\x1b[K");
        }
    })?;
    if is_watched {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&report).as_bytes())?;
    }
    out.flush()?;
    match report.standing().exit_status() {
        0 => Ok(()),
        status => Err(CliError::Found { status }),
    }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port @ (IKE_PORT | NAT_T_PORT)) => Ok(port),
        _ => Err(format!("{IKE_PORT} or {NAT_T_PORT}")),
    }
}

/// The report, the verdict at its end.
fn text(report: &Report) -> String {
    let mut table = Table::default();
    let mut row = |name: &str, says: String| table.row([name.to_owned(), says]);
    let address = report.address.to_string();
    let gateway = if report.host == address {
        address
    } else {
        format!("{}, {address}", report.host)
    };
    row("gateway", format!("{gateway}, port {}", report.port));
    row("there", limit(&report.there));
    row("  tried", tried(&report.there));
    for said in &report.there.too_big {
        row("  too big", too_big(*said));
    }
    if is_black_hole(&report.there) {
        let says = "a black hole: what is longer vanishes without a word of ICMP";
        row("  too big", says.to_owned());
    }
    match &report.back {
        Some(back) => {
            row("back", limit(back));
            row("  tried", tried(back));
        }
        None if report.there.found.limit.is_some() => {
            let says = "not known: this gateway does not answer size tests, as ikexdp does";
            row("back", says.to_owned());
        }
        None => {}
    }
    if let Some(fragments) = report.ip_fragments {
        let arrive = if fragments.arrive {
            "arrive"
        } else {
            "do not arrive"
        };
        let octets = fragments.octets;
        row(
            "IP fragments",
            format!("{arrive}, of a datagram of {octets} octets"),
        );
    }
    if let Some(needed) = report.needs_ike_fragmentation {
        let says = if needed { "needed" } else { "not needed" };
        row("IKE fragmentation", says.to_owned());
    }
    if let Some(says) = safe(report) {
        row("safe", says);
    }
    if report.half_open > 0 {
        let says = format!(
            "{} half-open SAs at most, which the gateway forgets",
            report.half_open
        );
        row("left", says);
    }
    let mut text = table.to_string();
    text.push('\n');
    for finding in &report.findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "verdict: {}", printable(&finding.says));
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "hint: {}", printable(hint));
        }
    }
    text
}

/// What to write into the configuration.
fn safe(report: &Report) -> Option<String> {
    if let Some(size) = report.fragment_size {
        return Some(format!("fragment-size = {size}"));
    }
    let is_known = !report.fell_silent && !report.unfinished && report.back.is_none();
    let size = report.there.found.limit.filter(|_| is_known)?;
    Some(format!(
        "fragment-size = {size}, if the way back takes as much"
    ))
}

fn limit(way: &Way) -> String {
    match way.found.limit {
        Some(limit) => format!("{limit} octets arrive, headers of IP and UDP included"),
        None => "nothing arrives".to_owned(),
    }
}

/// Each size once, those that arrive before those that do not.
fn tried(way: &Way) -> String {
    let sizes = |arrived| {
        let steps = way.found.steps.iter();
        let steps = steps.filter(|it| it.arrived == arrived);
        let mut sizes: Vec<_> = steps.map(|it| it.octets).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        sizes.join(" ")
    };
    match (sizes(true), sizes(false)) {
        (arrived, lost) if lost.is_empty() => arrived,
        (arrived, lost) => format!("{arrived}; lost: {lost}"),
    }
}

fn too_big(said: TooBig) -> String {
    let TooBig { from, mtu } = said;
    match from {
        Some(from) => format!("{from} says by ICMP: {mtu} octets at most"),
        None => format!("this host's own link takes {mtu} octets at most"),
    }
}

/// Whether something was lost of which nobody has said why.
fn is_black_hole(way: &Way) -> bool {
    let is_lost = way.found.steps.iter().any(|it| !it.arrived);
    is_lost && way.found.limit.is_some() && way.too_big.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mtu::{Finding, Found, IpFragments, Step, Verdict};

    #[test]
    fn a_report_says_what_to_write_into_the_configuration() {
        let step = |octets, arrived| Step { octets, arrived };
        let report = Report {
            host: "198.51.100.2".to_owned(),
            address: "198.51.100.2".parse().unwrap(),
            port: 4500,
            size_tests: true,
            there: Way {
                found: Found {
                    limit: Some(1400),
                    steps: vec![step(1500, false), step(576, true), step(1400, true)],
                },
                too_big: vec![TooBig {
                    from: Some("192.0.2.1".parse().unwrap()),
                    mtu: 1400,
                }],
            },
            back: Some(Way {
                found: Found {
                    limit: Some(1300),
                    steps: vec![step(1400, false), step(1300, true)],
                },
                too_big: Vec::new(),
            }),
            ip_fragments: Some(IpFragments {
                octets: 2000,
                arrive: false,
            }),
            fragment_size: Some(1300),
            needs_ike_fragmentation: Some(true),
            fell_silent: false,
            unfinished: false,
            half_open: 0,
            findings: vec![Finding {
                verdict: Verdict::IpFragmentsLost,
                says: "they are lost".to_owned(),
                hint: None,
            }],
        };
        let expected = "\
gateway            198.51.100.2, port 4500
there              1400 octets arrive, headers of IP and UDP included
  tried            576 1400; lost: 1500
  too big          192.0.2.1 says by ICMP: 1400 octets at most
back               1300 octets arrive, headers of IP and UDP included
  tried            1300; lost: 1400
IP fragments       do not arrive, of a datagram of 2000 octets
IKE fragmentation  needed
safe               fragment-size = 1300

verdict: they are lost
";
        assert_eq!(text(&report), expected);
    }
}
