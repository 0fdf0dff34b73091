//! One IKE message out of a datagram.

use std::hash::{DefaultHasher, Hash, Hasher};

use ikexdp_proto::types::{Role, Spi};
use ikexdp_proto::wire::header::{HEADER_LEN, Header};
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use ikexdp_proto::wire::sk::{Encrypted, FragmentNumber};

use super::Carrier;
use crate::contents::{Clear, Contents};
use crate::limits::IKE_FRAGMENTS_MAX;
use crate::message::Message;
use crate::verdict::Direction;

/// Reads a message of `length` octets, of which `octets` were captured; `None` if that is no IKE.
pub(super) fn read(carrier: &Carrier<'_>, octets: &[u8], length: usize) -> Option<Message> {
    let (header, message_len) = header(octets)?;
    let whole = carrier.fragments.is_none_or(|(_, whole)| whole);
    let is_captured = octets.len() == length && whole;
    let (contents, fragment) = if header.major_version() == 1 {
        (Contents::Ikev1, None)
    } else if !is_captured {
        let why = if whole {
            "cut short by the capture"
        } else {
            "IP fragments are missing"
        };
        (Contents::Unreadable(why), cut_fragment(&header, octets))
    } else {
        contents(&header, octets)
    };
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    let pieces = carrier
        .fragments
        .map_or_else(Vec::new, |(datagram, _)| datagram.pieces.clone());
    let frames = if pieces.is_empty() {
        vec![carrier.around.frame]
    } else {
        pieces.iter().map(|piece| piece.frame).collect()
    };
    Some(Message {
        capture: 0,
        frames,
        time: carrier.around.time,
        source: carrier.source,
        destination: carrier.destination,
        direction: direction(&header),
        header,
        datagram_len: carrier.datagram_len,
        message_len,
        dont_fragment: carrier.dont_fragment,
        ip_id: carrier.ip_id,
        hop_limit: carrier.around.hop_limit,
        pieces,
        whole,
        fragment,
        contents,
        octets: is_captured.then(|| octets.to_vec()),
        repeat_of: None,
        seen_as: None,
        digest: hasher.finish(),
    })
}

/// The header of a message that may be cut short behind it, and the length it claims.
fn header(octets: &[u8]) -> Option<(Header, usize)> {
    let mut head: [u8; HEADER_LEN] = *octets.first_chunk()?;
    let (_, length) = head.split_last_chunk_mut::<4>()?;
    let claimed = u32::from_be_bytes(*length);
    // The length is looked at apart, and has to be that of what is decoded.
    *length = u32::try_from(HEADER_LEN).ok()?.to_be_bytes();
    let (header, _) = Header::decode(&head).ok()?;
    let is_ike = matches!(header.major_version(), 1 | 2) && header.spis.initiator != Spi::ZERO;
    is_ike.then_some((header, usize::try_from(claimed).ok()?))
}

const fn direction(header: &Header) -> Direction {
    match header.from {
        Role::Initiator => Direction::FromClient,
        Role::Responder => Direction::FromGateway,
    }
}

fn contents(header: &Header, octets: &[u8]) -> (Contents, Option<FragmentNumber>) {
    if Header::decode(octets).is_err() {
        return (
            Contents::Unreadable("its length is not that of the datagram"),
            None,
        );
    }
    if let Ok(encrypted) = Encrypted::locate(header, octets) {
        if encrypted.fragment.is_some_and(|it| !is_taken(it)) {
            return (
                Contents::Unreadable("in more fragments than are taken"),
                None,
            );
        }
        let inside = octets.len().saturating_sub(encrypted.associated);
        return (Contents::Encrypted(inside), encrypted.fragment);
    }
    let is_protected = matches!(
        header.next_payload,
        PayloadType::ENCRYPTED | PayloadType::ENCRYPTED_FRAGMENT
    );
    if is_protected && header.exchange != ExchangeType::IKE_SA_INIT {
        return (Contents::Unreadable("malformed"), None);
    }
    let payloads = octets.get(HEADER_LEN..).unwrap_or_default();
    let clear = Clear::read(header.next_payload, payloads);
    (Contents::Clear(Box::new(clear)), None)
}

/// The fragment number of an SKF payload that directly follows the header, of a message that is cut short.
fn cut_fragment(header: &Header, octets: &[u8]) -> Option<FragmentNumber> {
    if header.next_payload != PayloadType::ENCRYPTED_FRAGMENT {
        return None;
    }
    let numbers: &[u8; 4] = octets.get(HEADER_LEN.checked_add(4)?..)?.first_chunk()?;
    let [a, b, c, d] = *numbers;
    let (number, total) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let fragment = FragmentNumber { number, total };
    ((1..=total).contains(&number) && is_taken(fragment)).then_some(fragment)
}

/// Whether anybody puts a message together that is in so many.
const fn is_taken(fragment: FragmentNumber) -> bool {
    fragment.total <= IKE_FRAGMENTS_MAX
}
