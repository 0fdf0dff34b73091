//! Which messages repeat others, and which are the same datagram seen twice.

use std::collections::BTreeMap;
use std::time::Duration;

use ikexdp_proto::wire::iana::ExchangeType;

use crate::message::Message;
use crate::verdict::Direction;

/// No client repeats a message sooner; what comes sooner, under the same number of IP, was seen at two interfaces, or
/// before and behind a NAT.
const SEEN_TWICE: Duration = Duration::from_millis(100);
/// Longest way from one capture to the other, and error of their clocks.
const APART: Duration = Duration::from_secs(1);

/// Messages before one that are looked through for it in the other capture.
const SEARCHED: usize = 256;

/// What is the same in a message and its repeats.
type Key = (Direction, bool, ExchangeTypeNumber, u32, u16, u64);
type ExchangeTypeNumber = u8;

/// Marks them in messages that are sorted by time.
pub(super) fn mark(messages: &mut [Message]) {
    // The last of each kind in each capture that is a datagram of its own, and the first.
    let mut known: BTreeMap<(usize, Key), (usize, usize)> = BTreeMap::new();
    let mut taken = vec![false; messages.len()];
    for index in 0..messages.len() {
        let Some(message) = messages.get(index) else {
            break;
        };
        let (capture, time, digest, id) =
            (message.capture, message.time, message.digest, message.ip_id);
        let key = key(message);
        let elsewhere = same_elsewhere(messages, index, &taken);
        let before = known.get(&(capture, key)).copied();
        let is_seen_twice = before.is_some_and(|(_, last)| {
            messages.get(last).is_some_and(|last| {
                last.digest == digest && last.ip_id == id && time.since(last.time) < SEEN_TWICE
            })
        });
        let Some(message) = messages.get_mut(index) else {
            break;
        };
        match before {
            Some((_, last)) if is_seen_twice => message.seen_as = Some(last),
            _ => {
                message.repeat_of = before.map(|(first, _)| first);
                if let Some(elsewhere) = elsewhere {
                    message.seen_as = Some(elsewhere);
                    if let Some(place) = taken.get_mut(elsewhere) {
                        *place = true;
                    }
                }
                let first = before.map_or(index, |(first, _)| first);
                known.insert((capture, key), (first, index));
            }
        }
    }
}

/// IKE_SA_INIT is asked anew, with a cookie or another group, under the same number.
fn key(message: &Message) -> Key {
    let header = &message.header;
    let variant = if header.exchange == ExchangeType::IKE_SA_INIT {
        message.digest
    } else {
        0
    };
    let fragment = message.fragment.map_or(0, |fragment| fragment.number);
    let exchange = header.exchange.0;
    (
        message.direction,
        header.response,
        exchange,
        header.message_id.0,
        fragment,
        variant,
    )
}

/// The same datagram in the other capture, shortly before.
fn same_elsewhere(messages: &[Message], index: usize, taken: &[bool]) -> Option<usize> {
    let message = messages.get(index)?;
    let before = messages.get(..index)?;
    let near = before
        .iter()
        .enumerate()
        .rev()
        .take(SEARCHED)
        .take_while(|(_, it)| message.time.since(it.time) < APART);
    let mut same = near.filter(|(place, it)| {
        it.capture != message.capture
            && it.digest == message.digest
            && it.direction == message.direction
            && taken.get(*place) == Some(&false)
    });
    same.next().map(|(place, _)| place)
}
