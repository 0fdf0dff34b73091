//! The report as one page: whatever it is opened with, it asks for nothing more.
//!
//! There is no script, and a policy in the page forbids any, along with everything from elsewhere: what
//! captures have brought is shown, never run. All of it is escaped by the templates, and what would move a
//! cursor or turn around what is read leaves a mark.

mod attempt;
mod diagram;
mod rows;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{date, seconds, zero};
use crate::model::{Attempt, Capture, Outcome, Report, Vantage};
use crate::printable::printable;
use crate::verdict::Verdict;

/// Nothing from anywhere, but the style that is in the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Colours and measures, for screens and for paper.
const STYLE: &str = include_str!("style.css");

/// Attempts on a page: one of more is not read, and takes a browser's memory.
const ATTEMPTS_SHOWN: usize = 200;

/// Messages on a page, after which no further attempt is begun: each takes a kilobyte.
const MESSAGES_SHOWN: usize = 5000;

/// The page on `report`.
#[must_use]
pub fn of(report: &Report) -> String {
    let title = title(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    (captures(report))
                }
                main { (main(report)) }
                footer { p { "Written by ikexdp " (env!("CARGO_PKG_VERSION")) ". Frames are counted from 1, times from the first frame." } }
            }
        }
    };
    page.into_string()
}

fn main(report: &Report) -> Markup {
    let zero = zero(report);
    // Those that failed come first: they are what somebody looks for.
    let (failed, others): (Vec<&Attempt>, Vec<&Attempt>) = report
        .attempts
        .iter()
        .partition(|attempt| attempt.outcome == Outcome::Failed);
    let mut messages: usize = 0;
    let fits = |attempt: &&Attempt| {
        let is_room = messages < MESSAGES_SHOWN;
        messages = messages.saturating_add(attempt.messages.len());
        is_room
    };
    let all = failed.into_iter().chain(others).take(ATTEMPTS_SHOWN);
    let shown: Vec<_> = all.take_while(fits).collect();
    let left = report.attempts.len().saturating_sub(shown.len());
    html! {
        @if let Some(verdict) = &report.verdict {
            article class="failed" {
                h2 { "Of the capture as a whole" }
                (attempt::verdict(verdict, None))
            }
        }
        @if report.cannot_be_judged() {
            p { "No verdict: nothing that could be read has IKE, and not all could be read." }
        } @else if report.attempts.is_empty() && report.verdict.is_none() {
            p { "No attempt: what there is of IKE belongs to IKE SAs that were up before." }
        }
        @if report.attempts.len() > 1 { (contents(report)) }
        @for attempt in shown {
            (attempt::of(attempt, report, zero))
        }
        @if left > 0 {
            p { "And " (left) " attempts more: " code { "--client" } " shows those of one address." }
        }
    }
}

fn title(report: &Report) -> String {
    let failed = |attempt: &&Attempt| attempt.outcome == Outcome::Failed;
    let failed = report.attempts.iter().filter(failed).count();
    match (report.attempts.len(), failed) {
        (0, _) => "No attempt of IKEv2".to_owned(),
        (1, 0) => "An attempt of IKEv2".to_owned(),
        (1, _) => "An attempt of IKEv2 that failed".to_owned(),
        (all, 0) => format!("{all} attempts of IKEv2, of which none failed"),
        (all, failed) => format!("{all} attempts of IKEv2, of which {failed} failed"),
    }
}

fn captures(report: &Report) -> Markup {
    html! {
        @for (index, capture) in report.captures.iter().enumerate() {
            (self::capture(capture, index, report.captures.len()))
        }
        @if let Some(offset) = report.clock_offset {
            p {
                "The clock of the gateway's capture is "
                (format!("{:.6}", seconds(crate::time::Moment(offset.unsigned_abs()), crate::time::Moment(0))))
                " s " (if offset < 0 { "behind" } else { "ahead of" }) " that of the client's; times are corrected by it."
            }
        }
    }
}

fn capture(capture: &Capture, index: usize, count: usize) -> Markup {
    let made = match (count, index, capture.vantage) {
        (2, 0, _) => ", taken as the client's",
        (2, ..) => ", taken as the gateway's",
        (_, _, Vantage::Client) => ", made at the client by its hop limits",
        (_, _, Vantage::Gateway) => ", made at the gateway by its hop limits",
        (_, _, Vantage::Unknown) => "",
    };
    html! {
        p {
            code { (printable(&capture.file)) } ": " (capture.format) ", " (capture.frames) " frames"
            @if let Some(first) = capture.first { " from " time datetime=(date(first)) { (date(first)) } }
            ", IKE messages: " (capture.ike_messages) ", IP fragments: " (capture.ip_fragments) (made)
        }
        @if capture.truncated.is_some() || !capture.notes.is_empty() {
            ul class="notes" {
                @if let Some(why) = &capture.truncated { li { "Not read to its end: " (printable(why)) } }
                @for note in &capture.notes { li { (prose(note)) } }
            }
        }
        @if !capture.comments.is_empty() {
            details class="notes" {
                summary { "What the capture says of itself" }
                ul { @for comment in &capture.comments { li { (printable(comment)) } } }
            }
        }
    }
}

/// A list of all attempts, for who has many.
fn contents(report: &Report) -> Markup {
    let verdict = |attempt: &Attempt| attempt.finding.as_ref().map(|it| it.verdict.clone());
    html! {
        nav aria-label="Attempts" {
            ol {
                @for attempt in report.attempts.iter().take(ATTEMPTS_SHOWN) {
                    li value=(attempt.number) {
                        a href={ "#attempt-" (attempt.number) } { (attempt.client) }
                        ": " (attempt.outcome.name())
                        @if let Some(verdict) = verdict(attempt) { ", " (short(&verdict)) }
                    }
                }
            }
        }
    }
}

fn short(verdict: &Verdict) -> String {
    printable(verdict.id())
}

/// Sentences of ours, in which code stands between backticks.
fn prose(text: &str) -> Markup {
    let text = printable(text);
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests;
