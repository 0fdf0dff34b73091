//! How many queues an interface receives on.
#![expect(unsafe_code, reason = "no safe wrapper asks this question")]

use std::ffi::c_char;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// `struct ethtool_channels` of `linux/ethtool.h`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

/// The RX queues of the interface of this name, as set by `ethtool -L`.
///
/// # Errors
///
/// When the interface is missing, or its driver cannot tell.
pub(crate) fn rx_queues(name: &str) -> io::Result<u32> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    const ETHTOOL_GCHANNELS: u32 = 0x3c;

    let mut ifr_name = [0; libc::IFNAMSIZ];
    // The last octet stays zero: it ends the name.
    let (_, room) = ifr_name
        .split_last_mut()
        .ok_or(io::ErrorKind::InvalidInput)?;
    if name.len() > room.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in room.iter_mut().zip(name.bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    let mut channels = Channels {
        command: ETHTOOL_GCHANNELS,
        ..Channels::default()
    };
    let mut request = libc::ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: (&raw mut channels).cast(),
        },
    };
    // Any socket of this network namespace carries the question.
    let socket = UnixDatagram::unbound()?;
    // SAFETY: `request` is what SIOCETHTOOL wants, and what it points to is what
    // ETHTOOL_GCHANNELS fills in; both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    match channels.combined.saturating_add(channels.rx) {
        0 => Err(io::ErrorKind::InvalidData.into()),
        queues => Ok(queues),
    }
}
