//! A time of day, as certificates and lists have it.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::date_time_ymd;
use rustls_pki_types::UnixTime;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A second, written as in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(u64);

impl Moment {
    /// Seconds since 1970.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// So many days later.
    #[must_use]
    pub const fn after_days(self, days: u32) -> Self {
        // It fits: 32 bits and 17 bits.
        Self(self.0.saturating_add((days as u64).saturating_mul(86_400)))
    }

    /// So many seconds before.
    #[must_use]
    pub const fn before(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// The day alone.
    #[must_use]
    pub fn day(self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }

    /// The same for rcgen; beyond the year 9999 it is that year's end.
    pub(super) fn date_time(self) -> OffsetDateTime {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(date_time_ymd(9999, 12, 31))
    }
}

impl From<UnixTime> for Moment {
    fn from(time: UnixTime) -> Self {
        Self(time.as_secs())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// 9999-12-31T23:59:59Z, the last that the format has.
        const LAST: u64 = 253_402_300_799;
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.0.min(LAST)));
        let time = humantime::format_rfc3339_seconds(time.unwrap_or(SystemTime::UNIX_EPOCH));
        f.pad(&time.to_string())
    }
}

impl TryFrom<String> for Moment {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let time = humantime::parse_rfc3339(&text)?;
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self(since.unwrap_or_default().as_secs()))
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_people_read_it() {
        let moment = Moment::from_seconds(1_795_305_600);
        assert_eq!(moment.to_string(), "2026-11-22T00:00:00Z");
        assert_eq!(moment.after_days(365).day(), "2027-11-22");
        assert_eq!(Moment::try_from(moment.to_string()).unwrap(), moment);
        assert!(Moment::try_from("yesterday".to_owned()).is_err());
        let last = Moment::from_seconds(u64::MAX);
        assert_eq!(last.day(), "9999-12-31");
        assert_eq!(last.date_time().year(), 9999);
    }
}
