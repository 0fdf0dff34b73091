//! A load generator: many honest clients of a gateway, each with all that a client
//! does, and what that took.
//!
//! ```text
//! coordinator: phases, progress ─ Order ─> worker: Endpoint, line, jobs; fleet: who is about what
//!              report           <─ Record ─┘       one thread each, with its share of the clients
//! ```
//!
//! Threads share nothing but the clock. All of them end a phase before the next begins,
//! and go on answering the gateway meanwhile.

mod error;
mod fleet;
mod line;
mod pace;
mod plan;
mod record;
mod report;
mod settings;
mod who;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use self::error::BenchError;
pub use self::pace::Load;
pub use self::plan::{Phase, Plan, Source, Transport};
use self::record::Record;
pub use self::report::{ByKernel, Latency, PerExchange, PhaseReport, Report, Volume};
pub use self::settings::Settings;
pub use self::who::{IdentityTemplate, NUMBER, Proof, TemplateError, UserTemplate};
use self::worker::{Post, Worker};
use crate::clock::Clock;
use crate::waker::Waker;

/// How often somebody who watches is told.
const PROGRESS: Duration = Duration::from_millis(200);

/// What a thread is told.
#[derive(Clone, Copy, Debug)]
enum Order {
    Begin(Phase),
    /// The phase is over, before its time.
    Stop,
    End,
}

/// What a thread tells: what it has measured in a phase, or why it goes no further.
type Outcome = Result<Record, BenchError>;

/// What a phase has come to so far.
#[derive(Debug, Default)]
struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
}

/// What is to be seen while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The round, from 1.
    pub round: u32,
    /// The phase.
    pub phase: Phase,
    /// Clients that have succeeded in it.
    pub done: u64,
    /// Clients that have failed in it.
    pub failed: u64,
}

/// Does what is planned, and tells `watch` every now and then how far it is. It ends soon
/// after somebody has set `stop`, and reports what was measured until then.
///
/// # Errors
/// [`BenchError`] if the system does not give what it takes; that the gateway refuses or
/// is silent is no error but in the report.
pub fn run(
    plan: Plan,
    stop: &AtomicBool,
    mut watch: impl FnMut(Progress),
) -> Result<Report, BenchError> {
    line::make_room(plan.clients.get());
    let plan = Arc::new(plan);
    let (crew, ready) = Crew::start(&plan)?;
    let mut report = Report::new(&plan, ready.attached);
    for round in 1..=plan.rounds.get() {
        let mut before: Option<(Phase, Record)> = None;
        for phase in plan.phases() {
            if report.interrupted {
                break;
            }
            let record = crew.phase(round, phase, stop, &mut watch)?;
            report.interrupted = stop.load(Ordering::Relaxed);
            // An SA that is replaced several times is one phase for people.
            before = match before.take() {
                Some((known, mut sum)) if known == phase => {
                    sum.append(&record);
                    Some((known, sum))
                }
                other => {
                    if let Some((known, sum)) = other {
                        report.add(round, known, &sum);
                    }
                    Some((phase, record))
                }
            };
        }
        if let Some((known, sum)) = before {
            report.add(round, known, &sum);
        }
    }
    crew.end()?;
    Ok(report)
}

/// The threads.
struct Crew {
    hands: Vec<Hand>,
    outcomes: Receiver<Outcome>,
    tally: Arc<Tally>,
}

struct Hand {
    orders: Sender<Order>,
    waker: Waker,
    thread: JoinHandle<()>,
}

impl Crew {
    /// Starts the threads, and waits until each has its sockets.
    fn start(plan: &Arc<Plan>) -> Result<(Self, Record), BenchError> {
        let (outcomes, told) = channel();
        let tally = Arc::new(Tally::default());
        let clock = Clock::start();
        let hand = |number: usize| {
            let (orders, ordered) = channel();
            let waker = Waker::new().map_err(BenchError::Thread)?;
            let post = Post {
                thread: number,
                orders: ordered,
                waker: waker.clone(),
                outcomes: Sender::clone(&outcomes),
                tally: Arc::clone(&tally),
            };
            let plan = Arc::clone(plan);
            let work = move || {
                let failures = Sender::clone(&post.outcomes);
                let worked = Worker::new(plan, clock, post).and_then(|worker| {
                    worker.announce()?;
                    worker.run()
                });
                if let Err(error) = worked {
                    // Whoever does not listen has another error already.
                    let _ = failures.send(Err(error));
                }
            };
            let thread = thread::Builder::new().name(format!("ikexdp-bench-{number}"));
            Ok(Hand {
                orders,
                waker,
                thread: thread.spawn(work).map_err(BenchError::Thread)?,
            })
        };
        let hands = (0..plan.threads().get()).map(hand);
        let crew = Self {
            hands: hands.collect::<Result<_, BenchError>>()?,
            outcomes: told,
            tally,
        };
        drop(outcomes);
        let ready = crew.gather(|| {})?;
        Ok((crew, ready))
    }

    /// Has all of them do a phase.
    fn phase(
        &self,
        round: u32,
        phase: Phase,
        stop: &AtomicBool,
        watch: &mut impl FnMut(Progress),
    ) -> Result<Record, BenchError> {
        self.tally.done.store(0, Ordering::Relaxed);
        self.tally.failed.store(0, Ordering::Relaxed);
        self.order(Order::Begin(phase))?;
        self.gather(|| {
            if stop.load(Ordering::Relaxed) {
                // Who hears nothing any more has an error to tell.
                let _ = self.order(Order::Stop);
            }
            watch(Progress {
                round,
                phase,
                done: self.tally.done.load(Ordering::Relaxed),
                failed: self.tally.failed.load(Ordering::Relaxed),
            });
        })
    }

    /// Waits for what each of them has to say, and has `meanwhile` done.
    fn gather(&self, mut meanwhile: impl FnMut()) -> Result<Record, BenchError> {
        let mut sum = Record::new()?;
        for _ in &self.hands {
            loop {
                match self.outcomes.recv_timeout(PROGRESS) {
                    Ok(record) => break sum.merge(&record?),
                    Err(RecvTimeoutError::Timeout) => meanwhile(),
                    Err(RecvTimeoutError::Disconnected) => return Err(BenchError::Panicked),
                }
                // The others would be waited for in vain.
                if self.hands.iter().any(|hand| hand.thread.is_finished()) {
                    let last = self.outcomes.try_recv();
                    return Err(last
                        .ok()
                        .and_then(Result::err)
                        .unwrap_or(BenchError::Panicked));
                }
            }
        }
        Ok(sum)
    }

    fn order(&self, order: Order) -> Result<(), BenchError> {
        for hand in &self.hands {
            hand.orders.send(order).map_err(|_| BenchError::Panicked)?;
            hand.waker.wake();
        }
        Ok(())
    }

    fn end(self) -> Result<(), BenchError> {
        self.order(Order::End)?;
        for hand in self.hands {
            hand.thread.join().map_err(|_| BenchError::Panicked)?;
        }
        Ok(())
    }
}
