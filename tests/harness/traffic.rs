//! Traffic of users, which a tunnel carries.

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, Shutdown, TcpListener, TcpStream},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    journal::Journal,
    namespace::{Namespace, command},
    process::Process,
};

/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pings `count` times; how many went unanswered.
#[must_use]
pub fn ping(namespace: &Namespace, target: IpAddr, count: u32) -> u32 {
    let mut ping = command("ping");
    ping.args(["-n", "-i", "0.2", "-W", "5", "-c", &count.to_string()]);
    ping.arg(target.to_string());
    let output = namespace.output(ping);
    // "5 packets transmitted, 4 received, 20% packet loss, time 804ms"
    let text = String::from_utf8_lossy(&output.stdout);
    let answered = text
        .split(", ")
        .find_map(|part| part.strip_suffix(" received"));
    let answered: u32 = answered
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| {
            panic!(
                "ping {target}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
    count - answered
}

/// Pings that go on, twenty in a second, until they are stopped.
#[derive(Debug)]
pub struct Pings {
    target: IpAddr,
    process: Process,
    answered: Journal<u32>,
}

impl Pings {
    /// Begins; the first has been answered when this returns.
    #[must_use]
    pub fn start(namespace: &Namespace, target: IpAddr) -> Self {
        let mut ping = command("ping");
        ping.args(["-n", "-i", "0.05", &target.to_string()]);
        ping.stdout(Stdio::piped());
        let mut process = Process::start(namespace, "ping", ping);
        let stdout = process.stdout().expect("a pipe was asked for");
        let answered = Journal::default();
        let journal = answered.clone();
        thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .filter_map(|line| answer(&line.unwrap()))
                .for_each(|number| journal.push(number));
            journal.close();
        });
        let pings = Self {
            target,
            process,
            answered,
        };
        pings.wait_for_another();
        pings
    }

    /// Ends them, after one more was answered. How many were answered, and the numbers of those
    /// before the last of them that were not.
    #[must_use]
    pub fn stop(self) -> (usize, Vec<u32>) {
        self.wait_for_another();
        let answered: BTreeSet<u32> = self.answered.entries().into_iter().collect();
        drop(self.process);
        let last = answered.last().copied().unwrap_or_default();
        let lost = (1..last).filter(|number| !answered.contains(number));
        (answered.len(), lost.collect())
    }

    fn wait_for_another(&self) {
        let known = self.answered.entries().len();
        let another = |answered: &[u32]| (answered.len() > known).then_some(());
        self.answered
            .wait_for(PATIENCE, another)
            .unwrap_or_else(|| panic!("{} does not answer", self.target));
    }
}

/// The number of the ping that a line says was answered.
///
/// ```text
/// 64 bytes from 10.8.0.1: icmp_seq=5 ttl=64 time=0.423 ms
/// ```
fn answer(line: &str) -> Option<u32> {
    let (_, number) = line.split_once("icmp_seq=")?;
    let (number, _) = number.split_once(" ttl=")?;
    number.parse().ok()
}

/// Sends so many bytes over TCP from `source` to `address`, which is `sink`'s; returns when all have
/// arrived.
pub fn transfer(source: &Namespace, (sink, address): (&Namespace, IpAddr), length: u64) {
    let (mut sender, mut receiver) = connect(source, (sink, address));
    let sends = thread::spawn(move || {
        io::copy(&mut io::repeat(0xa5).take(length), &mut sender)?;
        sender.shutdown(Shutdown::Write)
    });
    let received = io::copy(&mut receiver, &mut io::sink());
    sends
        .join()
        .unwrap()
        .unwrap_or_else(|error| panic!("to {address}: {error}"));
    assert_eq!(received.unwrap(), length, "bytes received by {address}");
}

/// A transfer over TCP that goes on until it is stopped.
#[derive(Debug)]
pub struct Stream {
    address: IpAddr,
    is_over: Arc<AtomicBool>,
    sends: JoinHandle<io::Result<u64>>,
    receives: JoinHandle<io::Result<u64>>,
}

impl Stream {
    /// Begins to send from `source` to `address`, which is `sink`'s.
    #[must_use]
    pub fn start(source: &Namespace, (sink, address): (&Namespace, IpAddr)) -> Self {
        let (mut sender, mut receiver) = connect(source, (sink, address));
        let is_over = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&is_over);
        let sends = move || {
            let chunk = [0xa5; 4096];
            let mut sent = 0;
            while !is_stopped.load(Ordering::Relaxed) {
                sender.write_all(&chunk)?;
                sent += chunk.len() as u64;
            }
            sender.shutdown(Shutdown::Write)?;
            Ok(sent)
        };
        Self {
            address,
            is_over,
            sends: thread::spawn(sends),
            receives: thread::spawn(move || io::copy(&mut receiver, &mut io::sink())),
        }
    }

    /// Ends it: all that was sent must have arrived, on the connection it began with.
    pub fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let [sent, received] = [self.sends, self.receives].map(|thread| {
            let transferred = thread.join().unwrap();
            transferred.unwrap_or_else(|error| panic!("to {}: {error}", self.address))
        });
        assert_eq!(received, sent, "bytes received by {}", self.address);
    }
}

/// A connection from `source` to `address`, which is `sink`'s: both ends of it.
fn connect(source: &Namespace, (sink, address): (&Namespace, IpAddr)) -> (TcpStream, TcpStream) {
    let listener = sink.run(move || TcpListener::bind((address, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let sender = source.run(move || TcpStream::connect_timeout(&(address, port).into(), PATIENCE));
    let sender = sender.unwrap_or_else(|error| panic!("to {address}: {error}"));
    let (receiver, _) = listener.accept().unwrap();
    sender.set_write_timeout(Some(PATIENCE)).unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    (sender, receiver)
}
