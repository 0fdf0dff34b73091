//! Captures that are damaged, cut short, long, or no captures.

use std::io::{self, Read};

use proptest::prelude::*;

use super::formats::{Order, pcapng};
use super::script::Script;
use crate::limits::{MESSAGES_MAX, MESSAGES_PER_ATTEMPT};
use crate::model::Vantage;
use crate::verdict::Direction::{FromClient, FromGateway};
use crate::{FileError, judge, read, report};

fn attempt() -> Script {
    let mut script = Script::new(Vantage::Client);
    script
        .ask()
        .accept()
        .in_pieces(FromClient, 1, 3300, &[])
        .wait(10)
        .part(FromGateway, 1, (1, 2), 512);
    script
        .part(FromGateway, 1, (2, 2), 100)
        .informational(FromClient, 2)
        .esp(FromClient)
        .icmp(3, 4);
    script
}

/// Everything that is done with a file.
fn all_of_it(file: &[u8]) {
    if let Ok(reading) = read("file", file) {
        let second = read("file", file).unwrap();
        let alone = judge(vec![reading], None);
        let both = judge(vec![second, read("file", file).unwrap()], None);
        for report in [alone, both] {
            let text = report::text::of(&report);
            assert!(!text.contains('\u{1b}'));
            serde_json::to_string(&report::json::of(&report)).unwrap();
        }
    }
}

#[test]
fn every_cut_is_told_with_what_was_read() {
    let file = attempt().pcap();
    for end in 0..file.len() {
        all_of_it(&file[..end]);
    }
    let reading = read("cut", &file[..file.len() - 1]).unwrap();
    let report = judge(vec![reading], None);
    assert_eq!(
        report.captures[0].truncated.as_deref(),
        Some("it ends in the middle of a frame")
    );
    assert_eq!(report.attempts.len(), 1);
}

/// The parser subtracts from the length of some kinds of blocks before it looks at it.
#[test]
fn a_block_shorter_than_its_own_frame_is_damage() {
    for order in Order::BOTH {
        // All that are defined, with custom ones, and those of programs.
        for kind in (0..0x20).chain([0xbad, 0x4000_0bad, 0x8000_0001, 0x8000_0002, 0x0a0d_0d0a]) {
            for length in 0..12 {
                let mut file = order.section("whole");
                file.extend(
                    [
                        order.u32(kind),
                        order.u32(length),
                        [0; 4],
                        order.u32(length),
                    ]
                    .concat(),
                );
                file.extend([0; 64]);
                let report = judge(vec![read("short", &*file).unwrap()], None);
                assert_eq!(
                    report.captures[0].truncated.as_deref(),
                    Some("a block is damaged"),
                    "kind {kind:#x}, length {length}"
                );
            }
        }
    }
}

#[test]
fn a_snapshot_is_enough_for_what_headers_say() {
    let whole = attempt().judged();
    // 96 octets of each frame.
    let mut file = attempt().pcap();
    let mut cut = file[..24].to_vec();
    let mut rest = file.split_off(24);
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let kept = length.min(96);
        cut.extend(&rest[..8]);
        cut.extend(kept.to_le_bytes());
        cut.extend(&rest[12..16 + usize::try_from(kept).unwrap()]);
        rest.drain(..16 + usize::try_from(length).unwrap());
    }
    let report = judge(vec![read("snapshot", &*cut).unwrap()], None);
    let (whole, short) = (&whole.attempts[0], &report.attempts[0]);
    assert_eq!(whole.messages.len(), short.messages.len());
    for (whole, short) in whole.messages.iter().zip(&short.messages) {
        assert_eq!(
            (whole.datagram_len, whole.whole),
            (short.datagram_len, short.whole)
        );
        assert_eq!(
            (whole.header, whole.fragment),
            (short.header, short.fragment)
        );
    }
}

#[test]
fn what_is_no_capture_is_an_error_with_a_hint() {
    for file in [&b""[..], b"\x1f\x8b\x08", b"frame 1\n", b"\x7fELF\0\0\0\0"] {
        let error = read("file", file).unwrap_err();
        assert!(error.to_string().contains("hint: "), "{error}");
    }
}

#[test]
fn a_file_that_fails_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let start = attempt().pcap();
    let error = read("file", start.chain(Broken)).unwrap_err();
    assert!(matches!(error, FileError::Read(_)), "{error}");
}

/// One capture again and again, as long as nobody stops it.
struct Endless {
    header: Vec<u8>,
    frames: Vec<u8>,
    place: usize,
    left: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let source = if self.header.is_empty() {
            &self.frames[self.place..]
        } else {
            &self.header[..]
        };
        let length = source.len().min(buffer.len()).min(self.left);
        buffer[..length].copy_from_slice(&source[..length]);
        self.left -= length;
        if self.header.is_empty() {
            self.place = (self.place + length) % self.frames.len();
        } else {
            self.header.drain(..length);
        }
        Ok(length)
    }
}

/// 64 MB, of which next to nothing may be kept. 2 GB take a minute and the same memory.
#[test]
fn a_long_capture_is_not_kept() {
    let file = attempt().pcap();
    let (header, frames) = file.split_at(24);
    let endless = Endless {
        header: header.to_vec(),
        frames: frames.to_vec(),
        place: 0,
        left: 64 << 20,
    };
    let reading = read("long", endless).unwrap();
    assert!(reading.capture.ike_messages > 50_000);
    let messages: usize = reading
        .messages
        .values()
        .map(|kept| kept.messages.len())
        .sum();
    assert_eq!(messages, MESSAGES_PER_ATTEMPT);
    let report = judge(vec![reading], None);
    assert_eq!(report.attempts.len(), 1);
    assert!(report.attempts[0].messages_left_out > 40_000);
}

/// A flood of attempts, each of one message.
#[test]
fn a_flood_is_bounded() {
    let mut script = Script::new(Vantage::Client);
    for _ in 0..25_000 {
        script.anew((500, 4500)).ask();
    }
    let reading = script.reading();
    let messages: usize = reading
        .messages
        .values()
        .map(|kept| kept.messages.len())
        .sum();
    assert_eq!(messages, crate::limits::ATTEMPTS_MAX);
    assert!(messages <= MESSAGES_MAX && !reading.capture.notes.is_empty());
    assert_eq!(judge(vec![reading], None).attempts.len(), messages);
}

proptest! {
    #[test]
    fn arbitrary_octets_do_no_harm(octets in prop::collection::vec(any::<u8>(), 0..2048), pcapng: bool) {
        let magic: &[u8] = if pcapng { &[0x0a, 0x0d, 0x0d, 0x0a] } else { &[0xd4, 0xc3, 0xb2, 0xa1] };
        all_of_it(&[magic, &octets].concat());
    }

    #[test]
    fn damaged_captures_do_no_harm(
        damage in prop::collection::vec((24..9000usize, any::<u8>()), 1..24),
        is_pcapng: bool,
    ) {
        let mut file = if is_pcapng { pcapng() } else { attempt().pcap() };
        for (place, value) in damage {
            let length = file.len();
            file[place % length] = value;
        }
        all_of_it(&file);
    }

    #[test]
    fn frames_of_every_link_type_do_no_harm(link in 0..300u32, frame in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut file = Script::new(Vantage::Client).pcap()[..24].to_vec();
        file[20..24].copy_from_slice(&link.to_le_bytes());
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        file.extend([[0; 4], [0; 4], length, length].concat());
        file.extend(frame);
        all_of_it(&file);
    }
}
