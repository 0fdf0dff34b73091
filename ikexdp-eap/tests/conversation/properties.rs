//! Whatever a peer says, the conversation goes on or ends.

use std::sync::{Arc, LazyLock};

use crate::peer::tls::{Credentials, EMAIL, Pki, client_params};
use crate::peer::{Answer, IDENTITY, MSCHAPV2, Method, NAK, TLS, begin, converse, response, say};
use ikexdp_eap::rustls::ProtocolVersion;
use ikexdp_eap::{LocalAuthenticator, Methods, NtHash, Password, Users};
use ikexdp_proto::eap::{Reply, Supplicant, Turn};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// More requests than any conversation takes.
const REQUESTS_MAX: usize = 64;

struct World {
    pki: Pki,
    own: Credentials,
    authenticator: LocalAuthenticator,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let pki = Pki::new("Lab");
    let hash = NtHash::of("secret").entry();
    let users = format!("[users]\n\"{EMAIL}\" = \"{}\"", hash.expose());
    let methods = Methods {
        tls: Some(pki.settings()),
        mschapv2: Some(Arc::new(Users::parse(&users).unwrap())),
    };
    World {
        own: pki.issue(&client_params()),
        authenticator: LocalAuthenticator::new(methods, "vpn.example.com"),
        pki,
    }
});

/// A change to one response of a peer.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Extend(Vec<u8>),
    Replace(u8, Vec<u8>),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), 1..=u8::MAX).prop_map(|(place, bits)| Change::Flip(place, bits)),
        any::<Index>().prop_map(Change::Cut),
        vec(any::<u8>(), 1..64).prop_map(Change::Extend),
        (kinds(), vec(any::<u8>(), 0..64)).prop_map(|(kind, data)| Change::Replace(kind, data)),
    ]
}

fn kinds() -> impl Strategy<Value = u8> {
    prop_oneof![Just(TLS), Just(MSCHAPV2), Just(NAK), any::<u8>()]
}

/// A peer that says something else at some time.
struct Changed<'a> {
    peer: &'a mut dyn Method,
    change: Option<(usize, Change)>,
    requests: usize,
}

impl Method for Changed<'_> {
    fn answer(&mut self, identifier: u8, kind: u8, data: &[u8]) -> Answer {
        self.requests += 1;
        assert!(self.requests <= REQUESTS_MAX, "it goes on for ever");
        let (kind, mut data) = self.peer.answer(identifier, kind, data);
        let Some((_, change)) = self.change.take_if(|(when, _)| *when == self.requests) else {
            return (kind, data);
        };
        match change {
            Change::Flip(place, bits) if !data.is_empty() => {
                let place = place.index(data.len());
                data[place] ^= bits;
            }
            Change::Flip(..) => {}
            Change::Cut(place) => data.truncate(place.index(data.len() + 1)),
            Change::Extend(more) => data.extend(more),
            Change::Replace(kind, data) => return (kind, data),
        }
        (kind, data)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_octets_are_too_much(
        identity in vec(any::<u8>(), 0..32),
        packets in vec((kinds(), vec(any::<u8>(), 0..96), any::<bool>()), 1..8),
    ) {
        let authenticator = &WORLD.authenticator;
        let mut turn = say(begin(authenticator), response(7, IDENTITY, &identity));
        for (kind, data, is_bare) in packets {
            let Turn::Ask { request, conversation } = turn else {
                break;
            };
            let packet = if is_bare { data } else { response(request[1], kind, &data) };
            turn = say(conversation, packet);
            prop_assert!(!matches!(turn, Turn::Accept(_)));
        }
    }

    #[test]
    fn a_changed_response_of_mschapv2_lets_nobody_else_in(
        when in 1..5_usize,
        change in changes(),
    ) {
        let mut peer = crate::peer::mschapv2::Peer::new(EMAIL, "secret");
        let mut changed = Changed { peer: &mut peer, change: Some((when, change)), requests: 0 };
        match converse(&WORLD.authenticator, EMAIL, &mut changed) {
            Turn::Accept(admission) => {
                prop_assert_eq!(admission.user, EMAIL);
                prop_assert_eq!(Some(admission.msk.expose()), peer.msk.as_ref());
            }
            turn => prop_assert!(matches!(turn, Turn::Reject(_))),
        }
    }

    #[test]
    fn a_changed_response_of_tls_lets_nobody_else_in(
        is_1_3 in any::<bool>(),
        when in 1..14_usize,
        change in changes(),
    ) {
        let version = match is_1_3 {
            true => ProtocolVersion::TLSv1_3,
            false => ProtocolVersion::TLSv1_2,
        };
        let own = Credentials {
            chain: WORLD.own.chain.clone(),
            key: WORLD.own.key.clone_key(),
        };
        let mut peer = crate::peer::tls::Peer::new(&WORLD.pki.root, Some(own), version);
        let mut changed = Changed { peer: &mut peer, change: Some((when, change)), requests: 0 };
        match converse(&WORLD.authenticator, EMAIL, &mut changed) {
            Turn::Accept(admission) => {
                prop_assert_eq!(admission.user, EMAIL);
                prop_assert_eq!(admission.msk.expose(), &peer.msk());
            }
            turn => prop_assert!(matches!(turn, Turn::Reject(_))),
        }
    }

    /// Whatever an authenticator says to our own peer, that answers or ends.
    #[test]
    fn an_authenticator_may_say_anything(
        packets in vec((0..6_u8, kinds(), 0..6_u8, vec(any::<u8>(), 0..64)), 1..8),
        cut in any::<Index>(),
    ) {
        let mut peer = Password::new("kim".to_owned(), NtHash::of("secret")).begin();
        for (code, kind, op_code, data) in packets {
            let mut packet = response(1, kind, &[&[op_code], &data[..]].concat());
            packet[0] = code;
            if code > 4 {
                packet.truncate(cut.index(packet.len()));
            }
            match peer.hear(&packet) {
                Reply::Answer { response, respondent } => {
                    prop_assert_eq!(&response[..2], &[2, 1][..]);
                    peer = respondent;
                }
                Reply::Accept(_) => panic!("nobody has shown anything"),
                Reply::Refuse(_) => return Ok(()),
            }
        }
    }
}
