//! IKE_AUTH that is not there, or gets no answer.

use std::time::Duration;

use ikexdp_proto::types::NAT_T_PORT;
use ikexdp_proto::wire::iana::ExchangeType;

use super::case::{Arrival, Case, Judgement, evidence, failed, remark, times};
use super::init::said;
use super::pieces::pieces;
use crate::attempt::exchange::{Exchange, Fragmented, Transfer, View};
use crate::model::{Confidence, Evidence, IcmpError, IcmpSeen, Vantage};
use crate::verdict::{Direction, Unanswered, Verdict};

/// From this length on a datagram may be too long for a path that carries all shorter ones: 1280 is what IPv6 guarantees,
/// and tunnels take some off 1500.
pub(super) const LARGE: usize = 1200;
/// A client that has its answer goes on at once, or computes for less than this.
const NO_HURRY: Duration = Duration::from_secs(3);
/// A capture that began so long before IKE_AUTH would have IKE_SA_INIT.
const BEFORE: Duration = Duration::from_secs(2);

/// IKE_SA_INIT was answered, and of IKE_AUTH no first datagram is there.
pub(super) fn absent(case: &Case<'_>) -> Judgement {
    let Some((init, (answer, _))) = case.init().zip(case.accepted()) else {
        return Judgement::Open;
    };
    if let Some(judgement) = loose(case) {
        return judgement;
    }
    let mut seen = vec![case.shown_by(
        &init.response,
        "IKE_SA_INIT is answered, and the gateway goes on",
    )];
    let again = init
        .request
        .messages()
        .filter(|request| request.time > answer.time)
        .count();
    if again > 0 && (case.next.is_some() || again > 1 || case.end.since(answer.time) >= NO_HURRY) {
        seen.push(case.shown_by(
            &init.request,
            format!("the client repeats its request {again} times after that"),
        ));
        return reply_lost(case, init, seen);
    }
    if case.next.is_none() && case.end.since(answer.time) < NO_HURRY {
        return Judgement::Open;
    }
    let is_filtered = case.captures.iter().all(|it| it.nat_port_datagrams == 0);
    if is_filtered {
        seen.push(remark(
            "nothing of port 4500 is in this capture: was it filtered?",
        ));
    }
    let next = case.next.map(|next| next.since(answer.time).as_secs_f64());
    seen.push(remark(match next {
        Some(after) => format!("nothing follows; after {after:.1} s the client begins anew"),
        None => format!(
            "nothing follows for {:.1} s",
            case.end.since(answer.time).as_secs_f64()
        ),
    }));
    let confidence = match case.vantage() {
        _ if is_filtered => Confidence::Possible,
        None | Some(Vantage::Client) if case.next.is_some() => Confidence::Certain,
        None | Some(Vantage::Client) => Confidence::Likely,
        Some(Vantage::Unknown) => Confidence::Likely,
        Some(Vantage::Gateway) => {
            seen.push(remark(lost_before(case)));
            Confidence::Possible
        }
    };
    failed(Verdict::NoAuthRequest, confidence, seen)
}

/// What a capture of the gateway alone cannot tell apart.
fn lost_before(case: &Case<'_>) -> &'static str {
    if case.client_announced() == Some(true) && case.gateway_announced() == Some(true) {
        "the capture is the gateway's: IKE_AUTH may have been sent and lost, on port 4500 as a whole; \
         with the client's capture it is known"
    } else {
        "the capture is the gateway's: IKE_AUTH may have been sent as IP fragments that were dropped, for \
         not both sides announce IKE fragmentation; with the client's capture it is known"
    }
}

fn reply_lost(case: &Case<'_>, init: &Exchange<'_>, mut seen: Vec<Evidence>) -> Judgement {
    let confidence = match case.arrival(&init.response) {
        Arrival::Not => {
            seen.push(remark("the client's capture does not have the answer"));
            Confidence::Certain
        }
        Arrival::Whole => {
            seen.push(remark(
                "the answer is there where the client captures: something on its host drops it",
            ));
            Confidence::Possible
        }
        Arrival::Part | Arrival::Unknown => Confidence::Likely,
    };
    failed(
        Verdict::InitUnanswered(Unanswered::ReplyLost),
        confidence,
        seen,
    )
}

/// IP fragments from the client without a first one.
fn loose(case: &Case<'_>) -> Option<Judgement> {
    let lost = case
        .attempt
        .fragments
        .iter()
        .find(|lost| lost.direction == Direction::FromClient)?;
    let frames = lost.pieces.iter().map(|piece| piece.frame);
    let says = format!(
        "IP fragments of the client without the first: {}",
        pieces(&lost.pieces)
    );
    let seen = vec![evidence(lost.capture, frames, says), announced(case)];
    Some(failed(
        ip_fragments(case, Direction::FromClient),
        Confidence::Likely,
        seen,
    ))
}

/// A request that is there, and no answer.
pub(super) fn unanswered(case: &Case<'_>, exchange: &Exchange<'_>) -> Judgement {
    let request = &exchange.request;
    if !case.is_in_vain(request) {
        return Judgement::Open;
    }
    if let Some(judgement) = icmp(case, request) {
        return judgement;
    }
    let is_later = !is_first(case, request);
    if is_later && case.next.is_none() && waited(case, request) < PEOPLE {
        return Judgement::Open;
    }
    match case.arrival(request) {
        Arrival::Unknown if is_later && uses_nat_port(request.fullest().1) => {
            ignored(case, exchange, Confidence::Possible)
        }
        Arrival::Whole if is_later => ignored(case, exchange, Confidence::Likely),
        Arrival::Part => in_part(case, request),
        Arrival::Not => vanished(case, request, Confidence::Certain),
        Arrival::Whole => ignored(case, exchange, Confidence::Certain),
        Arrival::Unknown => vanished(case, request, Confidence::Likely),
    }
}

/// Whoever sits before a telephone that asks whether it is them, and RADIUS behind it, gives up within that.
pub(super) const PEOPLE: Duration = Duration::from_secs(60);

fn waited(case: &Case<'_>, request: &Transfer<'_>) -> Duration {
    case.end.since(request.asked().unwrap_or_default())
}

/// Whether a request is the first behind IKE_SA_INIT, or that of IKE_AUTH behind IKE_INTERMEDIATE.
fn is_first(case: &Case<'_>, request: &Transfer<'_>) -> bool {
    let id = request
        .messages()
        .next()
        .map_or(0, |message| message.header.message_id.0);
    let intermediate = case.of_client(&[ExchangeType::IKE_INTERMEDIATE]).count();
    let is_known = u32::try_from(intermediate).unwrap_or(u32::MAX);
    id <= is_known.saturating_add(1)
}

/// ICMP about what was sent.
fn icmp(case: &Case<'_>, request: &Transfer<'_>) -> Option<Judgement> {
    let first = request.first()?;
    let (capture, view) = request.fullest();
    let about = |it: &&IcmpSeen| it.direction == request.direction && it.time >= first;
    let about: Vec<_> = case.attempt.icmp.iter().filter(about).collect();
    let is_too_big = |it: &&&IcmpSeen| matches!(it.error, IcmpError::TooBig(_));
    let icmp = about.iter().find(is_too_big).or(about.first())?;
    let datagram_len = view.longest();
    let verdict = match icmp.error {
        IcmpError::TooBig(_) => Verdict::LargeDatagramsLost {
            direction: request.direction,
            datagram_len,
            passed: case.passed(request.direction),
        },
        IcmpError::ReassemblyTime => ip_fragments(case, request.direction),
        _ if uses_nat_port(view) && request.direction == Direction::FromClient => {
            Verdict::NatPortBlocked
        }
        _ => return None,
    };
    let seen = vec![
        evidence(capture, view.frames(), sent(view)),
        evidence(
            icmp.capture,
            std::iter::once(icmp.frame),
            format!("ICMP says of it: {}", said(icmp.error)),
        ),
    ];
    Some(failed(verdict, Confidence::Certain, seen))
}

/// Some fragments are there, by whatever view shows that.
pub(super) fn in_part(case: &Case<'_>, transfer: &Transfer<'_>) -> Judgement {
    let index = case.receiving(transfer.direction);
    let received = transfer.view(index);
    let view = if received.is_seen() {
        received
    } else {
        transfer.fullest().1
    };
    let direction = transfer.direction;
    let broken = view.messages.iter().find(|message| !message.whole);
    let mut seen = Vec::new();
    let confidence = if view.times_sent() > 1 || case.has_both() {
        Confidence::Certain
    } else {
        Confidence::Likely
    };
    if case.has_both()
        && let Some(sender) = case.at_sender(transfer)
    {
        let index = case.receiving(transfer.direction.reverse());
        seen.push(evidence(index, sender.frames(), sent(sender)));
    }
    match (
        view.fragmented()
            .filter(|cut| !cut.missing.is_empty() && cut.total > 1),
        broken,
    ) {
        (Some(cut), broken) if broken.is_none_or(|message| message.fragment.is_some()) => {
            let there = usize::from(cut.total).saturating_sub(cut.missing.len());
            let says = format!(
                "{there} of {} IKE fragments are there, in {} transmissions",
                cut.total,
                view.times_sent()
            );
            seen.push(evidence(index, view.frames(), says));
            by_size(case, transfer, view, &cut, &mut seen).unwrap_or_else(|| {
                let verdict = Verdict::IkeFragmentsLost {
                    direction,
                    datagram_len: view.longest().max(transfer.fullest().1.longest()),
                    missing: cut.missing,
                    total: cut.total,
                };
                failed(verdict, confidence, std::mem::take(&mut seen))
            })
        }
        (_, Some(message)) => {
            let says = format!("IP fragments of one datagram: {}", pieces(&message.pieces));
            seen.push(evidence(index, message.frames.iter().copied(), says));
            seen.push(announced(case));
            failed(ip_fragments(case, direction), confidence, seen)
        }
        _ => vanished(case, transfer, Confidence::Likely),
    }
}

/// Whether it is the long fragments that are missing, and the shorter ones that are there.
fn by_size(
    case: &Case<'_>,
    transfer: &Transfer<'_>,
    view: &View<'_>,
    cut: &Fragmented,
    seen: &mut Vec<Evidence>,
) -> Option<Judgement> {
    let direction = transfer.direction;
    let sizes = |view: &View<'_>, wanted: bool| {
        let of_cut = view
            .messages
            .iter()
            .filter_map(|message| Some((message, message.fragment?)));
        let of_cut = of_cut.filter(|(_, fragment)| fragment.total == cut.total);
        let chosen =
            of_cut.filter(|(_, fragment)| cut.missing.contains(&fragment.number) == wanted);
        chosen
            .map(|(message, _)| message.datagram_len)
            .collect::<Vec<_>>()
    };
    let passed = sizes(view, false).into_iter().max()?;
    let sent = case
        .at_sender(transfer)
        .map(|sender| sizes(sender, true))
        .unwrap_or_default();
    let (shortest, longest) = (sent.iter().min().copied(), sent.iter().max().copied());
    // All but the last are of one length, which the last is not longer than.
    let only_last = cut.missing.iter().copied().eq(1..cut.total);
    let is_by_size = shortest.map_or(only_last && view.times_sent() > 1, |shortest| {
        shortest > passed
    });
    if !is_by_size {
        return None;
    }
    seen.push(remark(format!(
        "those that are there have {passed} octets at most, and those that are missing more"
    )));
    let confidence = if sent.is_empty() {
        Confidence::Likely
    } else {
        Confidence::Certain
    };
    let datagram_len = longest.unwrap_or(0);
    let sender = case
        .at_sender(transfer)
        .filter(|_| direction == Direction::FromGateway);
    let verdict = match sender {
        Some(sender) => Verdict::ReplyUnacknowledged {
            times: sender.times_sent(),
            datagram_len,
            fragments: cut.total,
        },
        None => Verdict::LargeDatagramsLost {
            direction,
            datagram_len,
            passed,
        },
    };
    Some(failed(verdict, confidence, std::mem::take(seen)))
}

/// Sent, and as far as is known never arrived.
pub(super) fn vanished(
    case: &Case<'_>,
    transfer: &Transfer<'_>,
    confidence: Confidence,
) -> Judgement {
    let (capture, view) = transfer.fullest();
    let direction = transfer.direction;
    let mut seen = vec![evidence(capture, view.frames(), sent(view))];
    if view.is_ip_fragmented() {
        seen.push(announced(case));
        if confidence < Confidence::Certain {
            seen.push(remark("all IP fragments of it are here; with the other end's capture it is known which arrive"));
        }
        return failed(ip_fragments(case, direction), confidence, seen);
    }
    let (longest, passed) = (view.longest(), case.passed(direction));
    if direction == Direction::FromGateway {
        seen.push(remark("the client's capture has nothing of it"));
        let fragments = view.fragmented().map_or(1, |cut| cut.total);
        let verdict = Verdict::ReplyUnacknowledged {
            times: view.times_sent(),
            datagram_len: longest,
            fragments,
        };
        return failed(verdict, confidence, seen);
    }
    if longest > passed && longest >= LARGE {
        seen.push(remark(format!(
            "the longest datagram that was answered had {passed} octets"
        )));
        let is_known = confidence == Confidence::Certain;
        if !is_known {
            seen.push(remark(
                "it may as well be the answer that is lost, or the gateway that is silent: with its capture it is known",
            ));
        }
        let confidence = if is_known {
            confidence
        } else {
            Confidence::Possible
        };
        let verdict = Verdict::LargeDatagramsLost {
            direction,
            datagram_len: longest,
            passed,
        };
        return failed(verdict, confidence, seen);
    }
    if uses_nat_port(view) {
        seen.push(remark(
            "datagrams of this length pass on port 500; a load balancer that sends port 4500 to another gateway looks the same",
        ));
        let is_cut = view.fragmented().is_some();
        if is_cut && confidence != Confidence::Certain {
            seen.push(remark(
                "it may as well be one of the fragments that is lost each time, or the answer: with the gateway's capture it is known",
            ));
        }
        let bound = if is_cut {
            Confidence::Possible
        } else {
            Confidence::Likely
        };
        return failed(Verdict::NatPortBlocked, confidence.min(bound), seen);
    }
    seen.push(remark(
        "its length does not explain it: with the gateway's capture it is known whether it arrives",
    ));
    let fragments = view.fragmented().map_or(1, |cut| cut.total);
    failed(
        Verdict::RequestIgnored { fragments },
        Confidence::Possible,
        seen,
    )
}

/// Arrived, and no answer.
fn ignored(case: &Case<'_>, exchange: &Exchange<'_>, confidence: Confidence) -> Judgement {
    let view = case
        .at_receiver(&exchange.request)
        .unwrap_or_else(|| exchange.request.fullest().1);
    let fragments = view.fragmented().map_or(1, |cut| cut.total);
    let capture = case.receiving(Direction::FromClient);
    let mut seen = vec![evidence(
        capture,
        view.frames(),
        if case.at_receiver(&exchange.request).is_some() {
            format!("arrived: {}", sent(view))
        } else {
            sent(view)
        },
    )];
    let began = case.captures.get(capture).and_then(|capture| capture.first);
    let began = began.unwrap_or_default();
    let is_first_seen = is_first(case, &exchange.request)
        && case.init().is_none()
        && exchange.start().since(began) >= BEFORE;
    let was_elsewhere = case.has_both()
        && case
            .init()
            .is_some_and(|init| !init.request.view(1).is_seen() && init.response.is_seen());
    if is_first_seen || was_elsewhere {
        seen.push(remark(
            "its IKE_SA_INIT did not come here, and was answered elsewhere",
        ));
        let confidence = if was_elsewhere {
            Confidence::Certain
        } else {
            Confidence::Likely
        };
        return failed(Verdict::DifferentGateways, confidence, seen);
    }
    seen.push(remark(if confidence > Confidence::Possible {
        "no answer leaves the gateway"
    } else {
        "earlier requests were answered; with the gateway's capture it is known whether this one arrives"
    }));
    failed(Verdict::RequestIgnored { fragments }, confidence, seen)
}

/// The verdict on IP fragments.
pub(super) fn ip_fragments(case: &Case<'_>, direction: Direction) -> Verdict {
    Verdict::IpFragmentsLost {
        direction,
        client_announced: case.client_announced(),
        gateway_announced: case.gateway_announced(),
    }
}

/// Who announced IKE fragmentation.
pub(super) fn announced(case: &Case<'_>) -> Evidence {
    let said = |announced: Option<bool>| match announced {
        Some(true) => "announced",
        Some(false) => "not announced",
        None => "not seen",
    };
    remark(format!(
        "IKE fragmentation (RFC 7383), by the client: {}, by the gateway: {}",
        said(case.client_announced()),
        said(case.gateway_announced())
    ))
}

/// A message, how large and how often.
pub(super) fn sent(view: &View<'_>) -> String {
    let Some(message) = view.messages.first() else {
        return "nothing".to_owned();
    };
    let exchange = message.header.exchange;
    let id = message.header.message_id.0;
    let kind = if message.header.response {
        "response"
    } else {
        "request"
    };
    let longest = view.longest();
    let cut = match (view.fragmented(), view.is_ip_fragmented()) {
        (Some(cut), _) => format!(" in {} IKE fragments of up to {longest} octets", cut.total),
        (None, true) => format!(" of {longest} octets in IP fragments"),
        (None, false) => format!(" of {longest} octets"),
    };
    format!("{exchange} {kind} {id}{cut}, sent {}", times(view))
}

fn uses_nat_port(view: &View<'_>) -> bool {
    view.messages.iter().any(|message| {
        message.source.port() == NAT_T_PORT || message.destination.port() == NAT_T_PORT
    })
}
