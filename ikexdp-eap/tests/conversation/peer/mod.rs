//! The other side of a conversation.

pub(crate) mod mschapv2;
pub(crate) mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;

use ikexdp_eap::LocalAuthenticator;
use ikexdp_proto::eap::{Authenticator, Caller, Conversation, Turn};

/// What a peer makes of a request: the type and the data of its response.
pub(crate) type Answer = (u8, Vec<u8>);

/// A method of the peer's.
pub(crate) trait Method {
    /// Answers a request of the type.
    fn answer(&mut self, identifier: u8, kind: u8, data: &[u8]) -> Answer;
}

pub(crate) const IDENTITY: u8 = 1;
pub(crate) const NAK: u8 = 3;
pub(crate) const TLS: u8 = 13;
pub(crate) const MSCHAPV2: u8 = 26;

/// A conversation that has not begun.
pub(crate) fn begin(authenticator: &LocalAuthenticator) -> Box<dyn Conversation> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 500));
    authenticator.begin(Caller {
        remote: address,
        local: address,
        connection: "clients".to_owned(),
    })
}

/// Says something, and waits for what comes of it.
pub(crate) fn say(conversation: Box<dyn Conversation>, packet: Vec<u8>) -> Turn {
    let (sender, receiver) = mpsc::channel();
    let done = move |turn| sender.send(turn).unwrap();
    conversation.hear(packet, Box::new(done));
    receiver.try_recv().unwrap()
}

/// A packet of code Response.
pub(crate) fn response(identifier: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len() + 5).unwrap().to_be_bytes();
    [&[2, identifier, len[0], len[1], kind], data].concat()
}

/// Says the name, and goes on with the method until it ends.
pub(crate) fn converse(
    authenticator: &LocalAuthenticator,
    identity: &str,
    method: &mut dyn Method,
) -> Turn {
    let hello = response(7, IDENTITY, identity.as_bytes());
    let mut turn = say(begin(authenticator), hello);
    let mut last = 7;
    loop {
        let Turn::Ask {
            request,
            conversation,
        } = turn
        else {
            return turn;
        };
        let [1, identifier, high, low, kind, ref data @ ..] = request[..] else {
            panic!("no request: {request:02x?}");
        };
        assert_eq!(usize::from(high) << 8 | usize::from(low), request.len());
        assert_eq!(
            identifier,
            last + 1,
            "each request has an identifier of its own"
        );
        last = identifier;
        let (kind, data) = method.answer(identifier, kind, data);
        turn = say(conversation, response(identifier, kind, &data));
    }
}

/// Who was let in, and with which key.
pub(crate) fn accepted(turn: Turn) -> (String, Vec<u8>) {
    match turn {
        Turn::Accept(admission) => (admission.user, admission.msk.expose().clone()),
        other => panic!("not accepted: {other:?}"),
    }
}

/// The name and the reason in a rejection.
pub(crate) fn rejected(turn: Turn) -> (Option<String>, String) {
    match turn {
        Turn::Reject(rejection) => (rejection.user, rejection.reason.to_string()),
        other => panic!("not rejected: {other:?}"),
    }
}
