//! IKE_AUTH that was answered, and the answer arrived: how it ended.

use std::time::Duration;

use ikexdp_proto::wire::iana::ExchangeType;

use super::case::{Case, Judgement, failed, remark};
use super::sizes::Inside;
use crate::attempt::exchange::Exchange;
use crate::model::{Confidence, Evidence};
use crate::verdict::{Direction, Verdict};

/// A client that closes so soon behind the answer does not like it.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Nobody fails and begins anew in less: it is another client under the same address.
const THOUGHT: Duration = Duration::from_millis(500);
/// A client in the middle of EAP answers sooner, people and servers included.
const EAP_SILENCE: Duration = Duration::from_secs(3);

/// Whether what follows shows that the IKE SA is up: traffic of the client, or exchanges that only an SA has that lives.
pub(super) fn is_carrying(case: &Case<'_>) -> bool {
    let esp = case.attempt.esp;
    if esp.from_client > 0 {
        return true;
    }
    let auth = case.of_client(&[ExchangeType::IKE_AUTH]).last();
    let Some(answered) = auth.and_then(|auth| auth.response.last()) else {
        return false;
    };
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
                        || exchange.start().since(answered) > AT_ONCE)
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
            failed(Verdict::AuthenticationFailed, Confidence::Likely, seen)
        }
        Inside::OneNotify => {
            if case.next.is_none() && silence < EAP_SILENCE {
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
    let silence = case.end.since(exchange.response.last().unwrap_or_default());
    if case.next.is_none() && silence < EAP_SILENCE {
        return Judgement::Open;
    }
    let says = format!(
        "IKE_INTERMEDIATE is answered, and nothing follows for {:.1} s",
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
    let closing = case
        .of_client(&[ExchangeType::INFORMATIONAL])
        .find(|it| it.start() >= answered);
    if let Some(closing) = closing {
        let after = closing.start().since(answered).as_secs_f64();
        seen.push(case.shown_by(
            &closing.request,
            format!("{after:.3} s after it the client sends INFORMATIONAL, and no traffic follows: it closes"),
        ));
        return refused_by_client(inside, rounds, seen);
    }
    if let Some(next) = case.next.filter(|next| next.since(answered) >= THOUGHT)
        && case.attempt.esp.keepalives == 0
    {
        let after = next.since(answered).as_secs_f64();
        seen.push(remark(format!(
            "after {after:.1} s the same client begins anew, and there is no traffic before that"
        )));
        return refused_by_client(inside, rounds, seen);
    }
    if inside == Inside::Little && rounds > 1 {
        // A question of EAP, as it seems, that nobody answers.
        return Judgement::Open;
    }
    Judgement::Established
}

/// The client does not go on: what it may dislike, by what there is room for.
fn refused_by_client(inside: Inside, rounds: usize, mut seen: Vec<Evidence>) -> Judgement {
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
    failed(verdict, confidence, seen)
}
