//! What it was measured with.

use std::{fs, process::Command};

/// Machine, kernel, programs and the time, on a line.
pub(super) fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|it| it.trim_matches([' ', '\t', ':']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let said = [
        Some(ikexdp::clock::rfc3339()),
        model.map(str::to_owned),
        Some(format!("Linux {}", kernel.trim())),
        version("swanctl", "--version", "strongSwan"),
        version("openssl", "version", "OpenSSL"),
        Some(format!("ikexdp {}", env!("CARGO_PKG_VERSION"))),
    ];
    let said: Vec<_> = said.into_iter().flatten().collect();
    said.join("; ")
}

/// What a program says that begins with its name, to either output.
fn version(program: &str, argument: &str, name: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut lines = said.lines();
    lines.find(|line| line.starts_with(name)).map(str::to_owned)
}
