//! The table `defence`: what strangers may have done for them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ikexdp_proto::config::{Cookies, Gate};
use ipnet::IpNet;
use toml::Spanned;

use super::algorithms::choice;
use super::caution::Caution;
use super::context::Context;
use super::fault::Fault;
use super::file;
use super::file::Text;
use super::numbers::between;
use super::problem::Key;
use super::settings::{Defence, Transport};
use crate::prefix::canonical;

/// A million of a kind in a second is more than one thread can be sent.
const RATE_MAX: u32 = 1_000_000;

/// Sources that limits can be kept of: some 64 octets each, taken at start.
const SOURCES_MAX: u32 = 1 << 22;

/// A value of `cookies`, by its name.
#[derive(Clone, Copy)]
pub(super) struct Named(pub(super) Cookies);

impl Named {
    const ALL: [Self; 3] = [
        Self(Cookies::Automatic),
        Self(Cookies::Always),
        Self(Cookies::Off),
    ];
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Cookies::Automatic => "automatic",
            Cookies::Always => "always",
            Cookies::Off => "off",
        })
    }
}

/// What the table adds to `gate`, which has what `gateway` says of it.
pub(super) fn gate(cx: &mut Context<'_>, table: &file::Defence, gate: Gate) -> Option<Gate> {
    let key = Key::of("defence");
    let cookies = match &table.cookies {
        Some(text) => choice(cx, &key.at("cookies"), text, &Named::ALL).map(|named| named.0),
        None => Some(gate.cookies),
    };
    if let (Some(Cookies::Off), Some(text)) = (cookies, &table.cookies) {
        let caution = Caution::NoCookies;
        cx.problems
            .caution(&key.at("cookies"), text.span(), caution);
    }
    let mut rate = |field, number, default| rate_of(cx, &key.at(field), number, default);
    let cookie_rate = rate("cookie-rate", &table.cookie_rate, gate.cookie_rate);
    let init_rate = rate("init-rate", &table.init_rate, gate.init_rate);
    let init_rate_per_source = rate(
        "init-rate-per-source",
        &table.init_rate_per_source,
        gate.init_rate_per_source,
    );
    let init_burst_per_source = rate(
        "init-burst-per-source",
        &table.init_burst_per_source,
        gate.init_burst_per_source,
    );
    let half_open_per_source = match &table.half_open_per_source {
        Some(most) => between(cx, &key.at("half-open-per-source"), most, 1..=u32::MAX)
            .and_then(|most| usize::try_from(most).ok()),
        None => Some(gate.half_open_per_source.min(gate.half_open_max)),
    };
    Some(Gate {
        cookies: cookies?,
        cookie_rate: cookie_rate?,
        half_open_per_source: half_open_per_source?,
        init_rate: init_rate?,
        init_rate_per_source: init_rate_per_source?,
        init_burst_per_source: init_burst_per_source?,
        ..gate
    })
}

pub(super) fn defence(cx: &mut Context<'_>, table: &file::Defence) -> Option<Defence> {
    let key = Key::of("defence");
    let default = Defence::default();
    let sources = match &table.sources {
        Some(sources) => between(cx, &key.at("sources"), sources, 1..=SOURCES_MAX),
        None => Some(default.sources),
    };
    let node = match &table.node {
        Some(node) => between(cx, &key.at("node"), node, 0..=u8::MAX.into())
            .and_then(|node| u8::try_from(node).ok()),
        None => Some(default.node),
    };
    let allow = prefixes(cx, &key.at("allow"), &table.allow);
    let block = prefixes(cx, &key.at("block"), &table.block);
    let (allow, block) = (allow?, block?);
    compare(cx, table, &allow);
    Some(Defence {
        sources: sources?,
        node: node?,
        allow,
        block,
    })
}

/// Warns of keys that do nothing without XDP.
pub(super) fn consider(cx: &mut Context<'_>, table: &file::Defence, transport: &Transport) {
    if matches!(transport, Transport::Xdp(_)) {
        return;
    }
    let key = Key::of("defence");
    if let Some(sources) = &table.sources {
        let caution = Caution::OnlyXdp;
        cx.problems
            .caution(&key.at("sources"), sources.span(), caution);
    }
}

fn rate_of(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    number: &Option<Spanned<u32>>,
    default: u32,
) -> Option<u32> {
    match number {
        Some(number) => between(cx, key, number, 1..=RATE_MAX),
        None => Some(default),
    }
}

/// A prefix, or an address that stands for itself.
///
/// # Errors
/// [`Fault`] if it is neither, or says more than a prefix does.
pub fn prefix(value: &str) -> Result<IpNet, Fault> {
    let address = || value.parse::<IpAddr>().map(IpNet::from);
    match value.parse::<IpNet>().or_else(|_| address()) {
        Ok(prefix) if prefix.trunc() == prefix => Ok(canonical(prefix)),
        Ok(value) => Err(Fault::HostBits { value }),
        Err(_) => Err(Fault::Prefix {
            value: value.to_owned(),
        }),
    }
}

fn prefixes(cx: &mut Context<'_>, key: &Key<'_>, texts: &[Text]) -> Option<BTreeSet<IpNet>> {
    let prefixes = texts.iter().map(|text| match prefix(text.get_ref()) {
        Ok(prefix) => Some(prefix),
        Err(fault) => cx.problems.fault(key, text.span(), fault),
    });
    // Every wrong one is reported, not only the first.
    let prefixes: Vec<_> = prefixes.collect();
    prefixes.into_iter().collect()
}

/// What cannot be meant, or hardly.
fn compare(cx: &mut Context<'_>, table: &file::Defence, allow: &BTreeSet<IpNet>) {
    let key = Key::of("defence");
    for text in &table.block {
        let Ok(value) = prefix(text.get_ref()) else {
            continue;
        };
        if allow.contains(&value) {
            cx.problems
                .fault::<()>(&key.at("block"), text.span(), Fault::Listed { value });
        } else if value.prefix_len() == 0 {
            let caution = Caution::BlocksAll;
            cx.problems.caution(&key.at("block"), text.span(), caution);
        }
    }
    for text in &table.allow {
        if prefix(text.get_ref()).is_ok_and(|prefix| prefix.prefix_len() == 0) {
            let caution = Caution::AllowsAll;
            cx.problems.caution(&key.at("allow"), text.span(), caution);
        }
    }
}
