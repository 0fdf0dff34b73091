//! What is decided about an IKE_SA_INIT request before there is any state
//! (RFC 7296 §2.6).

use ikexdp_common::cookie::{COOKIE_LEN, CookieSecrets};
use rand_core::CryptoRng;

use crate::config;
use crate::limits::COOKIE_SECRET_LIFETIME;
use crate::message::init::InitRequest;
use crate::time::Instant;
use crate::types::{Path, Spi};

/// Decides by how many half-open SAs there are.
#[derive(Debug)]
pub(crate) struct Gate {
    secrets: CookieSecrets,
    rotated: Instant,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes on.
    Admitted,
    /// Its sender must first show that it can receive.
    Cookie([u8; COOKIE_LEN]),
    /// There is no room.
    Refused,
}

impl Gate {
    pub(crate) fn new(random: &mut dyn CryptoRng) -> Self {
        Self {
            secrets: CookieSecrets::new(secret(random), secret(random)),
            rotated: Instant::ZERO,
        }
    }

    /// Lets `request` from `path` in, or not.
    pub(crate) fn admit(
        &mut self,
        config: &config::Gate,
        half_open: usize,
        path: &Path,
        spi_i: Spi,
        request: &InitRequest<'_>,
    ) -> Admission {
        if half_open >= config.half_open_max {
            return Admission::Refused;
        }
        if half_open < config.cookie_threshold {
            return Admission::Admitted;
        }
        let address = path.remote.ip();
        let valid = request
            .cookie
            .is_some_and(|cookie| self.secrets.verify(cookie, address, spi_i.0, request.nonce));
        if valid {
            Admission::Admitted
        } else {
            Admission::Cookie(self.secrets.mint(address, spi_i.0, request.nonce))
        }
    }

    /// Changes the secret when its time is over.
    pub(crate) fn rotate(&mut self, now: Instant, random: &mut dyn CryptoRng) {
        let age = now.since(self.rotated);
        if age < COOKIE_SECRET_LIFETIME {
            return;
        }
        // After a long silence the previous secret is as old as the current.
        if age >= COOKIE_SECRET_LIFETIME.saturating_mul(2) {
            self.secrets.rotate(secret(random));
        }
        self.secrets.rotate(secret(random));
        self.rotated = now;
    }
}

fn secret(random: &mut dyn CryptoRng) -> [u64; 2] {
    [random.next_u64(), random.next_u64()]
}
