//! How the demo ends when things go wrong: with a code, and with nothing left behind.
//!
//! The daemon here is a script, and the demo never gets to connect; what the demo shows when all
//! goes well, `cargo xtask test` runs as a whole.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Starts the demo with a shell script for a daemon.
fn demo(name: &str, daemon: &str) -> Child {
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&script, format!("#!/bin/sh\n{daemon}\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_demo"))
        .arg(script)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The namespaces of all processes there are.
fn process_namespaces() -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    processes
        .filter_map(|process| fs::read_link(process.join("ns/pid")).ok())
        .collect()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_daemon_that_refuses_is_an_error() {
    let daemon = r#"
        echo "$1" is ready >&2
        test "$1" = run && exec sleep 60
        exit 1"#;
    let output = demo("refuses", daemon).wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("\nrun is ready\n"), "its log: {stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(
        last.starts_with("error: ") && last.contains("status is ready"),
        "{stderr}"
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_signal_ends_everything() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut demo = demo("waits", "echo runs; exec sleep 60");
        let stdout = BufReader::new(demo.stdout.take().unwrap());
        let runs = |line: &std::io::Result<String>| line.as_ref().unwrap() == "runs";
        assert!(stdout.lines().any(|line| runs(&line)), "the daemon runs");
        let namespace = fs::read_link(format!("/proc/{}/ns/pid_for_children", demo.id())).unwrap();
        assert!(process_namespaces().contains(&namespace));
        kill(Pid::from_raw(demo.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(demo.wait().unwrap().code(), Some(code));
        assert!(!process_namespaces().contains(&namespace));
    }
}
