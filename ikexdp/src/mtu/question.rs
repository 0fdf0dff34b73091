//! Questions of any length, which a gateway answers without keeping anything.
//!
//! Each is an IKE_SA_INIT request with a size test for padding. Ours answers that, and any other gateway ignores it; the
//! proposal is one that most take, with a key of a group that is not in it, so that it asks for another key
//! (INVALID_KE_PAYLOAD) or says NO_PROPOSAL_CHOSEN. One that is silent to that gets a request that it can
//! accept, which leaves a half-open SA for each length: where it is lost it is sent again as it was.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::message::size_test;
use ikexdp_proto::types::{Path, Spi};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{NotifyType, PayloadType, ProtocolId};
use ikexdp_proto::wire::payload::Payloads;
use ikexdp_proto::wire::payload::notify::Notify;

use crate::probe::ProbeError;
use crate::probe::client::{Client, encryption, group, integrity, prf, proposals, strongswan};
use crate::probe::request::Request;

/// How a gateway is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// With a key that it must refuse.
    Refusable,
    /// So that it can accept.
    Acceptable,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The IKE message.
    pub(super) message: Vec<u8>,
    /// What its answer has.
    pub(super) spi: Spi,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is one of ours: so many octets of IKE have come.
    SizeTest(u16),
    /// Ask again with this cookie.
    Cookie(Vec<u8>),
    /// It goes on, and keeps an SA.
    Accepted,
    /// It does not.
    Refused,
}

impl Manner {
    /// A request, new each time, to be padded; and once more, if a cookie is asked for.
    ///
    /// # Errors
    /// [`ProbeError::Random`].
    pub(super) fn request(self) -> Result<Request, ProbeError> {
        Request::with_group(self.client(), Group::Curve25519.id())
    }

    fn client(self) -> Client {
        match self {
            Self::Refusable => {
                let rows = [encryption(12, 256), integrity(12), prf(5), group(14)];
                Client::plain("a question of length", &rows)
            }
            // With all that Linux offers it would not fit into 576 octets.
            Self::Acceptable => Client {
                proposals: proposals(
                    ProtocolId::IKE,
                    &[
                        vec![
                            encryption(12, 256),
                            encryption(12, 128),
                            integrity(12),
                            integrity(13),
                            prf(5),
                            prf(6),
                            group(31),
                            group(19),
                            group(20),
                            group(14),
                        ],
                        vec![
                            encryption(20, 256),
                            encryption(20, 128),
                            prf(5),
                            prf(6),
                            group(31),
                            group(19),
                            group(20),
                            group(14),
                        ],
                    ],
                ),
                ..strongswan()
            },
        }
    }
}

/// A request, padded to an IP datagram of `octets`.
#[must_use]
pub(super) fn pad(request: &Request, path: &Path, (octets, wanted): (u16, u16)) -> Question {
    let overhead = path.overhead();
    let wanted = usize::from(wanted).saturating_sub(overhead);
    let wanted = u16::try_from(wanted).unwrap_or(u16::MAX);
    let with =
        |padding| request.encode_with(path, |chain| size_test::encode(chain, wanted, padding));
    let bare = with(0).len();
    let room = usize::from(octets).saturating_sub(overhead);
    Question {
        message: with(room.saturating_sub(bare)),
        spi: request.spi(),
    }
}

/// What a response to a question says.
#[must_use]
pub(super) fn read(message: &[u8]) -> Answer {
    let Ok((header, payloads)) = Header::decode(message) else {
        return Answer::Refused;
    };
    let mut answer = Answer::Refused;
    for payload in Payloads::new(header.next_payload, payloads).flatten() {
        match payload.kind {
            PayloadType::SECURITY_ASSOCIATION => return Answer::Accepted,
            PayloadType::NOTIFY => {
                let Ok(notify) = Notify::decode(payload.body) else {
                    continue;
                };
                if let Some(came) = size_test::decode(&notify) {
                    return Answer::SizeTest(came);
                }
                if notify.kind == NotifyType::COOKIE {
                    answer = Answer::Cookie(notify.data.to_vec());
                }
            }
            _ => {}
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::message::init::InitRequest;

    #[test]
    fn questions_have_the_length_that_they_ask_about() {
        for (local, remote, marker) in [
            ("192.0.2.2:1", "198.51.100.2:500", false),
            ("192.0.2.2:1", "198.51.100.2:4500", true),
            ("[2001:db8::1]:1", "[2001:db8::2]:4500", true),
        ] {
            let path = Path {
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
                marker,
            };
            for manner in [Manner::Refusable, Manner::Acceptable] {
                for octets in [576, 1280, 1500, 2000] {
                    let cookie = [7; 64];
                    for cookie in [None, Some(cookie.to_vec())] {
                        let mut request = manner.request().unwrap();
                        request.cookie = cookie;
                        let question = pad(&request, &path, (octets, octets));
                        let ike = usize::from(octets) - path.overhead();
                        assert_eq!(question.message.len(), ike, "{manner:?}");
                        let (header, payloads) = Header::decode(&question.message).unwrap();
                        let read = InitRequest::decode(header.next_payload, payloads).unwrap();
                        assert_eq!(read.size_test.map(usize::from), Some(ike));
                    }
                }
            }
        }
    }
}
