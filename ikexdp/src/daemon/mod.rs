//! The daemon: the packet loop on a thread of its own, and on the main thread the
//! control plane, which is signals and the control socket.

mod accounts;
mod control_plane;
mod data_plane;
mod decryption;
mod desk;
mod dhcp;
mod driver;
mod exporter;
mod fast_path;
mod handshakes;
mod holders;
mod order;
mod packet_loop;
mod queues;
mod reload;
mod senders;
mod shield;
mod systemd;
mod users;

use std::io;
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::Receiver;
use ikexdp_proto::Endpoint;
use ikexdp_proto::config::{Config, Fragmentation};
use ikexdp_proto::crypto::rehearse_random;
use ikexdp_proto::limits::DATAGRAM_LEN_MIN;
use nix::errno::Errno;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tracing::{info, warn};

use self::accounts::Accounts;
use self::control_plane::ControlPlane;
use self::data_plane::{Carrier, Sweeper};
use self::decryption::Decryption;
use self::desk::Desk;
use self::dhcp::Dhcp;
use self::driver::Driver;
use self::fast_path::FastPath;
pub use self::fast_path::FastPathError;
use self::handshakes::Handshakes;
use self::holders::Holders;
use self::order::{Mailbox, Order};
use self::packet_loop::PacketLoop;
use self::reload::Reloader;
use self::senders::Senders;
use self::shield::{Observers, Shield};
use self::users::Users;
use crate::authorities::Authorities;
use crate::clock::unix_time;
use crate::config::{DataPlane, Loaded, Settings, Transport};
use crate::control::{ControlError, Feed, Listener};
use crate::entropy;
use crate::heap;
use crate::host_checks::obstacles;
use crate::jobs::{Cpus, Jobs};
use crate::journal::Journal;
use crate::leases::{self, Keeper};
use crate::log::{Log, LogError};
use crate::metrics::Metrics;
use crate::udp::{self, Outbox, Ports, Sockets};
use crate::view::Status;
use crate::waker::Waker;
use crate::xdp::Interface;
use crate::xfrm::XfrmError;

/// The version of the daemon.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The file of leases in the state directory.
const LEASES: &str = "leases";

/// Why the daemon does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// There is no log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// There are no UDP sockets.
    #[error(transparent)]
    Bind(#[from] udp::BindError),
    /// There is no XDP, and the configuration wants it.
    #[error(transparent)]
    FastPath(#[from] FastPathError),
    /// The kernel carries no CHILD SAs, and the configuration wants it.
    #[error(transparent)]
    Xfrm(#[from] XfrmError),
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Entropy,
    /// The system gives no thread, or not what threads need to talk.
    #[error("cannot start the threads of the daemon")]
    Threads(#[source] io::Error),
    /// The kernel does not tell what comes.
    #[error("cannot wait for datagrams")]
    Wait(#[source] Errno),
    /// The control plane failed.
    #[error("cannot serve the control socket or signals")]
    ControlPlane(#[source] io::Error),
    /// It was told to end while it was ending.
    #[error("told to end at once; hint: clients that were not told find out by themselves")]
    Impatient,
    /// There is an error in this program.
    #[error("the packet loop panicked; hint: the log says where, please report it")]
    Panicked,
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// [`DaemonError`] if it cannot start, or cannot go on.
pub fn run(loaded: &Loaded) -> Result<(), DaemonError> {
    let cpus = Cpus::find();
    heap::fit(cpus);
    let settings = &loaded.settings;
    let log = Log::open(&settings.log)?;
    for caution in &loaded.cautions {
        let (key, line) = (&caution.key, caution.line);
        warn!(key, line, hint = caution.kind.hint(), "{}", caution.kind);
    }
    let listener = Listener::bind(&settings.control_socket)?;
    let sockets = Sockets::bind(Ports::default())?;
    for shortcoming in sockets.shortcomings() {
        warn!("{shortcoming}");
    }
    for obstacle in obstacles(settings) {
        warn!(hint = obstacle.hint(), "{obstacle}");
    }
    // Dropped when the packet loop has ended, and its jobs with it.
    let (carrier, mut sweeper) = data_plane::open(settings.data_plane, &sockets)?;
    if settings.data_plane == DataPlane::Xfrm {
        data_plane::rehearse(&settings.engine.connections).map_err(DaemonError::Threads)?;
    }
    let waker = Waker::new().map_err(DaemonError::Threads)?;
    let (mailbox, orders) = Mailbox::open(waker.clone());
    let observers = Observers::new(waker.clone());
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DaemonError::ControlPlane)?;
    let accounts = Arc::new(Accounts::default());
    let users = Users::new(runtime.handle().clone(), Arc::clone(&accounts));
    users.adopt(&settings.radius);
    users.begin();
    let plane = ControlPlane {
        mailbox,
        reloader: Arc::new(Reloader::new(loaded.path.clone(), settings)),
        drops: sockets.drops(),
        lost_lines: log.lost(),
        data_plane: Arc::clone(&carrier.data_plane),
        users: Arc::new(users),
        dhcp: Arc::new(Dhcp::new(settings.data_plane)),
        exporter: Arc::default(),
        decryption: Arc::new(Decryption::new(
            &settings.state_dir,
            settings.allow_key_export,
        )),
        started: unix_time().as_secs(),
        feed: Arc::default(),
        observers: observers.clone(),
    };
    let (ended, end) = oneshot::channel();
    let holders = Arc::clone(&plane.dhcp.holders);
    let feed = Arc::clone(&plane.feed);
    let packets = settings.clone();
    let packet_loop = thread::Builder::new()
        .name("ikexdp-packets".to_owned())
        .spawn(move || {
            let hearers = (accounts, holders, feed);
            let mail = (waker, orders, observers);
            let result = prepare((&packets, cpus), sockets, carrier, mail, hearers)
                .and_then(|packets| packets.run().map_err(DaemonError::Wait));
            // If nobody listens any more, the process is ending.
            let _ = ended.send(result);
        })
        .map_err(DaemonError::Threads)?;
    let mailbox = plane.mailbox.clone();
    let result = serve(&runtime, &listener, plane, settings, (end, &mut sweeper));
    if let Err(DaemonError::Impatient) = result {
        // The packet loop ends with the process.
        return result;
    }
    // Only if the control plane failed is there anybody left to take the order.
    let _ = mailbox.give(Order::Leave);
    // A panic has been reported already.
    let _ = packet_loop.join();
    result
}

/// The control plane, until the packet loop ends.
fn serve(
    runtime: &Runtime,
    listener: &Listener,
    plane: ControlPlane,
    settings: &Settings,
    (end, sweeper): (oneshot::Receiver<Result<(), DaemonError>>, &mut Sweeper),
) -> Result<(), DaemonError> {
    let signals = plane.clone();
    let users = Arc::clone(&plane.users);
    let tasks = LocalSet::new();
    tasks.block_on(runtime, async {
        users.listen(&settings.radius, &plane.mailbox).await;
        plane.dhcp.serve(&settings.dhcp, &plane.mailbox).await;
        plane.export(settings.metrics_address).await;
        tokio::select! {
            // A panic drops the sender.
            result = end => {
                // First, as servers may keep us until somebody ends us.
                sweeper.sweep();
                users.settle().await;
                result.unwrap_or(Err(DaemonError::Panicked))
            }
            Err(error) = listener.serve(move |request, caller| plane.clone().handle(request, caller)) => {
                Err(DaemonError::ControlPlane(error))
            }
            error = signals.obey_signals() => Err(error),
        }
    })
}

/// Makes the packet loop, on the thread that runs it.
fn prepare(
    (settings, cpus): (&Settings, Cpus),
    sockets: Sockets,
    carrier: Carrier,
    (waker, orders, observers): (Waker, Receiver<Order>, Observers),
    (accounts, holders, feed): (Arc<Accounts>, Arc<Holders>, Arc<Feed>),
) -> Result<PacketLoop, DaemonError> {
    let fast_path = match &settings.transport {
        Transport::Udp => None,
        Transport::Xdp(xdp) => {
            let interface = Interface::find(&xdp.interface).map_err(FastPathError::from)?;
            Some(FastPath::open(interface, xdp, settings.defence.sources)?)
        }
    };
    let config = engine_config(settings, fast_path.as_ref().map(FastPath::interface));
    let random = || entropy::seeded().map_err(|_| DaemonError::Entropy);
    rehearse_random().map_err(|_| DaemonError::Entropy)?;
    let shield = Shield::new(&settings.defence, config.gate, observers, random()?);
    let half_open_max = config.gate.half_open_max;
    let jobs = Jobs::start(
        cpus,
        half_open_max,
        waker.clone(),
        carrier.data_plane,
        Arc::new(Authorities::default()),
    )
    .map_err(DaemonError::Threads)?;
    let (fragmentation, connections) = (config.fragmentation, config.connections.len());
    let path = settings.state_dir.join(LEASES);
    let mut engine = Endpoint::new(Arc::new(config), Box::new(random()?), shield.allocator());
    engine.restore(leases::load(&path));
    let leases = Keeper::start(path, engine.assignment_changes());
    let leases = leases.map_err(DaemonError::Threads)?;
    info!(
        version = VERSION,
        transport = if fast_path.is_some() { "xdp" } else { "udp" },
        fragment_size = fragmentation.datagram_len,
        connections,
        job_threads = cpus.threads,
        one_cpu = cpus.is_one,
        "ready"
    );
    let status = status(settings, &sockets);
    let mut driver = Driver {
        clock: accounts.clock(),
        fragmentation,
        half_open_max,
        engine,
        sockets: Rc::new(sockets),
        outbox: Outbox::default(),
        fast_path,
        shield,
        jobs,
        events: carrier.events,
        journal: Journal::new(settings.ip_fragments),
        accounts,
        handshakes: Handshakes::default(),
        holders,
        feed,
        leases,
        metrics: Metrics::default(),
        senders: Senders::default(),
        refused: Vec::new(),
        reader: None,
        ip_fragments: settings.ip_fragments,
    };
    driver.guard();
    let xdp = driver.fast_path.as_ref().map(FastPath::status);
    let desk = Desk::new(orders, status);
    let packets = PacketLoop::new(driver, desk, waker).map_err(DaemonError::Wait)?;
    systemd::ready(&xdp.map_or_else(|| "udp".to_owned(), |xdp| xdp.to_string()));
    Ok(packets)
}

/// What the engine acts on: the configuration, with datagrams that the interface
/// carries.
fn engine_config(settings: &Settings, interface: Option<&Interface>) -> Config {
    let mut config = Config::clone(&settings.engine);
    if let Some(interface) = interface {
        fit(&mut config.fragmentation, interface);
    }
    config
}

/// Lowers the size of our datagrams to what the interface carries.
fn fit(fragmentation: &mut Fragmentation, interface: &Interface) {
    let mtu = u16::try_from(interface.mtu).unwrap_or(u16::MAX);
    if fragmentation.datagram_len > mtu {
        let datagram_len = mtu.max(DATAGRAM_LEN_MIN);
        warn!(
            interface = interface.name,
            mtu,
            fragment_size = fragmentation.datagram_len,
            hint = "lower `gateway.fragment-size`, or raise the MTU",
            "the interface does not carry `fragment-size`; using {datagram_len}"
        );
        fragmentation.datagram_len = datagram_len;
    }
}

/// What does not change as long as the daemon runs.
fn status(settings: &Settings, sockets: &Sockets) -> Status {
    let shortcomings = sockets.shortcomings();
    Status {
        version: VERSION.to_owned(),
        pid: process::id(),
        data_plane: settings.data_plane.to_string(),
        shortcomings: shortcomings.iter().map(ToString::to_string).collect(),
        ..Status::default()
    }
}

#[cfg(test)]
mod tests;
