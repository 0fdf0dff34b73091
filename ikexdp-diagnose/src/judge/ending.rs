//! IKE_AUTH that was answered, and the answer arrived: how it ended.

use std::collections::BTreeSet;
use std::time::Duration;

use ikexdp_proto::wire::iana::ExchangeType;

use super::auth::PEOPLE;
use super::case::{Case, Judgement, failed, remark};
use super::sizes::{self, Inside};
use crate::attempt::exchange::Exchange;
use crate::model::{Confidence, Evidence};
use crate::time::Moment;
use crate::verdict::{Direction, Verdict};

/// A client that dislikes the answer closes within that, though it may ask whether a certificate is revoked first. A
/// client that asks whether the gateway lives does so after five seconds at the soonest, Windows after nine.
const SOON: Duration = Duration::from_secs(5);
/// As long as Windows asks for a list of revoked certificates: who closes by then may dislike the answer, or be told to.
const CHECKED: Duration = Duration::from_secs(20);
/// ESP of an SA that was just set up begins by then; what begins later, and one way only, may be of another.
const TRAFFIC_BEGINS: Duration = Duration::from_secs(5);
/// Octets of ciphertext that hold a Delete, or an error with a code of Windows beside it, and no update of addresses.
const CLOSING: usize = 48;
/// Nobody fails and begins anew in less: it is another client under the same address.
const THOUGHT: Duration = Duration::from_millis(500);
/// A client goes on sooner behind IKE_INTERMEDIATE.
const INTERMEDIATE_SILENCE: Duration = Duration::from_secs(3);

/// Whether what follows shows that the IKE SA is up: traffic of the client, or exchanges that only an SA has that lives.
pub(super) fn is_carrying(case: &Case<'_>) -> bool {
    let auth = case.of_client(&[ExchangeType::IKE_AUTH]).last();
    let Some((auth, answered)) = auth.and_then(|auth| Some((auth, answered(auth)?))) else {
        return false;
    };
    if has_traffic(case, answered)
        && Inside::of(case, auth.response.fullest().1) != Some(Inside::OneNotify)
    {
        return true;
    }
    let lives = |exchange: &Exchange<'_>| {
        let is_later = exchange.start() > answered;
        let is_answered = exchange.request.is_seen() && exchange.response.is_seen();
        match exchange.kind {
            ExchangeType::CREATE_CHILD_SA => is_later && is_answered,
            // The client answers what the gateway asks, or asks after a while.
            ExchangeType::INFORMATIONAL => {
                is_later
                    && is_answered
                    && (exchange.by() == Direction::FromGateway
                        || (exchange.start().since(answered) > SOON
                            && !is_the_end(case, exchange, answered)))
            }
            _ => false,
        }
    };
    let asked = case
        .of_client(&[ExchangeType::INFORMATIONAL])
        .filter(|exchange| exchange.response.is_seen());
    // Who closes does so once.
    case.exchanges.iter().any(lives) || asked.count() > 1
}

/// When IKE_AUTH was answered. A capture that has one direction alone does not show that; a client that does not ask
/// again has its answer.
fn answered(auth: &Exchange<'_>) -> Option<Moment> {
    let is_once = auth.request.fullest().1.times_sent() == 1;
    auth.response
        .last()
        .or_else(|| auth.request.last().filter(|_| is_once))
}

/// Whether ESP is of this SA: it flows both ways, or begins as soon as it may.
fn has_traffic(case: &Case<'_>, answered: Moment) -> bool {
    let esp = case.attempt.esp;
    let is_soon = esp
        .began
        .is_some_and(|began| began.since(answered) <= TRAFFIC_BEGINS);
    esp.from_client > 0 && (esp.from_gateway > 0 || is_soon)
}

/// Whether an exchange is the last of its SA, soon behind the answer, and the client begins anew: it may have closed.
fn is_the_end(case: &Case<'_>, exchange: &Exchange<'_>, answered: Moment) -> bool {
    let is_last = case
        .exchanges
        .iter()
        .all(|other| other.start() <= exchange.start());
    is_last && case.next.is_some() && exchange.start().since(answered) <= CHECKED
}

/// The last exchange of IKE_AUTH is answered, and the client did not ask again.
pub(super) fn judge(case: &Case<'_>, exchange: &Exchange<'_>) -> Judgement {
    let (_, view) = exchange.response.fullest();
    if exchange.kind != ExchangeType::IKE_AUTH {
        return intermediate(case, exchange);
    }
    let Some(inside) = Inside::of(case, view) else {
        return Judgement::Open;
    };
    let rounds = case.of_client(&[ExchangeType::IKE_AUTH]).count();
    let is_first = rounds == 1 && is_the_first(exchange);
    let answered = exchange.response.last().unwrap_or_default();
    let silence = case.end.since(answered);
    let octets = view.longest();
    let shown = case.shown_by(
        &exchange.response,
        format!("the last answer to IKE_AUTH, of {octets} octets in all"),
    );
    match inside {
        Inside::OneNotify if is_first => {
            let mut seen = vec![shown];
            seen.push(remark("it has room for one notify: an error, most often AUTHENTICATION_FAILED; with keys it is known which"));
            let confidence = if sizes::is_exact(case) {
                Confidence::Likely
            } else {
                seen.push(remark("IKE_SA_INIT is not in the capture, so that it depends on the cipher what there is room for"));
                Confidence::Possible
            };
            failed(Verdict::AuthenticationFailed, confidence, seen)
        }
        Inside::OneNotify => {
            // It may as well be a question, and somebody looks for the answer.
            if case.next.is_none() && silence < PEOPLE && closing(case, answered).is_none() {
                return Judgement::Open;
            }
            let mut seen = vec![shown];
            seen.push(remark(format!(
                "it ends {rounds} exchanges of IKE_AUTH, as EAP takes, and has room for one short payload: EAP-Failure or AUTHENTICATION_FAILED; with keys it is known which"
            )));
            failed(Verdict::EapRejected, Confidence::Likely, seen)
        }
        Inside::Little | Inside::Much => after(case, exchange, inside, shown),
    }
}

/// IKE_INTERMEDIATE was answered, and no IKE_AUTH followed.
fn intermediate(case: &Case<'_>, exchange: &Exchange<'_>) -> Judgement {
    let answered = exchange.response.last().unwrap_or_default();
    let silence = case.next.unwrap_or(case.end).since(answered);
    if case.next.is_none() && silence < INTERMEDIATE_SILENCE {
        return Judgement::Open;
    }
    let anew = if case.next.is_some() {
        ", until the client begins anew"
    } else {
        ""
    };
    let says = format!(
        "IKE_INTERMEDIATE is answered, and nothing follows for {:.1} s{anew}",
        silence.as_secs_f64()
    );
    let seen = vec![case.shown_by(&exchange.response, says)];
    failed(Verdict::NoAuthRequest, Confidence::Possible, seen)
}

/// Whether an exchange is the first of IKE_AUTH: 1, or behind those of IKE_INTERMEDIATE.
fn is_the_first(exchange: &Exchange<'_>) -> bool {
    let id = exchange
        .request
        .messages()
        .next()
        .map_or(0, |message| message.header.message_id.0);
    id <= FIRST_MAX
}

/// IKE_INTERMEDIATE comes up to seven times before IKE_AUTH (RFC 9370); EAP is in the fourth answer at the soonest, but
/// a capture may begin later.
const FIRST_MAX: u32 = 8;

/// What the client does with an answer that has something inside.
fn after(case: &Case<'_>, exchange: &Exchange<'_>, inside: Inside, shown: Evidence) -> Judgement {
    let answered = exchange.response.last().unwrap_or_default();
    let rounds = case.of_client(&[ExchangeType::IKE_AUTH]).count();
    let mut seen = vec![shown];
    if let Some(closing) = closing(case, answered) {
        let after = closing.start().since(answered).as_secs_f64();
        seen.push(case.shown_by(
            &closing.request,
            format!("{after:.3} s after it the client sends INFORMATIONAL, and no traffic follows: it closes"),
        ));
        return refused_by_client(inside, rounds, Confidence::Likely, seen);
    }
    let more = case
        .exchanges
        .iter()
        .filter(|it| it.start() > answered && it.response.is_seen());
    let is_silent = more.count() == 0;
    if let Some(next) = case.next.filter(|next| next.since(answered) >= THOUGHT)
        && case.attempt.esp.keepalives == 0
        && is_silent
        && sees_esp(case)
        && !(case.attempt.client_is == Some("Windows") && case.other_lives)
    {
        let after = next.since(answered).as_secs_f64();
        seen.push(remark(format!(
            "after {after:.1} s the same client begins anew, and there is no traffic before that, while there is of others"
        )));
        return refused_by_client(inside, rounds, Confidence::Possible, seen);
    }
    let is_ended_soon = case
        .exchanges
        .iter()
        .any(|it| it.start() > answered && is_the_end(case, it, answered));
    // A question of EAP that nobody answers, or a refusal with more than a notify; or an end, after which the client
    // comes back.
    if inside == Inside::Little || is_ended_soon {
        return Judgement::Open;
    }
    Judgement::Established
}

/// The one exchange by which the client closes, as soon as it may have read the answer.
fn closing<'c, 'a>(case: &'c Case<'a>, answered: Moment) -> Option<&'c Exchange<'a>> {
    let mut later = case.exchanges.iter().filter(|it| it.start() >= answered);
    let (closing, None) = (later.next()?, later.next()) else {
        return None;
    };
    let is_of_client = closing.kind == ExchangeType::INFORMATIONAL
        && closing.by() == Direction::FromClient
        && closing.request.is_seen();
    let sources = |exchange: &Exchange<'_>| -> BTreeSet<_> {
        let messages = exchange.request.messages();
        messages.map(|it| (it.capture, it.source.ip())).collect()
    };
    let auth = case.of_client(&[ExchangeType::IKE_AUTH]).last()?;
    let is_from_same = sources(closing).is_subset(&sources(auth));
    let (_, view) = closing.request.fullest();
    let is_short = sizes::ciphertext(case, view).is_some_and(|octets| octets <= CLOSING);
    let is_soon = closing.start().since(answered) <= SOON;
    (is_of_client && is_from_same && is_short && is_soon && case.attempt.esp.keepalives == 0)
        .then_some(closing)
}

/// Whether ESP is captured at all, of anybody: without it, silence says nothing.
fn sees_esp(case: &Case<'_>) -> bool {
    case.captures.iter().any(|capture| capture.esp_packets > 0)
}

/// The client does not go on: what it may dislike, by what there is room for.
fn refused_by_client(
    inside: Inside,
    rounds: usize,
    at_most: Confidence,
    mut seen: Vec<Evidence>,
) -> Judgement {
    let (verdict, confidence, says) = match inside {
        _ if rounds > 1 => (
            Verdict::EapRejected,
            Confidence::Possible,
            "the client has shown by then that it accepts the gateway's certificate: it ends EAP, or dislikes the CHILD \
             SA; with keys it is known",
        ),
        Inside::OneNotify | Inside::Little => (
            Verdict::ChildRefused,
            Confidence::Likely,
            "it has no room for a CHILD SA besides the gateway's identity; with keys it is known why",
        ),
        Inside::Much => (
            Verdict::CertificateNotAccepted,
            Confidence::Likely,
            "it has room for certificates and a CHILD SA: what the client dislikes may be the certificate, the signature, \
             or that the CHILD SA is not there; with keys it is known",
        ),
    };
    seen.push(remark(says));
    failed(verdict, confidence.min(at_most), seen)
}
