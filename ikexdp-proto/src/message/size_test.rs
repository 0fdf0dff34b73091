//! A question about the path, of our own: how long may a datagram be, each way?
//!
//! ```text
//! HDR, SAi1, KEi, Ni, ..., N(SIZE_TEST: tag, octets wanted, padding)  -->
//!                         <--  HDR, N(SIZE_TEST: tag, octets that came, padding)
//! ```
//!
//! It travels in IKE_SA_INIT, as a status notify of the private range, which whoever does not know it ignores
//! (RFC 7296 §3.10.1). It takes no key and makes no state. The answer is as long as is wanted, but never longer than
//! the question.

use alloc::vec::Vec;

use crate::limits::SIZE_TEST_LEN_MAX;
use crate::wire::header::HEADER_LEN;
use crate::wire::iana::NotifyType;
use crate::wire::payload::GENERIC_LEN;
use crate::wire::payload::notify::Notify;
use crate::wire::reader::Reader;
use crate::wire::writer::{Chain, ChainWriter};

/// What tells it from what others may use the same number for.
const TAG: [u8; 6] = *b"ikexdp";

/// Octets of a notify payload before its data.
const NOTIFY_LEN: usize = GENERIC_LEN + 4;

/// Octets of its data before the padding.
const DATA_LEN: usize = TAG.len() + 2;

/// Octets of a notify with so much padding, in its payload.
#[must_use]
pub const fn payload_len(padding: usize) -> usize {
    NOTIFY_LEN.saturating_add(DATA_LEN).saturating_add(padding)
}

/// Appends the notify: `octets` are those that are wanted, or those that came.
pub fn encode(chain: &mut ChainWriter, octets: u16, padding: usize) {
    let mut data = Vec::with_capacity(DATA_LEN.saturating_add(padding));
    data.extend_from_slice(&TAG);
    data.extend_from_slice(&octets.to_be_bytes());
    data.resize(DATA_LEN.saturating_add(padding), 0);
    Notify::new(NotifyType::SIZE_TEST, &data).encode(chain);
}

/// The octets that a notify tells of; `None` if it is something else.
#[must_use]
pub fn decode(notify: &Notify<'_>) -> Option<u16> {
    const FIELD: &str = "size test";
    let mut reader = Reader::new(notify.data);
    let is_ours = notify.kind == NotifyType::SIZE_TEST && reader.take(TAG.len(), FIELD) == Ok(&TAG);
    if is_ours {
        reader.u16(FIELD).ok()
    } else {
        None
    }
}

/// The payloads of an answer of `wanted` octets, or of as many as the question had, if that is less.
pub(crate) fn answer(wanted: u16, came: usize) -> Chain {
    let length = usize::from(wanted).min(came).min(SIZE_TEST_LEN_MAX);
    let least = HEADER_LEN.saturating_add(payload_len(0));
    let mut chain = ChainWriter::default();
    let told = u16::try_from(came).unwrap_or(u16::MAX);
    encode(&mut chain, told, length.saturating_sub(least));
    chain.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chain: &Chain) -> Option<u16> {
        decode(&Notify::decode(chain.octets.get(GENERIC_LEN..)?).ok()?)
    }

    #[test]
    fn an_answer_is_as_long_as_is_wanted_and_never_longer_than_the_question() {
        for (wanted, came, length) in [(1000, 1200, 1000), (1400, 1200, 1200), (0, 1200, 44)] {
            let chain = answer(wanted, came);
            assert_eq!(HEADER_LEN + chain.octets.len(), length);
            assert_eq!(read(&chain), Some(1200));
        }
    }

    #[test]
    fn what_others_mean_by_the_number_is_none() {
        for data in [&b""[..], b"ikexd", b"ikexdp\x01", b"another one"] {
            assert_eq!(decode(&Notify::new(NotifyType::SIZE_TEST, data)), None);
        }
        let other = Notify::new(NotifyType::COOKIE, b"ikexdp\x01\x02");
        assert_eq!(decode(&other), None);
    }
}
