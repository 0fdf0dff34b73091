//! EAP-MSCHAPv2, the peer's side.
//!
//! ```text
//! peer                    authenticator
//!  |  <- Request/Identity       |  Answering
//!  |  Response/Identity ->      |
//!  |  <- Challenge              |
//!  |  Response ->               |  Responded
//!  |  <- Success Request        |
//!  |  Success Response ->       |  Convinced
//!  |  <- Success                |
//! ```
//!
//! An authenticator that says no with a reason, by a Failure Request, is told that it
//! was heard (Failed), and then has to end it.

use std::fmt;

use ikexdp_proto::eap::{Refusal, Reply, Respondent, Supplicant};
use ikexdp_proto::types::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use super::hash::{Challenge, Exchange, NtHash, NtResponse, master_session_key};
use super::{message, op_code};
use crate::name::without_domain;
use crate::packet::{Packet, Request, Type, response};

/// A user's name and password, which is all that is needed to be that user.
#[derive(Clone, Debug)]
pub struct Password {
    name: String,
    hash: NtHash,
}

impl Password {
    /// Those of the user `name`, perhaps with a domain before it, whose password has this
    /// hash. Names of more than [`NAME_LEN_MAX`](crate::limits::NAME_LEN_MAX) octets are
    /// refused by most.
    #[must_use]
    pub const fn new(name: String, hash: NtHash) -> Self {
        Self { name, hash }
    }
}

impl Supplicant for Password {
    fn begin(&self) -> Box<dyn Respondent> {
        Box::new(Peer {
            password: self.clone(),
            stage: Stage::Answering {
                has_declined: false,
            },
        })
    }
}

/// A peer, while it waits for what the authenticator says.
#[derive(Debug)]
struct Peer {
    password: Password,
    stage: Stage,
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// It says its name, and declines methods that it does not have.
    Answering {
        /// Whether it has: a failure then has that reason.
        has_declined: bool,
    },
    /// It has shown that it knows the password.
    Responded(Expected),
    /// So has the authenticator, whose key this is.
    Convinced(Secret<Vec<u8>>),
    /// The authenticator has said no.
    Failed(Refusal),
}

/// What an authenticator that knows the password makes of a response.
struct Expected {
    proof: [u8; 20],
    msk: Secret<Vec<u8>>,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expected(..)")
    }
}

impl Respondent for Peer {
    fn hear(self: Box<Self>, packet: &[u8]) -> Reply {
        match Packet::decode(packet) {
            Some(Packet::Request(request)) => match self.answer(&request) {
                Ok((data, kind, next)) => Reply::Answer {
                    response: response(request.identifier, kind, &data),
                    respondent: Box::new(next),
                },
                Err(refusal) => Reply::Refuse(refusal),
            },
            Some(Packet::Success) => match self.stage {
                Stage::Convinced(msk) => Reply::Accept(msk),
                // Whoever lets us in without that may be anybody.
                _ => Reply::Refuse(Refusal::Unproved),
            },
            Some(Packet::Failure) => Reply::Refuse(match self.stage {
                Stage::Failed(refusal) => refusal,
                Stage::Answering { has_declined: true } => Refusal::NoCommonMethod,
                _ => Refusal::Unexplained,
            }),
            None => Reply::Refuse(Refusal::Protocol("malformed packet")),
        }
    }
}

/// The data and the type of a response, and who takes what comes next.
type Answer = Result<(Vec<u8>, Type, Peer), Refusal>;

impl Peer {
    fn answer(self, request: &Request<'_>) -> Answer {
        match (request.kind, &self.stage) {
            (Type::IDENTITY, Stage::Answering { .. }) => {
                let name = self.password.name.as_bytes().to_vec();
                Ok((name, Type::IDENTITY, self))
            }
            // Something to show to a user (RFC 3748 §5.2).
            (Type::NOTIFICATION, _) => Ok((Vec::new(), Type::NOTIFICATION, self)),
            (Type::MSCHAPV2, _) => self.go_on(request.data),
            // Declined before a method has begun only (RFC 3748 §5.3.1).
            (_, Stage::Answering { .. }) => {
                let stage = Stage::Answering { has_declined: true };
                let wanted = vec![Type::MSCHAPV2.0];
                Ok((wanted, Type::NAK, Self { stage, ..self }))
            }
            _ => Err(Refusal::Protocol("request of another method")),
        }
    }

    /// Takes a message of the method.
    fn go_on(self, data: &[u8]) -> Answer {
        let Self { password, stage } = self;
        let (answer, stage) = match (stage, data) {
            (Stage::Answering { .. }, [op_code::CHALLENGE, ..]) => respond(&password, data)?,
            (Stage::Responded(expected), [op_code::SUCCESS, ..]) => {
                let shown = proof(data).ok_or(Refusal::Unproved)?;
                // Somebody who does not know the password has let us in.
                if !bool::from(expected.proof.ct_eq(&shown)) {
                    return Err(Refusal::Unproved);
                }
                (vec![op_code::SUCCESS], Stage::Convinced(expected.msk))
            }
            // It may offer another try, but the password would be the same.
            (Stage::Responded(_), [op_code::FAILURE, ..]) => {
                let refusal = reason(data).map_or(Refusal::Unexplained, Refusal::Reason);
                (vec![op_code::FAILURE], Stage::Failed(refusal))
            }
            _ => return Err(Refusal::Protocol("message of MSCHAPv2 out of order")),
        };
        Ok((answer, Type::MSCHAPV2, Self { password, stage }))
    }
}

/// Answers a Challenge.
fn respond(password: &Password, data: &[u8]) -> Result<(Vec<u8>, Stage), Refusal> {
    let malformed = Refusal::Protocol("malformed challenge of MSCHAPv2");
    let (id, challenge) = challenge(data).ok_or(malformed)?;
    let mut own = Challenge::default();
    SystemRandom::new()
        .fill(&mut own)
        .map_err(|_| Refusal::Protocol("no random numbers for a challenge"))?;
    let exchange = Exchange {
        authenticator_challenge: challenge,
        peer_challenge: &own,
        user: without_domain(&password.name),
    };
    let shown = exchange.nt_response(&password.hash);
    let expected = Expected {
        proof: exchange.authenticator_response(&password.hash, &shown),
        msk: master_session_key(&password.hash, &shown),
    };
    let body = value(&own, &shown, &password.name);
    let answer = message(op_code::RESPONSE, id, &body);
    Ok((answer, Stage::Responded(expected)))
}

/// The identifier and the challenge in a message of the type Challenge; the name of the
/// authenticator behind it is for people.
fn challenge(data: &[u8]) -> Option<(u8, &Challenge)> {
    let (&[_, id, _, _, value_size], data) = data.split_first_chunk()?;
    let (challenge, _name) = data.split_first_chunk()?;
    (usize::from(value_size) == challenge.len()).then_some((id, challenge))
}

/// What follows the header of a Response: Value-Size, Value and Name (RFC 2759 §4).
fn value(own: &Challenge, shown: &NtResponse, name: &str) -> Vec<u8> {
    const RESERVED: [u8; 8] = [0; 8];
    const FLAGS: [u8; 1] = [0];
    let size = [super::Response::VALUE_SIZE];
    [&size[..], own, &RESERVED, shown, &FLAGS, name.as_bytes()].concat()
}

/// The text of a Success or Failure Request, behind MS-CHAPv2-ID and MS-Length.
fn text(data: &[u8]) -> Option<&str> {
    let (_header, text) = data.split_first_chunk::<4>()?;
    // What the authenticator says to people may be in any encoding.
    let end = text.iter().position(|octet| !octet.is_ascii());
    str::from_utf8(text.get(..end.unwrap_or(text.len()))?).ok()
}

/// The proof in a Success Request: `S=` and 40 hexadecimal digits (RFC 2759 §5).
fn proof(data: &[u8]) -> Option<[u8; 20]> {
    let digits = text(data)?.strip_prefix("S=")?.get(..40)?;
    let mut proof = [0; 20];
    let (pairs, _) = digits.as_bytes().as_chunks::<2>();
    for (place, [high, low]) in proof.iter_mut().zip(pairs) {
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        *place = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(proof)
}

/// The number in a Failure Request: `E=` and up to ten digits (RFC 2759 §6).
fn reason(data: &[u8]) -> Option<u32> {
    let mut words = text(data)?.split(' ');
    words.find_map(|word| word.strip_prefix("E="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Box<dyn Respondent> {
        Password::new("CORP\\kim".to_owned(), NtHash::of("password")).begin()
    }

    fn request(identifier: u8, kind: Type, data: &[u8]) -> Vec<u8> {
        crate::packet::request(identifier, kind, data)
    }

    fn answered(reply: Reply) -> (Vec<u8>, Box<dyn Respondent>) {
        match reply {
            Reply::Answer {
                response,
                respondent,
            } => (response, respondent),
            other => panic!("no answer: {other:?}"),
        }
    }

    fn refused(reply: Reply) -> Refusal {
        match reply {
            Reply::Refuse(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn challenged() -> (Vec<u8>, Box<dyn Respondent>) {
        let challenge = [&[16][..], &[7; 16], b"server"].concat();
        let data = message(op_code::CHALLENGE, 9, &challenge);
        answered(peer().hear(&request(3, Type::MSCHAPV2, &data)))
    }

    /// What an authenticator that has this hash says to the response.
    fn success(response: &[u8], hash: &NtHash) -> Vec<u8> {
        let response = super::super::Response::decode(&response[5..]).unwrap();
        let exchange = Exchange {
            authenticator_challenge: &[7; 16],
            peer_challenge: response.peer_challenge,
            user: "kim",
        };
        let proof = exchange.authenticator_response(hash, response.nt_response);
        let text = super::super::proof_text(&proof);
        request(
            4,
            Type::MSCHAPV2,
            &message(op_code::SUCCESS, 9, text.as_bytes()),
        )
    }

    const SUCCESS: [u8; 4] = [3, 4, 0, 4];
    const FAILURE: [u8; 4] = [4, 4, 0, 4];

    #[test]
    fn the_name_is_told_and_other_methods_are_declined() {
        let (response, peer) = answered(peer().hear(&request(1, Type::IDENTITY, b"who?")));
        assert_eq!(response, b"\x02\x01\x00\x0d\x01CORP\\kim");
        let (response, peer) = answered(peer.hear(&request(2, Type::TLS, &[0x20])));
        assert_eq!(response, [2, 2, 0, 6, 3, 26]);
        let (response, peer) = answered(peer.hear(&request(3, Type::NOTIFICATION, b"hello")));
        assert_eq!(response, [2, 3, 0, 5, 2]);
        assert_eq!(refused(peer.hear(&FAILURE)), Refusal::NoCommonMethod);
    }

    #[test]
    fn who_shows_that_it_knows_the_password_is_taken() {
        let (response, peer) = challenged();
        assert_eq!(response[..7], [2, 3, 0, 67, 26, 2, 9], "{response:02x?}");
        assert!(response.ends_with(b"CORP\\kim"));
        let success = success(&response, &NtHash::of("password"));
        let (response, peer) = answered(peer.hear(&success));
        assert_eq!(response, [2, 4, 0, 6, 26, 3]);
        match peer.hear(&SUCCESS) {
            Reply::Accept(msk) => assert_eq!(msk.expose().len(), 64),
            other => panic!("not taken: {other:?}"),
        }
    }

    /// A gateway that lets anybody in learns nothing but a response, and gets no client.
    #[test]
    fn who_does_not_show_it_is_not_taken() {
        let (response, peer) = challenged();
        let wrong = success(&response, &NtHash::of("passwort"));
        assert_eq!(refused(peer.hear(&wrong)), Refusal::Unproved);
        for text in [
            "",
            "M=OK",
            "S=",
            "S=12 M=OK",
            &format!("S={}", "g".repeat(40)),
        ] {
            let (_, peer) = challenged();
            let data = message(op_code::SUCCESS, 9, text.as_bytes());
            let success = request(4, Type::MSCHAPV2, &data);
            assert_eq!(refused(peer.hear(&success)), Refusal::Unproved, "{text}");
        }
        let (_, peer) = challenged();
        assert_eq!(refused(peer.hear(&SUCCESS)), Refusal::Unproved);
        assert_eq!(refused(self::peer().hear(&SUCCESS)), Refusal::Unproved);
    }

    #[test]
    fn a_refusal_has_its_reason() {
        for (text, expected) in [
            (&b"E=691 R=1 C=00 V=3 M=no"[..], Refusal::Reason(691)),
            (b"E=649", Refusal::Reason(649)),
            (b"R=0 E=648 M=\xff", Refusal::Reason(648)),
            (b"E=99999999999", Refusal::Unexplained),
            (b"", Refusal::Unexplained),
        ] {
            let (_, peer) = challenged();
            let data = message(op_code::FAILURE, 9, text);
            let (response, peer) = answered(peer.hear(&request(4, Type::MSCHAPV2, &data)));
            assert_eq!(response, [2, 4, 0, 6, 26, 4]);
            assert_eq!(refused(peer.hear(&FAILURE)), expected);
        }
        let (_, peer) = challenged();
        assert_eq!(refused(peer.hear(&FAILURE)), Refusal::Unexplained);
    }

    #[test]
    fn what_is_out_of_order_is_refused() {
        let is_protocol = |reply| matches!(refused(reply), Refusal::Protocol(_));
        for data in [&[][..], &[1], &[1, 9, 0, 5, 16], &[3, 9, 0, 4], &[4], &[9]] {
            assert!(
                is_protocol(peer().hear(&request(1, Type::MSCHAPV2, data))),
                "{data:?}"
            );
        }
        for packet in [&[][..], &[1, 2], &[2, 1, 0, 5, 1], &[1, 1, 0, 9, 1]] {
            assert!(is_protocol(peer().hear(packet)), "{packet:?}");
        }
        let (_, peer) = challenged();
        assert!(is_protocol(peer.hear(&request(4, Type::TLS, &[0x20]))));
        let (_, peer) = challenged();
        assert!(is_protocol(peer.hear(&request(4, Type::IDENTITY, &[]))));
    }
}
