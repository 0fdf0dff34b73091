//! SAs: how they are described to the kernel.
//!
//! Tunnel mode, for IPv4 and IPv6 inside at once. What else the kernel leaves to
//! choose is left at its defaults, which are those of RFC 4301 and of other
//! daemons: Don't Fragment and the DSCP are copied from the packet to the tunnel,
//! the DSCP not back, and ECN both ways (RFC 6040).

use ikexdp_proto::data_plane::{Binding, Direction, EspSa, EspSaName, Tunnel, UsageLimits};
use netlink_packet_xfrm::state::{
    DelGetMessage as StateDelGetMessage, ModifyMessage as StateModifyMessage,
};
use netlink_packet_xfrm::{
    Address, EncapTmpl, IPPROTO_ESP, Id, LifetimeConfig, Mark, ReplayEsn, UDP_ENCAP_ESPINUDP,
    UserSaId, UserSaInfo, XFRM_INF, XFRM_MODE_TUNNEL, XFRM_STATE_AF_UNSPEC, XFRM_STATE_ESN,
    XfrmAttrs, XfrmMessage,
};

use super::address::family;
use super::algorithms;
use super::message::Message;
use super::reqid::reqid;

/// Packets behind the newest that may still come, once each. The least that
/// RFC 4303 §3.4.3 allows is 32, and it prefers 64; wireless links alone bring up
/// to 64 packets out of order, and queues of NICs mix several such lots. As a
/// bitmap it is 16 octets of the kernel's memory.
const REPLAY_WINDOW: u32 = 128;

/// Seconds between two events for one SA while its peer comes from elsewhere:
/// otherwise there is one for every packet until the SA has moved.
const REMAPPED_INTERVAL: u32 = 1;

/// Has the kernel make an SA.
pub(super) fn install(sa: &EspSa) -> Message {
    let EspSaName {
        direction,
        tunnel,
        binding,
        ..
    } = sa.name();
    let (source, destination) = ends(direction, &tunnel);
    let extended = sa.suite.extended_sequence_numbers;
    let user_sa_info = UserSaInfo {
        id: Id {
            daddr: Address::from_ip(&destination),
            spi: sa.spi.0,
            proto: IPPROTO_ESP,
        },
        saddr: Address::from_ip(&source),
        lifetime_cfg: limits(sa.limits),
        reqid: reqid(sa.lineage, direction),
        family: family(destination),
        mode: XFRM_MODE_TUNNEL,
        flags: XFRM_STATE_AF_UNSPEC | if extended { XFRM_STATE_ESN } else { 0 },
        ..UserSaInfo::default()
    };
    let mut nlas = algorithms::attributes(sa.suite.cipher, &sa.keys);
    nlas.push(XfrmAttrs::ReplayStateEsn(replay(direction)));
    nlas.extend(encapsulation(direction, &tunnel));
    nlas.extend(mark(direction, binding));
    nlas.extend(binding.if_id.map(XfrmAttrs::IfId));
    let message = StateModifyMessage { user_sa_info, nlas };
    Message::new(XfrmMessage::AddSa(message))
}

/// Has the kernel remove an SA.
pub(super) fn remove(name: &EspSaName) -> Message {
    Message::new(XfrmMessage::DeleteSa(identify(name)))
}

/// Asks the kernel for an SA.
pub(super) fn query(name: &EspSaName) -> Message {
    Message::new(XfrmMessage::GetSa(identify(name)))
}

/// Where packets of an SA come from and go to.
pub(super) const fn ends(
    direction: Direction,
    tunnel: &Tunnel,
) -> (std::net::IpAddr, std::net::IpAddr) {
    let (local, remote) = (tunnel.local.ip(), tunnel.remote.ip());
    match direction {
        Direction::Inbound => (remote, local),
        Direction::Outbound => (local, remote),
    }
}

/// The UDP header of ESP in UDP (RFC 3948), if it is.
pub(super) fn encapsulation(direction: Direction, tunnel: &Tunnel) -> Vec<XfrmAttrs> {
    let ports = (tunnel.local.port(), tunnel.remote.port());
    let (encap_sport, encap_dport) = match direction {
        Direction::Inbound => (ports.1, ports.0),
        Direction::Outbound => ports,
    };
    let template = XfrmAttrs::EncapsulationTemplate(EncapTmpl {
        encap_type: UDP_ENCAP_ESPINUDP,
        encap_sport,
        encap_dport,
        encap_oa: Address::default(),
    });
    match (tunnel.in_udp, direction) {
        (false, _) => Vec::new(),
        (true, Direction::Outbound) => vec![template],
        (true, Direction::Inbound) => {
            vec![template, XfrmAttrs::MappingTimeThreshold(REMAPPED_INTERVAL)]
        }
    }
}

/// What the kernel knows an SA by: the destination, the SPI and the mark.
fn identify(name: &EspSaName) -> StateDelGetMessage {
    let (_, destination) = ends(name.direction, &name.tunnel);
    StateDelGetMessage {
        user_sa_id: UserSaId {
            daddr: Address::from_ip(&destination),
            spi: name.spi.0,
            family: family(destination),
            proto: IPPROTO_ESP,
        },
        nlas: mark(name.direction, name.binding).into_iter().collect(),
    }
}

/// The mark is part of the name of outbound SAs, so that peers behind one NAT may
/// choose the same SPI. An inbound one has its SPI from us: it takes ESP with any
/// mark, so that packets can be marked before or after they are decrypted. Its
/// policies look at the mark in either case.
fn mark(direction: Direction, binding: Binding) -> Option<XfrmAttrs> {
    let mark = binding.mark?;
    let mark = Mark {
        value: mark.value,
        mask: mark.mask,
    };
    (direction == Direction::Outbound).then_some(XfrmAttrs::Mark(mark))
}

/// The sequence numbers of a new SA. The kernel wants a window, however small,
/// of outbound ones with extended sequence numbers.
fn replay(direction: Direction) -> ReplayEsn {
    let replay_window = match direction {
        Direction::Inbound => REPLAY_WINDOW,
        Direction::Outbound => 1,
    };
    let bmp = vec![0; usize::try_from(replay_window.div_ceil(u32::BITS)).unwrap_or_default()];
    ReplayEsn {
        bmp_len: replay_window.div_ceil(u32::BITS),
        replay_window,
        bmp,
        ..ReplayEsn::default()
    }
}

/// Time is the engine's business.
fn limits(limits: UsageLimits) -> LifetimeConfig {
    let UsageLimits {
        soft_octets,
        hard_octets,
        soft_packets,
        hard_packets,
    } = limits;
    LifetimeConfig {
        soft_byte_limit: soft_octets.unwrap_or(XFRM_INF),
        hard_byte_limit: hard_octets.unwrap_or(XFRM_INF),
        soft_packet_limit: soft_packets.unwrap_or(XFRM_INF),
        hard_packet_limit: hard_packets.unwrap_or(XFRM_INF),
        ..LifetimeConfig::default()
    }
}
