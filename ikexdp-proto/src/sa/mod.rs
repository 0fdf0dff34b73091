//! IKE SAs: what each knows in each state, and what takes it to the next.
//!
//! A state is a struct that owns exactly what is known by then. A transition
//! takes it and returns the next; what is refused hands it back.

mod auth;
pub(crate) mod channel;
mod child;
mod closing;
mod command;
mod configuration;
mod context;
pub(crate) mod described;
mod established;
mod estate;
mod inbound;
mod init;
mod initiator;
mod installing;
mod lifetime;
mod negotiate;
pub(crate) mod proposal;
mod selector;
mod sent;
mod state;
mod succession;

use alloc::vec::Vec;

use crate::config::Config;
use crate::data_plane::Tunnel;
use crate::error::Error;
use crate::event::{FailureReason, IkeSaSummary, NatSituation};
use crate::job::{JobId, JobResult};
use crate::limits::{DATAGRAM_LEN_MIN, UNAUTHENTIC_MAX};
use crate::message::init::notify_only;
use crate::stats::Stat;
use crate::time::Instant;
use crate::types::{Datagram, IkeSaId, Path, Role, Spi, Spis};
use crate::wire::header::Header;
use crate::wire::iana::ProtocolId;
use crate::wire::payload::notify::Notify;

use self::channel::{Channel, Message, ReplyTo};
pub(crate) use self::context::{Context, Jobs, Successions};
use self::context::{Progress, fragmentation};
pub(crate) use self::inbound::{InboundSpis, Lineages};
pub(crate) use self::init::{Refused, accept, stateless_reply};
pub(crate) use self::initiator::initiate;
use self::state::State;
pub(crate) use self::succession::Superseding;

/// What an IKE SA is from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Core {
    pub(crate) id: IkeSaId,
    pub(crate) role: Role,
    pub(crate) spis: Spis,
    /// The way the peer's last new message took.
    pub(crate) path: Path,
    pub(crate) nat: NatSituation,
    pub(crate) created: Instant,
}

impl Core {
    /// The SPI that the peer addresses us by.
    pub(crate) const fn our_spi(&self) -> Spi {
        match self.role {
            Role::Initiator => self.spis.initiator,
            Role::Responder => self.spis.responder,
        }
    }

    /// Where ESP goes: in UDP if there is a NAT, and IKE goes there already.
    pub(crate) const fn tunnel(&self) -> Tunnel {
        Tunnel {
            local: self.path.local,
            remote: self.path.remote,
            in_udp: self.path.marker && (self.nat.local || self.nat.remote),
        }
    }
}

/// Answers a request with the notify of `error`, if it has one.
fn refuse(channel: &mut Channel, cx: &mut Context<'_>, to: &ReplyTo, error: &Error) {
    if let Some(notify) = error.notify() {
        let spi = notify.child.map(|spi| spi.0.to_be_bytes());
        let about = Notify {
            protocol: match spi {
                Some(_) => ProtocolId::ESP,
                None => ProtocolId::NONE,
            },
            spi: spi.as_ref().map_or(&[][..], |spi| spi),
            kind: notify.kind,
            data: notify.data(),
        };
        channel.respond(cx, to, notify_only(&about));
    }
}

/// An IKE SA.
#[derive(Debug)]
pub(crate) struct IkeSa {
    pub(crate) core: Core,
    state: State,
}

impl IkeSa {
    const fn new(core: Core, state: State) -> Self {
        Self { core, state }
    }

    /// Whether it counts against the half-open limit.
    pub(crate) const fn is_half_open(&self) -> bool {
        matches!(
            self.state,
            State::Responding(_)
                | State::HalfOpen(_)
                | State::Verifying(_)
                | State::Signing(_)
                | State::Asking(_)
                | State::Asked(_)
                | State::Admitted(_)
                | State::Succeeding(_)
                | State::Installing(_)
                | State::Denied(_)
                | State::Refused(_)
                | State::Failed { .. }
        )
    }

    /// Whether it is up.
    pub(crate) const fn is_established(&self) -> bool {
        matches!(self.state, State::Established(_))
    }

    /// Whether it can be forgotten.
    pub(crate) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether the peer has proved who it is.
    pub(crate) const fn is_authenticated(&self) -> bool {
        matches!(
            self.state,
            State::Established(_) | State::Heir(_) | State::Replaced(_) | State::Closing(_)
        )
    }

    /// A datagram that names this SA.
    pub(crate) fn handle_datagram(
        &mut self,
        cx: &mut Context<'_>,
        header: &Header,
        datagram: &Datagram<'_>,
    ) {
        if let State::Initiating(_) = &self.state {
            let state = core::mem::replace(&mut self.state, State::Gone);
            if let State::Initiating(state) = state {
                self.state = state.handle_datagram(cx, &mut self.core, header, datagram);
            }
            self.remember_path_size(cx);
            return;
        }
        let Some(channel) = self.state.channel_mut() else {
            cx.stats.count(Stat::Busy);
            return;
        };
        let Some(message) = channel.receive(cx, header, datagram) else {
            return self.have_enough(cx);
        };
        if !message.response && self.state.follows(&self.core) {
            let path = self.core.path;
            self.core.path = message.path;
            if let State::Established(state) = &mut self.state {
                state.moved(cx, &self.core, &path);
            }
        }
        // The message may be the last one, or make the SA.
        self.remember_path_size(cx);
        self.handle_message(cx, message);
        self.remember_path_size(cx);
    }

    /// Gives up on IKE_AUTH of a peer for which much comes that is not authentic. It
    /// has cost us a computation, and keeps its place as long as it would have had it.
    fn have_enough(&mut self, cx: &mut Context<'_>) {
        if let State::HalfOpen(state) = &self.state
            && state.channel.unauthentic() >= UNAUTHENTIC_MAX
        {
            let reason = FailureReason::Unauthentic;
            cx.handshake_failed(&self.core, self.state.progress(), reason);
            let hurried = state.hurried;
            self.state = State::Failed { hurried };
        }
    }

    /// What is known of a path holds for others near the peer, so only a peer
    /// that has proved who it is may teach it.
    fn remember_path_size(&mut self, cx: &mut Context<'_>) {
        if let State::Established(state) = &mut self.state
            && state.channel.take_lowered()
            && cx.config.fragmentation.is_remembered
        {
            let peer = self.core.path.remote.ip();
            cx.sizes.learn(peer, DATAGRAM_LEN_MIN, cx.now);
        }
    }

    fn handle_message(&mut self, cx: &mut Context<'_>, message: Message) {
        let core = &mut self.core;
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::HalfOpen(state) => state.handle_request(cx, core, &message),
            State::Asking(state) => state.handle_request(cx, core, &message),
            State::Admitted(state) => state.handle_request(cx, core, &message),
            State::Established(state) => state.handle_message(cx, core, &message),
            State::Refusing(state) => state.handle_message(cx, &message, State::Refusing),
            State::Closing(state) => state.handle_message(cx, &message, State::Closing),
            State::Replaced(state) => state.handle_message(cx, &message),
            // One request at a time: whatever comes now is not the next.
            state => state,
        };
    }

    /// The responder's first message, asked for again.
    pub(crate) fn repeat_init(&mut self, cx: &mut Context<'_>, datagram: &Datagram<'_>) {
        cx.stats.count(Stat::InitRepeated);
        if let State::HalfOpen(state) = &mut self.state {
            state.repeat_response(cx, datagram);
        }
    }

    /// Whether `request` is the IKE_SA_INIT request this SA was made by.
    pub(crate) fn was_made_by(&self, request: &[u8]) -> bool {
        self.request() == Some(request)
    }

    /// That request, while nothing else has been heard of the initiator.
    pub(crate) fn request(&self) -> Option<&[u8]> {
        match &self.state {
            State::Responding(state) => Some(state.request()),
            State::HalfOpen(state) => Some(state.request()),
            _ => None,
        }
    }

    /// The initiator has sent its request once more, and not in the same octets.
    pub(crate) fn adopt_request(&mut self, request: &[u8]) {
        match &mut self.state {
            State::Responding(state) => state.adopt_request(request),
            State::HalfOpen(state) => state.adopt_request(request),
            _ => {}
        }
    }

    /// A job of this SA is done.
    pub(crate) fn handle_job(&mut self, cx: &mut Context<'_>, id: JobId, result: JobResult) {
        if let JobResult::Continued(job) = result {
            // If the SA has been closed meanwhile, nobody needs to know.
            if matches!(self.state, State::Verifying(_) | State::Initiating(_)) {
                cx.job(self.core.id, *job);
            }
            return;
        }
        let core = &mut self.core;
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match (state, result) {
            (State::Responding(state), JobResult::Secret(result)) => {
                state.handle_secret(cx, core, result)
            }
            (State::Verifying(state), JobResult::Verified(result)) => {
                state.handle_verified(cx, core, result)
            }
            (State::Signing(state), JobResult::Signature(result)) => {
                state.handle_signature(cx, core, result)
            }
            (State::Asked(state), JobResult::Eap(turn)) => state.handle_turn(cx, core, turn),
            (State::Asked(state), JobResult::Abandoned) => state.handle_abandoned(cx, core),
            (State::Verifying(state), JobResult::Abandoned) => state.handle_abandoned(cx, core),
            (State::Signing(state), JobResult::Abandoned) => state.handle_abandoned(cx, core),
            (State::Initiating(state), result) => state.handle_job(cx, core, result),
            (State::Established(state), result) => state.handle_job(cx, core, id, result),
            (State::Installing(state), result) => state.handle_installed(cx, core, result),
            (state, JobResult::Abandoned) if state.is_handshake() => {
                let progress = state.progress();
                cx.handshake_failed(core, progress, FailureReason::JobAbandoned);
                State::Gone
            }
            // The SA has been closed meanwhile.
            (state, _) => state,
        };
        self.remember_path_size(cx);
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        let core = &self.core;
        let path = core.path;
        let dead = match self.state.channel_mut() {
            Some(channel) => channel.on_timeout(cx, &path),
            None => false,
        };
        let gives_up = self.state.gives_up(core, cx.config.timing.half_open);
        let half_open_over = gives_up.is_some_and(|end| end <= cx.now);
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::Established(state) => state.handle_timeout(cx, core, dead),
            State::Initiating(state) => state.handle_timeout(cx, core, dead),
            State::Refusing(_) | State::Closing(_) | State::Replaced(_) if dead => State::Gone,
            State::Refused(state) | State::Lingering(state) if state.is_over(cx.now) => State::Gone,
            State::Denied(state) => state.handle_timeout(cx),
            State::Replaced(state) => state.handle_timeout(cx, core),
            State::Failed { .. } if half_open_over => State::Gone,
            state if half_open_over => {
                let progress = Progress {
                    unacknowledged: state.unacknowledged(core),
                    ..state.progress()
                };
                cx.handshake_failed(core, progress, state.silence());
                State::Gone
            }
            state => state,
        };
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        let half_open = self.state.gives_up(&self.core, config.timing.half_open);
        let own = match &self.state {
            State::Initiating(state) => state.deadline(),
            State::Established(state) => state.deadline(config, &self.core),
            State::Refused(state) | State::Lingering(state) => Some(state.until()),
            State::Denied(state) => Some(state.due()),
            State::Replaced(state) => Some(state.until()),
            // The peer has until then, if it is waited for at all; else the host is at
            // work, or another SA.
            _ => half_open,
        };
        let channel = self.state.channel().and_then(Channel::deadline);
        own.into_iter().chain(channel).min()
    }

    /// Memory held for messages under reassembly, and since when.
    pub(crate) fn reassembly(&self) -> Option<(Instant, usize)> {
        self.state.channel().and_then(Channel::reassembly)
    }

    /// Our SPIs of IKE SAs that CREATE_CHILD_SA is about to put in its place: one that
    /// we ask for, and one that the peer does.
    pub(crate) fn awaited_spis(&self) -> [Option<Spi>; 2] {
        match &self.state {
            State::Established(state) => state.awaited_spis(),
            _ => [None; 2],
        }
    }

    /// Gives up messages under reassembly.
    pub(crate) fn drop_reassembly(&mut self) {
        if let Some(channel) = self.state.channel_mut() {
            channel.drop_reassembly();
        }
    }

    /// What people want to know of it; nothing once it is closed.
    pub(crate) fn summary(&self, now: Instant) -> Option<IkeSaSummary> {
        let state = match &self.state {
            State::Responding(_) | State::HalfOpen(_) => "half-open",
            State::Verifying(_)
            | State::Signing(_)
            | State::Asking(_)
            | State::Asked(_)
            | State::Admitted(_)
            | State::Succeeding(_)
            | State::Installing(_) => "authenticating",
            State::Initiating(_) => "initiating",
            State::Established(_) => "established",
            State::Refusing(_) => "refusing",
            State::Closing(_) => "closing",
            State::Heir(_)
            | State::Replaced(_)
            | State::Denied(_)
            | State::Refused(_)
            | State::Lingering(_)
            | State::Failed { .. }
            | State::Gone => return None,
        };
        let channel = self.state.channel();
        let mut summary = IkeSaSummary {
            id: self.core.id,
            state,
            connection: None,
            role: self.core.role,
            path: self.core.path,
            spis: self.core.spis,
            peer: None,
            suite: channel.map(|channel| channel.suite),
            age: now.since(self.core.created),
            addresses: Vec::new(),
            fragmentation: fragmentation(channel),
            children: Vec::new(),
            names: Vec::new(),
        };
        if let State::Established(state) = &self.state {
            let estate = &state.estate;
            summary.connection = Some(estate.connection.name.clone());
            summary.peer = Some(estate.peer.clone());
            summary.addresses = estate.addresses();
            summary.children = estate.summaries();
            summary.names = estate.names();
        }
        Some(summary)
    }
}
