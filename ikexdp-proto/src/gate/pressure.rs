//! Whether there is too much to do for strangers to be believed.
//!
//! It begins at once, when there are many half-open SAs or many requests in a second,
//! and is over when both have been below half of that for a while, so that what is
//! just enough does not turn cookies on and off all the time.

use core::time::Duration;

use crate::config::{Cookies, Gate};
use crate::event::Event;
use crate::limits::CALM_TIME;
use crate::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// When the second began that requests are counted in.
    begun: Instant,
    requests: u32,
    on: Option<On>,
}

#[derive(Debug)]
struct On {
    since: Instant,
    /// When there was last more than half of what it takes.
    busy: Instant,
    /// Whether it is half-open SAs of which there is: then there is until the next look.
    crowded: bool,
    /// Cookies given meanwhile.
    cookies: u64,
}

impl Pressure {
    pub(super) const fn is_on(&self) -> bool {
        self.on.is_some()
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.on.as_ref().map(|on| on.since)
    }

    /// When it may be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.on.as_ref().map(|on| on.busy + CALM_TIME)
    }

    /// Requests have come that begin something.
    pub(super) fn count(&mut self, now: Instant, requests: u64) {
        if now.since(self.begun) >= SECOND {
            self.begun = now;
            self.requests = 0;
        }
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        self.requests = self.requests.saturating_add(requests);
    }

    /// Cookies have been given.
    pub(super) const fn given(&mut self, cookies: u64) {
        if let Some(on) = &mut self.on {
            on.cookies = on.cookies.saturating_add(cookies);
        }
    }

    /// Begins or ends it, as it must be; says so if it has changed.
    pub(super) fn look(&mut self, config: &Gate, now: Instant, half_open: usize) -> Option<Event> {
        let fresh = now.since(self.begun) < SECOND;
        let requests = if fresh { self.requests } else { 0 };
        let automatic = config.cookies == Cookies::Automatic && config.cookie_threshold > 0;
        let Some(on) = &mut self.on else {
            let many = half_open >= config.cookie_threshold || requests >= config.cookie_rate;
            if !automatic || !many {
                return None;
            }
            self.on = Some(On {
                since: now,
                busy: now,
                crowded: false,
                cookies: 0,
            });
            return Some(Event::CookiesOn {
                half_open,
                requests,
            });
        };
        let crowded = half_open.saturating_mul(2) >= config.cookie_threshold;
        let was_crowded = core::mem::replace(&mut on.crowded, crowded);
        if crowded || was_crowded || requests.saturating_mul(2) >= config.cookie_rate {
            on.busy = now;
        }
        let over = !automatic || on.busy + CALM_TIME <= now;
        let on = self.on.take_if(|_| over)?;
        Some(Event::CookiesOff {
            lasted: now.since(on.since),
            cookies: on.cookies,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_micros(1_000_000);

    fn config() -> Gate {
        Gate {
            cookie_threshold: 10,
            cookie_rate: 100,
            ..Gate::default()
        }
    }

    fn milliseconds(n: u64) -> Instant {
        START + Duration::from_millis(n)
    }

    #[test]
    fn half_open_sas_turn_cookies_on_and_half_as_many_keep_them() {
        let mut pressure = Pressure::default();
        assert!(pressure.look(&config(), START, 9).is_none());
        let event = pressure.look(&config(), START, 10);
        assert!(matches!(
            event,
            Some(Event::CookiesOn { half_open: 10, .. })
        ));
        // Half as many, for a minute.
        for second in 0..60 {
            let now = milliseconds(1000 * second);
            assert!(pressure.look(&config(), now, 5).is_none());
        }
        assert_eq!(pressure.deadline(), Some(milliseconds(59_000) + CALM_TIME));
        // There were until this moment.
        assert!(pressure.look(&config(), milliseconds(60_000), 4).is_none());
        assert_eq!(pressure.deadline(), Some(milliseconds(60_000) + CALM_TIME));
        assert!(pressure.look(&config(), milliseconds(61_000), 4).is_none());
        let calm = pressure.deadline().unwrap();
        let event = pressure.look(&config(), calm, 4);
        assert!(matches!(event, Some(Event::CookiesOff { .. })), "{event:?}");
        assert_eq!(pressure.deadline(), None);
    }

    #[test]
    fn requests_turn_cookies_on_and_so_do_those_that_others_answer_keep_them() {
        let mut pressure = Pressure::default();
        // 99 in each second are not many.
        for n in 0..990 {
            let now = milliseconds(n * 1000 / 99);
            pressure.count(now, 1);
            assert!(pressure.look(&config(), now, 0).is_none(), "request {n}");
        }
        let end = milliseconds(20_000);
        pressure.count(end, 100);
        let event = pressure.look(&config(), end, 0);
        assert!(matches!(
            event,
            Some(Event::CookiesOn { requests: 100, .. })
        ));
        // What is counted elsewhere is told about once in a second.
        for second in 1..30 {
            let now = end + Duration::from_millis(1100 * second);
            pressure.count(now, 50);
            pressure.given(50);
            assert!(pressure.look(&config(), now, 0).is_none());
        }
        let calm = pressure.deadline().unwrap();
        let Some(Event::CookiesOff { lasted, cookies }) = pressure.look(&config(), calm, 0) else {
            panic!("it is over")
        };
        assert_eq!(cookies, 29 * 50);
        assert_eq!(lasted, Duration::from_millis(1100 * 29) + CALM_TIME);
    }

    #[test]
    fn another_configuration_ends_it() {
        let mut pressure = Pressure::default();
        assert!(pressure.look(&config(), START, 10).is_some());
        let off = Gate {
            cookies: Cookies::Off,
            ..config()
        };
        assert!(pressure.look(&off, START, 10).is_some());
        assert!(!pressure.is_on());
        assert!(pressure.look(&off, START, 1000).is_none());
    }
}
