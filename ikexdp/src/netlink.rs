//! Conversations with the kernel over netlink.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;

use netlink_packet_core::{
    DecodeError, ErrorMessage, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_REQUEST,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
    NlasIterator, parse_string,
};
use netlink_sys::Socket;
use zeroize::Zeroizing;

/// Requests in one system call: the kernel answers all of them before it
/// returns, and the answers must fit in the socket's receive buffer.
const REQUESTS: usize = 32;

/// Why the kernel gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket failed.
    #[error("cannot talk to the kernel over netlink")]
    Socket(#[source] io::Error),
    /// The kernel said no.
    #[error("the kernel refused")]
    Refused(#[source] Refusal),
    /// The answer is not what the protocol says.
    #[error("cannot read the kernel's answer")]
    Malformed(#[source] DecodeError),
}

impl NetlinkError {
    /// The kernel's or the socket's error number, if there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Socket(error) => error.raw_os_error(),
            Self::Refused(refusal) => refusal.errno(),
            Self::Malformed(_) => None,
        }
    }
}

/// What the kernel says when it refuses.
#[derive(Debug)]
pub struct Refusal {
    error: io::Error,
    /// The kernel's own words (NLMSGERR_ATTR_MSG), where it has any.
    explanation: Option<String>,
}

impl Refusal {
    pub(crate) const fn new(error: io::Error, explanation: Option<String>) -> Self {
        Self { error, explanation }
    }

    /// The error number.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.explanation {
            Some(explanation) => write!(f, "{explanation}: {}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

impl std::error::Error for Refusal {}

/// What came of a request: the messages that answer it, often none.
pub(crate) type Reply<M> = Result<Vec<M>, Refusal>;

/// What it means that the kernel says nothing of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// It was done.
    Done,
    /// It may have been said in a message that is lost.
    Unknown,
}

/// A socket on which the kernel answers messages of the kind `M`.
///
/// Messages may hold keys: the octets that are sent and received are wiped.
pub(crate) struct Channel<M> {
    socket: Socket,
    sequence: u32,
    messages: PhantomData<M>,
}

impl<M> fmt::Debug for Channel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.socket).finish()
    }
}

impl<M: NetlinkSerializable + NetlinkDeserializable> Channel<M> {
    /// A channel of `protocol`, one of [`netlink_sys::protocols`].
    ///
    /// # Errors
    /// [`NetlinkError::Socket`] if the kernel does not have that protocol.
    pub(crate) fn open(protocol: isize) -> Result<Self, NetlinkError> {
        let open = || {
            let socket = Socket::new(protocol)?;
            // A refusal comes with the kernel's words, and without a copy of
            // the request.
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        Ok(Self {
            socket: open().map_err(NetlinkError::Socket)?,
            sequence: 0,
            messages: PhantomData,
        })
    }

    /// Makes one request.
    ///
    /// # Errors
    /// [`NetlinkError`] if it is refused.
    pub(crate) fn ask(&mut self, request: M) -> Result<Vec<M>, NetlinkError> {
        let mut replies = self.exchange([request])?;
        replies
            .pop()
            .unwrap_or(Ok(Vec::new()))
            .map_err(NetlinkError::Refused)
    }

    /// Makes `requests` in order, whatever becomes of those before, and gives
    /// the reply to each. As many as possible go in one system call.
    ///
    /// # Errors
    /// [`NetlinkError`] if the kernel was not reached. What it has done by then
    /// is unknown.
    pub(crate) fn exchange(
        &mut self,
        requests: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Reply<M>>, NetlinkError> {
        let mut replies = Vec::new();
        self.exchange_into(requests, &mut replies)?;
        Ok(replies)
    }

    /// Like [`Channel::exchange`], for those who have to know how far it got:
    /// requests without a reply may have been done or not.
    pub(crate) fn exchange_into(
        &mut self,
        requests: impl IntoIterator<Item = M>,
        replies: &mut Vec<Reply<M>>,
    ) -> Result<(), NetlinkError> {
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let first = self.sequence.wrapping_add(1);
            self.send(requests.by_ref().take(REQUESTS), NLM_F_ACK)?;
            if let Err(error) = self.collect(first, replies) {
                self.give_up();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Gives everything that answers `question` to `take`.
    ///
    /// # Errors
    /// [`NetlinkError`] if the question is refused.
    pub(crate) fn dump(
        &mut self,
        question: M,
        mut take: impl FnMut(M),
    ) -> Result<(), NetlinkError> {
        self.send([question], NLM_F_DUMP)?;
        loop {
            for message in self.receive()? {
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => take(answer),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        let refusal = refusal(&message.header, &error);
                        return Err(NetlinkError::Refused(refusal));
                    }
                    NetlinkPayload::Done(_) => return Ok(()),
                    _ => {}
                }
            }
        }
    }

    /// Sends `requests` under the next numbers, in one system call; the last of them has `flags`.
    /// Only that is acknowledged, for each message of the kernel's takes system calls of its own. It
    /// says what it refuses, and of what is done before the last, nothing.
    fn send(
        &mut self,
        requests: impl IntoIterator<Item = M>,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        let number = |request| {
            self.sequence = self.sequence.wrapping_add(1);
            let mut header = NetlinkHeader::default();
            header.sequence_number = self.sequence;
            header.flags = NLM_F_REQUEST;
            let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
            message.finalize();
            message
        };
        let mut messages: Vec<_> = requests.into_iter().map(number).collect();
        if let Some(last) = messages.last_mut() {
            last.header.flags |= flags;
        }
        let lengths = messages.iter().map(NetlinkMessage::buffer_len);
        // As long as it will be: what a vector grows out of is not wiped.
        let mut octets = Zeroizing::new(vec![0; lengths.sum()]);
        let mut rest = octets.as_mut_slice();
        for message in &messages {
            let (own, others) = rest
                .split_at_mut_checked(message.buffer_len())
                .unwrap_or_default();
            message.serialize(own);
            rest = others;
        }
        loop {
            match self.socket.send(&octets, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NetlinkError::Socket(error)),
            }
        }
    }

    /// Waits for the end of the replies to the requests from number `first` to
    /// the last one sent.
    fn collect(&self, first: u32, replies: &mut Vec<Reply<M>>) -> Result<(), NetlinkError> {
        match self.read_replies(first, Silence::Done, replies) {
            // The kernel says first that some did not fit, and then has those that did.
            Err(lost) if lost.errno() == Some(libc::ENOBUFS) => {
                let read = self
                    .socket
                    .set_non_blocking(true)
                    .map_err(NetlinkError::Socket)
                    .and_then(|()| self.read_replies(first, Silence::Unknown, replies));
                let waits = self.socket.set_non_blocking(false);
                waits.map_err(NetlinkError::Socket)?;
                read.map_err(|_| lost)
            }
            read => read,
        }
    }

    fn read_replies(
        &self,
        first: u32,
        silence: Silence,
        replies: &mut Vec<Reply<M>>,
    ) -> Result<(), NetlinkError> {
        let last = self.sequence.wrapping_sub(first);
        let mut place = 0;
        let mut answers = Vec::new();
        loop {
            for message in self.receive()? {
                let its = message.header.sequence_number.wrapping_sub(first);
                // Left over from an exchange that was given up.
                if its < place || its > last {
                    continue;
                }
                while place < its {
                    if silence == Silence::Unknown && answers.is_empty() {
                        let lost = io::Error::from_raw_os_error(libc::ENOBUFS);
                        return Err(NetlinkError::Socket(lost));
                    }
                    replies.push(Ok(mem::take(&mut answers)));
                    place = place.saturating_add(1);
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => {
                        answers.push(answer);
                        continue;
                    }
                    NetlinkPayload::Error(error) if error.code.is_none() => {
                        replies.push(Ok(mem::take(&mut answers)));
                    }
                    NetlinkPayload::Error(error) => {
                        answers.clear();
                        replies.push(Err(refusal(&message.header, &error)));
                    }
                    _ => continue,
                }
                if place == last {
                    return Ok(());
                }
                place = place.saturating_add(1);
            }
        }
    }

    /// Throws away what answers have come, which are all: while some are there of
    /// those that did not fit, the kernel neither adds any nor says so.
    fn give_up(&self) {
        loop {
            let nowhere: &mut [u8] = &mut [];
            match self.socket.recv(&mut { nowhere }, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                // That some did not fit, again.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// The messages of the next datagram.
    fn receive(&self) -> Result<Vec<NetlinkMessage<M>>, NetlinkError> {
        loop {
            match self.socket.recv_from_full() {
                Ok((octets, _)) => return parse(&Zeroizing::new(octets)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NetlinkError::Socket(error)),
            }
        }
    }
}

/// The messages in a datagram of the kernel's.
///
/// # Errors
/// [`NetlinkError::Malformed`].
pub(crate) fn parse<M: NetlinkDeserializable>(
    mut octets: &[u8],
) -> Result<Vec<NetlinkMessage<M>>, NetlinkError> {
    let mut messages = Vec::new();
    while !octets.is_empty() {
        let message = NetlinkMessage::deserialize(octets).map_err(NetlinkError::Malformed)?;
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        messages.push(message);
    }
    Ok(messages)
}

/// Why a request was refused.
fn refusal(header: &NetlinkHeader, error: &ErrorMessage) -> Refusal {
    /// `linux/netlink.h`: the attribute with text for people.
    const NLMSGERR_ATTR_MSG: u16 = 1;
    /// The length of `struct nlmsghdr`.
    const HEADER_LEN: usize = 16;

    // The copy of the request is cut to its header (NETLINK_CAP_ACK), and the
    // attributes follow.
    let attributes = error.header.get(HEADER_LEN..);
    let attributes = attributes.filter(|_| header.flags & NLM_F_ACK_TLVS != 0);
    let text = NlasIterator::new(attributes.unwrap_or_default())
        .flatten()
        .find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG);
    let explanation = text.and_then(|text| parse_string(text.value()).ok());
    Refusal::new(error.to_io(), explanation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};
    use netlink_sys::protocols::NETLINK_ROUTE;

    fn link(index: u32) -> RouteNetlinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        RouteNetlinkMessage::GetLink(link)
    }

    #[test]
    fn each_request_gets_its_own_reply() {
        // `lo` is the first interface of every network namespace.
        let indexes = (0..100).map(|place| if place % 2 == 0 { 1 } else { u32::MAX >> 1 });
        let mut channel = Channel::open(NETLINK_ROUTE).unwrap();
        let replies = channel.exchange(indexes.map(link)).unwrap();
        assert_eq!(replies.len(), 100);
        for (place, reply) in replies.iter().enumerate() {
            match reply {
                Ok(links) => assert_eq!((place % 2, links.len()), (0, 1)),
                Err(refusal) => {
                    assert_eq!((place % 2, refusal.errno()), (1, Some(libc::ENODEV)));
                }
            }
        }
    }

    /// Nothing is changed: that of an interface which is left as it is says nothing if it is done.
    #[test]
    #[ignore = "needs CAP_NET_ADMIN"]
    fn what_is_done_in_silence_is_done() {
        let none = u32::MAX >> 1;
        for indexes in [[1, none, 1, 1], [1, 1, 1, none], [none, none, 1, 1]] {
            let set = |index| {
                let mut link = LinkMessage::default();
                link.header.index = index;
                RouteNetlinkMessage::SetLink(link)
            };
            let mut channel = Channel::open(NETLINK_ROUTE).unwrap();
            let replies = channel.exchange(indexes.map(set)).unwrap();
            let done: Vec<bool> = replies.iter().map(Result::is_ok).collect();
            assert_eq!(done, indexes.map(|index| index == 1));
        }
    }

    #[test]
    fn what_is_lost_is_said_and_mixed_up_with_nothing() {
        let mut channel = Channel::open(NETLINK_ROUTE).unwrap();
        // Room for some of the answers.
        channel.socket.set_rx_buf_sz(16_384).unwrap();
        let mut replies = Vec::new();
        let lost = channel.exchange_into([1; 30].map(link), &mut replies);
        assert_eq!(lost.unwrap_err().errno(), Some(libc::ENOBUFS));
        assert!((1..30).contains(&replies.len()), "{}", replies.len());
        assert!(replies.iter().all(Result::is_ok));
        let replies = channel.exchange([u32::MAX >> 1].map(link)).unwrap();
        assert!(matches!(&replies[..], [Err(refusal)] if refusal.errno() == Some(libc::ENODEV)));
    }

    #[test]
    fn a_dump_has_them_all() {
        let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut answers = Vec::new();
        let mut channel = Channel::open(NETLINK_ROUTE).unwrap();
        channel
            .dump(question, |answer| answers.push(answer))
            .unwrap();
        let is_lo = |answer: &RouteNetlinkMessage| {
            matches!(answer, RouteNetlinkMessage::NewLink(link)
                if link.attributes.contains(&LinkAttribute::IfName("lo".to_owned())))
        };
        assert_eq!(answers.iter().filter(|answer| is_lo(answer)).count(), 1);
    }

    #[test]
    fn a_refusal_keeps_the_words_of_the_kernel() {
        // `struct nlmsgerr` (`linux/netlink.h`): -EINVAL, the request's header, and
        // an attribute of type 1 with a C string.
        let mut octets = vec![0; 20];
        octets[16..].copy_from_slice(&(-22_i32).to_ne_bytes());
        octets.extend_from_slice(&[0; 16]);
        octets.extend_from_slice(&9_u16.to_ne_bytes());
        octets.extend_from_slice(&1_u16.to_ne_bytes());
        octets.extend_from_slice(b"nope\0\0\0\0");
        let length = u32::try_from(octets.len()).unwrap();
        octets[..4].copy_from_slice(&length.to_ne_bytes());
        octets[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        octets[6..8].copy_from_slice(&0x300_u16.to_ne_bytes());
        let messages = parse::<RouteNetlinkMessage>(&octets).unwrap();
        let [message] = messages.as_slice() else {
            panic!("one message");
        };
        let NetlinkPayload::Error(error) = &message.payload else {
            panic!("an error");
        };
        let refusal = refusal(&message.header, error);
        assert_eq!(refusal.errno(), Some(libc::EINVAL));
        assert_eq!(refusal.to_string(), "nope: Invalid argument (os error 22)");
    }
}
