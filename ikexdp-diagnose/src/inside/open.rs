//! Opens SK and SKF payloads, and puts fragments together (RFC 7383 §2.6).

use std::collections::BTreeMap;

use ikexdp_proto::types::{MessageId, Role};
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use ikexdp_proto::wire::sk::Encrypted;

use super::table::Keys;
use crate::contents::Contents;
use crate::message::Message;
use crate::model::Attempt;
use crate::time::Moment;
use crate::verdict::Direction;

/// What was in a message.
#[derive(Clone, Debug)]
pub(super) struct Plaintext {
    pub(super) capture: usize,
    pub(super) frames: Vec<u64>,
    pub(super) time: Moment,
    pub(super) direction: Direction,
    pub(super) exchange: ExchangeType,
    pub(super) response: bool,
    pub(super) message_id: MessageId,
    pub(super) fragments: u16,
    /// Type of the first payload.
    pub(super) first: PayloadType,
    /// The payloads.
    pub(super) octets: Vec<u8>,
}

/// A message, whatever it came in: who sent it, request or response, and its number; and of
/// which IKE SA.
type Name = ([u64; 2], bool, bool, u32);

/// Parts of a message that were opened.
#[derive(Debug, Default)]
struct Parts {
    /// By Total Fragments, which a repeat may change, and Fragment Number.
    parts: BTreeMap<(u16, u16), (usize, PayloadType, Vec<u8>)>,
}

/// Opens all that `keys` open: the messages by the time of their first part, and how many datagrams
/// stay sealed.
pub(super) fn all(attempt: &Attempt, keys: &Keys) -> (Vec<Plaintext>, usize) {
    let mut messages: BTreeMap<Name, Parts> = BTreeMap::new();
    let mut sealed: usize = 0;
    for (place, message) in attempt.messages.iter().enumerate() {
        if !matches!(
            message.contents,
            Contents::Encrypted(_) | Contents::Unreadable(_)
        ) {
            continue;
        }
        let Some((fragment, first, octets)) = open(message, keys) else {
            sealed = sealed.saturating_add(1);
            continue;
        };
        let parts = messages.entry(name(message)).or_default();
        let part = parts.parts.entry(fragment);
        part.or_insert((place, first, octets));
    }
    let mut opened: Vec<_> = messages
        .into_values()
        .filter_map(|parts| parts.whole(&attempt.messages))
        .collect();
    opened.sort_by_key(|(place, _)| *place);
    let opened = opened.into_iter().map(|(_, plaintext)| plaintext);
    (opened.collect(), sealed)
}

fn name(message: &Message) -> Name {
    let header = message.header;
    let spis = [header.spis.initiator.0, header.spis.responder.0];
    let is_initiator = header.from == Role::Initiator;
    (spis, is_initiator, header.response, header.message_id.0)
}

/// Which part it is, its first payload, and what it says.
fn open(message: &Message, keys: &Keys) -> Option<((u16, u16), PayloadType, Vec<u8>)> {
    let octets = message.octets.as_deref()?;
    let pair = keys.of(message.header.spis)?;
    let encrypted = Encrypted::locate(&message.header, octets).ok()?;
    let key = match message.header.from {
        Role::Initiator => &pair.from_initiator,
        Role::Responder => &pair.from_responder,
    };
    let plaintext = key.open(octets, encrypted.associated).ok()?;
    let fragment = encrypted.fragment;
    let fragment = fragment.map_or((1, 1), |fragment| (fragment.total, fragment.number));
    Some((fragment, encrypted.first, plaintext))
}

impl Parts {
    /// The message, if all of it is there: with where its first part is.
    fn whole(&self, messages: &[Message]) -> Option<(usize, Plaintext)> {
        let totals = self.parts.keys().map(|(total, _)| *total);
        let total = totals.into_iter().find(|&total| {
            let there = self.parts.range((total, 0)..=(total, u16::MAX)).count();
            there == usize::from(total)
        })?;
        let parts = || self.parts.range((total, 0)..=(total, u16::MAX));
        let place = parts().map(|(_, (place, ..))| *place).min()?;
        let (_, (_, first, _)) = parts().next()?;
        let message = messages.get(place)?;
        let frames = parts().filter_map(|(_, (place, ..))| messages.get(*place));
        let octets = parts().flat_map(|(_, (_, _, octets))| octets.iter().copied());
        let plaintext = Plaintext {
            capture: message.capture,
            frames: frames.flat_map(|message| message.frames.clone()).collect(),
            time: message.time,
            direction: message.direction,
            exchange: message.header.exchange,
            response: message.header.response,
            message_id: message.header.message_id,
            fragments: total,
            first: *first,
            octets: octets.collect(),
        };
        Some((place, plaintext))
    }
}
