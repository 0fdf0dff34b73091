//! What the kernel says by itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use ikexdp_proto::data_plane::{DataPlaneEvent, Direction};
use ikexdp_proto::types::EspSpi;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_xfrm::{
    ExpireMessage, MappingMessage, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING, XfrmMessage,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_XFRM;
use nix::sys::socket::{setsockopt, sockopt};

use super::XfrmError;
use super::address::address;
use super::message::{Message, carried};
use super::reqid::owner;
use crate::netlink::{NetlinkError, parse};

/// Octets of messages that may wait: some thousands of SAs that wear out at once.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Messages read in a turn, so that they do not make datagrams wait.
const MESSAGES: usize = 64;

/// The longest message is of an SA that has worn out: 16 octets of header, 232 of
/// the SA, and a few attributes.
const MESSAGE_LEN: usize = 4096;

/// A socket that gets the messages of the kernel about SAs that have carried
/// enough, and about peers that have moved.
#[derive(Debug)]
pub struct Events {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Events {
    /// From now on.
    ///
    /// # Errors
    /// [`XfrmError`] if the kernel has no such messages, or not for us.
    pub fn listen() -> Result<Self, XfrmError> {
        let listen = || {
            let mut socket = Socket::new(NETLINK_XFRM)?;
            socket.bind_auto()?;
            // Beyond the system's limit only for the privileged; less will do.
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
                .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER))?;
            socket.set_non_blocking(true)?;
            socket.add_membership(XFRMNLGRP_EXPIRE)?;
            socket.add_membership(XFRMNLGRP_MAPPING)?;
            Ok(socket)
        };
        Ok(Self {
            socket: listen().map_err(NetlinkError::Socket)?,
            buffer: Vec::with_capacity(MESSAGE_LEN),
        })
    }

    /// Reads what there is, or some of it, and gives what is of our SAs to `take`.
    /// To be called when the descriptor is readable.
    ///
    /// # Errors
    /// [`NetlinkError`]; with ENOBUFS messages were lost, and it goes on with
    /// later ones.
    pub fn read(&mut self, mut take: impl FnMut(DataPlaneEvent)) -> Result<(), NetlinkError> {
        for _ in 0..MESSAGES {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NetlinkError::Socket(error)),
            }
            read(&self.buffer)?.into_iter().for_each(&mut take);
        }
        Ok(())
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What a datagram says of our SAs.
pub(super) fn read(datagram: &[u8]) -> Result<Vec<DataPlaneEvent>, NetlinkError> {
    let messages = parse::<Message>(datagram)?.into_iter();
    let events = messages.filter_map(|message| match message.payload {
        NetlinkPayload::InnerMessage(message) => event(&message),
        _ => None,
    });
    Ok(events.collect())
}

fn event(message: &Message) -> Option<DataPlaneEvent> {
    match message.get() {
        XfrmMessage::Expire(message) => expired(message),
        XfrmMessage::Mapping(message) => remapped(message),
        _ => None,
    }
}

fn expired(ExpireMessage { expire }: &ExpireMessage) -> Option<DataPlaneEvent> {
    let (lineage, direction) = owner(expire.state.reqid)?;
    Some(DataPlaneEvent::Expired {
        lineage,
        direction,
        spi: EspSpi(expire.state.id.spi),
        hard: expire.hard != 0,
        carried: carried(&expire.state),
    })
}

fn remapped(MappingMessage { map }: &MappingMessage) -> Option<DataPlaneEvent> {
    let (lineage, direction) = owner(map.reqid)?;
    let ip = address(&map.new_saddr, map.id.family)?;
    (direction == Direction::Inbound).then_some(DataPlaneEvent::Remapped {
        lineage,
        spi: EspSpi(map.id.spi),
        remote: SocketAddr::new(ip, map.new_sport),
    })
}
