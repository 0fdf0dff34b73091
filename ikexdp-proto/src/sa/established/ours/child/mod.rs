//! A CHILD SA that we ask for, most often in the place of another
//! (RFC 7296 §1.3.1, §1.3.3).
//!
//! ```text
//! GeneratingKey --> Sent --> Agreeing --> Installing --> the old one is deleted
//!   with a key exchange only     with one only
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

mod outcome;

use super::{Established, Ours};
use crate::crypto::kex::{Group, KeyPair};
use crate::error::Unacceptable;
use crate::event::ChildSummary;
use crate::job::{Job, JobId, JobResult};
use crate::message::child::{ChildPayloads, Selectors};
use crate::message::create_child::CreateChild;
use crate::sa::child::{Child, Nonces, Phase};
use crate::sa::established::data_plane;
use crate::sa::established::theirs::Theirs;
use crate::sa::estate::Estate;
use crate::sa::proposal::offer_esp;
use crate::sa::{Context, Core, State};
use crate::types::EspSpi;
use crate::wire::iana::ExchangeType;
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::nonce::NONCE_LEN;

/// A CHILD SA that we are about to make.
#[derive(Debug)]
pub(in crate::sa::established) struct ChildRequest {
    /// The SPI we shall receive on.
    spi: EspSpi,
    /// The CHILD SA that it replaces.
    rekeyed: Option<EspSpi>,
    offered: ChildPayloads,
    nonce: Vec<u8>,
    /// The group of our KE payload, if there is one.
    group: Option<Group>,
    /// Whether the peer has had us take another group.
    regrouped: bool,
    stage: Stage,
    /// What the peer made at the same time in the place of the same CHILD SA.
    rival: Option<Rival>,
    /// Whether the peer, for which it is there already, has deleted it.
    deleted: bool,
}

#[derive(Debug)]
enum Stage {
    GeneratingKey(JobId),
    Sent(Option<KeyPair>),
    Agreeing(JobId, Box<Accepted>),
    Installing(JobId, Box<(Child, Nonces)>),
}

/// What the peer has agreed to.
#[derive(Debug)]
struct Accepted {
    summary: ChildSummary,
    nonces: Nonces,
}

/// A CHILD SA that the peer made in the place of the one that we are replacing.
#[derive(Debug)]
pub(in crate::sa::established) struct Rival {
    pub(in crate::sa::established) spi: EspSpi,
    pub(in crate::sa::established) nonces: Nonces,
}

impl ChildRequest {
    pub(super) fn waits_for(&self, job: JobId) -> bool {
        match self.stage {
            Stage::GeneratingKey(id) | Stage::Agreeing(id, _) | Stage::Installing(id, _) => {
                id == job
            }
            Stage::Sent(_) => false,
        }
    }

    pub(in crate::sa::established) fn rival(&self) -> Option<EspSpi> {
        self.rival.as_ref().map(|rival| rival.spi)
    }

    /// The SPI the peer receives on, as soon as that is known.
    pub(in crate::sa::established) fn spi_out(&self) -> Option<EspSpi> {
        match &self.stage {
            Stage::GeneratingKey(_) | Stage::Sent(_) => None,
            Stage::Agreeing(_, accepted) => Some(accepted.summary.spi_out),
            Stage::Installing(_, installing) => Some(installing.0.summary.spi_out),
        }
    }

    /// The peer has deleted what is not there for us yet. Returns the SPI that we
    /// would have received on.
    pub(in crate::sa::established) const fn delete(&mut self) -> EspSpi {
        self.deleted = true;
        self.spi
    }

    pub(super) fn installing(&self) -> Option<&Child> {
        match &self.stage {
            Stage::Installing(_, installing) => Some(&installing.0),
            _ => None,
        }
    }

    /// Whether it is to replace the CHILD SA `spi`.
    pub(in crate::sa::established) fn replaces(&self, spi: EspSpi) -> bool {
        self.rekeyed == Some(spi)
    }

    /// Whether the peer does not know of it yet.
    pub(in crate::sa::established) const fn is_unsent(&self) -> bool {
        matches!(self.stage, Stage::GeneratingKey(_))
    }

    pub(in crate::sa::established) fn set_rival(&mut self, rival: Option<Rival>) {
        self.rival = rival;
    }

    /// Whether the peer's is the one that stands.
    fn loses(&self, nonces: &Nonces) -> bool {
        let rival = self.rival.as_ref();
        rival.is_some_and(|rival| nonces.lose_to(&rival.nonces))
    }

    pub(in crate::sa::established) fn abandon(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        estate: &Estate,
    ) {
        match self.stage {
            Stage::Installing(_, installing) => estate.discard(cx, core, &installing.0),
            _ => cx.inbound.release(self.spi),
        }
    }
}

impl Established {
    /// Asks for a CHILD SA in the place of the one we receive on `spi`.
    pub(in crate::sa::established) fn rekey_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        spi: EspSpi,
    ) {
        let Some(child) = self.estate.child_mut(spi) else {
            return;
        };
        child.phase = Phase::Rekeying;
        let selectors = Selectors::new(child.summary.local.clone(), child.summary.remote.clone());
        self.request_child(cx, core, Some(spi), selectors);
    }

    /// Asks for one more CHILD SA, unless a request of ours is under way.
    pub(in crate::sa) fn ask_for_child(&mut self, cx: &mut Context<'_>, core: &Core) {
        if !matches!((&self.ours, &self.theirs), (Ours::Idle, Theirs::Idle)) {
            return;
        }
        let ends = self.estate.ends();
        let selectors = Selectors::new(ends.local(), ends.remote());
        self.request_child(cx, core, None, selectors);
    }

    /// Installs the CHILD SA that came with IKE_AUTH.
    pub(in crate::sa) fn install_first(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        summary: ChildSummary,
        nonces: Nonces,
    ) {
        let request = ChildRequest {
            spi: summary.spi_in,
            rekeyed: None,
            offered: ChildPayloads {
                proposals: Vec::new(),
                selectors: Selectors::new(summary.local.clone(), summary.remote.clone()),
            },
            nonce: Vec::new(),
            group: None,
            regrouped: false,
            stage: Stage::Sent(None),
            rival: None,
            deleted: false,
        };
        self.install(
            cx,
            core,
            Box::new(request),
            Accepted { summary, nonces },
            None,
        );
    }

    fn request_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        rekeyed: Option<EspSpi>,
        selectors: Selectors,
    ) {
        let spi = cx.esp_spi();
        let esp = &self.estate.connection.child.esp;
        let request = ChildRequest {
            spi,
            rekeyed,
            offered: ChildPayloads {
                proposals: offer_esp(esp, &esp.groups, spi),
                selectors,
            },
            nonce: cx.random::<NONCE_LEN>().to_vec(),
            group: esp.groups.first().copied(),
            regrouped: false,
            stage: Stage::Sent(None),
            rival: None,
            deleted: false,
        };
        match request.group {
            Some(group) => self.generate_child_key(cx, core, Box::new(request), group),
            None => self.send_child(cx, core, Box::new(request), None),
        }
    }

    fn generate_child_key(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        group: Group,
    ) {
        let job = cx.job(core.id, Job::GenerateKey(group));
        request.group = Some(group);
        request.stage = Stage::GeneratingKey(job);
        self.ours = Ours::Child(request);
    }

    fn send_child(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        key: Option<KeyPair>,
    ) {
        let message = CreateChild {
            rekeyed: request.rekeyed,
            proposals: request.offered.proposals.clone(),
            nonce: &request.nonce,
            key_exchange: key.as_ref().map(|key| KeyExchange {
                group: key.group().id(),
                data: key.public(),
            }),
            selectors: Some(request.offered.selectors.clone()),
        };
        let payloads = message.encode();
        request.stage = Stage::Sent(key);
        self.ours = Ours::Child(request);
        self.request(cx, core, ExchangeType::CREATE_CHILD_SA, payloads);
    }

    pub(super) fn own_child_job(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        mut request: Box<ChildRequest>,
        result: JobResult,
    ) -> State {
        let stage = core::mem::replace(&mut request.stage, Stage::Sent(None));
        match (stage, result) {
            (Stage::GeneratingKey(_), JobResult::Key(Ok(key))) => {
                self.send_child(cx, core, request, Some(key));
                self.proceed(cx, core)
            }
            (Stage::GeneratingKey(_), _) => {
                self.child_refused(cx, core, *request, Unacceptable::Overload.into())
            }
            (Stage::Agreeing(_, accepted), JobResult::Secret(Ok(agreed))) => {
                self.install_own(cx, core, request, *accepted, Some(agreed))
            }
            (Stage::Installing(_, installing), result) => {
                let (child, nonces) = *installing;
                self.own_child_installed(cx, core, *request, (child, nonces), data_plane(result))
            }
            // The peer has a CHILD SA now that we cannot have.
            (Stage::Agreeing(..) | Stage::Sent(_), _) => {
                self.own_child_lost(cx, core, *request, Unacceptable::Overload.into())
            }
        }
    }
}
