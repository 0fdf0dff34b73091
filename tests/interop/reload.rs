//! The daemon takes another configuration while clients are connected.

use std::time::Duration;

use harness::{
    credentials::Credentials,
    gateway::{Setup, Transport},
    lab::V4,
    pki::Key,
    strongswan::Strongswan,
};

use crate::case::Case;

const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the gateway has answered another question of the client's whether it lives.
fn assert_alive(client: &Strongswan) {
    let answers = |lines: &[String]| {
        let answers = lines
            .iter()
            .filter(|it| it.contains("parsed INFORMATIONAL response"));
        answers.count()
    };
    let before = answers(&client.log().entries());
    let more = client
        .log()
        .wait_for(PATIENCE, |lines| (answers(lines) > before).then_some(()));
    more.expect("the gateway answers the client");
}

/// The new certificate is of an authority that the first client does not know, and the second one
/// knows no other.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_new_certificate_is_for_new_handshakes() {
    let mut case = Case::certificates(V4, Key::EcdsaP256);
    case.client.dpd_delay = Duration::from_secs(1);
    let (lab, gateway, client) = case.start();
    client.initiate().unwrap();
    let before = gateway.sas();
    assert_alive(&client);

    let renewed = Case::certificates(V4, Key::EcdsaP256);
    let (taken, text) = gateway.reload(&renewed.gateway);
    assert!(taken, "{text}");
    let expected = "taken: /run/ikexdp/gateway.toml, connections: 1, pools: 1\n";
    assert_eq!(text, expected);
    gateway.wait_for_line("configuration taken");
    assert_alive(&client);
    let after = gateway.sas();
    assert_eq!((before[0].id, after.len()), (after[0].id, 1));
    client.terminate().unwrap();
    assert!(client.initiate().is_err(), "it does not know the authority");

    drop(client);
    let client = Strongswan::start(&lab.client, renewed.client);
    client.initiate().unwrap();
    assert_eq!(gateway.sas().len(), 1);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_configuration_with_an_error_changes_nothing() {
    let case = Case::psk(V4);
    let (_lab, gateway, client) = case.start();
    client.initiate().unwrap();
    let other = Case::new(
        V4,
        Credentials::client_psk("another secret of both"),
        Credentials::gateway_psk("another secret of both"),
    );
    let broken = Setup {
        fragment_size: 9000,
        ..other.gateway.clone()
    };
    let reason = "gateway.toml:5: gateway.fragment-size: not between 576 and 1500: 9000; hint: ";
    let (taken, text) = gateway.reload(&broken);
    assert!(!taken, "{text}");
    assert!(text.starts_with("error: nothing was changed: "), "{text}");
    assert!(text.contains(reason), "{text}");
    gateway.hang_up(&broken);
    let line = gateway.line("configuration not taken");
    assert!(line.contains(reason), "{line}");

    // The client with the old secret is still welcome, and stays.
    client.terminate().unwrap();
    client.initiate().unwrap();

    // What cannot change is named, and all else is taken.
    let generic = Setup {
        transport: Transport::Generic,
        ..other.gateway
    };
    gateway.hang_up(&generic);
    let line = gateway.line("value not taken");
    for part in ["gateway.xdp-mode", "native", "generic", "restart to apply"] {
        assert!(line.contains(part), "{line}");
    }
    gateway.wait_for_line("configuration taken");
    client.terminate().unwrap();
    let refused = client.initiate().unwrap_err();
    assert!(refused.contains("AUTH_FAILED"), "{refused}");
    let (taken, text) = gateway.reload(&generic);
    assert!(taken, "{text}");
    let postponed = "warning: gateway.xdp-mode stays native, not generic; hint: restart to apply";
    assert!(text.contains(postponed), "{text}");
}
