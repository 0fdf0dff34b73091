//! The engine: owns the IKE SAs and routes what comes in to them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

use crate::config::Config;
use crate::data_plane::DataPlaneEvent;
use crate::error::{Error, Violation};
use crate::event::{Event, FragmentationSummary, HandshakeFailure, IkeSaSummary};
use crate::gate::{Admission, Gate};
use crate::job::{Job, JobId, JobResult};
use crate::limits::INIT_LEN_MAX;
use crate::message::init::{InitRequest, notify_only};
use crate::path_size::PathSizes;
use crate::pool::Pools;
use crate::sa::{
    Context, IkeSa, InboundSpis, Jobs, Lineages, Refused, Successions, Superseding, accept,
    initiate, stateless_reply,
};
use crate::stats::{Stat, Stats};
use crate::table::{RequestKey, Table};
use crate::time::Instant;
use crate::types::{Datagram, EspSpi, IkeSaId, Path, Role, Spi, Transmit};
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
    /// Replace a CHILD SA, or the IKE SA itself; nothing happens if there is none
    /// of that name.
    Rekey {
        /// The IKE SA.
        id: IkeSaId,
        /// The CHILD SA, by the SPI we receive on.
        child: Option<EspSpi>,
    },
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
}

/// An IKEv2 peer, sans I/O.
pub struct Endpoint {
    table: Table,
    /// Whether the host is about to leave.
    leaving: bool,
    gate: Gate,
    host: Host,
}

/// What SAs reach through their [`Context`].
struct Host {
    config: Arc<Config>,
    now: Instant,
    entropy: Box<dyn CryptoRng + Send>,
    outputs: VecDeque<Output>,
    stats: Stats,
    sizes: PathSizes,
    pools: Pools,
    jobs: Jobs,
    inbound: InboundSpis,
    lineages: Lineages,
    successions: Successions,
}

impl Host {
    fn context(&mut self) -> Context<'_> {
        Context {
            config: &self.config,
            now: self.now,
            entropy: &mut *self.entropy,
            outputs: &mut self.outputs,
            stats: &mut self.stats,
            sizes: &mut self.sizes,
            pools: &mut self.pools,
            jobs: &mut self.jobs,
            inbound: &mut self.inbound,
            lineages: &mut self.lineages,
            successions: &mut self.successions,
        }
    }
}

impl Endpoint {
    /// Makes an endpoint without SAs; all its randomness comes from `entropy`.
    #[must_use]
    pub fn new(config: Arc<Config>, mut entropy: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            table: Table::default(),
            leaving: false,
            gate: Gate::new(&mut *entropy),
            host: Host {
                pools: Pools::new(&config.pools),
                config,
                now: Instant::ZERO,
                entropy,
                outputs: VecDeque::new(),
                stats: Stats::default(),
                sizes: PathSizes::default(),
                jobs: Jobs::default(),
                inbound: InboundSpis::default(),
                lineages: Lineages::default(),
                successions: Successions::default(),
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
                while let Some(id) = self.table.expired(now) {
                    self.update(id, |sa, cx| sa.handle_timeout(cx));
                }
            }
            Input::JobDone(job, result) => {
                if let Some(id) = self.host.jobs.done(job) {
                    self.update(id, |sa, cx| sa.handle_job(cx, job, result));
                }
            }
            Input::DataPlane(event) => self.data_plane(&event),
            Input::Command(command) => self.command(&command),
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.host.outputs.pop_front()
    }

    /// When to hand in [`Input::Timeout`], unless something comes earlier.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.next_deadline()
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

    /// Whether there is no IKE SA that somebody could still want to know of.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.summaries(None).next().is_none()
    }

    /// The IKE SA `id`, unless it is closed.
    #[must_use]
    pub fn summary(&self, id: IkeSaId) -> Option<IkeSaSummary> {
        self.table.find(id)?.summary(self.host.now)
    }

    /// The IKE SAs that are not closed, in the order of their making: all, or
    /// those made later than `after`.
    pub fn summaries(&self, after: Option<IkeSaId>) -> impl Iterator<Item = IkeSaSummary> {
        let now = self.host.now;
        self.table
            .after(after)
            .filter_map(move |sa| sa.summary(now))
    }

    /// Memory held for incomplete messages of all SAs, in octets.
    #[must_use]
    pub const fn reassembly_octets(&self) -> usize {
        self.table.reassembly_octets()
    }

    fn update(&mut self, id: IkeSaId, handle: impl FnOnce(&mut IkeSa, &mut Context<'_>)) {
        let config = Arc::clone(&self.host.config);
        let mut cx = self.host.context();
        self.table.update(&config, id, |sa| handle(sa, &mut cx));
        for sa in core::mem::take(&mut self.host.successions.born) {
            self.table.insert(&config, sa, None);
        }
        for bequest in core::mem::take(&mut self.host.successions.bequests) {
            let mut cx = self.host.context();
            let to = bequest.to;
            self.table
                .update(&config, to, |sa| sa.inherit(&mut cx, bequest));
        }
        if let Some(superseding) = self.host.successions.superseding.take() {
            self.supersede(&config, &superseding);
        }
    }

    /// Closes what else a peer has, then goes on with its new SA.
    fn supersede(&mut self, config: &Config, superseding: &Superseding) {
        let mut cx = self.host.context();
        for id in self.table.by_peer(&superseding.peer) {
            let close = |sa: &mut IkeSa| sa.supersede(&mut cx, superseding);
            self.table.update(config, id, close);
        }
        let go_on = |sa: &mut IkeSa| sa.succeed(&mut cx);
        self.table.update(config, superseding.by, go_on);
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
            self.host.stats.count(Stat::UnknownSpi);
            return;
        };
        self.update(id, |sa, cx| sa.handle_datagram(cx, header, datagram));
        while let Some(id) = self.table.over_budget() {
            self.host.stats.count(Stat::ReassemblyEvicted);
            self.update(id, |sa, _| sa.drop_reassembly());
        }
    }

    fn init_request(&mut self, header: &Header, payloads: &[u8], datagram: &Datagram<'_>) {
        let key: RequestKey = (datagram.path.remote.ip(), header.spis.initiator);
        if let Some(id) = self.table.by_request(&key) {
            self.update(id, |sa, cx| {
                if sa.was_made_by(datagram.payload) {
                    sa.repeat_init(cx, datagram);
                } else {
                    cx.stats.count(Stat::OutOfWindow);
                }
            });
            return;
        }
        if let Some(stat) = self.turns_away(datagram) {
            self.host.stats.count(stat);
            return;
        }
        let sound = header.spis.initiator != Spi::ZERO
            && header.spis.responder == Spi::ZERO
            && header.message_id.0 == 0
            && header.from == Role::Initiator;
        let request = match InitRequest::decode(header.next_payload, payloads) {
            Ok(request) if sound => request,
            Err(error) if sound => return self.unreadable(header, datagram, &error),
            _ => {
                self.host.stats.count(Stat::InitMalformed);
                return;
            }
        };
        let host = &mut self.host;
        self.gate.rotate(host.now, &mut *host.entropy);
        let admission = self.gate.admit(
            &host.config.gate,
            self.table.half_open(),
            &datagram.path,
            header.spis.initiator,
            &request,
        );
        match admission {
            Admission::Admitted => self.accept(header, datagram, request, key),
            Admission::Cookie(cookie) => {
                self.host.stats.count(Stat::CookieSent);
                let notify = Notify::new(NotifyType::COOKIE, &cookie);
                self.reply(header, datagram, &notify);
            }
            Admission::Refused => self.host.stats.count(Stat::HalfOpenLimit),
        }
    }

    /// Why nobody looks at an IKE_SA_INIT request, if nobody does.
    const fn turns_away(&self, datagram: &Datagram<'_>) -> Option<Stat> {
        if self.leaving {
            Some(Stat::InitLeaving)
        } else if datagram.payload.len() > INIT_LEN_MAX {
            Some(Stat::OverLimit)
        } else {
            None
        }
    }

    fn accept(
        &mut self,
        header: &Header,
        datagram: &Datagram<'_>,
        request: InitRequest<'_>,
        key: RequestKey,
    ) {
        let mut cx = self.host.context();
        let id = cx.ike_sa_id();
        match accept(&mut cx, id, header, datagram, request) {
            Ok(sa) => {
                self.host.stats.count(Stat::InitAccepted);
                self.table.insert(&self.host.config, sa, Some(key));
            }
            Err(refused) => self.refuse(header, datagram, refused),
        }
    }

    fn refuse(&mut self, header: &Header, datagram: &Datagram<'_>, refused: Refused) {
        let answer = refused.answer.map(Error::from);
        if let Some(notify) = answer.and_then(|error| error.notify()) {
            self.host.stats.count(match notify.kind {
                NotifyType::INVALID_KE_PAYLOAD => Stat::InvalidKeSent,
                _ => Stat::NoProposalSent,
            });
            self.reply(header, datagram, &Notify::new(notify.kind, notify.data()));
        } else {
            self.host.stats.count(Stat::InitMalformed);
        }
        if let Some(reason) = refused.reason {
            let failure = HandshakeFailure {
                id: None,
                role: Role::Responder,
                path: datagram.path,
                connection: None,
                claimed: None,
                suite: None,
                fragmentation: FragmentationSummary::default(),
                handshake: Duration::ZERO,
                reason,
            };
            let event = Event::HandshakeFailed(Box::new(failure));
            self.host.outputs.push_back(Output::Event(event));
        }
    }

    /// RFC 7296 §2.21: outside an SA only an unknown critical payload is
    /// answered; INVALID_SYNTAX is for authentic messages.
    fn unreadable(&mut self, header: &Header, datagram: &Datagram<'_>, error: &Error) {
        self.host.stats.count(Stat::InitMalformed);
        if let Error::Violation(Violation::UnknownCritical(_)) = error
            && let Some(notify) = error.notify()
        {
            self.reply(header, datagram, &Notify::new(notify.kind, notify.data()));
        }
    }

    /// Answers in the clear, without an SA: one datagram, and never one longer
    /// than what asked for it, because its source may be forged.
    fn reply(&mut self, header: &Header, datagram: &Datagram<'_>, notify: &Notify<'_>) {
        let payload = stateless_reply(header, &notify_only(notify));
        if payload.len() > datagram.payload.len() {
            return;
        }
        let mut cx = self.host.context();
        cx.transmit(datagram.path, datagram.slot, payload);
    }

    fn data_plane(&mut self, event: &DataPlaneEvent) {
        if let Some(id) = self.host.lineages.owner(event.lineage()) {
            self.update(id, |sa, cx| sa.handle_data_plane(cx, event));
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Initiate { connection, path } => self.initiate(connection, *path),
            Command::Terminate(id) => self.update(*id, |sa, cx| sa.terminate(cx)),
            Command::Rekey { id, child } => self.update(*id, |sa, cx| sa.rekey(cx, *child)),
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
        let mut cx = self.host.context();
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
