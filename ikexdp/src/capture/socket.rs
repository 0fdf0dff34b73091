//! A packet socket (packet(7)) that sees what an interface receives and sends.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::net::if_::{if_indextoname, if_nametoindex};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockType, UnknownCmsg,
    recvmsg, setsockopt, socket, sockopt,
};
use socket2::SockRef;

use super::error::CaptureError;
use super::filter::{self, Link};
use super::frame::{Frame, Tag};
use super::limits::{FRAME_LEN_MAX, KERNEL_BUFFER};
use crate::socket_option::{bind_to_interface, set};

/// Octets of `struct tpacket_auxdata`.
const AUXDATA_LEN: usize = 20;

/// The socket, with the filter in the kernel.
#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
    /// The interface's number.
    interface: u32,
    link: Link,
    is_loopback: bool,
    buffer: Vec<u8>,
    control: Vec<u8>,
    dropped: Dropped,
}

/// Frames that the kernel had no room for.
#[derive(Clone, Copy, Debug, Default)]
struct Dropped {
    total: u64,
    /// The kernel's own count, of 32 bits.
    last: u32,
}

impl Socket {
    /// Begins to capture on `interface`.
    ///
    /// # Errors
    /// [`CaptureError`] if there is no such interface, or we may not.
    pub(super) fn open(interface: &str) -> Result<Self, CaptureError> {
        let index = if_nametoindex(interface).map_err(|_| CaptureError::NoInterface {
            interface: interface.to_owned(),
        })?;
        let hardware = hardware(interface);
        let link = match hardware {
            Some(libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK) => Link::Ethernet,
            // Without its link header, whatever that is.
            _ => Link::Ip,
        };
        let kind = match link {
            Link::Ethernet => SockType::Raw,
            Link::Ip => SockType::Datagram,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Of no protocol it gets nothing until it is bound, and by then it has its filter.
        let descriptor = socket(AddressFamily::Packet, kind, flags, None);
        let descriptor = descriptor.map_err(|error| match error {
            Errno::EPERM | Errno::EACCES => CaptureError::NotAllowed,
            source => CaptureError::Socket { source },
        })?;
        let mut socket = Self {
            descriptor,
            interface: index,
            link,
            is_loopback: hardware == Some(libc::ARPHRD_LOOPBACK),
            buffer: vec![0; usize::try_from(FRAME_LEN_MAX).unwrap_or(usize::MAX)],
            control: cmsg_space!([u8; AUXDATA_LEN], libc::timespec, u32),
            dropped: Dropped::default(),
        };
        socket
            .prepare()
            .map_err(|source| CaptureError::Socket { source })?;
        Ok(socket)
    }

    fn prepare(&mut self) -> nix::Result<()> {
        let program = filter::program(self.link);
        let attached = SockRef::from(&self.descriptor).attach_filter(&program);
        attached.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?;
        setsockopt(&self.descriptor, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&self.descriptor, sockopt::RxqOvfl, &1)?;
        set(&self.descriptor, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        // Beyond the system's limit only with CAP_NET_ADMIN; else what that allows.
        setsockopt(&self.descriptor, sockopt::RcvBufForce, &KERNEL_BUFFER)
            .or_else(|_| setsockopt(&self.descriptor, sockopt::RcvBuf, &KERNEL_BUFFER))?;
        bind_to_interface(&self.descriptor, self.interface)
    }

    /// Whether the interface is there still, up or down, and by whatever name.
    pub(super) fn is_there(&self) -> bool {
        exists(self.interface)
    }

    /// What frames begin with.
    pub(super) const fn link(&self) -> Link {
        self.link
    }

    /// Frames that were lost because nobody took them in time.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped.total
    }

    /// The next frame, unless it is one that is seen twice.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if there is none yet, [`Errno::ENETDOWN`] once when the interface has
    /// gone down or away, or what else the kernel says.
    pub(super) fn receive(&mut self) -> nix::Result<Option<Frame>> {
        let mut places = [IoSliceMut::new(&mut self.buffer)];
        let received = recvmsg::<LinkAddr>(
            self.descriptor.as_raw_fd(),
            &mut places,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let (mut time, mut auxdata, mut overflow) = (Duration::ZERO, None, None);
        for message in received.cmsgs()? {
            match message {
                ControlMessageOwned::ScmTimestampns(stamp) => time = stamp.into(),
                ControlMessageOwned::RxqOvfl(count) => overflow = Some(count),
                ControlMessageOwned::Unknown(message) => auxdata = Auxdata::read(&message),
                _ => {}
            }
        }
        let (taken, kind) = (received.bytes, received.address.map(|it| it.pkttype()));
        let octets = self.buffer.get(..taken).unwrap_or_default().to_vec();
        if let Some(count) = overflow {
            self.dropped.see(count);
        }
        let outgoing = kind == Some(libc::PACKET_OUTGOING);
        if outgoing && self.is_loopback {
            return Ok(None);
        }
        let length = auxdata.as_ref().map(|auxdata| auxdata.length);
        let frame = Frame {
            time,
            outgoing,
            length: length.unwrap_or_else(|| u32::try_from(taken).unwrap_or(u32::MAX)),
            octets,
        };
        let tag = auxdata.and_then(|auxdata| auxdata.tag);
        Ok(Some(match tag.filter(|_| self.link == Link::Ethernet) {
            Some(tag) => frame.tagged(tag),
            None => frame,
        }))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Dropped {
    fn see(&mut self, count: u32) {
        let more = count.wrapping_sub(self.last);
        self.total = self.total.saturating_add(more.into());
        self.last = count;
    }
}

/// What the kernel says of a frame beside its octets (`struct tpacket_auxdata`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Auxdata {
    length: u32,
    tag: Option<Tag>,
}

impl Auxdata {
    fn read(message: &UnknownCmsg) -> Option<Self> {
        let header = message.cmsg_header;
        if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
            return None;
        }
        Self::parse(message.data_bytes.first_chunk()?)
    }

    /// `status`, `len`, `snaplen` of 32 bits; `mac`, `net`, `vlan_tci`, `vlan_tpid` of 16.
    fn parse(octets: &[u8; AUXDATA_LEN]) -> Option<Self> {
        let word = |at| {
            octets
                .get(at..)?
                .first_chunk()
                .copied()
                .map(u32::from_ne_bytes)
        };
        let half = |at| {
            octets
                .get(at..)?
                .first_chunk()
                .copied()
                .map(u16::from_ne_bytes)
        };
        let status = word(0)?;
        let has_tag = status & libc::TP_STATUS_VLAN_VALID != 0;
        let has_kind = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let tag = Tag {
            kind: if has_kind { half(18)? } else { 0x8100 },
            control: half(16)?,
        };
        Some(Self {
            length: word(4)?,
            tag: has_tag.then_some(tag),
        })
    }
}

/// Whether there is an interface of this number. That there is none, nix 0.31 takes for one
/// without a name.
fn exists(interface: u32) -> bool {
    if_indextoname(interface).is_ok_and(|name| !name.is_empty())
}

/// What kind of hardware an interface is, or claims to be (`ARPHRD_…`); nothing where it has no
/// addresses of its own, as tunnels.
fn hardware(interface: &str) -> Option<u16> {
    let mut addresses = getifaddrs().ok()?;
    addresses.find_map(|address| {
        let link = address.address?.as_link_addr()?.hatype();
        (address.interface_name == interface).then_some(link)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_ethernet_to_who_captures() {
        assert_eq!(hardware("lo"), Some(libc::ARPHRD_LOOPBACK));
        assert_eq!(hardware("nowhere0"), None);
        let error = Socket::open("nowhere0").unwrap_err();
        assert!(matches!(error, CaptureError::NoInterface { .. }), "{error}");
    }

    #[test]
    fn an_interface_is_there_or_not() {
        assert!(exists(if_nametoindex("lo").unwrap()));
        assert!(!exists(0));
        assert!(!exists(u32::MAX));
    }

    #[test]
    fn auxdata_has_the_tag_that_was_taken_off() {
        let auxdata = |status: u32, kind: u16| {
            let mut octets = [0; AUXDATA_LEN];
            octets[..4].copy_from_slice(&status.to_ne_bytes());
            octets[4..8].copy_from_slice(&1500_u32.to_ne_bytes());
            octets[16..18].copy_from_slice(&7_u16.to_ne_bytes());
            octets[18..].copy_from_slice(&kind.to_ne_bytes());
            Auxdata::parse(&octets).unwrap()
        };
        let of = |tag| Auxdata { length: 1500, tag };
        let (control, valid) = (7, libc::TP_STATUS_VLAN_VALID);
        assert_eq!(auxdata(0, 0), of(None));
        let kind = 0x8100;
        assert_eq!(auxdata(valid, 0), of(Some(Tag { kind, control })));
        let kind = 0x88a8;
        let status = valid | libc::TP_STATUS_VLAN_TPID_VALID;
        assert_eq!(auxdata(status, kind), of(Some(Tag { kind, control })));
    }

    #[test]
    fn the_kernels_count_of_what_it_dropped_may_wrap() {
        let mut dropped = Dropped::default();
        for count in [3, 3, u32::MAX, 1] {
            dropped.see(count);
        }
        assert_eq!(dropped.total, u64::from(u32::MAX) + 2);
    }
}
