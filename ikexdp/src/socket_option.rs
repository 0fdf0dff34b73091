//! Socket options that no safe wrapper has.
#![expect(unsafe_code, reason = "setsockopt takes a pointer and a length")]

use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use nix::Result;
use nix::errno::Errno;
use nix::libc;

/// Sets an option whose value is an `int`; the kernel refuses those that have another.
pub(crate) fn set(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> Result<()> {
    let length = libc::socklen_t::try_from(mem::size_of_val(&value)).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the kernel reads
    // `length` octets at `value`, which has as many.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    Errno::result(result).map(drop)
}
