//! The text format of Prometheus, version 0.0.4.
//!
//! ```text
//! # HELP name what it is
//! # TYPE name counter
//! name{label="value"} 1
//! ```

use std::fmt::{self, Display, Write};

use crate::view::Histogram;

/// The media type of a page.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It only grows, until the daemon begins again.
    Counter,
    /// It is what it is now.
    Gauge,
    /// It is a [`Histogram`].
    Histogram,
}

/// Labels of a sample: names, which are ours, and values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A metric, whose samples follow one another on the page.
#[derive(Debug)]
pub(super) struct Family<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl Text {
    /// Begins a metric, of which the page has none yet.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, help: &str, kind: Kind) -> Family<'a> {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        append(&mut self.0, format_args!("# HELP {name} {help}\n"));
        append(&mut self.0, format_args!("# TYPE {name} {kind}\n"));
        let text = &mut self.0;
        Family { name, text }
    }

    /// A metric with one sample.
    pub(super) fn single(&mut self, name: &str, help: &str, kind: Kind, value: impl Display) {
        self.family(name, help, kind).sample(&[], value);
    }

    /// The page.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// The samples of a histogram of integers, of which `unit` make one of the
    /// metric's.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram, unit: u32) {
        let scaled = |value: u64| value as f64 / f64::from(unit);
        for step in &histogram.steps {
            let at_most = scaled(step.at_most).to_string();
            self.line("_bucket", labels, Some(&at_most), step.count);
        }
        self.line("_bucket", labels, Some("+Inf"), histogram.count);
        self.line("_sum", labels, None, scaled(histogram.sum));
        self.line("_count", labels, None, histogram.count);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, le: Option<&str>, value: impl Display) {
        append(self.text, format_args!("{}{suffix}", self.name));
        let labels = labels.iter().copied().chain(le.map(|le| ("le", le)));
        let mut opening = '{';
        for (label, value) in labels {
            let value = Escaped(value);
            append(self.text, format_args!("{opening}{label}=\"{value}\""));
            opening = ',';
        }
        let closing = if opening == ',' { "}" } else { "" };
        append(self.text, format_args!("{closing} {value}\n"));
    }
}

/// The value of a label, as it stands between quotation marks.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str(r"\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str(r"\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// A `String` takes everything.
fn append(text: &mut String, more: fmt::Arguments<'_>) {
    let _ = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_have_any_value() {
        let mut text = Text::default();
        let mut family = text.family("pool_size", "A \\ and\na line.", Kind::Gauge);
        family.sample(&[("pool", "a\"b\\c\nd"), ("family", "ipv4")], 7);
        family.sample(&[], 1);
        let expected = "# HELP pool_size A \\\\ and\\na line.\n\
            # TYPE pool_size gauge\n\
            pool_size{pool=\"a\\\"b\\\\c\\nd\",family=\"ipv4\"} 7\n\
            pool_size 1\n";
        assert_eq!(text.into_string(), expected);
    }

    #[test]
    fn a_histogram_is_in_base_units_and_has_an_infinite_step() {
        let mut histogram = Histogram::new(&[2_500, 1_000_000]);
        for value in [2_500, 10_000, 30_000_000] {
            histogram.observe(value);
        }
        let mut text = Text::default();
        let mut family = text.family("time_seconds", "Time.", Kind::Histogram);
        family.histogram(&[("way", "in")], &histogram, 1_000_000);
        let expected = "# HELP time_seconds Time.\n\
            # TYPE time_seconds histogram\n\
            time_seconds_bucket{way=\"in\",le=\"0.0025\"} 1\n\
            time_seconds_bucket{way=\"in\",le=\"1\"} 2\n\
            time_seconds_bucket{way=\"in\",le=\"+Inf\"} 3\n\
            time_seconds_sum{way=\"in\"} 30.0125\n\
            time_seconds_count{way=\"in\"} 3\n";
        assert_eq!(text.into_string(), expected);
    }
}
