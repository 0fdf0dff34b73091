//! What is counted on a queue.

use ikexdp_common::counters;
use xdp::libc::xdp::XdpStatistics;

counters! {
    /// Counters of an AF_XDP socket, its own first and then the kernel's.
    pub enum QueueCounter {
        /// Frames received.
        Received = "received",
        /// Frames handed to the kernel to be sent.
        Sent = "sent",
        /// Replies that found the TX ring full.
        TransmitFull = "transmit_full",
        /// Replies that found no free frame.
        Exhausted = "exhausted",
        /// Turns of the loop that found too few free frames to receive into.
        Starved = "starved",
        /// Frames the kernel could not deliver: none free, or too long.
        KernelDropped = "kernel_dropped",
        /// Frames the kernel could not deliver: RX ring full.
        KernelReceiveFull = "kernel_receive_full",
        /// Times the kernel found the fill ring empty.
        KernelFillEmpty = "kernel_fill_empty",
        /// Times the kernel found the TX ring empty.
        KernelTransmitEmpty = "kernel_transmit_empty",
        /// Descriptors the kernel refused in the fill ring.
        KernelReceiveInvalid = "kernel_receive_invalid",
        /// Descriptors the kernel refused in the TX ring.
        KernelTransmitInvalid = "kernel_transmit_invalid",
    }
}

/// The counts of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters([u64; QueueCounter::COUNT]);

impl QueueCounters {
    /// The count of `counter`.
    #[must_use]
    pub fn get(&self, counter: QueueCounter) -> u64 {
        self.0.get(counter.index()).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, counter: QueueCounter, more: usize) {
        if let Some(count) = self.0.get_mut(counter.index()) {
            *count = count.wrapping_add(more as u64);
        }
    }

    /// The same, with what the kernel has counted.
    pub(super) fn with_kernel(&self, kernel: &XdpStatistics) -> Self {
        let mut counters = self.clone();
        for (counter, count) in [
            (QueueCounter::KernelDropped, kernel.rx_dropped),
            (QueueCounter::KernelReceiveFull, kernel.rx_ring_full),
            (
                QueueCounter::KernelFillEmpty,
                kernel.rx_fill_ring_empty_descs,
            ),
            (
                QueueCounter::KernelTransmitEmpty,
                kernel.tx_ring_empty_descs,
            ),
            (QueueCounter::KernelReceiveInvalid, kernel.rx_invalid_descs),
            (QueueCounter::KernelTransmitInvalid, kernel.tx_invalid_descs),
        ] {
            if let Some(place) = counters.0.get_mut(counter.index()) {
                *place = count;
            }
        }
        counters
    }
}
