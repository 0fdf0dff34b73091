//! What passes an interface, read while it passes.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Ipv6Addr, SocketAddrV6, UdpSocket},
    path::Path,
    process::Stdio,
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{net::if_::if_nametoindex, sys::signal::Signal};
use pcap_file::pcap::{PcapReader, PcapWriter};

use crate::{
    datagram::{Datagram, Payload},
    journal::Journal,
    namespace::{Namespace, command},
    process::Process,
};

/// The port that [`Capture::stop`] sends its last datagram to (discard, RFC 863).
const MARKER_PORT: u16 = 9;
/// How long tcpdump may take to say that it listens, or to show what it has seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running capture of one interface.
#[derive(Debug)]
pub struct Capture {
    namespace: Namespace,
    interface: String,
    tcpdump: Process,
    datagrams: Journal<Datagram>,
    reader: JoinHandle<()>,
}

impl Capture {
    /// Starts to capture all IP datagrams; returns when none is missed any more.
    #[must_use]
    pub fn start(namespace: &Namespace, interface: &str) -> Self {
        Self::begin(namespace, interface, io::sink())
    }

    /// The same, and leaves a file behind as tcpdump writes it.
    #[must_use]
    pub fn record(namespace: &Namespace, interface: &str, file: &Path) -> Self {
        let copy = File::create(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::begin(namespace, interface, copy)
    }

    fn begin(namespace: &Namespace, interface: &str, copy: impl Write + Send + 'static) -> Self {
        let mut tcpdump = command("tcpdump");
        tcpdump.args([
            "--interface",
            interface,
            "--immediate-mode",
            "--packet-buffered",
            "--relinquish-privileges=root",
            // Room for thousands of frames of a link, not for a few that are longer than any: what
            // comes while there is none is not captured.
            "--snapshot-length=2048",
            "--buffer-size=16384",
        ]);
        tcpdump
            .args(["-n", "-w", "-", "ip or ip6"])
            .stdout(Stdio::piped());
        let mut tcpdump = Process::start(namespace, "tcpdump", tcpdump);
        let stdout = tcpdump.stdout().expect("a pipe was asked for");
        let datagrams = Journal::default();
        let journal = datagrams.clone();
        let reader = thread::spawn(move || {
            let source = Copied {
                source: stdout,
                copy,
            };
            let mut packets = PcapReader::new(source).unwrap();
            while let Some(packet) = packets.next_packet() {
                let packet = packet.unwrap();
                if let Some(datagram) = Datagram::parse(packet.timestamp, &packet.data) {
                    journal.push(datagram);
                }
            }
        });
        let listens = |lines: &[String]| {
            lines
                .iter()
                .find(|line| line.contains("listening on"))
                .map(drop)
        };
        tcpdump
            .lines()
            .wait_for(PATIENCE, listens)
            .expect("tcpdump listens");
        Self {
            namespace: namespace.clone(),
            interface: interface.to_owned(),
            tcpdump,
            datagrams,
            reader,
        }
    }

    /// What was captured so far.
    #[must_use]
    pub fn datagrams(&self) -> &Journal<Datagram> {
        &self.datagrams
    }

    /// Ends the capture: everything that passed the interface before this call, in order.
    #[must_use]
    pub fn stop(mut self) -> Vec<Datagram> {
        // The capture is complete once it shows what was sent last, to all nodes of the link,
        // whatever the routes say.
        let interface = self.interface;
        self.namespace.run(move || {
            let scope = if_nametoindex(interface.as_str()).unwrap();
            let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
            socket
                .send_to(
                    b"end of capture",
                    SocketAddrV6::new(all_nodes, MARKER_PORT, 0, scope),
                )
                .unwrap();
        });
        let end = |datagrams: &[Datagram]| datagrams.iter().position(is_marker);
        let end = self
            .datagrams
            .wait_for(PATIENCE, end)
            .expect("the capture shows what was sent last");
        self.tcpdump.signal(Signal::SIGINT);
        self.tcpdump.wait();
        self.reader.join().unwrap();
        let mut datagrams = self.datagrams.entries();
        datagrams.truncate(end);
        datagrams
    }
}

/// Writes a capture anew as a host would have whose clock is `ahead`.
pub fn shift(from: &Path, to: &Path, ahead: Duration) {
    let mut reader = PcapReader::new(File::open(from).unwrap()).unwrap();
    let header = reader.header();
    let mut writer = PcapWriter::with_header(File::create(to).unwrap(), header).unwrap();
    while let Some(packet) = reader.next_packet() {
        let mut packet = packet.unwrap();
        packet.timestamp += ahead;
        writer.write_packet(&packet).unwrap();
    }
}

/// What is read of a source goes to another place as well.
struct Copied<R, W> {
    source: R,
    copy: W,
}

impl<R: Read, W: Write> Read for Copied<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.source.read(buffer)?;
        self.copy.write_all(&buffer[..octets])?;
        Ok(octets)
    }
}

fn is_marker(datagram: &Datagram) -> bool {
    matches!(
        datagram.payload,
        Payload::Udp {
            destination: MARKER_PORT,
            ..
        }
    )
}
