//! How long the SAs of a connection live, and how many a peer may have.

use std::fmt::{self, Display};
use std::time::Duration;

use ikexdp_proto::config::{Lifetimes, Uniqueness};
use toml::Spanned;

use super::algorithms::choice;
use super::context::Context;
use super::fault::Fault;
use super::file::{self, Text};
use super::numbers::{between, duration};
use super::problem::Key;

/// Rekeying begins in the last fifth of a lifetime: in less than this it would not
/// be done before the end.
const LIFETIME_MIN: Duration = Duration::from_secs(10);

/// The same for what a CHILD SA may carry: 0.2 MB are some round trips of a fast
/// connection.
const OCTETS_MIN: u64 = 1_000_000;
const PACKETS_MIN: u64 = 1_000;

/// TOML has no larger number.
const NUMBER_MAX: u64 = i64::MAX.unsigned_abs();

pub(super) fn lifetimes(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Connection,
) -> Option<Lifetimes> {
    let default = Lifetimes::default();
    let ike = lifetime(
        cx,
        &key.at("ike-lifetime"),
        &table.ike_lifetime,
        default.ike,
    );
    let child = lifetime(
        cx,
        &key.at("child-lifetime"),
        &table.child_lifetime,
        default.child,
    );
    let mut limit = |field, number: &Option<Spanned<u64>>, min| match number {
        Some(number) => between(cx, &key.at(field), number, min..=NUMBER_MAX).map(Some),
        None => Some(None),
    };
    let child_octets = limit("child-octets", &table.child_octets, OCTETS_MIN);
    let child_packets = limit("child-packets", &table.child_packets, PACKETS_MIN);
    Some(Lifetimes {
        initiate_rekey: table.initiate_rekey.unwrap_or(default.initiate_rekey),
        ike: ike?,
        child: child?,
        child_octets: child_octets?,
        child_packets: child_packets?,
    })
}

fn lifetime(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    text: &Option<Text>,
    default: Duration,
) -> Option<Duration> {
    let Some(text) = text else {
        return Some(default);
    };
    let lifetime = duration(cx, key, text)?;
    if lifetime >= LIFETIME_MIN {
        return Some(lifetime);
    }
    let fault = Fault::TooShort {
        value: text.get_ref().clone(),
        min: LIFETIME_MIN,
    };
    cx.problems.fault(key, text.span(), fault)
}

pub(super) fn uniqueness(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    text: Option<&Text>,
) -> Option<Uniqueness> {
    const ALL: [Named; 3] = [
        Named(Uniqueness::Replace),
        Named(Uniqueness::Keep),
        Named(Uniqueness::Never),
    ];
    match text {
        Some(text) => choice(cx, &key.at("uniqueness"), text, &ALL).map(|Named(found)| found),
        None => Some(Uniqueness::default()),
    }
}

/// By the name it has in the file.
#[derive(Clone, Copy)]
pub(super) struct Named(pub(super) Uniqueness);

impl Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Uniqueness::Replace => "replace",
            Uniqueness::Keep => "keep",
            Uniqueness::Never => "never",
        })
    }
}

/// For people.
pub(super) struct Shown(pub(super) Lifetimes);

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lifetimes {
            initiate_rekey,
            ike,
            child,
            child_octets,
            child_packets,
        } = self.0;
        let [ike, child] = [ike, child].map(humantime::format_duration);
        write!(f, "{ike} of an IKE SA, {child}")?;
        if let Some(octets) = child_octets {
            write!(f, " or {octets} octets")?;
        }
        if let Some(packets) = child_packets {
            write!(f, " or {packets} packets")?;
        }
        let who = if initiate_rekey {
            "either side rekeys"
        } else {
            "only the peer rekeys"
        };
        write!(f, " of a CHILD SA; {who}")
    }
}
