//! A program that runs beside the test, its output, and its certain end.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{journal::Journal, namespace::Namespace};

/// A running program; dropping it kills it. What it said is printed when the test panics.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Journal<String>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a command made by [`crate::namespace::command`]; `name` is for people.
    ///
    /// Its standard error becomes [`Self::lines`]; standard output is left as the command has it.
    #[must_use]
    pub fn start(namespace: &Namespace, name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = namespace.spawn(command);
        let stderr = child.stderr.take().expect("a pipe was asked for");
        let lines = Journal::default();
        let journal = lines.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n') {
                journal.push(String::from_utf8_lossy(&line.unwrap()).into_owned());
            }
            journal.close();
        });
        Self {
            name: format!("{name} in {}", namespace.name()),
            child,
            lines,
            reader: Some(reader),
        }
    }

    /// The program's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the program wrote to standard error so far.
    #[must_use]
    pub fn lines(&self) -> &Journal<String> {
        &self.lines
    }

    /// The pipe of its standard output, if the command asked for one; once.
    pub fn stdout(&mut self) -> Option<impl Read + Send + use<>> {
        self.child.stdout.take()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // Not yet waited for, so the number is still this program's.
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process number"));
        kill(pid, signal).unwrap_or_else(|error| panic!("{}: {signal}: {error}", self.name));
    }

    /// Waits for the program's own end.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only for a program that has ended, which is what is wanted.
        let _ = self.child.kill();
        self.wait();
        if thread::panicking() {
            eprintln!(
                "--- {} said:\n{}\n---",
                self.name,
                self.lines.entries().join("\n")
            );
        }
    }
}
