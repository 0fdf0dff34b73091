//! Amounts for people.

use std::time::Duration;

/// How long something has been, to its two largest units.
pub(super) fn age(seconds: u64) -> String {
    let exact = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    let units: Vec<_> = exact.split(' ').take(2).collect();
    units.join(" ")
}

/// A number in few digits: `999`, `12.3k`, `4.5M`.
pub(super) fn short(number: u64) -> String {
    let mut tenths = u128::from(number).saturating_mul(10);
    for unit in ["", "k", "M", "G"] {
        if tenths < 10_000 {
            return digits(tenths, unit);
        }
        tenths /= 1000;
    }
    digits(tenths, "T")
}

/// Reads a number of octets: `500k`, `10M`, `1G`, or as it is.
pub(super) fn octets(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (text.get(..at), 1 << 10),
        Some((at, 'M')) => (text.get(..at), 1 << 20),
        Some((at, 'G')) => (text.get(..at), 1 << 30),
        _ => (Some(text), 1),
    };
    let number: Option<u64> = digits.and_then(|digits| digits.parse().ok());
    let octets = number.and_then(|number| number.checked_mul(unit));
    octets.ok_or_else(|| "neither octets nor 500k, 10M, 1G".to_owned())
}

fn digits(tenths: u128, unit: &str) -> String {
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if unit.is_empty() || whole >= 100 {
        format!("{whole}{unit}")
    } else {
        format!("{whole}.{tenth}{unit}")
    }
}

/// What was added in a time, by the second: `7`, or `0.3` where it is little.
/// Nothing, if it has begun anew meanwhile, or no time has passed.
pub(super) fn per_second(before: u64, now: u64, elapsed: Duration) -> Option<String> {
    let added = u128::from(now.checked_sub(before)?);
    let millis = elapsed.as_millis();
    // Rounded: what is asked for every second comes a little later.
    let tenths = added.saturating_mul(10_000).saturating_add(millis / 2);
    let tenths = tenths.checked_div(millis)?;
    Some(match (tenths / 10, tenths % 10) {
        (0, 0) if added > 0 => "0.1".to_owned(),
        (0, 0) => "0".to_owned(),
        (whole @ 0..100, tenth) => format!("{whole}.{tenth}"),
        (whole, _) => whole.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        for (seconds, expected) in [
            (0, "0s"),
            (61, "1m 1s"),
            (3661, "1h 1m"),
            (90_061, "1day 1h"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn sizes_have_a_unit_or_are_octets() {
        for (text, expected) in [
            ("0", 0),
            ("500k", 500 << 10),
            ("10M", 10 << 20),
            ("1G", 1 << 30),
        ] {
            assert_eq!(octets(text), Ok(expected), "{text}");
        }
        for wrong in ["", "M", "-1", "1.5M", "10 M", "10T", "99999999999999G", "é"] {
            assert!(octets(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_few_digits() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (12_345, "12.3k"),
            (999_999, "999k"),
            (4_500_000, "4.5M"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn rates_are_by_the_second() {
        let rate = |before, now, millis| per_second(before, now, Duration::from_millis(millis));
        assert_eq!(rate(10, 10, 1000).as_deref(), Some("0"));
        assert_eq!(rate(10, 25, 1000).as_deref(), Some("15.0"));
        assert_eq!(rate(0, 1, 4000).as_deref(), Some("0.3"));
        assert_eq!(rate(0, 1, 1003).as_deref(), Some("1.0"));
        assert_eq!(rate(0, 1, 60_000).as_deref(), Some("0.1"));
        assert_eq!(rate(0, 5000, 500).as_deref(), Some("10000"));
        // The daemon was started again.
        assert_eq!(rate(10, 3, 1000), None);
        // Asked twice at once.
        assert_eq!(rate(0, 1, 0), None);
    }
}
