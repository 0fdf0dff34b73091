//! What an Access-Accept grants.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ikexdp_proto::eap::RejectionReason;
use ikexdp_proto::types::Secret;
use zeroize::Zeroizing;

use super::attribute::{FRAMED, Kind};
use super::crypto::{Authenticator, decrypt_key};
use super::limits::{
    CLASSES_MAX, GROUPS_MAX, INTERIM_INTERVAL_MAX, INTERIM_INTERVAL_MIN, MESSAGE_LEN_MAX, MSK_LEN,
};
use super::packet::Packet;

/// Octets of a key below which it can be guessed: MPPE with 128 bits has this many,
/// and all EAP methods of use here have that or more.
const KEY_LEN_MIN: usize = 16;

/// What the server says of a user that may come in.
#[derive(Debug)]
pub(super) struct Grant {
    /// The name to use from now on, if it is another.
    pub(super) user: Option<String>,
    pub(super) msk: Secret<Vec<u8>>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) groups: Vec<String>,
    pub(super) session_timeout: Option<Duration>,
    pub(super) classes: Vec<Vec<u8>>,
    pub(super) interim_interval: Option<Duration>,
}

/// Reads an Access-Accept to a request with that authenticator. Its EAP-Message is
/// not looked at: the code alone decides (RFC 3579 §2.6.3).
pub(super) fn grant(
    packet: &Packet<'_>,
    request: &Authenticator,
    secret: &[u8],
) -> Result<Grant, RejectionReason> {
    // RFC 2865 §5.6: a service that we do not have is a rejection.
    let mut services = packet.all(Kind::SERVICE_TYPE);
    if services.any(|service| service.number() != Some(FRAMED)) {
        let reason = "Service-Type of the Access-Accept is not Framed";
        return Err(RejectionReason::Protocol(reason));
    }
    let seconds = |kind| {
        let seconds = packet.first(kind)?.number()?;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    };
    let interim_interval = seconds(Kind::ACCT_INTERIM_INTERVAL);
    let user = packet.first(Kind::USER_NAME);
    let groups = packet.all(Kind::FILTER_ID).take(GROUPS_MAX);
    let classes = packet.all(Kind::CLASS).take(CLASSES_MAX);
    Ok(Grant {
        user: user.map(|name| name.text()).filter(|name| !name.is_empty()),
        msk: msk(packet, request, secret)?,
        addresses: addresses(packet),
        groups: groups.map(|group| group.text()).collect(),
        session_timeout: seconds(Kind::SESSION_TIMEOUT),
        classes: classes.map(|class| class.value.to_vec()).collect(),
        interim_interval: interim_interval
            .map(|interval| interval.clamp(INTERIM_INTERVAL_MIN, INTERIM_INTERVAL_MAX)),
    })
}

/// The master session key: MS-MPPE-Recv-Key, which is its first half (RFC 5216
/// §2.3), and behind it MS-MPPE-Send-Key. Where both are shorter, as those of
/// EAP-MSCHAPv2, zeros follow.
fn msk(
    packet: &Packet<'_>,
    request: &Authenticator,
    secret: &[u8],
) -> Result<Secret<Vec<u8>>, RejectionReason> {
    let key = |kind| {
        let mut attributes = packet.attributes().flat_map(|it| it.of_microsoft());
        let hidden = attributes.find(|it| it.kind == kind);
        let hidden = hidden.ok_or(RejectionReason::NoKey)?;
        decrypt_key(secret, request, hidden.value)
            .filter(|key| key.len() >= KEY_LEN_MIN)
            .ok_or(RejectionReason::Protocol("MS-MPPE key has no right length"))
    };
    let (first, second) = (key(Kind::MS_MPPE_RECV_KEY)?, key(Kind::MS_MPPE_SEND_KEY)?);
    let length = first.len().saturating_add(second.len()).max(MSK_LEN);
    // Of its final size at once: what is moved from leaves its octets behind.
    let mut msk = Zeroizing::new(Vec::with_capacity(length));
    msk.extend_from_slice(&first);
    msk.extend_from_slice(&second);
    msk.resize(length, 0);
    Ok(Secret::new(std::mem::take(&mut *msk)))
}

/// One address of each family; those that mean that we, or the user, may choose
/// (RFC 2865 §5.8) are none.
fn addresses(packet: &Packet<'_>) -> Vec<IpAddr> {
    const CHOSEN_BY_NAS: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 254);
    let of_kind = |kind, is_v4: bool| {
        let mut addresses = packet.all(kind).filter_map(|it| it.address());
        addresses.find(|address| address.is_ipv4() == is_v4 && !address.is_unspecified())
    };
    let is_fixed = |address: &IpAddr| {
        *address != IpAddr::V4(Ipv4Addr::BROADCAST) && *address != IpAddr::V4(CHOSEN_BY_NAS)
    };
    let v4 = of_kind(Kind::FRAMED_IP_ADDRESS, true).filter(is_fixed);
    let v6 = of_kind(Kind::FRAMED_IPV6_ADDRESS, false);
    v4.into_iter().chain(v6).collect()
}

/// The Reply-Messages, for the log: what would write elsewhere than on its own line
/// is escaped, and too much of it cut.
pub(super) fn reply_message(packet: &Packet<'_>) -> Option<String> {
    let texts: Vec<_> = packet
        .all(Kind::REPLY_MESSAGE)
        .map(|it| it.text())
        .collect();
    let text = texts.join(" ");
    let escaped = text.chars().flat_map(|c| {
        let plain = matches!(c, '\'' | '"' | '\\').then_some(c);
        let escaped = plain.is_none().then(|| c.escape_debug());
        plain.into_iter().chain(escaped.into_iter().flatten())
    });
    let message: String = escaped.take(MESSAGE_LEN_MAX).collect();
    (!message.is_empty()).then_some(message)
}
