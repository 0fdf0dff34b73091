//! The only place that reads and writes a packet.
//!
//! What stands at a fixed place is read by pointer, which costs next to nothing and
//! is what every frame needs. All else goes by the kernel's helpers, which check
//! places themselves: the verifier need not follow what a peer wrote there.
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
use aya_ebpf::helpers::generated::{bpf_xdp_adjust_tail, bpf_xdp_load_bytes, bpf_xdp_store_bytes};
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
}

impl Load for Frame {
    #[inline(always)]
    fn length(&self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    #[inline(always)]
    fn load<const N: usize>(&self, layer: usize, field: usize) -> Option<[u8; N]> {
        // The sums cannot wrap: offsets are small constants. They are written
        // so that the verifier sees a packet pointer plus a constant.
        let from = self.start.wrapping_add(layer).wrapping_add(field);
        if from.wrapping_add(N) > self.end {
            return None;
        }
        // SAFETY: `from..from + N` lies within the packet, as just checked, and
        // octets need no alignment.
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
        // SAFETY: the context is the program's, and nothing is read by pointer
        // hereafter.
        let refused = unsafe { bpf_xdp_adjust_tail(self.ctx, more as i32) };
        (refused == 0).then_some(())
    }

    #[inline(always)]
    fn write<const N: usize>(&mut self, at: usize, mut octets: [u8; N]) -> Option<()> {
        let from = octets.as_mut_ptr().cast();
        // SAFETY: there are `N` octets, and the context is the program's.
        let refused = unsafe { bpf_xdp_store_bytes(self.ctx, at as u32, from, N as u32) };
        (refused == 0).then_some(())
    }
}
