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
    /// CPU time of the responder for a handshake, in milliseconds.
    pub(super) cpu: f64,
    /// How much of that was in the kernel, in percent.
    pub(super) kernel: f64,
    /// Handshakes in a second.
    pub(super) per_second: f64,
    /// How much of one CPU the responder had meanwhile, in percent.
    pub(super) responder: f64,
    /// How much of its time the generator had something to do, in percent.
    pub(super) generator: f64,
    /// What half of the clients and 99 of a hundred did not exceed, in milliseconds.
    pub(super) latency: [f64; 2],
    /// Requests that had to be sent again, of a hundred handshakes.
    pub(super) repeats: f64,
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
    stand.connect(responder, warm_up, 0);
    thread::sleep(PAUSE);
    let before = running.used();
    let phase = stand.connect(responder, handshakes, 1);
    thread::sleep(PAUSE);
    let after = running.used();
    let number = |value: &Value| value.as_f64().expect("a number");
    let succeeded = number(&phase["succeeded"]);
    let used = (after.all - before.all).as_secs_f64();
    let [user, kernel] = [0, 1].map(|which| after.ticks[which] - before.ticks[which]);
    Sample {
        cpu: 1e3 * used / succeeded,
        kernel: 100.0 * kernel / (user + kernel).max(1.0),
        per_second: number(&phase["per_second"]),
        responder: 100.0 * used / number(&phase["seconds"]),
        generator: number(&phase["generator_busy_percent"]),
        latency: ["p50", "p99"].map(|it| number(&phase["latency_ms"][it])),
        repeats: 100.0 * number(&phase["retransmissions"]) / succeeded,
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
            let phase = stand.connect(responder, more, network);
            assert_eq!(phase["succeeded"], more, "{responder}: {phase:#}");
            there += more;
            network += 1;
        }
        thread::sleep(PAUSE);
        sizes.push(running.resident() as f64);
    }
    sizes
}
