//! An IKE SA that is up.
//!
//! Each side may have one request out (RFC 7296 §2.3): what we ask is in
//! [`ours`], what the peer asks in [`theirs`], as long as there is work to do
//! for it. What is to be asked next is not queued but found anew each time from
//! what there is: [`Established::proceed`].

mod informational;
mod keepalive;
mod liveness;
mod mobike;
mod ours;
mod theirs;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use self::liveness::Liveness;
use self::ours::Ours;
use self::theirs::Theirs;
use super::channel::{Channel, Message, ReplyTo};
use super::child::{Child, Phase};
use super::closing::{Closing, Lingering};
use super::estate::Estate;
use super::lifetime::Lifetime;
use super::succession::Superseding;
use super::{Context, Core, State, refuse};
use crate::config::Config;
use crate::data_plane::{DataPlaneError, DataPlaneEvent, Direction};
use crate::error::{Error, Unacceptable, Violation};
use crate::event::Unacknowledged;
use crate::event::{self, CloseReason, Event};
use crate::job::{JobId, JobResult};
use crate::message::informational::Informational;
use crate::stats::Stat;
use crate::time::Instant;
use crate::types::{EspSpi, IkeSaId};
use crate::wire::iana::ExchangeType;
use crate::wire::writer::Chain;

/// An IKE SA whose two sides know each other.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) channel: Channel,
    pub(super) estate: Box<Estate>,
    lifetime: Lifetime,
    liveness: Liveness,
    ours: Ours,
    theirs: Theirs,
    /// When a NAT that we are behind is to be reminded of us.
    keepalive: Instant,
    /// Why it is to be deleted, as soon as no request of ours is waiting.
    ending: Option<CloseReason>,
}

/// What a handshake ends with.
#[derive(Debug)]
pub(super) struct NewEstablished {
    pub(super) channel: Channel,
    pub(super) estate: Box<Estate>,
    /// Why there is no CHILD SA, if one was wanted.
    pub(super) refusal: Option<Error>,
    /// Whether the peer is known to have got our last message.
    pub(super) confirmed: bool,
}

impl Established {
    /// The handshake is over.
    pub(super) fn begin(cx: &mut Context<'_>, core: &Core, new: NewEstablished) -> Self {
        let mut established = Self::new(cx, new.channel, new.estate);
        established.liveness.confirmed = new.confirmed;
        cx.stats.count(Stat::Established);
        let estate = &established.estate;
        cx.event(Event::Established(Box::new(event::Established {
            id: core.id,
            connection: estate.connection.name.clone(),
            role: core.role,
            path: core.path,
            spis: core.spis,
            peer: estate.peer.clone(),
            suite: established.channel.suite,
            nat: core.nat,
            addresses: estate.addresses(),
            account: estate.terms.account.clone(),
            handshake: cx.now.since(core.created),
            fragmentation: established.channel.fragmentation,
        })));
        if let Some(reason) = new.refusal {
            cx.event(Event::ChildRefused {
                id: core.id,
                reason,
            });
        }
        established
    }

    /// Takes the place of the IKE SA `replaced`.
    pub(super) fn inherit(
        cx: &mut Context<'_>,
        core: &Core,
        replaced: IkeSaId,
        channel: Channel,
        mut estate: Box<Estate>,
    ) -> Self {
        // A peer that goes on replacing without deleting may have one of them.
        let older = estate.predecessor.replace(replaced);
        cx.successions.retired.extend(older);
        cx.stats.count(Stat::Rekeyed);
        cx.event(Event::Rekeyed {
            id: replaced,
            new: core.id,
            spis: core.spis,
            suite: channel.suite,
        });
        if let Some((job, _)) = estate.moving {
            cx.jobs.pass_on(job, core.id);
        }
        for child in &mut estate.children {
            cx.lineages.pass_on(child.lineage, core.id);
            if let Some(job) = child.installing {
                cx.jobs.pass_on(job, core.id);
            }
            // Who was to answer that does so no more.
            if child.phase == Phase::Deleting {
                child.phase = Phase::Doomed;
            }
        }
        Self::new(cx, channel, estate)
    }

    fn new(cx: &mut Context<'_>, mut channel: Channel, estate: Box<Estate>) -> Self {
        channel.keys.forget_shares();
        let lifetimes = estate.lifetimes();
        let lifetime = Lifetime::begin(cx, lifetimes.ike, lifetimes.initiate_rekey);
        Self {
            channel,
            lifetime: lifetime.cut(estate.terms.until),
            estate,
            liveness: Liveness::new(cx.now),
            ours: Ours::Idle,
            theirs: Theirs::Idle,
            keepalive: cx.now,
            ending: None,
        }
    }

    pub(super) fn handle_message(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &mut Core,
        message: &Message,
    ) -> State {
        self.liveness.heard(cx.now);
        if message.response {
            return self.handle_response(cx, core, message);
        }
        match message.exchange {
            ExchangeType::INFORMATIONAL => self.informational(cx, core, message),
            ExchangeType::CREATE_CHILD_SA => self.create_child(cx, core, message),
            _ => {
                // The refusal ends the SA for the peer (RFC 7296 §2.21.3).
                let error = Violation::UnexpectedExchange.into();
                self.refuse(cx, &message.reply_to(), &error);
                self.close(cx, core, CloseReason::OutOfTurn)
            }
        }
    }

    /// A job that somebody here waits for, most likely, is done.
    pub(super) fn handle_job(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        id: JobId,
        result: JobResult,
    ) -> State {
        if self.liveness.waits_for(id) {
            return self.measured(cx, core, result);
        }
        if self.ours.waits_for(id) {
            return self.own_job(cx, core, result);
        }
        if self.theirs.waits_for(id) {
            return self.peers_job(cx, core, result);
        }
        let result = data_plane(result);
        if self.moves_by(id) {
            return self.relocated(cx, core, result);
        }
        if self.estate.connected(cx, core, id, result) {
            return self.proceed(cx, core);
        }
        State::Established(self)
    }

    /// The kernel has something to say of a CHILD SA.
    pub(super) fn handle_data_plane(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &mut Core,
        event: &DataPlaneEvent,
    ) -> State {
        match *event {
            DataPlaneEvent::Expired {
                direction,
                spi,
                hard,
                ..
            } => self.worn(cx.now, (direction, spi), hard),
            // Authentic, as everything the kernel takes in.
            DataPlaneEvent::Remapped { remote, .. } if core.nat.remote => {
                let path = core.path;
                core.path.remote = remote;
                self.moved(cx, core, &path);
            }
            DataPlaneEvent::Remapped { .. } => {}
        }
        self.proceed(cx, core)
    }

    /// One direction of a CHILD SA has carried what it should, or may.
    fn worn(&mut self, now: Instant, (direction, spi): (Direction, EspSpi), hard: bool) {
        let initiates = self.estate.lifetimes().initiate_rekey;
        let mut children = self.estate.children.iter_mut();
        let child = children.find(|child| match direction {
            Direction::Inbound => child.summary.spi_in == spi,
            Direction::Outbound => child.summary.spi_out == spi,
        });
        let Some(child) = child.filter(|child| child.phase == Phase::Live) else {
            return;
        };
        if hard {
            child.phase = Phase::Doomed;
        } else if initiates {
            child.lifetime.soft = Some(now);
        }
    }

    /// Begins what is due, if no request of ours is under way.
    fn proceed(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        if !matches!(self.ours, Ours::Idle) {
            return State::Established(self);
        }
        if self.lifetime.hard <= cx.now {
            let until = self.estate.terms.until;
            let reason = match until.filter(|until| *until <= cx.now) {
                Some(_) => CloseReason::SessionTimeout,
                None => CloseReason::Expired,
            };
            self.ending.get_or_insert(reason);
        }
        if let Some(reason) = self.ending {
            return self.delete(cx, core, reason);
        }
        self.doom_expired(cx.now);
        if self.estate.check_route {
            self.ask_for_route(cx, core);
        } else if self.has_doomed() {
            self.delete_doomed(cx, core);
        } else if let Some(wanted) = self.sa_due(cx.now) {
            match wanted {
                None => self.request_ike(cx, core),
                Some(spi) => self.rekey_child(cx, core, spi),
            }
        } else {
            self.ask_for_life(cx, core);
        }
        State::Established(self)
    }

    fn doom_expired(&mut self, now: Instant) {
        for child in &mut self.estate.children {
            if child.lifetime.hard <= now && child.phase != Phase::Deleting {
                child.phase = Phase::Doomed;
            }
        }
    }

    /// Whether CHILD SAs are to be deleted, and may be: not while the peer replaces
    /// the IKE SA (RFC 7296 §2.25.2).
    fn has_doomed(&self) -> bool {
        if matches!(self.theirs, Theirs::Ike(_)) {
            return false;
        }
        let mut children = self.estate.children.iter();
        children.any(|child| child.phase == Phase::Doomed)
    }

    /// What is to be replaced now: a CHILD SA by its SPI, or the IKE SA. While
    /// the peer is about something of the kind, nothing is (RFC 7296 §2.25).
    fn sa_due(&self, now: Instant) -> Option<Option<EspSpi>> {
        let due = |lifetime: &Lifetime| lifetime.soft.is_some_and(|soft| soft <= now);
        if !matches!(self.theirs, Theirs::Idle) {
            return None;
        }
        if due(&self.lifetime) {
            return Some(None);
        }
        let mut children = self.estate.children.iter();
        let child = children.find(|child| child.phase == Phase::Live && due(&child.lifetime))?;
        Some(Some(child.spi()))
    }

    /// Sends a request. When there is no message ID left for it, the SA is at its
    /// end (RFC 7296 §2.2).
    fn request(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        exchange: ExchangeType,
        payloads: Chain,
    ) {
        if !self.channel.request(cx, exchange, payloads, &core.path) {
            self.abandon(cx, core);
            self.ending = Some(CloseReason::Expired);
            self.lifetime.hard = cx.now;
        }
    }

    fn refuse(&mut self, cx: &mut Context<'_>, to: &ReplyTo, error: &Error) {
        if *error == Error::Unacceptable(Unacceptable::Collision) {
            cx.stats.count(Stat::Collision);
        }
        refuse(&mut self.channel, cx, to, error);
    }

    /// Everything of the SA is given back; its last response is kept a while.
    fn close(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core, reason: CloseReason) -> State {
        self.abandon(cx, core);
        let unacknowledged = self.unacknowledged();
        self.estate.close(cx, core, unacknowledged, reason);
        State::Lingering(Box::new(Lingering::new(self.channel, cx.now)))
    }

    /// The host wants it gone.
    pub(super) fn terminate(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        self.ending = Some(CloseReason::Terminated);
        if !self.channel.is_waiting() {
            // Nobody waits for a result any more.
            self.abandon(cx, core);
        }
        self.proceed(cx, core)
    }

    /// The host wants a CHILD SA, or the IKE SA itself, replaced.
    pub(super) fn rekey(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        child: Option<EspSpi>,
    ) -> State {
        let lifetime = match child {
            None => Some(&mut self.lifetime),
            Some(spi) => self.estate.child_mut(spi).map(|child| &mut child.lifetime),
        };
        if let Some(lifetime) = lifetime {
            lifetime.soft = Some(cx.now);
        }
        self.proceed(cx, core)
    }

    /// The peer has made another.
    pub(super) fn supersede(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        superseding: &Superseding,
    ) -> State {
        // Before a request of ours is answered there is no other (RFC 7296 §2.3).
        let is_waiting = self.channel.is_waiting();
        if superseding.told && !is_waiting {
            return self.delete(cx, core, CloseReason::Superseded);
        }
        // It may be another device that has this one, and must hear of its end.
        if superseding.told && superseding.others > 0 {
            self.ending.get_or_insert(CloseReason::Superseded);
            return State::Established(self);
        }
        self.abandon(cx, core);
        let unacknowledged = self.unacknowledged();
        self.estate
            .close(cx, core, unacknowledged, CloseReason::Superseded);
        State::Gone
    }

    fn delete(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        reason: CloseReason,
    ) -> State {
        self.abandon(cx, core);
        let unacknowledged = self.unacknowledged();
        self.estate.close(cx, core, unacknowledged, reason);
        Closing::begin(self.channel, cx, core)
    }

    /// The response that made it, if the peer asked for it again and was not heard since.
    fn unacknowledged(&self) -> Option<Unacknowledged> {
        let made_it = || self.channel.unacknowledged(ExchangeType::IKE_AUTH);
        (!self.liveness.confirmed).then(made_it).flatten()
    }

    /// What is under way comes to nothing.
    fn abandon(&mut self, cx: &mut Context<'_>, core: &Core) {
        let ours = core::mem::take(&mut self.ours);
        self.estate.check_route |= matches!(ours, Ours::Route(..));
        ours.abandon(cx, core, &self.estate);
        let theirs = core::mem::take(&mut self.theirs);
        theirs.abandon(cx, core, &self.estate);
    }

    /// Time has passed; `dead` says that the peer has not answered.
    pub(super) fn handle_timeout(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        dead: bool,
    ) -> State {
        if dead {
            cx.stats.count(Stat::DeadPeer);
            self.abandon(cx, core);
            let unacknowledged = self.unacknowledged();
            self.estate
                .close(cx, core, unacknowledged, CloseReason::DeadPeer);
            return State::Gone;
        }
        self.remind_nat(cx, core);
        self.proceed(cx, core)
    }

    /// When [`Self::handle_timeout`] has something to do. What is under way ends
    /// with a response, a job or the peer's death.
    pub(super) fn deadline(&self, config: &Config, core: &Core) -> Option<Instant> {
        let keepalive = self.keepalive_due(core);
        if !matches!(self.ours, Ours::Idle) {
            return keepalive;
        }
        let idle = matches!(self.theirs, Theirs::Idle);
        let next = |lifetime: &Lifetime| {
            if idle { lifetime.next() } else { lifetime.hard }
        };
        // What is doomed waits for something else than time.
        let children = self.estate.children.iter();
        let children = children.filter_map(|child| match child.phase {
            Phase::Live => Some(next(&child.lifetime)),
            Phase::Doomed | Phase::Deleting => None,
            Phase::Rekeying | Phase::Replaced(_) => Some(child.lifetime.hard),
        });
        let own = [next(&self.lifetime)].into_iter();
        let liveness = self.liveness.due(&config.timing);
        own.chain(children).chain(liveness).chain(keepalive).min()
    }

    /// Removes a CHILD SA; what has taken its place takes the traffic.
    fn remove_child(&mut self, cx: &mut Context<'_>, core: &Core, spi: EspSpi) {
        let successor = match self.estate.child(spi).map(|child| child.phase) {
            Some(Phase::Replaced(successor)) => Some(successor),
            Some(Phase::Rekeying) => self.ours.rival(),
            _ => None,
        };
        // The peer may take back what was to replace another.
        self.forget_rival(spi);
        self.estate.remove(cx, core, spi, successor);
    }

    /// Has the peer delete CHILD SAs that are in nobody's list or are doomed.
    fn delete_children(&mut self, cx: &mut Context<'_>, core: &Core, children: Vec<EspSpi>) {
        let delete = Informational {
            delete_esp: children.clone(),
            ..Informational::default()
        };
        self.ours = Ours::Deleting(children);
        self.request(cx, core, ExchangeType::INFORMATIONAL, delete.encode());
    }

    fn delete_doomed(&mut self, cx: &mut Context<'_>, core: &Core) {
        let children = self.estate.children.iter_mut();
        let mut doomed = Vec::new();
        for child in children.filter(|child| child.phase == Phase::Doomed) {
            child.phase = Phase::Deleting;
            doomed.push(Child::spi(child));
        }
        self.delete_children(cx, core, doomed);
    }
}

/// What came of a job of the data plane.
pub(super) fn data_plane(result: JobResult) -> Result<(), DataPlaneError> {
    match result {
        JobResult::DataPlane(result) => result.map(drop),
        _ => Err(DataPlaneError::Failed("the job was given up".to_string())),
    }
}
