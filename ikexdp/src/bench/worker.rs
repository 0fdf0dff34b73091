//! One thread: an engine with many clients in it, their sockets, and their jobs.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, atomic::Ordering};
use std::time::Duration;

use ikexdp_proto::crypto::cert::NoStatusSource;
use ikexdp_proto::crypto::rehearse_random;
use ikexdp_proto::data_plane::NoDataPlane;
use ikexdp_proto::job::{Job, JobHost, JobId, JobResult};
use ikexdp_proto::spi::RandomSpis;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Path, Transmit};
use ikexdp_proto::{Command, Endpoint, Input, Output};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use ring::rand::SystemRandom;

use super::error::BenchError;
use super::fleet::{Fleet, Wish};
use super::line::Line;
use super::plan::{CONNECTION, Phase, Plan};
use super::record::{Record, count};
use super::{Order, Outcome, Tally};
use crate::clock::{self, Clock};
use crate::entropy;
use crate::signatures::Signatures;
use crate::waker::Waker;

/// Descriptors told of in a turn; the others are told of in the next.
const EVENTS: usize = 128;

/// How long to wait when the kernel had no room: nothing tells when it has.
const STALL: Duration = Duration::from_millis(1);

/// What epoll gives back for orders; what clients hear by has lower tokens.
const ORDERS: u64 = u64::MAX;

/// Which thread this is, and how it hears and tells.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) thread: usize,
    pub(super) orders: Receiver<Order>,
    pub(super) waker: Waker,
    pub(super) outcomes: Sender<Outcome>,
    pub(super) tally: Arc<Tally>,
}

/// Everything one thread has.
pub(super) struct Worker {
    plan: Arc<Plan>,
    clock: Clock,
    post: Post,
    epoll: Epoll,
    engine: Endpoint,
    line: Line,
    /// Whether the kernel had no room for something.
    is_stalled: bool,
    fleet: Fleet,
    random: SystemRandom,
    signatures: Signatures,
    jobs: VecDeque<(JobId, Job)>,
    results: (Sender<JobResult>, Receiver<JobResult>),
    /// Repeated requests until this phase began.
    repeated: u64,
}

impl Worker {
    /// One that has its share of the clients of `plan`.
    ///
    /// # Errors
    /// [`BenchError`] if the system does not give what it takes.
    pub(super) fn new(plan: Arc<Plan>, clock: Clock, post: Post) -> Result<Self, BenchError> {
        let entropy = entropy::seeded().map_err(|_| BenchError::Random)?;
        rehearse_random().map_err(|_| BenchError::Random)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(BenchError::Poll)?;
        let orders = EpollEvent::new(EpollFlags::EPOLLIN, ORDERS);
        epoll.add(&post.waker, orders).map_err(BenchError::Poll)?;
        let numbers = || {
            let all = 1..=plan.clients.get();
            all.skip(post.thread).step_by(plan.threads().get())
        };
        let line = Line::open(&plan, numbers(), &epoll)?;
        let engine = Endpoint::new(
            plan.config(1).into(),
            Box::new(entropy),
            Box::new(RandomSpis),
        );
        Ok(Self {
            engine,
            line,
            is_stalled: false,
            fleet: Fleet::new(&plan, post.thread, numbers())?,
            random: SystemRandom::new(),
            signatures: Signatures::default(),
            jobs: VecDeque::new(),
            results: channel(),
            repeated: 0,
            plan,
            clock,
            post,
            epoll,
        })
    }

    /// Says that it is there: an outcome of no phase.
    ///
    /// # Errors
    /// [`BenchError`] if there is no memory for it.
    pub(super) fn announce(&self) -> Result<(), BenchError> {
        // Without anybody who waits for it, orders end as well.
        let _ = self.post.outcomes.send(Ok(Record {
            attached: self.line.attached(),
            ..Record::new()?
        }));
        Ok(())
    }

    /// Does one phase after the other until no more are ordered. Between them what the
    /// gateway asks is answered.
    ///
    /// # Errors
    /// [`BenchError`] if the system does not go on.
    pub(super) fn run(mut self) -> Result<(), BenchError> {
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let timeout = self.timeout();
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(BenchError::Poll(error)),
            };
            let woken = self.clock.now();
            for event in events.iter().take(ready) {
                if event.data() != ORDERS {
                    self.receive(event.data());
                } else if !self.take_orders() {
                    return Ok(());
                }
            }
            // One at a time: what comes meanwhile waits for one only.
            let job = self.jobs.pop_front();
            let is_idle = ready == 0 && job.is_none();
            if let Some((id, job)) = job {
                self.compute(id, job);
            }
            self.time_passes();
            let begun = self.begin_due();
            self.is_stalled = self.line.flush();
            if !is_idle || begun {
                self.fleet.busy(self.clock.now().since(woken));
            }
            self.conclude()?;
        }
    }

    /// How long to sleep. Rounded down: rather a millisecond of turning around than to
    /// be late, and to take that for latency.
    fn timeout(&self) -> EpollTimeout {
        if !self.jobs.is_empty() {
            return EpollTimeout::ZERO;
        }
        let now = self.clock.now();
        let stall = self.is_stalled.then(|| now + STALL);
        let dues = [self.engine.poll_timeout(), self.fleet.due(now), stall];
        let Some(due) = dues.into_iter().flatten().min() else {
            return EpollTimeout::NONE;
        };
        EpollTimeout::try_from(due.since(now).as_millis()).unwrap_or(EpollTimeout::MAX)
    }

    /// Begins what is ordered; returns whether more may come.
    fn take_orders(&mut self) -> bool {
        self.post.waker.clear();
        loop {
            match self.post.orders.try_recv() {
                Ok(Order::Begin(phase)) => self.begin_phase(phase),
                Ok(Order::Stop) => self.fleet.stop(self.clock.now()),
                Ok(Order::End) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn begin_phase(&mut self, phase: Phase) {
        self.repeated = self.engine.stats().value(Stat::RequestRepeated);
        let now = self.clock.now();
        let threads = self.plan.threads();
        self.fleet.begin_phase(phase, threads, now);
    }

    /// Ends the phase if it is over.
    fn conclude(&mut self) -> Result<(), BenchError> {
        let is_there = |id| self.engine.summary(id).is_some();
        let now = self.clock.now();
        let Some(mut record) = self.fleet.conclude(now, is_there)? else {
            return Ok(());
        };
        let repeated = self.engine.stats().value(Stat::RequestRepeated);
        record.retransmissions = repeated.saturating_sub(self.repeated);
        record.busiest = record.busy;
        record.by_kernel = self.line.take_by_kernel();
        // Without anybody who waits for it, orders end as well.
        let _ = self.post.outcomes.send(Ok(record));
        Ok(())
    }

    fn receive(&mut self, token: u64) {
        self.line.poll(token);
        while let Some((place, datagram)) = self.line.next() {
            let octets = octets(&datagram.path, datagram.payload);
            self.fleet.received(place, octets);
            let now = self.clock.now();
            self.engine.handle(now, Input::Datagram(datagram));
            self.drain(now);
            self.fleet.look_at_deletion(now, place, &self.engine);
            self.fleet.look_at_question(now, place, &self.engine);
        }
        self.tell();
    }

    fn compute(&mut self, id: JobId, job: Job) {
        let host = JobHost {
            random: &self.random,
            unix_time: clock::unix_time(),
            data_plane: &NoDataPlane,
            status: &NoStatusSource,
            signatures: &self.signatures,
        };
        let done = Sender::clone(&self.results.0);
        job.run(host, move |result| drop(done.send(result)));
        // As an initiator the engine asks for nothing that is done elsewhere.
        let result = self.results.1.try_recv().unwrap_or(JobResult::Abandoned);
        self.handle(Input::JobDone(id, result));
    }

    fn time_passes(&mut self) {
        let now = self.clock.now();
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.handle(Input::Timeout);
            self.fleet.look_at_deletions(now, &self.engine);
        }
        self.fleet.give_up(now);
        self.tell();
    }

    /// Has those begin whose time has come; returns whether there was one.
    fn begin_due(&mut self) -> bool {
        let mut any = false;
        // While there are jobs, those who have begun go first.
        while self.jobs.is_empty()
            && let Some((place, wish)) = self.fleet.next(self.clock.now())
        {
            any = true;
            match wish {
                Wish::Connect(number) => self.connect(place, number),
                Wish::Rekey(id) => {
                    self.handle(Input::Command(Command::Rekey { id, child: None }));
                }
                Wish::Probe(id) => self.handle(Input::Command(Command::Probe(id))),
                Wish::Delete(id) => self.handle(Input::Command(Command::Terminate(id))),
            }
        }
        any
    }

    fn connect(&mut self, place: usize, number: u32) {
        let Some(path) = self.line.path(place, self.plan.gateway) else {
            return;
        };
        if self.plan.is_numbered() {
            self.engine.reconfigure(self.plan.config(number).into());
        }
        self.handle(Input::Command(Command::Initiate {
            connection: CONNECTION.to_owned(),
            path,
        }));
    }

    fn handle(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        self.engine.handle(now, input);
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transmit(&transmit),
                Output::Job(id, job) => self.jobs.push_back((id, job)),
                Output::Keepalive(path) => self.line.keep_alive(&path),
                Output::Event(event) => self.fleet.hear(now, &event, &self.line),
                Output::Keys(_) => {}
            }
        }
    }

    fn transmit(&mut self, transmit: &Transmit) {
        let Transmit { path, payload, .. } = transmit;
        match self.line.send(path, payload) {
            Ok(()) => {
                if let Some(place) = self.line.place(path.local) {
                    self.fleet.sent(place, octets(path, payload));
                }
            }
            Err(error) => count(self.fleet.unsent(), &error.to_string(), 1),
        }
    }

    /// Brings up to date what is shown meanwhile.
    fn tell(&mut self) {
        let (done, failed) = self.fleet.take_news();
        self.post.tally.done.fetch_add(done, Ordering::Relaxed);
        self.post.tally.failed.fetch_add(failed, Ordering::Relaxed);
    }
}

/// Octets of the IP datagram of a message, as if it were one.
pub(super) fn octets(path: &Path, payload: &[u8]) -> u64 {
    let octets = payload.len().saturating_add(path.overhead());
    u64::try_from(octets).unwrap_or(u64::MAX)
}
