//! Operations whose cost is watched: timed by `timing.rs`, counted by `instructions.rs`.
//!
//! Each is the engine's real code. What is private is reached through an endpoint, which is handed
//! the datagrams and results of a handshake that was recorded.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "what is measured is its own input, and a panic ends it with an error"
)]

// Of the harness of the tests, and of the daemon, what needs the engine alone, as files: for the rest the
// daemon, its BPF program and all that drives networks would have to be built.
#[path = "../harness/addresses.rs"]
pub mod addresses;
#[path = "../../ikexdp/src/probe/client/mod.rs"]
pub mod client;
#[path = "../harness/host.rs"]
pub mod host;
#[path = "../harness/parties.rs"]
pub mod parties;
#[path = "../harness/pki.rs"]
pub mod pki;

mod cases;
mod record;

pub use cases::all;

/// Measures what it is given, which runs once.
pub type Meter<'a> = dyn FnMut(&mut dyn FnMut()) + 'a;

/// An operation.
pub struct Case {
    /// What people call it: a group and an operation, `group/operation`.
    pub name: String,
    /// How it is done.
    pub work: Work,
}

/// How an operation is done.
pub enum Work {
    /// Again and again, without anything between.
    Plain(Box<dyn FnMut()>),
    /// Among others that are not measured, which prepare it; it may be in several pieces.
    Prepared(Box<dyn FnMut(&mut Meter<'_>)>),
}

impl Case {
    fn plain<T>(name: impl Into<String>, mut work: impl FnMut() -> T + 'static) -> Self {
        let work = move || {
            std::hint::black_box(work());
        };
        Self {
            name: name.into(),
            work: Work::Plain(Box::new(work)),
        }
    }

    fn prepared(name: impl Into<String>, work: impl FnMut(&mut Meter<'_>) + 'static) -> Self {
        Self {
            name: name.into(),
            work: Work::Prepared(Box::new(work)),
        }
    }

    /// Does it once.
    pub fn run(&mut self, meter: &mut Meter<'_>) {
        match &mut self.work {
            Work::Plain(work) => meter(&mut **work),
            Work::Prepared(work) => work(meter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_case_runs_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for mut case in all() {
            let mut pieces = 0;
            case.run(&mut |work| {
                work();
                pieces += 1;
            });
            assert!(pieces > 0, "{} measures nothing", case.name);
            assert!(case.name.contains('/'), "{} is in no group", case.name);
            assert!(!case.name.contains(char::is_whitespace), "{}", case.name);
            assert!(names.insert(case.name.clone()), "{} twice", case.name);
        }
    }
}
