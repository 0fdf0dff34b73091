//! What only `ethtool` can ask of an interface.
#![expect(unsafe_code, reason = "no safe wrapper asks these questions")]

use std::ffi::c_char;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// How many queues there are; zero where the driver does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queues {
    pub(crate) rx: u32,
    pub(crate) tx: u32,
}

/// How many queues the interface of this name receives and sends on, as set by
/// `ethtool -L`.
///
/// # Errors
///
/// When the interface is missing, or its driver cannot tell.
pub(crate) fn queues(name: &str) -> io::Result<Queues> {
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
    const ETHTOOL_GCHANNELS: u32 = 0x3c;

    let mut channels = Channels {
        command: ETHTOOL_GCHANNELS,
        ..Channels::default()
    };
    // SAFETY: ETHTOOL_GCHANNELS fills in a `struct ethtool_channels`.
    unsafe { ask(name, &mut channels) }?;
    Ok(Queues {
        rx: channels.combined.saturating_add(channels.rx),
        tx: channels.combined.saturating_add(channels.tx),
    })
}

/// Whether the interface of this name takes VLAN tags off the frames it
/// receives, so that XDP does not see them.
///
/// # Errors
///
/// When the interface is missing.
pub(crate) fn strips_vlan_tags(name: &str) -> io::Result<bool> {
    /// `struct ethtool_value` of `linux/ethtool.h`.
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    const ETHTOOL_GFLAGS: u32 = 0x25;
    const ETH_FLAG_RXVLAN: u32 = 1 << 8;

    let mut value = Value {
        command: ETHTOOL_GFLAGS,
        data: 0,
    };
    // SAFETY: ETHTOOL_GFLAGS fills in a `struct ethtool_value`.
    unsafe { ask(name, &mut value) }?;
    Ok(value.data & ETH_FLAG_RXVLAN != 0)
}

/// # Safety
///
/// `question` begins with a command, and is what the kernel fills in for it.
unsafe fn ask<T>(name: &str, question: &mut T) -> io::Result<()> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;

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
    let mut request = libc::ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: (&raw mut *question).cast(),
        },
    };
    // Any socket of this network namespace carries the question.
    let socket = UnixDatagram::unbound()?;
    // SAFETY: `request` is what SIOCETHTOOL takes, it points to what the caller
    // vouches for, and both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
