//! An IKE SA that is up: INFORMATIONAL (RFC 7296 §1.4), liveness (§2.4), and
//! what asks for more than there is yet.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::channel::{Channel, Message};
use super::closing::{Closing, Lingering};
use super::{Context, Core, State};
use crate::config::{Config, Connection};
use crate::error::{Error, Unacceptable, Violation};
use crate::event::{self, ChildSummary, CloseReason, Event};
use crate::identity::Identity;
use crate::message::informational::Informational;
use crate::message::init::notify_only;
use crate::pool::Lease;
use crate::stats::Stat;
use crate::time::Instant;
use crate::types::EspSpi;
use crate::wire::iana::{ExchangeType, NotifyType};
use crate::wire::payload::notify::Notify;

/// An IKE SA whose two sides know each other.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) channel: Channel,
    connection: Arc<Connection>,
    peer: Identity,
    lease: Option<Lease>,
    /// Addresses the peer gave us.
    assigned: Vec<IpAddr>,
    children: Vec<ChildSummary>,
    /// When the peer was last heard.
    heard: Instant,
    /// Whether it was heard at all since IKE_AUTH.
    confirmed: bool,
    /// Whether it is to be deleted as soon as no request of ours is waiting.
    terminating: bool,
}

/// What a handshake ends with.
#[derive(Debug)]
pub(super) struct NewEstablished {
    pub(super) channel: Channel,
    pub(super) connection: Arc<Connection>,
    pub(super) peer: Identity,
    /// Addresses of a pool of ours, for the peer.
    pub(super) lease: Option<Lease>,
    /// Addresses from the peer, for us.
    pub(super) assigned: Vec<IpAddr>,
    pub(super) child: Option<ChildSummary>,
    /// Why there is no CHILD SA, if one was wanted.
    pub(super) refusal: Option<Error>,
    /// Whether the peer is known to have got our last message.
    pub(super) confirmed: bool,
}

impl Established {
    /// The handshake is over.
    pub(super) fn begin(cx: &mut Context<'_>, core: &Core, new: NewEstablished) -> Self {
        let NewEstablished {
            channel,
            connection,
            peer,
            lease,
            assigned,
            child,
            refusal,
            confirmed,
        } = new;
        let established = Self {
            channel,
            connection,
            peer,
            lease,
            assigned,
            children: child.into_iter().collect(),
            heard: cx.now,
            confirmed,
            terminating: false,
        };
        cx.stats.count(Stat::Established);
        cx.event(Event::Established(Box::new(event::Established {
            id: core.id,
            connection: established.connection.name.clone(),
            role: core.role,
            path: core.path,
            spis: core.spis,
            peer: established.peer.clone(),
            suite: established.channel.suite,
            nat: core.nat,
            addresses: established.addresses(),
            handshake: cx.now.since(core.created),
            fragmentation: established.channel.fragmentation,
        })));
        for child in &established.children {
            cx.stats.count(Stat::ChildEstablished);
            cx.event(Event::ChildEstablished {
                id: core.id,
                child: Box::new(child.clone()),
            });
        }
        if let Some(reason) = refusal {
            cx.event(Event::ChildRefused {
                id: core.id,
                reason,
            });
        }
        established
    }

    pub(super) fn connection(&self) -> &str {
        &self.connection.name
    }

    pub(super) const fn peer(&self) -> &Identity {
        &self.peer
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let leased = self.lease.iter().flat_map(Lease::addresses);
        leased.chain(self.assigned.iter().copied()).collect()
    }

    pub(super) fn children(&self) -> Vec<ChildSummary> {
        self.children.clone()
    }

    pub(super) fn handle_message(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        self.heard = cx.now;
        self.confirmed = true;
        if message.response {
            // A liveness check is the only request there is; that it was
            // answered is all there is to know.
            return if self.terminating {
                self.delete(cx, core)
            } else {
                State::Established(self)
            };
        }
        match message.exchange {
            ExchangeType::INFORMATIONAL => self.informational(cx, core, message),
            ExchangeType::CREATE_CHILD_SA => {
                self.refuse(cx, message, &Unacceptable::AdditionalSa.into());
                State::Established(self)
            }
            _ => {
                self.refuse(cx, message, &Violation::UnexpectedExchange.into());
                State::Established(self)
            }
        }
    }

    fn informational(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let request = match Informational::decode(payloads.first, &payloads.octets) {
            Ok(request) => request,
            Err(error @ Error::Violation(Violation::UnknownCritical(_))) => {
                self.refuse(cx, message, &error);
                return State::Established(self);
            }
            Err(error) => {
                // Under the right keys this is no accident of the path: the SA
                // cannot go on (RFC 7296 §2.21.3).
                self.refuse(cx, message, &error);
                return self.close(cx, core, CloseReason::Malformed);
            }
        };
        let closed = self.close_children(cx, core, &request.delete_esp);
        let response = Informational {
            delete_esp: closed,
            ..Informational::default()
        };
        self.channel
            .respond(cx, &message.reply_to(), response.encode());
        match request.error {
            _ if request.delete_ike => self.close(cx, core, CloseReason::PeerDeleted),
            Some(NotifyType::AUTHENTICATION_FAILED) => {
                let reason = CloseReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
                self.close(cx, core, reason)
            }
            _ => State::Established(self),
        }
    }

    fn refuse(&mut self, cx: &mut Context<'_>, message: &Message, error: &Error) {
        if let Some(notify) = error.notify() {
            let payloads = notify_only(&Notify::new(notify.kind, notify.data()));
            self.channel.respond(cx, &message.reply_to(), payloads);
        }
    }

    /// Closes CHILD SAs by the SPIs the peer receives on; returns the SPIs we
    /// receive on, which the response deletes in turn (RFC 7296 §1.4.1).
    fn close_children(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        deleted: &[EspSpi],
    ) -> Vec<EspSpi> {
        let (closed, kept): (Vec<ChildSummary>, Vec<ChildSummary>) =
            core::mem::take(&mut self.children)
                .into_iter()
                .partition(|child| deleted.contains(&child.spi_out));
        self.children = kept;
        for child in &closed {
            cx.stats.count(Stat::ChildClosed);
            cx.event(Event::ChildClosed {
                id: core.id,
                spi: child.spi_in,
            });
        }
        closed.iter().map(|child| child.spi_in).collect()
    }

    /// Everything of the SA is given back; its last response is kept a while.
    fn close(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core, reason: CloseReason) -> State {
        self.give_back(cx, core, reason);
        State::Lingering(Box::new(Lingering::new(self.channel, cx.now)))
    }

    fn give_back(&mut self, cx: &mut Context<'_>, core: &Core, reason: CloseReason) {
        let every: Vec<EspSpi> = self.children.iter().map(|child| child.spi_out).collect();
        self.close_children(cx, core, &every);
        if let Some(lease) = self.lease.take() {
            cx.pools.release(&lease);
        }
        cx.stats.count(Stat::Closed);
        cx.event(Event::Closed {
            id: core.id,
            connection: self.connection.name.clone(),
            path: core.path,
            peer: self.peer.clone(),
            age: cx.now.since(core.created),
            reason,
        });
    }

    /// The host wants it gone.
    pub(super) fn terminate(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        if self.channel.is_waiting() {
            // One request at a time (RFC 7296 §2.3).
            self.terminating = true;
            State::Established(self)
        } else {
            self.delete(cx, core)
        }
    }

    fn delete(mut self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        self.give_back(cx, core, CloseReason::Terminated);
        let delete = Informational {
            delete_ike: true,
            ..Informational::default()
        };
        let payloads = delete.encode();
        if self
            .channel
            .request(cx, ExchangeType::INFORMATIONAL, payloads, &core.path)
        {
            State::Closing(Box::new(Closing {
                channel: self.channel,
            }))
        } else {
            State::Gone
        }
    }

    /// Asks whether a silent peer lives; `dead` says that it has not answered.
    pub(super) fn handle_timeout(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        dead: bool,
    ) -> State {
        if dead {
            cx.stats.count(Stat::DeadPeer);
            self.give_back(cx, core, CloseReason::DeadPeer);
            return State::Gone;
        }
        if self.liveness_due(cx.config) <= cx.now && !self.channel.is_waiting() {
            let question = Informational::default().encode();
            let asked = self
                .channel
                .request(cx, ExchangeType::INFORMATIONAL, question, &core.path);
            if !asked {
                // The message IDs are used up (RFC 7296 §2.2).
                self.give_back(cx, core, CloseReason::Terminated);
                return State::Gone;
            }
        }
        State::Established(self)
    }

    fn liveness_due(&self, config: &Config) -> Instant {
        let silence = if self.confirmed {
            config.timing.liveness
        } else {
            config.timing.first_liveness.min(config.timing.liveness)
        };
        self.heard + silence
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        (!self.channel.is_waiting()).then(|| self.liveness_due(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::script::{Answer, Script, config, kinds};
    use crate::wire::header::Header;
    use crate::wire::iana::PayloadType;
    use crate::wire::payload::delete::Delete;
    use crate::wire::writer::Chain;
    use core::time::Duration;

    const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

    fn up() -> Script {
        let mut script = Script::new(config());
        script.establish();
        script.events.clear();
        script
    }

    fn nothing() -> Chain {
        Informational::default().encode()
    }

    fn notified(answer: &Answer) -> NotifyType {
        assert_eq!(kinds(answer), [PayloadType::NOTIFY]);
        Notify::decode(&answer[0].1).unwrap().kind
    }

    /// --> INFORMATIONAL { }
    /// <-- INFORMATIONAL { }
    #[test]
    fn who_asks_whether_we_live_hears_that_we_do() {
        let mut script = up();
        assert_eq!(script.exchange(INFORMATIONAL, 2, &nothing()), []);
        assert_eq!(script.exchange(INFORMATIONAL, 3, &nothing()), []);
    }

    /// --> INFORMATIONAL { D(ESP: c0ffee00) }
    /// <-- INFORMATIONAL { D(ESP: ours) }
    #[test]
    fn a_child_is_deleted_by_the_spi_the_peer_receives_on() {
        let mut script = up();
        let ours = script.endpoint.summaries(None).next().unwrap().children[0].spi_in;
        let delete = |spi: u32| Informational {
            delete_esp: alloc::vec![EspSpi(spi)],
            ..Informational::default()
        };
        let unknown = delete(ours.0).encode();
        assert_eq!(script.exchange(INFORMATIONAL, 2, &unknown), []);
        let answer = script.exchange(INFORMATIONAL, 3, &delete(0xc0ff_ee00).encode());
        assert_eq!(
            Delete::decode(&answer[0].1),
            Ok(Delete::Esp(alloc::vec![ours]))
        );
        assert!(
            script
                .endpoint
                .summaries(None)
                .next()
                .unwrap()
                .children
                .is_empty()
        );
        assert!(matches!(script.events[..], [Event::ChildClosed { spi, .. }] if spi == ours));
    }

    /// --> INFORMATIONAL { D(IKE) }
    /// <-- INFORMATIONAL { }
    #[test]
    fn a_deleted_sa_answers_the_delete_once_more_and_nothing_else() {
        let mut script = up();
        let delete = Informational {
            delete_ike: true,
            ..Informational::default()
        };
        let request = script.seal(INFORMATIONAL, 2, &delete.encode());
        let sent = script.deliver(&request);
        assert_eq!(script.open(&sent[0]), []);
        assert!(script.endpoint.is_quiet());
        assert_eq!(script.deliver(&request), sent);
        let next = script.seal(INFORMATIONAL, 3, &nothing());
        assert!(script.deliver(&next).is_empty());
        script.wait(Duration::from_secs(11));
        assert!(script.deliver(&request).is_empty());
        let closed = |event: &Event| {
            let reason = CloseReason::PeerDeleted;
            matches!(event, Event::Closed { reason: told, .. } if *told == reason)
        };
        assert!(script.events.iter().any(closed));
    }

    /// A client that does not like our certificate says so after IKE_AUTH.
    #[test]
    fn a_client_that_refuses_us_is_heard() {
        let mut script = up();
        let refusal = Informational {
            error: Some(NotifyType::AUTHENTICATION_FAILED),
            ..Informational::default()
        };
        assert_eq!(script.exchange(INFORMATIONAL, 2, &refusal.encode()), []);
        assert!(script.endpoint.is_quiet());
    }

    /// --> CREATE_CHILD_SA { ... }
    /// <-- CREATE_CHILD_SA { N(NO_ADDITIONAL_SAS) }
    #[test]
    fn more_sas_are_refused_and_nothing_changes() {
        let mut script = up();
        let answer = script.exchange(ExchangeType::CREATE_CHILD_SA, 2, &nothing());
        assert_eq!(notified(&answer), NotifyType::NO_ADDITIONAL_SAS);
        assert_eq!(script.exchange(INFORMATIONAL, 3, &nothing()), []);
        assert_eq!(
            script
                .endpoint
                .summaries(None)
                .next()
                .unwrap()
                .children
                .len(),
            1
        );
    }

    #[test]
    fn an_unknown_critical_payload_is_refused_and_the_sa_goes_on() {
        let mut script = up();
        let critical = Chain {
            first: PayloadType(200),
            octets: alloc::vec![0, 0x80, 0, 4],
        };
        let answer = script.exchange(INFORMATIONAL, 2, &critical);
        assert_eq!(notified(&answer), NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD);
        assert_eq!(script.exchange(INFORMATIONAL, 3, &nothing()), []);
        let ignored = Chain {
            first: PayloadType(200),
            octets: alloc::vec![0, 0, 0, 4],
        };
        assert_eq!(script.exchange(INFORMATIONAL, 4, &ignored), []);
    }

    /// RFC 7296 §2.21.3: what cannot be read under the right keys is fatal.
    #[test]
    fn a_peer_that_writes_nonsense_is_let_go() {
        let mut script = up();
        let nonsense = Chain {
            first: PayloadType::DELETE,
            octets: alloc::vec![0, 0, 0, 5, 1],
        };
        let answer = script.exchange(INFORMATIONAL, 2, &nonsense);
        assert_eq!(notified(&answer), NotifyType::INVALID_SYNTAX);
        assert!(script.endpoint.is_quiet());
    }

    /// A client that gave up before our IKE_AUTH response came is found soon;
    /// one that has been heard since is asked less often.
    #[test]
    fn a_silent_peer_is_asked_and_then_let_go() {
        let mut script = up();
        assert!(script.wait(Duration::from_secs(9)).is_empty());
        let asked = script.wait(Duration::from_millis(1500));
        assert_eq!(asked.len(), 1);
        let (header, _) = Header::decode(&asked[0]).unwrap();
        assert_eq!(header.exchange, INFORMATIONAL);
        assert!(!header.response);
        assert_eq!(script.open(&asked[0]), []);
        // 1 + 2 + 4 + 8 + 16 + 32 seconds, the same octets each time.
        let repeats = script.wait(Duration::from_secs(63));
        assert_eq!(repeats, alloc::vec![asked[0].clone(); 5]);
        assert!(script.endpoint.is_quiet());
        assert!(matches!(
            script.events.last(),
            Some(Event::Closed {
                reason: CloseReason::DeadPeer,
                ..
            })
        ));

        let mut script = up();
        script.exchange(INFORMATIONAL, 2, &nothing());
        assert!(script.wait(Duration::from_secs(59)).is_empty());
        assert_eq!(script.wait(Duration::from_millis(1500)).len(), 1);
    }
}
