//! The initiator's handshake (RFC 7296 §1.2): our own tools, and site to site.
//!
//! ```text
//! GeneratingKey --> InitSent --> Agreeing --> Signing --> AuthSent --> Verifying --> Established
//!       ^              |                   shared key: no job is needed
//!       +-- COOKIE, INVALID_KE_PAYLOAD
//! ```
//!
//! With EAP, in `eap`:
//!
//! ```text
//! AuthSent --> Checking --> Answering <--> Answered
//!                               +--> Proving --> Established
//! ```

mod auth;
mod eap;
mod init;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::auth::{AuthSent, Signing, Verifying};
use self::eap::Applying;
use self::init::{Agreeing, InitSent};
use super::channel::Channel;
use super::{Context, Core, IkeSa, Progress, State};
use crate::config::Connection;
use crate::crypto::kex::Group;
use crate::event::{FailureReason, NatSituation};
use crate::job::{Job, JobResult};
use crate::stats::Stat;
use crate::time::Instant;
use crate::types::{Datagram, EspSpi, IkeSaId, MessageId, Path, Role, Spi, Spis};
use crate::wire::header::Header;
use crate::wire::iana::ExchangeType;

/// A handshake that we began.
#[derive(Debug)]
pub(super) struct Initiating {
    begun: Begun,
    stage: Stage,
}

/// What every stage knows.
#[derive(Debug)]
struct Begun {
    connection: Arc<Connection>,
    /// The group of our KE payload.
    group: Group,
    /// The cookie the responder asked to see.
    cookie: Vec<u8>,
    nonce: Vec<u8>,
    /// What we have said we will receive ESP on.
    spi_in: Option<EspSpi>,
    /// Times the responder had us begin anew.
    restarts: u8,
}

#[derive(Debug)]
enum Stage {
    GeneratingKey,
    InitSent(Box<InitSent>),
    Agreeing(Box<Agreeing>),
    Signing(Box<Signing>),
    AuthSent(Box<AuthSent>),
    Verifying(Box<Verifying>),
    Applying(Box<Applying>),
}

/// Times a responder may have us begin anew: a cookie, a group, and once more
/// each because either may come again (RFC 7296 §2.6.1).
const RESTARTS_MAX: u8 = 4;

/// Begins a handshake over `connection`; `None` if no group is configured.
pub(crate) fn initiate(
    cx: &mut Context<'_>,
    id: IkeSaId,
    connection: Arc<Connection>,
    path: Path,
) -> Option<IkeSa> {
    let group = *cx.config.ike.groups.first()?;
    let spis = Spis {
        initiator: cx.spi(),
        responder: Spi::ZERO,
    };
    let core = Core {
        id,
        role: Role::Initiator,
        spis,
        path,
        nat: NatSituation::default(),
        created: cx.now,
    };
    let begun = Begun {
        connection,
        group,
        cookie: Vec::new(),
        nonce: cx
            .random::<{ crate::wire::payload::nonce::NONCE_LEN }>()
            .to_vec(),
        spi_in: None,
        restarts: 0,
    };
    cx.job(id, Job::GenerateKey(group));
    let state = Initiating {
        begun,
        stage: Stage::GeneratingKey,
    };
    Some(IkeSa::new(core, State::Initiating(Box::new(state))))
}

impl Initiating {
    fn at(begun: Begun, stage: Stage) -> State {
        State::Initiating(Box::new(Self { begun, stage }))
    }

    pub(super) fn channel(&self) -> Option<&Channel> {
        match &self.stage {
            Stage::GeneratingKey | Stage::InitSent(_) | Stage::Agreeing(_) => None,
            Stage::Signing(stage) => Some(&stage.channel),
            Stage::AuthSent(stage) => Some(&stage.channel),
            Stage::Verifying(stage) => Some(&stage.channel),
            Stage::Applying(stage) => Some(stage.channel()),
        }
    }

    pub(super) fn channel_mut(&mut self) -> Option<&mut Channel> {
        match &mut self.stage {
            Stage::GeneratingKey | Stage::InitSent(_) | Stage::Agreeing(_) => None,
            Stage::Signing(stage) => Some(&mut stage.channel),
            Stage::AuthSent(stage) => Some(&mut stage.channel),
            Stage::Verifying(stage) => Some(&mut stage.channel),
            Stage::Applying(stage) => Some(stage.channel_mut()),
        }
    }

    pub(super) fn handle_datagram(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &mut Core,
        header: &Header,
        datagram: &Datagram<'_>,
    ) -> State {
        if header.exchange == ExchangeType::IKE_SA_INIT {
            return match self.stage {
                Stage::InitSent(stage) if header.response && header.message_id == MessageId(0) => {
                    stage.handle_response(self.begun, cx, core, header, datagram)
                }
                _ => {
                    cx.stats.count(Stat::OutOfWindow);
                    State::Initiating(self)
                }
            };
        }
        if !header.response {
            // The SA is up for the responder already; it asks again when it is
            // for us. A request once received must be answered.
            cx.stats.count(Stat::Busy);
            return State::Initiating(self);
        }
        let message = match self.channel_mut() {
            Some(channel) => channel.receive(cx, header, datagram),
            None => None,
        };
        match (self.stage, message) {
            (Stage::AuthSent(stage), Some(message)) => {
                stage.handle_response(self.begun, cx, core, &message)
            }
            (Stage::Applying(stage), Some(message)) => {
                stage.handle_response(self.begun, cx, core, &message)
            }
            (stage, _) => Self::at(self.begun, stage),
        }
    }

    pub(super) fn handle_job(self, cx: &mut Context<'_>, core: &Core, result: JobResult) -> State {
        let reason = match &result {
            JobResult::Abandoned => FailureReason::JobAbandoned,
            JobResult::Signature(_) => FailureReason::OwnKey,
            _ => FailureReason::KeyExchange,
        };
        match (self.stage, result) {
            (Stage::GeneratingKey, JobResult::Key(Ok(key))) => {
                InitSent::begin(self.begun, cx, core, key)
            }
            (Stage::Agreeing(stage), JobResult::Secret(Ok(agreed))) => {
                stage.handle_secret(self.begun, cx, core, &agreed)
            }
            (Stage::Signing(stage), JobResult::Signature(Ok(signature))) => {
                stage.handle_signature(self.begun, cx, core, &signature)
            }
            (Stage::Verifying(stage), JobResult::Verified(result)) => {
                stage.handle_verified(self.begun, cx, core, result)
            }
            (Stage::Applying(stage), JobResult::Verified(result)) => {
                stage.handle_verified(self.begun, cx, core, result)
            }
            (Stage::Applying(stage), JobResult::Reply(reply)) => {
                stage.handle_reply(self.begun, cx, core, reply)
            }
            (Stage::Applying(stage), JobResult::Abandoned) => {
                stage.give_up(&self.begun, cx, core, reason)
            }
            (Stage::Verifying(stage), JobResult::Abandoned) => {
                stage.fail(&self.begun, cx, core, reason)
            }
            _ => self.begun.fail(cx, core, None, reason),
        }
    }

    pub(super) fn progress(&self) -> Progress<'_> {
        Progress {
            connection: Some(&self.begun.connection.name),
            claimed: None,
            channel: self.channel(),
            spi_in: self.begun.spi_in,
            ..Progress::default()
        }
    }

    pub(super) fn handle_timeout(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        dead: bool,
    ) -> State {
        let dead = dead
            || match &mut self.stage {
                Stage::InitSent(stage) => stage.handle_timeout(cx, core),
                _ => false,
            };
        if !dead {
            return State::Initiating(self);
        }
        let (waiting_for, refusal) = match &self.stage {
            Stage::InitSent(stage) => (ExchangeType::IKE_SA_INIT, stage.refusal()),
            _ => (ExchangeType::IKE_AUTH, None),
        };
        let timeout = FailureReason::Timeout { waiting_for };
        let reason = refusal.cloned().unwrap_or(timeout);
        cx.handshake_failed(core, self.progress(), reason);
        State::Gone
    }

    /// When [`Self::handle_timeout`] has something to do; the channel has
    /// deadlines of its own.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::InitSent(stage) => Some(stage.due()),
            _ => None,
        }
    }
}

impl Begun {
    fn fail(
        &self,
        cx: &mut Context<'_>,
        core: &Core,
        channel: Option<&Channel>,
        reason: FailureReason,
    ) -> State {
        let progress = Progress {
            connection: Some(&self.connection.name),
            claimed: None,
            channel,
            spi_in: self.spi_in,
            ..Progress::default()
        };
        cx.handshake_failed(core, progress, reason);
        State::Gone
    }
}
