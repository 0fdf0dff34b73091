//! What the engine tells people, as lines that an operator can act on.

use std::error::Error;
use std::io;
use std::time::Duration;

use ikexdp_proto::error::Error as Refused;
use ikexdp_proto::event::{ChildSummary, Established, Event, HandshakeFailure};
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{EspSpi, IkeSaId, Path};
use nix::errno::Errno;
use tracing::{info, warn};

use crate::failure::FailureKind;
use crate::limiter::{Limiter, PERIOD};
use crate::listed::Listed;
use crate::netlink::NetlinkError;
use crate::udp::SendError;
use crate::verdict::Told;

/// Turns events into lines. What anybody on the network can bring about without
/// proving who they are is limited; what an authenticated peer does is not.
#[derive(Debug, Default)]
pub struct Journal {
    limiter: Limiter,
    /// Whether peers that cannot fragment are sent IP fragments.
    ip_fragments: bool,
}

impl Journal {
    /// A journal whose advice goes with the configuration.
    #[must_use]
    pub fn new(ip_fragments: bool) -> Self {
        Self {
            limiter: Limiter::default(),
            ip_fragments,
        }
    }

    /// Makes the advice go with another configuration.
    pub const fn reconfigure(&mut self, ip_fragments: bool) {
        self.ip_fragments = ip_fragments;
    }

    /// Writes a line about `event`.
    pub fn event(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Established(sa) => established(sa),
            Event::HandshakeFailed(failure) => {
                let kind = FailureKind::from(&failure.reason);
                if self.limiter.admit(now, kind.name()) {
                    handshake_failed(failure);
                }
            }
            Event::ChildEstablished { id, child, rekeyed } => {
                child_established(*id, child, *rekeyed);
            }
            Event::ChildRefused { id, reason } => child_refused(*id, reason),
            Event::ChildClosed { id, spi } => info!(%id, spi_in = %spi, "CHILD SA closed"),
            Event::Rekeyed {
                id,
                new,
                spis,
                suite,
            } => info!(%id, %new, %spis, %suite, "IKE SA rekeyed"),
            Event::RekeyRefused { id, reason } => {
                let hint = "the client will come back when the SA is over; \
                            with `initiate-rekey = false` it is not asked";
                warn!(%id, reason = reason.to_string(), hint, "IKE SA not rekeyed");
            }
            Event::Moved { id, from, to } => {
                info!(%id, from = %from.remote, peer = %to.remote, "peer has moved");
            }
            Event::Closed { .. } => closed(event),
            Event::NeedsIpFragments { id, path, length } => {
                if self.limiter.admit(now, "needs_ip_fragments") {
                    self.needs_ip_fragments(*id, path, *length);
                }
            }
            Event::FragmentsLowered {
                id,
                path,
                datagram_len,
            } => {
                if self.limiter.admit(now, "fragments_lowered") {
                    info!(
                        %id, peer = %path.remote, datagram_len,
                        "fragments did not get through, now smaller"
                    );
                }
            }
            Event::CookiesOn { .. } | Event::CookiesOff { .. } => {
                if self.limiter.admit(now, "cookies") {
                    cookies(event);
                }
            }
        }
    }

    fn needs_ip_fragments(&self, id: IkeSaId, path: &Path, length: usize) {
        let hint = if self.ip_fragments {
            "if the client fails, switch on IKE fragmentation (RFC 7383) on it: its path may drop IP fragments"
        } else {
            "switch on IKE fragmentation (RFC 7383) on the client, or set `ip-fragments = true`: \
             what is longer than the MTU is not sent to it"
        };
        warn!(%id, peer = %path.remote, length, hint, "peer cannot fragment at the IKE layer");
    }

    /// Writes a line about a message that could not be sent.
    pub fn send_failed(&mut self, now: Instant, path: &Path, error: &SendError) {
        if self.limiter.admit(now, "send_failed") {
            let hint = match error {
                SendError::TooLong { .. } => "lower `fragment-size` to the MTU of the interface",
                SendError::Refused(Errno::EAGAIN | Errno::ENOBUFS) => {
                    "more was sent than the interface takes; what is lost is asked for again"
                }
                SendError::NoSocket(_) | SendError::Refused(_) => {
                    "look for a route and a firewall rule: `ip route get`, `nft list ruleset`"
                }
            };
            let error = error.to_string();
            warn!(peer = %path.remote, error, hint, "message not sent");
        }
    }

    /// Writes a line about AF_XDP sockets that do not send.
    pub fn flush_failed(&mut self, now: Instant, error: &io::Error) {
        if self.limiter.admit(now, "flush_failed") {
            let hint = "is the interface up? Replies that are lost are asked for again";
            warn!(
                error = error.to_string(),
                hint, "AF_XDP socket does not send"
            );
        }
    }

    /// Writes a line about messages of the kernel that were lost.
    pub fn events_lost(&mut self, now: Instant, error: &NetlinkError) {
        if self.limiter.admit(now, "events_lost") {
            let hint = "SAs that wore out meanwhile are rekeyed when their time has come";
            let error: &(dyn Error + 'static) = error;
            warn!(error, hint, "not heard what the kernel says of CHILD SAs");
        }
    }

    /// When [`Self::timeout`] is to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.limiter.deadline()
    }

    /// Sums up what was held back until `now`.
    pub fn timeout(&mut self, now: Instant) {
        for (kind, lines) in self.limiter.ended(now) {
            let seconds = PERIOD.as_secs();
            warn!(kind, lines, seconds, "more of the same was not written");
        }
    }
}

fn cookies(event: &Event) {
    match event {
        Event::CookiesOn {
            half_open,
            requests,
        } => {
            let hint = "somebody floods this host, or all clients come at once; they get in \
                all the same, a round trip later";
            warn!(half_open, requests, hint, "cookies are asked for");
        }
        Event::CookiesOff { lasted, cookies } => {
            let seconds = lasted.as_secs();
            info!(seconds, cookies, "cookies are no longer asked for");
        }
        _ => {}
    }
}

fn established(sa: &Established) {
    info!(
        id = %sa.id,
        connection = sa.connection,
        peer = %sa.path.remote,
        identity = sa.peer.to_string(),
        local = %sa.path.local,
        suite = %sa.suite,
        addresses = Listed(&sa.addresses).to_string(),
        nat_local = sa.nat.local,
        nat_remote = sa.nat.remote,
        fragments_in = sa.fragmentation.received,
        fragments_out = sa.fragmentation.sent,
        datagram_len = sa.fragmentation.datagram_len,
        duration_ms = milliseconds(sa.handshake),
        "IKE SA established"
    );
}

fn handshake_failed(failure: &HandshakeFailure) {
    let told = Told::of_failure(failure);
    warn!(
        kind = FailureKind::from(&failure.reason).name(),
        id = failure.id.map(|id| id.0),
        connection = failure.connection,
        peer = %failure.path.remote,
        identity = failure.claimed.as_ref().map(ToString::to_string),
        local = %failure.path.local,
        suite = failure.suite.as_ref().map(display),
        fragments_in = failure.fragmentation.received,
        fragments_out = failure.fragmentation.sent,
        duration_ms = milliseconds(failure.handshake),
        reason = failure.reason.to_string(),
        verdict = told.verdict,
        windows = told.windows.first(),
        cause = told.cause,
        hint = told.hint,
        "handshake failed"
    );
}

fn closed(event: &Event) {
    if let Event::Closed {
        id,
        connection,
        path,
        peer,
        age,
        reason,
        ..
    } = event
    {
        let told = Told::of_end(event);
        info!(
            %id,
            connection,
            peer = %path.remote,
            identity = peer.to_string(),
            age_s = age.as_secs(),
            reason = reason.to_string(),
            verdict = told.verdict,
            windows = told.windows.first(),
            cause = told.cause,
            hint = told.hint,
            "IKE SA closed"
        );
    }
}

fn child_refused(id: IkeSaId, reason: &Refused) {
    let hint = hint_of_child(reason);
    warn!(%id, reason = reason.to_string(), hint, "CHILD SA refused");
}

fn child_established(id: IkeSaId, child: &ChildSummary, rekeyed: Option<EspSpi>) {
    info!(
        %id,
        spi_in = %child.spi_in,
        spi_out = %child.spi_out,
        suite = %child.suite,
        local = Listed(&child.local).to_string(),
        remote = Listed(&child.remote).to_string(),
        rekeyed = rekeyed.map(display),
        "CHILD SA established"
    );
}

/// What an operator can do about a CHILD SA that was refused, where there is
/// something.
pub(crate) const fn hint_of_child(reason: &Refused) -> Option<&'static str> {
    match reason {
        Refused::Mismatch(mismatch) => Some(mismatch.hint()),
        _ => None,
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::crypto::cipher::{Cipher, Encryption};
    use ikexdp_proto::crypto::kex::Group;
    use ikexdp_proto::crypto::prf::Prf;
    use ikexdp_proto::event::{FailureReason, FragmentationSummary, Incomplete, NatSituation};
    use ikexdp_proto::identity::Identity;
    use ikexdp_proto::suite::IkeSuite;
    use ikexdp_proto::types::{Role, Spi, Spis};
    use ikexdp_proto::wire::iana::ExchangeType;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// The lines that `log` writes.
    fn lines(log: impl FnOnce()) -> Vec<String> {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);

        impl Write for Lines {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(octets)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let written = Lines::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let octets = written.0.lock().unwrap().clone();
        let text = String::from_utf8(octets).unwrap();
        text.lines()
            .map(|line| line.trim_start().to_owned())
            .collect()
    }

    fn path() -> Path {
        Path {
            local: "192.0.2.1:4500".parse().unwrap(),
            remote: "198.51.100.7:4500".parse().unwrap(),
            marker: true,
        }
    }

    fn failure(reason: FailureReason) -> Event {
        Event::HandshakeFailed(Box::new(HandshakeFailure {
            id: Some(IkeSaId(7)),
            claimed: Some(Identity::Fqdn("laptop.example".to_owned())),
            handshake: Duration::from_secs(30),
            ..HandshakeFailure::without_sa(path(), true, reason)
        }))
    }

    #[test]
    fn an_established_sa_is_one_line() {
        let sa = Established {
            account: None,
            id: IkeSaId(7),
            connection: "staff".to_owned(),
            role: Role::Responder,
            path: path(),
            spis: Spis {
                initiator: Spi(1),
                responder: Spi(2),
            },
            peer: Identity::Fqdn("laptop.example".to_owned()),
            suite: IkeSuite {
                cipher: Cipher::new(Encryption::AesGcm16_256, None).unwrap(),
                prf: Prf::HmacSha2_256,
                group: Group::Curve25519,
            },
            nat: NatSituation {
                local: false,
                remote: true,
            },
            addresses: vec!["10.9.0.1".parse().unwrap()],
            handshake: Duration::from_millis(42),
            fragmentation: FragmentationSummary {
                negotiated: true,
                datagram_len: 1280,
                received: 5,
                sent: 4,
            },
        };
        let event = Event::Established(Box::new(sa));
        let lines = lines(|| Journal::default().event(Instant::ZERO, &event));
        assert_eq!(
            lines,
            [
                "INFO IKE SA established id=7 connection=\"staff\" peer=198.51.100.7:4500 \
              identity=\"laptop.example\" local=192.0.2.1:4500 \
              suite=aes256-gcm16/prf-sha2-256/x25519 addresses=\"10.9.0.1\" nat_local=false \
              nat_remote=true fragments_in=5 fragments_out=4 datagram_len=1280 duration_ms=42"
            ]
        );
    }

    #[test]
    fn a_failed_handshake_is_one_line_with_cause_and_hint() {
        let Event::HandshakeFailed(mut silent) = failure(FailureReason::Timeout {
            waiting_for: ExchangeType::IKE_AUTH,
        }) else {
            panic!("a failure is what was made")
        };
        silent.incomplete = Some(Incomplete {
            missing: vec![2, 4],
            total: 5,
        });
        let event = Event::HandshakeFailed(silent);
        let lines = lines(|| Journal::default().event(Instant::ZERO, &event));
        let [line] = lines.as_slice() else {
            panic!("one line: {lines:?}");
        };
        for part in [
            "WARN handshake failed kind=\"timeout\" id=7 peer=198.51.100.7:4500",
            "identity=\"laptop.example\"",
            "reason=\"IKE_AUTH did not come in time\"",
            "verdict=\"ike-fragments-lost\"",
            "windows=809",
            "cause=\"IKE fragments from the client to the gateway are lost: 2, 4 of 5\"",
            "hint=\"have the client send smaller datagrams",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn a_flood_of_failures_is_summed_up() {
        let mut journal = Journal::default();
        let event = failure(FailureReason::SharedKey);
        let lines = lines(|| {
            for _ in 0..500 {
                journal.event(Instant::ZERO, &event);
            }
            journal.event(Instant::ZERO, &failure(FailureReason::KeyExchange));
            let deadline = journal.deadline().unwrap();
            journal.timeout(deadline);
        });
        assert_eq!(lines.len(), 12, "{lines:?}");
        assert!(lines[10].contains("kind=\"key_exchange\""), "{}", lines[10]);
        let sum = "WARN more of the same was not written kind=\"shared_key\" lines=490 seconds=10";
        assert_eq!(lines[11], sum);
    }

    #[test]
    fn cookies_are_told_of_when_they_begin_and_when_they_end() {
        let on = Event::CookiesOn {
            half_open: 256,
            requests: 12,
        };
        let off = Event::CookiesOff {
            lasted: Duration::from_secs(61),
            cookies: 7000,
        };
        let lines = lines(|| {
            let mut journal = Journal::default();
            for event in [on, off] {
                journal.event(Instant::ZERO, &event);
            }
        });
        let begin = "WARN cookies are asked for half_open=256 requests=12 hint=";
        assert!(lines[0].starts_with(begin), "{}", lines[0]);
        let end = "INFO cookies are no longer asked for seconds=61 cookies=7000";
        assert_eq!(lines[1..], [end]);
    }

    #[test]
    fn the_advice_on_ip_fragments_goes_with_the_configuration() {
        let event = Event::NeedsIpFragments {
            id: IkeSaId(7),
            path: path(),
            length: 4000,
        };
        for (ip_fragments, advice) in [
            (false, "or set `ip-fragments = true`"),
            (true, "if the client fails"),
        ] {
            let lines = lines(|| Journal::new(ip_fragments).event(Instant::ZERO, &event));
            assert!(lines[0].contains(advice), "{}", lines[0]);
        }
    }
}
