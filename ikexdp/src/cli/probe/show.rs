//! A report for people.

use std::fmt::Write as _;

use clap::ValueEnum;
use ikexdp_diagnose::printable::printable;

use crate::cli::table::Table;
use crate::probe::policy::{Entry, Taken};
use crate::probe::same::{Comparison, Gateway, Repeat, Word};
use crate::probe::{Attempt, Outcome, Report};

/// The report, the verdict at its end.
pub(super) fn text(report: &Report) -> String {
    let mut table = Table::default();
    let client = report.client;
    let name = client.to_possible_value();
    let name = name.as_ref().map_or("", |it| it.get_name());
    let address = report.address.to_string();
    let gateway = if report.host == address {
        address
    } else {
        format!("{}, {address}", report.host)
    };
    row(&mut table, "gateway", gateway);
    row(
        &mut table,
        "client",
        format!("{}, {name}", client.client().name),
    );
    attempt(&mut table, &report.ike);
    match (&report.nat_t, &report.comparison) {
        (Some(nat_t), _) => attempt(&mut table, nat_t),
        (None, Some(comparison)) => row(&mut table, "port 4500", repeated(comparison).to_owned()),
        (None, None) => {}
    }
    if let Some(comparison) = &report.comparison {
        row(&mut table, "  gateway", same(comparison));
    }
    if let Some(arrive) = report.ip_fragments {
        let says = if arrive { "arrive" } else { "do not arrive" };
        row(&mut table, "IP fragments", says.to_owned());
    }
    row(&mut table, "left", left(report.half_open));
    let mut text = table.to_string();
    if let Some(entries) = &report.policy {
        text.push('\n');
        text += &matrix(entries);
    }
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

fn row(table: &mut Table, name: &str, says: String) {
    table.row([name.to_owned(), says]);
}

fn attempt(table: &mut Table, attempt: &Attempt) {
    row(table, &format!("port {}", attempt.port), answered(attempt));
    if attempt.cookie {
        row(table, "  cookie", "asked for, and sent".to_owned());
    }
    if let Some(group) = &attempt.other_group {
        let sent = if attempt.group_is_not_offered {
            "which the client does not offer"
        } else {
            "and sent"
        };
        row(table, "  group", format!("{group} asked for, {sent}"));
    }
    if let Some(suite) = &attempt.suite {
        row(table, "  chosen", suite.clone() + &weak(&attempt.weak));
    }
    if let Some(fragmentation) = attempt.fragmentation {
        let says = if fragmentation {
            "IKE, as the client asks (RFC 7383)"
        } else {
            "IP: the gateway does not do RFC 7383"
        };
        row(table, "  cut by", says.to_owned());
    }
    if attempt.outcome == Outcome::Accepted {
        row(table, "  NAT", nat(attempt).to_owned());
    }
    if attempt.is_answered() {
        let vendors = if attempt.vendors.is_empty() {
            "does not say".to_owned()
        } else {
            attempt.vendors.join(", ")
        };
        row(table, "  vendor", vendors);
    }
    if attempt.ignored > 0 {
        let says = format!("{} datagrams that were no answer", attempt.ignored);
        row(table, "  ignored", says);
    }
}

fn answered(attempt: &Attempt) -> String {
    let sent = attempt.request_octets;
    let (Some(time), Some(octets)) = (attempt.round_trip_ms, attempt.response_octets) else {
        let says = if attempt.port_unreachable {
            ", ICMP says that nobody listens"
        } else {
            ""
        };
        let tries = attempt.tries;
        return format!("no answer to {sent} octets, sent {tries} times{says}");
    };
    let said = match attempt.outcome {
        Outcome::Accepted => "accepted".to_owned(),
        Outcome::Redirected => "sent elsewhere".to_owned(),
        Outcome::Refused | Outcome::Unreadable | Outcome::Unanswered => {
            let reason = attempt.reason.as_deref().unwrap_or("no reason");
            format!("refused, {reason}")
        }
    };
    let again = match attempt.tries {
        0 | 1 => String::new(),
        tries => format!(" at try {tries}"),
    };
    format!("{said} after {time:.1} ms{again}, {sent} octets answered by {octets}")
}

const fn nat(attempt: &Attempt) -> &'static str {
    let Some(nat) = attempt.nat else {
        return "the gateway does not look for it";
    };
    match (nat.client, nat.gateway) {
        (false, false) => "none",
        (true, false) => "this host is behind one",
        (false, true) => "the gateway is behind one",
        (true, true) => "this host is behind one, and the gateway as well",
    }
}

const fn repeated(comparison: &Comparison) -> &'static str {
    match comparison.repeat {
        Repeat::Identical => "answers, with the response of port 500",
        Repeat::IdenticalFrom500 => "hears, and answers from port 500",
        Repeat::AnotherSpi => "answers, with an SA of its own",
        Repeat::Other => "answers something else",
        Repeat::Silence => "answers to IKE_AUTH, and not to IKE_SA_INIT",
    }
}

/// Whether both ports lead to one gateway, and how that is known.
fn same(comparison: &Comparison) -> String {
    let says = match comparison.gateway {
        Gateway::Same => "the same as on port 500",
        Gateway::Different => "another than on port 500",
        Gateway::Unknown => "cannot be told to be the same",
    };
    let repeat = match (comparison.repeat, comparison.control) {
        (Repeat::Identical, _) => "repeats its response",
        (Repeat::IdenticalFrom500, _) => "repeats its response, from port 500",
        (Repeat::AnotherSpi, Some(Repeat::Identical)) => {
            "does not know the request, whose response port 500 repeats"
        }
        (Repeat::AnotherSpi, _) => "answers repeats anew, as port 500 does",
        (Repeat::Other, _) => "answers a repeat otherwise",
        (Repeat::Silence, _) => "does not answer a repeat",
    };
    let word = |word| match word {
        Word::Silence => "nothing",
        Word::InvalidIkeSpi => "INVALID_IKE_SPI",
        Word::Other => "something",
    };
    let known = word(comparison.known_spi);
    let unknown = word(comparison.unknown_spi);
    format!("{says}: {repeat}, says {known} to its SPI and {unknown} to nobody's")
}

fn left(half_open: u32) -> String {
    match half_open {
        0 => "nothing at the gateway".to_owned(),
        1 => "1 half-open SA, which the gateway forgets by itself".to_owned(),
        count => format!("{count} half-open SAs, which the gateway forgets by itself"),
    }
}

/// The proposals, and what came of each.
fn matrix(entries: &[Entry]) -> String {
    let mut table = Table::default();
    table.row(["proposal", "taken", "weak", "offered by"].map(str::to_owned));
    for entry in entries {
        let reason = entry.reason.as_deref();
        let taken = match entry.taken {
            Taken::Accepted => "accepted".to_owned(),
            Taken::Refused => "refused".to_owned(),
            Taken::WantsGroup => format!("wants {}", reason.unwrap_or_default()),
            Taken::Unclear => format!("unclear, {}", reason.unwrap_or_default()),
            Taken::NoAnswer => "no answer".to_owned(),
        };
        let weak = entry.weak.join(" ");
        table.row([
            entry.suite.clone(),
            taken,
            weak,
            entry.offered_by.to_owned(),
        ]);
    }
    table.to_string()
}

fn weak(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!(", of which can be broken: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Kind;
    use crate::probe::attempt::Nat;
    use crate::probe::verdict::{Finding, Verdict};

    #[test]
    fn a_report_ends_with_what_to_do_and_moves_no_cursor() {
        let report = Report {
            host: "vpn.example.com".to_owned(),
            address: "198.51.100.2".parse().unwrap(),
            client: Kind::Win10,
            ike: Attempt {
                port: 500,
                outcome: Outcome::Accepted,
                tries: 2,
                round_trip_ms: Some(12.34),
                request_octets: 888,
                response_octets: Some(348),
                cookie: true,
                suite: Some("3DES/modp1024".to_owned()),
                weak: vec!["3DES".to_owned()],
                fragmentation: Some(true),
                nat: Some(Nat {
                    client: true,
                    gateway: false,
                }),
                vendors: vec!["\u{1b}[2J".to_owned()],
                ..Attempt::default()
            },
            nat_t: Some(Attempt {
                port: 4500,
                request_octets: 888,
                tries: 3,
                ..Attempt::default()
            }),
            comparison: None,
            ip_fragments: None,
            policy: Some(vec![Entry {
                suite: "3DES/modp1024".to_owned(),
                offered_by: "Windows",
                taken: Taken::Accepted,
                reason: None,
                weak: vec!["3DES".to_owned(), "modp1024".to_owned()],
                is_half_open: false,
            }]),
            half_open: 1,
            findings: vec![Finding {
                verdict: Verdict::NatPortBlocked,
                says: "port 4500 does not answer".to_owned(),
                hint: Some("open it".to_owned()),
            }],
        };
        let expected = "\
gateway    vpn.example.com, 198.51.100.2
client     Windows 10 as it comes, win10
port 500   accepted after 12.3 ms at try 2, 888 octets answered by 348
  cookie   asked for, and sent
  chosen   3DES/modp1024, of which can be broken: 3DES
  cut by   IKE, as the client asks (RFC 7383)
  NAT      this host is behind one
  vendor   \u{fffd}[2J
port 4500  no answer to 888 octets, sent 3 times
left       1 half-open SA, which the gateway forgets by itself

proposal       taken     weak           offered by
3DES/modp1024  accepted  3DES modp1024  Windows

verdict: port 4500 does not answer
hint: open it
";
        assert_eq!(text(&report), expected);
    }
}
