//! Users whom a real FreeRADIUS knows, and the gateway does not.

use std::net::Ipv4Addr;

use harness::{
    credentials::{Credentials, Eap},
    freeradius::{Certificates, FreeRadius, Record, SECRET, Settings, User, disconnect_from},
    gateway::{Gateway, count},
    lab::{Lab, V4},
    pki::{CLIENT, Key, Pki},
    strongswan::Strongswan,
};

use crate::case::Case;

const SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Silent servers are given up early here.
const TABLE: &str = "[[radius]]
name = \"lab\"
servers = [\"127.0.0.1\"]
secret-file = \"radius.secret\"
timeout = \"500ms\"
tries = 2
accounting = true
disconnect = { listen = \"127.0.0.1\" }
";

fn case(pki: &Pki, user: &str, method: Eap) -> Case {
    let files = vec![("radius.secret", SECRET.to_owned())];
    let gateway = Credentials::eap_gateway(pki, "eap-radius = \"lab\"", files);
    let mut case = Case::new(V4, Credentials::eap(pki, user, method), gateway);
    case.gateway.tables = TABLE;
    case
}

fn settings(pki: &Pki, method: Option<&'static str>) -> Settings {
    let kim = User::new("kim", "secret of kim")
        .with("Framed-IP-Address = 10.9.0.77")
        .with("Class = 0x6c6162")
        .with("Session-Timeout = 3600");
    Settings {
        users: vec![kim],
        certificates: method.map(|_| Certificates::of(pki)),
        method,
        refuses_strangers: false,
    }
}

fn start(case: &Case, settings: &Settings) -> (Lab, FreeRadius, Gateway, Strongswan) {
    let (lab, gateway, client) = case.start();
    let server = FreeRadius::start_in(&lab.gateway, SERVER.into(), settings);
    (lab, server, gateway, client)
}

/// EAP-MSCHAPv2: the address is the server's choice, and the server hears when the session begins
/// and ends.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_user_of_the_server_comes_and_goes() {
    let pki = Pki::new(Key::EcdsaP256);
    let case = case(&pki, "kim", Eap::Mschapv2("secret of kim".to_owned()));
    let (_lab, server, gateway, client) = start(&case, &settings(&pki, None));
    client.initiate().unwrap();
    let sas = gateway.sas();
    assert_eq!(sas.len(), 1);
    assert_eq!(sas[0].identity.as_deref(), Some("kim"));
    assert_eq!(sas[0].addresses, [Ipv4Addr::new(10, 9, 0, 77)]);
    assert_eq!(sas[0].children.len(), 1);
    client.terminate().unwrap();
    // It waits for the server to take what it is told.
    gateway.stop();
    let records = server.records();
    assert_eq!(
        statuses(&records),
        ["Accounting-On", "Start", "Stop", "Accounting-Off"]
    );
    let (start, stop) = (&records[1], &records[2]);
    for record in [start, stop] {
        assert_eq!(record.get("User-Name"), Some("kim"));
        assert_eq!(record.get("Class"), Some("0x6c6162"));
        assert_eq!(record.get("Framed-IP-Address"), Some("10.9.0.77"));
    }
    assert_eq!(stop.get("Acct-Terminate-Cause"), Some("User-Request"));
    // Nothing is carried here.
    for count in ["Acct-Input-Octets", "Acct-Output-Packets"] {
        assert_eq!(stop.get(count), Some("0"));
    }
}

fn statuses(records: &[Record]) -> Vec<&str> {
    let statuses = records.iter();
    let statuses = statuses.map(|record| record.get("Acct-Status-Type"));
    statuses.map(|status| status.expect("a status")).collect()
}

/// The server hears of the end of a session that is up when the gateway ends, and then of that.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_server_hears_that_the_gateway_ends() {
    let pki = Pki::new(Key::EcdsaP256);
    let case = case(&pki, "kim", Eap::Mschapv2("secret of kim".to_owned()));
    let (_lab, server, gateway, client) = start(&case, &settings(&pki, None));
    client.initiate().unwrap();
    gateway.stop();
    let records = server.records();
    assert_eq!(
        statuses(&records),
        ["Accounting-On", "Start", "Stop", "Accounting-Off"]
    );
    let cause = records[2].get("Acct-Terminate-Cause");
    assert_eq!(cause, Some("Admin-Reboot"));
    for record in &records {
        assert_eq!(record.get("NAS-Identifier"), Some("ikexdp"));
    }
}

/// EAP-TLS and EAP-TTLS, which are between the client and the server.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn methods_that_the_gateway_does_not_know() {
    let pki = Pki::new(Key::EcdsaP256);
    for (method, user, eap) in [
        ("tls", CLIENT, Eap::Tls(pki.client.clone())),
        ("ttls", "kim", Eap::Ttls("secret of kim".to_owned())),
    ] {
        let (_lab, _server, gateway, client) =
            start(&case(&pki, user, eap), &settings(&pki, Some(method)));
        client.initiate().unwrap();
        let sas = gateway.sas();
        assert_eq!(sas[0].identity.as_deref(), Some(user), "{method}");
        assert_eq!(sas[0].children.len(), 1, "{method}");
        client.terminate().unwrap();
        gateway.stop();
    }
}

/// A Disconnect-Request ends the session; one for somebody else does not.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_server_ends_a_session() {
    let pki = Pki::new(Key::EcdsaP256);
    let case = case(&pki, "kim", Eap::Mschapv2("secret of kim".to_owned()));
    let (lab, server, gateway, client) = start(&case, &settings(&pki, None));
    client.initiate().unwrap();
    let here = (SERVER, 3799).into();
    let said = disconnect_from(&lab.gateway, here, "User-Name = \"lee\"");
    assert!(said.contains("Disconnect-NAK"), "{said}");
    assert_eq!(gateway.sas().len(), 1);
    let said = disconnect_from(&lab.gateway, here, "User-Name = \"kim\"");
    assert!(said.contains("Disconnect-ACK"), "{said}");
    assert_eq!(gateway.sas(), []);
    for (role, name, value) in [
        ("authentication", "accepts", 1),
        ("authentication", "rejects", 0),
        ("disconnect", "acknowledged", 1),
        ("disconnect", "refused", 1),
        ("records", "records_lost", 0),
    ] {
        assert_eq!(counted(&gateway, role, name), value, "{role} {name}");
    }
    gateway.stop();
    let records = server.records();
    let stop = &records[2];
    assert_eq!(stop.get("Acct-Terminate-Cause"), Some("Admin-Reset"));
}

/// A counter that `ikexdp stats` shows of the only table.
fn counted(gateway: &Gateway, role: &str, name: &str) -> u64 {
    let stats = gateway.stats();
    let mut of_table = stats.radius.iter();
    let of_role = of_table.find(|it| it.table == "lab" && it.role == role);
    count(&of_role.expect("the role is shown").counters, name)
}

fn refused(case: &Case, settings: Option<&Settings>, says: &[&str]) {
    let (lab, gateway, client) = case.start();
    let server = settings.map(|it| FreeRadius::start_in(&lab.gateway, SERVER.into(), it));
    client.initiate().expect_err("the client is refused");
    let line = gateway.line("handshake failed");
    for part in says {
        assert!(line.contains(part), "no `{part}`: {line}");
    }
    assert_eq!(gateway.sas(), []);
    assert_eq!(client.sas(), []);
    let (rejects, timeouts) = if server.is_some() { (1, 0) } else { (0, 1) };
    assert_eq!(counted(&gateway, "authentication", "rejects"), rejects);
    assert_eq!(counted(&gateway, "authentication", "timeouts"), timeouts);
    gateway.stop();
    drop(server);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn another_password() {
    let pki = Pki::new(Key::EcdsaP256);
    let case = case(&pki, "kim", Eap::Mschapv2("a guess".to_owned()));
    let says = [
        "kind=\"eap\"",
        "identity=\"kim\"",
        "RADIUS server 127.0.0.1:1812 rejects it",
    ];
    refused(&case, Some(&settings(&pki, None)), &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_server_that_is_down() {
    let pki = Pki::new(Key::EcdsaP256);
    let case = case(&pki, "kim", Eap::Mschapv2("secret of kim".to_owned()));
    let says = [
        "kind=\"radius_silent\"",
        "identity=\"kim\"",
        "no RADIUS server answers: 127.0.0.1:1812",
    ];
    refused(&case, None, &says);
}
