//! The XDP program: classifies a frame, counts it, and acts.
//!
//! Everything it decides is decided by `ikexdp_common`, which is tested on the host;
//! here are only the maps, the way to a packet's octets, and the one exit.
#![no_std]
#![no_main]

mod frame;
mod gateway;
mod shield;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX};
use aya_ebpf::btf_maps::{PerCpuArray, XskMap};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use ikexdp_common::classify::Load;
use ikexdp_common::judge::judge;
use ikexdp_common::maps::QUEUES;
use ikexdp_common::verdict::{Action, Verdict};

use crate::frame::Frame;
use crate::gateway::Maps;
use crate::shield::config;

#[btf_map]
static COUNTERS: PerCpuArray<u64, { Verdict::COUNT }> = PerCpuArray::new();

#[btf_map]
static SOCKETS: XskMap<QUEUES> = XskMap::new();

/// The program that is attached to the interface.
#[xdp]
fn ikexdp(ctx: XdpContext) -> u32 {
    let mut frame = Frame::new(&ctx);
    let verdict = judge(&mut frame, &Maps);
    let (verdict, action) = match verdict.action() {
        Action::Pass => (verdict, XDP_PASS),
        Action::Drop => (verdict, XDP_DROP),
        Action::Redirect => redirect(&ctx, &frame, verdict),
        Action::Reply => (verdict, XDP_TX),
    };
    count(verdict);
    action
}

/// Gives the frame to the socket of its queue, or else to the kernel's UDP
/// sockets, which are there to answer as well.
#[inline(always)]
fn redirect(ctx: &XdpContext, frame: &Frame, verdict: Verdict) -> (Verdict, u32) {
    let config = config();
    if config.observed {
        return (Verdict::PassObserved, XDP_PASS);
    }
    if frame.length() > usize::from(config.frame_max) {
        return (Verdict::PassTooLong, XDP_PASS);
    }
    match SOCKETS.redirect(ctx.rx_queue_index(), XDP_PASS.into()) {
        Ok(_) => (verdict, XDP_REDIRECT),
        Err(_) => (Verdict::PassNoSocket, XDP_PASS),
    }
}

#[expect(unsafe_code, reason = "map values are plain memory")]
fn count(verdict: Verdict) {
    if let Some(counter) = COUNTERS.get_ptr_mut(verdict as u32) {
        // SAFETY: the pointer is to this CPU's value, and an XDP program is not
        // interrupted by another one on its CPU.
        unsafe { *counter = (*counter).wrapping_add(1) };
    }
}

/// Nothing panics here, and the verifier proves it: it refuses an endless loop.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The licence the kernel asks for before it lends its helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the kernel finds it by its section")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
