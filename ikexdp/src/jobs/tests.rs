use super::*;
use ikexdp_proto::crypto::cert::NoStatusSource;
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::data_plane::{
    Binding, Carried, DataPlaneError, Direction, EspSaName, Lineage, NoDataPlane, Operation,
    Tunnel, Volume,
};
use ikexdp_proto::eap::{self, Conversation};
use ikexdp_proto::types::EspSpi;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::sync::{Mutex, mpsc};

const ONE: NonZeroUsize = NonZeroUsize::MIN;
const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// A host with so many CPUs.
fn cpus(threads: NonZeroUsize) -> Cpus {
    Cpus {
        threads,
        is_one: threads == ONE,
    }
}

/// Sleeps until a job is done.
fn wait<R>(mut done: impl FnMut() -> Option<Done<R>>, waker: &Waker) -> Done<R> {
    loop {
        if let Some(done) = done() {
            return done;
        }
        let mut fds = [PollFd::new(waker.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
        waker.clear();
    }
}

#[test]
fn a_job_of_the_engine_comes_back() {
    let waker = Waker::new().unwrap();
    let mut jobs = Jobs::start(
        cpus(TWO),
        1,
        waker.clone(),
        Arc::new(NoDataPlane),
        Arc::new(NoStatusSource),
    )
    .unwrap();
    let job = Job::GenerateKey(Group::Curve25519);
    jobs.submit(JobId(7), job).unwrap();
    jobs.flush();
    assert_eq!(jobs.out(), 1);
    let (id, result) = wait(|| jobs.done(), &waker);
    assert_eq!((id, jobs.out()), (JobId(7), 0));
    let Ok(JobResult::Key(Ok(key))) = result else {
        panic!("no key: {result:?}");
    };
    assert_eq!(key.public().len(), 32);
}

/// A data plane that lets nobody by until the gate is open, and notes how long
/// each batch was.
#[derive(Debug)]
struct Gated {
    gate: Mutex<mpsc::Receiver<()>>,
    batches: Mutex<Vec<usize>>,
}

impl DataPlane for Gated {
    fn apply(&self, batch: &[Operation]) -> Result<Volume, DataPlaneError> {
        let _ = self.gate.lock().unwrap().recv();
        self.batches.lock().unwrap().push(batch.len());
        Ok(Volume::default())
    }

    fn carried(&self, _: &[EspSaName]) -> Result<Vec<Carried>, DataPlaneError> {
        Ok(Vec::new())
    }
}

#[test]
fn what_the_kernel_does_is_done_in_order_and_holds_up_nothing_else() {
    let waker = Waker::new().unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let plane = Arc::new(Gated {
        gate: Mutex::new(gate),
        batches: Mutex::default(),
    });
    let shared = Arc::clone(&plane);
    let mut jobs = Jobs::start(
        cpus(TWO),
        1,
        waker.clone(),
        shared,
        Arc::new(NoStatusSource),
    )
    .unwrap();
    let end = "192.0.2.1:500".parse().unwrap();
    let remove = || {
        Operation::RemoveSa(EspSaName {
            direction: Direction::Inbound,
            spi: EspSpi(7),
            tunnel: Tunnel {
                local: end,
                remote: end,
                in_udp: false,
            },
            lineage: Lineage(1),
            binding: Binding::default(),
        })
    };
    for length in 0..4_u8 {
        let batch = (0..length).map(|_| remove()).collect();
        let account = None;
        jobs.submit(JobId(length.into()), Job::DataPlane { batch, account })
            .unwrap();
    }
    jobs.submit(JobId(9), Job::GenerateKey(Group::Curve25519))
        .unwrap();
    jobs.flush();
    assert_eq!(wait(|| jobs.done(), &waker).0, JobId(9));
    drop(open);
    let done = [(); 4].map(|()| wait(|| jobs.done(), &waker).0.0);
    assert_eq!(done, [0, 1, 2, 3]);
    assert_eq!(*plane.batches.lock().unwrap(), [0, 1, 2, 3]);
}

#[test]
fn without_a_kernel_its_jobs_are_done_as_they_are_handed_in() {
    let waker = Waker::new().unwrap();
    let (plane, status) = (Arc::new(NoDataPlane), Arc::new(NoStatusSource));
    let mut jobs = Jobs::start(cpus(ONE), 1, waker.clone(), plane, status).unwrap();
    let job = |sas| Job::Measure { sas, account: None };
    assert_eq!(jobs.submit(JobId(1), job(Vec::new())), Ok(Submitted::Done));
    assert_eq!(jobs.out(), 0);
    let done = jobs.done_at_once();
    assert!(
        matches!(done, Some((JobId(1), Ok(JobResult::Carried(Ok(_)))))),
        "{done:?}"
    );
    assert!(jobs.done_at_once().is_none() && !waker.is_awake());
}

#[test]
fn on_one_cpu_what_is_soon_done_is_done_as_it_is_handed_in() {
    let waker = Waker::new().unwrap();
    let start = |threads| {
        let (plane, status) = (Arc::new(NoDataPlane), Arc::new(NoStatusSource));
        Jobs::start(cpus(threads), 2, waker.clone(), plane, status).unwrap()
    };
    let job = |group| Job::GenerateKey(group);
    let mut alone = start(ONE);
    let submitted = alone.submit(JobId(1), job(Group::Curve25519));
    assert_eq!((submitted, alone.out()), (Ok(Submitted::Done), 0));
    let done = alone.done_at_once();
    assert!(
        matches!(done, Some((JobId(1), Ok(JobResult::Key(Ok(_)))))),
        "{done:?}"
    );
    assert!(alone.done_at_once().is_none() && !waker.is_awake());
    // What others would wait for too long is not.
    for (mut jobs, group) in [(alone, Group::Modp2048), (start(TWO), Group::Curve25519)] {
        assert_eq!(jobs.submit(JobId(2), job(group)), Ok(Submitted::Out));
        jobs.flush();
        let (id, result) = wait(|| jobs.done(), &waker);
        assert!(id == JobId(2) && matches!(result, Ok(JobResult::Key(Ok(_)))));
        assert!(jobs.done_at_once().is_none());
    }
}

/// A data plane with an error in it.
#[derive(Debug)]
struct Faulty;

impl DataPlane for Faulty {
    fn apply(&self, _: &[Operation]) -> Result<Volume, DataPlaneError> {
        panic!("nothing is done")
    }

    fn carried(&self, _: &[EspSaName]) -> Result<Vec<Carried>, DataPlaneError> {
        panic!("nothing is known")
    }

    fn is_immediate(&self) -> bool {
        true
    }
}

#[test]
fn a_panic_of_what_is_done_at_once_is_its_outcome() {
    let (waker, status) = (Waker::new().unwrap(), Arc::new(NoStatusSource));
    let mut jobs = Jobs::start(cpus(TWO), 1, waker, Arc::new(Faulty), status).unwrap();
    let (sas, account) = (Vec::new(), None);
    let submitted = jobs.submit(JobId(1), Job::Measure { sas, account });
    assert_eq!(submitted, Ok(Submitted::Done));
    let done = jobs.done_at_once();
    assert!(
        matches!(done, Some((JobId(1), Err(Lost::Panicked)))),
        "{done:?}"
    );
}

/// Somebody who keeps everybody waiting.
#[derive(Debug)]
struct Silent(mpsc::Sender<eap::Done>);

impl Conversation for Silent {
    fn hear(self: Box<Self>, _: Vec<u8>, done: eap::Done) {
        self.0.send(done).unwrap();
    }
}

#[test]
fn what_computes_goes_on_while_authenticators_are_silent() {
    let waker = Waker::new().unwrap();
    let (plane, status) = (Arc::new(NoDataPlane), Arc::new(NoStatusSource));
    let mut jobs = Jobs::start(cpus(TWO), 2, waker.clone(), plane, status).unwrap();
    let (keep, kept) = mpsc::channel();
    let mut ask = |number| {
        let job = Job::Eap {
            conversation: Box::new(Silent(keep.clone())),
            response: Vec::new(),
        };
        jobs.submit(JobId(number), job)
    };
    let out = Ok(Submitted::Out);
    assert_eq!([1, 2, 3].map(&mut ask), [out, out, Err(Full)]);
    jobs.flush();
    let asked = [(); 2].map(|()| kept.recv().unwrap());
    let compute = |number| (JobId(number), Job::GenerateKey(Group::Curve25519));
    for (id, job) in [4, 5].map(compute) {
        jobs.submit(id, job).unwrap();
    }
    jobs.flush();
    let mut done = [(); 2].map(|()| wait(|| jobs.done(), &waker).0.0);
    done.sort_unstable();
    assert_eq!((done, jobs.out()), ([4, 5], 2));
    drop(asked);
    let lost = [(); 2].map(|()| wait(|| jobs.done(), &waker).1.unwrap_err());
    assert_eq!(lost, [Lost::GivenUp; 2]);
}

#[test]
fn a_panic_is_the_outcome_of_its_job_alone() {
    let waker = Waker::new().unwrap();
    let run = |number: u32, reply: Reply<u32>| {
        assert_ne!(number, 13, "unlucky");
        reply.send(number);
    };
    let mut pool = JobPool::with("test", (ONE, 2), waker.clone(), |_| false, run).unwrap();
    pool.submit(JobId(1), 13).unwrap();
    pool.submit(JobId(2), 14).unwrap();
    pool.flush();
    let ends = [(); 2].map(|()| wait(|| pool.done(), &waker));
    assert_eq!(ends, [(JobId(1), Err(Lost::Panicked)), (JobId(2), Ok(14))]);
}

#[test]
fn a_result_may_come_later_or_never() {
    let waker = Waker::new().unwrap();
    let (keep, kept) = mpsc::channel();
    let run = move |number: u32, reply: Reply<u32>| keep.send((number, reply)).unwrap();
    let mut pool = JobPool::with("test", (ONE, 2), waker.clone(), |_| false, run).unwrap();
    pool.submit(JobId(1), 7).unwrap();
    pool.submit(JobId(2), 8).unwrap();
    pool.flush();
    let [(_, first), (number, second)] = [(); 2].map(|()| kept.recv().unwrap());
    assert_eq!((pool.done(), pool.out()), (None, 2));
    second.send(number);
    assert_eq!(wait(|| pool.done(), &waker), (JobId(2), Ok(8)));
    drop(first);
    let lost = (JobId(1), Err(Lost::GivenUp));
    assert_eq!(wait(|| pool.done(), &waker), lost);
    assert_eq!(pool.out(), 0);
}

#[test]
fn at_the_limit_a_job_is_refused_until_one_was_taken_back() {
    let waker = Waker::new().unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let run = move |(), reply: Reply<&'static str>| {
        reply.send(gate.lock().unwrap().recv().map_or("shut", |()| "open"));
    };
    let mut pool = JobPool::with("test", (ONE, 2), waker.clone(), |_| false, run).unwrap();
    pool.submit(JobId(1), ()).unwrap();
    pool.submit(JobId(2), ()).unwrap();
    pool.flush();
    assert_eq!(pool.submit(JobId(3), ()), Err(Full));
    assert_eq!(pool.out(), 2);
    open.send(()).unwrap();
    assert_eq!(wait(|| pool.done(), &waker), (JobId(1), Ok("open")));
    pool.submit(JobId(3), ()).unwrap();
    pool.flush();
    drop(open);
    assert_eq!(wait(|| pool.done(), &waker), (JobId(2), Ok("shut")));
}

/// A result that is kept until another is there is told of before the thread sleeps.
#[test]
fn short_jobs_come_back_all_the_same() {
    let waker = Waker::new().unwrap();
    let run = |number: u32, reply: Reply<u32>| reply.send(number);
    let limit = (ONE, 1000);
    let mut pool = JobPool::with("test", limit, waker.clone(), |_| true, run).unwrap();
    for round in [1, 2, 3, 40] {
        for number in 0..round {
            pool.submit(JobId(number.into()), number).unwrap();
        }
        pool.flush();
        for number in 0..round {
            let done = wait(|| pool.done(), &waker);
            assert_eq!(done, (JobId(number.into()), Ok(number)));
        }
    }
}

#[test]
fn what_waits_is_thrown_away_with_the_pool() {
    let (started, wait_for_start) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let run = move |started: mpsc::Sender<()>, reply: Reply<()>| {
        started.send(()).unwrap();
        drop(started);
        let _ = gate.lock().unwrap().recv();
        reply.send(());
    };
    let mut pool = JobPool::with("test", (ONE, 3), Waker::new().unwrap(), |_| false, run).unwrap();
    pool.submit(JobId(1), started.clone()).unwrap();
    pool.flush();
    wait_for_start.recv().unwrap();
    pool.submit(JobId(2), started.clone()).unwrap();
    pool.submit(JobId(3), started).unwrap();
    pool.flush();
    // The first job ends only after the others were thrown away.
    let opener = thread::spawn(move || {
        assert!(wait_for_start.recv().is_err());
        drop(open);
    });
    drop(pool);
    opener.join().unwrap();
}
