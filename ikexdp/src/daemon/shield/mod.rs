//! Keeps what XDP defends the engine with in step with the engine.

mod command;
mod lists;
mod observers;
mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aya::maps::MapError;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{CryptoRng, Rng};
use ikexdp_common::guard::Listing;
use ikexdp_common::maps::{self, KEPT_SPIS_MAX, LISTED_MAX, Secrets};
use ikexdp_common::siphash::Secret;
use ikexdp_common::spi::SpiSecrets;
use ikexdp_common::verdict::Verdict;
use ikexdp_proto::Endpoint;
use ikexdp_proto::config::{Cookies, Gate};
use ikexdp_proto::limits::INVALID_SPIS;
use ikexdp_proto::spi::SpiAllocator;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Datagram, Spi};
use ipnet::IpNet;
use tracing::{info, warn};

use self::lists::Lists;
pub(super) use self::observers::{Observer, Observers};
use self::program::Maps;
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

/// How soon XDP is told again what it has not taken.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// What the defence in the kernel is made of.
pub(super) struct Shield {
    defence: Defence,
    /// What the engine lets in.
    gate: Gate,
    lists: Lists,
    /// What XDP is to check SPIs with; what they are minted with, it does check with.
    secrets: SpiSecrets,
    minting: Minting,
    observers: Observers,
    random: ChaCha20Rng,
    /// When the secret of SPIs changed last.
    rotated: Instant,
    /// Our SPIs that no secret shows any more, and when they were looked for last.
    kept: BTreeSet<u64>,
    looked: Instant,
    /// What XDP has yet to take, and what it was told last.
    news: News,
    told: Option<Told>,
    /// When to tell it again what it has not taken.
    retry: Option<Instant>,
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

/// What XDP has not taken as it is now.
struct News {
    lists: Changes,
    /// Whether some of that has not been tried.
    untried: bool,
    kept: bool,
    others: bool,
}

/// Of which prefixes something else is said.
enum Changes {
    Some(BTreeSet<IpNet>),
    /// Perhaps of all.
    All,
}

impl News {
    fn relist(&mut self, prefixes: &[IpNet]) {
        if let Changes::Some(changed) = &mut self.lists {
            changed.extend(prefixes);
        }
        self.untried |= !prefixes.is_empty();
    }

    fn relist_all(&mut self) {
        self.lists = Changes::All;
        self.untried = true;
    }

    fn has_lists(&self) -> bool {
        match &self.lists {
            Changes::Some(changed) => !changed.is_empty(),
            Changes::All => true,
        }
    }
}

/// What XDP acts on, besides the lists.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    config: maps::Config,
    secrets: Secrets,
}

/// The secrets of SPIs, which the engine mints with.
#[derive(Clone)]
struct Minting(Arc<Mutex<SpiSecrets>>);

impl Minting {
    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, SpiSecrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpiAllocator for Minting {
    fn allocate(&mut self, random: &mut dyn CryptoRng) -> Spi {
        Spi(self.lock().mint(random.next_u32()))
    }
}

impl Shield {
    /// A defence as it is configured, with secrets from `random`.
    pub(super) fn new(
        defence: &Defence,
        gate: Gate,
        observers: Observers,
        mut random: ChaCha20Rng,
    ) -> Self {
        let secrets = SpiSecrets::new(defence.node, secret(&mut random), secret(&mut random));
        Self {
            lists: Lists::new(defence),
            defence: defence.clone(),
            gate,
            minting: Minting(Arc::new(Mutex::new(secrets.clone()))),
            secrets,
            observers,
            random,
            rotated: Instant::ZERO,
            kept: BTreeSet::new(),
            looked: Instant::ZERO,
            news: News {
                lists: Changes::All,
                untried: true,
                kept: false,
                others: true,
            },
            told: None,
            retry: None,
            answered: 0,
            asked: Instant::ZERO,
        }
    }

    /// What gives the engine SPIs that XDP knows.
    pub(super) fn allocator(&self) -> Box<dyn SpiAllocator + Send> {
        Box::new(self.minting.clone())
    }

    /// Acts on another configuration, but for what takes a restart.
    pub(super) fn reconfigure(&mut self, defence: &Defence, gate: Gate) {
        self.lists.configure(defence);
        self.news.relist_all();
        self.defence = defence.clone();
        self.gate = gate;
    }

    /// What the engine may have of `datagram`, unless nothing is taken from there: XDP
    /// does not see all that comes, and may not have room for all that is listed.
    pub(super) fn pass<'a>(&self, datagram: Datagram<'a>) -> Option<Datagram<'a>> {
        match self.lists.listing(datagram.path.remote.ip()) {
            Listing::Blocked => None,
            listing => Some(Datagram {
                is_allowed: listing == Listing::Allowed,
                ..datagram
            }),
        }
    }

    /// When [`Self::tend`] has something to do that no input of the engine brings about.
    pub(super) fn deadline(&self, engine: &Endpoint) -> Option<Instant> {
        let look = (!self.kept.is_empty()).then(|| self.looked + KEPT_TIME);
        let ask = self.told.is_some().then(|| self.asked + interval(engine));
        let dues = [self.rotation(), look, ask, self.lists.end(), self.retry];
        dues.into_iter().flatten().min()
    }

    /// When the secret of SPIs changes, unless XDP has yet to take the last one: it
    /// checks with two.
    fn rotation(&self) -> Option<Instant> {
        let is_taken = *self.minting.lock() == self.secrets;
        is_taken.then(|| self.rotated + SPI_SECRET_LIFETIME)
    }

    /// Does what is due, and tells `program` what has changed since the last time. Says
    /// whether it acts on the lists as they are now; without it, nobody else does.
    pub(super) fn tend(
        &mut self,
        now: Instant,
        engine: &Endpoint,
        program: Option<&mut impl Maps>,
    ) -> bool {
        self.expire(now);
        let rotates = self.rotation().is_some_and(|due| due <= now);
        if rotates {
            self.secrets.rotate(secret(&mut self.random));
            self.rotated = now;
        }
        let looks = !self.kept.is_empty() && now.since(self.looked) >= KEPT_TIME;
        if rotates || looks {
            let ours = engine.our_spis().map(|spi| spi.0);
            self.kept = ours.filter(|spi| !self.secrets.verify(*spi)).collect();
            self.looked = now;
            self.news.kept = true;
        }
        let Some(program) = program else {
            if rotates {
                *self.minting.lock() = self.secrets.clone();
            }
            self.news.relist_all();
            return true;
        };
        let told = Told {
            config: self.config(program.config(), engine),
            secrets: Secrets {
                cookies: engine.cookie_secrets().clone(),
                spis: self.secrets.clone(),
            },
        };
        // What is not taken waits, and what is new does not.
        let is_new = self.told.as_ref() != Some(&told);
        let is_untried = std::mem::take(&mut self.news.untried);
        if self.retry.is_some_and(|due| now < due) && !is_new && !is_untried {
            return !self.news.has_lists();
        }
        self.news.others |= is_new;
        match self.tell(program, &told) {
            Ok(()) if self.retry.take().is_some() => info!("XDP program told of all changes"),
            Ok(()) => {}
            Err(error) => {
                let is_first = self.retry.replace(now + RETRY_INTERVAL).is_none();
                if is_first {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    let hint = "IKE is served all the same, by what XDP was told before; it is told again \
                        every ten seconds";
                    warn!(error, hint, "XDP program not told of a change");
                }
            }
        }
        self.told = Some(told);
        !self.news.has_lists()
    }

    /// Whether XDP has taken what it was told last, but for the lists.
    pub(super) const fn is_taken(&self) -> bool {
        !self.news.others
    }

    /// How many look at what XDP would take.
    pub(super) fn observers(&self) -> usize {
        self.observers.count()
    }

    /// Tells as much as `program` takes.
    fn tell(&mut self, program: &mut impl Maps, told: &Told) -> Result<(), MapError> {
        let lists = self.tell_lists(program);
        // What it checks with comes before what it checks, and first of all the SPIs
        // that the new secrets do not show.
        let kept = self.tell_kept(program);
        if self.news.others {
            let mut secrets = told.secrets.clone();
            if kept.is_err() {
                secrets.spis = self.minting.lock().clone();
            }
            program.set_secrets(&secrets)?;
            // Only now, so that no SPI is made that XDP does not know.
            *self.minting.lock() = secrets.spis;
            program.configure(told.config)?;
            self.news.others = kept.is_err();
        }
        lists.and(kept)
    }

    fn tell_lists(&mut self, program: &mut impl Maps) -> Result<(), MapError> {
        if !self.news.has_lists() {
            return Ok(());
        }
        let prefixes = self.lists.prefixes();
        let left_out = match &self.news.lists {
            Changes::Some(changed) => program.change_listed(prefixes, changed)?,
            Changes::All => program.set_listed(prefixes)?,
        };
        self.news.lists = Changes::Some(BTreeSet::new());
        if left_out > 0 {
            let hint =
                "shorten the lists: the daemon sees to the shortest prefixes itself, at its cost";
            warn!(left_out, max = LISTED_MAX, hint, "prefixes left out of XDP");
        }
        Ok(())
    }

    fn tell_kept(&mut self, program: &mut impl Maps) -> Result<(), MapError> {
        if self.news.kept {
            let left_out = program.set_kept_spis(&self.kept)?;
            self.news.kept = false;
            if left_out > 0 {
                let hint = "what so many old SAs say is dropped: have them rekeyed more often";
                warn!(left_out, max = KEPT_SPIS_MAX, hint, "SPIs left out of XDP");
            }
        }
        Ok(())
    }

    fn config(&self, now: maps::Config, engine: &Endpoint) -> maps::Config {
        maps::Config {
            cookies: match self.gate.cookies {
                _ if engine.is_challenging() => maps::Cookies::Always,
                Cookies::Off => maps::Cookies::Off,
                Cookies::Automatic | Cookies::Always => maps::Cookies::OverRate,
            },
            check_spis: true,
            init: self.gate.unproved_limits(),
            proven: self.gate.proved_limits(),
            stray: INVALID_SPIS,
            observed: self.observers.count() > 0,
            // The program sees to it itself.
            lists: false,
            ..now
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
