//! Whether the peer lives (RFC 7296 §2.4).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Established, Ours};
use crate::config::Timing;
use crate::data_plane::{Carried, EspSaName};
use crate::job::{Job, JobId, JobResult};
use crate::message::informational::Informational;
use crate::sa::{Context, Core, State};
use crate::time::Instant;
use crate::wire::iana::ExchangeType;

/// What is known of the peer's life.
#[derive(Debug)]
pub(super) struct Liveness {
    /// When it was last heard.
    heard: Instant,
    /// Whether it was heard at all since IKE_AUTH.
    pub(super) confirmed: bool,
    /// The job that asks the kernel what has come.
    measuring: Option<JobId>,
    /// What had come in when it was asked the last time, in octets.
    octets: u64,
}

impl Liveness {
    /// A peer that has just been heard.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            heard: now,
            confirmed: true,
            measuring: None,
            octets: 0,
        }
    }

    /// The peer has said something.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.confirmed = true;
    }

    /// When its silence has lasted too long.
    pub(super) fn due(&self, timing: &Timing) -> Option<Instant> {
        let silence = if self.confirmed {
            timing.liveness
        } else {
            timing.first_liveness.min(timing.liveness)
        };
        self.measuring.is_none().then(|| self.heard + silence)
    }

    /// Whether `job` asks the kernel for this.
    pub(super) fn waits_for(&self, job: JobId) -> bool {
        self.measuring == Some(job)
    }
}

impl Established {
    /// Asks a peer that has been silent for too long whether it lives; but first
    /// the kernel, whether traffic has come.
    pub(super) fn ask_for_life(&mut self, cx: &mut Context<'_>, core: &Core) {
        let due = self.liveness.due(&cx.config.timing);
        if due.is_none_or(|due| due > cx.now) {
            return;
        }
        let children = self.estate.children.iter();
        let inbound = children.map(|child| child.names(self.estate.tunnel)[0]);
        let sas: Vec<EspSaName> = inbound.collect();
        if sas.is_empty() {
            return self.ask(cx, core);
        }
        let account = None;
        self.liveness.measuring = Some(cx.job(core.id, Job::Measure { sas, account }));
    }

    /// Asks whether the peer lives, whatever has come of it.
    pub(in crate::sa) fn probe(&mut self, cx: &mut Context<'_>, core: &Core) {
        if matches!(self.ours, Ours::Idle) {
            self.ask(cx, core);
        }
    }

    /// The kernel has said what has come: authentic ESP is as good as an answer.
    pub(super) fn measured(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        result: JobResult,
    ) -> State {
        self.liveness.measuring = None;
        let carried = match result {
            JobResult::Carried(Ok(carried)) => carried,
            _ => Vec::new(),
        };
        let octets = carried.iter().map(|carried: &Carried| carried.octets);
        let octets = octets.fold(0, u64::saturating_add);
        let grown = octets > self.liveness.octets;
        self.liveness.octets = octets;
        if grown {
            self.liveness.heard(cx.now);
        } else if matches!(self.ours, Ours::Idle) {
            self.ask(cx, core);
        }
        self.proceed(cx, core)
    }

    fn ask(&mut self, cx: &mut Context<'_>, core: &Core) {
        self.ours = Ours::Liveness;
        let question = Informational::default().encode();
        self.request(cx, core, ExchangeType::INFORMATIONAL, question);
    }
}
