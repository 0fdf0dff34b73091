//! The first request of a handshake, and what is answered in the clear.

use alloc::boxed::Box;

use ikexdp_common::address::Address;

use super::{Endpoint, Output};
use crate::error::{Error, Violation};
use crate::event::{Event, HandshakeFailure};
use crate::gate::{Admission, HalfOpen};
use crate::limits::{INIT_LEN_MAX, SIZE_TESTS};
use crate::message::init::{InitRequest, notify_only};
use crate::message::size_test;
use crate::sa::{IkeSa, Refused, accept, stateless_reply};
use crate::stats::Stat;
use crate::table::RequestKey;
use crate::types::{Datagram, IkeSaId, Role, Spi};
use crate::wire::header::Header;
use crate::wire::iana::NotifyType;
use crate::wire::payload::notify::Notify;
use crate::wire::writer::Chain;

impl Endpoint {
    pub(super) fn init_request(
        &mut self,
        header: &Header,
        payloads: &[u8],
        datagram: &Datagram<'_>,
    ) {
        let key: RequestKey = (datagram.path.remote.ip(), header.spis.initiator);
        if let Some(id) = self.table.by_request(&key) {
            let is_same = self.is_same_with_cookie(id, header, payloads, datagram);
            self.update(id, |sa, cx| {
                if is_same {
                    sa.adopt_request(datagram.payload);
                }
                if is_same || sa.was_made_by(datagram.payload) {
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
        self.gate.requested(self.host.now);
        self.look_at_gate();
        match self.admission(header.spis.initiator, datagram, &request) {
            Admission::Admitted => match request.size_test {
                Some(wanted) if self.host.config.gate.size_test => {
                    self.answer_size_test(header, datagram, wanted);
                }
                _ => self.accept(header, datagram, request, key),
            },
            Admission::Cookie(cookie) => {
                self.host.stats.count(Stat::CookieSent);
                let notify = Notify::new(NotifyType::COOKIE, &cookie);
                self.reply(header, datagram, &notify);
            }
            Admission::Refused(stat) => self.host.stats.count(stat),
        }
    }

    /// Whether this is the request that a half-open SA was made by, now with a cookie: the
    /// initiator has been asked for it by the host in our place, because our response was
    /// lost or late. It is this message that IKE_AUTH signs (RFC 7296 §2.15).
    fn is_same_with_cookie(
        &self,
        id: IkeSaId,
        header: &Header,
        payloads: &[u8],
        datagram: &Datagram<'_>,
    ) -> bool {
        let made_by = self.table.find(id).and_then(IkeSa::request);
        let before = made_by.and_then(|request| Header::decode(request).ok());
        let Some((first, before)) = before else {
            return false;
        };
        let before = InitRequest::decode(first.next_payload, before);
        let request = InitRequest::decode(header.next_payload, payloads);
        let (Ok(before), Ok(request)) = (before, request) else {
            return false;
        };
        let cookie = request.cookie;
        cookie != before.cookie
            && request == InitRequest { cookie, ..before }
            && self
                .gate
                .is_proved(&datagram.path, header.spis.initiator, &request)
    }

    fn admission(
        &mut self,
        spi_i: Spi,
        datagram: &Datagram<'_>,
        request: &InitRequest<'_>,
    ) -> Admission {
        let host = &mut self.host;
        self.gate.rotate(host.now, &mut *host.entropy);
        let address = Address::from(datagram.path.remote.ip());
        let of = |source| self.table.half_open_of(source);
        let half_open = HalfOpen {
            total: self.table.half_open(),
            of_source: of(address.source()),
            of_network: address.network().map(of).unwrap_or_default(),
        };
        let config = &host.config.gate;
        let from = (datagram, spi_i);
        self.gate.admit(config, half_open, host.now, from, request)
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
        let hurried = self.is_challenging();
        let mut cx = self.host.context(self.table.spis());
        let id = cx.ike_sa_id();
        match accept(&mut cx, id, header, datagram, request, hurried) {
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
            let announces = self.host.config.fragmentation.enabled;
            let failure = HandshakeFailure::without_sa(datagram.path, announces, reason);
            let event = Event::HandshakeFailed(Box::new(failure));
            self.host.outputs.push_back(Output::Event(event));
        }
    }

    /// Says how many octets came, in as many as are wanted of those: with Don't Fragment set, an answer that
    /// does not arrive tells its way's limit. Nothing is kept.
    fn answer_size_test(&mut self, header: &Header, datagram: &Datagram<'_>, wanted: u16) {
        let host = &mut self.host;
        let address = datagram.path.remote.ip();
        let answers = &mut self.size_tests;
        if answers.admit(&SIZE_TESTS, host.now, address).is_err() {
            return host.stats.count(Stat::SizeTestWithheld);
        }
        host.stats.count(Stat::SizeTestAnswered);
        let chain = size_test::answer(wanted, datagram.payload.len());
        self.transmit_reply(header, datagram, &chain);
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
    pub(super) fn reply(&mut self, header: &Header, datagram: &Datagram<'_>, notify: &Notify<'_>) {
        self.transmit_reply(header, datagram, &notify_only(notify));
    }

    fn transmit_reply(&mut self, header: &Header, datagram: &Datagram<'_>, chain: &Chain) {
        let payload = stateless_reply(header, chain);
        if payload.len() > datagram.payload.len() {
            return;
        }
        let mut cx = self.host.context(self.table.spis());
        cx.transmit_whole(datagram.path, datagram.slot, payload);
    }
}
