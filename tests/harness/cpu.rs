//! How long a process has run, by its own threads: what the kernel does elsewhere on its behalf, such
//! as receiving, is not in it.

use std::{fs, time::Duration};

/// Time on a CPU of the threads of a process that are called so, or of all; in user space and in the
/// kernel.
#[must_use]
pub fn time(pid: u32, name: Option<&str>) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let threads = tasks.filter_map(|task| {
        let task = task.unwrap().path();
        // A thread may end meanwhile.
        let called = fs::read_to_string(task.join("comm")).ok()?;
        if name.is_some_and(|name| name != called.trim_end()) {
            return None;
        }
        let times = fs::read_to_string(task.join("schedstat")).ok()?;
        let on_cpu = times.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(on_cpu))
    });
    threads.sum()
}
