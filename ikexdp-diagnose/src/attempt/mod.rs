//! Attempts, put together from the messages of one initiator's SPI.

pub(crate) mod exchange;
mod repeats;
mod surroundings;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ikexdp_proto::types::{Spi, Spis};
use ikexdp_proto::wire::iana::ExchangeType;

use crate::collect::Reading;
use crate::compare;
use crate::contents::Contents;
use crate::message::Message;
use crate::model::{Attempt, Capture, EspSeen, Outcome};
use crate::verdict::Direction;

/// What one or two captures have, before anything is judged.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    pub(crate) captures: Vec<Capture>,
    pub(crate) clock_offset: Option<i64>,
    pub(crate) attempts: Vec<Attempt>,
}

/// Puts attempts together; of two captures the client's comes first.
pub(crate) fn assemble(mut readings: Vec<Reading>, client: Option<IpAddr>) -> Assembled {
    let mut clock_offset = None;
    if let [first, second] = readings.as_mut_slice() {
        if compare::is_swapped(first, second) {
            std::mem::swap(first, second);
        }
        clock_offset = compare::offset(first, second);
        if let Some(offset) = clock_offset {
            second.shift(offset.saturating_neg());
        }
    }
    let mut by_spi: BTreeMap<Spi, (Vec<Message>, u64)> = BTreeMap::new();
    for (index, reading) in readings.iter_mut().enumerate() {
        for (spi, kept) in std::mem::take(&mut reading.messages) {
            let (messages, left_out) = by_spi.entry(spi).or_default();
            *left_out = left_out.saturating_add(kept.left_out);
            messages.extend(kept.messages.into_iter().map(|message| Message {
                capture: index,
                ..message
            }));
        }
    }
    let made = by_spi
        .into_iter()
        .filter_map(|(spi, (messages, left_out))| attempt(spi, messages, left_out));
    let mut attempts: Vec<Attempt> = made.collect();
    attempts.sort_by_key(|attempt| attempt.messages.first().map(|message| message.time));
    surroundings::add(&mut attempts, &readings);
    attempts.retain(|attempt| client.is_none_or(|client| is_of(attempt, client)));
    for (number, attempt) in (1..).zip(&mut attempts) {
        attempt.number = number;
    }
    let captures = readings
        .into_iter()
        .map(|reading| reading.capture)
        .collect();
    Assembled {
        captures,
        clock_offset,
        attempts,
    }
}

fn is_of(attempt: &Attempt, client: IpAddr) -> bool {
    attempt
        .messages
        .iter()
        .any(|message| client_end(message).ip() == client)
}

/// Main mode and aggressive mode, as IKEv1 begins (RFC 2408 §3.1): what else there is of it is of a tunnel that is up.
fn begins_v1(message: &Message) -> bool {
    message.contents == Contents::Ikev1
        && matches!(message.header.exchange.0, 2 | 4)
        && message.header.spis.responder == Spi::ZERO
}

/// The client's end of a message.
pub(crate) const fn client_end(message: &Message) -> SocketAddr {
    match message.direction {
        Direction::FromClient => message.source,
        Direction::FromGateway => message.destination,
    }
}

/// The gateway's end of a message.
pub(crate) const fn gateway_end(message: &Message) -> SocketAddr {
    match message.direction {
        Direction::FromClient => message.destination,
        Direction::FromGateway => message.source,
    }
}

/// An IKE SA of which something is seen that leads to it; one that was up before is no attempt.
fn attempt(spi: Spi, mut messages: Vec<Message>, left_out: u64) -> Option<Attempt> {
    let leads = |message: &Message| {
        matches!(
            message.header.exchange,
            ExchangeType::IKE_SA_INIT | ExchangeType::IKE_AUTH | ExchangeType::IKE_INTERMEDIATE
        ) || begins_v1(message)
    };
    if !messages.iter().any(leads) {
        return None;
    }
    messages.sort_by_key(|message| message.time);
    orient(&mut messages);
    repeats::mark(&mut messages);
    let first = messages
        .iter()
        .find(|message| message.direction == Direction::FromClient);
    let first = first.or_else(|| messages.first())?;
    let (client, gateway) = (client_end(first), gateway_end(first));
    let responder_spi = responder_spi(&messages);
    let client_is = messages.iter().find_map(|message| match &message.contents {
        Contents::Clear(clear) if message.direction == Direction::FromClient => clear.sender,
        _ => None,
    });
    Some(Attempt {
        number: 0,
        initiator_spi: spi,
        responder_spi,
        client,
        gateway,
        client_is,
        messages,
        messages_left_out: left_out,
        fragments: Vec::new(),
        esp: EspSeen::default(),
        icmp: Vec::new(),
        outcome: Outcome::Open,
        inside: None,
        finding: None,
    })
}

/// IKEv1 has no flag that says who began; the first message does.
fn orient(messages: &mut [Message]) {
    let is_v1 = |message: &Message| message.contents == Contents::Ikev1;
    let Some(began) = messages
        .iter()
        .find(|message| is_v1(message))
        .map(|message| message.source.ip())
    else {
        return;
    };
    for message in messages
        .iter_mut()
        .filter(|message| message.contents == Contents::Ikev1)
    {
        message.direction = if message.source.ip() == began {
            Direction::FromClient
        } else {
            Direction::FromGateway
        };
    }
}

/// That of the answer that was accepted: those that only refuse or ask back may have another.
fn responder_spi(messages: &[Message]) -> Spi {
    let spis = messages
        .iter()
        .filter(|message| message.direction == Direction::FromGateway);
    let accepted = |message: &&Message| matches!(&message.contents, Contents::Clear(clear) if !clear.proposals.is_empty());
    let of = |message: &Message| -> Spis { message.header.spis };
    let first = spis.clone().find(accepted).or_else(|| {
        messages
            .iter()
            .find(|message| message.header.spis.responder != Spi::ZERO)
    });
    first.map_or(Spi::ZERO, |message| of(message).responder)
}

impl Reading {
    /// Moves all times, because they are by another clock.
    fn shift(&mut self, offset: i64) {
        let capture = &mut self.capture;
        for time in [&mut capture.first, &mut capture.last]
            .into_iter()
            .flatten()
        {
            *time = time.shifted(offset);
        }
        let messages = self
            .messages
            .values_mut()
            .flat_map(|kept| &mut kept.messages);
        let seen = self
            .traffic
            .esp
            .values_mut()
            .chain(self.traffic.keepalives.values_mut());
        let times = messages
            .map(|message| &mut message.time)
            .chain(self.loose.iter_mut().map(|datagram| &mut datagram.time))
            .chain(self.icmp.iter_mut().map(|icmp| &mut icmp.time))
            .chain(seen.flat_map(|seen| [&mut seen.first, &mut seen.last]));
        for time in times {
            *time = time.shifted(offset);
        }
    }
}
