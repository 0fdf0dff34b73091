//! The sequence of messages as a drawing (SVG): time goes down, the client is on the left.
//!
//! ```text
//!  client                    path                   gateway
//!    │  IKE_AUTH request 1, fragment 2 of 3           │
//!    ├──────────────────────────────────────────────▶│
//!    │  0.016 s, frame 5, 1280 octets                 │
//!    ├─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ✕                        │   lost
//! ```

use maud::{Markup, html};

use super::attempt::time;
use super::rows::{Fate, Row, is_translated};
use crate::model::Attempt;
use crate::printable::printable;
use crate::time::Moment;
use crate::verdict::Direction;

// Units of the drawing, which is as wide as there is room: on a phone they are somewhat less than pixels.
const WIDTH: u32 = 480;
const LEFT: u32 = 30;
const RIGHT: u32 = WIDTH - LEFT;
const MIDDLE: u32 = WIDTH / 2;
const TOP: u32 = 44;
const STEP: u32 = 52;
/// Characters that fit in a line; the title of an arrow and the table have all.
const LABEL: usize = 56;
const MORE: usize = 70;

/// The drawing of an attempt.
pub(super) fn of(attempt: &Attempt, rows: &[Row], first: Moment) -> Markup {
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let end = STEP.saturating_mul(count).saturating_add(TOP);
    let has_esp = attempt.esp.from_client > 0 || attempt.esp.from_gateway > 0;
    let height = end.saturating_add(if has_esp { 34 } else { 6 });
    let (title, about) = (
        format!("attempt-{}-title", attempt.number),
        format!("attempt-{}-about", attempt.number),
    );
    let is_translated = is_translated(attempt);
    let is_on_path = |row: &Row| row.fate == Fate::Lost || row.from_path;
    let has_path = is_translated || rows.iter().any(is_on_path);
    html! {
        figure {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-labelledby={ (title) " " (about) } {
                title id=(title) { "Messages of attempt " (attempt.number) }
                desc id=(about) { (described(rows)) }
                (lifeline(LEFT, end, "client"))
                @if has_path { (lifeline(MIDDLE, end, if is_translated { "NAT" } else { "path" })) }
                (lifeline(RIGHT, end, "gateway"))
                @for (row, y) in rows.iter().zip((1_u32..).map(|n| TOP.saturating_add(n.saturating_mul(STEP)))) {
                    (arrow(row, y.saturating_sub(STEP / 2), first))
                }
                @if has_esp { (esp(attempt, end)) }
            }
        }
    }
}

/// For who does not see it.
fn described(rows: &[Row]) -> String {
    let of = |fate| rows.iter().filter(|row| row.fate == fate).count();
    let repeats = rows.iter().filter(|row| row.repeats).count();
    format!(
        "{} messages between client and gateway; lost: {}, without an answer: {}, repeats: {repeats}. The table \
         below has them one by one.",
        rows.len(),
        of(Fate::Lost),
        of(Fate::Unanswered),
    )
}

fn lifeline(x: u32, end: u32, name: &str) -> Markup {
    let anchor = match x {
        LEFT => "start",
        RIGHT => "end",
        _ => "middle",
    };
    let at = match x {
        LEFT => 0,
        RIGHT => WIDTH,
        other => other,
    };
    html! {
        text class="name" x=(at) y="20" text-anchor=(anchor) { (name) }
        line class={ "life " (name) } x1=(x) y1="30" x2=(x) y2=(end) {}
    }
}

fn arrow(row: &Row, y: u32, first: Moment) -> Markup {
    let (near, far) = match row.direction {
        Direction::FromClient => (LEFT, RIGHT),
        Direction::FromGateway => (RIGHT, LEFT),
    };
    let from = if row.from_path { MIDDLE } else { near };
    let to = if row.fate == Fate::Lost { MIDDLE } else { far };
    let class = format!(
        "arrow {} {}{}",
        match row.direction {
            Direction::FromClient => "from-client",
            Direction::FromGateway => "from-gateway",
        },
        row.fate.name(),
        if row.repeats { " repeat" } else { "" },
    );
    let notes = printable(&row.notes.join(", "));
    let notes = format!("{}, {notes}", time(row.at, first));
    let label = printable(&row.label);
    html! {
        g class=(class) {
            title { (label) " (" (notes) ")" }
            text class="label" x=(MIDDLE) y=(y.saturating_sub(9)) text-anchor="middle" {
                @if row.repeats { "\u{21bb} " }
                (cut(&label, LABEL))
            }
            line x1=(from) y1=(y) x2=(to) y2=(y) {}
            @if row.fate == Fate::Lost { path d=(cross(to, y)) {} } @else { path class="head" d=(head(to, y, from < to)) {} }
            text class="more" x=(MIDDLE) y=(y.saturating_add(17)) text-anchor="middle" { (cut(&notes, MORE)) }
        }
    }
}

/// The head of an arrow that ends at a place.
fn head(x: u32, y: u32, to_the_right: bool) -> String {
    let back = if to_the_right { -9 } else { 9 };
    format!("M{x} {y} l{back} -5 v10 z")
}

/// As much of a text as fits.
fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(length.saturating_sub(1)).collect();
    cut.push('\u{2026}');
    cut
}

/// What ends an arrow that arrives nowhere.
fn cross(x: u32, y: u32) -> String {
    format!("M{x} {y} m-5 -5 l10 10 m0 -10 l-10 10")
}

/// That the tunnel carries something.
fn esp(attempt: &Attempt, y: u32) -> Markup {
    let y = y.saturating_add(6);
    html! {
        g class="esp" {
            line x1=(LEFT) y1=(y) x2=(RIGHT) y2=(y) {}
            line x1=(LEFT) y1=(y.saturating_add(4)) x2=(RIGHT) y2=(y.saturating_add(4)) {}
            text class="more" x=(MIDDLE) y=(y.saturating_add(20)) text-anchor="middle" {
                "ESP: " (attempt.esp.from_client) " packets from the client, " (attempt.esp.from_gateway) " from the gateway"
            }
        }
    }
}
