//! Who does what the engine hands out: threads, for what is too slow for the packet loop.
//!
//! A wake-up costs as much as the cheapest jobs. So what a turn of the loop hands in is
//! [passed on](Jobs::flush) together, threads that are at work are not woken, and results are
//! told of together where there is more to do. Where there is one CPU, what is soon done is
//! done as it is handed in: threads would take the same CPU from the loop, and wake-ups beside.

mod bell;
mod cpus;
mod queue;
mod tools;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use ikexdp_proto::crypto::cert::StatusSource;
use ikexdp_proto::data_plane::DataPlane;
use ikexdp_proto::job::{Job, JobId, JobResult};

use self::bell::Bell;
pub use self::cpus::Cpus;
use self::queue::Queue;
use self::tools::Tools;
use crate::clock::Clock;
use crate::waker::Waker;

/// A fixed number of threads, each of which takes a job, does it, and takes the
/// next.
///
/// The packet loop must neither wait for them nor pile up work without end. So
/// what is out, handed in and not yet taken back, is limited: below the limit
/// nothing blocks, at the limit [`Self::submit`] refuses. The engine has one job
/// out for each half-open SA at most, so that a limit as high as that on
/// half-open SAs is only reached if the engine is at fault.
pub struct JobPool<J = Job, R = JobResult> {
    queue: Arc<Queue<(JobId, J)>>,
    /// What is handed in and not passed on yet.
    fresh: Vec<(JobId, J)>,
    done: Receiver<Done<R>>,
    threads: Vec<JoinHandle<()>>,
    out: usize,
    limit: usize,
}

/// The threads for the engine's jobs: one for those that are done in order, which
/// the kernel does, some for those that wait for others on the network, some for
/// EAP, and some for the rest, which only compute.
#[derive(Debug)]
pub struct Jobs {
    computing: JobPool,
    /// One that a RADIUS server is asked for is out until it has answered, without a
    /// thread: however many those are, the others go on.
    eap: JobPool,
    remote: JobPool,
    in_order: JobPool,
    tools: Arc<Tools>,
    /// Whether nobody else could compute meanwhile.
    is_alone: bool,
    /// Where jobs go that were done as they were handed in.
    at_once: (Sender<Done>, Receiver<Done>),
}

/// A job that is done: its name, and what came of it.
pub type Done<R = JobResult> = (JobId, Result<R, Lost>);

/// Nothing came of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It panicked, which is an error in this program.
    Panicked,
    /// Whoever had it gave it up.
    GivenUp,
}

/// Where the result of one job goes. It may be taken elsewhere, for a result that
/// others have to be asked for.
#[derive(Debug)]
pub struct Reply<R> {
    id: JobId,
    results: Sender<Done<R>>,
    /// Nobody sleeps on what is done as it is handed in.
    bell: Option<Arc<Bell>>,
    is_sent: bool,
}

impl<R> Reply<R> {
    fn send(mut self, result: R) {
        self.deliver(Ok(result));
    }

    fn deliver(&mut self, result: Result<R, Lost>) {
        self.is_sent = true;
        // Without anybody who takes it back, nobody needs it.
        if self.results.send((self.id, result)).is_ok()
            && let Some(bell) = &self.bell
        {
            bell.ring();
        }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        if !self.is_sent {
            let panicking = thread::panicking();
            self.deliver(Err(if panicking {
                Lost::Panicked
            } else {
                Lost::GivenUp
            }));
        }
    }
}

/// What becomes of a job that is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// Its result comes later.
    Out,
    /// Its result is there: [`Jobs::done_at_once`].
    Done,
}

/// There are as many jobs out as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Ordered jobs that may be out. The engine has few of them for an SA; one that is
/// refused may leave an SA in the kernel for good.
const IN_ORDER_MAX: usize = 1 << 20;

/// Jobs from which on they are not kept for others, and results told of together at most: those
/// who wait for them must not notice.
const TOGETHER: usize = 16;

/// How long a result is kept until another is there.
const UNTOLD_MAX: Duration = Duration::from_micros(400);

/// Threads that wait for others, which is as many as are asked at once.
const REMOTE_THREADS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

impl Jobs {
    /// Starts threads for what computes, and a few more; `waker` is woken
    /// whenever a job is done. Of those that compute, `limit` may be out, and as
    /// many of EAP, and as many that wait for others.
    ///
    /// # Errors
    /// [`io::Error`] if the system gives no more threads.
    pub fn start(
        cpus: Cpus,
        limit: usize,
        waker: Waker,
        data_plane: Arc<dyn DataPlane>,
        status: Arc<dyn StatusSource>,
    ) -> io::Result<Self> {
        let tools = Arc::new(Tools::new(data_plane, status));
        let shared = Arc::clone(&tools);
        let run = move |job: Job, reply: Reply<JobResult>| {
            shared.run(job, |result| reply.send(result));
        };
        let pool = |name, threads, limit| {
            let bound = (threads, limit);
            JobPool::with(name, bound, waker.clone(), Job::is_short, run.clone())
        };
        let threads = cpus.threads;
        Ok(Self {
            computing: pool("ikexdp-job", threads, limit)?,
            eap: pool("ikexdp-eap", threads, limit)?,
            remote: pool("ikexdp-status", REMOTE_THREADS, limit)?,
            in_order: pool("ikexdp-kernel", NonZeroUsize::MIN, IN_ORDER_MAX)?,
            tools,
            is_alone: cpus.is_one,
            at_once: unbounded(),
        })
    }

    /// Hands a job in, which waits for [`Self::flush`] at most.
    ///
    /// # Errors
    /// [`Full`] if there are as many out as there may be.
    pub fn submit(&mut self, id: JobId, job: Job) -> Result<Submitted, Full> {
        if self.is_for_us(&job) {
            self.do_at_once(id, job);
            return Ok(Submitted::Done);
        }
        let submitted = if job.is_ordered() {
            self.in_order.submit(id, job)
        } else if job.is_remote() {
            self.remote.submit(id, job)
        } else if job.is_eap() {
            self.eap.submit(id, job)
        } else {
            self.computing.submit(id, job)
        };
        submitted.map(|()| Submitted::Out)
    }

    /// Whether a job is done before anybody could be asked to do it.
    fn is_for_us(&self, job: &Job) -> bool {
        if job.is_ordered() {
            return self.tools.is_kernel_immediate();
        }
        self.is_alone && job.is_short()
    }

    fn do_at_once(&self, id: JobId, job: Job) {
        let (results, _) = &self.at_once;
        let reply = Reply {
            id,
            results: Sender::clone(results),
            bell: None,
            is_sent: false,
        };
        // Nothing of the job is looked at after a panic, which drops the reply.
        let run = || self.tools.run(job, |result| reply.send(result));
        let _ = catch_unwind(AssertUnwindSafe(run));
    }

    /// Takes one job back that was done as it was handed in.
    pub fn done_at_once(&mut self) -> Option<Done> {
        let (_, done) = &self.at_once;
        done.try_recv().ok()
    }

    /// Whether so many were handed in that they should be begun, and not wait for more.
    #[must_use]
    pub const fn is_pressing(&self) -> bool {
        self.in_order.is_pressing()
            || self.computing.is_pressing()
            || self.eap.is_pressing()
            || self.remote.is_pressing()
    }

    /// Has what was handed in begun.
    pub fn flush(&mut self) {
        self.in_order.flush();
        self.computing.flush();
        self.eap.flush();
        self.remote.flush();
    }

    /// Changes how many of those that compute may be out, of those of EAP, and of
    /// those that wait.
    pub const fn set_limit(&mut self, limit: usize) {
        self.computing.limit = limit;
        self.eap.limit = limit;
        self.remote.limit = limit;
    }

    /// Takes one job back that is done.
    pub fn done(&mut self) -> Option<Done> {
        let done = self.in_order.done().or_else(|| self.computing.done());
        let done = done.or_else(|| self.eap.done());
        done.or_else(|| self.remote.done())
    }

    /// Jobs that are out.
    #[must_use]
    pub const fn out(&self) -> usize {
        let here = self.computing.out().saturating_add(self.in_order.out());
        let elsewhere = self.eap.out().saturating_add(self.remote.out());
        here.saturating_add(elsewhere)
    }
}

impl<J: Send + 'static, R: Send + 'static> JobPool<J, R> {
    fn with(
        name: &str,
        (threads, limit): (NonZeroUsize, usize),
        waker: Waker,
        is_short: fn(&J) -> bool,
        run: impl Fn(J, Reply<R>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (results, done) = unbounded();
        let run = Arc::new(run);
        let spawn = |number| {
            let worker = Worker {
                queue: Arc::clone(&queue),
                results: Sender::clone(&results),
                bell: Arc::new(Bell::new(waker.clone())),
                clock: Clock::start(),
                is_short,
            };
            let run = Arc::clone(&run);
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || worker.work(&*run))
        };
        let threads = (0..threads.get()).map(spawn).collect::<io::Result<_>>()?;
        Ok(Self {
            queue,
            fresh: Vec::new(),
            done,
            threads,
            out: 0,
            limit,
        })
    }

    /// Hands a job in.
    ///
    /// # Errors
    /// [`Full`] if there are as many out as there may be.
    pub fn submit(&mut self, id: JobId, job: J) -> Result<(), Full> {
        if self.out >= self.limit {
            return Err(Full);
        }
        self.out = self.out.saturating_add(1);
        self.fresh.push((id, job));
        Ok(())
    }

    /// Whether so many were handed in that they should not wait for more.
    #[must_use]
    pub const fn is_pressing(&self) -> bool {
        self.fresh.len() >= TOGETHER
    }

    /// Passes on what was handed in.
    pub fn flush(&mut self) {
        if !self.fresh.is_empty() {
            self.queue.extend(&mut self.fresh);
        }
    }

    /// Takes one job back that is done.
    pub fn done(&mut self) -> Option<Done<R>> {
        let done = self.done.try_recv().ok()?;
        self.out = self.out.saturating_sub(1);
        Some(done)
    }

    /// Jobs that are out.
    #[must_use]
    pub const fn out(&self) -> usize {
        self.out
    }
}

/// What a thread of the pool has.
struct Worker<J, R> {
    queue: Arc<Queue<(JobId, J)>>,
    results: Sender<Done<R>>,
    bell: Arc<Bell>,
    clock: Clock,
    /// Whether a job is over before anybody misses the result of the one before.
    is_short: fn(&J) -> bool,
}

impl<J, R> Worker<J, R> {
    /// Does jobs until the queue is closed. Results of short ones are told of together.
    fn work(&self, run: &dyn Fn(J, Reply<R>)) {
        let mut untold = 0_usize;
        let mut since = self.clock.now();
        while let Some((id, job)) = self.next(&mut untold) {
            let is_short = (self.is_short)(&job);
            if !is_short {
                self.bell.sound();
                untold = 0;
            } else if untold == 0 {
                self.bell.muffle();
                since = self.clock.now();
            }
            let reply = Reply {
                id,
                results: Sender::clone(&self.results),
                bell: Some(Arc::clone(&self.bell)),
                is_sent: false,
            };
            // Nothing of the job is looked at after a panic, which drops the reply.
            let _ = catch_unwind(AssertUnwindSafe(|| run(job, reply)));
            untold = untold.saturating_add(is_short.into());
            if untold >= TOGETHER || untold > 0 && self.clock.now().since(since) >= UNTOLD_MAX {
                self.bell.sound();
                untold = 0;
            }
        }
    }

    /// The next job. Nobody sleeps on results that are not told of.
    fn next(&self, untold: &mut usize) -> Option<(JobId, J)> {
        self.queue.try_take().or_else(|| {
            self.bell.sound();
            *untold = 0;
            self.queue.take()
        })
    }
}

impl<J, R> Drop for JobPool<J, R> {
    /// What is being done is finished, what waits is thrown away.
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // Its panics were caught, so that it has nothing to say.
            let _ = thread.join();
        }
    }
}

impl<J, R> fmt::Debug for JobPool<J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobPool")
            .field("threads", &self.threads.len())
            .field("out", &self.out)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
