//! What a file is by its first octets.

/// Octets that are looked at.
pub(super) const PEEKED: usize = 512;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pcap,
    Pcapng,
    /// Something that is known and no capture, or one that another program has to convert.
    Foreign(Foreign),
}

/// What is given to us in the place of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Nothing at all.
    Empty,
    /// Compressed by the program of this name.
    Compressed(&'static str),
    /// An event trace of Windows, by `netsh trace` or `pktmon`.
    EventTrace,
    /// A capture of another program.
    OtherCapture(&'static str),
    /// Text, as tcpdump prints it.
    Text,
    /// Something else.
    Unknown,
}

impl Kind {
    /// Judges by up to [`PEEKED`] octets from the beginning.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [] => Self::Foreign(Foreign::Empty),
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Self::Pcapng,
            [0xa1, 0xb2, 0xc3, 0xd4, ..]
            | [0xd4, 0xc3, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0x3c, 0x4d, ..]
            | [0x4d, 0x3c, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0xcd, 0x34, ..]
            | [0x34, 0xcd, 0xb2, 0xa1, ..] => Self::Pcap,
            _ => Self::Foreign(foreign(start)),
        }
    }
}

fn foreign(start: &[u8]) -> Foreign {
    match start {
        [0x1f, 0x8b, ..] => Foreign::Compressed("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Foreign::Compressed("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Foreign::Compressed("xz"),
        [b'B', b'Z', b'h', ..] => Foreign::Compressed("bzip2"),
        [b'P', b'K', 3, 4, ..] => Foreign::Compressed("zip"),
        [b'G', b'M', b'B', b'U', ..] => Foreign::OtherCapture("Network Monitor"),
        [b's', b'n', b'o', b'o', b'p', 0, ..] => Foreign::OtherCapture("snoop"),
        _ if is_event_trace(start) => Foreign::EventTrace,
        _ if is_text(start) => Foreign::Text,
        _ => Foreign::Unknown,
    }
}

/// An ETL file begins with the header of a buffer: its size, and twice how much of that is used.
fn is_event_trace(start: &[u8]) -> bool {
    let word = |index: usize| {
        let (words, _) = start.as_chunks::<4>();
        words.get(index).map(|word| u32::from_le_bytes(*word))
    };
    let (Some(size), Some(used)) = (word(0), word(1)) else {
        return false;
    };
    size.is_power_of_two() && (1024..=1 << 20).contains(&size) && (72..=size).contains(&used)
}

fn is_text(start: &[u8]) -> bool {
    let is_legible =
        |octet: &u8| octet.is_ascii_graphic() || octet.is_ascii_whitespace() || *octet >= 0x80;
    start.iter().all(is_legible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_capture_is_named() {
        let trace = [
            &0x1_0000u32.to_le_bytes()[..],
            &0x800u32.to_le_bytes(),
            &[0; 64],
        ]
        .concat();
        for (start, foreign) in [
            (&b""[..], Foreign::Empty),
            (b"\x1f\x8b\x08\0", Foreign::Compressed("gzip")),
            (
                b"12:00:01.2 IP 192.0.2.7.500 > 192.0.2.1.500: isakmp\n",
                Foreign::Text,
            ),
            (&trace, Foreign::EventTrace),
            (b"GMBU\0\x02", Foreign::OtherCapture("Network Monitor")),
            (b"\x7fELF\x02\x01\x01\0", Foreign::Unknown),
        ] {
            assert_eq!(Kind::of(start), Kind::Foreign(foreign));
        }
    }
}
