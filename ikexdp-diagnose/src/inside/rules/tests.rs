use ikexdp_proto::wire::iana::PayloadType;
use ikexdp_proto::wire::payload::id;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType, date_time_ymd};

use super::super::tests::{AUTH, FromClient, FromGateway, Script, chain, shows};
use super::*;

const WINDOWS: Option<&str> = Some("Windows");
const APPLE: Option<&str> = Some("an Apple system, by its payloads");

/// What is said of a gateway's chain: faults, then notes.
fn said(
    client_is: Option<&'static str>,
    (chain, method): (&[Vec<u8>], AuthMethod),
    dialed: Option<&str>,
) -> (Vec<String>, Vec<String>) {
    let script = Script::new(client_is).says(FromGateway, AUTH, |payloads| {
        shows(payloads, chain, method);
    });
    sorted(&script.look(dialed))
}

fn sorted(attempt: &Attempt) -> (Vec<String>, Vec<String>) {
    let remarks = &attempt.inside.as_ref().unwrap().remarks;
    let of = |weight| {
        let remarks = remarks.iter().filter(|it| it.weight == weight);
        remarks.map(|it| it.says.clone()).collect()
    };
    (of(Weight::Fault), of(Weight::Note))
}

const ECDSA: AuthMethod = AuthMethod::ECDSA_256;

#[test]
fn a_good_certificate_has_no_fault() {
    let good = chain(|_| ());
    for client in [WINDOWS, APPLE, None] {
        for dialed in [Some("vpn.example.com"), Some("VPN.example.com."), None] {
            let (faults, _) = said(client, (&good, ECDSA), dialed);
            assert_eq!(faults, [""; 0], "{client:?} {dialed:?}");
        }
    }
}

/// One change, who minds it, and what is said.
#[test]
fn each_fault_is_found_by_whom_it_concerns() {
    type Change = fn(&mut CertificateParams);
    let rows: [(Change, &str, [bool; 3], &str); 9] = [
        (
            |it| it.extended_key_usages.clear(),
            "vpn.example.com",
            [true, true, false],
            "no extended key usage serverAuth",
        ),
        (
            |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "vpn.example.com",
            [true, true, false],
            "has extended key usages, and not serverAuth",
        ),
        (
            |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
            "vpn.example.com",
            [false; 3],
            "-",
        ),
        (
            |_| (),
            "vpn.example.net",
            [true; 3],
            "has not the name that the client dials: vpn.example.net",
        ),
        (|_| (), "a.vpn.example.com", [true; 3], "has not the name"),
        (
            |it| it.not_after = date_time_ymd(2033, 2, 1),
            "vpn.example.com",
            [true; 3],
            "expired when it was shown",
        ),
        (
            |it| it.not_before = date_time_ymd(2033, 12, 1),
            "vpn.example.com",
            [true; 3],
            "not valid yet when it was shown",
        ),
        // Without alternative names: Windows looks at the common name, others do not.
        (
            |it| it.subject_alt_names.clear(),
            "vpn.example.com",
            [false, true, true],
            "not among its alternative names",
        ),
        (
            |it| it.subject_alt_names = vec![SanType::DnsName("*.example.com".try_into().unwrap())],
            "vpn.example.com",
            [false; 3],
            "-",
        ),
    ];
    for (change, dialed, minds, text) in rows {
        let changed = chain(change);
        for (client, minds) in [WINDOWS, APPLE, None].into_iter().zip(minds) {
            let (faults, _) = said(client, (&changed, ECDSA), Some(dialed));
            let has = faults.iter().any(|fault| fault.contains(text));
            assert_eq!(has, minds, "{client:?}, {text}: {faults:?}");
            assert_eq!(faults.is_empty(), !minds, "{client:?}, {text}: {faults:?}");
        }
    }
}

/// As one name, the other, or both.
#[test]
fn an_address_is_looked_for_where_the_client_looks() {
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    for (names, minds) in [
        (vec![SanType::IpAddress(address)], [true, true, false]),
        (vec![dns("192.0.2.7")], [false, true, false]),
        (
            vec![dns("192.0.2.7"), SanType::IpAddress(address)],
            [false; 3],
        ),
    ] {
        let changed = chain(|it| it.subject_alt_names.clone_from(&names));
        for (client, minds) in [WINDOWS, APPLE, None].into_iter().zip(minds) {
            let (faults, _) = said(client, (&changed, ECDSA), Some("192.0.2.7"));
            assert_eq!(
                !faults.is_empty(),
                minds,
                "{client:?} {names:?}: {faults:?}"
            );
        }
    }
}

#[test]
fn a_chain_is_complete_or_said_not_to_be() {
    let good = chain(|_| ());
    let (faults, notes) = said(WINDOWS, (&good[..1], ECDSA), Some("vpn.example.com"));
    assert_eq!(faults, [""; 0]);
    assert!(
        notes.iter().any(|note| note.contains("comes alone")),
        "{notes:?}"
    );
    let other = chain(|_| ());
    // Another authority of the same name cannot be told apart by its name.
    let unrelated = [good[0].clone(), other[0].clone()];
    let (faults, _) = said(None, (&unrelated, ECDSA), Some("vpn.example.com"));
    assert!(
        faults[0].contains("whose certificate is not among those sent"),
        "{faults:?}"
    );
}

#[test]
fn methods_that_windows_does_not_know_are_faults() {
    let good = chain(|_| ());
    for (client, method, minds) in [
        (WINDOWS, AuthMethod::DIGITAL_SIGNATURE, true),
        (WINDOWS, AuthMethod::SHARED_KEY, true),
        (WINDOWS, AuthMethod::RSA_SHA1, false),
        (None, AuthMethod::DIGITAL_SIGNATURE, false),
    ] {
        let (faults, notes) = said(client, (&good, method), Some("vpn.example.com"));
        assert_eq!(!faults.is_empty(), minds, "{method}: {faults:?}");
        let has_note = notes.iter().any(|note| note.contains("SHA-1"));
        assert_eq!(has_note, method == AuthMethod::RSA_SHA1);
    }
}

/// Of the client's own, and of the name that it asks for.
#[test]
fn a_clients_certificate_and_wish_are_looked_at() {
    let server = chain(|_| ());
    let wrong = Identity::Fqdn("vpn.example.net".into());
    let script = Script::new(APPLE)
        .says(FromClient, AUTH, |payloads| {
            id::encode(payloads, PayloadType::ID_RESPONDER, &id::body(&wrong));
            shows(payloads, &server, ECDSA);
        })
        .says(FromGateway, AUTH, |payloads| {
            shows(payloads, &server, ECDSA)
        });
    let (faults, _) = sorted(&script.look(None));
    let [gateway, client] = faults.as_slice() else {
        panic!("two faults: {faults:?}")
    };
    let (a, b) = if gateway.contains("the client's") {
        (client, gateway)
    } else {
        (gateway, client)
    };
    assert!(
        a.contains("has not the name that the client asks for: vpn.example.net"),
        "{a}"
    );
    assert!(
        b.contains("the client's certificate has extended key usages, and not clientAuth"),
        "{b}"
    );
}
