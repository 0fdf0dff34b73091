//! Keeps what XDP defends the engine with in step with the engine.

mod lists;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aya::maps::MapError;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{CryptoRng, Rng};
use ikexdp_common::limit::{Limits, Rate};
use ikexdp_common::maps::{self, KEPT_SPIS_MAX, LISTED_MAX, Secrets};
use ikexdp_common::siphash::Secret;
use ikexdp_common::spi::SpiSecrets;
use ikexdp_common::verdict::Verdict;
use ikexdp_proto::Endpoint;
use ikexdp_proto::config::{Cookies, Gate};
use ikexdp_proto::limits::INVALID_SPIS;
use ikexdp_proto::spi::SpiAllocator;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::Spi;
use tracing::warn;

use self::lists::Lists;
use crate::config::Defence;
use crate::xdp::Program;

/// How long SPIs are made with a secret: somebody who tries all tags at ten thousand
/// messages in a second has found one in half an hour, and it is good for one SPI.
const SPI_SECRET_LIFETIME: Duration = Duration::from_secs(6 * 3600);

/// How long an SPI without a secret may stay with XDP when its SA is gone.
const KEPT_TIME: Duration = Duration::from_secs(600);

/// How often XDP is asked what it has answered, while it asks everybody for cookies.
const BUSY_INTERVAL: Duration = Duration::from_secs(1);

/// The same else: it may ask one source, and with old secrets for ever.
const CALM_INTERVAL: Duration = Duration::from_secs(60);

/// What the defence in the kernel is made of.
pub(super) struct Shield {
    defence: Defence,
    /// What the engine lets in.
    gate: Gate,
    lists: Lists,
    spis: SharedSecrets,
    random: ChaCha20Rng,
    /// When the secret of SPIs changed last.
    rotated: Instant,
    /// Our SPIs that no secret shows any more, and when they were looked for last.
    kept: BTreeSet<u64>,
    looked: Instant,
    /// What XDP was told last.
    told: Option<Told>,
    /// What it has answered, and when it was asked.
    answered: u64,
    asked: Instant,
}

impl fmt::Debug for Shield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// What XDP acts on, besides the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    config: maps::Config,
    secrets: Secrets,
}

/// The secrets of SPIs, which the engine mints with.
#[derive(Clone)]
struct SharedSecrets(Arc<Mutex<SpiSecrets>>);

impl SharedSecrets {
    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, SpiSecrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpiAllocator for SharedSecrets {
    fn allocate(&mut self, random: &mut dyn CryptoRng) -> Spi {
        Spi(self.lock().mint(random.next_u32()))
    }
}

impl Shield {
    /// A defence as it is configured, with secrets from `random`.
    pub(super) fn new(defence: &Defence, gate: Gate, mut random: ChaCha20Rng) -> Self {
        let secrets = SpiSecrets::new(defence.node, secret(&mut random), secret(&mut random));
        Self {
            lists: Lists::new(defence),
            defence: defence.clone(),
            gate,
            spis: SharedSecrets(Arc::new(Mutex::new(secrets))),
            random,
            rotated: Instant::ZERO,
            kept: BTreeSet::new(),
            looked: Instant::ZERO,
            told: None,
            answered: 0,
            asked: Instant::ZERO,
        }
    }

    /// What gives the engine SPIs that XDP knows.
    pub(super) fn allocator(&self) -> Box<dyn SpiAllocator + Send> {
        Box::new(self.spis.clone())
    }

    /// Acts on another configuration, but for what takes a restart.
    pub(super) fn reconfigure(&mut self, defence: &Defence, gate: Gate) {
        self.lists = Lists::new(defence);
        self.defence = defence.clone();
        self.gate = gate;
        self.told = None;
    }

    /// Whether nothing is taken from `address`.
    pub(super) fn blocks(&self, address: IpAddr) -> bool {
        self.lists.blocks(address)
    }

    /// When [`Self::tend`] has something to do that no input of the engine brings about.
    pub(super) fn deadline(&self, engine: &Endpoint) -> Instant {
        let rotation = self.rotated + SPI_SECRET_LIFETIME;
        let look = (!self.kept.is_empty()).then(|| self.looked + KEPT_TIME);
        let ask = self.told.is_some().then(|| self.asked + interval(engine));
        look.into_iter().chain(ask).fold(rotation, Instant::min)
    }

    /// Changes the secret of SPIs when it is time, and tells `program` what has changed
    /// since the last time.
    pub(super) fn tend(&mut self, now: Instant, engine: &Endpoint, program: Option<&mut Program>) {
        let rotates = now.since(self.rotated) >= SPI_SECRET_LIFETIME;
        let mut spis = self.spis.lock().clone();
        if rotates {
            spis.rotate(secret(&mut self.random));
            self.rotated = now;
        }
        let looks = !self.kept.is_empty() && now.since(self.looked) >= KEPT_TIME;
        if rotates || looks {
            let ours = engine.our_spis().map(|spi| spi.0);
            self.kept = ours.filter(|spi| !spis.verify(*spi)).collect();
            self.looked = now;
        }
        if let Some(program) = program
            && let Err(error) = self.tell(program, engine, &spis, rotates || looks)
        {
            let error: &(dyn std::error::Error + 'static) = &error;
            let hint = "IKE is served all the same, by what XDP was told before";
            warn!(error, hint, "XDP program not told of a change");
        }
        // Last, so that no SPI is made that XDP does not know.
        if rotates {
            *self.spis.lock() = spis;
        }
    }

    fn tell(
        &mut self,
        program: &mut Program,
        engine: &Endpoint,
        spis: &SpiSecrets,
        kept: bool,
    ) -> Result<(), MapError> {
        let told = Told {
            config: self.config(program, engine),
            secrets: Secrets {
                cookies: engine.cookie_secrets().clone(),
                spis: spis.clone(),
            },
        };
        let first = self.told.is_none();
        if !kept && self.told.as_ref() == Some(&told) {
            return Ok(());
        }
        // What fails is not tried over and over, but when there is something new.
        let Told { config, secrets } = self.told.insert(told).clone();
        // What it checks with comes before what it checks, and first of all the SPIs
        // that the new secrets do not show.
        if kept {
            let left_out = program.set_kept_spis(&self.kept)?;
            if left_out > 0 {
                let hint = "what so many old SAs say is dropped: have them rekeyed more often";
                warn!(left_out, max = KEPT_SPIS_MAX, hint, "SPIs left out of XDP");
            }
        }
        if first {
            let left_out = program.set_listed(self.lists.prefixes())?;
            if left_out > 0 {
                let hint = "shorten the lists: XDP neither lets pass nor drops what is left out";
                warn!(left_out, max = LISTED_MAX, hint, "prefixes left out of XDP");
            }
        }
        program.set_secrets(&secrets)?;
        program.configure(config)
    }

    fn config(&self, program: &Program, engine: &Endpoint) -> maps::Config {
        let proven = self.gate.init_limits();
        maps::Config {
            cookies: match self.gate.cookies {
                _ if engine.is_challenging() => maps::Cookies::Always,
                Cookies::Off => maps::Cookies::Off,
                Cookies::Automatic | Cookies::Always => maps::Cookies::OverRate,
            },
            check_spis: true,
            init: Limits {
                total: Rate::per_second(self.gate.cookie_rate, self.gate.cookie_rate),
                ..proven
            },
            proven,
            stray: INVALID_SPIS,
            // The program sees to it itself.
            lists: false,
            ..program.config()
        }
    }

    /// How many requests `program` has answered in a second since it was asked, if it is
    /// time to ask again.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        engine: &Endpoint,
        program: &Program,
    ) -> Option<u64> {
        let elapsed = now.since(self.asked);
        if elapsed < interval(engine) {
            return None;
        }
        self.asked = now;
        let counters = program.counters().ok()?;
        let replies = [
            Verdict::ReplyCookie,
            Verdict::ReplyCookieSource,
            Verdict::ReplyCookieNetwork,
            Verdict::ReplyCookieTotal,
        ];
        let total = replies.map(|verdict| counters.total(verdict)).iter().sum();
        let before = std::mem::replace(&mut self.answered, total);
        per_second(total.saturating_sub(before), elapsed)
    }
}

/// How often XDP is asked what it has answered.
fn interval(engine: &Endpoint) -> Duration {
    if engine.is_challenging() {
        BUSY_INTERVAL
    } else {
        CALM_INTERVAL
    }
}

/// How many of `replies` there were in a second: at least one if there were any.
fn per_second(replies: u64, elapsed: Duration) -> Option<u64> {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    replies
        .saturating_mul(1000)
        .checked_div(milliseconds)
        .map(|rate| rate.max(replies.min(1)))
}

fn secret(random: &mut ChaCha20Rng) -> Secret {
    [random.next_u64(), random.next_u64()]
}
