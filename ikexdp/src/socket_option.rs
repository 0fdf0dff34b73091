//! What is done to sockets and no safe wrapper has.
#![expect(
    unsafe_code,
    reason = "setsockopt and bind take a pointer and a length"
)]

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

/// Binds a packet socket to an interface, by its number: from now on it gets every frame of that
/// interface, and of no other (packet(7)).
pub(crate) fn bind_to_interface(socket: &impl AsFd, interface: u32) -> Result<()> {
    let every = u16::try_from(libc::ETH_P_ALL).map_err(|_| Errno::EINVAL)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).map_err(|_| Errno::EINVAL)?,
        sll_protocol: every.to_be(),
        sll_ifindex: libc::c_int::try_from(interface).map_err(|_| Errno::ENODEV)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(mem::size_of_val(&address));
    let length = length.map_err(|_| Errno::EINVAL)?;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the kernel reads
    // `length` octets at `address`, which has as many.
    let result = unsafe {
        libc::bind(
            socket.as_fd().as_raw_fd(),
            (&raw const address).cast(),
            length,
        )
    };
    Errno::result(result).map(drop)
}
