//! Whether port 4500 leads to the gateway that port 500 leads to.
//!
//! A client begins on 500 and goes on on 4500. A load balancer that looks at ports may send it to two
//! gateways, the second of which knows nothing of it. Without a key there are two things to ask:
//!
//! ```text
//! the same IKE_SA_INIT request again, on 4500    who has answered it before repeats the response, octet
//!                                                for octet (RFC 7296 §2.1); another makes an SA of its own.
//!                                                Libreswan and OpenIKED repeat it from port 500
//! IKE_AUTH under these SPIs, sealed by nobody    who has the SA is silent; who has not may answer
//!                                                INVALID_IKE_SPI (§1.5), and for SPIs of nobody as well
//! ```

use std::time::Duration;

use ikexdp_proto::types::Spis;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::Payloads;
use ikexdp_proto::wire::payload::notify::Notify;
use serde::Serialize;

use super::attempt::{Accepted, is_init};
use super::error::ProbeError;
use super::line::{Heard, Line};
use super::reply::answers;
use super::request::{random_spi, sealed_by_nobody, spis};

/// How long an answer to what nobody has sealed is waited for. Silence is an answer as well, so it is sent twice, and
/// not for longer.
const SILENCE: Duration = Duration::from_millis(2500);

/// How long each repeat is waited for on one port, before it is looked for on the other.
const SLICE: Duration = Duration::from_secs(1);

/// How long what has come on the other port is read: it is there, or it is not.
const GLANCE: Duration = Duration::from_millis(5);

/// What was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The request of port 500, repeated on 4500.
    pub repeat: Repeat,
    /// The same on 500, where it was needed to know whether this gateway repeats responses at all.
    pub control: Option<Repeat>,
    /// What IKE_AUTH under the SPIs of port 500 has brought on 4500.
    pub known_spi: Word,
    /// The same under SPIs of nobody.
    pub unknown_spi: Word,
    /// Once more under the SPIs of port 500, where silence was to prove something.
    pub known_spi_again: Option<Word>,
    /// What that means.
    pub gateway: Gateway,
    /// Half-open SAs that the second question has made.
    #[serde(skip)]
    pub half_open: u32,
}

/// What repeats of a request bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// The response of before, octet for octet.
    Identical,
    /// The same, from port 500.
    IdenticalFrom500,
    /// One with another SPI.
    AnotherSpi,
    /// Another answer.
    Other,
    /// None.
    Silence,
}

/// What a message that nobody has sealed brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Nothing.
    Silence,
    /// INVALID_IKE_SPI.
    InvalidIkeSpi,
    /// Something else.
    Other,
}

/// Where port 4500 leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gateway {
    /// To the gateway of port 500.
    Same,
    /// To another.
    Different,
    /// It cannot be told.
    Unknown,
}

impl Comparison {
    /// Asks, by lines to ports 500 and 4500 from one port of ours.
    ///
    /// # Errors
    /// [`ProbeError`] if requests cannot be sent.
    pub fn make(
        [ike, nat_t]: [&Line; 2],
        accepted: &Accepted,
        timeout: Duration,
    ) -> Result<Self, ProbeError> {
        let repeat = repeat_beside([ike, nat_t], accepted, timeout)?;
        let control = match repeat {
            Repeat::AnotherSpi => Some(self::repeat(ike, accepted, timeout)?),
            _ => None,
        };
        let known_spi = word(nat_t, accepted.spis)?;
        let nobody = spis(random_spi()?, random_spi()?);
        let unknown_spi = word(nat_t, nobody)?;
        // One that does say so, and was silent before: by chance, or because it has the SA.
        let known_spi_again = match [known_spi, unknown_spi] {
            [Word::Silence, Word::InvalidIkeSpi] => Some(word(nat_t, accepted.spis)?),
            _ => None,
        };
        let more = [Some(repeat), control];
        let more = more.iter().filter(|it| **it == Some(Repeat::AnotherSpi));
        Ok(Self {
            repeat,
            control,
            known_spi,
            unknown_spi,
            known_spi_again,
            gateway: judge(repeat, control, [known_spi, unknown_spi], known_spi_again),
            half_open: u32::try_from(more.count()).unwrap_or_default(),
        })
    }
}

impl Comparison {
    /// Whether something has come from port 4500.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        let words = [self.known_spi, self.unknown_spi];
        let is_elsewhere = matches!(self.repeat, Repeat::Silence | Repeat::IdenticalFrom500);
        !is_elsewhere || words.iter().any(|it| *it != Word::Silence)
    }
}

/// Where port 4500 leads, by what was heard; what contradicts itself tells nothing.
const fn judge(
    repeat: Repeat,
    control: Option<Repeat>,
    words: [Word; 2],
    again: Option<Word>,
) -> Gateway {
    // Nobody else could have written these octets.
    let repeats = matches!(repeat, Repeat::Identical | Repeat::IdenticalFrom500);
    // The gateway of 500 does repeat its responses, and this one does not.
    let repeats_not = matches!(
        (repeat, control),
        (Repeat::AnotherSpi, Some(Repeat::Identical))
    );
    // It knows the SPIs, and not those of nobody.
    let knows = matches!(
        (words, again),
        ([Word::Silence, Word::InvalidIkeSpi], Some(Word::Silence))
    );
    // What was made on 500 a moment ago is not there. That it is gone when asked for again proves nothing: it may
    // be what nobody has sealed that ended it.
    let knows_not = matches!(words, [Word::InvalidIkeSpi, _]);
    match (repeats || knows, repeats_not || knows_not) {
        (true, false) => Gateway::Same,
        (false, true) => Gateway::Different,
        _ => Gateway::Unknown,
    }
}

/// Repeats the request on port 4500, and looks for the response on 500 as well.
fn repeat_beside(
    [ike, nat_t]: [&Line; 2],
    accepted: &Accepted,
    timeout: Duration,
) -> Result<Repeat, ProbeError> {
    let end = nat_t.clock().now() + timeout;
    loop {
        let left = end.since(nat_t.clock().now());
        let heard = repeat(nat_t, accepted, left.min(SLICE))?;
        if heard != Repeat::Silence {
            return Ok(heard);
        }
        let until = ike.clock().now() + GLANCE;
        let is_answer = is_init(accepted.spis.initiator);
        let on_ike = ike.hear(until, &mut Heard::default(), is_answer)?;
        // It may else be a second response to a request of before.
        if accepted.is_single && on_ike.as_ref() == Some(&accepted.response) {
            return Ok(Repeat::IdenticalFrom500);
        }
        if left <= SLICE {
            return Ok(Repeat::Silence);
        }
    }
}

fn repeat(line: &Line, accepted: &Accepted, timeout: Duration) -> Result<Repeat, ProbeError> {
    let is_answer = is_init(accepted.spis.initiator);
    let heard = line.ask(&accepted.request, timeout, is_answer)?;
    Ok(match heard.message {
        None => Repeat::Silence,
        Some(message) if message == accepted.response => Repeat::Identical,
        Some(message) => match Header::decode(&message) {
            Ok((header, _)) if is_another(header.spis, accepted.spis) => Repeat::AnotherSpi,
            _ => Repeat::Other,
        },
    })
}

/// Whether these SPIs have a responder's, and not the same.
fn is_another(spis: Spis, before: Spis) -> bool {
    spis.responder.0 != 0 && spis.responder != before.responder
}

fn word(line: &Line, spis: Spis) -> Result<Word, ProbeError> {
    let message = sealed_by_nobody(spis)?;
    let is_answer = |header: &Header| answers(header, ExchangeType::IKE_AUTH, spis.initiator);
    let heard = line.ask(&message, SILENCE, is_answer)?;
    let Some(message) = heard.message else {
        return Ok(Word::Silence);
    };
    let Ok((header, payloads)) = Header::decode(&message) else {
        return Ok(Word::Other);
    };
    let is_invalid = Payloads::new(header.next_payload, payloads)
        .flatten()
        .filter(|payload| payload.kind == PayloadType::NOTIFY)
        .filter_map(|payload| Notify::decode(payload.body).ok())
        .any(|notify| notify.kind == NotifyType::INVALID_IKE_SPI);
    Ok(if is_invalid {
        Word::InvalidIkeSpi
    } else {
        Word::Other
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_decides_and_what_was_not_does_not() {
        use Repeat::{AnotherSpi, Identical, Other, Silence};
        let silent = Word::Silence;
        let invalid = Word::InvalidIkeSpi;
        for (repeat, control, words, expected) in [
            (Identical, None, [silent, silent], Gateway::Same),
            (Identical, None, [silent, invalid], Gateway::Same),
            (
                Repeat::IdenticalFrom500,
                None,
                [silent, silent],
                Gateway::Same,
            ),
            (Silence, None, [silent, silent], Gateway::Unknown),
            (Silence, None, [invalid, invalid], Gateway::Different),
            (
                AnotherSpi,
                Some(Identical),
                [silent, silent],
                Gateway::Different,
            ),
            (
                AnotherSpi,
                Some(Identical),
                [invalid, invalid],
                Gateway::Different,
            ),
            // It forgets at once, or makes responses of the request alone.
            (
                AnotherSpi,
                Some(AnotherSpi),
                [silent, silent],
                Gateway::Unknown,
            ),
            (
                AnotherSpi,
                Some(Silence),
                [silent, silent],
                Gateway::Unknown,
            ),
            (Other, None, [Word::Other, Word::Other], Gateway::Unknown),
        ] {
            assert_eq!(
                judge(repeat, control, words, None),
                expected,
                "{repeat:?} {words:?}"
            );
        }
    }

    /// A datagram may be lost, and that is silence as well.
    #[test]
    fn silence_proves_nothing_unless_it_lasts_and_nothing_contradicts() {
        use Repeat::{AnotherSpi, Identical, Silence};
        let (silent, invalid) = (Word::Silence, Word::InvalidIkeSpi);
        let another = Some(Identical);
        for (repeat, control, words, again, expected) in [
            (Silence, None, [silent, invalid], silent, Gateway::Same),
            (Silence, None, [silent, invalid], invalid, Gateway::Unknown),
            (Identical, None, [silent, invalid], invalid, Gateway::Same),
            (Identical, None, [invalid; 2], silent, Gateway::Unknown),
            (
                AnotherSpi,
                another,
                [silent, invalid],
                silent,
                Gateway::Unknown,
            ),
            (
                AnotherSpi,
                another,
                [silent, invalid],
                invalid,
                Gateway::Different,
            ),
        ] {
            let found = judge(repeat, control, words, Some(again));
            assert_eq!(found, expected, "{repeat:?} {words:?} {again:?}");
        }
    }
}
