//! The sockets of this host, by loopback.

use super::*;
use bytes::Bytes;
use ikexdp_proto::types::Datagram;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

/// Whatever is free.
const ANY: Ports = Ports { ike: 0, nat_t: 0 };

fn port(sockets: &Sockets, v4: bool, marker: bool) -> u16 {
    let wanted = |socket: &&Socket| socket.local.is_ipv4() == v4 && socket.marker == marker;
    sockets.iter().find(wanted).unwrap().local.port()
}

fn client(address: &str) -> UdpSocket {
    let client = UdpSocket::bind((address, 0)).unwrap();
    let long = Some(Duration::from_secs(5));
    client.set_read_timeout(long).unwrap();
    client
}

/// Everything that comes until `count` IKE messages did.
fn receive(sockets: &Sockets, count: usize) -> Vec<(Path, Vec<u8>)> {
    let mut batch = Batch::default();
    let mut received = Vec::new();
    while received.len() < count {
        for socket in sockets.iter() {
            let keep = |datagram: Result<Datagram<'_>, Discard>| {
                let datagram = datagram.unwrap();
                received.push((datagram.path, datagram.payload.to_vec()));
            };
            batch.receive(socket, keep).unwrap();
        }
    }
    received
}

fn send(
    sockets: &Sockets,
    path: &Path,
    payload: &[u8],
    may_fragment: bool,
) -> Result<(), SendError> {
    let payload = Bytes::copy_from_slice(payload);
    let mut datagram = Outgoing::message(*path, payload);
    datagram.may_fragment = may_fragment;
    sockets.send(datagram)
}

fn echo(sockets: &Sockets, client: &UdpSocket, may_fragment: bool) -> (SocketAddr, Vec<u8>) {
    let (path, payload) = receive(sockets, 1).pop().unwrap();
    send(sockets, &path, &payload, may_fragment).unwrap();
    let mut buffer = vec![0; 65_536];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    buffer.truncate(length);
    (from, buffer)
}

#[test]
fn a_reply_leaves_from_where_the_request_came_to() {
    let sockets = Sockets::bind(ANY).unwrap();
    let port = port(&sockets, true, false);
    for address in ["127.0.0.1", "127.0.0.5"] {
        let client = client("127.0.0.9");
        client.send_to(b"ike", (address, port)).unwrap();
        let (from, payload) = echo(&sockets, &client, false);
        assert_eq!(from, SocketAddr::new(address.parse().unwrap(), port));
        assert_eq!(payload, b"ike");
    }
}

#[test]
fn on_4500_only_ike_gets_through_and_its_marker_is_ours_to_handle() {
    let sockets = Sockets::bind(ANY).unwrap();
    let port = port(&sockets, true, true);
    let client = client("127.0.0.1");
    for datagram in [b"\xff".as_slice(), &[1; 64], b"\0\0\0\0ike"] {
        client.send_to(datagram, ("127.0.0.1", port)).unwrap();
    }
    let received = receive(&sockets, 1);
    let [(path, payload)] = received.as_slice() else {
        panic!("{received:?}");
    };
    assert_eq!((path.marker, payload.as_slice()), (true, b"ike".as_slice()));
    send(&sockets, path, payload, false).unwrap();
    let mut buffer = [0; 16];
    let (length, _) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..length], *b"\0\0\0\0ike");
}

#[test]
fn more_datagrams_come_than_one_call_reads() {
    let sockets = Sockets::bind(ANY).unwrap();
    let port = port(&sockets, true, false);
    let client = client("127.0.0.1");
    for number in 0..100_u8 {
        client.send_to(&[number], ("127.0.0.1", port)).unwrap();
    }
    let received = receive(&sockets, 100);
    let numbers: Vec<u8> = received.iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
}

/// A datagram of 65,568 octets does not fit the 65,536 of the loopback
/// interface; over IPv4 there is none so long.
#[test]
fn what_the_link_does_not_carry_is_fragmented_only_if_it_may() {
    let sockets = Sockets::bind(ANY).unwrap();
    if !sockets.iter().any(|socket| socket.local.is_ipv6()) {
        return;
    }
    let port = port(&sockets, false, false);
    let client = client("::1");
    client.send_to(b"ike", ("::1", port)).unwrap();
    let (path, _) = receive(&sockets, 1).pop().unwrap();
    let long = vec![7; 65_520];
    let refused = Err(SendError::TooLong { length: long.len() });
    assert_eq!(send(&sockets, &path, &long, false), refused);
    assert_eq!(send(&sockets, &path, &long, true), Ok(()));
    assert_eq!(send(&sockets, &path, &long, false), refused);
    let mut buffer = vec![0; 65_536];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    assert_eq!((length, from.port()), (long.len(), port));
}

/// Of those that wait, the kernel sends none behind one that it refuses: we do.
#[test]
fn one_that_is_refused_keeps_no_other_back() {
    let sockets = Sockets::bind(ANY).unwrap();
    let client = client("127.0.0.1");
    let way = |local: &str, remote: SocketAddr, marker| Path {
        local: SocketAddr::new(local.parse().unwrap(), port(&sockets, true, marker)),
        remote,
        marker,
    };
    let here = client.local_addr().unwrap();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let elsewhere = Path {
        local: "127.0.0.1:1".parse().unwrap(),
        ..way("127.0.0.1", here, false)
    };
    let message = |path, octet| Outgoing::message(path, vec![octet; 32].into());
    let long = Outgoing::message(way("127.0.0.1", here, false), vec![3; 65_530].into());
    // What it is filled with.
    let number = |datagram: &Outgoing| *datagram.parts(false)[1].last().unwrap();
    let mut outbox = Outbox::default();
    for datagram in [
        message(way("127.0.0.1", here, false), 1),
        message(way("127.0.0.1", nowhere, false), 2),
        long,
        {
            let mut datagram = message(way("127.0.0.7", here, false), 4);
            datagram.may_fragment = true;
            datagram
        },
        message(elsewhere, 5),
        message(way("127.0.0.1", here, true), 6),
        Outgoing::keepalive(way("127.0.0.1", here, true)),
    ] {
        assert!(!outbox.push(datagram));
    }
    let mut results = Vec::new();
    outbox.send(&sockets, |datagram, sent| {
        results.push((number(datagram), sent));
    });
    // In their order for each path.
    results.sort_by_key(|(number, _)| *number);
    let refused = Err(SendError::Refused(Errno::EINVAL));
    let too_long = Err(SendError::TooLong { length: 65_530 });
    let unserved = Err(SendError::NoSocket(elsewhere.local));
    let expected = [
        (1, Ok(())),
        (2, refused),
        (3, too_long),
        (4, Ok(())),
        (5, unserved),
        (6, Ok(())),
        (KEEPALIVE[0], Ok(())),
    ];
    assert_eq!(results, expected);
    let marked = [&MARKER[..], &[6; 32]].concat();
    let mut arrived = BTreeMap::new();
    for _ in 0..4 {
        let mut buffer = [0; 64];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        arrived.insert(buffer[..length].to_vec(), from.ip().to_string());
    }
    let expected = [
        (vec![1; 32], "127.0.0.1"),
        (vec![4; 32], "127.0.0.7"),
        (marked, "127.0.0.1"),
        (KEEPALIVE.to_vec(), "127.0.0.1"),
    ];
    let expected = expected.map(|(payload, source)| (payload, source.to_owned()));
    assert_eq!(arrived, BTreeMap::from(expected));
    // Nothing is left, and nothing is sent twice.
    outbox.send(&sockets, |_, _| panic!("sent again"));
}

#[test]
fn an_outbox_says_when_it_is_full() {
    let path = Path {
        local: "192.0.2.1:500".parse().unwrap(),
        remote: "192.0.2.7:500".parse().unwrap(),
        marker: false,
    };
    let mut outbox = Outbox::default();
    let mut pushed = (0..8).map(|_| outbox.push(Outgoing::keepalive(path)));
    assert_eq!(pushed.position(|is_full| is_full), Some(7));
}

#[test]
fn whoever_has_a_port_is_named() {
    let sockets = Sockets::bind(ANY).unwrap();
    let taken = Ports {
        ike: port(&sockets, true, false),
        nat_t: 0,
    };
    let error = Sockets::bind(taken).unwrap_err().to_string();
    let pid = std::process::id();
    assert!(error.contains(&format!("(pid {pid})")), "{error}");
    assert!(error.contains("hint: "), "{error}");
}

#[test]
fn what_nobody_reads_is_counted() {
    let sockets = Sockets::bind(ANY).unwrap();
    let drops = sockets.drops();
    assert_eq!(drops.count(), 0);
    let port = port(&sockets, true, false);
    let client = client("127.0.0.1");
    let datagram = [0; 60_000];
    while drops.count() == 0 {
        client.send_to(&datagram, ("127.0.0.1", port)).unwrap();
    }
}
