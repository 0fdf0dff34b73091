//! What keys have shown, for people and for programs.

use std::fmt::{self, Write};

use serde::Serialize;

use super::{exchange_name, seconds, sender};
use crate::inside;
use crate::inside::Weight;
use crate::printable::printable;
use crate::time::Moment;

/// Octets of a payload's words that are shown at a terminal.
const SAYS_SHOWN: usize = 400;

/// The same as JSON.
#[derive(Serialize)]
pub(super) struct Inside {
    sealed: usize,
    messages: Vec<Opened>,
    remarks: Vec<Remark>,
}

#[derive(Serialize)]
struct Opened {
    capture: usize,
    frames: Vec<u64>,
    time_s: f64,
    from: &'static str,
    exchange: String,
    message_id: u32,
    response: bool,
    fragments: u16,
    length: usize,
    payloads: Vec<Payload>,
}

#[derive(Serialize)]
struct Payload {
    name: String,
    length: usize,
    says: String,
}

#[derive(Serialize)]
struct Remark {
    about: &'static str,
    fault: bool,
    says: String,
}

impl Inside {
    pub(super) fn of(inside: &inside::Inside, zero: Moment) -> Self {
        Self {
            sealed: inside.sealed,
            messages: inside
                .messages
                .iter()
                .map(|opened| Opened::of(opened, zero))
                .collect(),
            remarks: inside.remarks.iter().map(Remark::of).collect(),
        }
    }
}

impl Opened {
    fn of(opened: &inside::Opened, zero: Moment) -> Self {
        let payloads = opened.payloads.iter().map(|payload| Payload {
            name: payload.name.clone(),
            length: payload.length,
            says: payload.says.clone(),
        });
        Self {
            capture: opened.capture,
            frames: opened.frames.clone(),
            time_s: seconds(opened.time, zero),
            from: sender(opened.direction),
            exchange: exchange_name(opened.exchange),
            message_id: opened.message_id.0,
            response: opened.response,
            fragments: opened.fragments,
            length: opened.length,
            payloads: payloads.collect(),
        }
    }
}

impl Remark {
    fn of(remark: &inside::Remark) -> Self {
        Self {
            about: sender(remark.about),
            fault: remark.weight == Weight::Fault,
            says: remark.says.clone(),
        }
    }
}

/// Writes it below an attempt whose first message was at `first`.
pub(super) fn write(text: &mut String, inside: &inside::Inside, first: Moment) -> fmt::Result {
    if inside.messages.is_empty() {
        return writeln!(text, "  inside: the keys open none of its messages");
    }
    writeln!(text, "  inside:")?;
    for opened in &inside.messages {
        let kind = if opened.response {
            "response"
        } else {
            "request"
        };
        let (exchange, number) = (exchange_name(opened.exchange), opened.message_id.0);
        writeln!(
            text,
            "    {:>9.3} s {:>7}: {exchange} {kind} {number}, {} octets",
            seconds(opened.time, first),
            sender(opened.direction),
            opened.length,
        )?;
        for payload in &opened.payloads {
            let says: String = printable(&payload.says).chars().take(SAYS_SHOWN).collect();
            let (name, length) = (printable(&payload.name), payload.length);
            writeln!(text, "      {name:<8} {length:>5} octets  {says}")?;
        }
    }
    if inside.sealed > 0 {
        let sealed = inside.sealed;
        writeln!(
            text,
            "    not opened: {sealed} datagrams, of other keys or not captured whole"
        )?;
    }
    for remark in &inside.remarks {
        let weight = match remark.weight {
            Weight::Fault => "fault",
            Weight::Note => "note",
        };
        writeln!(text, "    {weight}: {}", printable(&remark.says))?;
    }
    Ok(())
}
