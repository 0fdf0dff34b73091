//! Whether the kernel can do ESP, asked without leaving anything behind.
//!
//! The kernel looks for ESP, and loads its module, when it is to make an SA; only
//! then does ESP say whether it takes the SA. So we ask for one that ESP refuses,
//! as it has no cipher. Where there is no ESP, the refusal is another one.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_XFRM;
use nix::errno::Errno;
use nix::libc;

use super::Family;

/// `linux/xfrm.h`
const XFRM_MSG_NEWSA: u16 = 0x10;
const XFRMA_ALG_AUTH: u16 = 1;
const XFRM_MODE_TUNNEL: u8 = 1;

/// Octets of `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// Octets of `struct xfrm_usersa_info`.
const SA_LEN: usize = 224;
/// Octets of the algorithm's name in `struct xfrm_algo`.
const NAME_LEN: usize = 64;
/// Octets of the key.
const KEY_LEN: usize = 32;

/// Whether there is ESP over `family`.
///
/// # Errors
/// [`io::Error`] if that cannot be told, such as without CAP_NET_ADMIN.
pub(super) fn is_there(family: Family) -> io::Result<bool> {
    let socket = Socket::new(NETLINK_XFRM)?;
    socket.send(&request(family), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match refusal(&answer) {
        Some(Errno::EPROTONOSUPPORT) => Ok(false),
        // By ESP itself.
        Some(Errno::EINVAL) => Ok(true),
        Some(error) => Err(error.into()),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// An SA with an integrity algorithm and no cipher.
fn request(family: Family) -> Vec<u8> {
    let family = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    let family = u16::try_from(family).unwrap_or_default().to_ne_bytes();
    let mut algorithm = Vec::with_capacity(NAME_LEN + 4 + KEY_LEN);
    algorithm.extend(b"hmac(sha256)");
    algorithm.resize(NAME_LEN, 0);
    algorithm.extend(u32::try_from(KEY_LEN * 8).unwrap_or_default().to_ne_bytes());
    algorithm.resize(NAME_LEN + 4 + KEY_LEN, 0);

    let mut sa = Vec::with_capacity(SA_LEN);
    // selector: addresses and ports, family
    sa.resize(40, 0);
    sa.extend(family);
    sa.resize(56, 0);
    // id: destination, SPI, protocol
    sa.resize(72, 0);
    sa.extend(0x100_u32.to_be_bytes());
    sa.push(u8::try_from(libc::IPPROTO_ESP).unwrap_or_default());
    // source, lifetimes, statistics, sequence number, request ID; family, mode
    sa.resize(212, 0);
    sa.extend(family);
    sa.push(XFRM_MODE_TUNNEL);
    sa.resize(SA_LEN, 0);

    let mut message = Vec::new();
    let attribute_len = algorithm.len().saturating_add(4);
    let length = HEADER_LEN
        .saturating_add(SA_LEN)
        .saturating_add(attribute_len);
    message.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    message.extend(XFRM_MSG_NEWSA.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    // sequence number and port
    message.resize(HEADER_LEN, 0);
    message.extend(sa);
    message.extend(
        u16::try_from(attribute_len)
            .unwrap_or_default()
            .to_ne_bytes(),
    );
    message.extend(XFRMA_ALG_AUTH.to_ne_bytes());
    message.extend(algorithm);
    message
}

/// The error in an answer of the kernel: `struct nlmsghdr`, its negative number.
fn refusal(answer: &[u8]) -> Option<Errno> {
    let (header, rest) = answer.split_at_checked(HEADER_LEN)?;
    let kind = header.get(4..6)?.try_into().ok()?;
    let number = i32::from_ne_bytes(*rest.first_chunk()?);
    let is_error = u16::from_ne_bytes(kind) == NLMSG_ERROR && number != 0;
    is_error.then(|| Errno::from_raw(number.saturating_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::namespace::{Namespace, command};

    /// An SA that a kernel with ESP takes.
    const SA: &str = "proto esp spi 0x100 mode tunnel \
        auth hmac(sha256) 0x0000000000000000000000000000000000000000000000000000000000000000 \
        enc cbc(aes) 0x00000000000000000000000000000000";

    #[test]
    #[ignore = "needs CAP_NET_ADMIN"]
    fn the_answer_is_what_an_attempt_would_give_and_nothing_stays() {
        for (family, addresses) in [
            (Family::V4, "src 192.0.2.1 dst 192.0.2.2"),
            (Family::V6, "src 2001:db8::1 dst 2001:db8::2"),
        ] {
            let namespace = Namespace::new("esp");
            let answer = namespace.run(move || is_there(family)).unwrap();
            assert_eq!(namespace.exec("ip xfrm state"), "");
            let mut attempt = command("ip");
            attempt.args(["xfrm", "state", "add"]);
            attempt.args(addresses.split(' '));
            attempt.args(SA.split_whitespace());
            let attempt = namespace.output(attempt);
            assert_eq!(answer, attempt.status.success(), "{family}: {attempt:?}");
        }
    }
}
