//! The report for people.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use super::inside;
use super::{date, exchange, seconds, sender, zero};
use crate::attempt::client_end;
use crate::contents::Contents;
use crate::message::Message;
use crate::model::{Attempt, Capture, Confidence, Evidence, Outcome, Report, Vantage};
use crate::printable::printable;
use crate::time::Moment;
use crate::verdict::Verdict;

/// Messages of one attempt that are shown.
const MESSAGES_SHOWN: usize = 100;

/// Writes the report on `report`. What captures and peers have written has no character that moves a cursor.
#[must_use]
pub fn of(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, report);
    // Each field that others write is filtered where it is written, so that it makes no line of its own; this is for
    // one that was forgotten.
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

fn write(text: &mut String, report: &Report) -> fmt::Result {
    for (index, capture) in report.captures.iter().enumerate() {
        self::capture(text, capture, index, report.captures.len())?;
    }
    if let Some(offset) = report.clock_offset {
        let length = seconds(Moment(offset.unsigned_abs()), Moment(0));
        let way = if offset < 0 { "behind" } else { "ahead of" };
        writeln!(
            text,
            "clocks: the gateway's is {length:.6} s {way} the client's, and corrected by that"
        )?;
    }
    let zero = zero(report);
    for attempt in &report.attempts {
        writeln!(text)?;
        self::attempt(text, attempt, report, zero)?;
    }
    if let Some(verdict) = &report.verdict {
        writeln!(text)?;
        self::verdict(text, verdict, Confidence::Certain)?;
    }
    if report.cannot_be_judged() {
        writeln!(
            text,
            "\nno verdict: nothing that could be read has IKE, and not all could be read"
        )?;
    } else if report.attempts.is_empty() && report.verdict.is_none() {
        writeln!(
            text,
            "\nno attempt: what there is of IKE is of other clients, or of IKE SAs that were up before"
        )?;
    }
    Ok(())
}

fn capture(text: &mut String, capture: &Capture, index: usize, count: usize) -> fmt::Result {
    let name = capture.file.escape_debug();
    let Capture {
        format,
        frames,
        ike_messages,
        ip_fragments,
        ..
    } = capture;
    write!(text, "{name}: {format}, frames: {frames}")?;
    if let (Some(first), Some(last)) = (capture.first, capture.last) {
        write!(
            text,
            " in {:.3} s from {}",
            seconds(last, first),
            date(first)
        )?;
    }
    write!(
        text,
        ", IKE messages: {ike_messages}, IP fragments: {ip_fragments}"
    )?;
    let made = match (count, index, capture.vantage) {
        (2, 0, _) => ", taken as the client's",
        (2, ..) => ", taken as the gateway's",
        (_, _, Vantage::Client) => ", made at the client as hop limits or directions tell",
        (_, _, Vantage::Gateway) => ", made at the gateway as hop limits or directions tell",
        (_, _, Vantage::Unknown) => "",
    };
    writeln!(text, "{made}")?;
    if let Some(why) = &capture.truncated {
        writeln!(text, "  not read to its end: {}", printable(why))?;
    }
    for note in &capture.notes {
        writeln!(text, "  note: {}", printable(note))?;
    }
    for comment in &capture.comments {
        writeln!(text, "  comment: {}", comment.escape_debug())?;
    }
    Ok(())
}

fn attempt(text: &mut String, attempt: &Attempt, report: &Report, zero: Moment) -> fmt::Result {
    let first = attempt
        .messages
        .first()
        .map_or(zero, |message| message.time);
    let last = attempt
        .messages
        .last()
        .map_or(first, |message| message.time);
    let outcome = match attempt.outcome {
        Outcome::Established => "established",
        Outcome::Failed => "FAILED",
        Outcome::Open => "open, the capture ends or does not tell",
    };
    let Attempt {
        number,
        client,
        gateway,
        ..
    } = attempt;
    writeln!(text, "attempt {number}: {outcome}")?;
    writeln!(
        text,
        "  client {client}{}, gateway {gateway}, SPIs {} {}, at {:.3} s for {:.3} s",
        attempt
            .client_is
            .map_or_else(String::new, |is| format!(" ({is})")),
        attempt.initiator_spi,
        attempt.responder_spi,
        seconds(first, zero),
        seconds(last, first),
    )?;
    nat(text, attempt)?;
    if let Some(finding) = &attempt.finding {
        verdict(text, &finding.verdict, finding.confidence)?;
        writeln!(text, "  evidence:")?;
        for evidence in &finding.evidence {
            self::evidence(text, evidence, report)?;
        }
    }
    if let Some(inside) = &attempt.inside {
        inside::write(text, inside, first)?;
    }
    if attempt.outcome != Outcome::Established {
        messages(text, attempt, report, first)?;
    }
    Ok(())
}

/// Whom the gateway sees, if a NAT has changed that.
fn nat(text: &mut String, attempt: &Attempt) -> fmt::Result {
    let ends = |capture: usize| {
        let messages = attempt
            .messages
            .iter()
            .filter(move |message| message.capture == capture);
        messages.map(client_end).collect::<BTreeSet<_>>()
    };
    let (sent, seen) = (ends(0), ends(1));
    let changed: Vec<String> = seen.difference(&sent).map(ToString::to_string).collect();
    if sent.is_empty() || changed.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "  a NAT is between; the gateway sees the client as {}",
        changed.join(", ")
    )
}

fn verdict(text: &mut String, verdict: &Verdict, confidence: Confidence) -> fmt::Result {
    let how = match confidence {
        Confidence::Certain => "",
        Confidence::Likely => "most likely, ",
        Confidence::Possible => "possibly, ",
    };
    let says = printable(&verdict.to_string());
    writeln!(text, "  verdict: {how}{says} [{}]", verdict.id())?;
    let codes: Vec<String> = verdict.windows().iter().map(ToString::to_string).collect();
    if !codes.is_empty() {
        writeln!(text, "  Windows shows: {}", codes.join(" or "))?;
    }
    writeln!(text, "  whose side: {}", verdict.side().name())?;
    if let Some(remedy) = verdict.remedy() {
        writeln!(text, "  hint: {}", printable(&remedy.says))?;
        if let Some(command) = remedy.command {
            writeln!(text, "      {}", printable(&command))?;
        }
    }
    Ok(())
}

fn evidence(text: &mut String, evidence: &Evidence, report: &Report) -> fmt::Result {
    let of = match (report.captures.len(), evidence.capture) {
        (2, 0) => "client's ",
        (2, _) => "gateway's ",
        _ => "",
    };
    let says = printable(&evidence.says);
    match evidence.frames.as_slice() {
        [] => writeln!(text, "    - {says}"),
        [frame] => writeln!(text, "    - {of}frame {frame}: {says}"),
        frames => writeln!(text, "    - {of}frames {}: {says}", runs(frames)),
    }
}

/// Numbers in order, those that follow each other as a range: "3, 5-7".
fn runs(numbers: &[u64]) -> String {
    let runs = numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    let runs = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        others => others.iter().map(ToString::to_string).collect(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn messages(text: &mut String, attempt: &Attempt, report: &Report, first: Moment) -> fmt::Result {
    writeln!(text, "  messages:")?;
    for message in attempt.messages.iter().take(MESSAGES_SHOWN) {
        self::message(text, message, attempt, report, first)?;
    }
    let left = attempt.messages.len().saturating_sub(MESSAGES_SHOWN);
    let left = u64::try_from(left)
        .unwrap_or(u64::MAX)
        .saturating_add(attempt.messages_left_out);
    if left > 0 {
        writeln!(text, "    and {left} more")?;
    }
    Ok(())
}

fn message(
    text: &mut String,
    message: &Message,
    attempt: &Attempt,
    report: &Report,
    first: Moment,
) -> fmt::Result {
    let frame = |message: &Message| message.frames.first().copied().unwrap_or_default();
    let other = sender(message.direction.reverse());
    let of = match (report.captures.len(), message.capture) {
        (2, 0) => "c",
        (2, _) => "g",
        _ => "",
    };
    let kind = match (&message.contents, message.header.response) {
        (Contents::Ikev1, _) => "message",
        (_, true) => "response",
        (_, false) => "request",
    };
    let from = format!("{}:{}", sender(message.direction), message.source.port());
    let to = format!("{other}:{}", message.destination.port());
    write!(
        text,
        "    {:>9.3} s {of}#{:<5} {from:>13} > {to:<13} {:>5} octets  {} {kind} {}",
        seconds(message.time, first),
        frame(message),
        message.datagram_len,
        exchange(message),
        message.header.message_id.0,
    )?;
    if let Some(fragment) = message.fragment {
        write!(text, ", fragment {} of {}", fragment.number, fragment.total)?;
    }
    match (message.pieces.len(), message.whole) {
        (0, _) => {}
        (count, true) => write!(text, ", in {count} IP fragments")?,
        (count, false) => write!(text, ", {count} IP FRAGMENTS OF MORE")?,
    }
    if let Contents::Unreadable(why) = message.contents
        && message.whole
    {
        write!(text, ", {why}")?;
    }
    if let Contents::Clear(clear) = &message.contents
        && let Some(error) = clear.error
    {
        write!(text, ", {error}")?;
    }
    let at = |index: usize| attempt.messages.get(index);
    if let Some(before) = message.repeat_of.and_then(at) {
        write!(text, ", repeats {of}#{}", frame(before))?;
    }
    if let Some(seen) = message.seen_as.and_then(at) {
        let of = match (report.captures.len(), seen.capture) {
            (2, 0) => "c",
            (2, _) => "g",
            _ => "",
        };
        write!(text, ", the same as {of}#{}", frame(seen))?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_follow_each_other_are_a_range() {
        assert_eq!(runs(&[3]), "3");
        assert_eq!(runs(&[3, 5, 6, 7, 9, 10]), "3, 5-7, 9-10");
    }
}
