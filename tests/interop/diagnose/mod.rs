//! `ikexdp diagnose` on captures of real attempts: each way to fail gets its verdict, no other, and an
//! attempt that succeeds gets none.
//!
//! An attempt is captured at the client's interface and at the last one before the gateway, where what
//! AF_XDP takes and sends can be seen.

mod clean;
mod daemon;
mod path;
mod policy;
mod two;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use harness::{capture::Capture, lab::Lab};
use serde_json::Value;
use tempfile::TempDir;

use crate::IKEXDP;

/// The exit status where an attempt has failed.
const FAILED: i32 = 3;

/// Captures of one attempt that go on.
struct Recording {
    directory: TempDir,
    client: Capture,
    gateway: Capture,
}

impl Recording {
    fn start(lab: &Lab) -> Self {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name);
        Self {
            client: Capture::record(&lab.client, "eth0", &file("client.pcap")),
            gateway: Capture::record(&lab.router, "gateway", &file("gateway.pcap")),
            directory,
        }
    }

    fn stop(self) -> Recorded {
        let _ = self.client.stop();
        let _ = self.gateway.stop();
        Recorded {
            directory: self.directory,
        }
    }
}

/// Captures of one attempt.
struct Recorded {
    directory: TempDir,
}

impl Recorded {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the client's capture shows.
    fn of_client(&self) -> Value {
        diagnose(&[&self.file("client.pcap")], &[])
    }

    /// What the capture before the gateway shows.
    fn of_gateway(&self) -> Value {
        diagnose(&[&self.file("gateway.pcap")], &[])
    }

    /// What both show together.
    fn of_both(&self) -> Value {
        diagnose(
            &[&self.file("client.pcap"), &self.file("gateway.pcap")],
            &[],
        )
    }
}

/// The report of `ikexdp diagnose`; its exit status is as the report says.
fn diagnose(files: &[&Path], options: &[&str]) -> Value {
    let output = run(files, &[&["--json"], options].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{complaints}"));
    let failed = report["attempts"].as_array().unwrap().iter();
    let failed = failed
        .filter(|attempt| !attempt["verdict"].is_null())
        .count();
    let status = if failed > 0 { FAILED } else { 0 };
    assert_eq!(output.status.code(), Some(status), "{text}{complaints}");
    report
}

fn run(files: &[&Path], options: &[&str]) -> Output {
    let mut ikexdp = Command::new(IKEXDP);
    ikexdp.arg("diagnose").args(files).args(options);
    ikexdp.output().unwrap()
}

/// The verdicts on all attempts in the order of their first messages; "" for none.
fn verdicts(report: &Value) -> Vec<&str> {
    let attempts = report["attempts"].as_array().unwrap().iter();
    attempts
        .map(|attempt| attempt["verdict"]["id"].as_str().unwrap_or_default())
        .collect()
}

/// The verdict on the only attempt.
#[track_caller]
fn verdict(report: &Value) -> &Value {
    let attempts = report["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{report:#}");
    &attempts[0]["verdict"]
}

/// The only attempt has failed for `id`, and Windows shows one of `windows` for it.
#[track_caller]
fn assert_verdict(report: &Value, id: &str, windows: &[u64]) {
    let verdict = verdict(report);
    assert_eq!(verdict["id"], id, "{report:#}");
    let codes = verdict["windows"].as_array().unwrap().iter();
    let codes: Vec<u64> = codes.filter_map(Value::as_u64).collect();
    assert_eq!(codes, windows, "{report:#}");
    let evidence = report["attempts"][0]["evidence"].as_array().unwrap();
    assert!(!evidence.is_empty(), "{report:#}");
}
