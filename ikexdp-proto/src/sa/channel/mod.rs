//! The protected part of an IKE SA: message IDs, sealing and opening,
//! fragments, repeats (RFC 7296 §2.1 to §2.3, RFC 7383).

mod seal;
mod silence;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::Context;
use super::sent::Sent;
use crate::crypto::keymat::IkeKeys;
use crate::error::Limit;
use crate::event::{Event, FragmentationSummary, Incomplete};
use crate::fragment::{Added, Reassembly};
use crate::limits::{DATAGRAM_LEN_MIN, RESPONSE_KEPT, RESPONSE_REPEATS_MAX};
use crate::stats::Stat;
use crate::suite::IkeSuite;
use crate::time::Instant;
use crate::types::{Datagram, IkeSaId, MessageId, Path, ReplySlot, Role, Spis};
use crate::wire::header::{HEADER_LEN, Header};
use crate::wire::iana::{ExchangeType, NotifyType, PayloadType};
use crate::wire::payload::Payloads;
use crate::wire::payload::notify::Notify;
use crate::wire::sk::{Encrypted, FragmentNumber};
use crate::wire::writer::Chain;

/// Seals, opens and numbers the messages of one IKE SA.
#[derive(Debug)]
pub(crate) struct Channel {
    id: IkeSaId,
    role: Role,
    spis: Spis,
    pub(crate) suite: IkeSuite,
    pub(crate) keys: IkeKeys,
    pub(crate) fragmentation: FragmentationSummary,
    /// Whether it has been said that this peer depends on IP fragments.
    told_ip_fragments: bool,
    lowered: bool,
    /// Whether nothing has come for this SA yet that is authentic, and how much that is not.
    unheard: bool,
    unauthentic: u8,
    theirs: Theirs,
    ours: Ours,
}

/// Requests of the peer.
#[derive(Debug)]
struct Theirs {
    /// The number the next one must have; none is left after the last.
    expected: Option<MessageId>,
    /// Whether it has come and is being worked on.
    busy: bool,
    /// The response to the one before.
    answered: Option<Box<Sent>>,
    /// Whether it is forgotten, and the peer last got it in smaller fragments: what it
    /// says next tells that it has it.
    forgotten_lowered: bool,
    reassembly: Option<Box<Reassembly>>,
    /// The message that was given up last, if none has come since.
    given_up: Option<Box<Incomplete>>,
    /// The limit of ours that it was given up for.
    over: Option<Limit>,
}

/// Requests of ours.
#[derive(Debug)]
struct Ours {
    next: Option<MessageId>,
    outstanding: Option<Outstanding>,
    reassembly: Option<Box<Reassembly>>,
}

#[derive(Debug)]
struct Outstanding {
    sent: Box<Sent>,
    due: Instant,
    wait: Duration,
}

/// A whole, authentic message of the peer.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) exchange: ExchangeType,
    pub(crate) id: MessageId,
    pub(crate) response: bool,
    pub(crate) payloads: Chain,
    pub(crate) path: Path,
    pub(crate) slot: Option<ReplySlot>,
}

/// Where the answer to a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyTo {
    pub(crate) exchange: ExchangeType,
    pub(crate) id: MessageId,
    pub(crate) path: Path,
    pub(crate) slot: Option<ReplySlot>,
}

impl Message {
    pub(crate) const fn reply_to(&self) -> ReplyTo {
        ReplyTo {
            exchange: self.exchange,
            id: self.id,
            path: self.path,
            slot: self.slot,
        }
    }
}

/// What a message number means to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// A request we wait for, or the response to ours.
    Wanted,
    /// A request that we have answered.
    Answered,
}

/// What keys and announcements a channel starts from.
#[derive(Debug)]
pub(crate) struct NewChannel {
    pub(crate) id: IkeSaId,
    pub(crate) role: Role,
    pub(crate) spis: Spis,
    pub(crate) suite: IkeSuite,
    pub(crate) keys: IkeKeys,
    /// Of the initiator's first request: 1 after IKE_SA_INIT, 0 after rekeying
    /// (RFC 7296 §2.2, §2.18).
    pub(crate) first: MessageId,
    /// Whether both sides announced RFC 7383.
    pub(crate) fragmentation: bool,
    pub(crate) datagram_len: u16,
}

impl Channel {
    pub(crate) fn new(new: NewChannel) -> Self {
        let (expected, next) = match new.role {
            Role::Responder => (new.first, MessageId(0)),
            Role::Initiator => (MessageId(0), new.first),
        };
        Self {
            id: new.id,
            role: new.role,
            spis: new.spis,
            suite: new.suite,
            keys: new.keys,
            fragmentation: FragmentationSummary {
                negotiated: new.fragmentation,
                datagram_len: new.datagram_len,
                ..FragmentationSummary::default()
            },
            told_ip_fragments: false,
            lowered: false,
            unheard: true,
            unauthentic: 0,
            theirs: Theirs {
                expected: Some(expected),
                busy: false,
                answered: None,
                forgotten_lowered: false,
                reassembly: None,
                given_up: None,
                over: None,
            },
            ours: Ours {
                next: Some(next),
                outstanding: None,
                reassembly: None,
            },
        }
    }

    /// Takes a datagram for this SA; returns the message it completes, if it
    /// does. Repeats of an answered request are answered here.
    pub(crate) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        header: &Header,
        datagram: &Datagram<'_>,
    ) -> Option<Message> {
        let Some(position) = self.position(header) else {
            let busy = !header.response && self.theirs.expected == Some(header.message_id);
            cx.stats
                .count(if busy { Stat::Busy } else { Stat::OutOfWindow });
            return None;
        };
        let Ok(encrypted) = Encrypted::locate(header, datagram.payload) else {
            cx.stats.count(if is_invalid_spi(header, datagram.payload) {
                Stat::InvalidSpiReceived
            } else {
                Stat::MalformedEncrypted
            });
            return None;
        };
        if encrypted.fragment.is_some() {
            cx.stats.count(Stat::FragmentReceived);
            if !self.fragmentation.negotiated {
                cx.stats.count(Stat::MalformedEncrypted);
                return None;
            }
        }
        // Of a repeat only the first fragment asks for the answer, whatever
        // its total: the sender may have cut it anew (RFC 7383 §2.6.1).
        let later_fragment = encrypted
            .fragment
            .is_some_and(|fragment| fragment.number > 1);
        if position == Position::Answered && later_fragment {
            cx.stats.count(Stat::FragmentStale);
            return None;
        }
        let opened = self.keys.open.open(datagram.payload, encrypted.associated);
        let Ok(plaintext) = opened else {
            cx.stats.count(Stat::Unauthentic);
            self.unauthentic = self.unauthentic.saturating_add(self.unheard.into());
            return None;
        };
        self.unheard = false;
        if position == Position::Answered {
            self.repeat_response(cx, datagram);
            return None;
        }
        self.note_length(cx, &datagram.path, datagram.payload.len());
        let payloads = match encrypted.fragment {
            Some(fragment) => {
                let fragment = (fragment, encrypted.first, plaintext);
                self.reassemble(cx, header.response, fragment, &datagram.path)?
            }
            None => Chain {
                first: encrypted.first,
                octets: plaintext,
            },
        };
        self.complete(cx, header.response, &datagram.path);
        Some(Message {
            exchange: header.exchange,
            id: header.message_id,
            response: header.response,
            payloads,
            path: datagram.path,
            slot: datagram.slot,
        })
    }

    /// How many messages came for this SA that are not authentic, before any that is; 255
    /// if there are more.
    pub(crate) const fn unauthentic(&self) -> u8 {
        self.unauthentic
    }

    fn position(&self, header: &Header) -> Option<Position> {
        if header.from == self.role || header.spis != self.spis {
            return None;
        }
        let id = header.message_id;
        if header.response {
            let outstanding = self.ours.outstanding.as_ref()?;
            let wanted = answers(&outstanding.sent.header, header);
            return wanted.then_some(Position::Wanted);
        }
        if self.theirs.expected == Some(id) {
            return (!self.theirs.busy).then_some(Position::Wanted);
        }
        let answered = self.theirs.answered.as_ref()?;
        answers(&answered.header, header).then_some(Position::Answered)
    }

    fn reassemble(
        &mut self,
        cx: &mut Context<'_>,
        response: bool,
        (fragment, first, plaintext): (FragmentNumber, PayloadType, Vec<u8>),
        path: &Path,
    ) -> Option<Chain> {
        self.fragmentation.received = self.fragmentation.received.saturating_add(1);
        let place = if response {
            &mut self.ours.reassembly
        } else {
            &mut self.theirs.reassembly
        };
        match Reassembly::add(place, fragment, first, plaintext, cx.now) {
            Ok(Added::Complete { payloads, recut }) => {
                cx.stats.count(Stat::Reassembled);
                if recut {
                    // What is too long for the peer's way to us most likely is
                    // for our way to the peer.
                    self.lower(cx, path);
                }
                Some(payloads)
            }
            Ok(Added::Incomplete) => None,
            Ok(Added::Stale) => {
                cx.stats.count(Stat::FragmentStale);
                None
            }
            Err(limit) => {
                cx.stats.count(Stat::OverLimit);
                self.theirs.over = Some(limit);
                None
            }
        }
    }

    /// A message is whole: the one it answers, or the one before it, arrived.
    fn complete(&mut self, cx: &mut Context<'_>, response: bool, path: &Path) {
        let over = if response {
            self.ours.reassembly = None;
            self.ours
                .outstanding
                .take()
                .map(|outstanding| outstanding.sent)
        } else {
            self.theirs.reassembly = None;
            self.theirs.given_up = None;
            self.theirs.over = None;
            self.theirs.busy = true;
            self.theirs.answered.take()
        };
        let forgotten = core::mem::take(&mut self.theirs.forgotten_lowered);
        if forgotten || over.is_some_and(|sent| sent.arrived_lowered()) {
            self.lower(cx, path);
        }
    }

    /// From now on sends the smallest datagrams on `path`.
    fn lower(&mut self, cx: &mut Context<'_>, path: &Path) {
        let lowered = &mut self.fragmentation.datagram_len;
        if *lowered > DATAGRAM_LEN_MIN {
            *lowered = DATAGRAM_LEN_MIN;
            self.lowered = true;
            cx.stats.count(Stat::FragmentsLowered);
            cx.event(Event::FragmentsLowered {
                id: self.id,
                path: *path,
                datagram_len: DATAGRAM_LEN_MIN,
            });
        }
    }

    /// Whether the size of datagrams was found too large since the last time
    /// this was asked.
    pub(crate) const fn take_lowered(&mut self) -> bool {
        core::mem::replace(&mut self.lowered, false)
    }

    /// Answers the request that is being worked on.
    pub(crate) fn respond(&mut self, cx: &mut Context<'_>, to: &ReplyTo, payloads: Chain) {
        let header = self.header(to.exchange, to.id, true);
        let sent = self.seal_first(cx, header, &payloads, &to.path);
        self.transmit(cx, &to.path, to.slot, sent.datagrams());
        self.theirs.busy = false;
        self.theirs.expected = to.id.next();
        self.theirs.answered = Some(sent);
    }

    /// Whether a request of ours waits for its response.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.ours.outstanding.is_some()
    }

    /// Sends a request; none may be waiting for its response. Returns whether
    /// there was a message ID left for it.
    pub(crate) fn request(
        &mut self,
        cx: &mut Context<'_>,
        exchange: ExchangeType,
        payloads: Chain,
        path: &Path,
    ) -> bool {
        let Some(id) = self.ours.next else {
            return false;
        };
        let header = self.header(exchange, id, false);
        let sent = self.seal_first(cx, header, &payloads, path);
        self.transmit(cx, path, None, sent.datagrams());
        let wait = cx.config.timing.retransmit;
        self.ours.next = id.next();
        self.ours.outstanding = Some(Outstanding {
            sent,
            due: cx.now + wait,
            wait,
        });
        true
    }

    fn repeat_response(&mut self, cx: &mut Context<'_>, datagram: &Datagram<'_>) {
        let Some(mut answered) = self.theirs.answered.take() else {
            return;
        };
        if answered.repeats < RESPONSE_REPEATS_MAX {
            cx.stats.count(Stat::ResponseRepeated);
            self.repeat(cx, &mut answered, &datagram.path, datagram.slot);
        }
        self.theirs.answered = Some(answered);
    }

    /// Repeats the outstanding request if its time has come.
    ///
    /// Returns whether the peer counts as dead.
    pub(crate) fn on_timeout(&mut self, cx: &mut Context<'_>, path: &Path) -> bool {
        let is_over = |message: &mut Box<Reassembly>| message.deadline() <= cx.now;
        if let Some(expired) = self.theirs.reassembly.take_if(is_over) {
            cx.stats.count(Stat::ReassemblyExpired);
            self.theirs.given_up = Some(Box::new(expired.incomplete()));
        }
        if self.ours.reassembly.take_if(is_over).is_some() {
            cx.stats.count(Stat::ReassemblyExpired);
        }
        if self.forgets().is_some_and(|due| due <= cx.now) {
            let sent = self.theirs.answered.take();
            self.theirs.forgotten_lowered = sent.is_some_and(|sent| sent.arrived_lowered());
        }
        let Some(mut outstanding) = self
            .ours
            .outstanding
            .take_if(|request| request.due <= cx.now)
        else {
            return false;
        };
        if outstanding.sent.repeats >= cx.config.timing.retransmits {
            return true;
        }
        cx.stats.count(Stat::RequestRepeated);
        self.repeat(cx, &mut outstanding.sent, path, None);
        outstanding.wait = outstanding.wait.saturating_mul(2);
        outstanding.due = cx.now + outstanding.wait;
        self.ours.outstanding = Some(outstanding);
        false
    }

    /// When [`Self::on_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let [theirs, ours] = [&self.theirs.reassembly, &self.ours.reassembly];
        let expiry = theirs.iter().chain(ours).map(|message| message.deadline());
        let repeat = self.ours.outstanding.as_ref().map(|request| request.due);
        expiry.chain(repeat).chain(self.forgets()).min()
    }

    /// When nobody asks any more for the response to the request before.
    fn forgets(&self) -> Option<Instant> {
        let answered = self.theirs.answered.as_ref();
        answered.map(|sent| sent.first + RESPONSE_KEPT)
    }

    /// Memory held for messages under reassembly, and since when.
    pub(crate) fn reassembly(&self) -> Option<(Instant, usize)> {
        let [theirs, ours] = [&self.theirs.reassembly, &self.ours.reassembly];
        let both = || theirs.iter().chain(ours);
        let octets = both().map(|message| message.memory()).sum();
        let since = both().map(|message| message.started()).min()?;
        Some((since, octets))
    }

    /// Gives up messages under reassembly, for want of memory.
    pub(crate) fn drop_reassembly(&mut self) {
        self.theirs.reassembly = None;
        self.theirs.over = Some(Limit::Reassembly);
        self.ours.reassembly = None;
    }

    /// Tells, once, when a peer without RFC 7383 depends on IP fragments.
    fn note_length(&mut self, cx: &mut Context<'_>, path: &Path, length: usize) {
        let length = length.saturating_add(path.overhead());
        let long = length > usize::from(self.fragmentation.datagram_len);
        if long && !self.fragmentation.negotiated && !self.told_ip_fragments {
            self.told_ip_fragments = true;
            cx.event(Event::NeedsIpFragments {
                id: self.id,
                path: *path,
                length,
            });
        }
    }
}

/// Whether somebody says in the clear that the peer does not know this SA. Anybody
/// can, so that nothing comes of it (RFC 7296 §2.4): the request of ours that it
/// answers will show whether the peer lives.
fn is_invalid_spi(header: &Header, message: &[u8]) -> bool {
    let payloads = message.get(HEADER_LEN..).unwrap_or_default();
    let mut payloads = Payloads::new(header.next_payload, payloads);
    header.response
        && payloads.any(|payload| {
            payload.is_ok_and(|payload| {
                payload.kind == PayloadType::NOTIFY
                    && Notify::decode(payload.body)
                        .is_ok_and(|notify| notify.kind == NotifyType::INVALID_IKE_SPI)
            })
        })
}

/// Whether one header is of the request and the other of its response, or both
/// of the same message.
fn answers(ours: &Header, theirs: &Header) -> bool {
    ours.message_id == theirs.message_id && ours.exchange == theirs.exchange
}
