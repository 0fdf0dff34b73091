//! What a capture may take.

use std::time::Duration;

/// Packets of ESP taken at the start of each SA: that there are any shows that the tunnel
/// came up, more would be traffic.
pub const ESP_PACKETS: u32 = 4;

/// Longest frame: an IP datagram, behind Ethernet with two VLAN tags.
pub const FRAME_LEN_MAX: u32 = 65_535 + 14 + 2 * 4;

/// How long it may last unless somebody wants more, and nobody waits for it in memory.
pub const DURATION: Duration = Duration::from_secs(5 * 60);

/// Frames that wait in the kernel, in octets: a second of the busiest gateway's IKE.
pub const KERNEL_BUFFER: usize = 8 << 20;

/// Fragmented datagrams remembered because they are none of IKE. A sender has the numbers of
/// some thousands in use at most.
pub const OTHERS: usize = 4096;

/// Frames taken between two looks at signals and the clock.
pub const BATCH: usize = 256;

/// How often the clock is looked at, and progress shown.
pub const TICK: Duration = Duration::from_secs(1);

/// How long a daemon that did not answer at the start may take while frames wait, for each step
/// of three: one that runs answers in some milliseconds, and frames have room for a second.
pub const RENEWAL_PATIENCE: Duration = Duration::from_millis(200);

/// Longest comment in octets: an option of pcapng has its length in 16 bits.
pub const COMMENT_LEN_MAX: usize = 4096;
