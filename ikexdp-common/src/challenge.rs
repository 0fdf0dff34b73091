//! A request made into its answer, in the same frame: a COOKIE notification
//! (RFC 7296 §2.6).
//!
//! The answer is shorter than any request with a nonce, and it is a response, which
//! nobody answers: it makes no traffic where there was none. Its headers are what
//! the kernel's UDP sockets would write.

use crate::classify::Located;
use crate::cookie::{COOKIE_LEN, Cookie};
use crate::guard::{Read, is_v4};
use crate::header::{ethernet, ike, ipv4, ipv6, payload, udp};

/// A frame that can be written.
pub trait Write: Read {
    /// Makes the frame end at `length`.
    fn truncate(&mut self, length: usize) -> Option<()>;

    /// Writes octets at `at`, or nothing where the frame ends before them.
    fn write<const N: usize>(&mut self, at: usize, octets: [u8; N]) -> Option<()>;
}

/// Octets of the message: header, notification, cookie.
pub const MESSAGE_LEN: usize = ike::LEN + payload::NOTIFY_LEN + COOKIE_LEN;

/// Time to live and hop limit.
const HOPS: u8 = 64;

const DATAGRAM_LEN: usize = udp::LEN + MESSAGE_LEN;
const NAT_DATAGRAM_LEN: usize = udp::LEN + ike::MARKER_LEN + MESSAGE_LEN;

/// Makes the answer with `cookie` of the request that was located in `frame`. `None`
/// if the frame cannot be cut, and is as it was.
// A function of its own even in the kernel: there the stack of one is short.
#[inline(never)]
pub fn challenge(frame: &mut impl Write, located: &Located, cookie: &Cookie) -> Option<()> {
    let &Located { l3, l4, ike, .. } = located;
    frame.truncate(ike.wrapping_add(MESSAGE_LEN))?;

    let [destination, source] = halves(frame.read::<12>(ethernet::DESTINATION)?);
    frame.write::<6>(ethernet::DESTINATION, source)?;
    frame.write::<6>(ethernet::SOURCE, destination)?;

    let length = ike.wrapping_sub(l4).wrapping_add(MESSAGE_LEN);
    let pseudo = sum(&two_octets(length)).wrapping_add(udp::NUMBER.into());
    let pseudo = if is_v4(*located) {
        let addresses: [u8; 8] = frame.read(l3.wrapping_add(ipv4::SOURCE))?;
        let [source, destination] = halves(addresses);
        frame.write(l3, ipv4_header(destination, source, length))?;
        pseudo.wrapping_add(sum(&addresses))
    } else {
        let addresses: [u8; 32] = frame.read(l3.wrapping_add(ipv6::SOURCE))?;
        let [source, destination] = halves(addresses);
        frame.write(l3, ipv6_header(length))?;
        frame.write::<16>(l3.wrapping_add(ipv6::SOURCE), destination)?;
        frame.write::<16>(l3.wrapping_add(ipv6::DESTINATION), source)?;
        pseudo.wrapping_add(sum(&addresses))
    };
    let [a, b, c, d] = frame.read(l4)?;
    let ports = [c, d, a, b];
    let spi_i = frame.read(ike.wrapping_add(ike::INITIATOR_SPI))?;
    let message = message(spi_i, cookie.to_octets());
    if length == DATAGRAM_LEN {
        frame.write(l4, datagram::<DATAGRAM_LEN>(ports, message, pseudo))
    } else {
        frame.write(l4, datagram::<NAT_DATAGRAM_LEN>(ports, message, pseudo))
    }
}

/// Two fields of a length that stand side by side.
#[inline(always)]
fn halves<const N: usize, const HALF: usize>(octets: [u8; N]) -> [[u8; HALF]; 2] {
    let (fields, _) = octets.as_chunks();
    match fields {
        [first, second] => [*first, *second],
        _ => [[0; HALF]; 2],
    }
}

/// RFC 791 §3.1. Not to be fragmented, it needs no identification (RFC 6864 §4.1).
#[inline(always)]
fn ipv4_header(source: [u8; 4], destination: [u8; 4], payload: usize) -> [u8; ipv4::LEN] {
    let mut octets = [0; ipv4::LEN];
    let length = two_octets(payload.wrapping_add(ipv4::LEN));
    put(&mut octets, ipv4::VERSION_IHL, [ipv4::PLAIN]);
    put(&mut octets, ipv4::TOTAL_LENGTH, length);
    put(
        &mut octets,
        ipv4::FRAGMENT,
        ipv4::DONT_FRAGMENT.to_be_bytes(),
    );
    put(&mut octets, ipv4::TIME_TO_LIVE, [HOPS, udp::NUMBER]);
    put(&mut octets, ipv4::SOURCE, source);
    put(&mut octets, ipv4::DESTINATION, destination);
    let checksum = !fold(sum(&octets));
    put(&mut octets, ipv4::CHECKSUM, checksum.to_be_bytes());
    octets
}

/// RFC 8200 §3, as far as the addresses.
#[inline(always)]
const fn ipv6_header(payload: usize) -> [u8; ipv6::SOURCE] {
    let [high, low] = two_octets(payload);
    [0x60, 0, 0, 0, high, low, udp::NUMBER, HOPS]
}

/// RFC 768, with the marker of port 4500 if there is room for it.
#[inline(always)]
fn datagram<const N: usize>(ports: [u8; 4], message: [u8; MESSAGE_LEN], pseudo: u32) -> [u8; N] {
    let mut octets = [0; N];
    put(&mut octets, udp::SOURCE, ports);
    put(&mut octets, udp::LENGTH, two_octets(N));
    put(&mut octets, N.wrapping_sub(MESSAGE_LEN), message);
    let checksum = match !fold(pseudo.wrapping_add(sum(&octets))) {
        // Zero says that there is none (RFC 768).
        0 => u16::MAX,
        checksum => checksum,
    };
    put(&mut octets, udp::CHECKSUM, checksum.to_be_bytes());
    octets
}

/// The response with message ID 0 and, there being no SA, SPIr 0 (RFC 7296 §2.6).
#[inline(always)]
fn message(spi_i: [u8; 8], cookie: [u8; COOKIE_LEN]) -> [u8; MESSAGE_LEN] {
    const HEADER: [u8; 4] = [payload::NOTIFY, ike::V2, ike::IKE_SA_INIT, ike::RESPONSE];
    const NOTIFY: usize = ike::LEN;

    let mut octets = [0; MESSAGE_LEN];
    put(&mut octets, ike::INITIATOR_SPI, spi_i);
    put(&mut octets, ike::NEXT_PAYLOAD, HEADER);
    put(&mut octets, ike::LENGTH + 2, two_octets(MESSAGE_LEN));
    let notify_len = two_octets(MESSAGE_LEN - NOTIFY);
    put(&mut octets, NOTIFY + payload::LENGTH, notify_len);
    put(&mut octets, NOTIFY + payload::LEN, payload::COOKIE);
    put(&mut octets, NOTIFY + payload::NOTIFY_LEN, cookie);
    octets
}

/// Every place is a constant, so that nothing of the check is left in the program.
#[inline(always)]
fn put<const N: usize>(octets: &mut [u8], at: usize, field: [u8; N]) {
    if let Some(place) = octets.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = field;
    }
}

/// A length as it is sent; none here needs more.
#[inline(always)]
const fn two_octets(length: usize) -> [u8; 2] {
    let [.., high, low] = length.to_be_bytes();
    [high, low]
}

/// The words of `octets` added up (RFC 1071); less than 64 KiB cannot wrap.
#[inline(always)]
fn sum(octets: &[u8]) -> u32 {
    let (words, odd) = octets.as_chunks::<2>();
    let mut sum = match odd {
        [odd] => u32::from(u16::from_be_bytes([*odd, 0])),
        _ => 0,
    };
    for word in words {
        sum = sum.wrapping_add(u16::from_be_bytes(*word).into());
    }
    sum
}

/// The sum with its carries added (RFC 1071).
#[inline(always)]
const fn fold(sum: u32) -> u16 {
    let folded = (sum >> 16).wrapping_add(sum & 0xffff);
    let [_, _, high, low] = (folded >> 16).wrapping_add(folded).to_be_bytes();
    u16::from_be_bytes([high, low])
}
