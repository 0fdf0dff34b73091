//! Traffic of users, which a tunnel carries.

use std::{
    io::{self, Read as _},
    net::{IpAddr, Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::namespace::{Namespace, command};

/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pings `count` times; how many went unanswered.
#[must_use]
pub fn ping(namespace: &Namespace, target: IpAddr, count: u32) -> u32 {
    let mut ping = command("ping");
    ping.args(["-n", "-i", "0.2", "-W", "5", "-c", &count.to_string()]);
    ping.arg(target.to_string());
    let output = namespace.output(ping);
    // "5 packets transmitted, 4 received, 20% packet loss, time 804ms"
    let text = String::from_utf8_lossy(&output.stdout);
    let answered = text
        .split(", ")
        .find_map(|part| part.strip_suffix(" received"));
    let answered: u32 = answered
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| {
            panic!(
                "ping {target}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
    count - answered
}

/// Sends so many bytes over TCP from `source` to `address`, which is `sink`'s; returns when all have
/// arrived.
pub fn transfer(source: &Namespace, (sink, address): (&Namespace, IpAddr), length: u64) {
    let listener = sink.run(move || TcpListener::bind((address, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let sender = source.run(move || TcpStream::connect_timeout(&(address, port).into(), PATIENCE));
    let mut sender = sender.unwrap_or_else(|error| panic!("to {address}: {error}"));
    let (mut receiver, _) = listener.accept().unwrap();
    sender.set_write_timeout(Some(PATIENCE)).unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let sends = thread::spawn(move || {
        io::copy(&mut io::repeat(0xa5).take(length), &mut sender)?;
        sender.shutdown(Shutdown::Write)
    });
    let received = io::copy(&mut receiver, &mut io::sink());
    sends
        .join()
        .unwrap()
        .unwrap_or_else(|error| panic!("to {address}: {error}"));
    assert_eq!(received.unwrap(), length, "bytes received by {address}");
}
