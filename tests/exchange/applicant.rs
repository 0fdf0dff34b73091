//! IKE_AUTH with EAP, as the initiator.

use std::time::Duration;

use harness::eap::{Doorman, ENDLESS, MSK, Visitor, WORD, parties};
use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof};
use ikexdp_proto::config::{Credential, Requirement};
use ikexdp_proto::crypto::cert::CredentialError;
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::eap::{Refusal, RejectionReason};
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::stats::Stat;
use ikexdp_proto::wire::iana::{AuthMethod, NotifyType};

fn visitor() -> Visitor {
    Visitor {
        name: "kim@example.com",
        word: WORD,
        msk: MSK.to_vec(),
    }
}

fn with(visitor: Visitor) -> Parties {
    parties(&Doorman::new(|_| ()), visitor)
}

fn after(parties: &Parties, weather: Weather, seconds: u64) -> Net {
    let mut net = Net::new(1, weather, parties);
    net.connect();
    net.run(Duration::from_secs(seconds));
    net
}

/// Why it failed for the client and for the gateway.
fn failures(parties: &Parties) -> [Option<FailureReason>; 2] {
    let net = after(parties, Weather::FAIR, 10);
    assert_eq!(net.established(Side::Client).len(), 0);
    assert_eq!(net.established(Side::Gateway).len(), 0);
    [Side::Client, Side::Gateway].map(|side| {
        let mut reasons = net.events(side).iter().filter_map(|event| match event {
            Event::HandshakeFailed(failure) => Some(failure.reason.clone()),
            _ => None,
        });
        reasons.next()
    })
}

fn refused(refusal: Refusal) -> Option<FailureReason> {
    Some(FailureReason::EapRefused(refusal))
}

fn told() -> Option<FailureReason> {
    let notify = NotifyType::AUTHENTICATION_FAILED;
    Some(FailureReason::PeerRefused(notify))
}

/// --> IKE_AUTH { IDi, CERTREQ, IDr, CP, SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, CERT, AUTH, EAP(Request/Identity) }
/// --> IKE_AUTH { EAP(Response/Identity) }
/// <-- IKE_AUTH { EAP(Request) }
/// --> IKE_AUTH { EAP(Response) }
/// <-- IKE_AUTH { EAP(Success) }
/// --> IKE_AUTH { AUTH }
/// <-- IKE_AUTH { AUTH, CP, SA, TSi, TSr }
#[test]
fn who_says_the_word_gets_in() {
    let net = after(&with(visitor()), Weather::FAIR, 5);
    let gateway = net.established(Side::Gateway).remove(0);
    let client = net.established(Side::Client).remove(0);
    assert_eq!(gateway.peer.unwrap().to_string(), "kim@example.com");
    assert_eq!(client.peer.unwrap().to_string(), "gateway.example.com");
    assert_eq!(gateway.addresses, client.addresses);
    let (ours, theirs) = (&gateway.children[0], &client.children[0]);
    assert_eq!((ours.spi_in, ours.spi_out), (theirs.spi_out, theirs.spi_in));
    let repeated = net.endpoint(Side::Client).stats();
    assert_eq!(repeated.value(Stat::RequestRepeated), 0);
}

/// What is lost is repeated, each message by itself.
#[test]
fn who_says_the_word_gets_in_by_a_bad_line() {
    let weather = Weather {
        loss: 20,
        ..Weather::FAIR
    };
    let net = after(&with(visitor()), weather, 60);
    assert_eq!(net.established(Side::Client).len(), 1);
}

#[test]
fn who_says_another_word_hears_why_from_its_method() {
    let word = b"friend";
    let [client, gateway] = failures(&with(Visitor { word, ..visitor() }));
    assert_eq!(client, refused(Refusal::Reason(7)));
    let wrong = FailureReason::Eap(RejectionReason::WrongPassword);
    assert_eq!(gateway, Some(wrong));
}

/// Somebody between the two has other keys than the gateway.
#[test]
fn another_key_than_the_gateways_does_not_do() {
    let msk = vec![0x4e; 64];
    let [client, gateway] = failures(&with(Visitor { msk, ..visitor() }));
    assert_eq!(client, told());
    assert_eq!(gateway, Some(FailureReason::EapKey));
}

/// RFC 7296 §2.16 wants a method that makes a key, and RFC 3748 §7.10 a long one.
#[test]
fn a_method_without_a_key_does_not_do() {
    let msk = vec![0x4d; 63];
    let [client, gateway] = failures(&with(Visitor { msk, ..visitor() }));
    let refusal = client.unwrap().to_string();
    assert_eq!(refusal, "EAP: our method has no answer or no key");
    assert_eq!(gateway, told());
}

/// The gateway has to prove who it is before anybody says a name, and by a certificate.
#[test]
fn who_cannot_show_a_certificate_hears_no_name() {
    let mut client = with(visitor());
    let another = Parties::new(Proof::Certificates(0)).client.connections[0].clone();
    client.change_gateway(|connection| connection.credential = another.credential.clone());
    let mut by_secret = with(visitor());
    let secret = || SharedKey::new(b"correct horse");
    by_secret.change_gateway(|it| it.credential = Credential::SharedKey(secret()));
    let mut trusting = by_secret.clone();
    trusting.change_client(|it| it.requirement = Requirement::SharedKey(secret()));
    let method = FailureReason::AuthMethod(AuthMethod::SHARED_KEY);
    for (parties, expected) in [
        (
            client,
            FailureReason::Credentials(CredentialError::WrongUsage),
        ),
        (by_secret, method.clone()),
        (trusting, method),
    ] {
        let [client, gateway] = failures(&parties);
        assert_eq!(client, Some(expected));
        assert_eq!(gateway, told());
    }
}

/// A gateway that asks no questions would let us in as nobody.
#[test]
fn a_gateway_without_eap_is_not_taken() {
    let mut parties = with(visitor());
    parties.gateway = Parties::new(Proof::Certificates(0)).gateway;
    let [client, gateway] = failures(&parties);
    assert_eq!(client, told());
    assert_eq!(gateway, Some(FailureReason::EapWanted));
}

#[test]
fn nobody_is_asked_for_ever() {
    let name = ENDLESS;
    let [client, _] = failures(&with(Visitor { name, ..visitor() }));
    assert_eq!(client, refused(Refusal::Reason(7)));
}
