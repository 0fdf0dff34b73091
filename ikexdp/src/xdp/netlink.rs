//! Questions to the kernel about links and addresses.

use std::io;

use netlink_packet_core::{DecodeError, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

/// Why the kernel gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket failed.
    #[error("cannot talk to the kernel over netlink")]
    Socket(#[source] io::Error),
    /// The kernel said no.
    #[error("the kernel refused")]
    Refused(#[source] io::Error),
    /// The answer is not what the protocol says.
    #[error("cannot read the kernel's answer")]
    Malformed(#[source] DecodeError),
}

/// Sends `question` and collects the messages that answer it.
///
/// `flags` must make the kernel end its answer: `NLM_F_ACK` for a single
/// object, `NLM_F_DUMP` for all there are.
pub(super) fn ask(
    question: RouteNetlinkMessage,
    flags: u16,
) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
    let socket = Socket::new(NETLINK_ROUTE).map_err(NetlinkError::Socket)?;
    let mut message = NetlinkMessage::from(question);
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut request = vec![0; message.buffer_len()];
    message.serialize(&mut request);
    socket.send(&request, 0).map_err(NetlinkError::Socket)?;

    let mut answers = Vec::new();
    loop {
        let datagram = match socket.recv_from_full() {
            Ok((datagram, _)) => datagram,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(NetlinkError::Socket(error)),
        };
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::deserialize(rest).map_err(NetlinkError::Malformed)?;
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
            match message.payload {
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                NetlinkPayload::Error(error) => return Err(NetlinkError::Refused(error.to_io())),
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}
