//! Reports: for people at a terminal, and for programs.

pub mod html;
mod inside;
pub mod json;
pub mod text;

use std::time::{Duration, SystemTime};

use ikexdp_proto::wire::iana::ExchangeType;

use crate::contents::Contents;
use crate::message::Message;
use crate::model::Report;
use crate::time::Moment;
use crate::verdict::Direction;

/// What all times of a report are counted from: the first frame of the first capture.
fn zero(report: &Report) -> Moment {
    let first = report.captures.first().and_then(|capture| capture.first);
    let message = report
        .attempts
        .first()
        .and_then(|attempt| attempt.messages.first());
    first
        .or_else(|| message.map(|message| message.time))
        .unwrap_or_default()
}

/// Seconds from `zero`, to a microsecond; negative before it.
fn seconds(time: Moment, zero: Moment) -> f64 {
    let micros = |duration: Duration| {
        Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    };
    if time < zero {
        -micros(zero.since(time)).as_secs_f64()
    } else {
        micros(time.since(zero)).as_secs_f64()
    }
}

/// RFC 3339, to a microsecond.
fn date(time: Moment) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(time.0));
    time.map_or_else(String::new, |time| {
        humantime::format_rfc3339_micros(time).to_string()
    })
}

/// "client" or "gateway".
const fn sender(direction: Direction) -> &'static str {
    match direction {
        Direction::FromClient => "client",
        Direction::FromGateway => "gateway",
    }
}

/// The exchange by name.
fn exchange(message: &Message) -> String {
    if message.contents == Contents::Ikev1 {
        return "IKEv1".to_owned();
    }
    exchange_name(message.header.exchange)
}

/// The same of IKEv2, where a number without a name says what it is.
fn exchange_name(exchange: ExchangeType) -> String {
    let ExchangeType(number) = exchange;
    let name = exchange.to_string();
    if name == number.to_string() {
        format!("exchange {number}")
    } else {
        name
    }
}
