//! The smallest of all gateways: it sends back what it receives.

use std::os::fd::AsFd;
use std::time::Duration;

use ikexdp::frame::Request;
use ikexdp::xdp::{Attachment, Interface, LocalAddresses, Mode, Program};
use ikexdp::xsk::{BATCH, BindError, Frame, FrameSize, QueueCounter, Socket, Transfer};
use ikexdp_common::maps::{Config, SOURCES_DEFAULT};
use ikexdp_common::verdict::Verdict;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::wire::PATIENCE;

/// The program on `wan`, and a socket on each of its queues.
pub(crate) struct Gateway {
    pub(crate) program: Program,
    pub(crate) attachment: Attachment,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) addresses: LocalAddresses,
    interface: Interface,
    batch: Vec<Frame>,
    identification: u16,
}

impl Gateway {
    /// Attaches in the namespace of this thread.
    pub(crate) fn attach(mode: Mode) -> Self {
        let interface = Interface::find("wan").unwrap();
        let mut program = load(&interface);
        let addresses = LocalAddresses::watch().unwrap();
        program.set_addresses(addresses.addresses()).unwrap();
        let attachment = program.attach(&interface, &[mode]).unwrap();
        let mut sockets = Vec::new();
        for queue in interface.sockets() {
            let transfers = Transfer::choices(mode);
            let socket = Socket::open(&interface, queue, transfers, PATIENCE).unwrap();
            program.set_socket(queue, &socket).unwrap();
            sockets.push(socket);
        }
        Self {
            program,
            attachment,
            sockets,
            addresses,
            interface,
            batch: Vec::with_capacity(BATCH),
            identification: 0,
        }
    }

    /// Sends back that many messages, which must come.
    pub(crate) fn echo(&mut self, messages: usize) {
        let mut echoed = 0;
        while echoed < messages {
            self.wait();
            echoed += self.turn();
        }
        assert_eq!(echoed, messages);
    }

    /// Waits for a frame, which must come.
    pub(crate) fn wait(&self) {
        let mut fds: Vec<_> = self
            .sockets
            .iter()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(PATIENCE).unwrap();
        assert_ne!(poll(&mut fds, timeout).unwrap(), 0, "no frame came");
    }

    /// Waits for a frame, or for something to read from `other`; says whether it is a frame.
    pub(crate) fn wait_or_else(&self, other: &impl AsFd) -> bool {
        let ours = self.sockets.iter().map(AsFd::as_fd);
        let mut fds: Vec<_> = ours
            .chain([other.as_fd()])
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(PATIENCE).unwrap();
        assert_ne!(poll(&mut fds, timeout).unwrap(), 0, "nothing came");
        fds.pop().unwrap().any() == Some(false)
    }

    /// Sends back what is there.
    fn turn(&mut self) -> usize {
        let mut echoed = 0;
        for socket in &mut self.sockets {
            socket.receive(&mut self.batch);
            for mut frame in self.batch.drain(..) {
                let request = Request::parse(&frame, self.interface.mtu).unwrap();
                let message = frame[request.message].to_vec();
                let length = request.reply.frame_len(&message).unwrap();
                frame.resize(length).unwrap();
                let identification = self.identification;
                self.identification = identification.wrapping_add(1);
                request
                    .reply
                    .write(&message, identification, &mut frame)
                    .unwrap();
                socket.send(frame).unwrap();
                echoed += 1;
            }
            socket.flush().unwrap();
        }
        echoed
    }

    /// Reads the messages that are there, and gives their frames back.
    pub(crate) fn read(&mut self) -> usize {
        let mut read = 0;
        for socket in &mut self.sockets {
            socket.receive(&mut self.batch);
            for frame in self.batch.drain(..) {
                let request = Request::parse(&frame, self.interface.mtu).unwrap();
                assert!(!frame[request.message].is_empty());
                read += 1;
            }
            socket.flush().unwrap();
        }
        read
    }

    /// Sends a frame as it is.
    pub(crate) fn transmit(&mut self, octets: &[u8]) {
        let socket = &mut self.sockets[0];
        let mut frame = socket.allocate().unwrap();
        frame.resize(octets.len()).unwrap();
        frame.copy_from_slice(octets);
        socket.send(frame).unwrap();
        socket.flush().unwrap();
    }

    /// How many frames had this fate.
    pub(crate) fn count(&self, verdict: Verdict) -> u64 {
        self.program.counters().unwrap().total(verdict)
    }

    /// The counts of all queues.
    pub(crate) fn queues(&self, counter: QueueCounter) -> Vec<u64> {
        let count = |socket: &Socket| socket.counters().unwrap().get(counter);
        self.sockets.iter().map(count).collect()
    }
}

/// Opens a socket, without waiting for the queue to be free.
pub(crate) fn open(interface: &Interface, queue: u32, mode: Mode) -> Result<Socket, BindError> {
    Socket::open(interface, queue, Transfer::choices(mode), Duration::ZERO)
}

/// Loads the program for an interface.
pub(crate) fn load(interface: &Interface) -> Program {
    let frame_max = FrameSize::for_mtu(interface.mtu).capacity();
    let config = Config {
        frame_max,
        ..Config::default()
    };
    Program::load(config, SOURCES_DEFAULT).unwrap()
}
