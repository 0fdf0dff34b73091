//! The only place that reads a packet.
#![expect(unsafe_code, reason = "a packet is memory between two addresses")]

use aya_ebpf::programs::XdpContext;
use ikexdp_common::classify::Load;

/// A frame in the memory of its driver.
pub(crate) struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self {
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
