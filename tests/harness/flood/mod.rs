//! Floods: what strangers send to a gateway so that nobody else gets in.
//!
//! ```text
//!   attacker                  router
//!   eth0 203.0.113.2     .1 attacker        beside the client, see `lab.rs`
//! ```

mod forged;
mod message;
mod proven;
mod template;

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ikexdp::{clock::Clock, view::Counters};
use ikexdp_proto::time::Instant;
use nix::sched::{CloneFlags, setns};

use crate::{
    lab::{Lab, address, connect},
    namespace::Namespace,
    packet::GATEWAY_MAC,
};

/// The attacker's own address.
pub const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

/// Where the addresses are drawn from that are not the attacker's: 16.0.0.0/4. What is sent there ends
/// at the router.
const FORGED: (u32, u32) = (0x1000_0000, 0x0fff_ffff);

/// How long a sender sleeps that has nothing to send yet.
const PAUSE: Duration = Duration::from_micros(200);
/// Most that is sent at once after a pause.
const BURST: u64 = 64;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests of IKE_SA_INIT like a client's, each from another address with another SPI and nonce.
    Spoofed,
    /// The same with as many proposals as fit a datagram.
    Giant,
    /// Requests of IKE_AUTH and INFORMATIONAL, each from another address for SAs that nobody has.
    Invented,
    /// One request of IKE_SA_INIT of the attacker's own, again and again.
    Repeated,
    /// Requests of IKE_SA_INIT of the attacker's own, with the cookies that it is asked for.
    Proven,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Spoofed,
        Self::Giant,
        Self::Invented,
        Self::Repeated,
        Self::Proven,
    ];

    /// What it is called on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spoofed => "spoofed",
            Self::Giant => "giant",
            Self::Invented => "invented",
            Self::Repeated => "repeated",
            Self::Proven => "proven",
        }
    }
}

/// Frames that the XDP program has answered or dropped.
#[must_use]
pub fn absorbed(xdp: &Counters) -> u64 {
    let ends_there = |name: &str| name.starts_with("reply_") || name.starts_with("drop_");
    let counts = xdp.0.iter().filter(|(name, _)| ends_there(name));
    counts.map(|(_, count)| count).sum()
}

/// The attacker's machine in a lab.
#[derive(Debug)]
pub struct Attacker {
    namespace: Namespace,
    gateway: IpAddr,
}

impl Attacker {
    /// Joins a lab.
    #[must_use]
    pub fn join(lab: &Lab, gateway: IpAddr) -> Self {
        let namespace = Namespace::new("attacker");
        connect((&namespace, "eth0"), (&lab.router, "attacker"));
        let mac: Vec<_> = GATEWAY_MAC.iter().map(|it| format!("{it:02x}")).collect();
        let mac = mac.join(":");
        lab.router
            .exec(&format!("ip link set attacker address {mac}"));
        address(&namespace, "eth0", &[&format!("{ATTACKER}/24")]);
        address(&lab.router, "attacker", &["203.0.113.1/24"]);
        namespace.exec("ip route add default via 203.0.113.1");
        // The router looks at no source, and nobody is where answers to forged ones go.
        for interface in ["all", "attacker"] {
            lab.router.write(
                format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter"),
                "0",
            );
        }
        lab.router.exec("ip route add blackhole 16.0.0.0/4");
        Self { namespace, gateway }
    }

    /// Begins to send, so many datagrams a second if this machine can.
    #[must_use]
    pub fn flood(&self, kind: Kind, rate: u64) -> Flood {
        let shared = Arc::new(Shared::default());
        let (namespace, gateway, counts) =
            (self.namespace.clone(), self.gateway, Arc::clone(&shared));
        let send = move || {
            let network = File::open(namespace.network()).unwrap();
            setns(network, CloneFlags::CLONE_NEWNET).unwrap();
            let mut pace = Pace::new(rate, &counts);
            match kind {
                Kind::Proven => proven::send(gateway, &mut pace),
                _ => forged::send(kind, gateway, &mut pace),
            }
        };
        let thread = thread::Builder::new().name("flood".to_owned()).spawn(send);
        Flood {
            shared,
            clock: Clock::start(),
            thread: Some(thread.unwrap()),
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    sent: AtomicU64,
}

/// A flood under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Flood {
    shared: Arc<Shared>,
    clock: Clock,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// How many datagrams were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// How many datagrams were sent a second, so far.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.sent() as f64 / self.clock.now().since(Instant::ZERO).as_secs_f64()
    }

    /// Waits until so many were sent.
    pub fn wait_for(&self, datagrams: u64) {
        while self.sent() < datagrams {
            let thread = self.thread.as_ref().expect("it is there until the end");
            assert!(!thread.is_finished(), "the flood has ended by itself");
            thread::sleep(PAUSE);
        }
    }

    /// Ends it; how many datagrams were sent.
    #[must_use]
    pub fn stop(mut self) -> u64 {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is there until the end");
        thread.join().expect("the flood has lasted");
        self.sent()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, has been printed; who drops a flood is in trouble already.
            let _ = thread.join();
        }
    }
}

/// Says to a sender when to send.
#[derive(Debug)]
struct Pace<'a> {
    rate: u64,
    clock: Clock,
    shared: &'a Shared,
}

impl<'a> Pace<'a> {
    fn new(rate: u64, shared: &'a Shared) -> Self {
        Self {
            rate,
            clock: Clock::start(),
            shared,
        }
    }

    /// Waits until something is due: how many datagrams. `None` when it is over.
    fn next(&self) -> Option<u64> {
        loop {
            if self.shared.is_over.load(Ordering::Relaxed) {
                return None;
            }
            let due = self.clock.now().since(Instant::ZERO).as_micros() * u128::from(self.rate)
                / 1_000_000;
            let due = (due as u64).saturating_sub(self.shared.sent.load(Ordering::Relaxed));
            if due > 0 {
                return Some(due.min(BURST));
            }
            thread::sleep(PAUSE);
        }
    }

    /// So many were sent.
    fn count(&self, datagrams: u64) {
        self.shared.sent.fetch_add(datagrams, Ordering::Relaxed);
    }
}
