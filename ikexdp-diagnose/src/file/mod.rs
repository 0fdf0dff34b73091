//! Captures as files: pcap in all its byte orders and resolutions, and pcapng with its sections and
//! interfaces, as a stream: a buffer of [`BLOCK_MAX`] octets is all that is held.

mod kind;
mod section;

use std::cell::RefCell;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{
    Block, LegacyPcapReader, Linktype, PcapBlockOwned, PcapError, PcapHeader, PcapNGReader,
};

pub use kind::Foreign;

use crate::limits::BLOCK_MAX;
use crate::time::Moment;
use kind::{Kind, PEEKED};
use section::Section;

/// One frame of a capture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// From 1, as Wireshark counts.
    pub(crate) number: u64,
    pub(crate) time: Moment,
    pub(crate) link: Linktype,
    /// What was captured of it.
    pub(crate) octets: &'a [u8],
    /// Whether the capturing host sent it, if the capture says so.
    pub(crate) outgoing: Option<bool>,
}

/// How a file ended, and what it says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending {
    pub(crate) format: &'static str,
    /// Why it was not read to its end, if it was not.
    pub(crate) truncated: Option<String>,
    pub(crate) comments: Vec<String>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is no capture, or none that is read here.
    #[error("{}", .0.says())]
    NotACapture(Foreign),
    /// The operating system does not give it.
    #[error("cannot read")]
    Read(#[source] io::Error),
}

/// Reads all frames of `file` and hands them to `sink`.
///
/// # Errors
/// [`FileError`] if it is no capture or cannot be read. One that is cut short or damaged is no
/// error: what was read until there counts.
pub(crate) fn read(
    mut file: impl Read,
    sink: &mut dyn FnMut(Frame<'_>),
) -> Result<Ending, FileError> {
    let mut start = Vec::with_capacity(PEEKED);
    let mut peeked = file
        .by_ref()
        .take(u64::try_from(PEEKED).unwrap_or(u64::MAX));
    peeked.read_to_end(&mut start).map_err(FileError::Read)?;
    let kind = Kind::of(&start);
    let failure = Failure::default();
    let whole = Steady {
        inner: Cursor::new(start).chain(file),
        failure: Rc::clone(&failure),
    };
    let mut ending = Ending::default();
    let result = match kind {
        Kind::Foreign(foreign) => return Err(FileError::NotACapture(foreign)),
        Kind::Pcap => {
            ending.format = "pcap";
            open(LegacyPcapReader::new(BLOCK_MAX, whole))
                .and_then(|mut blocks| legacy(&mut blocks, sink))
        }
        Kind::Pcapng => {
            ending.format = "pcapng";
            open(PcapNGReader::new(BLOCK_MAX, whole))
                .and_then(|mut blocks| sections(&mut blocks, sink, &mut ending.comments))
        }
    };
    if let Some(error) = failure.take() {
        return Err(FileError::Read(error));
    }
    ending.truncated = result.err().map(str::to_owned);
    Ok(ending)
}

impl Foreign {
    fn says(self) -> String {
        match self {
            Self::Empty => {
                "the file is empty; hint: capture with `ikexdp capture`, or `tcpdump -w FILE`"
                    .to_owned()
            }
            Self::Compressed(program) => {
                format!(
                    "the file is compressed by {program}; hint: expand it, and `-` reads standard input"
                )
            }
            Self::EventTrace => {
                "the file is an event trace of Windows; hint: convert it, by `etl2pcapng` what \
                                 `netsh trace` has written, by `pktmon etl2pcap` what `pktmon` has"
                    .to_owned()
            }
            Self::OtherCapture(program) => {
                format!(
                    "the file is a capture by {program}; hint: convert it by `editcap -F pcapng`"
                )
            }
            Self::Text => {
                "the file is text, not a capture; hint: `tcpdump -w FILE` writes one".to_owned()
            }
            Self::Unknown => {
                "the file is neither pcap nor pcapng; hint: capture with `ikexdp capture`, or \
                              `tcpdump -w FILE`"
                    .to_owned()
            }
        }
    }
}

/// The error of the file below, which the parser does not keep.
type Failure = Rc<RefCell<Option<io::Error>>>;

/// Fills each buffer as far as it goes, because the parser wants a whole header at once and a pipe may give less.
struct Steady<R> {
    inner: R,
    failure: Failure,
}

impl<R: Read> Read for Steady<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
            match self.inner.read(space) {
                Ok(0) => break,
                Ok(count) => filled = filled.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What was read before is told first.
                    *self.failure.borrow_mut() = Some(error);
                    break;
                }
            }
        }
        Ok(filled)
    }
}

fn open<B>(blocks: Result<B, PcapError<&'static [u8]>>) -> Result<B, &'static str> {
    blocks.map_err(|_| "its header is cut short or damaged")
}

fn legacy<R: Read>(
    blocks: &mut LegacyPcapReader<R>,
    sink: &mut dyn FnMut(Frame<'_>),
) -> Result<(), &'static str> {
    let mut header = PcapHeader::new();
    let mut number = 0u64;
    each(blocks, |_| true, &mut |block| match block {
        PcapBlockOwned::LegacyHeader(read) => header = read,
        PcapBlockOwned::Legacy(packet) => {
            number = number.saturating_add(1);
            let unit: u64 = if header.is_nanosecond_precision() {
                1
            } else {
                1000
            };
            let seconds = u64::from(packet.ts_sec).saturating_mul(1_000_000_000);
            let fraction = u64::from(packet.ts_usec).saturating_mul(unit);
            sink(Frame {
                number,
                time: Moment(seconds.saturating_add(fraction)),
                // The high half may have flags on frame check sequences.
                link: Linktype(header.network.0 & 0xffff),
                octets: packet.data,
                outgoing: None,
            });
        }
        PcapBlockOwned::NG(_) => {}
    })
}

fn sections<R: Read>(
    blocks: &mut PcapNGReader<R>,
    sink: &mut dyn FnMut(Frame<'_>),
    comments: &mut Vec<String>,
) -> Result<(), &'static str> {
    let mut section = Section::default();
    let mut number = 0u64;
    each(blocks, section::is_a_block, &mut |block| {
        let PcapBlockOwned::NG(block) = block else {
            return;
        };
        match &block {
            Block::SectionHeader(header) => section.begin(header, comments),
            Block::InterfaceDescription(interface) => section.add(interface),
            Block::EnhancedPacket(packet) => {
                number = number.saturating_add(1);
                sink(section.enhanced(number, packet));
            }
            Block::SimplePacket(packet) => {
                number = number.saturating_add(1);
                sink(section.simple(number, packet));
            }
            _ => {}
        }
    })
}

/// Hands every block to `sink`, until the end or what cannot be read. The parser sees only what `is_a_block`.
fn each(
    blocks: &mut dyn PcapReaderIterator,
    is_a_block: fn(&[u8]) -> bool,
    sink: &mut dyn FnMut(PcapBlockOwned<'_>),
) -> Result<(), &'static str> {
    loop {
        if !is_a_block(blocks.data()) {
            return Err("a block is damaged");
        }
        let length = match blocks.next() {
            Ok((length, block)) => {
                sink(block);
                length
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => {
                let before = blocks.data().len();
                blocks.refill().map_err(|_| "it cannot be read further")?;
                if blocks.data().len() == before && !blocks.reader_exhausted() {
                    return Err("a block is longer than any should be");
                }
                continue;
            }
            Err(PcapError::UnexpectedEof) => return Err("it ends in the middle of a frame"),
            Err(PcapError::BufferTooSmall) => return Err("a block is longer than any should be"),
            Err(_) => return Err("a block is damaged"),
        };
        blocks.consume(length);
    }
}
