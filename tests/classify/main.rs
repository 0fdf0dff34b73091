//! The packet table: frames and their verdicts, on slices and in the kernel.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic, and its input is its own"
)]

mod kernel;
mod maps;
mod reply;

use harness::frames::{
    CUSTOMER, Case, Here, Mutations, Row, SERVICE, cases, configs, drawn_from, init, marked, table,
    v4, v6,
};
use ikexdp_common::classify::locate;
use ikexdp_common::maps::Config;
use ikexdp_common::verdict::{Action, Verdict};

#[test]
fn every_row_has_its_verdict() {
    for config in configs() {
        for Row {
            name,
            packet,
            verdict,
        } in table(config)
        {
            let frame = packet.build();
            assert_eq!(Here::from(config).judge(&frame), (verdict, frame), "{name}");
        }
    }
}

#[test]
fn every_sequence_ends_as_it_should() {
    for Case { name, told, frames } in cases() {
        let here = Here::new(told);
        for (place, (packet, verdict)) in frames.into_iter().enumerate() {
            let (became, _) = here.judge(&packet.build());
            assert_eq!(became, verdict, "{name}, frame {place}");
        }
    }
}

#[test]
fn every_verdict_has_a_row() {
    let rows = configs().into_iter().flat_map(table);
    let rows = rows.map(|row| row.verdict);
    let frames = cases().into_iter().flat_map(|case| case.frames);
    let frames = frames.map(|(_, verdict)| verdict);
    let all: Vec<Verdict> = rows.chain(frames).collect();
    for verdict in Verdict::ALL {
        // No frame earns those: two are for want of a socket, one is while a capture looks.
        let earned = !matches!(
            verdict,
            Verdict::PassTooLong | Verdict::PassNoSocket | Verdict::PassObserved
        );
        assert_eq!(all.contains(verdict), earned, "{verdict:?}");
    }
}

#[test]
fn a_cut_frame_is_redirected_only_if_whole() {
    let config = Config::default();
    let here = Here::from(config);
    for Row {
        name,
        packet,
        verdict,
    } in table(config)
    {
        let frame = packet.build();
        let end = match locate(frame.as_slice(), &here) {
            Ok(located) => located.ike + located.length,
            Err(_) => usize::MAX,
        };
        assert_eq!(
            verdict.action() == Action::Redirect,
            end != usize::MAX,
            "{name}"
        );
        for length in 0..frame.len() {
            let redirected = locate(&frame[..length], &here).is_ok();
            assert!(!redirected || length >= end, "{name}: {length} octets");
        }
    }
}

#[test]
fn no_damage_makes_it_panic_or_reach_beyond_the_frame() {
    let here = Here::from(configs()[0]);
    for frame in Mutations::of(drawn_from(), 0).take(100_000) {
        for length in [frame.len(), frame.len() / 2, 13] {
            let frame = &frame[..length];
            if let Ok(located) = locate(frame, &here) {
                assert!(located.ike + located.length <= frame.len(), "{frame:02x?}");
            }
        }
    }
}

#[test]
fn a_message_is_where_it_was_put() {
    for (packet, l3, l4, ike) in [
        (v4(500).carrying(init()), 14, 34, 42),
        (v6(500).carrying(init()).padded(5), 14, 54, 62),
        (v4(500).carrying(init()).tag(CUSTOMER), 18, 38, 46),
        (
            v4(4500).carrying(marked()).tag(SERVICE).tag(CUSTOMER),
            22,
            42,
            54,
        ),
    ] {
        let located = locate(packet.build().as_slice(), &Here::from(Config::default())).unwrap();
        assert_eq!((located.l3, located.l4, located.ike), (l3, l4, ike));
        assert_eq!(located.length, init().len());
    }
}
