//! EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2-02): the authenticator's side here,
//! the peer's in `peer`.
//!
//! ```text
//! peer                    authenticator
//!  |  <- Challenge              |  Challenged
//!  |  Response ->               |
//!  |  <- Success Request        |  Proven
//!  |  Success Response ->       |
//! ```
//!
//! A peer that is wrong is refused at once: a Failure Request would say more than
//! it needs to know, offer it further tries, and Windows does not answer it.
//!
//! ```text
//!  0                   1                   2                   3
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |    OpCode     |  MS-CHAPv2-ID |          MS-Length            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Value-Size   |  Value ...                      Name ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
//! ```

mod hash;
mod peer;

use std::fmt::Write;
use std::sync::Arc;

use ikexdp_proto::eap::RejectionReason;
use ikexdp_proto::types::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

pub use hash::NtHash;
use hash::{Challenge, Exchange, NtResponse, master_session_key};
pub use peer::Password;

use crate::method::{Ask, Method, Step};
use crate::name::PeerName;
use crate::users::Users;

/// What a message is (draft-kamath-pppext-eap-mschapv2-02 §2).
mod op_code {
    pub(super) const CHALLENGE: u8 = 1;
    pub(super) const RESPONSE: u8 = 2;
    pub(super) const SUCCESS: u8 = 3;
    pub(super) const FAILURE: u8 = 4;
}

/// Challenges a peer.
pub(crate) fn begin(
    users: Arc<Users>,
    server_name: &str,
    identifier: u8,
) -> Result<Ask, RejectionReason> {
    let mut challenge = Challenge::default();
    SystemRandom::new()
        .fill(&mut challenge)
        .map_err(|_| RejectionReason::Protocol("no random numbers for a challenge"))?;
    let size = u8::try_from(challenge.len()).unwrap_or(u8::MAX);
    let body = [&[size][..], &challenge, server_name.as_bytes()].concat();
    Ok(Ask {
        data: message(op_code::CHALLENGE, identifier, &body),
        next: Box::new(Challenged { users, challenge }),
    })
}

/// A peer has to show that it knows its password.
#[derive(Debug)]
struct Challenged {
    users: Arc<Users>,
    challenge: Challenge,
}

impl Method for Challenged {
    fn hear(self: Box<Self>, name: &PeerName, data: &[u8]) -> Result<Step, RejectionReason> {
        let malformed = RejectionReason::Protocol("malformed response of MSCHAPv2");
        let response = Response::decode(data).ok_or(malformed)?;
        let user = PeerName::decode(response.name)?;
        // Which of the two is meant is not for us to guess.
        if user.without_domain() != name.without_domain() {
            let reason = "MSCHAPv2 for another name than the identity";
            return Err(RejectionReason::Protocol(reason));
        }
        let exchange = Exchange {
            authenticator_challenge: &self.challenge,
            peer_challenge: response.peer_challenge,
            user: user.without_domain(),
        };
        // Who is on file and who is not take the same way.
        let (known, hash) = self.users.find(name);
        let expected = exchange.nt_response(hash);
        let is_right = bool::from(expected.ct_eq(response.nt_response));
        let user = match (known, is_right) {
            (Some(user), true) => user.to_owned(),
            (Some(_), false) => return Err(RejectionReason::WrongPassword),
            (None, _) => return Err(RejectionReason::UnknownUser),
        };
        let proof = exchange.authenticator_response(hash, response.nt_response);
        let msk = master_session_key(hash, response.nt_response);
        let text = proof_text(&proof);
        Ok(Step::Ask(Ask {
            data: message(op_code::SUCCESS, response.id, text.as_bytes()),
            next: Box::new(Proven { user, msk }),
        }))
    }
}

/// The peer has shown it; it has to accept that we know the password too.
#[derive(Debug)]
struct Proven {
    user: String,
    msk: Secret<Vec<u8>>,
}

impl Method for Proven {
    fn hear(self: Box<Self>, _: &PeerName, data: &[u8]) -> Result<Step, RejectionReason> {
        match data.first() {
            // Nothing follows it that would matter.
            Some(&op_code::SUCCESS) => Ok(Step::Accept {
                user: self.user,
                msk: self.msk,
            }),
            _ => Err(RejectionReason::Protocol(
                "peer does not take our proof of the password",
            )),
        }
    }
}

/// A message of the type Response.
#[derive(Debug)]
struct Response<'a> {
    id: u8,
    peer_challenge: &'a Challenge,
    nt_response: &'a NtResponse,
    name: &'a [u8],
}

impl<'a> Response<'a> {
    /// Two challenges' worth of value, less what is reserved, and flags.
    const VALUE_SIZE: u8 = 49;

    /// Reads a message. MS-CHAPv2-ID and MS-Length say again what EAP has said,
    /// and clients are not all right about them.
    fn decode(data: &'a [u8]) -> Option<Self> {
        let (&[op_code, id, _, _, value_size], data) = data.split_first_chunk()?;
        let (peer_challenge, data) = data.split_first_chunk()?;
        let (_reserved, data) = data.split_first_chunk::<8>()?;
        let (nt_response, data) = data.split_first_chunk()?;
        let (_flags, name) = data.split_first()?;
        (op_code == op_code::RESPONSE && value_size == Self::VALUE_SIZE).then_some(Self {
            id,
            peer_challenge,
            nt_response,
            name,
        })
    }
}

/// A message with the header before it.
fn message(op_code: u8, id: u8, body: &[u8]) -> Vec<u8> {
    const HEADER_LEN: usize = 4;
    let len = body.len().saturating_add(HEADER_LEN);
    let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    [&[op_code, id, high, low], body].concat()
}

/// The message of a Success Request (RFC 2759 §5).
fn proof_text(proof: &[u8]) -> String {
    let mut text = String::from("S=");
    for octet in proof {
        // To write into a string cannot fail.
        let _ = write!(text, "{octet:02X}");
    }
    text.push_str(" M=OK");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn a_proof_is_written_as_windows_reads_it() {
        assert_eq!(proof_text(&hex!("0a1bff")), "S=0A1BFF M=OK");
    }

    #[test]
    fn a_message_has_its_length() {
        assert_eq!(message(3, 9, b"OK"), hex!("03 09 0006 4f4b"));
    }

    #[test]
    fn a_response_is_read() {
        let value = [[1; 16].as_slice(), &[0; 8], &[2; 24], &[0]].concat();
        let whole = [&[2, 9, 0, 59, 49][..], &value, b"alice"].concat();
        let response = Response::decode(&whole).unwrap();
        assert_eq!(response.id, 9);
        assert_eq!(response.peer_challenge, &[1; 16]);
        assert_eq!(response.nt_response, &[2; 24]);
        assert_eq!(response.name, b"alice");
        for len in 0..whole.len() - b"alice".len() {
            assert!(Response::decode(&whole[..len]).is_none(), "{len} octets");
        }
        for (place, octet) in [(0, 1), (0, 3), (4, 48)] {
            let mut wrong = whole.clone();
            wrong[place] = octet;
            assert!(Response::decode(&wrong).is_none(), "{place}: {octet}");
        }
    }
}
