//! What was measured, as a picture in SVG: handshakes that each responder makes in a second of a CPU, and
//! how many the public-key operations alone allow.

use svg::{
    Document,
    node::element::{Line as Stroke, Rectangle, Style, Text},
};

use super::{
    responder::Responder,
    table::{Result, thousands},
};

const WIDTH: f64 = 800.0;
/// Where bars begin, and how long the longest thing is of each kind of handshake.
const LEFT: f64 = 130.0;
const LONGEST: f64 = 460.0;
/// Of a bar, of a kind of handshake without its bars, and of what is above all.
const BAR: f64 = 22.0;
const NAME: f64 = 38.0;
const TOP: f64 = 64.0;
/// From which part of the longest on a value stands in its bar.
const INSIDE: f64 = 0.7;

/// Legible on light and on dark pages.
const STYLE: &str = "
    text { font: 13px sans-serif; fill: #333 }
    .title { font-weight: bold; font-size: 15px }
    .case { font-weight: bold }
    .inside { fill: #fff; text-anchor: end }
    .ours { stroke: #b33; stroke-width: 1.5; stroke-dasharray: 4 3 }
    .openssl { stroke: #888; stroke-width: 1.5; stroke-dasharray: 1 3 }
    @media (prefers-color-scheme: dark) { text { fill: #ddd } .inside { fill: #fff } }";

/// Draws a group of bars for each kind of handshake, to a scale of its own.
pub(super) fn draw(results: &[Result]) -> String {
    let mut picture = Document::new()
        .add(Style::new(STYLE))
        .add(text(
            10.0,
            22.0,
            "title",
            "Handshakes in a second of CPU time",
        ))
        .add(text(10.0, 42.0, "", LEGEND));
    let mut y = TOP;
    for result in results {
        let Some(limit) = result.limit else {
            continue;
        };
        let lines = result.lines();
        let limits = [("ours", limit.ours), ("openssl", limit.openssl)];
        let limits = limits.map(|(class, micros)| (class, 1e6 / micros));
        let rates = lines.iter().map(|(_, line)| line.per_cpu_second);
        let most = rates
            .chain(limits.map(|(_, rate)| rate))
            .fold(0.0, f64::max);
        let long = |rate: f64| LONGEST * rate / most;
        picture = picture.add(text(10.0, y + 14.0, "case", &result.case.to_string()));
        y += 20.0;
        let begin = y;
        for (responder, line) in &lines {
            let long = long(line.per_cpu_second);
            let said = format!("{} (× {:.1})", thousands(line.per_cpu_second), line.ratio);
            picture = picture
                .add(text(10.0, y + 14.0, "", &responder.to_string()))
                .add(bar(y, long, *responder))
                .add(value(y + 14.0, long, &said));
            y += BAR;
        }
        for (class, rate) in limits {
            let at = LEFT + long(rate);
            let mark = Stroke::new()
                .set("class", class)
                .set("x1", at)
                .set("x2", at)
                .set("y1", begin - 4.0)
                .set("y2", y);
            picture = picture.add(mark);
        }
        y += NAME - 20.0;
    }
    let picture = picture
        .set("viewBox", (0.0, 0.0, WIDTH, y))
        .set("width", WIDTH)
        .set("height", y);
    picture.to_string() + "\n"
}

/// What the marks are.
const LEGEND: &str = "marks: what the public-key operations alone allow, by ikexdp's cryptography (dashes) and \
                      by OpenSSL's (dots)";

fn bar(y: f64, long: f64, responder: Responder) -> Rectangle {
    let colour = if responder.is_ours() {
        "#2a7fb8"
    } else {
        "#999"
    };
    Rectangle::new()
        .set("x", LEFT)
        .set("y", y + 2.0)
        .set("width", format!("{long:.1}"))
        .set("height", BAR - 6.0)
        .set("fill", colour)
}

/// Behind the end of its bar, or in it where marks would be in the way.
fn value(y: f64, long: f64, words: &str) -> Text {
    let end = LEFT + long;
    if long < INSIDE * LONGEST {
        return text(end + 6.0, y, "", words);
    }
    text(end - 6.0, y, "inside", words)
}

fn text(x: f64, y: f64, class: &str, words: &str) -> Text {
    let x = format!("{x:.1}");
    Text::new(words).set("class", class).set("x", x).set("y", y)
}
