//! What an SA reaches of its endpoint while it handles something.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;
use rand_core::CryptoRng;

use super::channel::Channel;
use super::succession::{Bequest, Superseding};
use super::{Core, IkeSa, InboundSpis, Lineages};
use crate::config::Config;
use crate::crypto::keymat::IkeKeys;
use crate::data_plane::Lineage;
use crate::endpoint::{ExposedKeys, Output};
use crate::event::{Event, FailureReason, FragmentationSummary, HandshakeFailure, Unacknowledged};
use crate::identity::Identity;
use crate::job::{Job, JobId};
use crate::path_size::PathSizes;
use crate::pool::Pools;
use crate::spi::SpiAllocator;
use crate::stats::{Stat, Stats};
use crate::suite::IkeSuite;
use crate::table::OwnSpis;
use crate::time::Instant;
use crate::types::{EspSpi, IkeSaId, Path, ReplySlot, Spi, Spis, Transmit};

/// What every SA needs of its endpoint while it handles something.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) now: Instant,
    pub(crate) entropy: &'a mut (dyn CryptoRng + Send),
    pub(crate) allocator: &'a mut (dyn SpiAllocator + Send),
    /// The SPIs that no new SA can have.
    pub(crate) taken: &'a OwnSpis,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) stats: &'a mut Stats,
    pub(crate) sizes: &'a mut PathSizes,
    pub(crate) pools: &'a mut Pools,
    pub(crate) jobs: &'a mut Jobs,
    pub(crate) inbound: &'a mut InboundSpis,
    pub(crate) lineages: &'a mut Lineages,
    pub(crate) successions: &'a mut Successions,
    /// The peer whose keys are handed out, if anybody's are.
    pub(crate) exposed: Option<IpAddr>,
}

/// Jobs that are out, and who waits for them.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    last: u64,
    waiting: BTreeMap<JobId, IkeSaId>,
}

impl Jobs {
    /// Who waits for the job; nobody if it is not out.
    pub(crate) fn done(&mut self, id: JobId) -> Option<IkeSaId> {
        self.waiting.remove(&id)
    }

    /// Somebody else waits for it now.
    pub(super) fn pass_on(&mut self, id: JobId, owner: IkeSaId) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            *waiting = owner;
        }
    }
}

/// IKE SAs that take the place of others (RFC 7296 §2.18): what an SA wants done
/// to the table it is in.
#[derive(Debug, Default)]
pub(crate) struct Successions {
    /// The name that was given last.
    last_id: u64,
    /// New SAs, to be put into the table.
    pub(crate) born: Vec<IkeSa>,
    /// What SAs leave to others.
    pub(crate) bequests: Vec<Bequest>,
    /// Replaced SAs that are waited for no longer.
    pub(crate) retired: Vec<IkeSaId>,
    /// A peer whose other SAs are to be closed.
    pub(crate) superseding: Option<Superseding>,
}

impl Context<'_> {
    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Hands out keys that were just derived, if it is this peer's that are asked for.
    pub(crate) fn expose(&mut self, peer: &Path, spis: Spis, suite: IkeSuite, keys: &IkeKeys) {
        if self.exposed == Some(peer.remote.ip()) {
            let keys = keys.of_messages();
            let exposed = Box::new(ExposedKeys { spis, suite, keys });
            self.outputs.push_back(Output::Keys(exposed));
        }
    }

    pub(crate) fn job(&mut self, owner: IkeSaId, job: Job) -> JobId {
        self.jobs.last = self.jobs.last.wrapping_add(1);
        let id = JobId(self.jobs.last);
        self.jobs.waiting.insert(id, owner);
        self.outputs.push_back(Output::Job(id, job));
        id
    }

    /// The name of the next IKE SA.
    pub(crate) const fn ike_sa_id(&mut self) -> IkeSaId {
        self.successions.last_id = self.successions.last_id.saturating_add(1);
        IkeSaId(self.successions.last_id)
    }

    pub(crate) fn transmit(&mut self, path: Path, slot: Option<ReplySlot>, payload: Bytes) {
        self.send(path, slot, payload, false);
    }

    /// Answers a stranger, in one datagram.
    pub(crate) fn transmit_whole(&mut self, path: Path, slot: Option<ReplySlot>, payload: Bytes) {
        self.send(path, slot, payload, true);
    }

    fn send(&mut self, path: Path, slot: Option<ReplySlot>, payload: Bytes, is_whole: bool) {
        self.stats.count(Stat::Sent);
        self.outputs.push_back(Output::Transmit(Transmit {
            path,
            slot,
            payload,
            is_whole,
        }));
    }

    /// Tells of a handshake that came as far as `progress` and failed.
    pub(super) fn handshake_failed(
        &mut self,
        core: &Core,
        progress: Progress<'_>,
        reason: FailureReason,
    ) {
        self.stats.count(match &reason {
            FailureReason::Timeout { .. } => Stat::HandshakeTimeout,
            FailureReason::NoConnection { .. }
            | FailureReason::AuthMethod(_)
            | FailureReason::SharedKey
            | FailureReason::Credentials(_) => Stat::AuthenticationFailed,
            _ => Stat::HandshakeFailed,
        });
        if let Some(spi) = progress.spi_in {
            self.inbound.release(spi);
        }
        self.event(Event::HandshakeFailed(Box::new(HandshakeFailure {
            id: Some(core.id),
            role: core.role,
            path: core.path,
            connection: progress.connection.map(ToString::to_string),
            claimed: progress.claimed,
            suite: progress.channel.map(|channel| channel.suite),
            fragmentation: fragmentation(progress.channel),
            announces_fragmentation: self.config.fragmentation.enabled,
            handshake: self.now.since(core.created),
            incomplete: progress.channel.and_then(Channel::incomplete),
            unacknowledged: progress.unacknowledged,
            reason,
        })));
    }

    /// The number of a new lineage of CHILD SAs.
    pub(super) fn lineage(&mut self, owner: IkeSaId) -> Lineage {
        self.lineages.reserve(owner)
    }

    /// A number from `low` up to, but without, `high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        let width = high.saturating_sub(low).max(1);
        low.saturating_add(self.entropy.next_u32().checked_rem(width).unwrap_or(0))
    }

    /// A fresh SPI to receive ESP on.
    pub(super) fn esp_spi(&mut self) -> EspSpi {
        self.inbound.reserve(self.entropy)
    }

    /// A fresh SPI of ours; zero means "not known yet" and is none. Whatever is being
    /// handled takes one at most, and is known to have it afterwards.
    pub(crate) fn spi(&mut self) -> Spi {
        loop {
            let spi = self.allocator.allocate(self.entropy);
            if spi != Spi::ZERO && !self.taken.contains(spi) {
                return spi;
            }
        }
    }

    /// `N` unpredictable octets.
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        self.entropy.fill_bytes(&mut octets);
        octets
    }
}

/// How far a handshake came before it failed.
#[derive(Default)]
pub(super) struct Progress<'a> {
    pub(super) connection: Option<&'a str>,
    pub(super) claimed: Option<Identity>,
    pub(super) channel: Option<&'a Channel>,
    /// Our last response, if the peer asked for it again and has not gone on.
    pub(super) unacknowledged: Option<Unacknowledged>,
    /// What it has reserved for its CHILD SA.
    pub(super) spi_in: Option<EspSpi>,
}

pub(super) fn fragmentation(channel: Option<&Channel>) -> FragmentationSummary {
    channel.map_or_else(FragmentationSummary::default, |channel| {
        channel.fragmentation
    })
}
