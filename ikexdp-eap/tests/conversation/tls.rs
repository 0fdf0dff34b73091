//! EAP-TLS against rustls as the client.

use std::sync::Arc;

use crate::peer::tls::{Credentials, EMAIL, LastWords, Peer, Pki, client_params, padding};
use crate::peer::{
    IDENTITY, MSCHAPV2, NAK, TLS, accepted, begin, converse, mschapv2, rejected, response, say,
};
use ikexdp_eap::rustls::ProtocolVersion;
use ikexdp_eap::{LocalAuthenticator, Methods, NtHash, Users};
use ikexdp_proto::eap::Turn;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3];

fn authenticator(pki: &Pki) -> LocalAuthenticator {
    let methods = Methods {
        tls: Some(pki.settings()),
        mschapv2: None,
    };
    LocalAuthenticator::new(methods, "vpn.example.com")
}

/// One with both methods, for user `alice@example.com` with the password `secret`.
fn authenticator_of_both(pki: &Pki) -> LocalAuthenticator {
    let hash = NtHash::of("secret").entry();
    let users = format!("[users]\n\"{EMAIL}\" = \"{}\"", hash.expose());
    let methods = Methods {
        tls: Some(pki.settings()),
        mschapv2: Some(Arc::new(Users::parse(&users).unwrap())),
    };
    LocalAuthenticator::new(methods, "vpn.example.com")
}

// <- Start
// ClientHello ->
// <- ServerHello ... in fragments
// Certificate ... Finished ->
// <- Finished, or an octet of zero
// acknowledgement ->
#[test]
fn a_client_with_a_certificate_is_let_in() {
    let pki = Pki::new("Lab");
    for version in VERSIONS {
        for (identity, user) in [
            (EMAIL, EMAIL),
            ("alice@EXAMPLE.com", EMAIL),
            ("alice b", "Alice B"),
            ("", EMAIL),
            ("@example.com", EMAIL),
            ("anonymous@example.com", EMAIL),
        ] {
            let mut peer = Peer::new(&pki.root, Some(pki.issue(&client_params())), version);
            let turn = converse(&authenticator(&pki), identity, &mut peer);
            assert_eq!(accepted(turn), (user.to_owned(), peer.msk()), "{version:?}");
            assert_eq!(peer.msk().len(), 64);
            assert!(peer.longest <= 1005, "{}", peer.longest);
        }
    }
}

/// A chain that is far too long for one packet, either way.
#[test]
fn flights_go_in_fragments() {
    let pki = Pki::new("Lab");
    for version in VERSIONS {
        for (len, fragments) in [(400, 30), (1000, 12), (4000, 3)] {
            let mut params = client_params();
            params.custom_extensions.push(padding(11_000));
            let own = Some(pki.issue(&params));
            let mut peer = Peer::new(&pki.root, own, version).with_fragments(len);
            let turn = converse(&authenticator(&pki), EMAIL, &mut peer);
            assert_eq!(accepted(turn), (EMAIL.to_owned(), peer.msk()));
            assert!(peer.sent >= fragments, "{}", peer.sent);
        }
    }
}

#[test]
fn a_flight_without_an_end_is_refused() {
    let pki = Pki::new("Lab");
    for version in VERSIONS {
        let mut params = client_params();
        params.custom_extensions.push(padding(65_000));
        let own = pki.issue(&params);
        let mut peer = Peer::new(&pki.root, Some(own), version).with_fragments(4000);
        let turn = converse(&authenticator(&pki), EMAIL, &mut peer);
        assert_eq!(rejected(turn).1, "EAP: more TLS data at once than 24 KiB");
    }
}

/// What makes a certificate wrong.
type Change = fn(&mut CertificateParams);

#[test]
fn the_operator_is_told_what_is_wrong_with_a_certificate() {
    let pki = Pki::new("Lab");
    let changes: [(Change, &str); 4] = [
        (
            |params| params.not_after = date_time_ymd(2020, 1, 1),
            "certificate has expired",
        ),
        (
            |params| params.not_before = date_time_ymd(4000, 1, 1),
            "certificate is not valid yet",
        ),
        (
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            "extended key usage of the certificate does not fit",
        ),
        (
            |params| params.subject_alt_names.clear(),
            "certificate does not assert the identity; it asserts: Alice B",
        ),
    ];
    for version in VERSIONS {
        for (change, reason) in &changes {
            let mut params = client_params();
            change(&mut params);
            refused(&pki, Some(pki.issue(&params)), version, reason);
        }
        let reason = "certificate is of an authority not trusted here";
        let stranger = Pki::new("Other").issue(&client_params());
        refused(&pki, Some(stranger), version, reason);
        let reason = "certificate is of an authority not trusted here, though of the \
            name of one that is, or the peer has not its key";
        let impostor = Pki::new("Lab").issue(&client_params());
        refused(&pki, Some(impostor), version, reason);
        refused(&pki, None, version, "peer sent no certificate");
    }
}

fn refused(pki: &Pki, own: Option<Credentials>, version: ProtocolVersion, reason: &str) {
    let mut peer = Peer::new(&pki.root, own, version);
    let turn = converse(&authenticator(pki), EMAIL, &mut peer);
    let told = (Some(EMAIL.to_owned()), reason.to_owned());
    assert_eq!(rejected(turn), told, "{version:?}");
    assert_eq!(peer.error, None, "the peer hears nothing of it");
}

/// Whatever is wrong with a peer's certificate, it has been asked the same number
/// of times when it is refused.
#[test]
fn all_that_is_wrong_ends_in_the_same_turn() {
    let pki = Pki::new("Lab");
    for version in VERSIONS {
        let requests = [Some(EMAIL), None].map(|name| {
            let params = name.map_or_else(CertificateParams::default, |_| {
                let mut params = client_params();
                params.not_after = date_time_ymd(2020, 1, 1);
                params
            });
            let mut peer = Peer::new(&pki.root, Some(pki.issue(&params)), version);
            rejected(converse(&authenticator(&pki), EMAIL, &mut peer));
            peer.proposed.len()
        });
        assert_eq!(requests[0], requests[1], "{version:?}");
    }
}

#[test]
fn a_client_that_does_not_trust_us_says_so() {
    let pki = Pki::new("Lab");
    for version in VERSIONS {
        let own = pki.issue(&client_params());
        let mut peer = Peer::new(&Pki::new("Other").root, Some(own), version);
        let turn = converse(&authenticator(&pki), EMAIL, &mut peer);
        let reason = "peer ends the TLS handshake: alert UnknownCA";
        assert_eq!(rejected(turn).1, reason);
        assert!(peer.error.is_some());
    }
}

/// There is nothing to be said in it after the handshake.
#[test]
fn tls_carries_nothing_but_its_handshake() {
    let pki = Pki::new("Lab");
    for version in VERSIONS {
        let converse = |last_words| {
            let own = Some(pki.issue(&client_params()));
            let mut peer = Peer::new(&pki.root, own, version).with_last_words(last_words);
            converse(&authenticator(&pki), EMAIL, &mut peer)
        };
        assert_eq!(accepted(converse(LastWords::Goodbye)).0, EMAIL);
        let reason = "EAP: application data in EAP-TLS";
        assert_eq!(rejected(converse(LastWords::More)).1, reason);
    }
}

/// EAP-TLS is proposed whoever asks, and who wants the other says so.
#[test]
fn a_peer_may_want_the_other_method() {
    let pki = Pki::new("Lab");
    let authenticator = authenticator_of_both(&pki);
    let mut peer = mschapv2::Peer::new(EMAIL, "secret");
    let (user, msk) = accepted(converse(&authenticator, EMAIL, &mut peer));
    assert_eq!((user.as_str(), Some(msk)), (EMAIL, peer.msk.clone()));
    assert_eq!(peer.proposed[..2], [TLS, MSCHAPV2]);

    let own = pki.issue(&client_params());
    let mut peer = Peer::new(&pki.root, Some(own), ProtocolVersion::TLSv1_3);
    assert_eq!(
        accepted(converse(&authenticator, EMAIL, &mut peer)).0,
        EMAIL
    );

    let mut unknown = mschapv2::Peer::new("mallory", "secret");
    let turn = converse(&authenticator, "mallory", &mut unknown);
    assert_eq!(rejected(turn).1, "unknown user");
    assert_eq!(unknown.proposed, [TLS, MSCHAPV2]);
}

/// RFC 3748 §5.3.1: no method is proposed twice, nor given up when it is under way.
#[test]
fn a_peer_cannot_go_on_wanting_others() {
    let pki = Pki::new("Lab");
    let authenticator = authenticator_of_both(&pki);
    let ask = |turn| match turn {
        Turn::Ask {
            request,
            conversation,
        } => (request[4], conversation),
        other => panic!("{other:?}"),
    };
    let begun = || ask(say(begin(&authenticator), response(7, IDENTITY, b"alice")));
    for wanted in [&[][..], &[0], &[TLS], &[25, 21]] {
        let turn = say(begun().1, response(8, NAK, wanted));
        assert_eq!(rejected(turn).1, "no common EAP method", "{wanted:?}");
    }
    let (kind, conversation) = ask(say(begun().1, response(8, NAK, &[25, MSCHAPV2])));
    assert_eq!(kind, MSCHAPV2);
    let turn = say(conversation, response(9, NAK, &[TLS]));
    assert_eq!(rejected(turn).1, "no common EAP method");
    let (kind, conversation) = ask(say(begun().1, response(8, TLS, &[0x40, 22])));
    assert_eq!(kind, TLS);
    let turn = say(conversation, response(9, NAK, &[MSCHAPV2]));
    assert_eq!(rejected(turn).1, "EAP: response of another method");
}

#[test]
fn without_methods_everybody_is_refused() {
    let authenticator = LocalAuthenticator::new(Methods::default(), "vpn.example.com");
    let turn = say(begin(&authenticator), response(7, IDENTITY, b"alice"));
    assert_eq!(rejected(turn).1, "no common EAP method");
}

#[test]
fn what_is_no_handshake_is_refused() {
    let pki = Pki::new("Lab");
    for (data, reason) in [
        (&[][..], "EAP: malformed EAP-TLS packet"),
        (&[0], "EAP: no TLS data where some belongs"),
        (&[0, 22], "EAP: part of a TLS flight"),
        (
            &[0, 99, 3, 1, 0, 1, 0],
            "TLS handshake fails: received corrupt message",
        ),
        (&[0, 21, 3, 3, 0, 2, 2, 40], "peer ends the TLS handshake"),
        (&[0, 21, 3, 3, 0, 2, 1, 0], "EAP: part of a TLS flight"),
    ] {
        let Turn::Ask { conversation, .. } =
            say(begin(&authenticator(&pki)), response(7, IDENTITY, b"alice"))
        else {
            panic!("no request");
        };
        let told = rejected(say(conversation, response(8, TLS, data))).1;
        assert!(told.starts_with(reason), "{told}\n{data:?}");
    }
}
