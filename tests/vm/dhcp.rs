//! DHCP in the tunnel: what Windows asks for after it has connected.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use harness::{
    credentials::{Credentials, SECRET},
    datagram::{Datagram, timeline},
    gateway::{Gateway, Setup},
    lab::{Lab, NAMES, address},
    namespace::Namespace,
    strongswan::Strongswan,
    traffic::ping,
};
use smoltcp::wire::{DhcpMessageType, DhcpOpCode, DhcpPacket};

use crate::{
    IKEXDP,
    carries::wait_for_sas,
    tunnel::{INSIDE, Tunnel, lab},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// The gateway's address in the tunnel; no interface has it.
const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// What the gateway is behind.
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// What is behind the gateway, and the router there: the other end.
const NETWORK: [u8; 8] = [24, 10, 8, 0, 0, 0, 0, 0];
const GATEWAY: [u8; 9] = [32, 10, 9, 0, 1, 0, 0, 0, 0];

/// A daemon that answers clients of a split tunnel, with further lines of the connection.
fn start(lab: &Lab, connection: &'static str) -> Gateway {
    let setup = Setup {
        data_plane: "xfrm",
        pool: "gateway-addresses = [\"10.9.0.1\"]\ndhcp = true",
        connection,
        tables: "[log]\nlevel = \"debug\"",
        ..Setup::new(Credentials::gateway_psk(SECRET))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    gateway.wait_for_line("the kernel has loaded what ESP takes");
    gateway
}

/// The IPv4 address of a client that has connected.
fn connect(client: &Strongswan) -> Ipv4Addr {
    client.initiate().expect("the client connects");
    let addresses = client.sas()[0].virtual_ips.clone();
    let own = addresses.into_iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    own.expect("an address of each family")
}

/// A socket for questions from `own`, which is an address of `machine`.
fn asker(machine: &Namespace, own: Ipv4Addr) -> UdpSocket {
    let socket = machine.run(move || UdpSocket::bind((own, 68)).unwrap());
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Asks everybody as Windows does, and says to be `client`.
///
/// ```text
/// op 1, hardware of RAS, its number, the client's address, the options 53: DHCPINFORM,
/// 60: MSFT 5.0, 55: 6, 44, 43, 1, 249, 15
/// ```
fn ask(socket: &UdpSocket, client: Ipv4Addr) {
    let mut message = vec![0; 240];
    message[..8].copy_from_slice(&[1, 8, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
    message[12..16].copy_from_slice(&client.octets());
    message[28..34].copy_from_slice(b"RAS \x01\x02");
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([53, 1, 8]);
    message.extend(b"\x3c\x08MSFT 5.0");
    message.extend([55, 6, 6, 44, 43, 1, 249, 15, 255]);
    let everybody = (Ipv4Addr::BROADCAST, 67);
    let sent = socket.send_to(&message, everybody).unwrap();
    assert_eq!(sent, message.len());
}

/// Waits for the answer to a question of `client`, and checks it.
fn is_answered(socket: &UdpSocket, client: Ipv4Addr, name_servers: &[u8]) {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).expect("an answer");
    assert_eq!(from, SocketAddr::from((OWN, 67)));
    let packet = DhcpPacket::new_checked(&buffer[..length]).unwrap();
    assert_eq!(packet.opcode(), DhcpOpCode::Reply);
    assert_eq!(packet.transaction_id(), 0xdead_beef);
    assert_eq!(packet.client_ip(), client);
    assert_eq!(packet.your_ip(), Ipv4Addr::UNSPECIFIED);
    let options: Vec<_> = packet.options().map(|it| (it.kind, it.data)).collect();
    let routes = [&NETWORK[..], &GATEWAY].concat();
    let expected: [(u8, &[u8]); 4] = [
        (53, &[DhcpMessageType::Ack.into()]),
        (54, &OWN.octets()),
        (6, name_servers),
        (249, &routes),
    ];
    assert_eq!(options, expected);
}

fn has_nothing(socket: &UdpSocket) {
    socket.set_nonblocking(true).unwrap();
    let nothing = socket.recv_from(&mut [0; 16]).map_err(|error| error.kind());
    assert_eq!(nothing, Err(ErrorKind::WouldBlock));
    socket.set_nonblocking(false).unwrap();
}

fn counted(gateway: &Gateway, name: &str) -> u64 {
    gateway.count(|stats| &stats.daemon, name)
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_client_of_a_split_tunnel_learns_its_routes() {
    let lab = lab();
    let gateway = start(&lab, "local-networks = [\"10.8.0.0/24\"]");
    for (round, tunnel) in (1..).zip([Tunnel::ALL[0], Tunnel::ALL[1]]) {
        tunnel.set_path(&lab);
        let client = tunnel.client(&lab);
        let own = connect(&client);
        let capture = lab.capture_router();
        let socket = asker(&lab.client, own);
        ask(&socket, own);
        is_answered(&socket, own, &OWN.octets());
        // What it says is there is there, by the same tunnel.
        assert_eq!(ping(&lab.client, INSIDE[0], 1), 0);
        let datagrams = capture.stop();
        let in_tunnel = [own, OWN, Ipv4Addr::BROADCAST].map(IpAddr::V4);
        let clear =
            |it: &&Datagram| in_tunnel.contains(&it.source) || in_tunnel.contains(&it.destination);
        let clear: Vec<_> = datagrams.iter().filter(clear).cloned().collect();
        assert!(clear.is_empty(), "in clear:\n{}", timeline(&clear, &NAMES));
        assert_eq!(counted(&gateway, "dhcp_answered"), round);
        client.stop();
    }
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn nobody_else_learns_anything() {
    let tunnel = Tunnel::ALL[0];
    let lab = lab();
    tunnel.set_path(&lab);
    let gateway = start(&lab, "local-networks = [\"10.8.0.0/24\"]");
    let client = tunnel.client(&lab);
    let own = connect(&client);
    let socket = asker(&lab.client, own);
    // In the clear the kernel lets nobody be a client.
    address(&lab.router, "gateway", &[&format!("{own}/32")]);
    let forger = asker(&lab.router, own);
    ask(&forger, own);
    // A stranger has no address in the tunnel, and a client no other than its own.
    let stranger = asker(&lab.router, ROUTER);
    ask(&stranger, ROUTER);
    ask(&socket, Ipv4Addr::new(10, 9, 0, 99));
    ask(&socket, own);
    is_answered(&socket, own, &OWN.octets());
    gateway.wait_for_line("no client has the address");
    assert!(gateway.line("not of who asks").contains("ignored"));
    assert_eq!(counted(&gateway, "dhcp_answered"), 1);
    for socket in [&forger, &stranger, &socket] {
        has_nothing(socket);
    }
    // When it is gone it is a stranger as well.
    client.stop();
    wait_for_sas(&lab, 0);
    ask(&forger, own);
    let left = |lines: &[String]| {
        let of_it = |line: &&String| {
            line.contains("no client has the address") && line.contains(&own.to_string())
        };
        lines.iter().any(|line| of_it(&line)).then_some(())
    };
    gateway
        .log()
        .wait_for(PATIENCE, left)
        .expect("the stranger is ignored");
    assert_eq!(counted(&gateway, "dhcp_answered"), 1);
}
