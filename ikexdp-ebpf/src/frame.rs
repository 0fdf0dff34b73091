//! The only place that reads and writes a packet.
//!
//! What stands at a fixed place is reached by pointer, which costs next to nothing; the
//! verifier sees to it that the place was compared with the packet's end. What stands
//! where a peer has put it is read by the kernel's helper, at tens of nanoseconds: the
//! verifier need not follow what the peer wrote.
#![expect(unsafe_code, reason = "a packet is memory between two addresses")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a place in a frame, and how far two are apart, takes 16 bits"
)]

use core::hint::black_box;
use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::{bpf_xdp_adjust_tail, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use ikexdp_common::challenge::Write;
use ikexdp_common::classify::Load;
use ikexdp_common::guard::Read;

/// A frame in the memory of its driver.
pub(crate) struct Frame {
    ctx: *mut xdp_md,
    start: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self {
            ctx: ctx.as_ptr().cast(),
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// Where `length` octets of the packet begin.
    #[inline(always)]
    const fn place(&self, layer: usize, field: usize, length: usize) -> Option<usize> {
        // The sums cannot wrap: offsets are small. They are written so that the
        // verifier sees a packet pointer plus a constant.
        let from = self.start.wrapping_add(layer).wrapping_add(field);
        if from.wrapping_add(length) > self.end {
            return None;
        }
        Some(from)
    }
}

impl Load for Frame {
    #[inline(always)]
    fn length(&self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    #[inline(always)]
    fn load<const N: usize>(&self, layer: usize, field: usize) -> Option<[u8; N]> {
        let from = self.place(layer, field, N)?;
        // SAFETY: there are `N` octets of the packet, and octets need no alignment.
        Some(unsafe { *(from as *const [u8; N]) })
    }
}

impl Read for Frame {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut octets = MaybeUninit::<[u8; N]>::uninit();
        let to = octets.as_mut_ptr().cast();
        // SAFETY: there is room for `N` octets, and the context is the program's.
        let refused = unsafe { bpf_xdp_load_bytes(self.ctx, at as u32, to, N as u32) };
        // SAFETY: if it was not refused, all of them were written.
        (refused == 0).then(|| unsafe { octets.assume_init() })
    }
}

impl Write for Frame {
    #[inline(always)]
    fn truncate(&mut self, length: usize) -> Option<()> {
        // Hidden, or the compiler would count from the end, which the verifier forbids.
        let more = length.wrapping_sub(black_box(self.length()));
        // SAFETY: the context is the program's.
        let refused = unsafe { bpf_xdp_adjust_tail(self.ctx, more as i32) };
        // What was known of the packet before is void.
        *self = Self::new(&XdpContext::new(self.ctx));
        (refused == 0).then_some(())
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, layer: usize, field: usize, octets: [u8; N]) -> Option<()> {
        let to = self.place(layer, field, N)?;
        // SAFETY: there are `N` octets of the packet, and octets need no alignment.
        unsafe { *(to as *mut [u8; N]) = octets };
        Some(())
    }
}
