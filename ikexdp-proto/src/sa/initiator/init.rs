//! The initiator's IKE_SA_INIT.

use alloc::boxed::Box;
use core::ops::RangeInclusive;
use core::time::Duration;

use bytes::Bytes;

use super::auth::{AuthSent, Ready};
use super::{Begun, Initiating, RESTARTS_MAX, Stage};
use crate::crypto::kex::{Group, KeyPair};
use crate::crypto::keymat::{IkeKeys, KeySeed};
use crate::error::Unacceptable;
use crate::event::FailureReason;
use crate::job::{Agreed, Job};
use crate::message::init::{InitNotifies, InitReply, InitRequest, InitResponse};
use crate::nat::NatHashes;
use crate::sa::channel::{Channel, NewChannel};
use crate::sa::init::{Handshake, SIGNATURE_HASHES, datagram_len, message};
use crate::sa::proposal::{choose_ike, offer_ike};
use crate::sa::{Context, Core, State};
use crate::stats::Stat;
use crate::suite::IkeSuite;
use crate::time::Instant;
use crate::types::{Datagram, IKE_PORT, MessageId, NAT_T_PORT, Path, Role, Spi};
use crate::wire::header::{HEADER_LEN, Header};
use crate::wire::iana::{GroupId, NotifyType};
use crate::wire::payload::ke::KeyExchange;

/// Octets of a cookie (RFC 7296 §2.6).
const COOKIE_LEN: RangeInclusive<usize> = 1..=64;

/// Our request is out.
#[derive(Debug)]
pub(super) struct InitSent {
    key: KeyPair,
    request: Bytes,
    due: Instant,
    wait: Duration,
    repeats: u8,
    /// What the last response has against it.
    refusal: Option<FailureReason>,
}

/// The response is there; the secret is being computed.
#[derive(Debug)]
pub(super) struct Agreeing {
    handshake: Handshake,
    suite: IkeSuite,
    fragmentation: bool,
}

impl InitSent {
    /// Sends the request with our public value.
    pub(super) fn begin(begun: Begun, cx: &mut Context<'_>, core: &Core, key: KeyPair) -> State {
        let notifies = InitNotifies {
            nat: NatHashes::of(core.spis, &core.path),
            fragmentation: cx.config.fragmentation.enabled,
            signature_hashes: SIGNATURE_HASHES.to_vec(),
            ..InitNotifies::default()
        };
        let request = InitRequest {
            is_windows: false,
            size_test: None,
            cookie: (!begun.cookie.is_empty()).then_some(&begun.cookie),
            proposals: offer_ike(&cx.config.ike, None),
            key_exchange: KeyExchange {
                group: key.group().id(),
                data: key.public(),
            },
            nonce: &begun.nonce,
            notifies,
        };
        let request = message(core.spis, Role::Initiator, &request.encode());
        cx.transmit(core.path, None, request.clone());
        let wait = cx.config.timing.retransmit;
        let sent = Self {
            key,
            request,
            due: cx.now + wait,
            wait,
            repeats: 0,
            refusal: None,
        };
        Initiating::at(begun, Stage::InitSent(Box::new(sent)))
    }

    pub(super) fn handle_response(
        self: Box<Self>,
        mut begun: Begun,
        cx: &mut Context<'_>,
        core: &mut Core,
        header: &Header,
        datagram: &Datagram<'_>,
    ) -> State {
        let payloads = datagram.payload.get(HEADER_LEN..).unwrap_or_default();
        match InitReply::decode(header.next_payload, payloads) {
            Ok(InitReply::Accepted(response)) if header.spis.responder != Spi::ZERO => {
                self.agree(begun, cx, core, (header, datagram), &response)
            }
            Ok(InitReply::Cookie(cookie))
                if begun.restarts < RESTARTS_MAX && COOKIE_LEN.contains(&cookie.len()) =>
            {
                begun.restarts = begun.restarts.saturating_add(1);
                begun.cookie = cookie.to_vec();
                Self::begin(begun, cx, core, self.key)
            }
            // Told twice what we have done: the first request was repeated.
            Ok(InitReply::InvalidKe(group)) if begun.restarts > 0 && group == begun.group.id() => {
                Initiating::at(begun, Stage::InitSent(self))
            }
            Ok(InitReply::InvalidKe(group)) if begun.restarts < RESTARTS_MAX => {
                let Some(group) = allowed_group(cx, group, begun.group) else {
                    return self.refused(
                        begun,
                        FailureReason::PeerRefused(NotifyType::INVALID_KE_PAYLOAD),
                    );
                };
                begun.restarts = begun.restarts.saturating_add(1);
                begun.group = group;
                cx.job(core.id, Job::GenerateKey(group));
                Initiating::at(begun, Stage::GeneratingKey)
            }
            Ok(InitReply::Refused(notify)) => {
                self.refused(begun, FailureReason::PeerRefused(notify))
            }
            _ => {
                cx.stats.count(Stat::InitMalformed);
                Initiating::at(begun, Stage::InitSent(self))
            }
        }
    }

    /// Nothing is authenticated yet: a refusal may be forged, and the right
    /// response may still come (RFC 7296 §2.21.1).
    fn refused(mut self: Box<Self>, begun: Begun, refusal: FailureReason) -> State {
        self.refusal = Some(refusal);
        Initiating::at(begun, Stage::InitSent(self))
    }

    fn agree(
        self: Box<Self>,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &mut Core,
        (header, datagram): (&Header, &Datagram<'_>),
        response: &InitResponse<'_>,
    ) -> State {
        let answer = core::slice::from_ref(&response.proposal);
        let group = self.key.group();
        let chosen = choose_ike(answer, &cx.config.ike);
        let Some(suite) = chosen
            .map(|chosen| chosen.suite)
            .filter(|suite| suite.group == group)
        else {
            return self.refused(
                begun,
                FailureReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN),
            );
        };
        if begun.connection.child.childless && !response.notifies.childless {
            return self.refused(
                begun,
                FailureReason::Refused(Unacceptable::NotChildless.into()),
            );
        }
        core.spis = header.spis;
        core.nat = response.notifies.nat.compare(core.spis, &datagram.path);
        if core.nat.local || core.nat.remote {
            core.path = float(core.path);
        }
        let agreeing = Agreeing {
            handshake: Handshake {
                is_windows: false,
                proposals: 1,
                request: self.request.to_vec(),
                response: Bytes::copy_from_slice(datagram.payload),
                nonce_i: begun.nonce.clone(),
                nonce_r: response.nonce.to_vec(),
                peer_hashes: response.notifies.signature_hashes.clone(),
            },
            suite,
            fragmentation: cx.config.fragmentation.enabled && response.notifies.fragmentation,
        };
        let agree = Job::Agree {
            ours: Some(self.key),
            group,
            theirs: response.key_exchange.data.to_vec(),
        };
        cx.job(core.id, agree);
        Initiating::at(begun, Stage::Agreeing(Box::new(agreeing)))
    }

    /// Repeats the request if its time has come, once only if it was refused;
    /// returns whether there is no hope left.
    pub(super) fn handle_timeout(&mut self, cx: &mut Context<'_>, core: &Core) -> bool {
        if cx.now < self.due {
            return false;
        }
        let repeats_max = cx.config.timing.retransmits;
        if self.repeats
            >= self
                .refusal
                .as_ref()
                .map_or(repeats_max, |_| repeats_max.min(1))
        {
            return true;
        }
        cx.stats.count(Stat::RequestRepeated);
        self.repeats = self.repeats.saturating_add(1);
        self.wait = self.wait.saturating_mul(2);
        self.due = cx.now + self.wait;
        cx.transmit(core.path, None, self.request.clone());
        false
    }

    pub(super) const fn refusal(&self) -> Option<&FailureReason> {
        self.refusal.as_ref()
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }
}

impl Agreeing {
    pub(super) fn handle_secret(
        self,
        begun: Begun,
        cx: &mut Context<'_>,
        core: &Core,
        agreed: &Agreed,
    ) -> State {
        let seed = KeySeed {
            shared_secret: agreed.shared_secret.expose(),
            nonce_i: &self.handshake.nonce_i,
            nonce_r: &self.handshake.nonce_r,
            spis: core.spis,
        };
        let suite = self.suite;
        let Ok(keys) = IkeKeys::derive(suite.prf, suite.cipher, Role::Initiator, &seed) else {
            return begun.fail(cx, core, None, FailureReason::KeyExchange);
        };
        cx.expose(&core.path, core.spis, suite, &keys);
        let channel = Channel::new(NewChannel {
            id: core.id,
            role: Role::Initiator,
            spis: core.spis,
            suite,
            keys,
            first: MessageId(1),
            fragmentation: self.fragmentation,
            datagram_len: datagram_len(cx, &core.path),
        });
        let ready = Ready {
            channel,
            handshake: self.handshake,
        };
        AuthSent::prepare(begun, cx, core, ready)
    }
}

/// The group the responder wants, if we take it and did not send it already.
fn allowed_group(cx: &Context<'_>, wanted: GroupId, sent: Group) -> Option<Group> {
    let ours = cx.config.ike.groups.iter().copied();
    ours.filter(|group| *group != sent)
        .find(|group| group.id() == wanted)
}

/// Moves to port 4500 (RFC 7296 §2.23). An initiator on a port of its own
/// keeps that.
const fn float(mut path: Path) -> Path {
    if path.local.port() == IKE_PORT {
        path.local.set_port(NAT_T_PORT);
    }
    path.remote.set_port(NAT_T_PORT);
    path.marker = true;
    path
}
