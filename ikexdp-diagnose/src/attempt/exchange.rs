//! Exchanges of an attempt: requests and responses with their repeats and fragments, as each capture shows them.

use std::collections::{BTreeMap, BTreeSet};

use ikexdp_proto::types::MessageId;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};

use crate::contents::{Clear, Contents};
use crate::message::Message;
use crate::model::Attempt;
use crate::time::Moment;
use crate::verdict::Direction;

/// A request, and the response to it if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) kind: ExchangeType,
    pub(crate) request: Transfer<'a>,
    pub(crate) response: Transfer<'a>,
}

/// One message on its way, however often it was sent and in however many fragments.
#[derive(Clone, Debug)]
pub(crate) struct Transfer<'a> {
    pub(crate) direction: Direction,
    /// What each capture shows of it.
    views: [View<'a>; 2],
}

/// One message as one capture shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct View<'a> {
    /// All that is seen of it, by time, without what was seen twice.
    pub(crate) messages: Vec<&'a Message>,
}

/// Which fragments of IKE are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragmented {
    pub(crate) total: u16,
    pub(crate) missing: Vec<u16>,
}

/// The exchanges of `attempt` by their beginnings.
pub(crate) fn exchanges(attempt: &Attempt) -> Vec<Exchange<'_>> {
    let mut found: BTreeMap<(Direction, MessageIdNumber, u8), Exchange<'_>> = BTreeMap::new();
    for message in &attempt.messages {
        if message.contents == Contents::Ikev1 || is_seen_twice(attempt, message) {
            continue;
        }
        let header = &message.header;
        let by = if header.response {
            message.direction.reverse()
        } else {
            message.direction
        };
        let MessageId(id) = header.message_id;
        let exchange = found
            .entry((by, id, header.exchange.0))
            .or_insert_with(|| Exchange {
                kind: header.exchange,
                request: Transfer::new(by),
                response: Transfer::new(by.reverse()),
            });
        let transfer = if header.response {
            &mut exchange.response
        } else {
            &mut exchange.request
        };
        let [first, second] = &mut transfer.views;
        let view = if message.capture == 0 { first } else { second };
        view.messages.push(message);
    }
    let mut exchanges: Vec<_> = found.into_values().collect();
    exchanges.sort_by_key(Exchange::start);
    exchanges
}

type MessageIdNumber = u32;

/// Whether the same capture has the same datagram before.
fn is_seen_twice(attempt: &Attempt, message: &Message) -> bool {
    let before = message
        .seen_as
        .and_then(|index| attempt.messages.get(index));
    before.is_some_and(|before| before.capture == message.capture)
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::FromClient => Self::FromGateway,
            Self::FromGateway => Self::FromClient,
        }
    }
}

impl Exchange<'_> {
    /// Time of the first message of it.
    pub(crate) fn start(&self) -> Moment {
        let both = [&self.request, &self.response];
        both.into_iter()
            .filter_map(Transfer::first)
            .min()
            .unwrap_or_default()
    }

    /// Time of the last message of it.
    pub(crate) fn end(&self) -> Moment {
        let both = [&self.request, &self.response];
        both.into_iter()
            .filter_map(Transfer::last)
            .max()
            .unwrap_or_default()
    }

    /// Which side asks.
    pub(crate) const fn by(&self) -> Direction {
        self.request.direction
    }
}

impl<'a> Transfer<'a> {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            views: [View::default(), View::default()],
        }
    }

    /// What capture number `index` shows.
    pub(crate) const fn view(&self, index: usize) -> &View<'a> {
        let [first, second] = &self.views;
        if index == 0 { first } else { second }
    }

    /// Whether it was seen at all.
    pub(crate) fn is_seen(&self) -> bool {
        self.messages().next().is_some()
    }

    /// Whether some capture has all of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.views.iter().any(View::is_whole)
    }

    /// All that was seen of it in all captures.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &'a Message> {
        self.views
            .iter()
            .flat_map(|view| view.messages.iter().copied())
    }

    pub(crate) fn first(&self) -> Option<Moment> {
        self.messages().map(|message| message.time).min()
    }

    /// When it was first sent as it is now: IKE_SA_INIT may have been asked in another way before.
    pub(crate) fn asked(&self) -> Option<Moment> {
        let last = self.messages().max_by_key(|message| message.time)?;
        let is_same = |message: &&Message| {
            message.header.exchange != ExchangeType::IKE_SA_INIT || message.digest == last.digest
        };
        let same = self.messages().filter(is_same);
        same.map(|message| message.time).min()
    }

    pub(crate) fn last(&self) -> Option<Moment> {
        self.messages().map(|message| message.time).max()
    }

    /// The view that shows it sent most often: nearest to who sent it.
    pub(crate) fn fullest(&self) -> (usize, &View<'a>) {
        let [first, second] = &self.views;
        let (there, here) = (second.times_sent(), first.times_sent());
        if there > here || (there == here && second.messages.len() > first.messages.len()) {
            (1, second)
        } else {
            (0, first)
        }
    }

    /// What it says in the clear.
    pub(crate) fn clear(&self) -> impl Iterator<Item = (&'a Message, &'a Clear)> {
        self.messages()
            .filter_map(|message| match &message.contents {
                Contents::Clear(clear) => Some((message, &**clear)),
                _ => None,
            })
    }

    /// The first error that it names in the clear.
    pub(crate) fn error(&self) -> Option<(&'a Message, NotifyType)> {
        self.clear()
            .find_map(|(message, clear)| Some((message, clear.error?)))
    }
}

impl View<'_> {
    pub(crate) fn is_seen(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Whether all fragments are there, by any of the ways it was cut.
    pub(crate) fn is_whole(&self) -> bool {
        match self.fragmented() {
            Some(fragmented) => fragmented.missing.is_empty(),
            None => self.messages.iter().any(|message| message.whole),
        }
    }

    /// When all of it was there.
    pub(crate) fn whole_at(&self) -> Option<Moment> {
        let mut times: Vec<Moment> = self.messages.iter().map(|message| message.time).collect();
        times.sort_unstable();
        times.dedup();
        // Of few: one for each fragment and repeat.
        let is_whole_by = |time: &Moment| {
            let until = self
                .messages
                .iter()
                .filter(|message| message.time <= *time)
                .copied();
            View {
                messages: until.collect(),
            }
            .is_whole()
        };
        let place = times.partition_point(|time| !is_whole_by(time));
        times.get(place).copied()
    }

    /// Which fragments of IKE are there, if it was cut: of the cut that lacks least.
    pub(crate) fn fragmented(&self) -> Option<Fragmented> {
        let uncut = |message: &&&Message| message.whole && message.fragment.is_none();
        if self.messages.iter().any(|message| uncut(&message)) {
            return None;
        }
        let mut cuts: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
        for message in &self.messages {
            if let Some(fragment) = message.fragment {
                let numbers = cuts.entry(fragment.total).or_default();
                if message.whole {
                    numbers.insert(fragment.number);
                }
            }
        }
        let lacking = cuts.into_iter().map(|(total, numbers)| {
            let missing: Vec<u16> = (1..=total)
                .filter(|number| !numbers.contains(number))
                .collect();
            Fragmented { total, missing }
        });
        lacking.min_by_key(|fragmented| fragmented.missing.len())
    }

    /// How often it was sent: as often as that fragment which was seen most. IKE_SA_INIT with a cookie, or with another
    /// group, is asked anew and no repeat.
    pub(crate) fn times_sent(&self) -> usize {
        let mut times: BTreeMap<(u16, u64), usize> = BTreeMap::new();
        for message in &self.messages {
            let variant = match message.header.exchange {
                ExchangeType::IKE_SA_INIT => message.digest,
                _ => 0,
            };
            let fragment = message.fragment.map_or(0, |fragment| fragment.number);
            let count = times.entry((fragment, variant)).or_default();
            *count = count.saturating_add(1);
        }
        times.into_values().max().unwrap_or(0)
    }

    /// The longest IP datagram of it, in octets.
    pub(crate) fn longest(&self) -> usize {
        self.messages
            .iter()
            .map(|message| message.datagram_len)
            .max()
            .unwrap_or(0)
    }

    /// Whether a datagram of it was in IP fragments.
    pub(crate) fn is_ip_fragmented(&self) -> bool {
        self.messages
            .iter()
            .any(|message| !message.pieces.is_empty())
    }

    /// Octets of IV, ciphertext and ICV, of all fragments.
    pub(crate) fn encrypted(&self) -> Option<usize> {
        let mut sizes: BTreeMap<u16, usize> = BTreeMap::new();
        for message in &self.messages {
            if let Contents::Encrypted(size) = message.contents {
                sizes.insert(message.fragment.map_or(0, |fragment| fragment.number), size);
            }
        }
        (!sizes.is_empty()).then(|| sizes.into_values().fold(0, usize::saturating_add))
    }

    /// Frames of it.
    pub(crate) fn frames(&self) -> impl Iterator<Item = u64> {
        self.messages
            .iter()
            .flat_map(|message| message.frames.iter().copied())
    }
}
