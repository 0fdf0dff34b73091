//! What came back.

use ikexdp_diagnose::contents::redirected_to;
use ikexdp_proto::error::Error;
use ikexdp_proto::message::init::{InitReply, InitResponse};
use ikexdp_proto::types::{Role, Spi, Spis};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, GroupId, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::Payloads;
use ikexdp_proto::wire::payload::notify::Notify;

/// Vendor IDs of a response that are looked at: gateways send a handful.
const VENDOR_IDS_MAX: usize = 16;

/// A response to IKE_SA_INIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The SPIs in its header.
    pub spis: Spis,
    /// What it says.
    pub answer: Answer<'a>,
    /// Its vendor IDs, at most 16.
    pub vendor_ids: Vec<&'a [u8]>,
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The gateway goes on.
    Accepted(Box<InitResponse<'a>>),
    /// Ask again with this cookie.
    Cookie(&'a [u8]),
    /// Ask again with a key of this group.
    InvalidKe(GroupId),
    /// Ask another (RFC 5685): its address or name.
    Redirect(String),
    /// It does not go on.
    Refused(NotifyType),
    /// It cannot be read, for this reason.
    Unreadable(Error),
}

impl<'a> Reply<'a> {
    /// Reads `message`, which [`answers`] a request.
    #[must_use]
    pub fn decode(header: &Header, payloads: &'a [u8]) -> Self {
        let first = header.next_payload;
        let (vendor_ids, redirect) = look(first, payloads);
        let answer = match (redirect, InitReply::decode(first, payloads)) {
            (Some(to), _) => Answer::Redirect(to),
            (None, Ok(InitReply::Accepted(response))) => Answer::Accepted(response),
            (None, Ok(InitReply::Cookie(cookie))) => Answer::Cookie(cookie),
            (None, Ok(InitReply::InvalidKe(group))) => Answer::InvalidKe(group),
            (None, Ok(InitReply::Refused(notify))) => Answer::Refused(notify),
            (None, Err(error)) => Answer::Unreadable(error),
        };
        Self {
            spis: header.spis,
            answer,
            vendor_ids,
        }
    }
}

/// Whether a header is that of a response to our request of this exchange with this SPI.
#[must_use]
pub fn answers(header: &Header, exchange: ExchangeType, spi: Spi) -> bool {
    header.response
        && header.exchange == exchange
        && header.spis.initiator == spi
        && header.from == Role::Responder
        && header.major_version() == 2
}

/// The vendor IDs, and where to another gateway is, if that is what it says. What is malformed is the
/// engine's to judge.
fn look(first: PayloadType, octets: &[u8]) -> (Vec<&[u8]>, Option<String>) {
    let mut vendor_ids = Vec::new();
    let mut redirect = None;
    for payload in Payloads::new(first, octets).flatten() {
        match payload.kind {
            PayloadType::VENDOR_ID if vendor_ids.len() < VENDOR_IDS_MAX => {
                vendor_ids.push(payload.body);
            }
            PayloadType::NOTIFY => {
                let notify = Notify::decode(payload.body).ok();
                let is_redirect = |it: &Notify<'_>| it.kind == NotifyType::REDIRECT;
                redirect = redirect.or(notify.filter(is_redirect).map(|it| gateway(it.data)));
            }
            _ => {}
        }
    }
    (vendor_ids, redirect)
}

/// The new responder of a REDIRECT notify.
fn gateway(data: &[u8]) -> String {
    redirected_to(data).unwrap_or_else(|| "a gateway whose address cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::types::MessageId;
    use ikexdp_proto::wire::header::VERSION;
    use ikexdp_proto::wire::writer::{Chain, ChainWriter};

    const SPIS: Spis = Spis {
        initiator: Spi(7),
        responder: Spi(8),
    };

    fn header(first: PayloadType) -> Header {
        Header {
            spis: SPIS,
            next_payload: first,
            version: VERSION,
            exchange: ExchangeType::IKE_SA_INIT,
            from: Role::Responder,
            response: true,
            message_id: MessageId(0),
        }
    }

    fn chain(kind: NotifyType, data: &[u8]) -> Chain {
        let mut chain = ChainWriter::default();
        Notify::new(kind, data).encode(&mut chain);
        chain.payload(PayloadType::VENDOR_ID, |body| body.bytes(b"somebody"));
        chain.finish()
    }

    #[test]
    fn each_answer_is_told_from_the_others() {
        let redirect = |to: &str| Answer::Redirect(to.to_owned());
        for (kind, data, expected) in [
            (NotifyType::COOKIE, &b"abc"[..], Answer::Cookie(b"abc")),
            (
                NotifyType::INVALID_KE_PAYLOAD,
                &[0, 19],
                Answer::InvalidKe(GroupId(19)),
            ),
            (
                NotifyType::NO_PROPOSAL_CHOSEN,
                &[],
                Answer::Refused(NotifyType::NO_PROPOSAL_CHOSEN),
            ),
            (
                NotifyType::REDIRECT,
                &[1, 4, 192, 0, 2, 9, 1, 2, 3],
                redirect("192.0.2.9"),
            ),
            (NotifyType::REDIRECT, b"\x03\x03a.bnonce", redirect("a.b")),
            (
                NotifyType::REDIRECT,
                &[1, 200],
                redirect("a gateway whose address cannot be read"),
            ),
        ] {
            let chain = chain(kind, data);
            let reply = Reply::decode(&header(chain.first), &chain.octets);
            assert_eq!(reply.answer, expected);
            assert_eq!(reply.vendor_ids, [b"somebody"]);
            assert_eq!(reply.spis, SPIS);
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_so() {
        let header = header(PayloadType::SECURITY_ASSOCIATION);
        for octets in [&[][..], &[0, 0, 0, 200], &[41, 0, 0, 4]] {
            let reply = Reply::decode(&header, octets);
            assert!(matches!(reply.answer, Answer::Unreadable(_)), "{reply:?}");
        }
    }

    #[test]
    fn another_s_response_is_none_of_ours() {
        let ours = header(PayloadType::NONE);
        let exchange = ExchangeType::IKE_SA_INIT;
        assert!(answers(&ours, exchange, Spi(7)));
        assert!(!answers(&ours, exchange, Spi(9)));
        assert!(!answers(&ours, ExchangeType::IKE_AUTH, Spi(7)));
        let request = Header {
            response: false,
            ..ours
        };
        assert!(!answers(&request, exchange, Spi(7)));
    }
}
