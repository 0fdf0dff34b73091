//! Whether the kernel can do ESP, asked without leaving anything behind.
//!
//! The kernel looks for ESP, and loads its module, when it is to make an SA; only
//! then does ESP say whether it takes the SA. So we ask for one that ESP refuses,
//! as it has no cipher. Where there is no ESP, the refusal is another one.

use netlink_packet_xfrm::state::ModifyMessage;
use netlink_packet_xfrm::{
    Alg, IPPROTO_ESP, Id, UserSaInfo, XFRM_MODE_TUNNEL, XfrmAttrs, XfrmMessage,
};
use netlink_sys::protocols::NETLINK_XFRM;
use nix::libc;

use super::Family;
use crate::netlink::{Channel, NetlinkError};

/// Octets in the name of an algorithm (`linux/xfrm.h`).
const NAME_LEN: usize = 64;

/// Octets of a key of HMAC-SHA2-256.
const KEY_LEN: usize = 32;

/// Whether there is ESP over `family`.
///
/// # Errors
/// [`NetlinkError`] if that cannot be told, such as without CAP_NET_ADMIN.
pub(super) fn is_there(family: Family) -> Result<bool, NetlinkError> {
    let mut channel = Channel::open(NETLINK_XFRM)?;
    match channel.ask(XfrmMessage::AddSa(without_cipher(family))) {
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => Ok(false),
        // By ESP itself.
        Err(error) if error.errno() == Some(libc::EINVAL) => Ok(true),
        answer => answer.map(|_| true),
    }
}

/// An SA with an integrity algorithm alone.
fn without_cipher(family: Family) -> ModifyMessage {
    let family = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    let mut user_sa_info = UserSaInfo {
        id: Id {
            spi: 0x100,
            proto: IPPROTO_ESP,
            ..Id::default()
        },
        family: u16::try_from(family).unwrap_or_default(),
        mode: XFRM_MODE_TUNNEL,
        ..UserSaInfo::default()
    };
    user_sa_info.selector.family = user_sa_info.family;
    let mut alg_name = [0; NAME_LEN];
    for (octet, letter) in alg_name.iter_mut().zip(b"hmac(sha256)") {
        *octet = *letter;
    }
    let integrity = Alg {
        alg_name,
        alg_key_len: u32::try_from(KEY_LEN * 8).unwrap_or_default(),
        alg_key: vec![0; KEY_LEN],
    };
    ModifyMessage {
        user_sa_info,
        nlas: vec![XfrmAttrs::AuthenticationAlg(integrity)],
    }
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
