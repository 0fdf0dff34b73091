//! What was measured, as a picture in SVG: how much of what the public-key operations alone allow each
//! responder makes of a CPU.

use svg::{
    Document,
    node::element::{Line as Stroke, Rectangle, Style, Text},
};

use super::{
    responder::Responder,
    table::{Result, thousands},
};

const WIDTH: f64 = 860.0;
/// Where bars begin, and how long one of 100 % is.
const LEFT: f64 = 130.0;
const SCALE: f64 = 460.0;
/// Of a bar, of the space before a kind of handshake with its name, and of what is above all.
const BAR: f64 = 22.0;
const NAME: f64 = 38.0;
const TOP: f64 = 50.0;
/// From which share on, in percent, a value stands in its bar.
const INSIDE: f64 = 70.0;

/// Legible on light and on dark pages.
const STYLE: &str = "
    text { font: 13px sans-serif; fill: #333 }
    .title { font-weight: bold; font-size: 15px }
    .case { font-weight: bold }
    .inside { fill: #fff; text-anchor: end }
    .limit { stroke: #b33; stroke-width: 1.5; stroke-dasharray: 4 3 }
    @media (prefers-color-scheme: dark) { text { fill: #ddd } }";

/// Draws a group of bars for each kind of handshake.
pub(super) fn draw(results: &[Result]) -> String {
    let mut picture = Document::new().add(Style::new(STYLE)).add(text(
        10.0,
        22.0,
        "title",
        "Handshakes per CPU second, of what OpenSSL's public-key operations alone allow",
    ));
    let mut y = TOP;
    for result in results {
        picture = picture.add(text(10.0, y + 14.0, "case", &result.case.to_string()));
        let Some(limit) = result.limit else {
            continue;
        };
        let limit = thousands(1e6 / limit.openssl);
        picture = picture.add(text(
            LEFT + SCALE + 6.0,
            y + 14.0,
            "",
            &format!("limit {limit}"),
        ));
        let begin = y + 20.0;
        y = begin;
        for (responder, line) in result.lines() {
            let [share, _] = line.shares.expect("there is a limit");
            let long = SCALE * share / 100.0;
            let said = format!("{} ({share:.0} %)", thousands(line.per_cpu_second));
            picture = picture
                .add(text(10.0, y + 14.0, "", &responder.to_string()))
                .add(bar(y, long, responder))
                .add(value(y + 14.0, LEFT + long, share, &said));
            y += BAR;
        }
        let at = LEFT + SCALE;
        let limit = Stroke::new()
            .set("class", "limit")
            .set("x1", at)
            .set("x2", at)
            .set("y1", begin - 4.0)
            .set("y2", y);
        picture = picture.add(limit);
        y += NAME - 20.0;
    }
    let picture = picture
        .set("viewBox", (0.0, 0.0, WIDTH, y))
        .set("width", WIDTH)
        .set("height", y);
    picture.to_string() + "\n"
}

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

/// Behind the end of its bar, or in it where the mark of the limit would be in the way.
fn value(y: f64, end: f64, share: f64, words: &str) -> Text {
    if share < INSIDE {
        return text(end + 6.0, y, "", words);
    }
    text(end - 6.0, y, "inside", words)
}

fn text(x: f64, y: f64, class: &str, words: &str) -> Text {
    let x = format!("{x:.1}");
    Text::new(words).set("class", class).set("x", x).set("y", y)
}
