//! `ikexdp top` as a picture.

use std::collections::{BTreeSet, VecDeque};
use std::iter;
use std::time::Duration;

use ikexdp_diagnose::printable::printable;
use ikexdp_proto::time::Instant;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Sparkline, Widget as _};

use super::model::{Model, Order, Row};
use crate::cli::amount::{age, per_second, short};
use crate::view::{Source, Status};

/// Columns of a name of a counter: as long as the longest, and a bit.
const NAME: usize = 26;

/// Draws all there is to see at `now`.
pub(super) fn draw(model: &Model, now: Instant, area: Rect, buffer: &mut Buffer) {
    let trouble = trouble(model, now);
    let [head, warning, upper, middle, lower, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(if trouble.is_some() { 1 } else { 0 }),
        Constraint::Fill(5),
        Constraint::Fill(3),
        Constraint::Fill(3),
        Constraint::Length(1),
    ])
    .areas(area);
    header(model).render(head, buffer);
    if let Some(trouble) = trouble {
        let line = Line::from(printable(&trouble));
        line.style(Style::new().fg(Color::Red).bold())
            .render(warning, buffer);
    }
    let halves = Layout::horizontal([Constraint::Fill(5), Constraint::Fill(4)]);
    let [left, right] = halves.areas(upper);
    traffic(model, left, buffer);
    handshakes(model, right, buffer);
    let [left, right] = halves.areas(middle);
    failures(model, left, buffer);
    fragments(model, right, buffer);
    let [left, right] = halves.areas(lower);
    sources(model, left, buffer);
    queues(model, right, buffer);
    footer(model).render(foot, buffer);
}

/// A picture as lines of text.
pub(super) fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    let columns = usize::from(buffer.area.width).max(1);
    for row in buffer.content.chunks(columns) {
        let line: String = row.iter().map(Cell::symbol).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn header(model: &Model) -> Line<'static> {
    let Some(reading) = model.reading() else {
        return Line::from("ikexdp top").bold();
    };
    let Status {
        version,
        pid,
        uptime_s,
        xdp,
        ..
    } = &reading.status;
    let transport = xdp
        .as_ref()
        .map_or_else(|| "udp".to_owned(), ToString::to_string);
    let paused = if model.paused { "   paused" } else { "" };
    let up = age(*uptime_s);
    let line = format!("ikexdp {version}   {transport}   pid {pid}   up {up}{paused}");
    Line::from(printable(&line)).bold()
}

/// Why what is shown may not be so any more.
fn trouble(model: &Model, now: Instant) -> Option<String> {
    let silent = || {
        let silence = model.silence(now)?;
        Some(format!("no answer for {}", age(silence.as_secs())))
    };
    let of_interface = || model.reading()?.status.xdp.as_ref()?.trouble.clone();
    model.trouble.clone().or_else(silent).or_else(of_interface)
}

fn footer(model: &Model) -> Line<'static> {
    let order = match model.order {
        Order::Rate => "rate",
        Order::Total => "total",
    };
    let interval = humantime::format_duration(model.interval);
    let line = format!("q quit   p pause   - + every {interval}   s sorted by {order}");
    Line::from(line).dim()
}

/// Draws a frame with a title, and says what is inside.
fn panel(title: &'static str, area: Rect, buffer: &mut Buffer) -> Rect {
    let block = Block::bordered().title(format!(" {title} "));
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}

fn lines(lines: impl IntoIterator<Item = String>, area: Rect, buffer: &mut Buffer) {
    let rows = usize::from(area.height);
    let lines = lines.into_iter().take(rows);
    let lines: Vec<_> = lines.map(|line| Line::from(printable(&line))).collect();
    Paragraph::new(lines).render(area, buffer);
}

/// The course of something over time, the last on the right.
fn course(values: &VecDeque<u64>, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let values: Vec<_> = values.iter().rev().take(width).copied().collect();
    let missing = width.saturating_sub(values.len());
    let padded = iter::repeat_n(0, missing).chain(values.into_iter().rev());
    Sparkline::default()
        .data(padded)
        .style(Style::new().fg(Color::Cyan))
        .render(area, buffer);
}

fn rate(model: &Model, row: &Row) -> String {
    let added = row.added.map(|added| per_second(0, added, model.elapsed()));
    added
        .flatten()
        .map_or_else(|| "-".to_owned(), |rate| format!("{rate}/s"))
}

fn counter(model: &Model, row: &Row) -> String {
    let Row { name, total, .. } = row;
    format!("{name:<NAME$}{:>7}{:>9}", short(*total), rate(model, row))
}

fn of_engine(model: &Model, title: &str, name: &str) -> String {
    let row = model.row(|stats| &stats.engine, name);
    format!("{title:<17}{:>6}{:>8}", short(row.total), rate(model, &row))
}

fn traffic(model: &Model, area: Rect, buffer: &mut Buffer) {
    let has_xdp = model
        .reading()
        .is_none_or(|reading| reading.status.xdp.is_some());
    let title = if has_xdp {
        "frames by verdict"
    } else {
        "messages"
    };
    let inner = panel(title, area, buffer);
    let [above, below] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
    course(&model.traffic, above, buffer);
    let rows = model.traffic_rows();
    lines(rows.iter().map(|row| counter(model, row)), below, buffer);
}

fn handshakes(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inner = panel("handshakes", area, buffer);
    let [above, below] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
    course(&model.handshakes, above, buffer);
    let counted = [
        ("begun", "init_accepted"),
        ("established", "established"),
        ("out of time", "handshake_timeout"),
        ("not authentic", "authentication_failed"),
        ("failed otherwise", "handshake_failed"),
        ("cookies sent", "cookie_sent"),
    ];
    let counted = counted.map(|(title, name)| of_engine(model, title, name));
    let status = model.reading().map(|reading| &reading.status);
    let levels = status.map(|status| {
        let (half_open, up, jobs) = (status.half_open, status.established, status.jobs);
        format!("half-open {half_open}  up {up}  jobs {jobs}")
    });
    lines(levels.into_iter().chain(counted), below, buffer);
}

fn failures(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inner = panel("failures by reason", area, buffer);
    let rows = model.rows(|stats| &stats.handshakes.failed);
    let rows = rows.iter().map(|row| counter(model, row));
    lines(rows, inner, buffer);
}

fn fragments(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inner = panel("fragments", area, buffer);
    let counted = [
        ("in", "fragment_received"),
        ("out", "fragment_sent"),
        ("put together", "reassembled"),
        ("out of time", "reassembly_expired"),
        ("no room", "reassembly_evicted"),
        ("made smaller", "fragments_lowered"),
        ("peers without", "peer_without_fragmentation"),
    ];
    let rows = counted.map(|(title, name)| of_engine(model, title, name));
    lines(rows, inner, buffer);
}

fn sources(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inner = panel("who begins handshakes, who is limited", area, buffer);
    let Some(reading) = model.reading() else {
        return;
    };
    let elapsed = Duration::from_secs(reading.sources.seconds);
    let busiest = &reading.sources.sources;
    let names: BTreeSet<_> = busiest.iter().map(|one| one.network.as_str()).collect();
    // There may be very many, of which few are shown.
    let limited = reading.limited.iter().map(|one| one.network.as_str());
    let marked: BTreeSet<_> = limited.filter(|one| names.contains(one)).collect();
    let not_among = |rows: usize| {
        let shown = busiest.iter().take(rows);
        let shown = shown.filter(|one| marked.contains(one.network.as_str()));
        reading.limited.len().saturating_sub(shown.count())
    };
    let rows = usize::from(inner.height);
    let rows = match not_among(rows) {
        0 => rows,
        _ => rows.saturating_sub(1),
    };
    let row = |source: &Source| {
        let Source { network, requests } = source;
        let count = if marked.contains(network.as_str()) {
            "limited".to_owned()
        } else {
            short(*requests)
        };
        let rate = per_second(0, *requests, elapsed);
        let rate = rate.map_or_else(String::new, |rate| format!("{rate}/s"));
        format!("{network:<NAME$}{count:>7}{rate:>9}")
    };
    let others = Some(not_among(rows)).filter(|others| *others > 0);
    let others = others.map(|others| format!("+{others} limited"));
    let shown = busiest.iter().take(rows).map(row);
    lines(shown.chain(others), inner, buffer);
}

fn queues(model: &Model, area: Rect, buffer: &mut Buffer) {
    let inner = panel("busiest queues, by the second", area, buffer);
    let names = ["received", "sent", "kernel_dropped", "kernel_receive_full"];
    let rows = model.queues(names).into_iter().map(|(number, added)| {
        let [received, sent, dropped, full] = added;
        let lost = dropped.saturating_add(full);
        let cells = [received, sent, lost].map(|added| {
            let rate = per_second(0, added, model.elapsed()).unwrap_or_default();
            format!("{rate:>8}")
        });
        format!("{number:<6}{}", cells.concat())
    });
    let titles = format!("{:<6}{:>8}{:>8}{:>8}", "queue", "in", "out", "lost");
    lines(iter::once(titles).chain(rows), inner, buffer);
}
