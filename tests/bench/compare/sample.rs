//! What is measured of one responder in one run.

use std::{thread, time::Duration};

use harness::pki::Pki;
use serde_json::Value;

use super::{case::Case, responder::Responder, stand::Stand};

/// For what a responder does after its last answer.
const PAUSE: Duration = Duration::from_millis(300);

/// Handshakes of one kind with one responder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Handshakes in a second.
    pub(super) per_second: f64,
    /// How much of its time the generator had something to do, in percent.
    pub(super) generator: f64,
    /// CPU time of the responder for a handshake, in milliseconds.
    pub(super) user: f64,
    pub(super) system: f64,
    /// What half of the clients did not exceed, and 99 of a hundred, in milliseconds.
    pub(super) latency: [f64; 2],
}

impl Sample {
    /// CPU time for a handshake, in milliseconds.
    pub(super) fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// Starts a responder and has clients connect.
pub(super) fn handshakes(
    stand: &Stand,
    responder: Responder,
    case: Case,
    pki: Option<&Pki>,
) -> Sample {
    let running = stand.start(responder, case, pki);
    // Code and memory are there then.
    let (warm_up, handshakes) = stand.place.handshakes(case);
    stand.connect(warm_up, 0);
    thread::sleep(PAUSE);
    let before = running.used();
    let phase = stand.connect(handshakes, 1);
    thread::sleep(PAUSE);
    let after = running.used();
    let number = |value: &Value| value.as_f64().expect("a number");
    let succeeded = number(&phase["succeeded"]);
    let each = |time: Duration| time.as_secs_f64() * 1e3 / succeeded;
    Sample {
        per_second: number(&phase["per_second"]),
        generator: number(&phase["generator_busy_percent"]),
        user: each(after.user.saturating_sub(before.user)),
        system: each(after.system.saturating_sub(before.system)),
        latency: ["p50", "p99"].map(|it| number(&phase["latency_ms"][it])),
    }
}

/// Starts a responder and has so many clients connect, one number after the other, each more than the
/// one before: the memory that is in use without any, and then with so many, in octets.
pub(super) fn memory(stand: &Stand, responder: Responder, numbers: &[u32]) -> Vec<f64> {
    // As many as a generator has sockets for.
    const AT_A_TIME: u32 = 10_000;

    let running = stand.start(responder, Case::Psk, None);
    let mut sizes = vec![running.resident() as f64];
    let (mut there, mut network) = (0, 0);
    for &number in numbers {
        while there < number {
            let more = (number - there).min(AT_A_TIME);
            let phase = stand.connect(more, network);
            assert_eq!(phase["succeeded"], more, "{responder}: {phase:#}");
            there += more;
            network += 1;
        }
        thread::sleep(PAUSE);
        sizes.push(running.resident() as f64);
    }
    sizes
}
