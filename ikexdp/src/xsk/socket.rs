//! One AF_XDP socket on one RX queue.
#![expect(
    unsafe_code,
    reason = "the rings pass on memory that the kernel shares, and a descriptor"
)]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use xdp::nic::NicIndex;
use xdp::slab::{HeapSlab, Slab};
use xdp::socket::{SocketError, XdpSocket, XdpSocketBuilder};
use xdp::{CompletionRing, FillRing, Packet, RingConfigBuilder, Rings, RxRing, TxRing};

use super::bind_error::BindError;
use super::counter::{QueueCounter, QueueCounters};
use super::pool::{Frame, FrameSize, Pool};
use crate::xdp::{Interface, Mode};

/// Frames received and not yet taken. At 100,000 a second it takes ten
/// milliseconds to fill the ring, longer than the loop is ever away.
const RECEIVE: u32 = 1024;

/// Frames on their way out: a reply of eight fragments to each frame of a batch.
const TRANSMIT: u32 = 512;

/// Frames that callers may hold without starving the others.
pub const HELD: u32 = 512;

/// Frames received at a time, so that no queue makes the others wait.
pub const BATCH: usize = 64;

/// How often a queue is tried while it has another socket.
const OCCUPIED_POLL: Duration = Duration::from_millis(10);

/// Frames that the kernel sends for one call in copy mode.
const KERNEL_BATCH: u32 = 32;

/// How frames come from the driver to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The NIC writes them into our memory.
    ZeroCopy,
    /// The kernel copies them.
    Copy,
}

impl Transfer {
    /// What can be tried where the program runs in `mode`, the fastest first.
    #[must_use]
    pub const fn choices(mode: Mode) -> &'static [Self] {
        match mode {
            Mode::Native => &[Self::ZeroCopy, Self::Copy],
            // A driver may well accept zero-copy, but sends its frames elsewhere.
            Mode::Generic => &[Self::Copy],
        }
    }

    /// Frames on offer to the kernel, or received and not yet taken.
    ///
    /// With zero-copy the NIC has no others, for whatever the queue receives:
    /// those that fill the RX ring while nobody reads it must leave it enough.
    const fn offer(self) -> u32 {
        match self {
            Self::ZeroCopy => 4 * RECEIVE,
            Self::Copy => RECEIVE,
        }
    }

    /// Frames of a queue; 4 MiB of them to copy at the usual MTU, 20 MiB with
    /// zero-copy.
    const fn frames(self) -> u32 {
        self.offer().saturating_add(TRANSMIT + HELD)
    }

    /// How long frames are on an interface of this MTU.
    fn frame_size(self, mtu: u32) -> FrameSize {
        match self {
            // Some NICs know sizes of whole KiB only, and take what is left of
            // half a page for one.
            Self::ZeroCopy => FrameSize::Page,
            Self::Copy => FrameSize::for_mtu(mtu),
        }
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroCopy => "zero-copy",
            Self::Copy => "copy",
        })
    }
}

/// What the kernel left in the TX ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backlog {
    /// Nothing.
    None,
    /// What it had no room for; nothing tells when it has.
    Full,
    /// What it could not send, for the link is down, say.
    Failed,
}

/// An AF_XDP socket, its four rings and its frames.
pub struct Socket {
    // Dropped from first to last: the rings name the socket, and the kernel uses
    // the pool as long as there is a socket.
    fill: FillRing,
    rx: RxRing,
    tx: TxRing,
    completion: CompletionRing,
    socket: XdpSocket,
    pool: Rc<Pool>,
    queue: u32,
    transfer: Transfer,
    /// Frames in the fill ring, the driver or the RX ring.
    offered: usize,
    /// Frames in the TX ring, the driver or the completion ring.
    sending: usize,
    /// Frames that wait for the next flush.
    pending: HeapSlab,
    backlog: Backlog,
    counters: QueueCounters,
}

impl Socket {
    /// Opens a socket on an RX queue, with the first of `transfers` that the
    /// driver has. If there is a socket already, that may be one just closed,
    /// which the kernel forgets later: it has `patience`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or the queue still has another socket.
    pub fn open(
        interface: &Interface,
        queue: u32,
        transfers: &[Transfer],
        patience: Duration,
    ) -> Result<Self, BindError> {
        let mut waited = Duration::ZERO;
        loop {
            let last = waited >= patience;
            match Self::try_open(interface, queue, transfers, last) {
                Err(BindError::Occupied { .. }) if !last => {
                    thread::sleep(OCCUPIED_POLL);
                    waited = waited.saturating_add(OCCUPIED_POLL);
                }
                result => return result,
            }
        }
    }

    fn try_open(
        interface: &Interface,
        queue: u32,
        transfers: &[Transfer],
        last: bool,
    ) -> Result<Self, BindError> {
        let mut refusal = io::ErrorKind::Unsupported.into();
        for &transfer in transfers {
            match Self::bind(interface, queue, transfer) {
                Ok(socket) => return Ok(socket),
                Err(error) => {
                    let occupied = error.raw_os_error() == Some(libc::EBUSY);
                    refusal = error;
                    // The next one could succeed just because the queue is free
                    // by then. But some drivers say the same of zero-copy alone.
                    if occupied && !last {
                        break;
                    }
                }
            }
        }
        Err(BindError::new(&interface.name, queue, refusal))
    }

    fn bind(interface: &Interface, queue: u32, transfer: Transfer) -> io::Result<Self> {
        let rings = RingConfigBuilder {
            rx_count: RECEIVE,
            tx_count: TRANSMIT,
            fill_count: transfer.offer(),
            completion_count: TRANSMIT,
        };
        let pool = Pool::new(transfer.frame_size(interface.mtu), transfer.frames())?;
        let config = rings.build().map_err(io::Error::other)?;
        let mut builder = XdpSocketBuilder::new().map_err(io_error)?;
        // Not the rings that say when the kernel has to be woken: with those a
        // driver that finds the RX ring full may stop the queue until we read,
        // and not just drop what was for us.
        let (rings, mut flags) = pool
            .with(|umem| builder.build_rings(umem, config))
            .map_err(io_error)?;
        match transfer {
            Transfer::ZeroCopy => flags.force_zerocopy(),
            Transfer::Copy => flags.force_copy(),
        }
        let Rings {
            fill_ring: mut fill,
            rx_ring: Some(rx),
            completion_ring,
            tx_ring: Some(tx),
        } = rings
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // Before the NIC depends on them.
        //
        // SAFETY: the pool outlives the socket.
        let offered = pool.with(|umem| unsafe { fill.enqueue(umem, transfer.offer() as usize) });
        let socket = builder
            .bind(NicIndex::new(interface.index), queue, flags)
            .map_err(io_error)?;
        Ok(Self {
            fill,
            rx,
            tx,
            completion: completion_ring,
            socket,
            pool,
            queue,
            transfer,
            offered,
            sending: 0,
            pending: HeapSlab::with_capacity(TRANSMIT as usize),
            backlog: Backlog::None,
            counters: QueueCounters::default(),
        })
    }

    /// How frames come to us.
    #[must_use]
    pub const fn transfer(&self) -> Transfer {
        self.transfer
    }

    /// Appends to `batch` what has arrived, some tens of frames at most.
    pub fn receive(&mut self, batch: &mut Vec<Frame>) {
        let mut inbox = Inbox {
            room: BATCH,
            batch,
            pool: &self.pool,
            queue: self.queue,
        };
        // SAFETY: each packet goes into a `Frame`, which keeps its memory.
        let received = self
            .pool
            .with(|umem| unsafe { self.rx.recv(umem, &mut inbox) });
        self.offered = self.offered.saturating_sub(received);
        self.counters.add(QueueCounter::Received, received);
    }

    /// A frame of undefined contents, for a reply that takes more than one.
    pub fn allocate(&mut self) -> Option<Frame> {
        // SAFETY: the packet goes into a `Frame`, which keeps its memory.
        let packet = self.pool.with(|umem| unsafe { umem.alloc() });
        if packet.is_none() {
            self.counters.add(QueueCounter::Exhausted, 1);
        }
        // SAFETY: it is of this pool, and was free.
        Some(unsafe { Frame::new(packet?, Rc::clone(&self.pool), self.queue) })
    }

    /// Queues a frame for the next [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// The frame, when it is empty, of another socket, or one too many.
    pub fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        if frame.is_empty() {
            return Err(frame);
        }
        if self.is_full() {
            self.reap();
        }
        if self.is_full() {
            self.counters.add(QueueCounter::TransmitFull, 1);
            return Err(frame);
        }
        let packet = frame.release(&self.pool)?;
        match self.pending.push_front(packet) {
            None => Ok(()),
            // SAFETY: it is of this pool, and a frame has just released it.
            Some(packet) => Err(unsafe { Frame::new(packet, Rc::clone(&self.pool), self.queue) }),
        }
    }

    /// Ends a turn of the loop: sends what is queued, takes back what was sent,
    /// and offers free frames to the kernel.
    ///
    /// # Errors
    ///
    /// When the kernel cannot send; the next call tries again.
    pub fn flush(&mut self) -> io::Result<()> {
        self.reap();
        let result = self.transmit();
        self.refill();
        result
    }

    /// Whether something waits for a flush soon, whatever else happens.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.backlog == Backlog::Full
    }

    fn is_full(&self) -> bool {
        self.pending.len().saturating_add(self.sending) >= TRANSMIT as usize
    }

    /// Moves what is queued to the TX ring, and makes the kernel send it.
    fn transmit(&mut self) -> io::Result<()> {
        let queued = self.pending.len();
        // SAFETY: what is pending was released by frames of this pool, which
        // outlives the socket.
        unsafe { self.tx.send(&mut self.pending) };
        let submitted = queued.saturating_sub(self.pending.len());
        self.sending = self.sending.saturating_add(submitted);
        self.counters.add(QueueCounter::Sent, submitted);
        if submitted == 0 && self.backlog == Backlog::None {
            return Ok(());
        }
        self.backlog = Backlog::Full;
        // In copy mode one call sends a part of a large batch.
        for _ in 0..=TRANSMIT.div_ceil(KERNEL_BATCH) {
            match self.kick() {
                Ok(()) => {
                    self.backlog = Backlog::None;
                    return Ok(());
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => {
                    self.backlog = Backlog::Failed;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn kick(&self) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        // SAFETY: no memory is passed.
        let result = unsafe { libc::send(fd, ptr::null(), 0, libc::MSG_DONTWAIT) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Takes back the frames that are sent.
    fn reap(&mut self) {
        let sent = self
            .pool
            .with(|umem| self.completion.dequeue(umem, self.sending));
        self.sending = self.sending.saturating_sub(sent);
    }

    /// Puts as many frames on offer as there should be.
    fn refill(&mut self) {
        let wanted = (self.transfer.offer() as usize).saturating_sub(self.offered);
        // SAFETY: the pool outlives the socket.
        let offered = self
            .pool
            .with(|umem| unsafe { self.fill.enqueue(umem, wanted) });
        self.offered = self.offered.saturating_add(offered);
        if offered < wanted {
            self.counters.add(QueueCounter::Starved, 1);
        }
    }

    /// Counts of this side and of the kernel's.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    pub fn counters(&self) -> io::Result<QueueCounters> {
        let kernel = self.socket.statistics().map_err(io_error)?;
        Ok(self.counters.with_kernel(&kernel))
    }
}

impl AsFd for Socket {
    /// Readable when frames have arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket lives, which the
        // borrow of `self` ensures.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("queue", &self.queue)
            .field("transfer", &self.transfer)
            .field("offered", &self.offered)
            .field("sending", &self.sending)
            .finish_non_exhaustive()
    }
}

/// Makes frames of what a ring receives.
struct Inbox<'a> {
    room: usize,
    batch: &'a mut Vec<Frame>,
    pool: &'a Rc<Pool>,
    queue: u32,
}

impl Slab for Inbox<'_> {
    fn available(&self) -> usize {
        self.room
    }

    fn len(&self) -> usize {
        BATCH.saturating_sub(self.room)
    }

    fn is_empty(&self) -> bool {
        self.room == BATCH
    }

    fn push_front(&mut self, packet: Packet) -> Option<Packet> {
        self.room = self.room.saturating_sub(1);
        // SAFETY: only `Socket::receive` makes an inbox, with its own pool, and
        // hands it to the RX ring, which gives away what the kernel filled.
        let frame = unsafe { Frame::new(packet, Rc::clone(self.pool), self.queue) };
        self.batch.push(frame);
        None
    }

    /// A ring that receives only pushes.
    fn pop_back(&mut self) -> Option<Packet> {
        None
    }
}

/// What the kernel says when the rest of a batch has to wait.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS)
    )
}

fn io_error(error: SocketError) -> io::Error {
    match error {
        SocketError::SocketCreation(error)
        | SocketError::Bind(error)
        | SocketError::SetSockOpt { inner: error, .. }
        | SocketError::GetSockOpt { inner: error, .. }
        | SocketError::RingMap { inner: error, .. } => error,
    }
}
