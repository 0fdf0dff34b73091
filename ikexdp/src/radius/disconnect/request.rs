//! A request to end sessions, and its answer.

use std::net::IpAddr;
use std::time::Duration;

use super::super::attribute::{Attribute, Kind};
use super::super::limits::REQUEST_AGE_MAX;
use super::super::packet::{Code, Draft, NONE, Packet};
use super::selector::Selector;

/// Why a datagram is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Stranger,
    Malformed,
    Unauthentic,
    Stale,
}

/// Why a request is refused (RFC 5176 §3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorCause(pub(super) u32);

impl ErrorCause {
    pub(super) const UNSUPPORTED_ATTRIBUTE: Self = Self(401);
    pub(super) const MISSING_ATTRIBUTE: Self = Self(402);
    pub(super) const NAS_IDENTIFICATION_MISMATCH: Self = Self(403);
    pub(super) const INVALID_REQUEST: Self = Self(404);
    pub(super) const UNSUPPORTED_SERVICE: Self = Self(405);
    pub(super) const SESSION_CONTEXT_NOT_FOUND: Self = Self(503);
    pub(super) const RESOURCES_UNAVAILABLE: Self = Self(506);
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    Refused(ErrorCause),
}

/// A packet of whoever knows the secret, made not long ago.
pub(super) fn verify<'a>(
    datagram: &'a [u8],
    secret: &[u8],
    now: Duration,
    must_be_signed: bool,
) -> Result<Packet<'a>, Unfit> {
    let packet = Packet::decode(datagram).map_err(|_| Unfit::Malformed)?;
    if !matches!(packet.code, Code::DISCONNECT_REQUEST | Code::COA_REQUEST) {
        return Err(Unfit::Malformed);
    }
    let is_signed = packet.is_signed(secret, &NONE).unwrap_or(!must_be_signed);
    if !packet.is_authentic(secret, &NONE) || !is_signed {
        return Err(Unfit::Unauthentic);
    }
    // RFC 5176 §6.3: what is too old is dropped without a word.
    if let Some(made) = packet.first(Kind::EVENT_TIMESTAMP) {
        let made = made.number().ok_or(Unfit::Malformed)?;
        if now.abs_diff(Duration::from_secs(made.into())) > REQUEST_AGE_MAX {
            return Err(Unfit::Stale);
        }
    }
    Ok(packet)
}

/// Whom a request wants ended, or why we do not do it.
pub(super) fn selected(
    packet: &Packet<'_>,
    table: &str,
    nas_identifier: &str,
) -> Result<Selector, ErrorCause> {
    if packet.code != Code::DISCONNECT_REQUEST {
        // Nothing of a session can be changed.
        return Err(ErrorCause::UNSUPPORTED_SERVICE);
    }
    let mut selector = Selector {
        table: table.to_owned(),
        ..Selector::default()
    };
    for attribute in packet.attributes() {
        match attribute.kind {
            Kind::ACCT_SESSION_ID => set(&mut selector.session, attribute)?,
            Kind::USER_NAME => set(&mut selector.user, attribute)?,
            Kind::CALLING_STATION_ID => set(&mut selector.calling_station, attribute)?,
            Kind::FRAMED_IP_ADDRESS | Kind::FRAMED_IPV6_ADDRESS => {
                let address = attribute.address();
                let address = address.filter(|address| is_of(*address, attribute.kind));
                let address = address.ok_or(ErrorCause::INVALID_REQUEST)?;
                selector.addresses.push(address);
            }
            Kind::NAS_IDENTIFIER if attribute.value != nas_identifier.as_bytes() => {
                return Err(ErrorCause::NAS_IDENTIFICATION_MISMATCH);
            }
            // RFC 5176 §3.1: Authorize Only is not for these requests.
            Kind::SERVICE_TYPE => return Err(ErrorCause::UNSUPPORTED_SERVICE),
            // Who we are, and what is said of the reason. A NAT may have changed our
            // addresses.
            Kind::NAS_IDENTIFIER
            | Kind::NAS_IP_ADDRESS
            | Kind::NAS_IPV6_ADDRESS
            | Kind::ACCT_TERMINATE_CAUSE
            | Kind::REPLY_MESSAGE
            | Kind::EVENT_TIMESTAMP
            | Kind::PROXY_STATE
            | Kind::MESSAGE_AUTHENTICATOR => {}
            // RFC 5176 §3: nothing else may be there, and what may be might select.
            _ => return Err(ErrorCause::UNSUPPORTED_ATTRIBUTE),
        }
    }
    if selector.is_empty() {
        return Err(ErrorCause::MISSING_ATTRIBUTE);
    }
    Ok(selector)
}

fn is_of(address: IpAddr, kind: Kind) -> bool {
    address.is_ipv4() == (kind == Kind::FRAMED_IP_ADDRESS)
}

/// Of each of these there is at most one (RFC 5176 §3.6).
fn set(place: &mut Option<String>, attribute: Attribute<'_>) -> Result<(), ErrorCause> {
    let text = str::from_utf8(attribute.value).map_err(|_| ErrorCause::INVALID_REQUEST)?;
    match place.replace(text.to_owned()) {
        None => Ok(()),
        Some(_) => Err(ErrorCause::INVALID_REQUEST),
    }
}

/// The answer to `request`, if it fits a packet: with the states that proxies have
/// left, in their order (RFC 2865 §5.33).
pub(super) fn answer(request: &Packet<'_>, verdict: Verdict, secret: &[u8]) -> Option<Vec<u8>> {
    let code = match (request.code, verdict) {
        (Code::DISCONNECT_REQUEST, Verdict::Done) => Code::DISCONNECT_ACK,
        (Code::DISCONNECT_REQUEST, Verdict::Refused(_)) => Code::DISCONNECT_NAK,
        (_, _) => Code::COA_NAK,
    };
    let mut draft = Draft::signed(code);
    if let Verdict::Refused(ErrorCause(cause)) = verdict {
        draft.push_number(Kind::ERROR_CAUSE, cause).ok()?;
    }
    for state in request.all(Kind::PROXY_STATE) {
        if !state.value.is_empty() {
            draft.push(Kind::PROXY_STATE, state.value).ok()?;
        }
    }
    Some(draft.response(request.identifier, &request.authenticator, secret))
}
