//! The only place that reads and writes a packet.
//!
//! By pointer, which costs next to nothing: the kernel's helpers take tens of nanoseconds
//! for a few octets. The verifier sees to it that every place was compared with the
//! packet's end.
#![expect(unsafe_code, reason = "a packet is memory between two addresses")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "how far two places of a frame are apart takes 16 bits"
)]

use core::hint::black_box;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::bpf_xdp_adjust_tail;
use aya_ebpf::programs::XdpContext;
use ikexdp_common::challenge::Write;
use ikexdp_common::classify::Load;
use ikexdp_common::guard::Read;

/// No place in a packet is further from its start, in octets.
const FURTHEST: usize = 0x7fff;

/// A frame in the memory of its driver.
#[derive(Clone, Copy)]
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
        // What is added to a packet pointer must be seen to be small; and the end is
        // hidden, or the compiler would count from it, which the verifier forbids.
        let end = black_box(self.end);
        (at <= FURTHEST).then(|| Self { end, ..*self }.load(at, 0))?
    }
}

impl Write for Frame {
    #[inline(always)]
    fn truncate(&mut self, length: usize) -> Option<()> {
        // Hidden for the same reason.
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
