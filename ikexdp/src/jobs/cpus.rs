//! How much of this host the process may use.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// As it is when it is asked: CPUs that come or go later are not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus {
    /// Threads that compute: one for each CPU, or for what a quota leaves of them.
    pub threads: NonZeroUsize,
    /// Whether there is one, so that whoever computes takes it from all others. A quota of
    /// one and a half does not make two into one.
    pub is_one: bool,
}

impl Cpus {
    /// Those of this process.
    #[must_use]
    pub fn find() -> Self {
        let here = Pid::from_raw(0);
        let allowed = sched_getaffinity(here).ok();
        let count = |set: CpuSet| {
            let all = 0..CpuSet::count();
            all.filter(|cpu| set.is_set(*cpu) == Ok(true)).count()
        };
        Self {
            threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            is_one: allowed.is_some_and(|set| count(set) == 1),
        }
    }
}
