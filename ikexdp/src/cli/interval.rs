//! How often something is read again.

use std::time::Duration;

/// Reading takes the daemon some time as well.
const SHORTEST: Duration = Duration::from_millis(100);

/// Reads `2s`, `500ms`, or `2` for seconds.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string())?,
    };
    if interval < SHORTEST {
        let shortest = humantime::format_duration(SHORTEST);
        return Err(format!("shorter than {shortest}"));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_unit_or_is_in_seconds() {
        assert_eq!(interval("2"), Ok(Duration::from_secs(2)));
        assert_eq!(interval("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "soon", "0", "99ms", "-1s"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
