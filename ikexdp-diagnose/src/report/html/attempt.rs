//! One attempt: what is wrong, why that is known, what helps, and what passed.

use maud::{Markup, html};

use super::super::{exchange, seconds, sender};
use super::rows::{Row, rows};
use super::{diagram, prose};
use crate::inside::{Inside, Opened, Weight};
use crate::model::{Attempt, Confidence, Evidence, Outcome, Report};
use crate::printable::printable;
use crate::time::Moment;
use crate::verdict::Verdict;

/// Characters of one payload: who sends more wants to fill the page.
const SAYS_SHOWN: usize = 2000;

/// The attempt; times of its messages are counted from its first.
pub(super) fn of(attempt: &Attempt, report: &Report, zero: Moment) -> Markup {
    let times = attempt.messages.iter().map(|message| message.time);
    let first = times.min().unwrap_or(zero);
    let (rows, left) = rows(attempt, report.captures.len());
    let heading = format!("attempt-{}-heading", attempt.number);
    html! {
        article id={ "attempt-" (attempt.number) } class=(attempt.outcome.name()) aria-labelledby=(heading) {
            h2 id=(heading) { "Attempt " (attempt.number) ": " (outcome(attempt.outcome)) }
            p class="who" {
                "Client " code { (attempt.client) }
                @if let Some(is) = attempt.client_is { " (" (printable(is)) ")" }
                ", gateway " code { (attempt.gateway) }
                ", SPIs " code { (attempt.initiator_spi) } " " code { (attempt.responder_spi) }
                ", at " (time(first, zero))
            }
            @if let Some(finding) = &attempt.finding {
                (verdict(&finding.verdict, Some(finding.confidence)))
                h3 { "Evidence" }
                ul class="evidence" {
                    @for evidence in &finding.evidence { li { (self::evidence(evidence, report)) } }
                }
            }
            (diagram::of(attempt, &rows, first))
            (table(attempt, (&rows, left), first))
            @if let Some(inside) = &attempt.inside { (self::inside(inside, first)) }
        }
    }
}

/// The cause, its codes and side, and what helps.
pub(super) fn verdict(verdict: &Verdict, confidence: Option<Confidence>) -> Markup {
    let codes: Vec<String> = verdict.windows().iter().map(ToString::to_string).collect();
    let how = match confidence {
        None | Some(Confidence::Certain) => "",
        Some(Confidence::Likely) => "Most likely: ",
        Some(Confidence::Possible) => "Possibly: ",
    };
    html! {
        section class="verdict" aria-label="Verdict" {
            p class="says" { (how) (printable(&verdict.to_string())) }
            dl {
                div { dt { "Verdict" } dd { code { (verdict.id()) } } }
                @if !codes.is_empty() { div { dt { "Windows shows" } dd { (codes.join(" or ")) } } }
                div { dt { "Whose side" } dd { (verdict.side().name()) } }
            }
            @if let Some(remedy) = verdict.remedy() {
                p class="remedy" { strong { "What helps: " } (prose(&remedy.says)) }
                @if let Some(command) = remedy.command {
                    pre tabindex="0" aria-label="Command" { code { (printable(&command)) } }
                }
            }
        }
    }
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Established => "established",
        Outcome::Failed => "failed",
        Outcome::Open => "open, the capture ends or does not tell",
    }
}

fn evidence(evidence: &Evidence, report: &Report) -> Markup {
    let frames: Vec<String> = evidence.frames.iter().map(ToString::to_string).collect();
    let of = match (report.captures.len(), evidence.capture) {
        (2, 0) => "client's ",
        (2, _) => "gateway's ",
        _ => "",
    };
    html! {
        (printable(&evidence.says))
        @if !frames.is_empty() {
            span class="frames" { " (" (of) (if frames.len() == 1 { "frame " } else { "frames " }) (frames.join(", ")) ")" }
        }
    }
}

/// What the diagram shows, for who reads better than sees.
fn table(attempt: &Attempt, (rows, left): (&[Row], usize), first: Moment) -> Markup {
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    let left = left.saturating_add(attempt.messages_left_out);
    html! {
        details {
            summary { "The same as a table" }
            div class="wide" role="region" aria-label="Messages" tabindex="0" {
                table {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "From" } th scope="col" { "What" } th scope="col" { "More" } } }
                    tbody {
                        @for row in rows {
                            tr class=(row.fate.name()) {
                                td { (time(row.at, first)) }
                                td { (sender(row.direction)) }
                                td { (printable(&row.label)) }
                                td { (printable(&row.notes.join(", "))) }
                            }
                        }
                    }
                }
            }
            @if left > 0 { p { "And " (left) " messages more." } }
        }
    }
}

fn inside(inside: &Inside, first: Moment) -> Markup {
    html! {
        section class="inside" aria-label="Inside" {
            h3 { "Inside, by the keys" }
            @if inside.messages.is_empty() { p { "The keys open none of its messages." } }
            @for remark in &inside.remarks {
                p class=(if remark.weight == Weight::Fault { "fault" } else { "note" }) {
                    strong { (if remark.weight == Weight::Fault { "Fault: " } else { "Note: " }) } (prose(&remark.says))
                }
            }
            @for opened in &inside.messages { (self::opened(opened, first)) }
            @if inside.sealed > 0 { p { "Not opened: " (inside.sealed) " datagrams, of other keys or not captured whole." } }
        }
    }
}

fn opened(opened: &Opened, first: Moment) -> Markup {
    let kind = if opened.response {
        "response"
    } else {
        "request"
    };
    html! {
        details {
            summary {
                (time(opened.time, first)) " " (sender(opened.direction)) ": " (opened.exchange) " " (kind) " "
                (opened.message_id.0) ", " (opened.length) " octets"
            }
            dl class="payloads" {
                @for payload in &opened.payloads {
                    dt { (printable(&payload.name)) " " small { (payload.length) " octets" } }
                    dd { (printable(&payload.says).chars().take(SAYS_SHOWN).collect::<String>()) }
                }
            }
        }
    }
}

/// Seconds since `first`.
pub(super) fn time(time: Moment, first: Moment) -> String {
    format!("{:.3} s", seconds(time, first))
}

/// The exchange, whether it is a request, and its number.
pub(super) fn named(message: &crate::message::Message) -> String {
    let kind = if message.header.response {
        "response"
    } else {
        "request"
    };
    format!(
        "{} {kind} {}",
        exchange(message),
        message.header.message_id.0
    )
}
