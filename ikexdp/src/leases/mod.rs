//! What is kept over a restart: which address is whose.
//!
//! The daemon does without it if it must. A client that comes before the last
//! change is on the disk, and after a crash, may get another address; nothing
//! else depends on it.

mod file;
mod keeper;

pub use file::load;
pub use keeper::Keeper;
