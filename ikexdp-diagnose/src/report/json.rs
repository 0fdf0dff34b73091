//! The report for programs. What is here stays; more may be added.
//!
//! Times in seconds are counted from the first frame of the first capture; with two captures those of the second are
//! corrected by `clock_offset_s`. Frames are counted from 1, captures from 0.
//!
//! ```text
//! { "captures": [ { "file", "format", "frames", "first": "RFC 3339"|null, "last", "ike_messages", "ip_fragments",
//!                   "truncated": null|"why", "vantage": "client|gateway|unknown", "notes": [], "comments": [] } ],
//!   "clock_offset_s": null|number,
//!   "attempts": [ { "number", "initiator_spi": "16 hex digits", "responder_spi", "client": "address:port", "gateway",
//!                   "client_is": null|"Windows", "started_s", "duration_s", "outcome": "established|failed|open",
//!                   "verdict": null|{ "id", "says", "side": "client|gateway|path|either", "windows": [809],
//!                                     "remedy": null|{ "says", "command": null|"…" },
//!                                     "confidence": "certain|likely|possible" },
//!                   "evidence": [ { "capture", "frames": [], "says" } ],
//!                   "esp": { "from_client", "from_gateway" },
//!                   "inside": null|{ "sealed": count, "messages": [ { "capture", "frames": [], "time_s", "from", "exchange",
//!                                    "message_id", "response", "fragments": count, "length",
//!                                    "payloads": [ { "name": "IDi", "length", "says" } ] } ],
//!                                    "remarks": [ { "about": "client|gateway", "fault": bool, "says" } ] },
//!                   "messages": [ { "capture", "frame", "frames": [], "time_s", "from": "client|gateway", "source",
//!                                   "destination", "source_port", "destination_port", "exchange", "message_id",
//!                                   "response": bool, "datagram_len", "message_len", "fragment": null|[n, m],
//!                                   "ip_fragments": null|{ "whole": bool, "pieces": [ { "offset", "length", "more", "frame" } ] },
//!                                   "repeat_of": null|frame, "seen_as": null|{ "capture", "frame" },
//!                                   "notifies": [] } ],
//!                   "messages_left_out" } ],
//!   "verdict": null|{ as above, of the captures as a whole } }
//! ```

use ikexdp_proto::wire::iana::NotifyType;
use serde::Serialize;

use super::inside::Inside;
use super::{date, exchange, seconds, sender, zero};
use crate::contents::Contents;
use crate::message::Message;
use crate::model;
use crate::time::Moment;
use crate::verdict;

/// What is to be written, of `report`.
#[must_use]
pub fn of(report: &model::Report) -> impl Serialize + use<> {
    let zero = zero(report);
    Report {
        captures: report.captures.iter().map(Capture::of).collect(),
        clock_offset_s: report.clock_offset.map(|offset| {
            let length = Moment(offset.unsigned_abs());
            if offset < 0 {
                seconds(Moment(0), length)
            } else {
                seconds(length, Moment(0))
            }
        }),
        attempts: report
            .attempts
            .iter()
            .map(|attempt| Attempt::of(attempt, zero))
            .collect(),
        verdict: report
            .verdict
            .as_ref()
            .map(|verdict| Verdict::of(verdict, model::Confidence::Certain)),
    }
}

#[derive(Serialize)]
struct Report {
    captures: Vec<Capture>,
    clock_offset_s: Option<f64>,
    attempts: Vec<Attempt>,
    verdict: Option<Verdict>,
}

#[derive(Serialize)]
struct Capture {
    file: String,
    format: &'static str,
    frames: u64,
    first: Option<String>,
    last: Option<String>,
    ike_messages: u64,
    ip_fragments: u64,
    truncated: Option<String>,
    vantage: &'static str,
    notes: Vec<String>,
    comments: Vec<String>,
}

#[derive(Serialize)]
struct Attempt {
    number: usize,
    initiator_spi: String,
    responder_spi: String,
    client: String,
    gateway: String,
    client_is: Option<&'static str>,
    started_s: f64,
    duration_s: f64,
    outcome: &'static str,
    verdict: Option<Verdict>,
    evidence: Vec<Evidence>,
    esp: Esp,
    inside: Option<Inside>,
    messages: Vec<Row>,
    messages_left_out: u64,
}

#[derive(Serialize)]
struct Verdict {
    id: &'static str,
    says: String,
    side: &'static str,
    windows: &'static [u16],
    remedy: Option<Remedy>,
    confidence: &'static str,
}

#[derive(Serialize)]
struct Remedy {
    says: String,
    command: Option<String>,
}

#[derive(Serialize)]
struct Evidence {
    capture: usize,
    frames: Vec<u64>,
    says: String,
}

#[derive(Serialize)]
struct Esp {
    from_client: u64,
    from_gateway: u64,
}

#[derive(Serialize)]
struct Row {
    capture: usize,
    frame: u64,
    frames: Vec<u64>,
    time_s: f64,
    from: &'static str,
    source: String,
    destination: String,
    source_port: u16,
    destination_port: u16,
    exchange: String,
    message_id: u32,
    response: bool,
    datagram_len: usize,
    message_len: usize,
    fragment: Option<[u16; 2]>,
    ip_fragments: Option<IpFragments>,
    repeat_of: Option<u64>,
    seen_as: Option<Place>,
    notifies: Vec<String>,
}

#[derive(Serialize)]
struct IpFragments {
    whole: bool,
    pieces: Vec<Piece>,
}

#[derive(Serialize)]
struct Piece {
    offset: u32,
    length: u32,
    more: bool,
    frame: u64,
}

#[derive(Serialize)]
struct Place {
    capture: usize,
    frame: u64,
}

impl Capture {
    fn of(capture: &model::Capture) -> Self {
        Self {
            file: capture.file.clone(),
            format: capture.format,
            frames: capture.frames,
            first: capture.first.map(date),
            last: capture.last.map(date),
            ike_messages: capture.ike_messages,
            ip_fragments: capture.ip_fragments,
            truncated: capture.truncated.clone(),
            vantage: capture.vantage.name(),
            notes: capture.notes.clone(),
            comments: capture.comments.clone(),
        }
    }
}

impl Attempt {
    fn of(attempt: &model::Attempt, zero: Moment) -> Self {
        let times = attempt.messages.iter().map(|message| message.time);
        let first = times.clone().min().unwrap_or_default();
        let last = times.max().unwrap_or_default();
        let finding = attempt.finding.as_ref();
        let evidence = finding.map_or(&[][..], |finding| &finding.evidence);
        Self {
            number: attempt.number,
            initiator_spi: attempt.initiator_spi.to_string(),
            responder_spi: attempt.responder_spi.to_string(),
            client: attempt.client.to_string(),
            gateway: attempt.gateway.to_string(),
            client_is: attempt.client_is,
            started_s: seconds(first, zero),
            duration_s: seconds(last, first),
            outcome: attempt.outcome.name(),
            verdict: finding.map(|finding| Verdict::of(&finding.verdict, finding.confidence)),
            evidence: evidence.iter().map(Evidence::of).collect(),
            esp: Esp {
                from_client: attempt.esp.from_client,
                from_gateway: attempt.esp.from_gateway,
            },
            inside: attempt.inside.as_ref().map(|it| Inside::of(it, zero)),
            messages: attempt
                .messages
                .iter()
                .map(|message| Row::of(message, attempt, zero))
                .collect(),
            messages_left_out: attempt.messages_left_out,
        }
    }
}

impl Verdict {
    fn of(verdict: &verdict::Verdict, confidence: model::Confidence) -> Self {
        Self {
            id: verdict.id(),
            says: verdict.to_string(),
            side: verdict.side().name(),
            windows: verdict.windows(),
            remedy: verdict.remedy().map(|remedy| Remedy {
                says: remedy.says.into_owned(),
                command: remedy.command.map(std::borrow::Cow::into_owned),
            }),
            confidence: confidence.name(),
        }
    }
}

impl Evidence {
    fn of(evidence: &model::Evidence) -> Self {
        let model::Evidence {
            capture,
            frames,
            says,
        } = evidence.clone();
        Self {
            capture,
            frames,
            says,
        }
    }
}

impl Row {
    fn of(message: &Message, attempt: &model::Attempt, zero: Moment) -> Self {
        let at = |index: usize| attempt.messages.get(index);
        let frame = |message: &Message| message.frames.first().copied().unwrap_or_default();
        let notifies = match &message.contents {
            Contents::Clear(clear) => clear.notifies.iter().map(NotifyType::to_string).collect(),
            _ => Vec::new(),
        };
        let pieces = message.pieces.iter().map(|piece| Piece {
            offset: piece.offset,
            length: piece.length,
            more: piece.more,
            frame: piece.frame,
        });
        let pieces: Vec<Piece> = pieces.collect();
        Self {
            capture: message.capture,
            frame: frame(message),
            frames: message.frames.clone(),
            time_s: seconds(message.time, zero),
            from: sender(message.direction),
            source: message.source.to_string(),
            destination: message.destination.to_string(),
            source_port: message.source.port(),
            destination_port: message.destination.port(),
            exchange: exchange(message),
            message_id: message.header.message_id.0,
            response: message.header.response,
            datagram_len: message.datagram_len,
            message_len: message.message_len,
            fragment: message
                .fragment
                .map(|fragment| [fragment.number, fragment.total]),
            ip_fragments: (!pieces.is_empty()).then_some(IpFragments {
                whole: message.whole,
                pieces,
            }),
            repeat_of: message.repeat_of.and_then(at).map(frame),
            seen_as: message.seen_as.and_then(at).map(|seen| Place {
                capture: seen.capture,
                frame: frame(seen),
            }),
            notifies,
        }
    }
}
