//! What an IKE SA is for. When it is replaced, it leaves this to the next
//! (RFC 7296 §2.18).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::child::{Agreement, Child, Phase};
use super::negotiate::Ends;
use super::succession::Superseding;
use super::{Context, Core};
use crate::config::{Connection, Credential, Lifetimes};
use crate::data_plane::{DataPlaneError, EspSaName, Operation, Policies, Tunnel};
use crate::eap::{Account, Admission};
use crate::event::{ChildSummary, CloseReason, Event, Unacknowledged};
use crate::identity::Identity;
use crate::job::{Job, JobId};
use crate::lease::Lease;
use crate::stats::Stat;
use crate::time::Instant;
use crate::types::{EspSpi, IkeSaId};

/// A peer, what it has of us, and its CHILD SAs.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(super) connection: Arc<Connection>,
    pub(super) peer: Identity,
    /// Addresses of a pool of ours, for the peer.
    pub(super) lease: Option<Lease>,
    /// Addresses from the peer, for us.
    pub(super) assigned: Vec<IpAddr>,
    pub(super) children: Vec<Child>,
    /// Whether the peer, which began it all, may move (RFC 4555).
    pub(super) mobike: bool,
    /// Whether it says that it is Windows.
    pub(super) is_windows: bool,
    /// Where the kernel has the CHILD SAs when it has done what it was told.
    pub(super) tunnel: Tunnel,
    /// The job that moves them, and from where.
    pub(super) moving: Option<(JobId, Tunnel)>,
    /// Whether the peer is to show that it is where it says.
    pub(super) check_route: bool,
    /// On what terms the peer was let in.
    pub(super) terms: Terms,
    /// The IKE SA that had all this before.
    pub(super) predecessor: Option<IkeSaId>,
}

/// On what terms a peer was let in.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// Addresses that it must have.
    pub(super) addresses: Vec<IpAddr>,
    /// When it has to go.
    pub(super) until: Option<Instant>,
    /// What its authenticator wants back with what becomes of it.
    pub(super) account: Option<Account>,
}

/// Whether a host can have it.
fn is_for_a_host(address: &IpAddr) -> bool {
    let is_everybody = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_everybody)
}

impl Terms {
    /// Those of who is let in now.
    pub(super) fn of(admission: Admission, now: Instant) -> Self {
        Self {
            addresses: admission
                .addresses
                .into_iter()
                .filter(is_for_a_host)
                .collect(),
            until: admission.session_timeout.map(|timeout| now + timeout),
            account: admission.account,
        }
    }
}

impl Estate {
    /// Addresses given to the peer, or got from it.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let leased = self.lease.iter().flat_map(Lease::addresses);
        leased.chain(self.assigned.iter().copied()).collect()
    }

    /// How long its SAs live. Windows takes no rekeying from us, and does it by
    /// itself; what it does not replace is deleted at its end, and it comes back.
    pub(super) fn lifetimes(&self) -> Lifetimes {
        let lifetimes = self.connection.lifetimes;
        Lifetimes {
            initiate_rekey: lifetimes.initiate_rekey && !self.is_windows,
            ..lifetimes
        }
    }

    /// What its CHILD SAs may carry.
    pub(super) fn ends(&self) -> Ends<'_> {
        Ends {
            child: &self.connection.child,
            lease: self.lease.as_ref(),
            assigned: &self.assigned,
            is_windows: self.is_windows,
        }
    }

    /// Whether it is of the two that are told.
    pub(super) fn is_between(&self, superseding: &Superseding) -> bool {
        self.connection.name == superseding.connection
            && self.peer.is_same_as(&superseding.peer)
            && self
                .connection
                .local_identity
                .is_same_as(&superseding.local)
    }

    pub(super) fn child(&self, spi: EspSpi) -> Option<&Child> {
        self.children.iter().find(|child| child.spi() == spi)
    }

    pub(super) fn child_mut(&mut self, spi: EspSpi) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.spi() == spi)
    }

    /// The CHILD SA that the peer receives on `spi`.
    pub(super) fn child_to(&self, spi: EspSpi) -> Option<&Child> {
        let mut children = self.children.iter();
        children.find(|child| child.summary.spi_out == spi)
    }

    /// Makes a CHILD SA, which goes on under the policies of `replaces` if it
    /// carries the same traffic; also what the kernel must have of it before the
    /// peer may send.
    pub(super) fn agree(
        &self,
        cx: &mut Context<'_>,
        core: &Core,
        mut agreement: Agreement<'_>,
        replaces: Option<EspSpi>,
    ) -> (Child, Vec<Operation>) {
        let replaced = replaces.and_then(|spi| self.child(spi));
        agreement.lineage = replaced
            .filter(|child| child.has_traffic_of(&agreement.summary))
            .map(|child| child.lineage);
        Child::new(cx, core, self, agreement)
    }

    /// The peer can send on a new CHILD SA, and knows it.
    pub(super) fn adopt(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        child: Child,
        rekeyed: Option<EspSpi>,
    ) {
        cx.stats.count(match rekeyed {
            Some(_) => Stat::ChildRekeyed,
            None => Stat::ChildEstablished,
        });
        cx.event(Event::ChildEstablished {
            id: core.id,
            child: Box::new(child.summary.clone()),
            rekeyed,
        });
        // Most have one, and room for four is a kibibyte.
        self.children.reserve_exact(1);
        self.children.push(child);
    }

    /// From now on we send on the CHILD SA `spi`.
    pub(super) fn connect(&mut self, cx: &mut Context<'_>, core: &Core, spi: EspSpi) {
        let tunnel = self.tunnel;
        let Some(child) = self.child_mut(spi) else {
            return;
        };
        if let Some(operation) = child.take_outbound(tunnel) {
            let batch = Job::data_plane(alloc::vec![operation]);
            child.installing = Some(cx.job(core.id, batch));
        }
    }

    /// The job that installs what we send on is done. Returns whether it was one.
    pub(super) fn connected(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        job: JobId,
        result: Result<(), DataPlaneError>,
    ) -> bool {
        let mut children = self.children.iter_mut();
        let Some(child) = children.find(|child| child.installing == Some(job)) else {
            return false;
        };
        child.installing = None;
        if let Err(error) = result {
            child.sends = false;
            // It would only swallow what is sent to the peer.
            if child.phase == Phase::Live {
                child.phase = Phase::Doomed;
            }
            cx.stats.count(Stat::ChildRefused);
            cx.event(Event::ChildRefused {
                id: core.id,
                reason: error.into(),
            });
        }
        true
    }

    /// A CHILD SA is over; what has taken its place takes the traffic.
    pub(super) fn remove(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        spi: EspSpi,
        successor: Option<EspSpi>,
    ) {
        let mut children = self.children.iter();
        let Some(place) = children.position(|child| child.spi() == spi) else {
            return;
        };
        let child = self.children.remove(place);
        if let Some(successor) = successor {
            self.connect(cx, core, successor);
        }
        self.discard(cx, core, &child);
        cx.stats.count(Stat::ChildClosed);
        cx.event(Event::ChildClosed { id: core.id, spi });
    }

    /// The kernel has not taken a CHILD SA: nothing of it is there.
    pub(super) fn forget(cx: &mut Context<'_>, child: &Child) {
        cx.inbound.release(child.spi());
        cx.lineages.leave(child.lineage);
    }

    /// Takes a CHILD SA that is in nobody's list out of the kernel.
    pub(super) fn discard(&self, cx: &mut Context<'_>, core: &Core, child: &Child) {
        cx.inbound.release(child.spi());
        let last = cx.lineages.leave(child.lineage);
        let batch = child.removal(self.tunnel, last);
        let account = self.terms.account.clone();
        cx.job(core.id, Job::DataPlane { batch, account });
    }

    /// Has the kernel follow the peer, with what is being `installed` as well. One
    /// move at a time: a peer that does nothing but move keeps nobody waiting.
    pub(super) fn relocate<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
        core: &Core,
        installed: impl Iterator<Item = &'a Child>,
    ) {
        let (from, to) = (self.tunnel, core.tunnel());
        if to == from || self.moving.is_some() {
            return;
        }
        let mut sas = Vec::new();
        let mut policies: Vec<Policies> = Vec::new();
        for child in self.children.iter().chain(installed) {
            sas.extend(child.kept(from));
            if policies.iter().all(|known| known.lineage != child.lineage) {
                policies.push(child.policies(from));
            }
        }
        self.tunnel = to;
        if sas.is_empty() {
            return;
        }
        let moved = Operation::Move { sas, policies, to };
        let job = cx.job(core.id, Job::data_plane(alloc::vec![moved]));
        self.moving = Some((job, from));
    }

    /// The kernel has followed, or has not and is where it was.
    pub(super) fn relocated(
        &mut self,
        result: Result<(), DataPlaneError>,
    ) -> Result<(), DataPlaneError> {
        let moving = self.moving.take();
        if let (Some((_, from)), Err(_)) = (moving, &result) {
            self.tunnel = from;
        }
        result
    }

    /// What people want to know of the CHILD SAs.
    pub(super) fn summaries(&self) -> Vec<ChildSummary> {
        let children = self.children.iter();
        children.map(|child| child.summary.clone()).collect()
    }

    /// What the kernel knows the CHILD SAs by.
    pub(super) fn names(&self) -> Vec<[EspSaName; 2]> {
        let children = self.children.iter();
        children.map(|child| child.names(self.tunnel)).collect()
    }

    /// The last IKE SA is over, and everything with it; its peer may never have had the
    /// response that made it.
    pub(super) fn close(
        mut self,
        cx: &mut Context<'_>,
        core: &Core,
        unacknowledged: Option<Unacknowledged>,
        reason: CloseReason,
    ) {
        while let Some(spi) = self.children.first().map(Child::spi) {
            self.remove(cx, core, spi, None);
        }
        if let Some(lease) = self.lease.take() {
            cx.pools.release(&lease);
        }
        cx.stats.count(Stat::Closed);
        let credential = &self.connection.credential;
        cx.event(Event::Closed {
            id: core.id,
            role: core.role,
            by_certificate: matches!(credential, Credential::Certificates(_)),
            connection: self.connection.name.clone(),
            path: core.path,
            peer: self.peer,
            account: self.terms.account,
            age: cx.now.since(core.created),
            unacknowledged,
            reason,
        });
    }
}
