//! FreeRADIUS, as the server that knows users.
//!
//! It runs in the foreground with a configuration of its own in a directory of the test, so that
//! Debian's, and a service that may run, have no part in it. It needs no root.

mod detail;
mod settings;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

pub use self::{
    detail::Record,
    settings::{Certificates, SECRET, Settings, User},
};
use crate::{
    journal::Journal,
    namespace::{self, Namespace},
};

/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running FreeRADIUS; dropping it kills it. What it said is printed when the test panics.
#[derive(Debug)]
pub struct FreeRadius {
    child: Child,
    lines: Journal<String>,
    directory: PathBuf,
    /// Where its files are, unless they are on the host.
    namespace: Option<Namespace>,
    authentication: SocketAddr,
    accounting: SocketAddr,
}

impl FreeRadius {
    /// Starts the daemon on loopback, on ports that nobody has; its files are in `directory`, which
    /// is the test's. It answers when this returns.
    #[must_use]
    pub fn start(directory: &Path, settings: &Settings) -> Self {
        let [authentication, accounting] = free_ports();
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for (file, contents) in settings.files(directory, [authentication, accounting]) {
            let path = directory.join(file);
            fs::write(&path, contents).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        let command = Self::command(Command::new("freeradius"), directory);
        let spawn = |mut command: Command| command.spawn().expect("freeradius starts");
        Self::wait(
            spawn(command),
            directory,
            [loopback(authentication), loopback(accounting)],
        )
    }

    /// The same on a machine of a lab, at `address` and the usual ports; its files are in
    /// `/run/freeradius` there.
    #[must_use]
    pub fn start_in(namespace: &Namespace, address: std::net::IpAddr, settings: &Settings) -> Self {
        let directory = Path::new("/run/freeradius");
        for (file, contents) in settings.files(directory, [1812, 1813]) {
            namespace.write(directory.join(file), contents);
        }
        let command = Self::command(namespace::command("freeradius"), directory);
        let addresses = [(address, 1812).into(), (address, 1813).into()];
        let mut started = Self::wait(namespace.spawn(command), directory, addresses);
        started.namespace = Some(namespace.clone());
        started
    }

    fn command(mut command: Command, directory: &Path) -> Command {
        command
            .args(["-f", "-x", "-l", "stdout", "-n", "radiusd", "-d"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    fn wait(mut child: Child, directory: &Path, addresses: [SocketAddr; 2]) -> Self {
        let stdout = child.stdout.take().expect("a pipe was asked for");
        let lines = Journal::default();
        let journal = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                journal.push(String::from_utf8_lossy(&line.unwrap()).into_owned());
            }
            journal.close();
        });
        let [authentication, accounting] = addresses;
        let started = Self {
            child,
            lines,
            directory: directory.to_owned(),
            namespace: None,
            authentication,
            accounting,
        };
        started
            .wait_for_line("Ready to process requests")
            .expect("freeradius answers");
        started
    }

    /// Where it is asked about users.
    #[must_use]
    pub fn authentication(&self) -> SocketAddr {
        self.authentication
    }

    /// Where it is told of sessions.
    #[must_use]
    pub fn accounting(&self) -> SocketAddr {
        self.accounting
    }

    /// What it wrote to its log so far.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        &self.lines
    }

    /// The first line of the log that contains `text`, if there is one soon.
    #[must_use]
    pub fn wait_for_line(&self, text: &str) -> Option<String> {
        self.lines.wait_for(PATIENCE, |lines| {
            lines.iter().find(|line| line.contains(text)).cloned()
        })
    }

    /// The accounting records that it has written down.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let file = self.directory.join("detail");
        // Before the first record there is no file.
        let read = || fs::read_to_string(file).unwrap_or_default();
        detail::parse(&match &self.namespace {
            Some(namespace) => namespace.run(read),
            None => read(),
        })
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        // Fails only for a program that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let lines = self.lines.entries().join("\n");
            eprintln!("--- FreeRADIUS said:\n{lines}\n---");
        }
    }
}

/// Has `radclient` send a Disconnect-Request with these attributes, one a line, as in
/// `User-Name = "kim"`; what it printed.
#[must_use]
pub fn disconnect(to: SocketAddr, attributes: &str) -> String {
    let command = Command::new("radclient");
    radclient(command, to, attributes, |mut command| {
        command.spawn().expect("radclient starts")
    })
}

/// The same from a machine of a lab.
#[must_use]
pub fn disconnect_from(namespace: &Namespace, to: SocketAddr, attributes: &str) -> String {
    let command = namespace::command("radclient");
    radclient(command, to, attributes, |command| namespace.spawn(command))
}

fn radclient(
    mut command: Command,
    to: SocketAddr,
    attributes: &str,
    spawn: impl FnOnce(Command) -> Child,
) -> String {
    command
        .args(["-x", "-r", "2", "-t", "3", &to.to_string(), "disconnect"])
        .arg(SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command);
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    stdin.write_all(attributes.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    text(output.stdout) + &text(output.stderr)
}

/// Ports of loopback that nobody has at this moment.
fn free_ports() -> [u16; 2] {
    let sockets = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}
