//! Drives the engine: hands in what comes, does what it says.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use ikexdp_proto::config::Fragmentation;
use ikexdp_proto::job::{Job, JobId, JobResult};
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Datagram, IkeSaId, Transmit};
use ikexdp_proto::{Command, Endpoint, Input, Output};

use super::accounts::Accounts;
use super::decryption::Reader;
use super::engine_config;
use super::fast_path::FastPath;
use super::handshakes::Handshakes;
use super::holders::Holders;
use super::senders::Senders;
use super::shield::Shield;
use crate::clock::Clock;
use crate::config::Settings;
use crate::control::Feed;
use crate::jobs::{Full, Jobs, Lost, Submitted};
use crate::journal::Journal;
use crate::leases::Keeper;
use crate::metrics::{Metric, Metrics};
use crate::parked::Settled;
use crate::udp::{Discard, Outbox, Outgoing, SendError, Sockets};
use crate::xfrm::Events;
use crate::xsk::Frame;

/// The engine with everything it reaches the world by.
pub(super) struct Driver {
    pub(super) clock: Clock,
    pub(super) engine: Endpoint,
    pub(super) sockets: Rc<Sockets>,
    /// What leaves by them together.
    pub(super) outbox: Outbox,
    pub(super) fast_path: Option<FastPath>,
    pub(super) shield: Shield,
    pub(super) jobs: Jobs,
    /// What the kernel says of CHILD SAs, if it carries them.
    pub(super) events: Option<Events>,
    pub(super) journal: Journal,
    pub(super) accounts: Arc<Accounts>,
    pub(super) handshakes: Handshakes,
    pub(super) holders: Arc<Holders>,
    pub(super) feed: Arc<Feed>,
    pub(super) leases: Keeper,
    pub(super) metrics: Metrics,
    pub(super) senders: Senders,
    /// Jobs that could not be done, which the engine has yet to hear of.
    pub(super) refused: Vec<JobId>,
    /// Who reads along with a peer, if anybody does.
    pub(super) reader: Option<Reader>,
    pub(super) fragmentation: Fragmentation,
    pub(super) half_open_max: usize,
    pub(super) ip_fragments: bool,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl Driver {
    /// Takes what a UDP socket received.
    pub(super) fn datagram(&mut self, received: Result<Datagram<'_>, Discard>) {
        match received {
            Ok(datagram) => {
                let Some(datagram) = self.shield.pass(datagram) else {
                    return self.metrics.count(Metric::UdpBlocked);
                };
                self.metrics.count(Metric::UdpReceived);
                self.senders.see(self.clock.now(), &datagram);
                self.handle(Input::Datagram(datagram));
            }
            Err(Discard::NotIke) => self.metrics.count(Metric::UdpNotIke),
            Err(Discard::NoAddress) => self.metrics.count(Metric::UdpNoAddress),
        }
    }

    /// Takes a frame that was redirected to us.
    pub(super) fn frame(&mut self, frame: Frame) {
        let Some(fast_path) = &mut self.fast_path else {
            return;
        };
        let now = self.clock.now();
        let datagram = fast_path.datagram(frame);
        match datagram.map(|datagram| self.shield.pass(datagram)) {
            Ok(Some(datagram)) => {
                self.senders.see(now, &datagram);
                self.engine.handle(now, Input::Datagram(datagram));
            }
            Ok(None) => self.metrics.count(Metric::FrameBlocked),
            Err(_) => return self.metrics.count(Metric::FrameNotIke),
        }
        let job_is_out = self.conclude(now);
        let fast_path = self.fast_path.as_mut();
        match fast_path.map(|fast_path| fast_path.settle(job_is_out)) {
            Some(Settled::Parked) => self.metrics.count(Metric::FrameParked),
            Some(Settled::Evicted) => self.metrics.count(Metric::FrameEvicted),
            Some(Settled::Free) | None => {}
        }
        if self.jobs.is_pressing() {
            self.release();
        }
    }

    /// Keeps XDP in step with the engine, which hears what XDP has done in its place. Says
    /// whether XDP acts on the lists as they are now.
    pub(super) fn guard(&mut self) -> bool {
        let now = self.clock.now();
        let program = self.fast_path.as_mut().map(FastPath::program);
        let answered = program.and_then(|it| self.shield.answered(now, &self.engine, it));
        if let Some(answered) = answered {
            self.handle(Input::Challenged(answered));
        }
        let program = self.fast_path.as_mut().map(FastPath::program);
        self.shield.tend(now, &self.engine, program)
    }

    /// Has leave what waits for others to go with it, and then jobs begin: an answer is out before what follows
    /// it, as the outbound half of a CHILD SA does.
    pub(super) fn release(&mut self) {
        let now = self.clock.now();
        self.send(now);
        let flushed = self.fast_path.as_mut().map(FastPath::flush);
        if let Some(Err(error)) = flushed {
            self.metrics.count(Metric::FrameSendFailed);
            self.journal.flush_failed(now, &error);
        }
        self.jobs.flush();
    }

    /// Ends a turn of the loop.
    pub(super) fn flush(&mut self) {
        self.release();
        self.guard();
        let changes = self.engine.assignment_changes();
        self.leases.look(self.clock.now(), changes);
    }

    /// Takes what the kernel says of CHILD SAs.
    pub(super) fn data_plane_events(&mut self) {
        let Some(mut source) = self.events.take() else {
            return;
        };
        let read = source.read(|event| {
            self.metrics.count(Metric::DataPlaneEvent);
            if let Some(sa) = self.engine.owner(event.lineage()) {
                self.accounts.hear_kernel(sa, &event);
            }
            self.handle(Input::DataPlane(event));
        });
        self.events = Some(source);
        if let Err(error) = read {
            self.metrics.count(Metric::DataPlaneEventsLost);
            self.journal.events_lost(self.clock.now(), &error);
        }
    }

    /// Takes back one job that is done, if there is one.
    pub(super) fn job_done(&mut self) -> bool {
        let Some((id, result)) = self.jobs.done() else {
            return false;
        };
        let result = self.settle(result);
        self.accounts.done(self.clock.now(), id, &result);
        self.handle(Input::JobDone(id, result));
        true
    }

    /// What the engine hears of a job.
    fn settle(&mut self, result: Result<JobResult, Lost>) -> JobResult {
        result.unwrap_or_else(|lost| {
            if lost == Lost::Panicked {
                self.metrics.count(Metric::JobPanicked);
            }
            JobResult::Abandoned
        })
    }

    /// Gives the engine a command.
    pub(super) fn command(&mut self, command: Command) {
        self.handle(Input::Command(command));
    }

    /// Has the kernel asked what sessions have carried.
    pub(super) fn measure(&mut self, sas: Vec<IkeSaId>) {
        for id in sas {
            self.command(Command::Measure(id));
        }
    }

    /// Hands the keys of a peer to who reads along, or nobody's any more.
    pub(super) fn expose(&mut self, reader: Option<Reader>) {
        let peer = reader.as_ref().map(|reader| reader.peer);
        self.reader = reader;
        self.command(Command::Expose(peer));
    }

    /// Acts on other settings from now on, as far as they can change while it
    /// runs.
    pub(super) fn reconfigure(&mut self, settings: &Settings) {
        let interface = self.fast_path.as_ref().map(FastPath::interface);
        let config = engine_config(settings, interface);
        self.fragmentation = config.fragmentation;
        self.ip_fragments = settings.ip_fragments;
        self.journal.reconfigure(settings.ip_fragments);
        self.half_open_max = config.gate.half_open_max;
        self.jobs.set_limit(config.gate.half_open_max);
        self.shield.reconfigure(&settings.defence, config.gate);
        self.engine.reconfigure(Arc::new(config));
    }

    /// When [`Self::timeout`] is to be called, unless something comes earlier.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let others = [
            self.journal.deadline(),
            self.leases.deadline(),
            self.accounts.deadline(),
            self.shield.deadline(&self.engine),
        ];
        let engine = self.engine.poll_timeout();
        engine.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Does what is due.
    pub(super) fn timeout(&mut self) {
        let now = self.clock.now();
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.handle(Input::Timeout);
        }
        self.measure(self.accounts.due(now));
        self.journal.timeout(now);
        let changes = self.engine.assignment_changes();
        let leases = self.engine.assignments();
        self.leases.timeout(now, changes, leases);
    }

    /// Writes down what must outlive the daemon.
    pub(super) fn finish(self) {
        let changes = self.engine.assignment_changes();
        self.leases.finish(changes, self.engine.assignments());
    }

    fn handle(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        self.engine.handle(now, input);
        self.conclude(now);
        if self.jobs.is_pressing() {
            self.release();
        }
    }

    /// Does what the engine says to the input it was just given. Says whether a
    /// job is under way for it, so that a reply may come later.
    fn conclude(&mut self, now: Instant) -> bool {
        let mut job_is_out = self.drain(now);
        loop {
            let refused = self.refused.pop().map(|id| (id, Ok(JobResult::Abandoned)));
            let Some((id, result)) = refused.or_else(|| self.jobs.done_at_once()) else {
                return job_is_out;
            };
            let result = self.settle(result);
            self.accounts.done(now, id, &result);
            self.engine.handle(now, Input::JobDone(id, result));
            job_is_out |= self.drain(now);
        }
    }

    fn drain(&mut self, now: Instant) -> bool {
        let mut job_is_out = false;
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transmit(now, &transmit),
                Output::Keepalive(path) => self.post(now, Outgoing::keepalive(path)),
                Output::Keys(keys) => {
                    if let Some(reader) = &self.reader {
                        reader.hear_keys(&keys);
                    }
                }
                Output::Job(id, job) => job_is_out |= self.submit(id, job),
                Output::Event(event) => {
                    self.journal.event(now, &event);
                    self.accounts.hear(now, &event);
                    self.handshakes.hear(&event);
                    self.holders.hear(&event);
                    self.feed.tell(&event);
                }
            }
        }
        job_is_out
    }

    fn submit(&mut self, id: JobId, job: Job) -> bool {
        if let Some(reader) = &self.reader {
            reader.hear_job(&job);
        }
        self.accounts.submitted(id, &job);
        let submitted = self.jobs.submit(id, job);
        match submitted {
            Ok(_) => self.metrics.count(Metric::JobSubmitted),
            Err(Full) => {
                self.metrics.count(Metric::JobRefused);
                self.refused.push(id);
            }
        }
        submitted == Ok(Submitted::Out)
    }

    /// A reply to a frame goes back in it if it can, all else by the kernel.
    fn transmit(&mut self, now: Instant, transmit: &Transmit) {
        let Transmit {
            path,
            slot,
            payload,
            ..
        } = transmit;
        if let (Some(slot), Some(fast_path)) = (slot, &mut self.fast_path) {
            if fast_path.reply(*slot, path, payload) {
                return self.metrics.count(Metric::FrameReplied);
            }
            self.metrics.count(Metric::FrameReplyByKernel);
        }
        self.send_by_kernel(now, transmit);
    }

    fn send_by_kernel(&mut self, now: Instant, transmit: &Transmit) {
        let Transmit {
            path,
            payload,
            is_whole,
            ..
        } = transmit;
        let mut datagram = Outgoing::message(*path, payload.clone());
        // The engine makes a message this long for a peer that cannot fragment it, and has
        // said so already, or for who asks how long a datagram may be.
        let is_long = datagram.datagram_len() > usize::from(self.fragmentation.datagram_len);
        datagram.may_fragment = is_long && self.ip_fragments && !is_whole;
        self.post(now, datagram);
    }

    /// Has a datagram leave with others, at [`Self::release`] or as soon as enough wait.
    fn post(&mut self, now: Instant, datagram: Outgoing) {
        if self.outbox.push(datagram) {
            self.send(now);
        }
    }

    fn send(&mut self, now: Instant) {
        let Self {
            outbox,
            sockets,
            journal,
            metrics,
            ..
        } = self;
        let datagram_len = usize::from(self.fragmentation.datagram_len);
        outbox.send(sockets, |datagram, sent| {
            let is_long = datagram.datagram_len() > datagram_len;
            if let Err(error) = &sent
                && !is_long
            {
                journal.send_failed(now, &datagram.path, error);
            }
            if datagram.is_keepalive() {
                return;
            }
            metrics.count(match sent {
                Ok(()) if datagram.may_fragment => Metric::UdpIpFragmented,
                Ok(()) => Metric::UdpSent,
                Err(SendError::TooLong { .. }) => Metric::UdpTooLong,
                Err(SendError::NoSocket(_) | SendError::Refused(_)) => Metric::UdpSendFailed,
            });
        });
    }
}
