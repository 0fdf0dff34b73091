//! A request made into its answer, in the same frame: a COOKIE notification
//! (RFC 7296 §2.6).
//!
//! The answer is shorter than any request with a nonce, and it is a response, which
//! nobody answers: it makes no traffic where there was none. Its headers are what
//! the kernel's UDP sockets would write.

use crate::checksum::{checksum, sum, udp_checksum};
use crate::classify::Located;
use crate::cookie::{COOKIE_LEN, Cookie};
use crate::guard::{Read, is_v4};
use crate::header::{ethernet, ike, ipv4, ipv6, payload, udp};

/// A frame that can be written.
pub trait Write: Read {
    /// Makes the frame end at `length`.
    fn truncate(&mut self, length: usize) -> Option<()>;

    /// Writes octets at `field` octets into the header that begins at `layer`, or nothing
    /// where the frame ends before their end.
    fn store<const N: usize>(&mut self, layer: usize, field: usize, octets: [u8; N]) -> Option<()>;
}

/// Octets of the message: header, notification, cookie.
pub const MESSAGE_LEN: usize = ike::LEN + payload::NOTIFY_LEN + COOKIE_LEN;

/// Time to live and hop limit.
const HOPS: u8 = 64;

/// Makes the answer with `cookie` of the request that was located in `frame`. `None`
/// if the frame cannot be cut, and is as it was.
///
/// What stays is not written: VLAN tags, the marker of port 4500, both SPIs, of which the
/// responder's is zero as there is no SA, and the message ID, which is zero.
// A function of its own even in the kernel: there the stack of one is short.
#[inline(never)]
pub fn challenge(frame: &mut impl Write, located: &Located, cookie: &Cookie) -> Option<()> {
    let &Located { l3, l4, ike, .. } = located;
    frame.truncate(ike.wrapping_add(MESSAGE_LEN))?;

    swap::<6>(frame, 0, ethernet::DESTINATION, ethernet::SOURCE)?;
    let length = two_octets(ike.wrapping_sub(l4).wrapping_add(MESSAGE_LEN));
    let addresses = if is_v4(*located) {
        ipv4_header(frame, l3, ike.wrapping_sub(l3).wrapping_add(MESSAGE_LEN))?
    } else {
        ipv6_header(frame, l3, length)?
    };
    let ports = swap::<2>(frame, l4, udp::SOURCE, udp::DESTINATION)?;
    let pseudo = addresses
        .wrapping_add(sum(&length))
        .wrapping_add(udp::NUMBER.into());
    let datagram = ports
        .wrapping_add(put(frame, l4, udp::LENGTH, length)?)
        .wrapping_add(message(frame, ike, cookie)?);
    let checksum = udp_checksum(pseudo.wrapping_add(datagram));
    frame.store(l4, udp::CHECKSUM, checksum.to_be_bytes())
}

/// RFC 791 §3.1. Not to be fragmented, it needs no identification (RFC 6864 §4.1). Says
/// what the addresses add up to.
#[inline(always)]
fn ipv4_header(frame: &mut impl Write, l3: usize, length: usize) -> Option<u32> {
    let addresses = swap::<4>(frame, l3, ipv4::SOURCE, ipv4::DESTINATION)?;
    let [high, low] = two_octets(length);
    let [flags, offset] = ipv4::DONT_FRAGMENT.to_be_bytes();
    let others = [
        ipv4::PLAIN,
        0,
        high,
        low,
        0,
        0,
        flags,
        offset,
        HOPS,
        udp::NUMBER,
    ];
    let others = put(frame, l3, ipv4::VERSION_IHL, others)?;
    let checksum = checksum(addresses.wrapping_add(others));
    frame.store(l3, ipv4::CHECKSUM, checksum.to_be_bytes())?;
    Some(addresses)
}

/// RFC 8200 §3. Says what the addresses add up to.
#[inline(always)]
fn ipv6_header(frame: &mut impl Write, l3: usize, [high, low]: [u8; 2]) -> Option<u32> {
    let others = [0x60, 0, 0, 0, high, low, udp::NUMBER, HOPS];
    frame.store(l3, ipv6::VERSION, others)?;
    swap::<16>(frame, l3, ipv6::SOURCE, ipv6::DESTINATION)
}

/// The response (RFC 7296 §2.6). Says what it adds up to.
#[inline(always)]
fn message(frame: &mut impl Write, ike: usize, cookie: &Cookie) -> Option<u32> {
    const NOTIFY: usize = ike::LEN;
    const HEADER: [u8; 4] = [payload::NOTIFY, ike::V2, ike::IKE_SA_INIT, ike::RESPONSE];

    let spi: [u8; 8] = frame.load(ike, ike::INITIATOR_SPI)?;
    let header = put(frame, ike, ike::NEXT_PAYLOAD, HEADER)?;
    let [high, low] = two_octets(MESSAGE_LEN);
    let length = put(frame, ike, ike::LENGTH, [0, 0, high, low])?;
    let [high, low] = two_octets(MESSAGE_LEN - NOTIFY);
    let notify = put(frame, ike, NOTIFY, [0, 0, high, low])?;
    let kind = put(frame, ike, NOTIFY + payload::LEN, payload::COOKIE)?;
    let cookie = put(frame, ike, NOTIFY + payload::NOTIFY_LEN, cookie.to_octets())?;
    let sums = [header, length, notify, kind, cookie];
    Some(
        sums.iter()
            .fold(sum(&spi), |sum, more| sum.wrapping_add(*more)),
    )
}

/// Two fields change places. Says what they add up to.
#[inline(always)]
fn swap<const N: usize>(
    frame: &mut impl Write,
    layer: usize,
    one: usize,
    other: usize,
) -> Option<u32> {
    let (first, second): ([u8; N], [u8; N]) = (frame.load(layer, one)?, frame.load(layer, other)?);
    let first = put(frame, layer, other, first)?;
    Some(first.wrapping_add(put(frame, layer, one, second)?))
}

/// Writes a field at an even place. Says what it adds up to.
#[inline(always)]
fn put<const N: usize>(
    frame: &mut impl Write,
    layer: usize,
    field: usize,
    octets: [u8; N],
) -> Option<u32> {
    frame.store(layer, field, octets)?;
    Some(sum(&octets))
}

/// A length as it is sent; none here needs more.
#[inline(always)]
const fn two_octets(length: usize) -> [u8; 2] {
    let [.., high, low] = length.to_be_bytes();
    [high, low]
}
