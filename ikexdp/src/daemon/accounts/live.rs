//! One session, from its beginning until all is known of it.

use std::net::IpAddr;
use std::sync::Arc;

use ikexdp_proto::data_plane::{Carried, Direction, Volume};
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::IkeSaId;

use super::errand::{Errand, Kind};
use crate::radius::{Facts, Session, TerminateCause};

/// A session whose end has not been told.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) session: Arc<Session>,
    /// The IKE SA that it has now.
    pub(super) sa: IkeSaId,
    pub(super) addresses: Vec<IpAddr>,
    since: Instant,
    /// When it is to be measured next, if it is.
    pub(super) due: Option<Instant>,
    pub(super) is_being_measured: bool,
    /// Whether an SA went meanwhile that may have been measured.
    is_out_of_order: bool,
    /// What those of its SAs have carried that are gone.
    gone: Volume,
    /// The most that all of them had when they were measured.
    measured: Volume,
    /// Jobs that are out and remove SAs.
    removals: usize,
    closed: Option<(Instant, TerminateCause)>,
}

impl Live {
    /// Begins, and has it told.
    pub(super) fn begin(
        now: Instant,
        sa: IkeSaId,
        session: Arc<Session>,
        addresses: Vec<IpAddr>,
    ) -> Self {
        let first = session.first_interim();
        let live = Self {
            session,
            sa,
            addresses,
            since: now,
            due: first.map(|first| now + first),
            is_being_measured: false,
            is_out_of_order: false,
            gone: Volume::default(),
            measured: Volume::default(),
            removals: 0,
            closed: None,
        };
        live.session.started(&live.facts(now));
        live
    }

    /// When to measure next what was to be measured `at` that time.
    pub(super) fn next_after(&self, at: Instant, now: Instant) -> Option<Instant> {
        let interval = self.session.interim_interval()?;
        let next = at + interval;
        // What was missed is not made up for.
        Some(if next > now { next } else { now + interval })
    }

    /// A job of it is being handed out.
    pub(super) fn begin_errand(&mut self, kind: Kind) -> Errand {
        match kind {
            Kind::Removal => self.removals = self.removals.saturating_add(1),
            Kind::Measurement(_) => self.is_being_measured = true,
        }
        let session = self.session.id();
        Errand { session, kind }
    }

    /// SAs are gone that had carried `volume`.
    pub(super) fn removed(&mut self, volume: Volume) {
        self.removals = self.removals.saturating_sub(1);
        self.gone = self.gone.plus(volume);
    }

    /// The kernel has given up an SA that had carried this.
    pub(super) fn expired(&mut self, direction: Direction, carried: Carried) {
        self.gone.add(direction, carried);
        self.is_out_of_order = self.is_being_measured;
    }

    /// SAs that are there have carried `volume`: jobs are done in order, so that
    /// none of them has been counted among those that are gone. Only what the kernel
    /// says by itself may have come in between. If nobody could tell, `volume` is
    /// nothing: what was known before stands, for a server must not hear of less.
    pub(super) fn measured(&mut self, now: Instant, volume: Volume) {
        self.is_being_measured = false;
        if !std::mem::take(&mut self.is_out_of_order) {
            self.measured = most(self.measured, self.gone.plus(volume));
        }
        if self.closed.is_none() {
            self.session.interim(&self.facts(now));
        }
    }

    /// Its IKE SA is gone, if it was not before.
    pub(super) fn close(&mut self, now: Instant, cause: TerminateCause) {
        self.closed.get_or_insert((now, cause));
    }

    /// Whether it is gone, and all is known of it.
    pub(super) const fn is_over(&self) -> bool {
        self.closed.is_some() && self.removals == 0
    }

    /// Has its end told, if it is gone.
    pub(super) fn stop(&self) {
        if let Some((end, cause)) = self.closed {
            self.session.stopped(&self.facts(end), cause);
        }
    }

    fn facts(&self, now: Instant) -> Facts {
        Facts {
            addresses: self.addresses.clone(),
            // SAs that went without us, or with the daemon, were measured at most.
            volume: most(self.gone, self.measured),
            age: now.since(self.since),
        }
    }
}

/// The greater of each number.
fn most(one: Volume, other: Volume) -> Volume {
    let most = |one: Carried, other: Carried| Carried {
        octets: one.octets.max(other.octets),
        packets: one.packets.max(other.packets),
    };
    Volume {
        received: most(one.received, other.received),
        sent: most(one.sent, other.sent),
    }
}
