//! A client over the loopback interface, and the daemon's packet loop.

mod refused;
mod rotation;
mod sequence;

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use ikexdp_proto::config::{
    AddressPool, ChildConfig, Connection, Credential, EspAlgorithms, Gate, IkeAlgorithms,
    Lifetimes, RemoteSelectors, Requirement, Timing, Uniqueness,
};
use ikexdp_proto::crypto::cert::{NoMemory, NoStatusSource};
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::data_plane::{Binding, DataPlane, NoDataPlane};
use ikexdp_proto::event::Event;
use ikexdp_proto::identity::Identity;
use ikexdp_proto::job::JobHost;
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::spi::RandomSpis;
use ikexdp_proto::types::{Datagram, EspSpi, IkeSaId, NAT_T_PORT, Path, Transmit};
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ikexdp_proto::{Command, Input, Output};
use ring::rand::SystemRandom;
use tempfile::TempDir;

use super::*;
use crate::clock::{Clock, unix_time};
use crate::config::{Defence, LogSettings};
use crate::control::Caller;
use crate::view::{Listing, Relisted, Sa, Stats};

const MARKER: [u8; 4] = [0; 4];

fn secret() -> SharedKey {
    SharedKey::new(b"correct horse battery staple")
}

fn name(name: &str) -> Identity {
    Identity::Fqdn(name.to_owned())
}

/// Both sides' configuration: who they are, and what lies behind the other.
pub(super) fn engine(local: &str, remote: RemoteSelectors, request_addresses: bool) -> Arc<Config> {
    let everything = TrafficSelector::addresses(
        "0.0.0.0".parse().unwrap(),
        "255.255.255.255".parse().unwrap(),
    );
    let connection = Connection {
        name: "staff".to_owned(),
        local_identity: name(local),
        credential: Credential::SharedKey(secret()),
        remote_identities: vec![IdentityPattern::Any],
        requirement: Requirement::SharedKey(secret()),
        child: ChildConfig {
            esp: EspAlgorithms::default(),
            local: vec![everything],
            services: Vec::new(),
            remote,
            request_addresses,
            childless: false,
            binding: Binding::default(),
        },
        lifetimes: Lifetimes::default(),
        uniqueness: Uniqueness::default(),
    };
    Arc::new(Config {
        connections: vec![Arc::new(connection)],
        pools: vec![AddressPool {
            name: "staff".to_owned(),
            v4: Some(("10.9.0.1".parse().unwrap(), "10.9.0.9".parse().unwrap())),
            ..AddressPool::default()
        }],
        ike: IkeAlgorithms::default(),
        fragmentation: Fragmentation::default(),
        gate: Gate::default(),
        timing: Timing::default(),
        additional_addresses: Vec::new(),
    })
}

fn settings(state_dir: PathBuf) -> Settings {
    Settings {
        defence: Defence::default(),
        engine: engine(
            "gateway.example",
            RemoteSelectors::Pool("staff".to_owned()),
            false,
        ),
        transport: Transport::Udp,
        ip_fragments: false,
        data_plane: crate::config::DataPlane::None,
        control_socket: PathBuf::new(),
        state_dir,
        metrics_address: None,
        allow_key_export: false,
        log: LogSettings::default(),
        radius: Vec::new(),
        dhcp: Vec::new(),
    }
}

/// A packet loop on ports that were free.
struct Gateway {
    state: TempDir,
    mailbox: Mailbox,
    ports: Ports,
    thread: JoinHandle<Result<(), DaemonError>>,
}

impl Gateway {
    fn start() -> Self {
        Self::start_with(TempDir::new().unwrap())
    }

    /// One that may find the state of another.
    fn start_with(state: TempDir) -> Self {
        Self::start_on(Cpus::find(), state)
    }

    /// One on a host of which it may use so much.
    fn start_on(cpus: Cpus, state: TempDir) -> Self {
        Self::carrying(Arc::new(NoDataPlane), cpus, state)
    }

    /// One whose CHILD SAs are kept there.
    fn carrying(data_plane: Arc<dyn DataPlane>, cpus: Cpus, state: TempDir) -> Self {
        let settings = settings(state.path().to_owned());
        let sockets = Sockets::bind(Ports { ike: 0, nat_t: 0 }).unwrap();
        let port = |place| sockets.iter().nth(place).unwrap().local_addr().port();
        let ports = Ports {
            ike: port(0),
            nat_t: port(1),
        };
        let waker = Waker::new().unwrap();
        let (mailbox, orders) = Mailbox::open(waker.clone());
        let run = move || {
            let carrier = Carrier {
                data_plane,
                events: None,
            };
            let hearers = (Arc::default(), Arc::default(), Arc::default());
            let observers = Observers::new(waker.clone());
            let mail = (waker, orders, observers);
            let packets = prepare((&settings, cpus), sockets, carrier, mail, hearers)?;
            packets.run().map_err(DaemonError::Wait)
        };
        Self {
            state,
            mailbox,
            ports,
            thread: thread::spawn(run),
        }
    }

    /// Gives an order; the answer may take until the client has done its part.
    fn order<T>(&self, order: impl FnOnce(order::Reply<T>) -> Order) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.give(order(reply)).unwrap();
        answer
    }

    fn ask<T>(&self, order: impl FnOnce(order::Reply<T>) -> Order) -> T {
        self.order(order).blocking_recv().unwrap()
    }

    fn sas(&self) -> Vec<Sa> {
        let sas = self.ask(|reply| Order::Sas { after: None, reply });
        sas.into_iter().map(Sa::from).collect()
    }

    fn counter(&self, name: &str) -> u64 {
        let Stats { daemon, engine, .. } = self.ask(Order::Stats);
        let mut counters = daemon.0.into_iter().chain(engine.0);
        counters.find(|(known, _)| known == name).unwrap().1
    }
}

/// An initiator that does its jobs itself.
struct Client {
    engine: Endpoint,
    clock: Clock,
    socket: UdpSocket,
    gateway: Ports,
    events: Vec<Event>,
}

impl Client {
    fn new(gateway: Ports) -> Self {
        Self::named("client.example", gateway)
    }

    fn named(name: &str, gateway: Ports) -> Self {
        let everything = TrafficSelector::addresses(
            "0.0.0.0".parse().unwrap(),
            "255.255.255.255".parse().unwrap(),
        );
        let config = engine(name, RemoteSelectors::Fixed(vec![everything]), true);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = Duration::from_millis(100);
        socket.set_read_timeout(Some(patience)).unwrap();
        Self {
            engine: Endpoint::new(
                config,
                Box::new(entropy::seeded().unwrap()),
                Box::new(RandomSpis),
            ),
            clock: Clock::start(),
            socket,
            gateway,
            events: Vec::new(),
        }
    }

    fn connect(&mut self) {
        let path = Path {
            local: self.socket.local_addr().unwrap(),
            remote: SocketAddr::from(([127, 0, 0, 1], self.gateway.ike)),
            marker: false,
        };
        let connection = "staff".to_owned();
        self.handle(Input::Command(Command::Initiate { connection, path }));
    }

    fn handle(&mut self, input: Input<'_>) {
        self.engine.handle(self.clock.now(), input);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(transmit) => self.send(&transmit),
                Output::Keepalive(_) | Output::Keys(_) => {}
                Output::Event(event) => self.events.push(event),
                Output::Job(id, job) => {
                    let host = JobHost {
                        random: &SystemRandom::new(),
                        unix_time: unix_time(),
                        data_plane: &NoDataPlane,
                        status: &NoStatusSource,
                        signatures: &NoMemory,
                    };
                    let (done, result) = mpsc::channel();
                    job.run(host, move |result| done.send(result).unwrap());
                    self.handle(Input::JobDone(id, result.recv().unwrap()));
                }
            }
        }
    }

    /// The engine knows the ports by their true numbers.
    fn send(&self, transmit: &Transmit) {
        let payload = transmit.payload.to_vec();
        let (port, datagram) = if transmit.path.marker {
            (self.gateway.nat_t, [MARKER.to_vec(), payload].concat())
        } else {
            (self.gateway.ike, payload)
        };
        self.socket.send_to(&datagram, ("127.0.0.1", port)).unwrap();
    }

    /// Does what is due until `done`.
    fn run_until(&mut self, done: impl Fn(&[Event]) -> bool) {
        while !done(&self.events) {
            self.hear();
        }
    }

    /// Takes a datagram, or does what is due if none comes. Says whether one came.
    fn hear(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        let Ok((length, mut remote)) = self.socket.recv_from(&mut buffer) else {
            self.handle(Input::Timeout);
            return false;
        };
        let marker = remote.port() == self.gateway.nat_t;
        let mut payload = &buffer[..length];
        if marker {
            payload = payload.strip_prefix(&MARKER).unwrap();
            remote.set_port(NAT_T_PORT);
        }
        let path = Path {
            local: self.socket.local_addr().unwrap(),
            remote,
            marker,
        };
        self.handle(Input::Datagram(Datagram {
            path,
            slot: None,
            is_allowed: false,
            payload,
        }));
        true
    }
}

fn established(events: &[Event]) -> bool {
    let is = |event: &Event| matches!(event, Event::Established(_));
    let failed = |event: &Event| matches!(event, Event::HandshakeFailed(_));
    assert!(!events.iter().any(failed), "{events:?}");
    events.iter().any(is)
}

fn rekeyed(events: &[Event]) -> bool {
    let is = |event: &Event| matches!(event, Event::ChildClosed { .. });
    events.iter().any(is)
}

fn closed(events: &[Event]) -> bool {
    let is = |event: &Event| matches!(event, Event::Closed { .. });
    events.iter().any(is)
}

#[test]
fn a_client_connects_is_shown_and_is_terminated() {
    let two = NonZeroUsize::new(2).unwrap();
    for (threads, is_one) in [(NonZeroUsize::MIN, true), (two, false)] {
        let state = TempDir::new().unwrap();
        live_through(Gateway::start_on(Cpus { threads, is_one }, state));
    }
}

fn live_through(gateway: Gateway) {
    let mut client = Client::new(gateway.ports);
    client.connect();
    client.run_until(established);

    let sas = gateway.sas();
    let [sa] = sas.as_slice() else {
        panic!("one SA: {sas:?}");
    };
    assert_eq!(sa.state, "established");
    assert_eq!(sa.identity.as_deref(), Some("client.example"));
    assert_eq!(
        sa.addresses,
        ["10.9.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(sa.children.len(), 1);
    assert_eq!(gateway.ask(Order::Status).established, 1);
    assert_eq!(gateway.counter("udp_received"), 2);
    assert_eq!(gateway.counter("udp_sent"), 2);
    // The key exchange, and each direction of the CHILD SA.
    assert_eq!(gateway.counter("job_submitted"), 3);
    assert_eq!(gateway.counter("established"), 1);
    let handshakes = gateway.ask(Order::Stats).handshakes;
    assert_eq!(handshakes.established, 1);
    assert_eq!(handshakes.duration_us.count, 1);
    assert_ne!(handshakes.duration_us.sum, 0);

    let rekey = |child| {
        let id = IkeSaId(sa.id);
        gateway.ask(|reply| Order::Rekey { id, child, reply })
    };
    let unknown = rekey(Some(EspSpi(1))).unwrap_err();
    assert!(unknown.message.ends_with("00000001"), "{unknown:?}");
    let spi = u32::from_str_radix(&sa.children[0].spi_in, 16).unwrap();
    assert_eq!(rekey(Some(EspSpi(spi))), Ok(()));
    client.run_until(rekeyed);

    let terminate = |id| move |reply| Order::Terminate { id, reply };
    let mut gone = gateway.order(terminate(IkeSaId(sa.id)));
    // The peer has not answered yet; it may still owe the answer to a delete of the old
    // CHILD SA, behind which this one waits.
    assert_eq!(gateway.sas().len(), 1);
    assert!(gone.try_recv().is_err());
    client.run_until(closed);
    assert_eq!(gone.blocking_recv(), Ok(Ok(())));
    assert!(gateway.sas().is_empty());
    let unknown = gateway.ask(terminate(IkeSaId(sa.id)));
    assert_eq!(
        unknown.unwrap_err().message,
        format!("no IKE SA: {}", sa.id)
    );
}

#[test]
fn when_the_daemon_leaves_it_says_goodbye() {
    let gateway = Gateway::start();
    let mut client = Client::new(gateway.ports);
    client.connect();
    client.run_until(established);
    gateway.mailbox.give(Order::Leave).unwrap();
    client.run_until(closed);
    gateway.thread.join().unwrap().unwrap();
}

/// Whoever comes next gets another address; the client that was there gets its
/// own.
#[test]
fn an_address_outlives_the_daemon() {
    let gateway = Gateway::start();
    let mut client = Client::new(gateway.ports);
    client.connect();
    client.run_until(established);
    let addresses = gateway.sas().remove(0).addresses;
    let Gateway {
        state,
        mailbox,
        thread,
        ..
    } = gateway;
    mailbox.give(Order::Leave).unwrap();
    client.run_until(closed);
    thread.join().unwrap().unwrap();

    let gateway = Gateway::start_with(state);
    for (name, same) in [("other.example", false), ("client.example", true)] {
        let mut client = Client::named(name, gateway.ports);
        client.connect();
        client.run_until(established);
        let sas = gateway.sas();
        let given = &sas.last().unwrap().addresses;
        assert_eq!(*given == addresses, same, "{name}: {given:?}");
    }
    let status = gateway.ask(Order::Status);
    assert_eq!((status.pools[0].in_use, status.pools[0].size), (2, 9));
}

#[test]
fn a_silent_peer_does_not_keep_the_daemon_from_leaving() {
    let gateway = Gateway::start();
    let mut client = Client::new(gateway.ports);
    client.connect();
    client.run_until(established);
    gateway.mailbox.give(Order::Leave).unwrap();
    gateway.thread.join().unwrap().unwrap();
}

#[test]
fn every_sa_is_terminated_at_once() {
    let gateway = Gateway::start();
    let mut clients = [(); 3].map(|()| Client::new(gateway.ports));
    for client in &mut clients {
        client.connect();
        client.run_until(established);
    }
    let gone = gateway.order(Order::TerminateAll);
    for client in &mut clients {
        client.run_until(closed);
    }
    assert_eq!(gone.blocking_recv(), Ok(3));
}

#[test]
fn a_panic_of_the_packet_loop_ends_the_daemon() {
    let directory = tempfile::TempDir::new().unwrap();
    let listener = Listener::bind(&directory.path().join("control.sock")).unwrap();
    let (mailbox, _orders) = Mailbox::open(Waker::new().unwrap());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let reloader = Reloader::new(PathBuf::new(), &settings(PathBuf::new()));
    let plane = ControlPlane::alone(mailbox, reloader, &runtime);
    let (ended, end) = oneshot::channel();
    let packets = thread::spawn(move || {
        let _ended = ended;
        panic!("an error in this program");
    });
    assert!(packets.join().is_err());
    let settings = settings(PathBuf::new());
    let result = serve(
        &runtime,
        &listener,
        plane,
        &settings,
        (end, &mut Sweeper::default()),
    );
    assert!(matches!(result, Err(DaemonError::Panicked)), "{result:?}");
}
