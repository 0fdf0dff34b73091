//! The same attempt in other files, on other links, over IPv6.

use super::script::Script;
use crate::model::{Outcome, Report, Vantage};
use crate::verdict::Direction::{FromClient, FromGateway};
use crate::{judge, read, report};

/// Frames of an attempt that succeeds, each with its time in microseconds.
fn frames() -> Vec<(u64, Vec<u8>)> {
    let mut script = Script::new(Vantage::Client);
    script
        .ask()
        .accept()
        .in_pieces(FromClient, 1, 3300, &[])
        .wait(10)
        .sealed(FromGateway, 1, 1700);
    let file = script.pcap();
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<16>() {
        let word = |place: usize| u32::from_le_bytes(head[place..place + 4].try_into().unwrap());
        let (frame, next) = behind.split_at(usize::try_from(word(8)).unwrap());
        frames.push((
            u64::from(word(0)) * 1_000_000 + u64::from(word(4)),
            frame.to_vec(),
        ));
        rest = next;
    }
    frames
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
pub(super) struct Order(bool);

impl Order {
    pub(super) const BOTH: [Self; 2] = [Self(false), Self(true)];

    fn u16(self, value: u16) -> [u8; 2] {
        if self.0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        if self.0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    /// A block of pcapng.
    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut padded = body.to_vec();
        padded.resize(body.len().next_multiple_of(4), 0);
        let length = self.u32(u32::try_from(padded.len() + 12).unwrap());
        [&self.u32(kind)[..], &length, &padded, &length].concat()
    }

    pub(super) fn section(self, comment: &str) -> Vec<u8> {
        let mut body = [
            &self.u32(0x1a2b_3c4d)[..],
            &self.u16(1),
            &self.u16(0),
            &[0xff; 8],
        ]
        .concat();
        let mut text = comment.as_bytes().to_vec();
        text.resize(text.len().next_multiple_of(4), 0);
        body.extend(
            [
                &self.u16(1)[..],
                &self.u16(u16::try_from(comment.len()).unwrap()),
                &text,
                &[0; 4],
            ]
            .concat(),
        );
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface whose clock has nanoseconds.
    fn interface(self, link: u16) -> Vec<u8> {
        let options = [&self.u16(9)[..], &self.u16(1), &[9, 0, 0, 0], &[0; 4]].concat();
        self.block(
            1,
            &[&self.u16(link)[..], &[0; 2], &[0; 4], &options].concat(),
        )
    }

    fn packet(self, interface: u32, micros: u64, frame: &[u8]) -> Vec<u8> {
        let time = micros * 1000;
        let (high, low) = (
            u32::try_from(time >> 32).unwrap(),
            u32::try_from(time & 0xffff_ffff).unwrap(),
        );
        let length = self.u32(u32::try_from(frame.len()).unwrap());
        let head = [
            self.u32(interface),
            self.u32(high),
            self.u32(low),
            length,
            length,
        ]
        .concat();
        self.block(6, &[&head, frame].concat())
    }
}

fn judged(file: &[u8]) -> Report {
    judge(vec![read("file", file).unwrap()], None)
}

#[track_caller]
fn assert_established(report: &Report) {
    let text = report::text::of(report);
    assert_eq!(report.attempts.len(), 1, "{text}");
    assert_eq!(report.attempts[0].outcome, Outcome::Established, "{text}");
    assert_eq!(report.captures[0].ip_fragments, 5, "{text}");
    assert_eq!(report.captures[0].truncated, None);
}

/// Two sections in two byte orders, and interfaces of two kinds.
pub(super) fn pcapng() -> Vec<u8> {
    let frames = frames();
    let mut file = Vec::new();
    for (order, part) in [(Order(false), &frames[..2]), (Order(true), &frames[2..])] {
        file.extend(order.section("made by hand\u{1b}[2J"));
        file.extend(order.interface(101));
        file.extend(order.interface(1));
        // Statistics, which nobody reads.
        file.extend(order.block(5, &[0; 12]));
        for (index, (time, frame)) in part.iter().enumerate() {
            let is_ip = index % 2 == 0 && frame.len() > 14;
            let (interface, octets) = if is_ip {
                (0, &frame[14..])
            } else {
                (1, &frame[..])
            };
            file.extend(order.packet(interface, *time, octets));
        }
    }
    file
}

#[test]
fn pcapng_has_sections_and_interfaces() {
    let report = judged(&pcapng());
    assert_established(&report);
    let first = report.captures[0].first.unwrap();
    assert_eq!(first.0, frames()[0].0 * 1000);
    let text = report::text::of(&report);
    assert!(text.contains("comment: made by hand\\u{1b}[2J"), "{text}");
}

#[test]
fn a_reserved_or_unknown_link_is_named() {
    let order = Order(false);
    let file = [
        order.section(""),
        order.interface(105),
        order.packet(0, 1, &[0; 40]),
    ]
    .concat();
    let report = judged(&file);
    assert!(
        report.captures[0].notes[0].contains("IEEE 802.11"),
        "{:?}",
        report.captures[0].notes
    );
    let file = [order.section(""), order.packet(7, 1, &[0; 40])].concat();
    assert!(judged(&file).captures[0].notes[0].contains("does not describe"));
}

/// pcap with nanoseconds, big-endian, of Linux' cooked frames.
#[test]
fn cooked_frames_tell_who_sent_them() {
    let mut file = [
        &[0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4][..],
        &[0; 8],
        &[0, 4, 0, 0, 0, 0, 0, 113],
    ]
    .concat();
    for (time, frame) in frames() {
        let is_ours = frame.get(26..30) == Some(&[198, 51, 100, 1]);
        let cooked = [
            &[0, if is_ours { 4 } else { 0 }, 0, 1, 0, 6][..],
            &[0; 8],
            &frame[12..],
        ]
        .concat();
        let length = u32::try_from(cooked.len()).unwrap().to_be_bytes();
        file.extend(u32::try_from(time / 1_000_000).unwrap().to_be_bytes());
        file.extend(
            u32::try_from(time % 1_000_000 * 1000)
                .unwrap()
                .to_be_bytes(),
        );
        file.extend([length, length].concat());
        file.extend(cooked);
    }
    let report = judged(&file);
    assert_established(&report);
    // Whatever hop limits say.
    assert_eq!(report.captures[0].vantage, Vantage::Gateway);
}

#[test]
fn ipv6_has_fragments_as_well() {
    let mut file = [
        &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..],
        &[0; 8],
        &[0, 0, 4, 0, 101, 0, 0, 0],
    ]
    .concat();
    for (time, frame) in frames().iter().filter(|(_, frame)| frame.len() > 34) {
        let (header, data) = frame[14..].split_at(20);
        let flags = u16::from_be_bytes([header[6], header[7]]);
        let (more, offset) = (flags & 0x2000 != 0, flags & 0x1fff);
        let mut packet = vec![0x60, 0, 0, 0];
        let is_fragment = more || offset > 0;
        let length = data.len() + if is_fragment { 8 } else { 0 };
        packet.extend(u16::try_from(length).unwrap().to_be_bytes());
        packet.extend([if is_fragment { 44 } else { 17 }, 64]);
        packet.extend(
            [
                [0x20; 12].as_slice(),
                &header[12..16],
                &[0x20; 12],
                &header[16..20],
            ]
            .concat(),
        );
        if is_fragment {
            packet.extend([17, 0]);
            packet.extend((offset << 3 | u16::from(more)).to_be_bytes());
            packet.extend([0, 0, header[4], header[5]]);
        }
        packet.extend(data);
        let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
        file.extend(u32::try_from(time / 1_000_000).unwrap().to_le_bytes());
        file.extend(u32::try_from(time % 1_000_000).unwrap().to_le_bytes());
        file.extend([length, length].concat());
        file.extend(packet);
    }
    assert_established(&judged(&file));
}
