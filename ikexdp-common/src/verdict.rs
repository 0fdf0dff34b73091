//! What becomes of a frame, and why.

use crate::counters;

counters! {
    /// The fate of one frame and its reason.
    ///
    /// Every frame the XDP program sees is counted under exactly one of these,
    /// so that their sum is the number of frames.
    pub enum Verdict {
        /// Passed: neither IPv4 nor IPv6.
        PassNotIp = "pass_not_ip",
        /// Passed: more than two VLAN tags.
        PassVlanDepth = "pass_vlan_depth",
        /// Passed: IP, but not UDP.
        PassNotUdp = "pass_not_udp",
        /// Passed: UDP behind IPv4 options.
        PassIpOptions = "pass_ip_options",
        /// Passed: an IPv6 extension header comes first.
        PassExtensionHeader = "pass_extension_header",
        /// Passed: first IP fragment of IKE for us, which IKE fragmentation would avoid (RFC 7383).
        PassFirstFragment = "pass_first_fragment",
        /// Passed: a later fragment of a UDP datagram.
        PassFragment = "pass_fragment",
        /// Passed: UDP to a port other than 500 and 4500.
        PassOtherPort = "pass_other_port",
        /// Passed: UDP 500 or 4500, but no ESP, on its way to another host.
        PassTransit = "pass_transit",
        /// Passed: from a source that must never be answered.
        PassMartian = "pass_martian",
        /// Passed: from a link-local address, which means something only with an interface.
        PassLinkLocal = "pass_link_local",
        /// Passed: the frame ends before its headers, or before the IP length says.
        PassTruncated = "pass_truncated",
        /// Passed: UDP over IPv6 without a checksum.
        PassNoChecksum = "pass_no_checksum",
        /// Passed: ESP in UDP, ours or in transit.
        PassEsp = "pass_esp",
        /// Passed: IKEv1.
        PassIkev1 = "pass_ikev1",
        /// Passed: IKE for us, but in a frame too long for an AF_XDP socket.
        PassTooLong = "pass_too_long",
        /// Passed: IKE for us, but no AF_XDP socket is open on this RX queue.
        PassNoSocket = "pass_no_socket",
        /// Passed: IKE for us, while `ikexdp capture` looks at what the kernel gets.
        PassObserved = "pass_observed",
        /// Dropped: UDP length below its header or beyond the IP payload.
        DropUdpLength = "drop_udp_length",
        /// Dropped: NAT keepalive.
        DropKeepalive = "drop_keepalive",
        /// Dropped: shorter than an IKE header.
        DropShort = "drop_short",
        /// Dropped: the IKE length is not that of the datagram.
        DropLength = "drop_length",
        /// Dropped: IKE major version 0.
        DropVersion = "drop_version",
        /// Dropped: IKEv1, as configured.
        DropIkev1 = "drop_ikev1",
        /// Dropped: the initiator's SPI is zero.
        DropInitiatorSpi = "drop_initiator_spi",
        /// Dropped: unknown exchange type.
        DropExchange = "drop_exchange",
        /// Dropped: IKE_SA_INIT request with a message ID other than 0.
        DropMessageId = "drop_message_id",
        /// Dropped: IKE_SA_INIT request with a responder SPI.
        DropResponderSpi = "drop_responder_spi",
        /// Dropped: from a prefix that is blocked.
        DropBlocked = "drop_blocked",
        /// Dropped: names an SPI that is not ours, beyond those that user space refuses.
        DropStray = "drop_stray",
        /// Dropped: a major version above 2, beyond those that user space refuses.
        DropVersionLimit = "drop_version_limit",
        /// Dropped: IKE_SA_INIT request without a readable nonce, while cookies are asked for.
        DropNonce = "drop_nonce",
        /// Dropped: IKE_SA_INIT request with a good cookie, over the rate of its source.
        DropSourceLimit = "drop_source_limit",
        /// Dropped: IKE_SA_INIT request with a good cookie, over the rate of its network (IPv6, 48 bits).
        DropNetworkLimit = "drop_network_limit",
        /// Dropped: IKE_SA_INIT request with a good cookie, over the rate of all sources.
        DropTotalLimit = "drop_total_limit",
        /// Replied: IKE_SA_INIT request answered with COOKIE, as all are.
        ReplyCookie = "reply_cookie",
        /// Replied: IKE_SA_INIT request answered with COOKIE, its source being over its rate.
        ReplyCookieSource = "reply_cookie_source",
        /// Replied: IKE_SA_INIT request answered with COOKIE, its network (IPv6, 48 bits) being over its rate.
        ReplyCookieNetwork = "reply_cookie_network",
        /// Replied: IKE_SA_INIT request answered with COOKIE, all sources together being over the rate.
        ReplyCookieTotal = "reply_cookie_total",
        /// Redirected: names an SPI that is not ours, which user space refuses.
        RedirectStray = "redirect_stray",
        /// Redirected: a major version above 2, which user space refuses.
        RedirectVersion = "redirect_version",
        /// Redirected: IKEv2 on port 500.
        RedirectIke = "redirect_ike",
        /// Redirected: IKEv2 on port 4500.
        RedirectIkeNat = "redirect_ike_nat",
    }
}

/// What the XDP program does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave it to the kernel's network stack.
    Pass,
    /// Throw it away.
    Drop,
    /// Hand it to the AF_XDP socket of its RX queue.
    Redirect,
    /// Make an answer of it, and send that back.
    Reply,
}

impl Verdict {
    /// What is done with a frame of this verdict.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::PassNotIp
            | Self::PassVlanDepth
            | Self::PassNotUdp
            | Self::PassIpOptions
            | Self::PassExtensionHeader
            | Self::PassFirstFragment
            | Self::PassFragment
            | Self::PassOtherPort
            | Self::PassTransit
            | Self::PassMartian
            | Self::PassLinkLocal
            | Self::PassTruncated
            | Self::PassNoChecksum
            | Self::PassEsp
            | Self::PassIkev1
            | Self::PassTooLong
            | Self::PassNoSocket
            | Self::PassObserved => Action::Pass,
            Self::DropUdpLength
            | Self::DropKeepalive
            | Self::DropShort
            | Self::DropLength
            | Self::DropVersion
            | Self::DropIkev1
            | Self::DropInitiatorSpi
            | Self::DropExchange
            | Self::DropMessageId
            | Self::DropResponderSpi
            | Self::DropBlocked
            | Self::DropStray
            | Self::DropVersionLimit
            | Self::DropNonce
            | Self::DropSourceLimit
            | Self::DropNetworkLimit
            | Self::DropTotalLimit => Action::Drop,
            Self::ReplyCookie
            | Self::ReplyCookieSource
            | Self::ReplyCookieNetwork
            | Self::ReplyCookieTotal => Action::Reply,
            Self::RedirectStray
            | Self::RedirectVersion
            | Self::RedirectIke
            | Self::RedirectIkeNat => Action::Redirect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_begins_with_its_action() {
        for verdict in Verdict::ALL {
            let (prefix, help) = match verdict.action() {
                Action::Pass => ("pass_", "Passed: "),
                Action::Drop => ("drop_", "Dropped: "),
                Action::Redirect => ("redirect_", "Redirected: "),
                Action::Reply => ("reply_", "Replied: "),
            };
            assert!(verdict.name().starts_with(prefix), "{verdict:?}");
            assert!(verdict.help().starts_with(help), "{verdict:?}");
        }
    }

    #[test]
    fn an_index_leads_back_to_its_counter() {
        for (index, verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(verdict.index(), index);
        }
    }
}
