//! Numbers and lengths of time.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use super::context::Context;
use super::fault::Fault;
use super::file::Text;
use super::problem::Key;

/// A length of time that is not zero.
pub(super) fn duration(cx: &mut Context<'_>, key: &Key<'_>, text: &Text) -> Option<Duration> {
    match humantime::parse_duration(text.get_ref()) {
        Ok(duration) if !duration.is_zero() => Some(duration),
        _ => {
            let value = text.get_ref().clone();
            cx.problems
                .fault(key, text.span(), Fault::Duration { value })
        }
    }
}

/// A number in `range`.
pub(super) fn between<N: Copy + PartialOrd + Into<u64>>(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    number: &Spanned<N>,
    range: RangeInclusive<N>,
) -> Option<N> {
    let value = *number.get_ref();
    if range.contains(&value) {
        return Some(value);
    }
    let fault = Fault::Range {
        value: value.into(),
        min: (*range.start()).into(),
        max: (*range.end()).into(),
    };
    cx.problems.fault(key, number.span(), fault)
}
