//! What else passed between the two hosts of an attempt: loose fragments, ESP, keepalives, ICMP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ikexdp_proto::wire::iana::ExchangeType;

use super::{client_end, gateway_end};
use crate::collect::{Between, Icmp, Reading, Seen, Traffic};
use crate::contents::Contents;
use crate::fragments::Datagram;
use crate::limits::ESP_FLOWS_PER_ATTEMPT;
use crate::model::{Attempt, EspSeen, IcmpSeen, LooseFragments};
use crate::time::Moment;
use crate::verdict::Direction;

/// How long behind the last message something may still belong to an attempt.
const AFTERMATH: Duration = Duration::from_secs(60);

/// Gives each of `attempts`, which are sorted by their beginnings, what belongs to it.
pub(super) fn add(attempts: &mut [Attempt], readings: &[Reading]) {
    let spans: Vec<Span> = (0..attempts.len())
        .map(|index| Span::of(attempts, index))
        .collect();
    for (capture, reading) in readings.iter().enumerate() {
        let ends: Vec<Ends> = attempts
            .iter()
            .map(|attempt| Ends::of(attempt, capture))
            .collect();
        let hosts = Hosts::of(&ends);
        let flows = reading.traffic.by_ends();
        for ((attempt, span), ends) in attempts.iter_mut().zip(&spans).zip(&ends) {
            let traffic = traffic(&reading.traffic, &flows, ends, span, capture);
            add_traffic(&mut attempt.esp, traffic);
        }
        for datagram in &reading.loose {
            let about = About {
                source: datagram.key.source,
                destination: datagram.key.destination,
                ports: None,
                time: datagram.time,
            };
            if let Some((index, direction)) = hosts.find(&about, &spans, &ends)
                && let Some(attempt) = attempts.get_mut(index)
            {
                attempt.fragments.push(loose(datagram, capture, direction));
            }
        }
        for icmp in &reading.icmp {
            let Icmp {
                source,
                destination,
                ports,
                time,
                ..
            } = *icmp;
            let about = About {
                source,
                destination,
                ports,
                time,
            };
            if let Some((index, direction)) = hosts.find(&about, &spans, &ends)
                && let Some(attempt) = attempts.get_mut(index)
            {
                attempt.icmp.push(seen(icmp, capture, direction));
            }
        }
    }
}

/// When an attempt is the one that something between its hosts is about.
struct Span {
    start: Moment,
    end: Moment,
    /// When the first request of IKE_AUTH was sent; ESP of this attempt begins after that.
    auth: Option<Moment>,
    /// Whether it is of IKEv1, which goes on at ports that no message of it may be seen at.
    is_v1: bool,
    /// When the next attempt between the same sockets began.
    next: Option<Moment>,
}

impl Span {
    fn of(attempts: &[Attempt], index: usize) -> Self {
        let Some(attempt) = attempts.get(index) else {
            return Self {
                start: Moment(0),
                end: Moment(0),
                auth: None,
                is_v1: false,
                next: None,
            };
        };
        let times = attempt.messages.iter().map(|message| message.time);
        // IKEv1 shows nothing of the kind: what flows beside it is its own.
        let auth = attempt.messages.iter().find(|message| {
            message.header.exchange == ExchangeType::IKE_AUTH || message.contents == Contents::Ikev1
        });
        let later = attempts.get(index.saturating_add(1)..).unwrap_or_default();
        let is_same =
            |other: &&Attempt| (other.client, other.gateway) == (attempt.client, attempt.gateway);
        let next = later.iter().take(SEARCHED).find(is_same);
        Self {
            start: times.clone().min().unwrap_or_default(),
            end: times.max().unwrap_or_default(),
            auth: auth.map(|message| message.time),
            is_v1: auth.is_some_and(|message| message.contents == Contents::Ikev1),
            next: next
                .and_then(|next| next.messages.first())
                .map(|message| message.time),
        }
    }
}

/// Attempts that are looked through for the next of a client; in a crowd they are many, and far.
const SEARCHED: usize = 512;

/// Between whom an attempt goes, in one capture: behind a NAT the client has another address.
struct Ends {
    hosts: BTreeSet<(IpAddr, IpAddr)>,
    sockets: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Ends {
    fn of(attempt: &Attempt, capture: usize) -> Self {
        let messages = attempt
            .messages
            .iter()
            .filter(|message| message.capture == capture);
        let sockets: BTreeSet<_> = messages
            .map(|message| (client_end(message), gateway_end(message)))
            .collect();
        let hosts = sockets
            .iter()
            .map(|(client, gateway)| (client.ip(), gateway.ip()))
            .collect();
        Self { hosts, sockets }
    }

    /// Between whom its ESP can go, from the client: in UDP between its sockets, without between its hosts.
    fn pairs(&self) -> impl Iterator<Item = Between> {
        let hosts = self.hosts.iter();
        let sockets = self.sockets.iter().map(|(client, gateway)| {
            let ports = (client.port(), gateway.port());
            (client.ip(), gateway.ip(), Some(ports))
        });
        hosts
            .map(|(client, gateway)| (*client, *gateway, None))
            .chain(sockets)
    }

    /// Which way something goes between them.
    fn direction(
        &self,
        source: IpAddr,
        destination: IpAddr,
        ports: Option<(u16, u16)>,
    ) -> Option<Direction> {
        let fits = |client: IpAddr, gateway: IpAddr, ports: Option<(u16, u16)>| match ports {
            Some((from, to)) => self
                .sockets
                .contains(&(SocketAddr::new(client, from), SocketAddr::new(gateway, to))),
            None => self.hosts.contains(&(client, gateway)),
        };
        if fits(source, destination, ports) {
            Some(Direction::FromClient)
        } else if fits(destination, source, ports.map(|(from, to)| (to, from))) {
            Some(Direction::FromGateway)
        } else {
            None
        }
    }
}

/// ESP by whom it goes between.
type Flows = BTreeMap<Between, Vec<Seen>>;

/// Attempts by the hosts they are between.
struct Hosts(BTreeMap<(IpAddr, IpAddr), Vec<usize>>);

impl Hosts {
    fn of(ends: &[Ends]) -> Self {
        let mut hosts = BTreeMap::<_, Vec<usize>>::new();
        for (index, ends) in ends.iter().enumerate() {
            for pair in &ends.hosts {
                hosts.entry(*pair).or_default().push(index);
            }
        }
        Self(hosts)
    }

    /// The last attempt that had begun by then and has these `ports`, if they are known, and which way it goes in that.
    fn find(&self, datagram: &About, spans: &[Span], ends: &[Ends]) -> Option<(usize, Direction)> {
        let About {
            source,
            destination,
            ports,
            time,
        } = *datagram;
        [(source, destination), (destination, source)]
            .iter()
            .find_map(|pair| {
                let candidates = self.0.get(pair)?.iter().rev();
                let mut begun = candidates.filter(|index| {
                    spans
                        .get(**index)
                        .is_some_and(|span| span.start <= time && time.since(span.end) <= AFTERMATH)
                });
                begun.find_map(|index| {
                    Some((
                        *index,
                        ends.get(*index)?.direction(source, destination, ports)?,
                    ))
                })
            })
    }
}

/// A datagram that is to be found the attempt of.
struct About {
    source: IpAddr,
    destination: IpAddr,
    /// From, to; unknown of a fragment.
    ports: Option<(u16, u16)>,
    time: Moment,
}

fn traffic(traffic: &Traffic, flows: &Flows, ends: &Ends, span: &Span, capture: usize) -> EspSeen {
    let mut seen = EspSeen::default();
    let Some(auth) = span.auth else {
        return seen;
    };
    let is_in_time = |time: Moment| time >= auth && span.next.is_none_or(|next| time < next);
    let mut first = None;
    let pairs = ends.pairs();
    for (client, gateway, ports) in pairs.filter(|(_, _, ports)| !span.is_v1 || ports.is_none()) {
        let back = ports.map(|(from, to)| (to, from));
        for (between, count) in [
            ((client, gateway, ports), &mut seen.from_client),
            ((gateway, client, back), &mut seen.from_gateway),
        ] {
            for all in lists(flows, between, span.is_v1) {
                let begin = all.partition_point(|flow| flow.first < auth);
                let later = all.get(begin..).unwrap_or_default();
                let theirs = later.iter().take_while(|flow| is_in_time(flow.first));
                for flow in theirs.take(ESP_FLOWS_PER_ATTEMPT) {
                    *count = count.saturating_add(flow.count);
                    let this = (flow.first, flow.first_frame);
                    first = Some(first.map_or(this, |first: (Moment, u64)| first.min(this)));
                }
            }
        }
    }
    seen.first = first.map(|(_, frame)| (capture, frame));
    seen.began = first.map(|(time, _)| time);
    for socket in &ends.sockets {
        if let Some(counted) = traffic.keepalives.get(socket)
            && is_in_time(counted.last)
        {
            seen.keepalives = seen.keepalives.saturating_add(counted.count);
        }
    }
    seen
}

/// Flows between two sockets, or two hosts; of IKEv1 at whatever ports.
fn lists(flows: &Flows, between: Between, is_v1: bool) -> impl Iterator<Item = &Vec<Seen>> {
    let (source, destination, ports) = between;
    let last = if is_v1 {
        Some((u16::MAX, u16::MAX))
    } else {
        ports
    };
    let range = flows.range(between..=(source, destination, last));
    range.map(|(_, list)| list)
}

fn add_traffic(all: &mut EspSeen, more: EspSeen) {
    all.from_client = all.from_client.saturating_add(more.from_client);
    all.from_gateway = all.from_gateway.saturating_add(more.from_gateway);
    all.keepalives = all.keepalives.saturating_add(more.keepalives);
    all.first = all.first.or(more.first);
    all.began = all.began.into_iter().chain(more.began).min();
}

fn loose(datagram: &Datagram, capture: usize, direction: Direction) -> LooseFragments {
    LooseFragments {
        capture,
        direction,
        time: datagram.time,
        pieces: datagram.pieces.clone(),
    }
}

fn seen(icmp: &Icmp, capture: usize, direction: Direction) -> IcmpSeen {
    let (source_port, destination_port) = icmp.ports.unwrap_or_default();
    IcmpSeen {
        capture,
        frame: icmp.frame,
        time: icmp.time,
        error: icmp.error,
        direction,
        source_port,
        destination_port,
    }
}
