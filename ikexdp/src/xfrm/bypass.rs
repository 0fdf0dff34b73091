//! IKE that no policy applies to.
#![expect(unsafe_code, reason = "setsockopt takes a pointer and a length")]

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::Emitable;
use netlink_packet_xfrm::{
    Selector, UserPolicyInfo, XFRM_POLICY_ALLOW, XFRM_POLICY_IN, XFRM_POLICY_OUT,
};
use nix::errno::Errno;
use nix::libc;

/// Has the kernel leave datagrams of `socket` out of every policy, and take ESP in
/// UDP from anybody: the addresses of peers themselves may be among what is
/// protected, and IKE must not wait for the SAs that it makes.
///
/// # Errors
/// [`Errno::EPERM`] without CAP_NET_ADMIN.
pub fn bypass(socket: &impl AsFd, is_ipv4: bool) -> nix::Result<()> {
    let (level, name, family) = if is_ipv4 {
        (libc::IPPROTO_IP, libc::IP_XFRM_POLICY, libc::AF_INET)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_XFRM_POLICY, libc::AF_INET6)
    };
    for direction in [XFRM_POLICY_IN, XFRM_POLICY_OUT] {
        let policy = UserPolicyInfo {
            selector: Selector {
                family: u16::try_from(family).map_err(|_| Errno::EAFNOSUPPORT)?,
                ..Selector::default()
            },
            direction,
            action: XFRM_POLICY_ALLOW,
            ..UserPolicyInfo::default()
        };
        let mut value = vec![0; policy.buffer_len()];
        policy.emit(&mut value);
        let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the descriptor is open for as long as `socket` is borrowed, and
        // `value` is a `struct xfrm_userpolicy_info` of that length without
        // templates, which the option wants.
        let result = unsafe {
            libc::setsockopt(
                socket.as_fd().as_raw_fd(),
                level,
                name,
                value.as_ptr().cast(),
                length,
            )
        };
        Errno::result(result)?;
    }
    Ok(())
}
