//! The engine: owns the IKE SAs and routes what comes in to them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use crate::config::Config;
use crate::event::{Event, IkeSaSummary};
use crate::job::{Job, JobId, JobResult};
use crate::stats::Stats;
use crate::time::Instant;
use crate::types::{Datagram, IkeSaId, Path, Transmit};

/// What the host hands in.
#[derive(Debug)]
pub enum Input<'a> {
    /// An IKE message came.
    Datagram(Datagram<'a>),
    /// The time [`Endpoint::poll_timeout`] named has come.
    Timeout,
    /// A job is done.
    JobDone(JobId, JobResult),
    /// The host wants something.
    Command(Command),
}

/// What the host may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin a handshake as the initiator.
    Initiate {
        /// The name of the connection.
        connection: String,
        /// From where to where.
        path: Path,
    },
    /// Delete an IKE SA; nothing happens if there is none of that name.
    Terminate(IkeSaId),
    /// Delete every IKE SA; the host is about to leave.
    Shutdown,
}

/// What the host has to do.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit(Transmit),
    /// Do a job and hand its result in.
    Job(JobId, Job),
    /// Tell people.
    Event(Event),
}

/// An IKEv2 peer, sans I/O.
pub struct Endpoint {
    config: Arc<Config>,
    entropy: Box<dyn CryptoRng + Send>,
    now: Instant,
    outputs: VecDeque<Output>,
    stats: Stats,
}

impl Endpoint {
    /// Makes an endpoint without SAs; all its randomness comes from `entropy`.
    #[must_use]
    pub fn new(config: Arc<Config>, entropy: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            config,
            entropy,
            now: Instant::ZERO,
            outputs: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Takes what came in at `now`. Never fails, never blocks: a bad packet is
    /// a counter. The outputs must be drained before the next call.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        let _ = (input, &self.config, &mut self.entropy);
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to hand in [`Input::Timeout`], unless something comes earlier.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Every IKE SA, in the order of their making.
    #[must_use]
    pub fn summaries(&self) -> Vec<IkeSaSummary> {
        Vec::new()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
