//! Does each operation once, for valgrind to count: `cargo xtask bench instructions` runs it and
//! says there how.
//!
//! On standard output there is a line for each time that counting began, with the name of the
//! operation, behind one with what the CPU can do that valgrind plays.

use std::hint::black_box;

use micro::Meter;

fn main() {
    println!("cpu {}", features().join(" "));
    for mut case in micro::all() {
        // What is made ready by its first use is not what it costs.
        case.run(&mut |work| work());
        let name = case.name.clone();
        let mut meter: Box<Meter<'_>> = Box::new(|work| {
            println!("case {name}");
            report_instructions(work);
        });
        case.run(&mut *meter);
    }
}

/// When this is over, valgrind writes down what it has counted. That function cannot be the one in
/// which it counts: of what it is told about a function, it does one thing.
#[inline(never)]
fn report_instructions(work: &mut dyn FnMut()) {
    count_instructions(work);
    // Else the call would be a jump, and this function over when that one begins.
    black_box(());
}

/// While this runs, valgrind counts.
#[inline(never)]
fn count_instructions(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// What code is chosen by, in ring and elsewhere.
fn features() -> Vec<&'static str> {
    let mut there = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! look {
            ($($name:tt),+) => {
                $(if std::arch::is_x86_feature_detected!($name) {
                    there.push($name);
                })+
            };
        }
        look!(
            "adx",
            "aes",
            "avx",
            "avx2",
            "avx512f",
            "bmi1",
            "bmi2",
            "fma",
            "movbe",
            "pclmulqdq",
            "sha",
            "sse4.2",
            "ssse3",
            "vaes",
            "vpclmulqdq"
        );
    }
    there.insert(0, std::env::consts::ARCH);
    there
}
