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
mod mutate;
mod table;

use ikexdp_common::classify::{Gateway, classify, locate};
use ikexdp_common::maps::Config;
use ikexdp_common::verdict::{Action, Verdict};

use mutate::Mutations;
use table::{CUSTOMER, OURS_V4, OURS_V6, Row, SERVICE, init, marked, table, v4, v6};

/// Longer than any frame of the table.
const FRAME_MAX: u16 = 3840;

/// Every configuration: the table holds under each of them.
const CONFIGS: [Config; 2] = [
    Config {
        frame_max: FRAME_MAX,
        drop_ikev1: false,
    },
    Config {
        frame_max: FRAME_MAX,
        drop_ikev1: true,
    },
];

/// The gateway of the table.
struct Here(Config);

impl Gateway for Here {
    fn owns_v4(&self, address: u32) -> bool {
        address == OURS_V4.to_bits()
    }

    fn owns_v6(&self, address: u128) -> bool {
        address == OURS_V6.to_bits()
    }

    fn drops_ikev1(&self) -> bool {
        self.0.drop_ikev1
    }
}

#[test]
fn every_row_has_its_verdict() {
    for config in CONFIGS {
        for Row {
            name,
            packet,
            verdict,
        } in table(config)
        {
            let frame = packet.build();
            assert_eq!(classify(frame.as_slice(), &Here(config)), verdict, "{name}");
        }
    }
}

#[test]
fn every_verdict_has_a_row() {
    let rows: Vec<Row> = CONFIGS.into_iter().flat_map(table).collect();
    for verdict in Verdict::ALL {
        // No frame earns those two: they are for want of a socket.
        let earned = !matches!(verdict, Verdict::PassTooLong | Verdict::PassNoSocket);
        assert_eq!(
            rows.iter().any(|row| row.verdict == *verdict),
            earned,
            "{verdict:?}"
        );
    }
}

#[test]
fn a_cut_frame_is_redirected_only_if_whole() {
    let here = Here(Config::default());
    for Row {
        name,
        packet,
        verdict,
    } in table(here.0)
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
    for frame in Mutations::of(table(CONFIGS[0]), 0).take(100_000) {
        for length in [frame.len(), frame.len() / 2, 13] {
            let frame = &frame[..length];
            if let Ok(located) = locate(frame, &Here(CONFIGS[0])) {
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
        let located = locate(packet.build().as_slice(), &Here(Config::default())).unwrap();
        assert_eq!((located.l3, located.l4, located.ike), (l3, l4, ike));
        assert_eq!(located.length, init().len());
    }
}
