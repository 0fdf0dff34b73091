//! A network of two hosts in virtual time: what is lost, repeated, delayed or
//! too long is drawn from a seed, and so is when a job is done.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use ikexdp_proto::config::Config;
use ikexdp_proto::data_plane::DataPlaneEvent;
use ikexdp_proto::event::{Event, IkeSaSummary};
use ikexdp_proto::job::{JobId, JobResult};
use ikexdp_proto::spi::RandomSpis;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Datagram, Path, Transmit};
use ikexdp_proto::{Command, Endpoint, ExposedKeys, Input, Output};

use crate::check::Checker;
use crate::host;
use crate::kernel::Kernel;
use crate::parties::Parties;

/// Which of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The responder.
    Gateway,
    /// The initiator.
    Client,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Gateway => Self::Client,
            Self::Client => Self::Gateway,
        }
    }
}

/// What the path between the hosts does, each way.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Datagrams lost, in percent.
    pub loss: u32,
    /// Datagrams delivered twice, in percent.
    pub duplication: u32,
    /// Shortest delay.
    pub delay: Duration,
    /// What is added to it at most: more than the gap between two datagrams
    /// lets them overtake each other.
    pub jitter: Duration,
    /// Longest IP datagram that passes, in octets.
    pub datagram_len_max: usize,
    /// Longest time until a job is done.
    pub job_delay: Duration,
    /// Whether a NAT hides the client.
    pub nat: bool,
}

impl Default for Weather {
    fn default() -> Self {
        Self::FAIR
    }
}

impl Weather {
    /// Nothing is lost, nothing is late.
    pub const FAIR: Self = Self {
        loss: 0,
        duplication: 0,
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        datagram_len_max: 1500,
        job_delay: Duration::ZERO,
        nat: false,
    };

    /// Weather as a seed has it: from fair to foul.
    pub fn draw(random: &mut ChaCha8Rng) -> Self {
        let mut below = |n: u32| random.next_u32() % n;
        Self {
            loss: [0, 5, 20][below(3) as usize],
            duplication: [0, 10][below(2) as usize],
            delay: Duration::from_millis(1 + u64::from(below(50))),
            jitter: Duration::from_millis(u64::from(below(100))),
            datagram_len_max: [1500, 1280, 1000, 600][below(4) as usize],
            job_delay: Duration::from_millis(u64::from(below(400))),
            nat: below(2) == 1,
        }
    }
}

/// The client's address, the address a NAT gives it, and the gateway's.
const CLIENT: &str = "192.0.2.10";
const NAT: &str = "203.0.113.1";
const GATEWAY: &str = "198.51.100.1";

/// A host: an endpoint and what it has told.
struct Host {
    endpoint: Endpoint,
    kernel: Kernel,
    events: Vec<Event>,
    keys: Vec<ExposedKeys>,
}

/// Something that will happen.
enum Happening {
    Arrival(Transmit),
    JobDone(JobId, Box<JobResult>),
}

/// The network.
pub struct Net {
    now: Instant,
    weather: Weather,
    random: ChaCha8Rng,
    hosts: BTreeMap<Side, Host>,
    queue: BinaryHeap<Reverse<(Instant, u64, Side)>>,
    happenings: BTreeMap<u64, Happening>,
    sequence: u64,
    checker: Checker,
    /// Ports of the client and what the NAT makes of them.
    ports: BTreeMap<u16, u16>,
    /// The first of those.
    first_port: u16,
    seed: u64,
    /// Times a host has been restarted.
    lives: u64,
}

impl Net {
    /// Joins two hosts under `weather`; everything that is drawn is drawn from
    /// `seed`.
    #[must_use]
    pub fn new(seed: u64, weather: Weather, parties: &Parties) -> Self {
        let host = |config: &Config, salt: u64| Host {
            endpoint: Endpoint::new(
                Arc::new(config.clone()),
                Box::new(ChaCha8Rng::seed_from_u64(seed ^ salt)),
                Box::new(RandomSpis),
            ),
            kernel: Kernel::default(),
            events: Vec::new(),
            keys: Vec::new(),
        };
        Self {
            now: Instant::from_micros(1),
            weather,
            random: ChaCha8Rng::seed_from_u64(seed),
            hosts: BTreeMap::from([
                (Side::Gateway, host(&parties.gateway, 1 << 32)),
                (Side::Client, host(&parties.client, 2 << 32)),
            ]),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            sequence: 0,
            checker: Checker::new(weather.nat, [&parties.gateway, &parties.client]),
            ports: BTreeMap::new(),
            first_port: 20_000,
            seed,
            lives: 0,
        }
    }

    /// Virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A host forgets everything, as after a crash: its kernel as well, which is
    /// swept when it starts.
    pub fn restart(&mut self, side: Side, config: &Config) {
        self.lives += 1;
        let salt = (side as u64 + 1) << 32 ^ self.lives << 40;
        let host = self.hosts.get_mut(&side).unwrap();
        host.endpoint = Endpoint::new(
            Arc::new(config.clone()),
            Box::new(ChaCha8Rng::seed_from_u64(self.seed ^ salt)),
            Box::new(RandomSpis),
        );
        host.kernel = Kernel::default();
        let queue = std::mem::take(&mut self.queue);
        for Reverse((at, sequence, of)) in queue {
            let job = matches!(self.happenings[&sequence], Happening::JobDone(..));
            if job && of == side {
                self.happenings.remove(&sequence);
            } else {
                self.queue.push(Reverse((at, sequence, of)));
            }
        }
    }

    /// The NAT forgets all its mappings.
    pub fn rebind(&mut self) {
        self.first_port += self.ports.len() as u16;
        self.ports.clear();
    }

    /// Changes the weather.
    pub const fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Has the client begin a handshake.
    pub fn connect(&mut self) {
        let path = Path {
            local: SocketAddr::new(CLIENT.parse().unwrap(), 500),
            remote: SocketAddr::new(GATEWAY.parse().unwrap(), 500),
            marker: false,
        };
        let connection = "home".into();
        self.command(Side::Client, Command::Initiate { connection, path });
    }

    /// Gives a host a command.
    pub fn command(&mut self, side: Side, command: Command) {
        self.handle(side, Input::Command(command));
    }

    /// Has a host's kernel say something by itself.
    pub fn tell(&mut self, side: Side, event: DataPlaneEvent) {
        self.handle(side, Input::DataPlane(event));
    }

    /// Hands a host a datagram that nobody sent.
    pub fn inject(&mut self, side: Side, path: Path, payload: &[u8]) {
        let datagram = Datagram {
            path,
            slot: None,
            is_allowed: false,
            payload,
        };
        self.handle(side, Input::Datagram(datagram));
    }

    /// Lets time pass until `end`, or until nothing is left to happen.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            let arrival = self.queue.peek().map(|Reverse((at, _, _))| *at);
            let timer = self
                .hosts
                .iter()
                .filter_map(|(side, host)| Some((host.endpoint.poll_timeout()?, *side)))
                .min();
            let next = arrival.into_iter().chain(timer.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            match timer {
                Some((at, side)) if arrival.is_none_or(|arrival| at <= arrival) => {
                    self.handle(side, Input::Timeout);
                }
                _ => self.happen(),
            }
        }
    }

    /// Lets `duration` pass.
    pub fn run(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    fn happen(&mut self) {
        let Some(Reverse((_, sequence, side))) = self.queue.pop() else {
            return;
        };
        match self.happenings.remove(&sequence) {
            Some(Happening::Arrival(transmit)) => {
                let datagram = Datagram {
                    path: transmit.path,
                    slot: None,
                    is_allowed: false,
                    payload: &transmit.payload,
                };
                self.handle(side, Input::Datagram(datagram));
            }
            Some(Happening::JobDone(id, result)) => {
                self.handle(side, Input::JobDone(id, *result));
            }
            None => {}
        }
    }

    fn handle(&mut self, side: Side, input: Input<'_>) {
        let now = self.now;
        let host = self.hosts.get_mut(&side).unwrap();
        self.checker.before(now, side, &input);
        host.endpoint.handle(now, input);
        let mut outputs = Vec::new();
        while let Some(output) = host.endpoint.poll_output() {
            outputs.push(output);
        }
        self.checker.after(side, &host.endpoint, &outputs);
        for output in outputs {
            match output {
                Output::Transmit(transmit) => self.send(side, &transmit),
                Output::Keepalive(_) => {}
                Output::Event(event) => self.hosts.get_mut(&side).unwrap().events.push(event),
                Output::Keys(keys) => self.hosts.get_mut(&side).unwrap().keys.push(*keys),
                Output::Job(id, job) => {
                    let result = host::run(job, &self.hosts[&side].kernel);
                    let delay = self.draw(self.weather.job_delay);
                    self.at(
                        self.now + delay,
                        side,
                        Happening::JobDone(id, Box::new(result)),
                    );
                }
            }
        }
    }

    fn send(&mut self, from: Side, transmit: &Transmit) {
        if self.percent(self.weather.loss)
            || transmit.path.overhead() + transmit.payload.len() > self.weather.datagram_len_max
        {
            return;
        }
        let copies = 1 + u32::from(self.percent(self.weather.duplication));
        let Some(path) = self.translate(from, &transmit.path) else {
            return;
        };
        for _ in 0..copies {
            let delay = self.weather.delay + self.draw(self.weather.jitter);
            let arrival = Transmit {
                path,
                ..transmit.clone()
            };
            self.at(self.now + delay, from.other(), Happening::Arrival(arrival));
        }
    }

    /// The path as its other end sees it.
    fn translate(&mut self, from: Side, path: &Path) -> Option<Path> {
        let mut seen = Path {
            local: path.remote,
            remote: path.local,
            marker: path.marker,
        };
        if self.weather.nat {
            match from {
                Side::Client => {
                    let inside = path.local.port();
                    let outside = self.first_port + self.ports.len() as u16;
                    let outside = *self.ports.entry(inside).or_insert(outside);
                    seen.remote = SocketAddr::new(NAT.parse().unwrap(), outside);
                }
                Side::Gateway => {
                    let outside = path.remote.port();
                    let known = self.ports.iter().find(|(_, port)| **port == outside);
                    let inside = *known?.0;
                    seen.local = SocketAddr::new(CLIENT.parse().unwrap(), inside);
                }
            }
        }
        Some(seen)
    }

    fn at(&mut self, at: Instant, side: Side, happening: Happening) {
        self.sequence += 1;
        self.happenings.insert(self.sequence, happening);
        self.queue.push(Reverse((at, self.sequence, side)));
    }

    fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.random.next_u32() % 100 < percent
    }

    fn draw(&mut self, most: Duration) -> Duration {
        let most = most.as_micros() as u64;
        Duration::from_micros(self.random.next_u64() % (most + 1))
    }

    /// What a host has told so far.
    #[must_use]
    pub fn events(&self, side: Side) -> &[Event] {
        &self.hosts[&side].events
    }

    /// A host's endpoint.
    #[must_use]
    pub fn endpoint(&self, side: Side) -> &Endpoint {
        &self.hosts[&side].endpoint
    }

    /// The keys that a side has handed out.
    #[must_use]
    pub fn keys(&self, side: Side) -> &[ExposedKeys] {
        &self.hosts[&side].keys
    }

    /// A host's kernel.
    #[must_use]
    pub fn kernel(&self, side: Side) -> &Kernel {
        &self.hosts[&side].kernel
    }

    /// A host's SAs that are up.
    #[must_use]
    pub fn established(&self, side: Side) -> Vec<IkeSaSummary> {
        let summaries = self.hosts[&side].endpoint.summaries(None);
        summaries
            .filter(|summary| summary.state == "established")
            .collect()
    }

    /// What was sent, as the checker saw it.
    #[must_use]
    pub const fn checker(&self) -> &Checker {
        &self.checker
    }
}
