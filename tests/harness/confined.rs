//! A program that leaves no process behind, however it ends.
//!
//! It runs as the first process of a process namespace. When that one ends, by itself or by a
//! signal, the kernel kills all others of the namespace, and with them their network and mount
//! namespaces go.

use std::{
    env, io,
    os::unix::process::CommandExt as _,
    process::{Child, ExitCode},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::signal_name,
};

use crate::namespace::{command, leave_the_host};

/// In the environment of the confined program.
const CONFINED: &str = "IKEXDP_CONFINED";
/// What a shell adds to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: u8 = 128;

/// Starts this program once more, confined, runs `inside` there, and returns its exit code here.
///
/// SIGINT, SIGTERM and SIGHUP end everything at once. Must be called before there is any other
/// thread.
///
/// # Errors
/// This is not root, or `/proc` cannot be mounted.
pub fn confined(inside: impl FnOnce() -> ExitCode) -> io::Result<ExitCode> {
    if env::var_os(CONFINED).is_some() {
        leave_the_host(CloneFlags::empty());
        // The old one has the numbers of another namespace.
        let none = None::<&str>;
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none)?;
        return Ok(inside());
    }
    // From now on, before there is anything to end.
    let signals = Signals::new([SIGCHLD, SIGINT, SIGTERM, SIGHUP])?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    let mut program = command(&env::current_exe()?.to_string_lossy());
    // In a process group of its own: a terminal's SIGINT reaches us alone.
    program
        .args(env::args_os().skip(1))
        .env(CONFINED, "")
        .process_group(0);
    watch(program.spawn()?, signals)
}

/// Waits for the program's end, or ends it.
fn watch(mut program: Child, mut signals: Signals) -> io::Result<ExitCode> {
    loop {
        for signal in signals.wait() {
            if signal != SIGCHLD {
                program.kill()?;
                // Over when all others of the namespace have ended, too.
                program.wait()?;
                let name = signal_name(signal).unwrap_or("a signal");
                eprintln!("error: ended by {name}; nothing is left of it");
                let number = u8::try_from(signal).expect("signals have small numbers");
                return Ok((ENDED_BY_SIGNAL + number).into());
            }
            if let Some(status) = program.try_wait()? {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
            }
        }
    }
}
