//! The clients' ends of AF_XDP: each at an address of its own, on IKE's ports, past this
//! host's network stack.
//!
//! The program is the daemon's own: it takes the IKE that comes for the clients. What
//! goes out has the headers of what came in, so that it needs neither a route nor a
//! neighbour; the first message of all has none to take, and goes by the kernel.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use ikexdp_common::maps::{Config, SOURCES_DEFAULT};
use ikexdp_proto::types::{Datagram, IKE_PORT, NAT_T_PORT, Path};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::Unsent;
use crate::bench::error::BenchError;
use crate::bench::plan::Plan;
use crate::bench::record::{Attached, Exchanged};
use crate::bench::worker::octets;
use crate::frame::{Reply, Request};
use crate::udp::{Batch, Outgoing, Ports, Sockets};
use crate::xdp::{Attachment, Interface, Program};
use crate::xsk::{Frame, FrameSize, Socket, Transfer};

/// How long queues may take to be free of the sockets of somebody who has just ended.
const RELEASE_MAX: Duration = Duration::from_secs(3);

/// The kernel's sockets are told of from here on, those of queues before.
const KERNEL: u64 = 1 << 32;

/// All that the clients have.
pub(in crate::bench) struct Xdp {
    // Detached first, so that nothing is redirected to sockets that are gone.
    attachment: Attachment,
    _program: Program,
    mtu: u32,
    queues: Vec<Socket>,
    /// For what XDP leaves to the kernel, and for first messages.
    kernel: Sockets,
    batch: Batch,
    locals: Vec<IpAddr>,
    places: HashMap<IpAddr, usize>,
    inbox: VecDeque<Received>,
    /// What was handed out last.
    current: Option<Received>,
    /// How to reach the gateway, on port 500 and on 4500.
    ways: [Option<Way>; 2],
    frames: Vec<Frame>,
    identification: u16,
    by_kernel: Exchanged,
}

enum Received {
    Frame(Frame),
    Copied(Path, Vec<u8>),
}

/// The headers of what came in.
struct Way {
    remote: SocketAddr,
    queue: u32,
    reply: Reply,
}

impl Xdp {
    /// Attaches the program to `interface`, for the clients `numbers`; `epoll` tells of
    /// what comes.
    ///
    /// # Errors
    /// [`BenchError`] if the interface, a port or a queue cannot be had.
    pub(in crate::bench) fn open(
        plan: &Plan,
        interface: &Interface,
        numbers: impl Iterator<Item = u32>,
        epoll: &Epoll,
    ) -> Result<Self, BenchError> {
        let locals: Vec<_> = numbers.map(|number| plan.source.address(number)).collect();
        check_local(&locals)?;
        // Nobody sends us floods, and our SPIs are random: what comes is for the engine.
        let config = Config {
            frame_max: FrameSize::for_mtu(interface.mtu).capacity(),
            ..Config::default()
        };
        // First, for another daemon may have the ports, and to attach disturbs the driver.
        let kernel = Sockets::bind(Ports {
            ike: IKE_PORT,
            nat_t: NAT_T_PORT,
        })?;
        let mut program = Program::load(config, SOURCES_DEFAULT)?;
        program.set_addresses(&locals.iter().copied().collect())?;
        let attachment = program.attach(interface, interface.modes())?;
        let transfers = Transfer::choices(attachment.mode());
        let mut queues = Vec::new();
        for queue in interface.sockets() {
            let socket = Socket::open(interface, queue, transfers, RELEASE_MAX)?;
            program.set_socket(queue, &socket)?;
            let readable = EpollEvent::new(EpollFlags::EPOLLIN, queue.into());
            epoll.add(&socket, readable).map_err(BenchError::Poll)?;
            queues.push(socket);
        }
        for (token, socket) in (KERNEL..).zip(kernel.iter()) {
            let readable = EpollEvent::new(EpollFlags::EPOLLIN, token);
            epoll.add(socket, readable).map_err(BenchError::Poll)?;
        }
        Ok(Self {
            attachment,
            by_kernel: Exchanged::default(),
            _program: program,
            mtu: interface.mtu,
            queues,
            kernel,
            batch: Batch::default(),
            places: locals.iter().copied().zip(0..).collect(),
            locals,
            inbox: VecDeque::new(),
            current: None,
            ways: [None, None],
            frames: Vec::new(),
            identification: 0,
        })
    }

    /// Where the client at this place is.
    pub(super) fn local(&self, place: usize, port: u16) -> Option<SocketAddr> {
        let address = self.locals.get(place)?;
        Some(SocketAddr::new(*address, port))
    }

    /// The client that is there.
    pub(super) fn place(&self, local: SocketAddr) -> Option<usize> {
        self.places.get(&local.ip()).copied()
    }

    /// Reads what has come to what `token` tells of.
    pub(super) fn poll(&mut self, token: u64) {
        match token.checked_sub(KERNEL) {
            None => {
                let queue = usize::try_from(token).ok();
                let queue = queue.and_then(|queue| self.queues.get_mut(queue));
                if let Some(queue) = queue {
                    queue.receive(&mut self.frames);
                }
                self.inbox
                    .extend(self.frames.drain(..).map(Received::Frame));
            }
            Some(place) => {
                let place = usize::try_from(place).unwrap_or(usize::MAX);
                let Some(socket) = self.kernel.iter().nth(place) else {
                    return;
                };
                let (inbox, received) = (&mut self.inbox, &mut self.by_kernel.received);
                // What cannot be read is lost, as it might be on the way.
                let _ = self.batch.receive(socket, |datagram| {
                    if let Ok(Datagram { path, payload, .. }) = datagram {
                        received.count(octets(&path, payload));
                        inbox.push_back(Received::Copied(path, payload.to_vec()));
                    }
                });
            }
        }
    }

    /// The next message that was read, and the client it is for.
    pub(super) fn next(&mut self) -> Option<(usize, Datagram<'_>)> {
        let (path, message) = loop {
            let received = self.inbox.pop_front()?;
            let (path, message) = match &received {
                Received::Copied(path, payload) => (*path, 0..payload.len()),
                Received::Frame(frame) => {
                    let Ok(request) = Request::parse(frame, self.mtu) else {
                        continue;
                    };
                    let Request {
                        path,
                        message,
                        reply,
                    } = request;
                    let [plain, marked] = &mut self.ways;
                    let way = if path.marker { marked } else { plain };
                    *way = Some(Way {
                        remote: path.remote,
                        queue: frame.queue(),
                        reply,
                    });
                    (path, message)
                }
            };
            if self.places.contains_key(&path.local.ip()) {
                self.current = Some(received);
                break (path, message);
            }
        };
        let place = self.place(path.local)?;
        let octets = match self.current.as_ref()? {
            Received::Frame(frame) => frame.get(message)?,
            Received::Copied(_, payload) => payload,
        };
        let datagram = Datagram {
            is_allowed: false,
            path,
            slot: None,
            payload: octets,
        };
        Some((place, datagram))
    }

    /// Sends a message: in a frame, if the way is known and a frame is free, else by the
    /// kernel.
    ///
    /// # Errors
    /// [`Unsent`] if that cannot; the message is lost then.
    pub(super) fn send(&mut self, path: &Path, message: &[u8]) -> Result<(), Unsent> {
        if self.send_frame(path, message).is_some() {
            return Ok(());
        }
        let payload = Bytes::copy_from_slice(message);
        let mut datagram = Outgoing::message(*path, payload);
        datagram.may_fragment = true;
        self.kernel.send(datagram)?;
        self.by_kernel.sent.count(octets(path, message));
        Ok(())
    }

    fn send_frame(&mut self, path: &Path, message: &[u8]) -> Option<()> {
        let [plain, marked] = &self.ways;
        let way = if path.marker { marked } else { plain };
        let way = way.as_ref().filter(|way| way.remote == path.remote)?;
        let reply = way.reply.from(path.local.ip())?;
        let octets = reply.frame_len(message).ok()?;
        let queue = usize::try_from(way.queue).ok()?;
        let queue = self.queues.get_mut(queue)?;
        let mut frame = queue.allocate()?;
        frame.resize(octets).ok()?;
        self.identification = self.identification.wrapping_add(1);
        reply.write(message, self.identification, &mut frame).ok()?;
        queue.send(frame).ok()
    }

    /// Where the program runs, and how frames come and go.
    pub(super) fn attached(&self) -> Attached {
        let transfers = self.queues.iter().map(|it| it.transfer().to_string());
        let transfers: BTreeSet<_> = transfers.collect();
        Attached {
            mode: self.attachment.mode().to_string(),
            transfer: transfers.into_iter().collect::<Vec<_>>().join(", "),
        }
    }

    /// What went by the kernel since this was asked the last time.
    pub(super) fn take_by_kernel(&mut self) -> Exchanged {
        std::mem::take(&mut self.by_kernel)
    }

    /// Sends a NAT-keepalive packet; if it is lost, there will be another.
    pub(super) fn keep_alive(&self, path: &Path) {
        let _ = self.kernel.send(Outgoing::keepalive(*path));
    }

    /// Has the kernel send what is queued. Returns whether it has no room, so that this
    /// is to be called again soon.
    pub(super) fn flush(&mut self) -> bool {
        let mut is_stalled = false;
        for queue in &mut self.queues {
            // The next call tries again.
            is_stalled |= queue.flush().is_err() || queue.is_stalled();
        }
        is_stalled
    }
}

/// Whether all of them are this host's: the kernel sends first messages, and what comes for
/// others it would forward.
fn check_local(addresses: &[IpAddr]) -> Result<(), BenchError> {
    for address in addresses.iter().copied() {
        UdpSocket::bind((address, 0)).map_err(|source| BenchError::Bind { address, source })?;
    }
    Ok(())
}
