//! The engine: owns the IKE SAs and routes what comes in to them.

mod init;
mod unknown;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use ikexdp_common::cookie::CookieSecrets;
use rand_core::CryptoRng;

use crate::config::Config;
use crate::crypto::keymat::MessageKeys;
use crate::data_plane::{DataPlaneEvent, Lineage};
use crate::event::{Event, IkeSaSummary};
use crate::gate::Gate;
use crate::job::{Job, JobId, JobResult};
use crate::lease::{Assignment, RangeSummary};
use crate::path_size::PathSizes;
use crate::pool::Pools;
use crate::sa::{Context, IkeSa, InboundSpis, Jobs, Lineages, Successions, Superseding, initiate};
use crate::spi::SpiAllocator;
use crate::stats::{Stat, Stats};
use crate::suite::IkeSuite;
use crate::table::{OwnSpis, Table};
use crate::throttle::Throttle;
use crate::time::Instant;
use crate::types::{Datagram, EspSpi, IkeSaId, Path, Role, Spi, Spis, Transmit};
use crate::wire::header::{Header, VERSION};
use crate::wire::iana::{ExchangeType, NotifyType};
use crate::wire::payload::notify::Notify;

/// What the host hands in.
#[derive(Debug)]
pub enum Input<'a> {
    /// An IKE message came.
    Datagram(Datagram<'a>),
    /// The time [`Endpoint::poll_timeout`] named has come.
    Timeout,
    /// A job is done.
    JobDone(JobId, JobResult),
    /// The kernel has something to say by itself.
    DataPlane(DataPlaneEvent),
    /// So many IKE_SA_INIT requests of the last second were answered with cookies
    /// before they came to us, made with [`Endpoint::cookie_secrets`].
    Challenged(u64),
    /// The host wants something.
    Command(Command),
}

/// What the host may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin a handshake as the initiator.
    Initiate {
        /// The name of the connection; nothing happens if there is none of it.
        connection: String,
        /// From where to where.
        path: Path,
    },
    /// Delete an IKE SA; nothing happens if there is none of that name.
    Terminate(IkeSaId),
    /// Ask for one more CHILD SA, between all that the connection has; nothing
    /// happens while another request of ours is under way.
    CreateChild(IkeSaId),
    /// Replace a CHILD SA, or the IKE SA itself; nothing happens if there is none
    /// of that name.
    Rekey {
        /// The IKE SA.
        id: IkeSaId,
        /// The CHILD SA, by the SPI we receive on.
        child: Option<EspSpi>,
    },
    /// Ask the peer of an IKE SA whether it lives; nothing happens while another
    /// request of ours is under way.
    Probe(IkeSaId),
    /// Have the kernel asked what the CHILD SAs of an IKE SA have carried, with a
    /// [`Job::Measure`] on its peer's account; nothing happens if it has none.
    Measure(IkeSaId),
    /// Hand out the keys of every IKE SA that is made from now on with a peer at this
    /// address, by [`Output::Keys`]; nobody's any more if there is none.
    Expose(Option<IpAddr>),
    /// Delete every IKE SA and make no more; the host is about to leave.
    Shutdown,
}

/// What the host has to do.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit(Transmit),
    /// Send a NAT-keepalive packet: one octet 0xff, without a non-ESP marker
    /// (RFC 3948 §2.3).
    Keepalive(Path),
    /// Do a job and hand its result in.
    Job(JobId, Job),
    /// Tell people.
    Event(Event),
    /// Somebody is to read along, as [`Command::Expose`] wants it.
    Keys(Box<ExposedKeys>),
}

/// What it takes to read the messages of an IKE SA.
#[derive(Debug)]
pub struct ExposedKeys {
    /// Its SPIs.
    pub spis: Spis,
    /// Its algorithms.
    pub suite: IkeSuite,
    /// Its keys.
    pub keys: MessageKeys,
}

/// An IKEv2 peer, sans I/O.
pub struct Endpoint {
    table: Table,
    /// Whether the host is about to leave.
    leaving: bool,
    gate: Gate,
    /// Who may hear that we do not know an SPI.
    invalid_spis: Throttle,
    /// How often it was told how long a datagram may be.
    size_tests: Throttle,
    host: Host,
}

/// What SAs reach through their [`Context`].
pub(crate) struct Host {
    pub(crate) config: Arc<Config>,
    now: Instant,
    entropy: Box<dyn CryptoRng + Send>,
    allocator: Box<dyn SpiAllocator + Send>,
    outputs: VecDeque<Output>,
    stats: Stats,
    sizes: PathSizes,
    pools: Pools,
    jobs: Jobs,
    inbound: InboundSpis,
    lineages: Lineages,
    successions: Successions,
    /// The peer whose keys are handed out.
    exposed: Option<IpAddr>,
}

impl Host {
    /// `taken` are the SPIs that no new SA can have.
    pub(crate) fn context<'a>(&'a mut self, taken: &'a OwnSpis) -> Context<'a> {
        Context {
            config: &self.config,
            now: self.now,
            entropy: &mut *self.entropy,
            allocator: &mut *self.allocator,
            taken,
            outputs: &mut self.outputs,
            stats: &mut self.stats,
            sizes: &mut self.sizes,
            pools: &mut self.pools,
            jobs: &mut self.jobs,
            inbound: &mut self.inbound,
            lineages: &mut self.lineages,
            successions: &mut self.successions,
            exposed: self.exposed,
        }
    }
}

impl Endpoint {
    /// Makes an endpoint without SAs; all its randomness comes from `entropy`, the
    /// SPIs of its IKE SAs from `allocator`.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        mut entropy: Box<dyn CryptoRng + Send>,
        allocator: Box<dyn SpiAllocator + Send>,
    ) -> Self {
        Self {
            table: Table::default(),
            leaving: false,
            gate: Gate::new(&mut *entropy),
            invalid_spis: Throttle::default(),
            size_tests: Throttle::default(),
            host: Host {
                pools: Pools::new(&config.pools),
                config,
                now: Instant::ZERO,
                entropy,
                allocator,
                outputs: VecDeque::new(),
                stats: Stats::default(),
                sizes: PathSizes::default(),
                jobs: Jobs::default(),
                inbound: InboundSpis::default(),
                lineages: Lineages::default(),
                successions: Successions::default(),
                exposed: None,
            },
        }
    }

    /// Takes what came in at `now`. Never fails, never blocks: a bad packet is
    /// a counter. The outputs must be drained before the next call.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.host.now = now;
        match input {
            Input::Datagram(datagram) => self.datagram(&datagram),
            Input::Timeout => {
                for id in self.table.expired(now) {
                    self.update(id, |sa, cx| sa.handle_timeout(cx));
                }
                self.gate.rotate(now, &mut *self.host.entropy);
            }
            Input::JobDone(job, result) => {
                if let Some(id) = self.host.jobs.done(job) {
                    self.update(id, |sa, cx| sa.handle_job(cx, job, result));
                }
            }
            Input::DataPlane(event) => self.data_plane(&event),
            Input::Challenged(requests) => self.gate.challenged(now, requests),
            Input::Command(command) => self.command(&command),
        }
        self.look_at_gate();
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.host.outputs.pop_front()
    }

    /// When to hand in [`Input::Timeout`], unless something comes earlier.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let gate = self.gate.deadline(&self.host.config.gate);
        self.table.next_deadline().into_iter().chain(gate).min()
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.host.stats
    }

    /// Half-open IKE SAs in which we are the responder.
    #[must_use]
    pub const fn half_open(&self) -> usize {
        self.table.half_open()
    }

    /// IKE SAs that are up.
    #[must_use]
    pub const fn established(&self) -> usize {
        self.table.established()
    }

    /// Whether strangers must show that they can receive before anything else is done
    /// for them (RFC 7296 §2.6).
    #[must_use]
    pub fn is_challenging(&self) -> bool {
        self.gate.is_challenging(&self.host.config.gate)
    }

    /// Since when they must because there is much to do, if it is so.
    #[must_use]
    pub fn pressed_since(&self) -> Option<Instant> {
        self.gate.pressed_since()
    }

    /// What cookies are made and checked with, for whoever does that in our place.
    #[must_use]
    pub const fn cookie_secrets(&self) -> &CookieSecrets {
        self.gate.secrets()
    }

    /// The SPIs that peers address us by, in ascending order: of all IKE SAs, and of
    /// those that are about to be made in the place of others.
    pub fn our_spis(&self) -> impl Iterator<Item = Spi> {
        self.table.each_spi()
    }

    /// Whether there is no IKE SA that somebody could still want to know of.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.summaries(None).next().is_none()
    }

    /// The IKE SA that has the CHILD SAs of a lineage.
    #[must_use]
    pub fn owner(&self, lineage: Lineage) -> Option<IkeSaId> {
        self.host.lineages.owner(lineage)
    }

    /// The IKE SA `id`, unless it is closed.
    #[must_use]
    pub fn summary(&self, id: IkeSaId) -> Option<IkeSaSummary> {
        self.table.find(id)?.summary(self.host.now)
    }

    /// Whether a request of ours to the peer of the IKE SA `id` waits for its response.
    #[must_use]
    pub fn is_asking(&self, id: IkeSaId) -> bool {
        self.table.find(id).is_some_and(IkeSa::is_asking)
    }

    /// The IKE SAs that are not closed, in the order of their making: all, or
    /// those made later than `after`.
    pub fn summaries(&self, after: Option<IkeSaId>) -> impl Iterator<Item = IkeSaSummary> {
        let now = self.host.now;
        self.table
            .after(after)
            .filter_map(move |sa| sa.summary(now))
    }

    /// Takes a new configuration. SAs that are up go on as they are, handshakes
    /// under way go on and find the new connections; addresses in use stay with
    /// who has them even if no pool has them any more.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        let before = core::mem::replace(&mut self.host.config, config);
        let config = &self.host.config;
        // Each looks at every SA or address, for which nothing else must wait
        // without need.
        if before.pools != config.pools {
            self.host.pools.reconfigure(&config.pools);
        }
        if before.timing != config.timing {
            self.table.settle_all(config);
        }
    }

    /// Takes back the [`Self::assignments`] of an earlier run, so that peers get
    /// the same addresses again; for an endpoint that has no SA yet.
    pub fn restore(&mut self, assignments: Vec<Assignment>) {
        self.host.pools.restore(assignments);
    }

    /// Which address is, or was last, whose; in no order.
    pub fn assignments(&self) -> impl Iterator<Item = Assignment> {
        self.host.pools.assignments()
    }

    /// A number that changes whenever [`Self::assignments`] do.
    #[must_use]
    pub const fn assignment_changes(&self) -> u64 {
        self.host.pools.changes()
    }

    /// How much of each pool is given out, in the order of the configuration.
    pub fn pools(&self) -> impl Iterator<Item = RangeSummary> {
        self.host.pools.summaries()
    }

    /// Memory held for incomplete messages of all SAs, in octets.
    #[must_use]
    pub const fn reassembly_octets(&self) -> usize {
        self.table.reassembly_octets()
    }

    fn update(&mut self, id: IkeSaId, handle: impl FnOnce(&mut IkeSa, &mut Context<'_>)) {
        let Self { table, host, .. } = self;
        table.update(host, id, handle);
        for sa in core::mem::take(&mut host.successions.born) {
            table.insert(&host.config, sa, None);
        }
        for bequest in core::mem::take(&mut host.successions.bequests) {
            let to = bequest.to;
            table.update(host, to, |sa, cx| sa.inherit(cx, bequest));
        }
        for older in core::mem::take(&mut host.successions.retired) {
            table.update(host, older, |sa, _| sa.retire());
        }
        // An SA that goes on may at once be one too many.
        while let Some(superseding) = self.host.successions.superseding.take() {
            self.supersede(&superseding);
        }
    }

    /// Closes what else a peer has, then goes on with its new SA.
    fn supersede(&mut self, superseding: &Superseding) {
        let Self { table, host, .. } = self;
        let mut others = table.by_peer(&superseding.peer);
        others.retain(|id| {
            let sa = table.find(*id);
            sa.is_some_and(|sa| sa.is_superseded(superseding))
        });
        // Identifiers are given in order: the oldest come first.
        let closed = others.len().saturating_sub(superseding.others);
        for id in others.into_iter().take(closed) {
            table.update(host, id, |sa, cx| sa.supersede(cx, superseding));
        }
        table.update(host, superseding.by, |sa, cx| sa.succeed(cx));
    }

    /// Asks for cookies from now on, or no longer.
    fn look_at_gate(&mut self) {
        let host = &mut self.host;
        let half_open = self.table.half_open();
        let event = self.gate.look(&host.config.gate, host.now, half_open);
        host.outputs.extend(event.map(Output::Event));
    }

    fn datagram(&mut self, datagram: &Datagram<'_>) {
        self.host.stats.count(Stat::Received);
        let Ok((header, payloads)) = Header::decode(datagram.payload) else {
            self.host.stats.count(Stat::MalformedHeader);
            return;
        };
        if header.major_version() != VERSION >> 4 {
            self.other_version(&header, datagram);
        } else if header.exchange == ExchangeType::IKE_SA_INIT && !header.response {
            self.init_request(&header, payloads, datagram);
        } else {
            self.protected(&header, datagram);
        }
    }

    /// RFC 7296 §2.5: a later version hears which one we speak; an earlier one
    /// is none of our business.
    fn other_version(&mut self, header: &Header, datagram: &Datagram<'_>) {
        self.host.stats.count(Stat::UnsupportedVersion);
        if header.major_version() > VERSION >> 4 && !header.response {
            let notify = Notify::new(NotifyType::INVALID_MAJOR_VERSION, &[VERSION >> 4]);
            self.reply(header, datagram, &notify);
        }
    }

    /// A message that some SA has the keys of, or the answer to our first.
    fn protected(&mut self, header: &Header, datagram: &Datagram<'_>) {
        let ours = match header.from {
            Role::Initiator => header.spis.responder,
            Role::Responder => header.spis.initiator,
        };
        let Some(id) = self.table.by_spi(ours) else {
            return self.unknown_spi(header, ours, datagram);
        };
        self.update(id, |sa, cx| sa.handle_datagram(cx, header, datagram));
        while let Some(id) = self.table.over_budget() {
            self.host.stats.count(Stat::ReassemblyEvicted);
            self.update(id, |sa, _| sa.drop_reassembly());
        }
    }

    fn data_plane(&mut self, event: &DataPlaneEvent) {
        if let Some(id) = self.owner(event.lineage()) {
            self.update(id, |sa, cx| sa.handle_data_plane(cx, event));
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Initiate { connection, path } => self.initiate(connection, *path),
            Command::Terminate(id) => self.update(*id, |sa, cx| sa.terminate(cx)),
            Command::CreateChild(id) => self.update(*id, |sa, cx| sa.create_child(cx)),
            Command::Probe(id) => self.update(*id, |sa, cx| sa.probe(cx)),
            Command::Measure(id) => self.update(*id, |sa, cx| sa.measure(cx)),
            Command::Rekey { id, child } => self.update(*id, |sa, cx| sa.rekey(cx, *child)),
            Command::Expose(peer) => self.host.exposed = *peer,
            Command::Shutdown => {
                self.leaving = true;
                for id in self.table.ids() {
                    self.update(id, |sa, cx| sa.terminate(cx));
                }
            }
        }
    }

    fn initiate(&mut self, connection: &str, path: Path) {
        if self.leaving {
            return;
        }
        let connections = &self.host.config.connections;
        let Some(connection) = connections.iter().find(|known| known.name == connection) else {
            return;
        };
        let connection = Arc::clone(connection);
        let mut cx = self.host.context(self.table.spis());
        let id = cx.ike_sa_id();
        if let Some(sa) = initiate(&mut cx, id, connection, path) {
            self.table.insert(&self.host.config, sa, None);
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("now", &self.host.now)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
