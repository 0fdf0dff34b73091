//! What is decided about an IKE_SA_INIT request before there is any state
//! (RFC 7296 §2.6, RFC 8019 §4).

mod pressure;

use ikexdp_common::cookie::{COOKIE_LEN, CookieSecrets};
use ikexdp_common::limit::{NETWORK_SOURCES, Over};
use rand_core::CryptoRng;

use self::pressure::Pressure;
use crate::config::{self, Cookies};
use crate::event::Event;
use crate::limits::COOKIE_SECRET_LIFETIME;
use crate::message::init::InitRequest;
use crate::stats::Stat;
use crate::throttle::Throttle;
use crate::time::Instant;
use crate::types::{Datagram, Path, Spi};

/// Decides by how many half-open SAs there are, and how many requests come.
#[derive(Debug)]
pub(crate) struct Gate {
    secrets: CookieSecrets,
    rotated: Instant,
    /// Changes until no cookie is valid that somebody has.
    outstanding: u8,
    pressure: Pressure,
    /// Requests without a good cookie, and with one: who was asked for it has not used it
    /// up meanwhile.
    unproved: Throttle,
    proved: Throttle,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes on.
    Admitted,
    /// Its sender must first show that it can receive.
    Cookie([u8; COOKIE_LEN]),
    /// There is no room, or it is one too many: it is dropped, and counted so.
    Refused(Stat),
}

/// Half-open SAs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfOpen {
    /// Of everybody.
    pub(crate) total: usize,
    /// Of the source of a request.
    pub(crate) of_source: usize,
    /// Of the network that it is in.
    pub(crate) of_network: usize,
}

impl HalfOpen {
    /// Whether there is room for one more.
    const fn room(&self, config: &config::Gate) -> Admission {
        if self.total >= config.half_open_max {
            Admission::Refused(Stat::HalfOpenLimit)
        } else {
            Admission::Admitted
        }
    }

    /// Whether there is for one of this source, which has no more than half of what all
    /// leave free; a network, no more than that.
    fn share(&self, config: &config::Gate) -> Admission {
        let free = config.half_open_max.saturating_sub(self.total);
        let (source, network) = self.shares(config);
        if free == 0 {
            Admission::Refused(Stat::HalfOpenLimit)
        } else if self.of_source > 0 && self.of_source >= source.min(free / 2) {
            Admission::Refused(Stat::HalfOpenOfSource)
        } else if self.of_network > 0 && self.of_network >= network.min(free) {
            Admission::Refused(Stat::HalfOpenOfNetwork)
        } else {
            Admission::Admitted
        }
    }

    /// Whether half of a share is used: the rest is for who shows that it receives, as
    /// anybody can use up what is another's by writing its address.
    fn is_half_used(&self, config: &config::Gate) -> bool {
        let (source, network) = self.shares(config);
        self.of_source >= source.div_ceil(2) || self.of_network >= network.div_ceil(2)
    }

    /// Of a source, and of a network.
    const fn shares(&self, config: &config::Gate) -> (usize, usize) {
        let source = config.half_open_per_source;
        (source, source.saturating_mul(NETWORK_SOURCES as usize))
    }
}

impl Gate {
    pub(crate) fn new(random: &mut dyn CryptoRng) -> Self {
        Self {
            secrets: CookieSecrets::new(secret(random), secret(random)),
            rotated: Instant::ZERO,
            outstanding: 0,
            pressure: Pressure::default(),
            unproved: Throttle::default(),
            proved: Throttle::default(),
        }
    }

    /// Whether everybody must first show that they can receive.
    pub(crate) const fn is_challenging(&self, config: &config::Gate) -> bool {
        match config.cookies {
            Cookies::Off => false,
            Cookies::Automatic => config.cookie_threshold == 0 || self.pressure.is_on(),
            Cookies::Always => true,
        }
    }

    /// Since when there has been too much to do without cookies.
    pub(crate) fn pressed_since(&self) -> Option<Instant> {
        self.pressure.since()
    }

    /// What cookies are made with.
    pub(crate) const fn secrets(&self) -> &CookieSecrets {
        &self.secrets
    }

    /// Lets `request`, which came in `datagram`, in at `now`, or not. A cookie comes before
    /// all limits, so that nobody takes the place of another by writing its address. For
    /// who is allowed there is the limit of all half-open SAs alone.
    pub(crate) fn admit(
        &mut self,
        config: &config::Gate,
        half_open: HalfOpen,
        now: Instant,
        (datagram, spi_i): (&Datagram<'_>, Spi),
        request: &InitRequest<'_>,
    ) -> Admission {
        let Datagram {
            path, is_allowed, ..
        } = datagram;
        let is_proved = self.is_proved(path, spi_i, request);
        if self.is_challenging(config) && !is_proved {
            return self.cookie(path, spi_i, request);
        }
        if *is_allowed {
            return half_open.room(config);
        }
        // Without cookies whoever forges an address would use up the rate of another.
        if config.cookies == Cookies::Off {
            return half_open.share(config);
        }
        let (requests, limits) = if is_proved {
            (&mut self.proved, config.proved_limits())
        } else {
            (&mut self.unproved, config.unproved_limits())
        };
        let taken = requests.admit(&limits, now, path.remote.ip());
        if !is_proved && (taken.is_err() || half_open.is_half_used(config)) {
            return self.cookie(path, spi_i, request);
        }
        match taken {
            Ok(()) => half_open.share(config),
            Err(Over::Source) => Admission::Refused(Stat::InitRateOfSource),
            Err(Over::Network) => Admission::Refused(Stat::InitRateOfNetwork),
            Err(Over::Total) => Admission::Refused(Stat::InitRateLimit),
        }
    }

    fn cookie(&mut self, path: &Path, spi_i: Spi, request: &InitRequest<'_>) -> Admission {
        self.given(1);
        let address = path.remote.ip();
        Admission::Cookie(self.secrets.mint(address, spi_i.0, request.nonce))
    }

    /// Whether `request` has a cookie that was made for it.
    pub(crate) fn is_proved(&self, path: &Path, spi_i: Spi, request: &InitRequest<'_>) -> bool {
        let address = path.remote.ip();
        let cookie = request.cookie.unwrap_or_default();
        self.secrets.verify(cookie, address, spi_i.0, request.nonce)
    }

    /// A request has come that begins something.
    pub(crate) fn requested(&mut self, now: Instant) {
        self.pressure.count(now, 1);
    }

    /// So many requests of the last second were answered with cookies elsewhere. They
    /// keep up what is on, and turn nothing on: it may be one source that asks for them.
    pub(crate) fn challenged(&mut self, now: Instant, requests: u64) {
        if requests > 0 {
            self.given(requests);
        }
        if self.pressure.is_on() {
            self.pressure.count(now, requests);
        }
    }

    /// Time has passed, or the number of half-open SAs may have changed.
    pub(crate) fn look(
        &mut self,
        config: &config::Gate,
        now: Instant,
        half_open: usize,
    ) -> Option<Event> {
        self.pressure.look(config, now, half_open)
    }

    /// When [`Self::look`] or [`Self::rotate`] has something to do.
    ///
    /// While everybody is asked, the host may do so in our place with the secrets that it
    /// was told last, and they must be as good as ours.
    pub(crate) fn deadline(&self, config: &config::Gate) -> Option<Instant> {
        let rotation = self.rotated + COOKIE_SECRET_LIFETIME;
        let is_due = self.outstanding > 0 || self.is_challenging(config);
        let rotation = is_due.then_some(rotation);
        rotation.into_iter().chain(self.pressure.deadline()).min()
    }

    /// Changes the secret when its time is over.
    pub(crate) fn rotate(&mut self, now: Instant, random: &mut dyn CryptoRng) {
        let age = now.since(self.rotated);
        if age < COOKIE_SECRET_LIFETIME {
            return;
        }
        // After a long silence the previous secret is as old as the current.
        if age >= COOKIE_SECRET_LIFETIME.saturating_mul(2) {
            self.renew(random);
        }
        self.renew(random);
        self.rotated = now;
    }

    fn renew(&mut self, random: &mut dyn CryptoRng) {
        self.secrets.rotate(secret(random));
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// Cookies have been given to somebody.
    fn given(&mut self, cookies: u64) {
        self.outstanding = 2;
        self.pressure.given(cookies);
    }
}

fn secret(random: &mut dyn CryptoRng) -> [u64; 2] {
    [random.next_u64(), random.next_u64()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;

    /// RFC 7296 §2.6: the secret changes often, while somebody has a cookie of it.
    #[test]
    fn the_secret_changes_as_long_as_cookies_are_out() {
        let mut random = Counting::default();
        let mut gate = Gate::new(&mut random);
        let config = config::Gate::default();
        assert_eq!(gate.deadline(&config), None);
        gate.challenged(Instant::from_micros(1), 1);
        for _ in 0..2 {
            let before = gate.secrets().clone();
            let due = gate.deadline(&config).unwrap();
            assert_eq!(due, gate.rotated + COOKIE_SECRET_LIFETIME);
            gate.rotate(due, &mut random);
            assert_ne!(gate.secrets(), &before);
        }
        assert_eq!(gate.deadline(&config), None);
    }
}
