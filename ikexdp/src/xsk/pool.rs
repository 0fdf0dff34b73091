//! The frames of one queue.
#![expect(unsafe_code, reason = "a packet is memory that others have had before")]

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use xdp::umem::{self, UmemCfgBuilder};
use xdp::{Packet, Umem};

use crate::frame::TooLong;

/// Octets that the kernel keeps for itself at the start of a frame.
const HEADROOM: u16 = 256;

/// How much memory a frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSize {
    /// Half a page, enough for the usual MTU of 1500.
    Half,
    /// A page. The kernel allows no more.
    Page,
}

impl FrameSize {
    /// The smallest for packets of `mtu` octets behind the longest link header
    /// that the classifier knows, or else the largest there is.
    #[must_use]
    pub fn for_mtu(mtu: u32) -> Self {
        const LINK_MAX: u32 = 22;
        if mtu.saturating_add(LINK_MAX) <= u32::from(Self::Half.capacity()) {
            Self::Half
        } else {
            Self::Page
        }
    }

    /// Octets of the longest frame that is received.
    #[must_use]
    pub const fn capacity(self) -> u16 {
        self.octets().saturating_sub(HEADROOM)
    }

    const fn octets(self) -> u16 {
        match self {
            Self::Half => 2048,
            Self::Page => 4096,
        }
    }
}

/// The memory that one queue shares with the kernel.
pub(super) struct Pool {
    umem: RefCell<Umem>,
    size: FrameSize,
}

impl Pool {
    pub(super) fn new(size: FrameSize, frames: u32) -> io::Result<Rc<Self>> {
        let config = UmemCfgBuilder {
            frame_size: match size {
                FrameSize::Half => umem::FrameSize::TwoK,
                FrameSize::Page => umem::FrameSize::FourK,
            },
            frame_count: frames,
            ..UmemCfgBuilder::default()
        };
        let umem = Umem::map(config.build().map_err(io::Error::other)?)?;
        Ok(Rc::new(Self {
            umem: RefCell::new(umem),
            size,
        }))
    }

    /// Lends the memory to `use_it`, which panics if it drops a [`Frame`].
    pub(super) fn with<R>(&self, use_it: impl FnOnce(&mut Umem) -> R) -> R {
        use_it(&mut self.umem.borrow_mut())
    }
}

/// A frame that is ours until it is sent or dropped.
///
/// It derefs to the octets from the Ethernet header on.
pub struct Frame {
    /// Taken when the frame is sent or dropped.
    packet: Option<Packet>,
    pool: Rc<Pool>,
    queue: u32,
}

impl Frame {
    /// Takes custody of a packet.
    ///
    /// # Safety
    ///
    /// The packet is of this pool, whose memory the frame keeps, and nothing
    /// else has it: neither a frame, nor a ring, nor the list of free ones.
    pub(super) const unsafe fn new(packet: Packet, pool: Rc<Pool>, queue: u32) -> Self {
        Self {
            packet: Some(packet),
            pool,
            queue,
        }
    }

    /// Gives the packet to a ring, if it is of this pool.
    pub(super) fn release(mut self, pool: &Rc<Pool>) -> Result<Packet, Self> {
        if !Rc::ptr_eq(&self.pool, pool) {
            return Err(self);
        }
        self.packet.take().ok_or(self)
    }

    /// The RX queue it came from; it can be sent on that one only.
    #[must_use]
    pub const fn queue(&self) -> u32 {
        self.queue
    }

    /// Octets there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        // Some drivers leave room before what they receive, so that less is
        // left behind it than `Packet::capacity` says.
        let octets = usize::from(self.pool.size.octets());
        let start = self.as_ptr().addr() & octets.wrapping_sub(1);
        octets.saturating_sub(start)
    }

    /// Makes the frame longer or shorter; what is added is of no value.
    ///
    /// # Errors
    ///
    /// When there is no room.
    pub fn resize(&mut self, octets: usize) -> Result<(), TooLong> {
        let max = self.capacity();
        let too_long = TooLong { octets, max };
        if octets > max {
            return Err(too_long);
        }
        let length = self.len();
        let packet = self.packet.as_mut().ok_or(too_long)?;
        let more = i32::try_from(octets.abs_diff(length)).map_err(|_| too_long)?;
        let difference = if octets < length {
            more.wrapping_neg()
        } else {
            more
        };
        packet.adjust_tail(difference).map_err(|_| too_long)
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.packet.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.packet.as_deref_mut().unwrap_or_default()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("queue", &self.queue)
            .field("octets", &self.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if let Some(packet) = self.packet.take() {
            self.pool.with(|umem| umem.free_packet(packet));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(pool: &Rc<Pool>) -> Option<Frame> {
        // SAFETY: the packet goes into a frame, which keeps its memory.
        let packet = pool.with(|umem| unsafe { umem.alloc() })?;
        // SAFETY: it is of this pool, and was free.
        Some(unsafe { Frame::new(packet, Rc::clone(pool), 0) })
    }

    #[test]
    fn a_dropped_frame_is_free_again() {
        let pool = Pool::new(FrameSize::Half, 2).expect("memory");
        let first = frame(&pool).expect("a frame");
        let _second = frame(&pool).expect("another");
        assert!(frame(&pool).is_none());
        drop(first);
        assert!(frame(&pool).is_some());
    }

    #[test]
    fn a_frame_outlives_the_other_owners_of_its_memory() {
        let pool = Pool::new(FrameSize::Half, 1).expect("memory");
        let mut frame = frame(&pool).expect("a frame");
        drop(pool);
        frame.resize(100).expect("room");
        frame.fill(7);
        assert_eq!(frame.iter().filter(|octet| **octet == 7).count(), 100);
    }

    #[test]
    fn a_frame_ends_where_its_memory_ends() {
        for size in [FrameSize::Half, FrameSize::Page] {
            let pool = Pool::new(size, 2).expect("memory");
            let mut frame = frame(&pool).expect("a frame");
            let capacity = usize::from(size.capacity());
            assert_eq!(frame.capacity(), capacity);
            frame.resize(capacity).expect("room");
            frame.resize(10).expect("less");
            assert_eq!(frame.len(), 10);
            let octets = capacity + 1;
            let max = capacity;
            assert_eq!(frame.resize(octets), Err(TooLong { octets, max }));
            assert_eq!(frame.len(), 10);
        }
    }

    #[test]
    fn a_frame_stays_in_its_pool() {
        let pool = Pool::new(FrameSize::Half, 1).expect("memory");
        let other = Pool::new(FrameSize::Half, 1).expect("memory");
        let frame = frame(&pool).expect("a frame");
        let frame = frame.release(&other).err().expect("the frame back");
        assert!(frame.release(&pool).is_ok());
    }

    #[test]
    fn a_page_is_taken_when_half_of_one_is_too_small() {
        assert_eq!(FrameSize::for_mtu(1500), FrameSize::Half);
        assert_eq!(FrameSize::for_mtu(1770), FrameSize::Half);
        assert_eq!(FrameSize::for_mtu(1771), FrameSize::Page);
        assert_eq!(FrameSize::for_mtu(9000), FrameSize::Page);
    }
}
