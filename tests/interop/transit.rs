//! Traffic that is not IKE for the gateway passes it as if there were no gateway.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
};

use harness::{
    gateway::Gateway,
    lab::{Ends, Lab, Path, V4, V6, address, connect, forward},
    namespace::Namespace,
    packet::{ike_sa_init, marked},
    udp::{PATIENCE, receive, socket},
};

use crate::case::Case;

/// A machine behind the gateway, which is a router to it.
const INSIDE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2)),
];

/// Datagrams of a flow; all fit the buffer of a socket.
const FLOW: u16 = 100;

/// The lab with a machine more, on a path that drops nothing.
fn start() -> (Lab, Namespace, Gateway) {
    let (lab, gateway, _client) = Case {
        path: Path::default(),
        ..Case::psk(V4)
    }
    .start();
    let inside = Namespace::new("inside");
    connect((&lab.gateway, "inside"), (&inside, "eth0"));
    address(
        &lab.gateway,
        "inside",
        &["203.0.113.1/24", "2001:db8:3::1/64"],
    );
    address(&inside, "eth0", &["203.0.113.2/24", "2001:db8:3::2/64"]);
    forward(&lab.gateway);
    for (network, via) in [
        ("203.0.113.0/24", V4.gateway),
        ("2001:db8:3::/64", V6.gateway),
    ] {
        lab.router
            .exec(&format!("ip route add {network} via {via}"));
    }
    for via in ["203.0.113.1", "2001:db8:3::1"] {
        inside.exec(&format!("ip route add default via {via}"));
    }
    (lab, inside, gateway)
}

/// From the client to each machine that is to be reached, in both families.
fn journeys<'a>(lab: &'a Lab, inside: &'a Namespace) -> [(Ends, &'a Namespace); 4] {
    let inner = |ends: Ends, gateway| Ends { gateway, ..ends };
    [
        (V4, &lab.gateway),
        (V6, &lab.gateway),
        (inner(V4, INSIDE[0]), inside),
        (inner(V6, INSIDE[1]), inside),
    ]
}

/// IKE and ESP of others: in order, as they were sent, and both ways.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ike_and_esp_of_others_pass() {
    let (lab, inside, gateway) = start();
    let esp = vec![0xc0; 300];
    for (to, ends) in INSIDE.into_iter().zip([V4, V6]) {
        for (port, payloads) in [
            (500, vec![ike_sa_init(300)]),
            (4500, vec![marked(300), esp.clone()]),
        ] {
            // One for all: a program that another test is starting may hold a
            // socket that was just closed.
            let client = socket(&lab.client, ends.client, 0);
            let server = socket(&inside, to, port);
            for payload in payloads {
                there_and_back(&client, &server, &payload);
            }
        }
    }
    let xdp = |name| gateway.count(|stats| &stats.xdp, name);
    assert_eq!(xdp("pass_transit"), 4 * u64::from(FLOW));
    assert_eq!(xdp("pass_esp"), 2 * u64::from(FLOW));
    assert_eq!(gateway.count(|stats| &stats.engine, "received"), 0);
}

/// Sends `payload` many times from one to the other, and back.
fn there_and_back(client: &UdpSocket, server: &UdpSocket, payload: &[u8]) {
    let there = server.local_addr().unwrap();
    let numbered = |number: u16| [payload, &number.to_be_bytes()].concat();
    for number in 0..FLOW {
        client.send_to(&numbered(number), there).unwrap();
    }
    for number in 0..FLOW {
        let (received, from) = receive(server);
        assert_eq!(received, numbered(number));
        server.send_to(&received, from).unwrap();
    }
    for number in 0..FLOW {
        assert_eq!(receive(client), (numbered(number), there));
    }
}

/// Long datagrams of other ports, as IP fragments.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ip_fragments_pass() {
    let (lab, inside, gateway) = start();
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(3000).collect();
    for (ends, machine) in journeys(&lab, &inside) {
        let client = socket(&lab.client, ends.client, 0);
        let server = socket(machine, ends.gateway, 7000);
        client.send_to(&payload, (ends.gateway, 7000)).unwrap();
        let (received, from) = receive(&server);
        assert_eq!(received, payload);
        server.send_to(&received, from).unwrap();
        assert_eq!(receive(&client).0, payload);
    }
    let xdp = |name| gateway.count(|stats| &stats.xdp, name);
    // Three fragments each, of which the first has ports.
    assert_eq!((xdp("pass_other_port"), xdp("pass_fragment")), (4, 8));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn tcp_and_pings_pass() {
    let (lab, inside, gateway) = start();
    for (ends, machine) in journeys(&lab, &inside) {
        let pings = format!("ping -c 3 -i 0.2 -s 1400 {}", ends.gateway);
        lab.client.exec(&pings);
        transfer(&lab.client, machine, (ends.gateway, 7000).into());
    }
    // More than a packet a ping and one for each KiB and a half of the transfers.
    assert!(gateway.count(|stats| &stats.xdp, "pass_not_udp") > 12 + 4 * 341);
}

/// Sends half a MiB over TCP.
fn transfer(from: &Namespace, to: &Namespace, listening: SocketAddr) {
    let data: Vec<u8> = (0..=u8::MAX).cycle().take(512 << 10).collect();
    let listener = to.run(move || TcpListener::bind(listening).unwrap());
    let mut sender = from.run(move || TcpStream::connect_timeout(&listening, PATIENCE).unwrap());
    sender.set_write_timeout(Some(PATIENCE)).unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = data.clone();
    let sender = thread::spawn(move || sender.write_all(&sent).unwrap());
    let mut received = vec![];
    receiver.read_to_end(&mut received).unwrap();
    sender.join().unwrap();
    assert!(
        received == data,
        "{} octets of {}",
        received.len(),
        data.len()
    );
}
