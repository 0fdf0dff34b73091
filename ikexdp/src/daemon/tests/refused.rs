//! Who is not served.

use super::*;

#[test]
fn garbage_is_counted_and_answered_by_silence() {
    let gateway = Gateway::start();
    let mut client = Client::new(gateway.ports);
    for port in [gateway.ports.ike, gateway.ports.nat_t] {
        for datagram in [&[][..], &[0], &[0; 4], &[7; 3], &[0; 28], &[0xff; 27]] {
            client
                .socket
                .send_to(datagram, ("127.0.0.1", port))
                .unwrap();
        }
    }
    client.connect();
    client.run_until(established);
    assert!(gateway.counter("udp_not_ike") > 0);
    assert!(gateway.counter("malformed_header") > 0);
    assert_eq!(gateway.counter("udp_sent"), 2);
}

#[test]
fn who_is_blocked_by_command_is_not_heard_until_that_is_withdrawn() {
    let gateway = Gateway::start();
    let list = |said| {
        gateway.ask(|reply| Order::List {
            prefixes: vec!["127.0.0.0/8".parse().unwrap()],
            said,
            by: Caller { uid: 0, pid: None },
            reply,
        })
    };
    let done = Ok(Relisted::default());
    assert_eq!(list(Some((Listing::Blocked, None))), done);
    let mut client = Client::new(gateway.ports);
    client.connect();
    while gateway.counter("udp_blocked") == 0 {
        thread::yield_now();
    }
    assert_eq!(gateway.counter("udp_received"), 0);
    assert_eq!(list(None), done);
    let refused = list(None).unwrap_err().to_string();
    assert!(
        refused.contains("not listed by command: 127.0.0.0/8"),
        "{refused}"
    );
    client.run_until(established);
}
