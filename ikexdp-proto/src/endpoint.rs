//! The engine: owns the IKE SAs and routes what comes in to them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

use crate::config::Config;
use crate::error::{Error, Violation};
use crate::event::{Event, FragmentationSummary, HandshakeFailure, IkeSaSummary};
use crate::gate::{Admission, Gate};
use crate::job::{Job, JobId, JobResult};
use crate::message::init::{InitRequest, notify_only};
use crate::path_size::PathSizes;
use crate::pool::Pools;
use crate::sa::{Context, IkeSa, Jobs, Refused, accept, initiate, stateless_reply};
use crate::stats::{Stat, Stats};
use crate::table::{RequestKey, Table};
use crate::time::Instant;
use crate::types::{Datagram, IkeSaId, Path, Role, Spi, Transmit};
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
    /// Delete every IKE SA; the host is about to leave.
    Shutdown,
}

/// What the host has to do.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit(Transmit),
    /// Do a job and hand its result in.
    Job(JobId, Job),
    /// Tell people.
    Event(Event),
}

/// An IKEv2 peer, sans I/O.
pub struct Endpoint {
    table: Table,
    last_id: u64,
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
        }
    }
}

impl Endpoint {
    /// Makes an endpoint without SAs; all its randomness comes from `entropy`.
    #[must_use]
    pub fn new(config: Arc<Config>, mut entropy: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            table: Table::default(),
            last_id: 0,
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
                    self.update(id, |sa, cx| sa.handle_job(cx, result));
                }
            }
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
        let sound = header.spis.initiator != Spi::ZERO
            && header.spis.responder == Spi::ZERO
            && header.message_id.0 == 0
            && header.from == Role::Initiator;
        let request = match InitRequest::decode(header.next_payload, payloads) {
            Ok(request) if sound => request,
            Ok(_) => {
                self.host.stats.count(Stat::InitMalformed);
                return;
            }
            Err(error) => return self.unreadable(header, datagram, &error),
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

    fn accept(
        &mut self,
        header: &Header,
        datagram: &Datagram<'_>,
        request: InitRequest<'_>,
        key: RequestKey,
    ) {
        self.last_id = self.last_id.saturating_add(1);
        let id = IkeSaId(self.last_id);
        let mut cx = self.host.context();
        match accept(&mut cx, id, header, datagram, request) {
            Ok(sa) => {
                self.host.stats.count(Stat::InitAccepted);
                self.table.insert(&self.host.config, sa, Some(key));
            }
            Err(refused) => self.refuse(header, datagram, refused),
        }
    }

    fn refuse(&mut self, header: &Header, datagram: &Datagram<'_>, refused: Refused) {
        if let Some(notify) = refused.error.notify() {
            self.host.stats.count(match notify.kind {
                NotifyType::INVALID_KE_PAYLOAD => Stat::InvalidKeSent,
                _ => Stat::NoProposalSent,
            });
            self.reply(header, datagram, &Notify::new(notify.kind, notify.data()));
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

    /// Answers in the clear, without an SA: one datagram, shorter than what
    /// asked for it.
    fn reply(&mut self, header: &Header, datagram: &Datagram<'_>, notify: &Notify<'_>) {
        let payload = stateless_reply(header, &notify_only(notify));
        let mut cx = self.host.context();
        cx.transmit(datagram.path, datagram.slot, payload);
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Initiate { connection, path } => self.initiate(connection, *path),
            Command::Terminate(id) => self.update(*id, |sa, cx| sa.terminate(cx)),
            Command::Shutdown => {
                for id in self.table.ids() {
                    self.update(id, |sa, cx| sa.terminate(cx));
                }
            }
        }
    }

    fn initiate(&mut self, connection: &str, path: Path) {
        let connections = &self.host.config.connections;
        let Some(connection) = connections.iter().find(|known| known.name == connection) else {
            return;
        };
        let connection = Arc::clone(connection);
        self.last_id = self.last_id.saturating_add(1);
        let id = IkeSaId(self.last_id);
        let mut cx = self.host.context();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FailureReason;
    use crate::message::init::InitReply;
    use crate::testing::script::{Script, config};
    use crate::types::MessageId;
    use crate::wire::iana::{GroupId, PayloadType};
    use crate::wire::payload::Payloads;
    use crate::wire::payload::sa::Transform;
    use crate::wire::writer::Chain;
    use bytes::Bytes;
    use core::time::Duration;

    fn reply(sent: &[Bytes]) -> InitReply<'_> {
        let [reply] = sent else {
            panic!("one reply, not {}", sent.len())
        };
        let (header, payloads) = Header::decode(reply).unwrap();
        assert!(header.response);
        InitReply::decode(header.next_payload, payloads).unwrap()
    }

    /// --> IKE_SA_INIT { SA, KE, Ni }
    /// <-- IKE_SA_INIT { N(COOKIE) }
    /// --> IKE_SA_INIT { N(COOKIE), SA, KE, Ni }
    /// <-- IKE_SA_INIT { SA, KE, Nr }
    #[test]
    fn above_the_threshold_a_cookie_is_asked_for() {
        let mut config = config();
        config.gate.cookie_threshold = 0;
        let mut script = Script::new(config);
        let sent = script.deliver(&script.init_request(|_| ()));
        let InitReply::Cookie(cookie) = reply(&sent) else {
            panic!("no cookie")
        };
        assert!(script.endpoint.is_quiet());
        let forged = script.init_request(|request| request.cookie = Some(&[0; 9]));
        assert!(matches!(
            reply(&script.deliver(&forged)),
            InitReply::Cookie(_)
        ));
        let request = script.init_request(|request| request.cookie = Some(cookie));
        let sent = script.deliver(&request);
        assert!(matches!(reply(&sent), InitReply::Accepted(_)));
    }

    #[test]
    fn a_cookie_is_good_for_minutes_not_for_ever() {
        let mut config = config();
        config.gate.cookie_threshold = 0;
        let mut script = Script::new(config);
        for (age, good) in [(59, true), (119, true), (181, false)] {
            let sent = script.deliver(&script.init_request(|_| ()));
            let InitReply::Cookie(cookie) = reply(&sent) else {
                panic!("no cookie")
            };
            script.now = script.now + Duration::from_secs(age);
            let request = script.init_request(|request| request.cookie = Some(cookie));
            let accepted = matches!(reply(&script.deliver(&request)), InitReply::Accepted(_));
            assert_eq!(accepted, good, "{age} s");
            script.wait(Duration::from_secs(600));
        }
    }

    /// --> IKE_SA_INIT { SA(x25519, modp2048), KE(modp2048), Ni }
    /// <-- IKE_SA_INIT { N(INVALID_KE_PAYLOAD: x25519) }
    #[test]
    fn another_group_is_asked_for_without_state() {
        let mut script = Script::new(config());
        let request = script.init_request(|request| {
            request.key_exchange.group = GroupId::MODP_2048;
            request.key_exchange.data = &[1; 256];
        });
        let sent = script.deliver(&request);
        assert_eq!(reply(&sent), InitReply::InvalidKe(GroupId::CURVE25519));
        assert!(script.endpoint.is_quiet());
        assert!(script.events.is_empty());
    }

    /// --> IKE_SA_INIT { SA(3DES), KE, Ni }
    /// <-- IKE_SA_INIT { N(NO_PROPOSAL_CHOSEN) }
    #[test]
    fn what_was_offered_is_told_when_nothing_fits() {
        let mut script = Script::new(config());
        let request = script.init_request(|request| {
            request.proposals.truncate(1);
            request.proposals[0].transforms = alloc::vec![Transform::new(
                crate::wire::iana::TransformType::ENCRYPTION,
                3,
                None
            )];
        });
        let sent = script.deliver(&request);
        assert_eq!(
            reply(&sent),
            InitReply::Refused(NotifyType::NO_PROPOSAL_CHOSEN)
        );
        let [Event::HandshakeFailed(failure)] = script.events.as_slice() else {
            panic!("one event")
        };
        let offered = "3DES".into();
        assert_eq!(
            failure.reason,
            FailureReason::NoCommonAlgorithms { offered }
        );
    }

    #[test]
    fn a_repeat_of_the_first_request_makes_no_second_sa() {
        let mut script = Script::new(config());
        let request = script.init_request(|_| ());
        let first = script.deliver(&request);
        let again = script.deliver(&request);
        assert_eq!(first, again);
        assert_eq!(script.endpoint.half_open(), 1);
        // The same SPI in another request is nobody's.
        let other = script.init_request(|request| request.nonce = &[9; 32]);
        assert!(script.deliver(&other).is_empty());
        assert_eq!(script.endpoint.half_open(), 1);
    }

    #[test]
    fn at_the_half_open_limit_nobody_gets_in() {
        let mut config = config();
        config.gate.half_open_max = 1;
        let mut script = Script::new(config);
        assert_eq!(script.deliver(&script.init_request(|_| ())).len(), 1);
        script.spis.initiator = Spi(7);
        assert!(script.deliver(&script.init_request(|_| ())).is_empty());
        assert_eq!(script.endpoint.stats().value(Stat::HalfOpenLimit), 1);
        // Until the one that is in has run out of time.
        script.wait(Duration::from_secs(31));
        assert_eq!(script.deliver(&script.init_request(|_| ())).len(), 1);
    }

    /// RFC 7296 §2.5: "MUST be rejected", with the offending type as data.
    #[test]
    fn an_unknown_critical_payload_is_named() {
        let mut script = Script::new(config());
        let payloads = Chain {
            first: PayloadType(200),
            octets: alloc::vec![0, 0x80, 0, 4],
        };
        let sent = script.deliver(&script.clear(ExchangeType::IKE_SA_INIT, &payloads));
        let (header, body) = Header::decode(&sent[0]).unwrap();
        let payload = Payloads::new(header.next_payload, body)
            .next()
            .unwrap()
            .unwrap();
        let notify = Notify::decode(payload.body).unwrap();
        assert_eq!(notify.kind, NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD);
        assert_eq!(notify.data, [200]);
    }

    /// RFC 7296 §2.5: "a node receives a message with a higher major version".
    #[test]
    fn a_later_version_hears_ours_and_an_earlier_one_nothing() {
        let mut script = Script::new(config());
        for (version, answered) in [(0x30, true), (0x10, false), (0x00, false)] {
            let mut request = script.init_request(|_| ()).to_vec();
            request[17] = version;
            let sent = script.deliver(&request);
            assert_eq!(sent.len(), usize::from(answered), "{version:#x}");
            for reply in sent {
                let (header, body) = Header::decode(&reply).unwrap();
                assert_eq!(header.version, 0x20);
                assert_eq!(header.message_id, MessageId(0));
                let payload = Payloads::new(header.next_payload, body)
                    .next()
                    .unwrap()
                    .unwrap();
                let notify = Notify::decode(payload.body).unwrap();
                assert_eq!(notify.kind, NotifyType::INVALID_MAJOR_VERSION);
                assert_eq!(notify.data, [2]);
            }
        }
    }

    #[test]
    fn nonsense_leaves_no_trace() {
        let mut script = Script::new(config());
        let request = script.init_request(|_| ());
        for end in 0..request.len() {
            assert!(script.deliver(&request[..end]).is_empty());
        }
        let broken = |place: usize, value: u8| {
            let mut broken = request.to_vec();
            broken[place] = value;
            broken
        };
        for nonsense in [
            // The responder's SPI is set, the message ID is not zero, the
            // initiator is none, the exchange is another, the length lies.
            broken(15, 1),
            broken(23, 1),
            broken(19, 0),
            broken(18, 35),
            broken(27, 0),
        ] {
            assert!(script.deliver(&nonsense).is_empty());
        }
        assert!(script.endpoint.is_quiet());
        assert!(script.events.is_empty());
    }
}
