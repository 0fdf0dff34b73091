//! AF_XDP: IKE frames between a driver's queue and this process.
//!
//! ```text
//!            fill ring -> kernel -> RX ring      TX ring -> kernel -> completion ring
//!                ^                     v            ^                        v
//!  free frames --'                   Frame --reply--'                        '--> free frames
//! ```
//!
//! Frames live in one piece of memory per queue, shared with the kernel. Each
//! is at one place at a time: free, on offer in the fill ring, held by a
//! [`Frame`], or on its way out. All of it belongs to one thread.

mod bind_error;
mod counter;
pub(crate) mod ethtool;
mod pool;
mod socket;

pub use self::bind_error::BindError;
pub use self::counter::{QueueCounter, QueueCounters};
pub use self::pool::{Frame, FrameSize};
pub use self::socket::{BATCH, HELD, Socket, Transfer};
