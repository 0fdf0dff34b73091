//! Who has made a gateway, as far as it says so itself.

use std::fmt::Write as _;

use ikexdp_diagnose::contents::STRONGSWAN;
use ikexdp_proto::windows::VENDOR_ID;

/// Octets of a vendor ID that nobody knows, as they are shown: enough to look for.
const SHOWN_MAX: usize = 32;

/// What vendor IDs begin with, and who sends them.
const KNOWN: [(&[u8], &str); 15] = [
    (&VENDOR_ID, "Windows (RRAS)"),
    (&STRONGSWAN, "strongSwan"),
    (b"OE-Libreswan", "Libreswan"),
    (b"OpenIKED", "OpenIKED"),
    (b"CISCO", "Cisco"),
    (b"FLEXVPN-SUPPORTED", "Cisco"),
    (
        b"\x1f\x07\xf7\x0e\xaa\x65\x14\xd3\xb0\xfa\x96\x54\x2a\x50",
        "Cisco",
    ),
    (
        b"\x69\x93\x69\x22\x87\x41\xc6\xd4\xca\x09\x4c\x93\xe2\x42\xc9\xde\x19\xe7\xb7\xc6",
        "Juniper",
    ),
    (
        b"\xf4\xed\x19\xe0\xc1\x14\xeb\x51\x6f\xaa\xac\x0e\xe3\x7d\xaf\x28\x07\xb4\x38\x1f",
        "Check Point",
    ),
    (
        b"\x82\x99\x03\x17\x57\xa3\x60\x82\xc6\xa6\x21\xde",
        "Fortinet",
    ),
    (b"\x40\x4b\xf4\x39\x52\x2c\xa3\xf6", "SonicWall"),
    (
        b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20",
        "Windows: negotiation discovery",
    ),
    (
        b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19",
        "initial contact",
    ),
    (
        b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00",
        "dead peer detection",
    ),
    (
        b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3",
        "fragmentation of IKEv1",
    ),
];

/// A vendor ID in words: who sends it, or else what it says, or its first octets.
#[must_use]
pub fn name(id: &[u8]) -> String {
    if let Some((_, name)) = KNOWN.iter().find(|(known, _)| id.starts_with(known)) {
        return (*name).to_owned();
    }
    let shown = id.get(..SHOWN_MAX).unwrap_or(id);
    let is_text = |octet: &u8| octet.is_ascii_graphic() || *octet == b' ';
    if !shown.is_empty() && shown.iter().all(is_text) {
        return format!("\"{}\"", String::from_utf8_lossy(shown));
    }
    let mut text = String::new();
    for octet in shown {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_is_named_and_others_are_shown() {
        for (id, expected) in [
            (
                &[&VENDOR_ID[..], &[0, 0, 0, 9]].concat()[..],
                "Windows (RRAS)",
            ),
            (b"OE-Libreswan-4.10", "Libreswan"),
            (b"CISCO-DELETE-REASON", "Cisco"),
            (b"Gate 1", "\"Gate 1\""),
            (b"\x1b[2J", "1b5b324a"),
            (b"", ""),
        ] {
            assert_eq!(name(id), expected);
        }
        assert_eq!(name(&[0; 4000]).len(), 2 * SHOWN_MAX);
    }
}
