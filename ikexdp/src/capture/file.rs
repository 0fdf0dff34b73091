//! A capture as it is written: pcapng.

use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};

use super::filter::Link;
use super::frame::Frame;
use super::limits::{COMMENT_LEN_MAX, FRAME_LEN_MAX};

/// What a frame takes beside its octets: header, flags, end of options, trailer, and padding.
const FRAME_OVERHEAD: u64 = 8 + 20 + 8 + 4 + 4 + 3;

/// What describes a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// What captures.
    pub(super) application: String,
    /// Where that runs.
    pub(super) system: String,
    /// The interface.
    pub(super) interface: String,
    /// What is taken.
    pub(super) filter: String,
    /// Remarks, each for itself.
    pub(super) comments: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    /// When it began and ended, since 1970.
    pub(super) time: (Duration, Duration),
    /// Frames that the filter accepted, and that the kernel had no room for.
    pub(super) accepted: u64,
    /// Frames that the kernel had no room for.
    pub(super) dropped: u64,
    /// Frames that were written.
    pub(super) written: u64,
    /// A remark.
    pub(super) comment: String,
}

/// A capture that is being written. What is behind it is complete after each frame, but for
/// the statistics at the end.
pub(super) struct Recorder<W: Write> {
    writer: PcapNgWriter<W>,
    octets: u64,
    frames: u64,
}

impl<W: Write> std::fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("octets", &self.octets)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Recorder<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be written.
    pub(super) fn begin(out: W, link: Link, description: &Description) -> io::Result<Self> {
        let mut section = SectionHeaderBlock {
            endianness: Endianness::native(),
            ..SectionHeaderBlock::default()
        };
        let application = short(&description.application);
        section.options = vec![
            SectionHeaderOption::OS(short(&description.system).into()),
            SectionHeaderOption::UserApplication(application.into()),
        ];
        let comments = description.comments.iter();
        let comments = comments.map(|comment| SectionHeaderOption::Comment(short(comment).into()));
        section.options.extend(comments);
        // Filters are told apart by their first octet: 0 says that it is text.
        let filter = [b"\0", short(&description.filter).as_bytes()].concat();
        let interface = InterfaceDescriptionBlock {
            linktype: match link {
                Link::Ethernet => DataLink::ETHERNET,
                Link::Ip => DataLink::RAW,
            },
            snaplen: FRAME_LEN_MAX,
            options: vec![
                InterfaceDescriptionOption::IfName(short(&description.interface).into()),
                // Nanoseconds.
                InterfaceDescriptionOption::IfTsResol(9),
                InterfaceDescriptionOption::IfFilter(filter.into()),
            ],
        };
        let mut writer = PcapNgWriter::with_section_header(out, section).map_err(written)?;
        let octets = writer.write_pcapng_block(interface).map_err(written)?;
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        Ok(Self {
            writer,
            octets,
            frames: 0,
        })
    }

    /// Octets of what was written, but for the head of the file.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Frames that were written.
    pub(super) const fn frames(&self) -> u64 {
        self.frames
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be written.
    pub(super) fn write(&mut self, frame: &Frame) -> io::Result<()> {
        // RFC draft-ietf-opsawg-pcapng §4.3.1: the lowest two bits are the direction.
        let direction = if frame.outgoing { 2 } else { 1 };
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: frame.time,
            original_len: frame.length,
            data: frame.octets.as_slice().into(),
            options: vec![EnhancedPacketOption::Flags(direction)],
        };
        self.writer.write_pcapng_block(block).map_err(written)?;
        self.octets = self.octets.saturating_add(size(frame));
        self.frames = self.frames.saturating_add(1);
        Ok(())
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be written.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be written.
    pub(super) fn finish(mut self, statistics: &Statistics) -> io::Result<()> {
        let (start, end) = statistics.time;
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // As two halves of 32 bits, the higher first, whatever the order of octets.
        let halves = |time: Duration| match Endianness::native() {
            Endianness::Big => nanoseconds(time),
            Endianness::Little => nanoseconds(time).rotate_left(32),
        };
        let mut options = vec![
            InterfaceStatisticsOption::IsbStartTime(halves(start)),
            InterfaceStatisticsOption::IsbEndTime(halves(end)),
            InterfaceStatisticsOption::IsbFilterAccept(statistics.accepted),
            InterfaceStatisticsOption::IsbOsDrop(statistics.dropped),
            InterfaceStatisticsOption::IsbUsrDeliv(statistics.written),
        ];
        if !statistics.comment.is_empty() {
            let comment = short(&statistics.comment).into();
            options.push(InterfaceStatisticsOption::Comment(comment));
        }
        let block = InterfaceStatisticsBlock {
            interface_id: 0,
            timestamp: halves(end),
            options,
        };
        self.writer.write_pcapng_block(block).map_err(written)?;
        self.flush()
    }
}

/// Octets that a frame takes in a file.
pub(super) fn size(frame: &Frame) -> u64 {
    let octets = u64::try_from(frame.octets.len()).unwrap_or(u64::MAX);
    octets.saturating_add(FRAME_OVERHEAD)
}

/// As much of a text as an option takes.
fn short(text: &str) -> String {
    let mut octets: usize = 0;
    let fits = |character: &char| {
        octets = octets.saturating_add(character.len_utf8());
        octets <= COMMENT_LEN_MAX
    };
    text.chars().take_while(fits).collect()
}

fn written(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::pcapng::{Block, PcapNgReader};

    fn frame(time: Duration, length: usize) -> Frame {
        Frame {
            time,
            outgoing: length % 2 == 1,
            length: 1500,
            octets: vec![7; length],
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let description = Description {
            application: "ikexdp capture".to_owned(),
            interface: "eth0".to_owned(),
            comments: vec!["one".to_owned(), "x".repeat(2 * COMMENT_LEN_MAX)],
            ..Description::default()
        };
        let time = Duration::new(2_000_000_000, 123_456_789);
        let frames: Vec<_> = [60, 61, 62, 63, 0]
            .map(|length| frame(time, length))
            .to_vec();
        let mut out = Vec::new();
        let mut recorder = Recorder::begin(&mut out, Link::Ethernet, &description).unwrap();
        for frame in &frames {
            recorder.write(frame).unwrap();
        }
        let octets = recorder.octets();
        let statistics = Statistics {
            time: (time, time),
            dropped: 7,
            comment: "XDP kept nothing back".to_owned(),
            ..Statistics::default()
        };
        recorder.finish(&statistics).unwrap();
        assert!(out.len() as u64 <= octets + 3 * COMMENT_LEN_MAX as u64);

        let mut reader = PcapNgReader::new(out.as_slice()).unwrap();
        let mut read = Vec::new();
        let mut last = None;
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::EnhancedPacket(packet) => {
                    assert_eq!((packet.timestamp, packet.original_len), (time, 1500));
                    let way = u32::from(packet.data.len() % 2 == 1) + 1;
                    assert_eq!(packet.options, [EnhancedPacketOption::Flags(way)]);
                    read.push(packet.data.into_owned());
                }
                Block::InterfaceStatistics(statistics) => {
                    last = Some(statistics.into_owned().options)
                }
                _ => {}
            }
        }
        assert_eq!(
            read,
            frames.into_iter().map(|it| it.octets).collect::<Vec<_>>()
        );
        let dropped = InterfaceStatisticsOption::IsbOsDrop(7);
        assert!(last.expect("statistics at the end").contains(&dropped));
    }
}
