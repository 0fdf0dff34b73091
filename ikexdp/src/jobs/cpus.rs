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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::sched_setaffinity;
    use std::thread;

    /// What is allowed is asked for each thread, so that the others of the test are not bound.
    #[test]
    fn who_is_bound_to_one_cpu_has_one() {
        let bound = thread::spawn(|| {
            let here = Pid::from_raw(0);
            let allowed = sched_getaffinity(here).unwrap();
            let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu) == Ok(true));
            let mut one = CpuSet::new();
            one.set(first.unwrap()).unwrap();
            sched_setaffinity(here, &one).unwrap();
            Cpus::find()
        });
        let expected = Cpus {
            threads: NonZeroUsize::MIN,
            is_one: true,
        };
        assert_eq!(bound.join().unwrap(), expected);
        let found = Cpus::find();
        assert!(!found.is_one || found.threads == NonZeroUsize::MIN);
    }
}
