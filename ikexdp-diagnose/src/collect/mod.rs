//! Takes what concerns IKE out of the frames of a capture, and forgets the rest.

mod clock;
mod message;
mod traffic;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use ikexdp_proto::types::{IKE_PORT, NAT_T_PORT, Spi};
use pcap_parser::Linktype;

use crate::file::{self, Frame};
use crate::fragments::{Around, Datagram, Fragments, Key};
use crate::limits::{
    ATTEMPTS_MAX, ICMP_MAX, LOOSE_MAX, MESSAGES_MAX, MESSAGES_PER_ATTEMPT, OCTETS_MAX,
    OCTETS_PER_ATTEMPT, UNKNOWN_LINKS_MAX,
};
use crate::link::{self, Carried};
use crate::message::Message;
use crate::model::{Capture, IcmpError, Vantage};
use crate::packet::{Body, Packet, UDP, Udp};
use crate::time::Moment;
use crate::verdict::Direction;

use clock::Clock;
pub(crate) use traffic::{Between, Seen, Traffic};

/// One capture that was read: what it is, and what of it concerns IKE.
#[derive(Debug, Default)]
pub struct Reading {
    pub(crate) capture: Capture,
    /// Messages by the initiator's SPI, in the order of the file.
    pub(crate) messages: BTreeMap<Spi, Kept>,
    /// IP fragments of which no first one was seen, so that nobody knows what they were.
    pub(crate) loose: Vec<Datagram>,
    pub(crate) traffic: Traffic,
    pub(crate) icmp: Vec<Icmp>,
}

/// What is kept of one IKE SA.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) messages: Vec<Message>,
    pub(crate) left_out: u64,
    octets: usize,
}

/// An ICMP error, before it is known whom it concerns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Icmp {
    pub(crate) frame: u64,
    pub(crate) time: Moment,
    pub(crate) error: IcmpError,
    /// Who had sent the datagram that is quoted, and where to.
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Its ports; none for a fragment that is not the first.
    pub(crate) ports: Option<(u16, u16)>,
}

/// Reads a capture that is called `name`.
///
/// # Errors
/// [`FileError`](crate::FileError) if it is no capture or cannot be read.
pub fn read(name: &str, file: impl Read) -> Result<Reading, file::FileError> {
    let mut collector = Collector::default();
    let ending = file::read(file, &mut |frame| collector.take(&frame))?;
    let mut reading = collector.finish();
    reading.capture.file = name.to_owned();
    reading.capture.format = ending.format;
    reading.capture.truncated = ending.truncated;
    reading.capture.comments = ending.comments;
    Ok(reading)
}

#[derive(Debug, Default)]
struct Collector {
    reading: Reading,
    fragments: Fragments,
    unknown_links: BTreeMap<i32, u64>,
    octets: usize,
    messages: usize,
    /// SPIs that there was no room for.
    left_out: u64,
    votes: Votes,
    clock: Clock,
    /// Octets of the frame that is being read, and of the longest of which an IKE message was cut.
    frame_len: usize,
    cut_to: Option<usize>,
}

/// What speaks for either end as the place of the capture.
#[derive(Debug, Default)]
struct Votes {
    client: End,
    gateway: End,
}

#[derive(Debug, Default)]
struct End {
    sent_here: u64,
    fresh: u64,
    travelled: u64,
}

/// A UDP datagram on its way to be read.
#[derive(Clone, Copy, Debug)]
struct Carrier<'a> {
    source: SocketAddr,
    destination: SocketAddr,
    udp: Udp<'a>,
    around: Around,
    datagram_len: usize,
    dont_fragment: bool,
    ip_id: Option<u32>,
    /// The datagram if it came in IP fragments, and whether it is whole.
    fragments: Option<(&'a Datagram, bool)>,
}

impl Collector {
    fn take(&mut self, frame: &Frame<'_>) {
        let capture = &mut self.reading.capture;
        capture.frames = capture.frames.saturating_add(1);
        capture.first = Some(
            capture
                .first
                .map_or(frame.time, |first| first.min(frame.time)),
        );
        capture.last = Some(self.clock.latest(capture.last, frame.time));
        self.frame_len = frame.octets.len();
        let carried = link::strip(frame.link, frame.octets);
        if !matches!(carried, Carried::UnknownLink) {
            capture.legible = capture.legible.saturating_add(1);
        }
        match carried {
            Carried::Ip(octets, outgoing) => {
                if let Some(packet) = Packet::read(octets) {
                    let around = Around {
                        frame: frame.number,
                        time: frame.time,
                        hop_limit: packet.hop_limit,
                        outgoing: frame.outgoing.or(outgoing),
                    };
                    self.packet(&packet, around);
                }
            }
            Carried::Other => {}
            Carried::UnknownLink => self.unknown_link(frame.link),
        }
    }

    fn unknown_link(&mut self, link: Linktype) {
        if self.unknown_links.len() < UNKNOWN_LINKS_MAX || self.unknown_links.contains_key(&link.0)
        {
            let count = self.unknown_links.entry(link.0).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, around: Around) {
        let (source, destination) = (packet.source, packet.destination);
        match packet.body {
            Body::Udp(udp) => {
                let (source, destination) = udp.ends(source, destination);
                self.udp(&Carrier {
                    source,
                    destination,
                    udp,
                    around,
                    datagram_len: packet.length,
                    dont_fragment: packet.dont_fragment,
                    ip_id: packet.id,
                    fragments: None,
                });
            }
            Body::Fragment(fragment) if fragment.protocol == UDP => {
                let key = Key {
                    source,
                    destination,
                    protocol: fragment.protocol,
                    id: fragment.id,
                };
                let taken = self.fragments.take(key, &fragment, around);
                if let Some(whole) = taken.whole {
                    self.reassembled(&whole, true);
                }
                for datagram in taken.given_up {
                    self.given_up(datagram);
                }
            }
            Body::Esp(spi) => self.esp(source, destination, None, spi, around),
            Body::Icmp(error, quoted) => self.icmp(error, quoted, around),
            Body::Fragment(_) | Body::Other => {}
        }
    }

    /// A datagram that came in IP fragments, of which the first is there.
    fn reassembled(&mut self, datagram: &Datagram, whole: bool) {
        let data = if whole && !datagram.is_cut {
            &datagram.data
        } else {
            datagram.beginning()
        };
        let Some(udp) = Udp::read(data, usize::MAX) else {
            return;
        };
        let (source, destination) = udp.ends(datagram.key.source, datagram.key.destination);
        if !is_ike(source) && !is_ike(destination) {
            return;
        }
        self.count_fragments(datagram);
        let first = datagram.pieces.first();
        let around = Around {
            frame: first.map_or(0, |piece| piece.frame),
            time: datagram.time,
            hop_limit: datagram.hop_limit,
            outgoing: datagram.outgoing,
        };
        self.udp(&Carrier {
            source,
            destination,
            udp,
            around,
            datagram_len: datagram
                .header_len
                .saturating_add(udp.length)
                .saturating_add(8),
            dont_fragment: false,
            ip_id: Some(datagram.key.id),
            fragments: Some((datagram, whole)),
        });
    }

    fn given_up(&mut self, datagram: Datagram) {
        if datagram.pieces.iter().any(|piece| piece.offset == 0) {
            self.reassembled(&datagram, false);
        } else if self.reading.loose.len() < LOOSE_MAX {
            self.count_fragments(&datagram);
            self.reading.loose.push(datagram);
        }
    }

    fn count_fragments(&mut self, datagram: &Datagram) {
        let count = u64::try_from(datagram.pieces.len()).unwrap_or(u64::MAX);
        let all = &mut self.reading.capture.ip_fragments;
        *all = all.saturating_add(count);
    }

    fn udp(&mut self, carrier: &Carrier<'_>) {
        let (source, destination) = (carrier.source, carrier.destination);
        let payload = carrier.udp.payload;
        if source.port() == NAT_T_PORT || destination.port() == NAT_T_PORT {
            let count = &mut self.reading.capture.nat_port_datagrams;
            *count = count.saturating_add(1);
            match payload {
                // RFC 3948 §2.3 and §2.2: a keepalive, and IKE behind four octets of zeros.
                [0xff] => self
                    .reading
                    .traffic
                    .keepalive(source, destination, carrier.around),
                [0, 0, 0, 0, ike @ ..] => {
                    let length = carrier.udp.length.saturating_sub(4);
                    self.ike(carrier, ike, length);
                }
                _ => {
                    if let Some(spi) = payload.first_chunk() {
                        let spi = u32::from_be_bytes(*spi);
                        let ports = Some((source.port(), destination.port()));
                        self.esp(source.ip(), destination.ip(), ports, spi, carrier.around);
                    }
                }
            }
        } else if is_ike(source) || is_ike(destination) {
            self.ike(carrier, payload, carrier.udp.length);
        }
    }

    fn esp(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        ports: Option<(u16, u16)>,
        spi: u32,
        around: Around,
    ) {
        let Reading {
            capture, traffic, ..
        } = &mut self.reading;
        capture.esp_packets = capture.esp_packets.saturating_add(1);
        traffic.esp(source, destination, ports, spi, around);
    }

    /// `octets` of a message of `length` octets.
    fn ike(&mut self, carrier: &Carrier<'_>, octets: &[u8], length: usize) {
        let Some(mut message) = message::read(carrier, octets, length) else {
            return;
        };
        if carrier.fragments.is_none() && octets.len() < length {
            self.cut_to = self.cut_to.max(Some(self.frame_len));
        }
        let capture = &mut self.reading.capture;
        capture.ike_messages = capture.ike_messages.saturating_add(1);
        self.votes.cast(message.direction, &carrier.around);
        let spi = message.header.spis.initiator;
        let known = &mut self.reading.messages;
        if !known.contains_key(&spi) && known.len() >= ATTEMPTS_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let kept = known.entry(spi).or_default();
        if kept.messages.len() >= MESSAGES_PER_ATTEMPT || self.messages >= MESSAGES_MAX {
            kept.left_out = kept.left_out.saturating_add(1);
            return;
        }
        self.messages = self.messages.saturating_add(1);
        let size = message.octets.as_ref().map_or(0, Vec::len);
        let (of_attempt, of_all) = (
            kept.octets.saturating_add(size),
            self.octets.saturating_add(size),
        );
        if of_attempt > OCTETS_PER_ATTEMPT || of_all > OCTETS_MAX {
            message.octets = None;
        } else {
            (kept.octets, self.octets) = (of_attempt, of_all);
        }
        kept.messages.push(message);
    }

    fn icmp(&mut self, error: IcmpError, quoted: &[u8], around: Around) {
        let Some(packet) = Packet::read(quoted) else {
            return;
        };
        let ports = match packet.body {
            Body::Udp(udp) => Some((udp.source_port, udp.destination_port)),
            // The first fragment has the ports.
            Body::Fragment(fragment) if fragment.protocol == UDP => {
                let udp = (fragment.offset == 0).then(|| Udp::read(fragment.data, usize::MAX));
                udp.flatten()
                    .map(|udp| (udp.source_port, udp.destination_port))
            }
            _ => return,
        };
        let is_ours = ports.is_none_or(|(from, to)| {
            [from, to]
                .iter()
                .any(|port| matches!(*port, IKE_PORT | NAT_T_PORT))
        });
        if is_ours && self.reading.icmp.len() < ICMP_MAX {
            self.reading.icmp.push(Icmp {
                frame: around.frame,
                time: around.time,
                error,
                source: packet.source,
                destination: packet.destination,
                ports,
            });
        }
    }

    fn finish(mut self) -> Reading {
        for datagram in std::mem::take(&mut self.fragments).finish() {
            self.given_up(datagram);
        }
        let capture = &mut self.reading.capture;
        capture.vantage = self.votes.vantage();
        for (link, count) in &self.unknown_links {
            let name = link::name(Linktype(*link));
            capture.notes.push(format!(
                "{count} frames are of link type {link}, {name}, which is not read; hint: capture on an \
                 Ethernet or IP interface, or `editcap` to another type"
            ));
        }
        if let Some(octets) = self.cut_to {
            capture.notes.push(format!(
                "frames are cut to {octets} octets, so that messages cannot be read; hint: capture whole frames, with \
                 `tcpdump -s 0` or `pktmon start --capture --pkt-size 0`"
            ));
        }
        if self.left_out > 0 {
            let count = self.left_out;
            capture.notes.push(format!(
                "{count} messages were left out, as there are more than {ATTEMPTS_MAX} attempts; hint: take a \
                 shorter capture, or one of fewer clients"
            ));
        }
        let without_messages = self.reading.messages.values().any(|kept| kept.left_out > 0);
        if without_messages {
            capture.notes.push(
                "of some attempts not all messages were kept, as there are very many".to_owned(),
            );
        }
        if self.reading.traffic.left_out {
            capture.notes.push(
                "there is more ESP than is kept apart: of some attempts it is not known whether traffic followed".to_owned(),
            );
        }
        self.reading
    }
}

fn is_ike(end: SocketAddr) -> bool {
    matches!(end.port(), IKE_PORT | NAT_T_PORT)
}

impl Votes {
    fn cast(&mut self, direction: Direction, around: &Around) {
        let end = match direction {
            Direction::FromClient => &mut self.client,
            Direction::FromGateway => &mut self.gateway,
        };
        // What hosts begin with; no path is so long that one becomes the other by it.
        let place = if matches!(around.hop_limit, 64 | 128 | 255) {
            &mut end.fresh
        } else {
            &mut end.travelled
        };
        *place = place.saturating_add(1);
        if around.outgoing == Some(true) {
            end.sent_here = end.sent_here.saturating_add(1);
        }
    }

    const fn vantage(&self) -> Vantage {
        match (self.client.sent_here > 0, self.gateway.sent_here > 0) {
            (true, false) => return Vantage::Client,
            (false, true) => return Vantage::Gateway,
            _ => {}
        }
        match (self.client.is_fresh(), self.gateway.is_fresh()) {
            // Where nobody answers, what has come far may be on its way still.
            (Some(true), Some(false) | None) => Vantage::Client,
            (Some(false) | None, Some(true)) => Vantage::Gateway,
            _ => Vantage::Unknown,
        }
    }
}

impl End {
    const fn is_fresh(&self) -> Option<bool> {
        if self.fresh == 0 && self.travelled == 0 {
            None
        } else {
            Some(self.fresh > self.travelled)
        }
    }
}
