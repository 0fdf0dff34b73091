//! IKE_SA_INIT with all detours, on one port.

use std::time::Duration;

use ikexdp_proto::event::NatSituation;
use ikexdp_proto::message::init::InitResponse;
use ikexdp_proto::mismatch::describe;
use ikexdp_proto::types::{Path, Spi, Spis};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, GroupId, NotifyType};
use serde::Serialize;

use super::error::ProbeError;
use super::line::{Heard, Line};
use super::names::group;
use super::policy::weak;
use super::reply::{Answer, Reply, answers};
use super::request::Request;
use super::vendor;

/// Requests of one attempt at most: a gateway may ask for a cookie, then for a group, then for a cookie again,
/// and once more for both. One that goes on has nothing to say.
const REQUESTS_MAX: usize = 5;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Attempt {
    /// The port that was asked.
    pub port: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// The error notify of a refusal, or what is wrong with the response.
    pub reason: Option<String>,
    /// How often the last request was sent.
    pub tries: u32,
    /// From the last time that it was sent to its response, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Octets of the first request, an IKE message.
    pub request_octets: usize,
    /// Octets of the last response.
    pub response_octets: Option<usize>,
    /// Whether a cookie was asked for.
    pub cookie: bool,
    /// The group that was asked for instead of the client's guess.
    pub other_group: Option<String>,
    /// Whether that group is none of the client's.
    pub group_is_not_offered: bool,
    /// Where to the gateway sends the client.
    pub redirect: Option<String>,
    /// The algorithms that were chosen.
    pub suite: Option<String>,
    /// Those of them that can be broken.
    pub weak: Vec<String>,
    /// IKEV2_FRAGMENTATION_SUPPORTED in the response.
    pub fragmentation: Option<bool>,
    /// NATs on the way; none if the gateway does not say.
    pub nat: Option<Nat>,
    /// Who has made the gateway, as far as it says.
    pub vendors: Vec<String>,
    /// Datagrams that were no answer.
    pub ignored: u32,
    /// Whether ICMP has said that nobody listens.
    pub port_unreachable: bool,
    /// The same as a number.
    #[serde(skip)]
    pub wanted: Option<GroupId>,
    /// The last request and its response, if it was accepted.
    #[serde(skip)]
    pub accepted: Option<Accepted>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The gateway goes on.
    Accepted,
    /// It does not.
    Refused,
    /// It sends the client elsewhere.
    Redirected,
    /// What it says cannot be read, or it asks again and again.
    Unreadable,
    /// It does not answer.
    #[default]
    Unanswered,
}

/// How one is made.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How long each request may take.
    pub timeout: Duration,
    /// Whether a key of the group that the gateway asks for is sent, if the client has that.
    pub turns: bool,
}

/// Where addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Nat {
    /// This host is behind a NAT.
    pub client: bool,
    /// The gateway is.
    pub gateway: bool,
}

/// A half-open SA at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its SPIs.
    pub spis: Spis,
    /// The request that made it.
    pub request: Vec<u8>,
    /// The response.
    pub response: Vec<u8>,
    /// Whether the request was sent once, so that no second response is on its way.
    pub is_single: bool,
}

impl Attempt {
    /// Makes one.
    ///
    /// # Errors
    /// [`ProbeError`] if requests cannot be sent.
    pub fn make(line: &Line, request: &mut Request, manner: Manner) -> Result<Self, ProbeError> {
        let path = line.path()?;
        let mut attempt = Self {
            port: path.remote.port(),
            ..Self::default()
        };
        for _ in 0..REQUESTS_MAX {
            let message = request.encode(&path);
            if attempt.request_octets == 0 {
                attempt.request_octets = message.len();
            }
            let heard = line.ask(&message, manner.timeout, is_init(request.spi()))?;
            attempt.note(&heard);
            let Some(response) = heard.message else {
                attempt.outcome = Outcome::Unanswered;
                return Ok(attempt);
            };
            if !attempt.take(request, &path, &message, &response)? {
                return Ok(attempt);
            }
            if attempt.wanted.is_some() && !manner.turns {
                attempt.outcome = Outcome::Refused;
                return Ok(attempt);
            }
        }
        attempt.fail("it asks for a cookie or a group again and again".to_owned());
        Ok(attempt)
    }

    /// Whether something came back.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.outcome != Outcome::Unanswered
    }

    fn note(&mut self, heard: &Heard) {
        self.tries = heard.tries;
        self.ignored = self.ignored.saturating_add(heard.ignored);
        self.port_unreachable |= heard.is_refused;
        self.response_octets = heard.message.as_ref().map(Vec::len);
        let milliseconds = heard.round_trip.as_secs_f64() * 1000.0;
        self.round_trip_ms = heard.message.is_some().then_some(milliseconds);
    }

    fn fail(&mut self, reason: String) {
        self.outcome = Outcome::Unreadable;
        self.reason = Some(reason);
    }

    /// Takes a response; whether to ask again.
    fn take(
        &mut self,
        request: &mut Request,
        path: &Path,
        message: &[u8],
        response: &[u8],
    ) -> Result<bool, ProbeError> {
        let Ok((header, payloads)) = Header::decode(response) else {
            return Ok(false);
        };
        let reply = Reply::decode(&header, payloads);
        let vendors = reply.vendor_ids.iter().map(|id| vendor::name(id));
        self.vendors = vendors.collect();
        match reply.answer {
            Answer::Cookie(cookie) => {
                self.cookie = true;
                request.cookie = Some(cookie.to_vec());
                return Ok(true);
            }
            Answer::InvalidKe(wanted) => return self.turn(request, wanted),
            Answer::Redirect(to) => {
                self.outcome = Outcome::Redirected;
                self.redirect = Some(to);
            }
            Answer::Refused(notify) => {
                self.outcome = Outcome::Refused;
                self.reason = Some(notify.to_string());
            }
            Answer::Unreadable(error) => self.fail(error.to_string()),
            Answer::Accepted(accepted) => {
                self.accept(&header, path, &accepted);
                self.accepted = Some(Accepted {
                    spis: header.spis,
                    request: message.to_vec(),
                    response: response.to_vec(),
                    is_single: self.tries == 1,
                });
            }
        }
        Ok(false)
    }

    /// The gateway wants a key of another group, which the client has or has not.
    fn turn(&mut self, request: &mut Request, wanted: GroupId) -> Result<bool, ProbeError> {
        self.other_group = Some(group(wanted));
        self.wanted = Some(wanted);
        if request.client().offers(wanted) && request.group() != wanted {
            request.change_group(wanted)?;
            return Ok(true);
        }
        self.group_is_not_offered = !request.client().offers(wanted);
        self.outcome = Outcome::Refused;
        self.reason = Some(NotifyType::INVALID_KE_PAYLOAD.to_string());
        Ok(false)
    }

    fn accept(&mut self, header: &Header, path: &Path, accepted: &InitResponse<'_>) {
        self.outcome = Outcome::Accepted;
        let chosen = std::slice::from_ref(&accepted.proposal);
        self.suite = Some(describe(chosen));
        self.weak = weak(&accepted.proposal.transforms);
        self.fragmentation = Some(accepted.notifies.fragmentation);
        let hashes = &accepted.notifies.nat;
        self.nat = (!hashes.is_empty()).then(|| {
            let NatSituation { remote, local } = hashes.compare(header.spis, path);
            Nat {
                client: local,
                gateway: remote,
            }
        });
    }
}

/// What answers an IKE_SA_INIT request with this SPI.
pub fn is_init(spi: Spi) -> impl Fn(&Header) -> bool {
    move |header| answers(header, ExchangeType::IKE_SA_INIT, spi)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::client::{android, ios, windows};
    use ikexdp_proto::types::{MessageId, Role};
    use ikexdp_proto::wire::header::HEADER_LEN;
    use ikexdp_proto::wire::payload::notify::Notify;
    use ikexdp_proto::wire::writer::ChainWriter;
    use std::net::UdpSocket;
    use std::thread;

    const MANNER: Manner = Manner {
        timeout: Duration::from_secs(60),
        turns: true,
    };

    /// A gateway on the loopback interface that answers so many requests, each by one notify; the line to it.
    fn gateway(notifies: Vec<(NotifyType, Vec<u8>)>) -> Line {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut buffer = [0; 4000];
            for (kind, data) in notifies {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                let (header, _) = Header::decode(&buffer[..length]).unwrap();
                let mut chain = ChainWriter::default();
                Notify::new(kind, &data).encode(&mut chain);
                let chain = chain.finish();
                let header = Header {
                    next_payload: chain.first,
                    from: Role::Responder,
                    response: true,
                    message_id: MessageId(0),
                    ..header
                };
                let mut response = Vec::new();
                header.encode(HEADER_LEN + chain.octets.len(), &mut response);
                response.extend(chain.octets);
                socket.send_to(&response, from).unwrap();
            }
        });
        Line::open("127.0.0.1".parse().unwrap(), 0, port).unwrap()
    }

    #[test]
    fn detours_are_followed_to_where_they_end() {
        let line = gateway(vec![
            (NotifyType::COOKIE, vec![7; 20]),
            (NotifyType::INVALID_KE_PAYLOAD, vec![0, 31]),
            (NotifyType::REDIRECT, vec![1, 4, 192, 0, 2, 9]),
        ]);
        let mut request = Request::new(android()).unwrap();
        let attempt = Attempt::make(&line, &mut request, MANNER).unwrap();
        assert_eq!(attempt.outcome, Outcome::Redirected);
        assert_eq!(attempt.redirect.as_deref(), Some("192.0.2.9"));
        assert!(attempt.cookie);
        assert_eq!(attempt.other_group.as_deref(), Some("x25519"));
        assert_eq!(request.group(), GroupId::CURVE25519);
        assert_eq!(request.cookie, Some(vec![7; 20]));
    }

    #[test]
    fn a_group_that_the_client_does_not_offer_is_the_end() {
        let line = gateway(vec![(NotifyType::INVALID_KE_PAYLOAD, vec![0, 19])]);
        let mut request = Request::new(windows()).unwrap();
        let attempt = Attempt::make(&line, &mut request, MANNER).unwrap();
        assert_eq!(attempt.outcome, Outcome::Refused);
        assert!(attempt.group_is_not_offered);
        assert_eq!(attempt.other_group.as_deref(), Some("ecp256"));
    }

    #[test]
    fn who_asks_for_what_it_has_got_is_not_asked_for_ever() {
        let line = gateway(vec![(NotifyType::COOKIE, vec![7; 20]); REQUESTS_MAX]);
        let attempt = Attempt::make(&line, &mut Request::new(ios()).unwrap(), MANNER).unwrap();
        assert_eq!(attempt.outcome, Outcome::Unreadable);
        // Of the group of the key that it has, too.
        let line = gateway(vec![(NotifyType::INVALID_KE_PAYLOAD, vec![0, 14])]);
        let attempt = Attempt::make(&line, &mut Request::new(ios()).unwrap(), MANNER).unwrap();
        assert_eq!(attempt.outcome, Outcome::Refused);
        assert!(!attempt.group_is_not_offered);
    }
}
