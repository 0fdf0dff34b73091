//! IKE_AUTH that was answered: whether the answer arrives.

use std::time::Duration;

use ikexdp_proto::types::Spi;
use ikexdp_proto::wire::iana::NotifyType;

use super::auth::{announced, in_part, ip_fragments, sent, vanished};
use super::case::{Arrival, Case, Judgement, evidence, failed, remark};
use super::ending;
use crate::attempt::exchange::Exchange;
use crate::message::Message;
use crate::model::{Confidence, Vantage};
use crate::time::Moment;
use crate::verdict::{Direction, Verdict};

/// The last exchange of the client, which has an answer.
pub(super) fn judge(case: &Case<'_>, exchange: &Exchange<'_>) -> Judgement {
    if let Some(judgement) = in_the_clear(case, exchange) {
        return judgement;
    }
    if let Some(judgement) = of_another(case, exchange) {
        return judgement;
    }
    let response = &exchange.response;
    let arrival = case.arrival(response);
    if matches!(arrival, Arrival::Part | Arrival::Not) {
        if !case.is_in_vain(&exchange.request) {
            return Judgement::Open;
        }
        return if arrival == Arrival::Part {
            in_part(case, response)
        } else {
            vanished(case, response, Confidence::Certain)
        };
    }
    let again = repeats_after(case, exchange);
    let answered = exchange.response.last().unwrap_or_default();
    let silence = case.end.since(answered);
    let is_over =
        case.next.is_some() || (again >= IN_VAIN && silence >= PAUSE.max(last_pause(exchange)));
    match arrival {
        // It is here, and asked for all the same.
        Arrival::Whole if again > 0 && (is_over || again >= IN_VAIN) => {
            unacknowledged(case, exchange, arrival, again)
        }
        Arrival::Unknown if again > 0 && is_over => unacknowledged(case, exchange, arrival, again),
        _ => ending::judge(case, exchange),
    }
}

/// Repeats of a request that cross its answer may be one, on a slow path.
const IN_VAIN: usize = 2;
/// A client that still waits asks again after that, as Windows does, or after as long as before.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the client asked after it could have had the whole answer: where that is seen, since it had.
fn repeats_after(case: &Case<'_>, exchange: &Exchange<'_>) -> usize {
    let answered = match case.at_receiver(&exchange.response) {
        Some(view) => view.whole_at(),
        None => exchange.response.first(),
    };
    let Some(answered) = answered else {
        return 0;
    };
    let repeats = repeats(exchange).into_iter();
    repeats.filter(|time| *time > answered).count()
}

/// Times of all repeats of the request.
fn repeats(exchange: &Exchange<'_>) -> Vec<Moment> {
    let (_, view) = exchange.request.fullest();
    let is_start = |number: Option<u16>| number.is_none_or(|number| number == 1);
    let starts = view
        .messages
        .iter()
        .filter(|message| is_start(message.fragment.map(|fragment| fragment.number)));
    starts
        .filter(|message| message.repeat_of.is_some())
        .map(|message| message.time)
        .collect()
}

/// The time between the last two repeats.
fn last_pause(exchange: &Exchange<'_>) -> Duration {
    let times = repeats(exchange);
    let mut last = times.iter().rev();
    match (last.next(), last.next()) {
        (Some(last), Some(before)) => last.since(*before),
        _ => Duration::ZERO,
    }
}

/// An error without protection: whoever sent it does not have this IKE SA.
fn in_the_clear(case: &Case<'_>, exchange: &Exchange<'_>) -> Option<Judgement> {
    let (message, error) = exchange.response.error()?;
    let is_refusal = exchange.response.messages().all(Message::is_clear);
    if !is_refusal {
        return None;
    }
    let frames = message.frames.iter().copied();
    let mut seen = vec![evidence(
        message.capture,
        frames,
        format!("the answer to IKE_AUTH is {error}, unprotected"),
    )];
    if error == NotifyType::INVALID_IKE_SPI {
        let waited = exchange
            .start()
            .since(case.init().map_or(exchange.start(), Exchange::end));
        seen.push(remark(format!(
            "whoever got it does not know the SPI that IKE_SA_INIT was answered with {:.1} s before: another gateway, or one that was started anew",
            waited.as_secs_f64()
        )));
        return Some(failed(Verdict::DifferentGateways, Confidence::Likely, seen));
    }
    Some(failed(
        Verdict::InitRefused(error),
        Confidence::Likely,
        seen,
    ))
}

/// An answer under another SPI, or that the gateway whose capture it is never sent.
fn of_another(case: &Case<'_>, exchange: &Exchange<'_>) -> Option<Judgement> {
    // A gateway that is asked twice may answer IKE_SA_INIT twice, and the client takes either.
    let asked = exchange.request.messages().next();
    let asked = asked.map(|message| message.header.spis.responder);
    let accepted = case
        .accepted()
        .map(|(message, _)| message.header.spis.responder);
    let expected = asked.filter(|spi| *spi != Spi::ZERO).or(accepted);
    let is_other = |spi: Spi| spi != Spi::ZERO && expected.is_some_and(|expected| expected != spi);
    let other = exchange
        .response
        .messages()
        .find(|message| is_other(message.header.spis.responder));
    if let Some(message) = other {
        let says = format!(
            "the answer has the SPI {}, the request has another",
            message.header.spis.responder
        );
        let seen = vec![evidence(
            message.capture,
            message.frames.iter().copied(),
            says,
        )];
        return Some(failed(
            Verdict::DifferentGateways,
            Confidence::Certain,
            seen,
        ));
    }
    let is_unsent = case.has_both()
        && exchange.response.view(0).is_seen()
        && !exchange.response.view(1).is_seen()
        && !exchange.request.view(1).is_seen()
        && case
            .init()
            .is_some_and(|init| init.response.view(1).is_seen());
    is_unsent.then(|| {
        let says = "the client has an answer that the gateway whose capture this is did not send";
        let seen = vec![evidence(0, exchange.response.view(0).frames(), says)];
        failed(Verdict::DifferentGateways, Confidence::Certain, seen)
    })
}

/// The client asks again and again for what was answered.
fn unacknowledged(
    case: &Case<'_>,
    exchange: &Exchange<'_>,
    arrival: Arrival,
    again: usize,
) -> Judgement {
    let (capture, view) = exchange.response.fullest();
    let mut seen = vec![
        evidence(capture, view.frames(), sent(view)),
        case.shown_by(
            &exchange.request,
            format!("the client repeats its request {} times after that", again),
        ),
    ];
    if view.is_ip_fragmented() {
        seen.push(announced(case));
        return failed(
            ip_fragments(case, Direction::FromGateway),
            Confidence::Likely,
            seen,
        );
    }
    let confidence = match (arrival, case.vantage()) {
        (Arrival::Whole, _) => {
            seen.push(remark("the answer is there where the client captures: something on its host drops it, or it cannot be read"));
            Confidence::Possible
        }
        (_, Some(Vantage::Gateway)) => Confidence::Certain,
        _ => Confidence::Likely,
    };
    let verdict = Verdict::ReplyUnacknowledged {
        times: view.times_sent(),
        datagram_len: view.longest(),
        fragments: view.fragmented().map_or(1, |cut| cut.total),
    };
    failed(verdict, confidence, seen)
}
