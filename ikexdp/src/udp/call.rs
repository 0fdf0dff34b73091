//! The system call that sends many datagrams, each from an address of its own.
#![expect(
    unsafe_code,
    reason = "nix's sendmmsg has one source for all, and says how many have left by way of memory that nobody wrote"
)]

use std::io::IoSlice;
use std::mem::{offset_of, size_of};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{SockaddrLike, SockaddrStorage};

/// A datagram as the kernel is told of it.
pub(super) struct Letter<'a> {
    parts: [IoSlice<'a>; 2],
    remote: SockaddrStorage,
    source: Source,
}

/// Which address to leave from, whatever the routes: `IP_PKTINFO` (ip(7)), `IPV6_PKTINFO` (ipv6(7)).
enum Source {
    V4(Control<libc::in_pktinfo>),
    V6(Control<libc::in6_pktinfo>),
}

/// A control message, laid out as `CMSG_DATA` does it.
#[repr(C)]
struct Control<T> {
    header: libc::cmsghdr,
    data: T,
}

/// Hands `letters` to the kernel with one system call. Returns how many have left, from the first on.
///
/// # Errors
/// [`Errno`] if not even the first has, and why; those behind it were not tried.
pub(super) fn send(socket: &impl AsFd, letters: &[Letter<'_>]) -> nix::Result<usize> {
    let mut headers: Vec<_> = letters.iter().map(Letter::header).collect();
    let count = libc::c_uint::try_from(headers.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed. There are `count` headers, and what they
    // point at is borrowed by `letters` until the call is over; the kernel only reads that.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_fd().as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(Errno::result(sent)?).map_err(|_| Errno::EINVAL)
}

impl<'a> Letter<'a> {
    /// `parts` one behind the other, from one address to another of the same family.
    pub(super) fn new(parts: [&'a [u8]; 2], local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            parts: parts.map(IoSlice::new),
            remote: SockaddrStorage::from(remote),
            source: Source::from(local),
        }
    }

    /// What the kernel reads: pointers into `self`. An [`IoSlice`] is laid out as an `iovec`.
    fn header(&self) -> libc::mmsghdr {
        let (msg_control, msg_controllen) = self.source.as_raw();
        libc::mmsghdr {
            msg_hdr: libc::msghdr {
                msg_name: self.remote.as_ptr().cast_mut().cast(),
                msg_namelen: self.remote.len(),
                msg_iov: self.parts.as_ptr().cast_mut().cast(),
                msg_iovlen: self.parts.len(),
                msg_control,
                msg_controllen,
                msg_flags: 0,
            },
            msg_len: 0,
        }
    }
}

impl From<SocketAddr> for Source {
    fn from(local: SocketAddr) -> Self {
        match local {
            SocketAddr::V4(local) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(local.ip().octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                Self::V4(Control::new(libc::IPPROTO_IP, libc::IP_PKTINFO, info))
            }
            SocketAddr::V6(local) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: local.ip().octets(),
                    },
                    ipi6_ifindex: local.scope_id(),
                };
                Self::V6(Control::new(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info))
            }
        }
    }
}

impl Source {
    const fn as_raw(&self) -> (*mut libc::c_void, usize) {
        match self {
            Self::V4(control) => control.as_raw(),
            Self::V6(control) => control.as_raw(),
        }
    }
}

impl<T> Control<T> {
    const fn new(level: libc::c_int, kind: libc::c_int, data: T) -> Self {
        let header = libc::cmsghdr {
            cmsg_len: offset_of!(Self, data).saturating_add(size_of::<T>()),
            cmsg_level: level,
            cmsg_type: kind,
        };
        Self { header, data }
    }

    const fn as_raw(&self) -> (*mut libc::c_void, usize) {
        ((&raw const *self).cast_mut().cast(), size_of::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the macros of the C library say.
    #[test]
    fn control_messages_are_laid_out_as_the_kernel_has_them() {
        fn check<T>(local: &str) {
            let length = libc::c_uint::try_from(size_of::<T>()).unwrap();
            let source = Source::from(local.parse::<SocketAddr>().unwrap());
            let header = match &source {
                Source::V4(control) => control.header,
                Source::V6(control) => control.header,
            };
            // SAFETY: they compute on numbers alone.
            let (len, space) = unsafe { (libc::CMSG_LEN(length), libc::CMSG_SPACE(length)) };
            assert_eq!(header.cmsg_len, usize::try_from(len).unwrap());
            assert_eq!(source.as_raw().1, usize::try_from(space).unwrap());
        }
        check::<libc::in_pktinfo>("192.0.2.1:500");
        check::<libc::in6_pktinfo>("[2001:db8::1]:500");
    }
}
