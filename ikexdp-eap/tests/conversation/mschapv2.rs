//! EAP-MSCHAPv2 against a peer that computes for itself.

use std::sync::Arc;

use crate::peer::mschapv2::{Peer, message};
use crate::peer::{
    Answer, IDENTITY, MSCHAPV2, Method, NAK, TLS, accepted, begin, converse, rejected, response,
    say,
};
use ikexdp_eap::{LocalAuthenticator, Methods, NtHash, Password, Users};
use ikexdp_proto::eap::{Refusal, Reply, Supplicant, Turn};

fn authenticator() -> LocalAuthenticator {
    let entry = |name: &str, password| {
        let hash = NtHash::of(password).entry();
        format!("\"{name}\" = \"{}\"\n", hash.expose())
    };
    let alice = entry("alice", "correct horse");
    let bob = entry("bob@example.com", "пароль");
    let users = Users::parse(&format!("[users]\n{alice}{bob}")).unwrap();
    let methods = Methods {
        mschapv2: Some(Arc::new(users)),
        tls: None,
    };
    LocalAuthenticator::new(methods, "vpn.example.com")
}

// <- Challenge
// Response ->
// <- Success Request
// Success Response ->
#[test]
fn a_user_with_the_password_is_let_in() {
    for (name, password, user) in [
        ("alice", "correct horse", "alice"),
        ("CORP\\alice", "correct horse", "alice"),
        ("alice@example.com", "correct horse", "alice"),
        ("bob@example.com", "пароль", "bob@example.com"),
    ] {
        let mut peer = Peer::new(name, password);
        let turn = converse(&authenticator(), name, &mut peer);
        let (accepted, msk) = accepted(turn);
        assert_eq!(accepted, user, "{name}");
        assert_eq!(Some(msk), peer.msk, "{name}");
        assert_eq!(peer.server_name.as_deref(), Some("vpn.example.com"));
    }
}

/// What comes of it for the authenticator and for a peer of our own.
fn between_ourselves(name: &str, password: &str) -> (Turn, Reply) {
    let mut conversation = begin(&authenticator());
    let mut request = response(0, IDENTITY, &[]);
    request[0] = 1;
    let mut peer = Password::new(name.to_owned(), NtHash::of(password)).begin();
    loop {
        let (answer, next) = match peer.hear(&request) {
            Reply::Answer {
                response,
                respondent,
            } => (response, respondent),
            other => panic!("no answer: {other:?}"),
        };
        match say(conversation, answer) {
            Turn::Ask {
                request: asked,
                conversation: onward,
            } => (request, conversation, peer) = (asked, onward, next),
            turn @ Turn::Accept(_) => return (turn, next.hear(&[3, 0, 0, 4])),
            turn @ Turn::Reject(_) => return (turn, next.hear(&[4, 0, 0, 4])),
        }
    }
}

#[test]
fn our_own_peer_and_authenticator_agree() {
    for name in ["alice", "CORP\\alice"] {
        let (turn, reply) = between_ourselves(name, "correct horse");
        let (user, key) = accepted(turn);
        assert_eq!(user, "alice");
        assert!(matches!(reply, Reply::Accept(msk) if *msk.expose() == key));
    }
    let (turn, reply) = between_ourselves("alice", "wrong horse");
    assert_eq!(rejected(turn).1, "wrong password");
    assert!(matches!(reply, Reply::Refuse(Refusal::Unexplained)));
}

/// A name with its domain in one place and without in the other is one name.
#[test]
fn a_domain_may_be_left_out_of_the_response() {
    let mut peer = Peer::new("alice", "correct horse");
    let turn = converse(&authenticator(), "CORP\\alice", &mut peer);
    assert_eq!(accepted(turn).0, "alice");
}

#[test]
fn the_operator_is_told_what_is_wrong() {
    for (name, password, reason) in [
        ("alice", "wrong horse", "wrong password"),
        ("alice", "", "wrong password"),
        ("bob", "пароль", "unknown user"),
        ("mallory", "correct horse", "unknown user"),
        ("", "correct horse", "unknown user"),
    ] {
        let mut peer = Peer::new(name, password);
        let turn = converse(&authenticator(), name, &mut peer);
        let told = (Some(name.to_owned()), reason.to_owned());
        assert_eq!(rejected(turn), told, "{name}");
        assert_eq!(peer.msk, None);
        assert_eq!(
            peer.proposed,
            [MSCHAPV2],
            "all of them end in the same turn"
        );
    }
}

/// Whoever reads the source knows with which hash those are compared that nobody
/// has on file.
#[test]
fn the_hash_of_nobody_lets_nobody_in() {
    let authenticator = authenticator();
    let challenge = challenged(&authenticator, "mallory");
    let turn = say(challenge.0, response(8, MSCHAPV2, &nobodys(&challenge.1)));
    assert_eq!(rejected(turn).1, "unknown user");
}

/// What the hash of nobody, sixteen zeros, gives for a challenge.
fn nobodys(challenge: &[u8]) -> Vec<u8> {
    use des::cipher::{BlockCipherEncrypt, KeyInit};
    let input = [&[0x5a; 16], challenge, b"mallory"].concat();
    let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &input);
    let mut block: [u8; 8] = hash.as_ref()[..8].try_into().unwrap();
    des::Des::new(&[0; 8].into()).encrypt_block((&mut block).into());
    let value = [&[0x5a; 16][..], &[0; 8], &block, &block, &block, &[0]].concat();
    message(2, 8, &[&[49][..], &value, b"mallory"].concat())
}

/// The conversation after the challenge, and the challenge.
fn challenged(
    authenticator: &LocalAuthenticator,
    name: &str,
) -> (Box<dyn ikexdp_proto::eap::Conversation>, Vec<u8>) {
    let hello = response(7, IDENTITY, name.as_bytes());
    match say(begin(authenticator), hello) {
        Turn::Ask {
            request,
            conversation,
        } => (conversation, request[10..26].to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_for_another_name_is_of_no_use() {
    for identity in ["mallory", "bob@example.com", "Alice"] {
        let mut peer = Peer::new("alice", "correct horse");
        let turn = converse(&authenticator(), identity, &mut peer);
        let reason = "EAP: MSCHAPv2 for another name than the identity";
        assert_eq!(rejected(turn).1, reason, "{identity}");
    }
}

#[test]
fn each_challenge_is_another() {
    let authenticator = authenticator();
    let [first, second] = [0; 2].map(|_| challenged(&authenticator, "alice").1);
    assert_ne!(first, second);
}

/// RFC 3748 §5.3.1: a peer may want another method; there is none here.
#[test]
fn a_peer_that_wants_what_there_is_not_is_refused() {
    for wanted in [&[][..], &[0], &[TLS], &[TLS, 25, 21], &[MSCHAPV2]] {
        let (conversation, _) = challenged(&authenticator(), "alice");
        let turn = say(conversation, response(8, NAK, wanted));
        let told = (Some("alice".to_owned()), "no common EAP method".to_owned());
        assert_eq!(rejected(turn), told, "{wanted:?}");
    }
}

#[test]
fn what_the_method_has_no_place_for_is_refused() {
    let long = [b'a'; 254];
    for (packet, reason) in [
        (
            response(7, MSCHAPV2, &[2]),
            "EAP: response to another request",
        ),
        (response(8, TLS, &[0]), "EAP: response of another method"),
        (
            response(8, 254, &[0, 0, 0, 0, 0, 0, 3]),
            "EAP: response of another method",
        ),
        (
            response(8, 2, b"notified"),
            "EAP: response of another method",
        ),
        (
            response(8, IDENTITY, b"alice"),
            "EAP: response of another method",
        ),
        (
            response(8, MSCHAPV2, &[]),
            "EAP: malformed response of MSCHAPv2",
        ),
        (
            response(8, MSCHAPV2, &[3]),
            "EAP: malformed response of MSCHAPv2",
        ),
        (response(9, NAK, &[TLS]), "EAP: response to another request"),
        (vec![1, 8, 0, 5, 26], "EAP: malformed response"),
        (vec![], "EAP: malformed response"),
    ] {
        let (conversation, _) = challenged(&authenticator(), "alice");
        assert_eq!(
            rejected(say(conversation, packet.clone())).1,
            reason,
            "{packet:?}"
        );
    }
    for (packet, reason) in [
        (
            response(7, MSCHAPV2, b"alice"),
            "EAP: no identity where it belongs",
        ),
        (
            response(7, NAK, &[MSCHAPV2]),
            "EAP: no identity where it belongs",
        ),
        (
            response(7, IDENTITY, b"a\nb"),
            "EAP: control character in a name",
        ),
        (response(7, IDENTITY, b"\xff"), "EAP: name is not UTF-8"),
        (
            response(7, IDENTITY, &long),
            "EAP: name of more than 253 octets",
        ),
    ] {
        let told = (None, reason.to_owned());
        assert_eq!(rejected(say(begin(&authenticator()), packet)), told);
    }
}

/// A peer that finds our proof wrong says Failure (draft-kamath §2.4).
#[test]
fn a_peer_that_does_not_take_our_proof_is_not_let_in() {
    struct Doubtful(Peer);
    impl Method for Doubtful {
        fn answer(&mut self, identifier: u8, kind: u8, data: &[u8]) -> Answer {
            match data[0] {
                3 => (kind, vec![4]),
                _ => self.0.answer(identifier, kind, data),
            }
        }
    }
    let mut peer = Doubtful(Peer::new("alice", "correct horse"));
    let turn = converse(&authenticator(), "alice", &mut peer);
    let reason = "EAP: peer does not take our proof of the password";
    assert_eq!(rejected(turn).1, reason);
}
