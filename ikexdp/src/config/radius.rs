//! Servers that know users.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::Spanned;

use super::caution::Caution;
use super::context::Context;
use super::credential::{Source, secret, sole};
use super::fault::Fault;
use super::file::{self, Text, Texts};
use super::numbers::{between, duration};
use super::problem::Key;
use crate::radius::limits::{INTERIM_INTERVAL_MAX, INTERIM_INTERVAL_MIN, SERVERS_MAX};
use crate::radius::{
    ACCOUNTING_PORT, AUTHENTICATION_PORT, AccountingSettings, DISCONNECT_PORT, DisconnectSettings,
    Settings,
};

/// Octets of a secret below which it can be guessed (RFC 2865 §3).
const SECRET_LEN_MIN: usize = 16;

/// Longest NAS-Identifier.
const NAS_IDENTIFIER_LEN_MAX: usize = 253;

/// A server that does not answer within this is of no use to a client that waits.
const TIMEOUT_MAX: Duration = Duration::from_secs(16);

/// Times a request is sent.
const TRIES_MAX: u32 = 10;

/// A longer dead time is a mistake: servers come back.
const DEAD_TIME_MAX: Duration = Duration::from_secs(3600);

/// Reads every table.
pub(super) fn tables(
    cx: &mut Context<'_>,
    tables: &[Spanned<file::Radius>],
) -> Option<Vec<Settings>> {
    let mut names: Vec<&str> = Vec::with_capacity(tables.len());
    let mut read = Vec::with_capacity(tables.len());
    for table in tables.iter().map(Spanned::get_ref) {
        let name = table.name.get_ref();
        let key = Key::named("radius", name);
        cx.take_name(&mut names, &key, &table.name);
        read.push(settings(cx, &key, table));
    }
    let mut listening: BTreeMap<SocketAddr, &str> = BTreeMap::new();
    for (settings, table) in read.iter().zip(tables) {
        let span = table.get_ref().disconnect.as_ref().map(Spanned::span);
        let (Some(settings), Some(span)) = (settings, span) else {
            continue;
        };
        let Some(disconnect) = &settings.disconnect else {
            continue;
        };
        if let Some(other) = listening.insert(disconnect.listen, &settings.name) {
            let (value, other) = (disconnect.listen, other.to_owned());
            let fault = Fault::ListensAlready { value, other };
            let key = Key::named("radius", &settings.name);
            cx.problems
                .fault::<()>(&key.at("disconnect.listen"), span, fault);
        }
    }
    read.into_iter().collect()
}

fn settings(cx: &mut Context<'_>, key: &Key<'_>, table: &file::Radius) -> Option<Settings> {
    let servers = servers(cx, &key.at("servers"), &table.servers, AUTHENTICATION_PORT);
    let given = [
        ("secret", table.secret.as_ref().map(Source::Secret)),
        (
            "secret-file",
            table.secret_file.as_ref().map(Source::SecretFile),
        ),
    ];
    let example = "secret-file = \"radius.secret\"";
    let source = sole(cx, key, ("secret", table.name.span()), given, example);
    let shared = source.and_then(|(name, source)| {
        let key = key.at(name);
        let secret = secret(cx, &key, &source)?;
        let length = secret.expose().len();
        if length < SECRET_LEN_MIN {
            let caution = Caution::ShortRadiusSecret { length };
            cx.problems.caution(&key, source.span(), caution);
        }
        Some(secret)
    });
    let mut bounded = |field, text: &Option<Text>, max| match text {
        Some(text) => at_most(cx, &key.at(field), text, max).map(Some),
        None => Some(None),
    };
    let timeout = bounded("timeout", &table.timeout, TIMEOUT_MAX);
    let dead_time = bounded("dead-time", &table.dead_time, DEAD_TIME_MAX);
    let tries = match &table.tries {
        Some(tries) => between(cx, &key.at("tries"), tries, 1..=TRIES_MAX).map(Some),
        None => Some(None),
    };
    let nas_identifier = nas_identifier(cx, key, table);
    let source_address = source_address(cx, key, table, servers.as_deref());
    let accounting = accounting(cx, key, table, servers.as_deref());
    let disconnect = disconnect(cx, key, table, servers.as_deref());
    let default = Settings::new(table.name.get_ref(), servers?, shared?);
    Some(Settings {
        timeout: timeout?.unwrap_or(default.timeout),
        tries: tries?.unwrap_or(default.tries),
        dead_time: dead_time?.unwrap_or(default.dead_time),
        nas_identifier: nas_identifier?.unwrap_or(default.nas_identifier.clone()),
        source_address: source_address?,
        accounting: accounting?,
        disconnect: disconnect?,
        ..default
    })
}

/// A length of time that is at most `max`.
fn at_most(cx: &mut Context<'_>, key: &Key<'_>, text: &Text, max: Duration) -> Option<Duration> {
    let found = duration(cx, key, text)?;
    if found <= max {
        return Some(found);
    }
    let value = text.get_ref().clone();
    let fault = Fault::TooLong { value, max };
    cx.problems.fault(key, text.span(), fault)
}

fn servers(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    texts: &Texts,
    port: u16,
) -> Option<Vec<SocketAddr>> {
    if texts.get_ref().is_empty() {
        let example = "[\"192.0.2.10\"]";
        let fault = Fault::Empty { example };
        return cx.problems.fault(key, texts.span(), fault);
    }
    if texts.get_ref().len() > SERVERS_MAX {
        let fault = Fault::TooMany { max: SERVERS_MAX };
        return cx.problems.fault(key, texts.span(), fault);
    }
    // Every wrong address is reported, not only the first.
    let texts = texts.get_ref().iter();
    let servers: Vec<_> = texts.map(|text| socket(cx, key, text, port)).collect();
    servers.into_iter().collect()
}

/// An address with its port, or with the usual one.
pub(super) fn socket(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    text: &Text,
    port: u16,
) -> Option<SocketAddr> {
    let value = text.get_ref();
    let with_port = value.parse().ok();
    let usual = || {
        let address: IpAddr = value.parse().ok()?;
        Some(SocketAddr::new(address, port))
    };
    with_port.or_else(usual).or_else(|| {
        let value = value.clone();
        cx.problems.fault(key, text.span(), Fault::Socket { value })
    })
}

fn nas_identifier(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Radius,
) -> Option<Option<String>> {
    let Some(text) = &table.nas_identifier else {
        return Some(None);
    };
    let value = text.get_ref().clone();
    if (1..=NAS_IDENTIFIER_LEN_MAX).contains(&value.len()) {
        return Some(Some(value));
    }
    let max = NAS_IDENTIFIER_LEN_MAX;
    let fault = Fault::TextLength { value, max };
    cx.problems
        .fault(&key.at("nas-identifier"), text.span(), fault)
}

fn source_address(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Radius,
    servers: Option<&[SocketAddr]>,
) -> Option<Option<IpAddr>> {
    let Some(text) = &table.source_address else {
        return Some(None);
    };
    let key = key.at("source-address");
    let Ok(address) = text.get_ref().parse::<IpAddr>() else {
        let value = text.get_ref().clone();
        return cx
            .problems
            .fault(&key, text.span(), Fault::Address { value });
    };
    let mut servers = servers.unwrap_or_default().iter();
    match servers.find(|server| server.is_ipv4() != address.is_ipv4()) {
        Some(server) => {
            let (value, other) = (address, *server);
            let fault = Fault::Family { value, other };
            cx.problems.fault(&key, text.span(), fault)
        }
        None => Some(Some(address)),
    }
}

fn accounting(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Radius,
    servers: Option<&[SocketAddr]>,
) -> Option<Option<AccountingSettings>> {
    let own = match &table.accounting_servers {
        Some(texts) => {
            let key = key.at("accounting-servers");
            self::servers(cx, &key, texts, ACCOUNTING_PORT).map(Some)
        }
        None => Some(None),
    };
    let interim_interval = match &table.interim_interval {
        Some(text) => interim_interval(cx, &key.at("interim-interval"), text).map(Some),
        None => Some(None),
    };
    if !table.accounting.as_ref().is_some_and(|it| *it.get_ref()) {
        let spans = [
            (
                "accounting-servers",
                table.accounting_servers.as_ref().map(Spanned::span),
            ),
            (
                "interim-interval",
                table.interim_interval.as_ref().map(Spanned::span),
            ),
        ];
        for (field, span) in spans {
            if let Some(span) = span {
                cx.problems
                    .caution(&key.at(field), span, Caution::OnlyAccounting);
            }
        }
        return Some(None);
    }
    let beside = |server: &SocketAddr| SocketAddr::new(server.ip(), ACCOUNTING_PORT);
    let servers = match own? {
        Some(own) => own,
        None => servers?.iter().map(beside).collect(),
    };
    Some(Some(AccountingSettings {
        servers,
        interim_interval: interim_interval?,
    }))
}

fn interim_interval(cx: &mut Context<'_>, key: &Key<'_>, text: &Text) -> Option<Duration> {
    let interval = at_most(cx, key, text, INTERIM_INTERVAL_MAX)?;
    if interval >= INTERIM_INTERVAL_MIN {
        return Some(interval);
    }
    let fault = Fault::TooShort {
        value: text.get_ref().clone(),
        min: INTERIM_INTERVAL_MIN,
    };
    cx.problems.fault(key, text.span(), fault)
}

fn disconnect(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Radius,
    servers: Option<&[SocketAddr]>,
) -> Option<Option<DisconnectSettings>> {
    let Some(table) = table.disconnect.as_ref().map(Spanned::get_ref) else {
        return Some(None);
    };
    let listen = socket(
        cx,
        &key.at("disconnect.listen"),
        &table.listen,
        DISCONNECT_PORT,
    );
    let clients = match &table.clients {
        Some(texts) => clients(cx, &key.at("disconnect.clients"), texts),
        None => servers.map(|servers| servers.iter().map(|it| it.ip().to_canonical()).collect()),
    };
    Some(Some(DisconnectSettings {
        listen: listen?,
        clients: clients?,
        require_message_authenticator: table.require_message_authenticator.unwrap_or(false),
    }))
}

fn clients(cx: &mut Context<'_>, key: &Key<'_>, texts: &Texts) -> Option<Vec<IpAddr>> {
    if texts.get_ref().is_empty() {
        let example = "[\"192.0.2.10\"]";
        let fault = Fault::Empty { example };
        return cx.problems.fault(key, texts.span(), fault);
    }
    let clients = texts.get_ref().iter().map(|text| {
        let address = text.get_ref().parse().ok();
        let address = address.map(|address: IpAddr| address.to_canonical());
        address.or_else(|| {
            let value = text.get_ref().clone();
            cx.problems
                .fault(key, text.span(), Fault::Address { value })
        })
    });
    let clients: Vec<_> = clients.collect();
    clients.into_iter().collect()
}

#[cfg(test)]
mod tests;
