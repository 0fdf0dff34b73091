//! Events of the engine, for those who follow them.

use ikexdp_proto::event::{self as engine, Event};

use super::{Cause, Established, HandshakeFailed, Happening};
use crate::failure::FailureKind;
use crate::journal::{hint_of_child, milliseconds};
use crate::verdict::Told;
use crate::view::role;

impl From<&Event> for Happening {
    #[expect(clippy::too_many_lines, reason = "an arm for each kind of event")]
    fn from(event: &Event) -> Self {
        match event {
            Event::Established(sa) => Self::Established(sa.as_ref().into()),
            Event::HandshakeFailed(failure) => Self::HandshakeFailed(failure.as_ref().into()),
            Event::ChildEstablished { id, child, rekeyed } => Self::ChildEstablished {
                id: id.0,
                child: child.as_ref().clone().into(),
                rekeyed: rekeyed.as_ref().map(ToString::to_string),
            },
            Event::ChildRefused { id, reason } => Self::ChildRefused {
                id: id.0,
                reason: reason.to_string(),
                hint: hint_of_child(reason).map(str::to_owned),
            },
            Event::ChildClosed { id, spi } => Self::ChildClosed {
                id: id.0,
                spi_in: spi.to_string(),
            },
            Event::Rekeyed {
                id,
                new,
                spis,
                suite,
            } => Self::Rekeyed {
                id: id.0,
                new: new.0,
                initiator_spi: spis.initiator.to_string(),
                responder_spi: spis.responder.to_string(),
                suite: suite.to_string(),
            },
            Event::RekeyRefused { id, reason } => Self::RekeyRefused {
                id: id.0,
                reason: reason.to_string(),
            },
            Event::Moved { id, from, to } => Self::Moved {
                id: id.0,
                from: from.remote,
                remote: to.remote,
            },
            Event::Closed {
                id,
                connection,
                path,
                peer,
                age,
                reason,
                ..
            } => Self::Closed {
                id: id.0,
                connection: connection.clone(),
                remote: path.remote,
                identity: peer.to_string(),
                age_s: age.as_secs(),
                reason: reason.to_string(),
                told: Told::of_end(event).into(),
            },
            Event::NeedsIpFragments { id, path, length } => Self::NeedsIpFragments {
                id: id.0,
                remote: path.remote,
                length: *length,
            },
            Event::FragmentsLowered {
                id,
                path,
                datagram_len,
            } => Self::FragmentsLowered {
                id: id.0,
                remote: path.remote,
                datagram_len: *datagram_len,
            },
            Event::CookiesOn {
                half_open,
                requests,
            } => Self::CookiesOn {
                half_open: *half_open,
                requests: *requests,
            },
            Event::CookiesOff { lasted, cookies } => Self::CookiesOff {
                lasted_s: lasted.as_secs(),
                cookies: *cookies,
            },
        }
    }
}

impl From<&engine::Established> for Established {
    fn from(sa: &engine::Established) -> Self {
        Self {
            id: sa.id.0,
            connection: sa.connection.clone(),
            role: role(sa.role),
            local: sa.path.local,
            remote: sa.path.remote,
            identity: sa.peer.to_string(),
            suite: sa.suite.to_string(),
            addresses: sa.addresses.clone(),
            nat_local: sa.nat.local,
            nat_remote: sa.nat.remote,
            fragmentation: sa.fragmentation.into(),
            duration_ms: milliseconds(sa.handshake),
        }
    }
}

impl From<&engine::HandshakeFailure> for HandshakeFailed {
    fn from(failure: &engine::HandshakeFailure) -> Self {
        Self {
            id: failure.id.map(|id| id.0),
            connection: failure.connection.clone(),
            role: role(failure.role),
            local: failure.path.local,
            remote: failure.path.remote,
            identity: failure.claimed.as_ref().map(ToString::to_string),
            suite: failure.suite.as_ref().map(ToString::to_string),
            fragmentation: failure.fragmentation.into(),
            duration_ms: milliseconds(failure.handshake),
            kind: FailureKind::from(&failure.reason).name().to_owned(),
            reason: failure.reason.to_string(),
            told: Told::of_failure(failure).into(),
        }
    }
}

impl From<Told> for Cause {
    fn from(told: Told) -> Self {
        Self {
            verdict: told.verdict.map(str::to_owned),
            windows: told.windows.to_vec(),
            cause: told.cause,
            hint: told.hint,
        }
    }
}
