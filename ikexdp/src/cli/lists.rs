//! Lists prefixes while the daemon runs, and shows what is listed.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use humantime::{format_duration, parse_duration};
use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;

use super::amount::age;
use super::pages::{json, pages};
use super::table::Table;
use super::{CliError, Daemon, Query};
use crate::config;
use crate::control::{PREFIXES_MAX, Request, call};
use crate::listed::Listed;
use crate::prefix::canonical;
use crate::view::{ListedPrefix, Listing, Relisted};

/// What to list, and for how long.
#[derive(Args, Debug)]
pub(super) struct Entries {
    #[command(flatten)]
    which: Which,
    /// How long, such as 1h; else until it is withdrawn, or the daemon ends
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
}

/// Some prefixes.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// Prefixes, or addresses that stand for themselves
    #[arg(required = true, value_name = "PREFIX", value_parser = prefix)]
    prefixes: Vec<IpNet>,
    #[command(flatten)]
    daemon: Daemon,
}

fn prefix(text: &str) -> Result<IpNet, String> {
    config::prefix(text).map_err(|fault| format!("{fault}; hint: {}", fault.hint()))
}

/// Has the daemon block or allow prefixes.
pub(super) fn list(
    listing: Listing,
    Entries { which, duration }: &Entries,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let seconds = duration.map(|duration| duration.as_secs().max(1));
    let prefixes = distinct(&which.prefixes)?;
    let request = Request::List {
        prefixes: prefixes.clone(),
        listing,
        seconds,
    };
    let relisted: Relisted = call(&which.daemon.socket, &request)?;
    let listed = Listed(&prefixes);
    match seconds.map(Duration::from_secs).map(format_duration) {
        Some(duration) => writeln!(out, "{listing} for {duration}: {listed}")?,
        None => writeln!(out, "{listing}: {listed}")?,
    }
    let cautions = cautions(listing, &prefixes, &own_addresses());
    for caution in relisted.caution.into_iter().chain(cautions) {
        writeln!(io::stderr(), "warning: {caution}")?;
    }
    Ok(())
}

/// Has the daemon withdraw what was listed by command.
pub(super) fn unlist(which: &Which, out: &mut impl Write) -> Result<(), CliError> {
    let prefixes = distinct(&which.prefixes)?;
    let request = Request::Unlist {
        prefixes: prefixes.clone(),
    };
    let relisted: Relisted = call(&which.daemon.socket, &request)?;
    writeln!(out, "withdrawn: {}", Listed(&prefixes))?;
    if let Some(caution) = relisted.caution {
        writeln!(io::stderr(), "warning: {caution}")?;
    }
    Ok(())
}

/// Each of `prefixes` once, in one way of saying it, if a request has room for them: it
/// is for all of them, or for none.
fn distinct(prefixes: &[IpNet]) -> Result<Vec<IpNet>, CliError> {
    let mut seen = BTreeSet::new();
    let distinct = prefixes.iter().map(|prefix| canonical(*prefix));
    let distinct: Vec<_> = distinct.filter(|prefix| seen.insert(*prefix)).collect();
    match distinct.len() {
        ..=PREFIXES_MAX => Ok(distinct),
        count => Err(CliError::Prefixes { count }),
    }
}

/// Shows what is listed.
pub(super) fn show(query: &Query, out: &mut impl Write) -> Result<(), CliError> {
    let request = |after| Request::Lists { after };
    let pages = pages(&query.daemon.socket, request, |it: &ListedPrefix| it.prefix);
    if query.json {
        return json(pages, out);
    }
    let mut table = titles();
    for page in pages {
        page?.iter().for_each(|it| row(&mut table, it));
        out.write_all(table.take().as_bytes())?;
    }
    // It has its titles even if nothing is in it.
    Ok(out.write_all(table.take().as_bytes())?)
}

fn titles() -> Table {
    let mut table = Table::default();
    let titles = ["prefix", "is", "by", "age", "left", "configured"];
    table.row(titles.map(str::to_owned));
    table
}

fn row(table: &mut Table, listed: &ListedPrefix) {
    let none = || "-".to_owned();
    let command = listed.command.as_ref();
    let left = command.and_then(|command| command.seconds_left);
    table.row([
        listed.prefix.to_string(),
        listed.listing.to_string(),
        command.map_or_else(
            || "configuration".to_owned(),
            |command| format!("command of user {}", command.uid),
        ),
        command.map_or_else(none, |command| age(command.age_s)),
        left.map_or_else(none, age),
        listed.configured.map_or_else(none, |it| it.to_string()),
    ]);
}

/// What deserves a second look.
fn cautions(listing: Listing, prefixes: &[IpNet], own: &[IpAddr]) -> Vec<String> {
    let blocks = listing == Listing::Blocked;
    let mut cautions = Vec::new();
    for prefix in prefixes {
        let mut caution = |text: &str| {
            let hint = format!("`ikexdp unlist {prefix}` takes it back");
            cautions.push(format!("{prefix} {text}; hint: {hint}"));
        };
        if prefix.prefix_len() == 0 {
            caution(if blocks {
                "keeps out everybody who is not allowed"
            } else {
                "limits nobody"
            });
        } else if blocks && own.iter().any(|address| prefix.contains(address)) {
            caution("has an address of this host in it");
        }
    }
    cautions
}

/// The addresses of this host, if the kernel tells them.
fn own_addresses() -> Vec<IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| interface.address);
    let addresses = addresses.filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|it| it.ip().into());
        v4.or_else(|| address.as_sockaddr_in6().map(|it| it.ip().into()))
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::ListCommand;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| prefix(text).unwrap()).collect()
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_what_is_meant() {
        assert_eq!(prefix("192.0.2.7"), Ok("192.0.2.7/32".parse().unwrap()));
        assert_eq!(
            prefix("2001:db8::/32"),
            Ok("2001:db8::/32".parse().unwrap())
        );
        for (text, hint) in [
            (
                "10.0.0.1/8",
                "bits are set behind the prefix length: 10.0.0.1/8; hint: write \"10.0.0.0/8\"",
            ),
            (
                "kim",
                "neither a prefix nor an address: kim; hint: write a prefix such as",
            ),
        ] {
            let error = prefix(text).unwrap_err();
            assert!(error.starts_with(hint), "{error}");
        }
    }

    #[test]
    fn a_prefix_is_asked_for_once_and_no_more_than_go_together() {
        let twice = nets(&["192.0.2.7", "::/0", "::ffff:192.0.2.7", "192.0.2.7/32"]);
        assert_eq!(distinct(&twice).unwrap(), nets(&["192.0.2.7", "::/0"]));
        let hosts = |count| (0..count).map(|host: u32| IpAddr::from(host.to_be_bytes()).into());
        let mut most: Vec<IpNet> = hosts(PREFIXES_MAX as u32).collect();
        most.extend(most.clone());
        assert_eq!(distinct(&most).unwrap().len(), PREFIXES_MAX);
        let more: Vec<IpNet> = hosts(PREFIXES_MAX as u32 + 1).collect();
        let error = distinct(&more).unwrap_err().to_string();
        assert!(
            error.starts_with("1025 prefixes, and a command takes 1024"),
            "{error}"
        );
    }

    #[test]
    fn what_is_hardly_meant_is_warned_of() {
        let own = ["198.51.100.2".parse().unwrap()];
        let of = |listing, text| cautions(listing, &nets(&[text]), &own);
        for (text, caution) in [
            ("0.0.0.0/0", "0.0.0.0/0 keeps out everybody"),
            (
                "198.51.100.0/24",
                "198.51.100.0/24 has an address of this host",
            ),
        ] {
            let cautions = of(Listing::Blocked, text);
            let [one] = cautions.as_slice() else {
                panic!("one caution: {cautions:?}")
            };
            assert!(one.starts_with(caution), "{one}");
            assert!(one.contains("; hint: `ikexdp unlist "), "{one}");
        }
        assert_eq!(of(Listing::Blocked, "203.0.113.0/24").len(), 0);
        assert_eq!(of(Listing::Allowed, "198.51.100.0/24").len(), 0);
        assert_eq!(
            of(Listing::Allowed, "::/0"),
            ["::/0 limits nobody; hint: `ikexdp unlist ::/0` takes it back"]
        );
    }

    #[test]
    fn a_row_says_what_holds_and_what_it_holds_in_place_of() {
        let mut table = titles();
        let command = ListCommand {
            uid: 0,
            pid: Some(7),
            age_s: 61,
            seconds_left: Some(3600),
        };
        let [one, other] = nets(&["192.0.2.0/24", "2001:db8::/32"])[..] else {
            panic!("two")
        };
        for listed in [
            ListedPrefix {
                prefix: one,
                listing: Listing::Blocked,
                configured: Some(Listing::Allowed),
                command: Some(command),
            },
            ListedPrefix {
                prefix: other,
                listing: Listing::Allowed,
                configured: Some(Listing::Allowed),
                command: None,
            },
        ] {
            row(&mut table, &listed);
        }
        let expected = "\
prefix         is       by                 age    left  configured
192.0.2.0/24   blocked  command of user 0  1m 1s  1h    allowed
2001:db8::/32  allowed  configuration      -      -     allowed
";
        assert_eq!(table.to_string(), expected);
    }
}
