//! What the daemon counts itself, beside the engine and the kernel.

use ikexdp_common::counters;

counters! {
    /// A counter of the packet loop.
    pub enum Metric {
        /// IKE messages received by the kernel's UDP sockets.
        UdpReceived = "udp_received",
        /// IKE messages sent by the kernel's UDP sockets.
        UdpSent = "udp_sent",
        /// Datagrams on port 4500 without the non-ESP marker.
        UdpNotIke = "udp_not_ike",
        /// Datagrams whose local address the kernel did not tell.
        UdpNoAddress = "udp_no_address",
        /// IKE messages of the kernel's UDP sockets dropped because they came from a prefix that is blocked.
        UdpBlocked = "udp_blocked",
        /// Times the kernel's UDP sockets could not be read.
        UdpReceiveFailed = "udp_receive_failed",
        /// IKE messages that were longer than the link carries.
        UdpTooLong = "udp_too_long",
        /// IKE messages that left as IP fragments, because the peer cannot fragment.
        UdpIpFragmented = "udp_ip_fragmented",
        /// IKE messages that the kernel's UDP sockets refused to send.
        UdpSendFailed = "udp_send_failed",
        /// Datagrams dropped by the kernel because nobody read them in time.
        UdpDropped = "udp_dropped",
        /// Redirected frames that hold no IKE message after all.
        FrameNotIke = "frame_not_ike",
        /// Redirected frames dropped because they came from a prefix that is blocked.
        FrameBlocked = "frame_blocked",
        /// Frames that waited for a reply while a job was done.
        FrameParked = "frame_parked",
        /// Frames that waited, and gave way to others.
        FrameEvicted = "frame_evicted",
        /// Replies sent by AF_XDP in the frame that asked, or one like it.
        FrameReplied = "frame_replied",
        /// Replies to frames that the kernel's UDP sockets had to send.
        FrameReplyByKernel = "frame_reply_by_kernel",
        /// Times the AF_XDP sockets could not send.
        FrameSendFailed = "frame_send_failed",
        /// What the kernel said of CHILD SAs: that they are worn, or that a peer has moved.
        DataPlaneEvent = "data_plane_event",
        /// Times that something the kernel said of CHILD SAs was lost.
        DataPlaneEventsLost = "data_plane_events_lost",
        /// Jobs handed to the job threads.
        JobSubmitted = "job_submitted",
        /// Jobs refused because too many were out.
        JobRefused = "job_refused",
        /// Jobs that panicked, which is an error in this program.
        JobPanicked = "job_panicked",
        /// Questions of clients by DHCP that were answered.
        DhcpAnswered = "dhcp_answered",
        /// Broadcasts that were no question by DHCP of a client.
        DhcpIgnored = "dhcp_ignored",
        /// Lines of the log that were lost: nobody read them in time, or took them.
        LogLinesLost = "log_lines_lost",
    }
}

/// The counters of the packet loop since it began.
#[derive(Clone, Debug)]
pub struct Metrics([u64; Metric::COUNT]);

impl Default for Metrics {
    fn default() -> Self {
        Self([0; Metric::COUNT])
    }
}

impl Metrics {
    /// Counts once.
    pub fn count(&mut self, metric: Metric) {
        if let Some(value) = self.0.get_mut(metric.index()) {
            *value = value.wrapping_add(1);
        }
    }

    /// Every counter with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, u64)> {
        Metric::ALL.iter().copied().zip(self.0)
    }
}
