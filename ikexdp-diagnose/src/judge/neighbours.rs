//! Attempts by where they come from: what others tell of one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ikexdp_proto::wire::iana::{ExchangeType, GroupId};

use super::case::Crowd;
use super::sight::Sight;
use crate::contents::{Clear, Contents};
use crate::model::{Attempt, Capture, Vantage};
use crate::time::Moment;
use crate::verdict::Direction;

/// Attempts by where they come from.
pub(super) struct Neighbours {
    by_socket: BTreeMap<(SocketAddr, SocketAddr), Vec<usize>>,
    /// Those of one client, to whatever gateway.
    by_client: BTreeMap<IpAddr, Vec<usize>>,
    /// Those between two hosts that were answered, by their beginnings.
    answered: BTreeMap<(IpAddr, IpAddr), Vec<Answered>>,
    /// Clients that were answered.
    clients: BTreeSet<IpAddr>,
    /// When each gateway was last heard.
    heard: BTreeMap<IpAddr, Moment>,
    /// Gateways that the first capture names in attempts which the second has as well.
    in_both: BTreeSet<IpAddr>,
}

/// An attempt that was answered.
struct Answered {
    start: Moment,
    socket: SocketAddr,
    /// When INFORMATIONAL was seen that nothing follows: the SA was closed by it, or nothing went on long after.
    closed: Option<Moment>,
}

/// A client that fails tries again before that; what comes later is another visit.
const AGAIN: Duration = Duration::from_secs(60);
/// An SA that was closed so long ago counts against no limit.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Attempts before or behind one that are looked at: more than any gateway takes of one address without a limit.
const SEARCHED: usize = 128;

impl Neighbours {
    /// `attempts` are sorted by their beginnings.
    pub(super) fn of(attempts: &[Attempt]) -> Self {
        let mut all = Self {
            by_socket: BTreeMap::new(),
            by_client: BTreeMap::new(),
            answered: BTreeMap::new(),
            clients: BTreeSet::new(),
            heard: BTreeMap::new(),
            in_both: BTreeSet::new(),
        };
        for (index, attempt) in attempts.iter().enumerate() {
            all.add(index, attempt);
        }
        all
    }

    fn add(&mut self, index: usize, attempt: &Attempt) {
        let sockets = (attempt.client, attempt.gateway);
        let hosts = (attempt.client.ip(), attempt.gateway.ip());
        self.by_socket.entry(sockets).or_default().push(index);
        self.by_client.entry(hosts.0).or_default().push(index);
        let is_in = |capture| {
            let mut messages = attempt.messages.iter();
            messages.any(|message| message.capture == capture)
        };
        if is_in(0) && is_in(1) {
            self.in_both.insert(hosts.1);
        }
        let heard = attempt
            .messages
            .iter()
            .filter(|message| message.direction == Direction::FromGateway);
        if let Some(last) = heard.map(|message| message.time).max() {
            self.clients.insert(hosts.0);
            let latest = self.heard.entry(hosts.1).or_insert(last);
            *latest = last.max(*latest);
            let last = attempt.messages.last();
            let closed = last.filter(|last| last.header.exchange == ExchangeType::INFORMATIONAL);
            self.answered.entry(hosts).or_default().push(Answered {
                start: start(attempt),
                socket: attempt.client,
                closed: closed.map(|last| last.time),
            });
        }
    }

    /// Which captures show an attempt. What one capture was made of is known of all its attempts together; a gateway
    /// may be the client of another.
    pub(super) fn sight(&self, attempt: &Attempt, captures: &[Capture], is_aligned: bool) -> Sight {
        let (client, gateway) = (attempt.client.ip(), attempt.gateway.ip());
        if let [first, second] = captures {
            let is_its_gateway = self.in_both.contains(&gateway);
            return Sight::of_two(attempt, first, second, is_aligned, is_its_gateway);
        }
        let vantage = captures
            .first()
            .map_or(Vantage::Unknown, |capture| capture.vantage);
        let is_heard = self.heard.contains_key(&gateway);
        let vantage = match vantage {
            Vantage::Gateway if !is_heard && self.heard.contains_key(&client) => Vantage::Client,
            // Gateways are heard here, and this one is not: it may be anywhere.
            Vantage::Gateway if !is_heard && !self.heard.is_empty() => Vantage::Unknown,
            Vantage::Client
                if self.clients.contains(&gateway) && !self.clients.contains(&client) =>
            {
                Vantage::Gateway
            }
            vantage => vantage,
        };
        Sight::One(0, vantage)
    }

    /// When the same client began anew.
    pub(super) fn next(&self, attempts: &[Attempt], index: usize) -> Option<Moment> {
        let attempt = attempts.get(index)?;
        let same = self.by_socket.get(&(attempt.client, attempt.gateway))?;
        let place = same.binary_search(&index).ok()?;
        let next = start(attempts.get(*same.get(place.checked_add(1)?)?)?);
        let last = attempt.messages.iter().map(|message| message.time).max()?;
        (next.since(last) <= AGAIN).then_some(next)
    }

    /// What is known of others from its address.
    pub(super) fn crowd(&self, attempts: &[Attempt], index: usize) -> Crowd {
        let Some(attempt) = attempts.get(index) else {
            return Crowd::default();
        };
        let hosts = (attempt.client.ip(), attempt.gateway.ip());
        let Some(answered) = self.answered.get(&hosts) else {
            return Crowd::default();
        };
        let began = start(attempt);
        let before = answered.partition_point(|it| it.start < began);
        let is_open = |it: &&Answered| {
            it.closed
                .is_none_or(|closed| began.since(closed) < FORGOTTEN)
        };
        let sockets: BTreeSet<SocketAddr> = answered
            .iter()
            .take(before)
            .rev()
            .take(SEARCHED)
            .filter(is_open)
            .map(|it| it.socket)
            .collect();
        Crowd {
            answered_before: sockets.len(),
            answered_later: answered.len() > before,
            gateway_lives: self.heard.get(&hosts.1).is_some_and(|heard| *heard > began),
        }
    }

    /// Whether another attempt between the same sockets has traffic: Windows keeps a tunnel of the device and one of
    /// the user side by side.
    pub(super) fn other_lives(&self, attempts: &[Attempt], index: usize) -> bool {
        let same = attempts
            .get(index)
            .and_then(|attempt| self.by_socket.get(&(attempt.client, attempt.gateway)));
        let Some((same, place)) =
            same.and_then(|same| Some((same, same.binary_search(&index).ok()?)))
        else {
            return false;
        };
        let from = place.saturating_sub(SEARCHED);
        let near = same.iter().skip(from).take(SEARCHED.saturating_mul(2));
        let mut others = near.filter(|other| **other != index);
        others.any(|other| {
            attempts
                .get(*other)
                .is_some_and(|other| other.esp.from_client > 0)
        })
    }

    /// Whether the client went where REDIRECT sent it, or asked with the group that was wanted, and was answered: under
    /// another SPI, that is another attempt.
    pub(super) fn is_followed(&self, attempts: &[Attempt], index: usize) -> bool {
        let Some(attempt) = attempts.get(index) else {
            return false;
        };
        let Some(wish) = attempt.messages.iter().rev().find_map(|message| {
            clear(message.direction, &message.contents, Direction::FromGateway).and_then(Wish::of)
        }) else {
            return false;
        };
        let ended = attempt.messages.last().map(|message| message.time);
        let ended = ended.unwrap_or_default();
        let Some(same) = self.by_client.get(&attempt.client.ip()) else {
            return false;
        };
        let place = same.partition_point(|other| *other <= index);
        let later = same.iter().skip(place).take(SEARCHED);
        let mut later = later.filter_map(|other| attempts.get(*other));
        later.any(|other| start(other).since(ended) <= AGAIN && wish.is_met(attempt, other))
    }
}

/// What a refusal asks the client to do.
enum Wish {
    Group(GroupId),
    Address(String),
}

impl Wish {
    fn of(answer: &Clear) -> Option<Self> {
        let to = answer.redirect.clone().flatten().map(Self::Address);
        to.or_else(|| answer.wanted.map(Self::Group))
    }

    fn is_met(&self, before: &Attempt, other: &Attempt) -> bool {
        let said = |by: Direction| {
            let messages = other.messages.iter();
            messages.filter_map(move |message| clear(message.direction, &message.contents, by))
        };
        let is_accepted = said(Direction::FromGateway).any(|answer| !answer.proposals.is_empty());
        let is_asked = match self {
            // From the same socket it is the same client, which found what the gateway takes.
            Self::Group(wanted) => {
                let is_wanted = |offer: &Clear| offer.group == Some(*wanted);
                other.gateway.ip() == before.gateway.ip()
                    && (other.client == before.client || said(Direction::FromClient).any(is_wanted))
            }
            // A name may lead anywhere.
            Self::Address(to) => to
                .parse()
                .map_or(other.gateway.ip() != before.gateway.ip(), |to: IpAddr| {
                    other.gateway.ip() == to
                }),
        };
        is_accepted && is_asked
    }
}

fn clear(by: Direction, contents: &Contents, wanted: Direction) -> Option<&Clear> {
    match contents {
        Contents::Clear(clear) if by == wanted => Some(clear),
        _ => None,
    }
}

fn start(attempt: &Attempt) -> Moment {
    attempt
        .messages
        .first()
        .map(|message| message.time)
        .unwrap_or_default()
}
