//! The only clock of the daemon: everything else is told the time.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the clock that others must use"
)]

use std::time::{Duration, Instant as SystemInstant, SystemTime};

use ikexdp_proto::time::Instant;
use nix::time::{ClockId, clock_gettime};
use rustls_pki_types::UnixTime;

/// The engine's clock: it starts at zero and never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: SystemInstant,
}

impl Clock {
    /// A clock that shows zero now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: SystemInstant::now(),
        }
    }

    /// The time on this clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        let elapsed = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// The time on the clock that BPF programs read (`bpf_ktime_get_ns`), in nanoseconds.
#[must_use]
pub fn kernel_time_ns() -> u64 {
    // Every kernel has this clock.
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    let nanoseconds = time.unwrap_or_default().as_nanos();
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}

/// The time of day, for certificates; a clock set before 1970 shows 1970.
#[must_use]
pub fn unix_time() -> UnixTime {
    UnixTime::since_unix_epoch(since_1970())
}

/// The time of day for captures, since 1970.
#[must_use]
pub fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// The time of day for people and programs, as RFC 3339 has it.
#[must_use]
pub fn rfc3339() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
