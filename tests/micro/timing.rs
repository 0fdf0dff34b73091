//! Times each operation; `cargo xtask bench micro` runs it and prints a table.
//!
//! The time is the CPU's, as that of `openssl speed`: who shares the CPU with others waits, and that
//! is no cost of the operation.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    missing_debug_implementations,
    reason = "what is measured is its own input, and a panic ends it with an error"
)]

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use micro::Work;
use nix::time::{ClockId, clock_gettime};

criterion_group! {
    name = operations;
    config = Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20);
    targets = all
}
criterion_main!(operations);

fn all(criterion: &mut Criterion<CpuTime>) {
    let reading = reading();
    for case in micro::all() {
        match case.work {
            Work::Plain(mut work) => {
                criterion.bench_function(&case.name, |bencher| bencher.iter(&mut work));
            }
            Work::Prepared(mut work) => {
                criterion.bench_function(&case.name, |bencher| {
                    bencher.iter_custom(|times| {
                        let mut total = Duration::ZERO;
                        for _ in 0..times {
                            work(&mut |work| total += took(work).saturating_sub(reading));
                        }
                        total
                    });
                });
            }
        }
    }
}

/// What reading the clock adds to what is measured: it takes a call of the kernel's, which is much for
/// work of a microsecond. The median of many.
fn reading() -> Duration {
    let mut readings: Vec<Duration> = (0..10_001).map(|_| took(&mut || ())).collect();
    readings.sort_unstable();
    let median = readings.get(readings.len() / 2);
    *median.expect("there are readings")
}

fn took(work: &mut dyn FnMut()) -> Duration {
    let start = CpuTime.start();
    work();
    CpuTime.end(start)
}

/// The CPU time of this thread.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let clock = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
        clock.expect("Linux has that clock").into()
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        static WALL: WallTime = WallTime;
        WALL.formatter()
    }
}
