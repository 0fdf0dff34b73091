//! What a diagram shows, in order: messages, and what there should be and is not.

use std::collections::{BTreeMap, BTreeSet};

use super::attempt::named;
use crate::contents::Contents;
use crate::message::Message;
use crate::model::{Attempt, IcmpError, LooseFragments};
use crate::time::Moment;
use crate::verdict::Direction;

/// Rows of one diagram: more than that nobody reads.
const ROWS: usize = 300;

/// Fragments that are named of one message.
const PIECES: usize = 8;

/// One arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) at: Moment,
    pub(super) direction: Direction,
    pub(super) fate: Fate,
    /// Whether it is a repeat.
    pub(super) repeats: bool,
    /// Whether a router between them has sent it.
    pub(super) from_path: bool,
    pub(super) label: String,
    pub(super) notes: Vec<String>,
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrived, or nothing speaks against it.
    Passed,
    /// A request without a response.
    Unanswered,
    /// It did not arrive.
    Lost,
}

impl Fate {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unanswered => "unanswered",
            Self::Lost => "lost",
        }
    }
}

/// The rows of an attempt, by time, of so many captures; and how many are left out.
pub(super) fn rows(attempt: &Attempt, captures: usize) -> (Vec<Row>, usize) {
    let mut rows = messages(attempt, captures);
    if captures < 2 {
        rows.extend(missing(attempt));
    }
    rows.extend(attempt.fragments.iter().map(loose));
    rows.extend(attempt.icmp.iter().map(|icmp| Row {
        at: icmp.time,
        direction: icmp.direction.reverse(),
        fate: Fate::Passed,
        repeats: false,
        from_path: true,
        label: said(icmp.error),
        notes: vec![format!("frame {}", icmp.frame)],
    }));
    rows.sort_by_key(|row| row.at);
    let left = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    (rows, left)
}

/// Whether somebody between two captures rewrites addresses or ports.
pub(super) fn is_translated(attempt: &Attempt) -> bool {
    attempt.messages.iter().any(|message| {
        let before = message.seen_as.and_then(|it| attempt.messages.get(it));
        before.is_some_and(|before| {
            (before.source, before.destination) != (message.source, message.destination)
        })
    })
}

/// Where each datagram was seen, by the index of where it was first.
fn sightings(attempt: &Attempt) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut sightings: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (index, message) in attempt.messages.iter().enumerate() {
        let mut first = index;
        // A message may have been seen at several interfaces, one after the other.
        while let Some(before) = attempt.messages.get(first).and_then(|it| it.seen_as)
            && before < first
        {
            first = before;
        }
        sightings.entry(first).or_default().insert(message.capture);
    }
    sightings
}

fn messages(attempt: &Attempt, captures: usize) -> Vec<Row> {
    let answered: BTreeSet<_> = attempt
        .messages
        .iter()
        .filter(|message| message.header.response)
        .map(|message| (message.direction.reverse(), message.header.message_id.0))
        .collect();
    let sightings = sightings(attempt);
    let row = |(index, seen): (&usize, &BTreeSet<usize>)| {
        let message = attempt.messages.get(*index)?;
        let receiver = match message.direction {
            Direction::FromClient => 1,
            Direction::FromGateway => 0,
        };
        let is_lost = !message.whole || (captures > 1 && !seen.contains(&receiver));
        let name = (message.direction, message.header.message_id.0);
        let fate = match is_lost {
            true => Fate::Lost,
            false if !message.header.response && !answered.contains(&name) => Fate::Unanswered,
            false => Fate::Passed,
        };
        let repeated = message.repeat_of.and_then(|it| attempt.messages.get(it));
        Some(Row {
            at: message.time,
            direction: message.direction,
            fate,
            repeats: repeated.is_some(),
            from_path: false,
            label: label(message),
            notes: notes(message, repeated, fate),
        })
    };
    sightings.iter().filter_map(row).collect()
}

fn label(message: &Message) -> String {
    let mut label = named(message);
    if let Some(fragment) = message.fragment {
        label.push_str(&format!(
            ", fragment {} of {}",
            fragment.number, fragment.total
        ));
    }
    if let Contents::Clear(clear) = &message.contents
        && let Some(error) = clear.error
    {
        label.push_str(&format!(", {error}"));
    }
    label
}

fn notes(message: &Message, repeated: Option<&Message>, fate: Fate) -> Vec<String> {
    let frame = |message: &Message| message.frames.first().copied().unwrap_or_default();
    let mut notes = vec![
        format!("frame {}", frame(message)),
        format!("{} octets", message.datagram_len),
    ];
    match (message.pieces.len(), message.whole) {
        (0, _) => {}
        (count, true) => notes.push(format!("{count} IP fragments")),
        (count, false) => notes.push(format!("{count} IP fragments of more")),
    }
    if let Some(repeated) = repeated {
        notes.push(format!("repeats {}", frame(repeated)));
    }
    match fate {
        Fate::Passed => {}
        Fate::Unanswered => notes.push("no answer".to_owned()),
        Fate::Lost => notes.push("lost".to_owned()),
    }
    notes
}

/// Fragments of IKE that never came, of messages of which others did.
fn missing(attempt: &Attempt) -> Vec<Row> {
    let mut messages: BTreeMap<_, (BTreeSet<u16>, &Message)> = BTreeMap::new();
    for message in &attempt.messages {
        if let Some(fragment) = message.fragment {
            let name = (
                message.direction,
                message.header.response,
                message.header.message_id.0,
                fragment.total,
            );
            let (numbers, last) = messages.entry(name).or_insert((BTreeSet::new(), message));
            numbers.insert(fragment.number);
            if message.repeat_of.is_none() {
                *last = message;
            }
        }
    }
    let row = |((direction, _, _, total), (numbers, last)): (_, (BTreeSet<u16>, &Message))| {
        let missing = (1..=total).filter(|number| !numbers.contains(number));
        // A message may claim to be in 65,535.
        let first = missing.take(PIECES).map(|number| number.to_string());
        let missing: Vec<String> = first.collect();
        (!missing.is_empty()).then(|| Row {
            at: last.time,
            direction,
            fate: Fate::Lost,
            repeats: false,
            from_path: false,
            label: format!(
                "{}, fragment {} of {total}",
                named(last),
                missing.join(", ")
            ),
            notes: vec!["never seen here".to_owned()],
        })
    };
    messages.into_iter().filter_map(row).collect()
}

fn loose(fragments: &LooseFragments) -> Row {
    let pieces = fragments.pieces.iter();
    let places: Vec<String> = pieces
        .take(PIECES)
        .map(|piece| {
            let end = piece.offset.saturating_add(piece.length);
            format!("{} to {end}", piece.offset)
        })
        .collect();
    let frame = fragments.pieces.first().map_or(0, |piece| piece.frame);
    Row {
        at: fragments.time,
        direction: fragments.direction,
        fate: Fate::Lost,
        repeats: false,
        from_path: false,
        label: "IP fragments of a datagram that is not whole".to_owned(),
        notes: vec![
            format!("frame {frame}"),
            format!("octets {}", places.join(", ")),
        ],
    }
}

fn said(error: IcmpError) -> String {
    match error {
        IcmpError::TooBig(0) => "ICMP: too big for the next link".to_owned(),
        IcmpError::TooBig(octets) => {
            format!("ICMP: too big, the next link carries {octets} octets")
        }
        IcmpError::PortUnreachable => "ICMP: nobody listens on this port".to_owned(),
        IcmpError::Prohibited => "ICMP: a firewall says no".to_owned(),
        IcmpError::Unreachable => "ICMP: no way there".to_owned(),
        IcmpError::ReassemblyTime => "ICMP: IP fragments were missing".to_owned(),
    }
}
