//! IKE SAs in the place of others (RFC 7296 §2.18).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::channel::{Channel, NewChannel};
use super::child::Nonces;
use super::closing::Closing;
use super::established::Established;
use super::estate::Estate;
use super::{Context, Core, IkeSa, State};
use crate::crypto::keymat::KeySeed;
use crate::error::Error;
use crate::identity::Identity;
use crate::suite::IkeSuite;
use crate::types::{IkeSaId, MessageId, Role, Secret, Spis};

/// An IKE SA that CREATE_CHILD_SA has made.
pub(super) struct NewIke {
    pub(super) core: Core,
    channel: Channel,
}

/// It is not decided yet which of two IKE SAs takes the place of the old one, and
/// this one is the peer's.
#[derive(Debug)]
pub(super) struct Heir {
    pub(super) channel: Channel,
}

/// What one IKE SA leaves to another.
#[derive(Debug)]
pub(crate) struct Bequest {
    from: Option<IkeSaId>,
    /// Who gets it.
    pub(crate) to: IkeSaId,
    estate: Option<Box<Estate>>,
}

/// A peer's new IKE SA takes the place of those that it had (RFC 7296 §2.4).
#[derive(Debug)]
pub(crate) struct Superseding {
    /// The new one.
    pub(crate) by: IkeSaId,
    /// Whose it is.
    pub(crate) peer: Identity,
    /// With whom of us.
    pub(crate) local: Identity,
    /// By which connection: who proves it in a weaker way has no say in what was
    /// made in a stronger one.
    pub(crate) connection: String,
    /// Whether the peer is told: it may not have forgotten the others.
    pub(crate) told: bool,
    /// How many of the others stay, the youngest.
    pub(crate) others: usize,
}

impl Bequest {
    /// All that `from` has.
    pub(super) const fn estate(from: IkeSaId, to: IkeSaId, estate: Box<Estate>) -> Self {
        Self {
            from: Some(from),
            to,
            estate: Some(estate),
        }
    }

    /// `to` gets nothing: another stands, or none does.
    pub(super) const fn nothing(to: IkeSaId) -> Self {
        Self {
            from: None,
            to,
            estate: None,
        }
    }
}

impl NewIke {
    /// Derives its keys from those of the `old` one.
    pub(super) fn derive(
        cx: &mut Context<'_>,
        core: &Core,
        old: &Channel,
        (role, spis, suite): (Role, Spis, IkeSuite),
        (shared_secret, nonces): (&Secret<Vec<u8>>, &Nonces),
    ) -> Result<Self, Error> {
        let seed = KeySeed {
            shared_secret: shared_secret.expose(),
            nonce_i: &nonces.initiator,
            nonce_r: &nonces.responder,
            spis,
        };
        let keys = old.keys.rekey(suite.prf, suite.cipher, role, &seed)?;
        cx.expose(&core.path, spis, suite, &keys);
        let id = cx.ike_sa_id();
        Ok(Self {
            core: Core {
                id,
                role,
                spis,
                created: cx.now,
                ..*core
            },
            channel: Channel::new(NewChannel {
                id,
                role,
                spis,
                suite,
                keys,
                first: MessageId(0),
                // What was announced in IKE_SA_INIT holds for its successors.
                fragmentation: old.fragmentation.negotiated,
                datagram_len: old.fragmentation.datagram_len,
            }),
        })
    }

    /// It takes the place of the old one.
    pub(super) fn inherit(self, cx: &mut Context<'_>, from: IkeSaId, estate: Box<Estate>) -> IkeSa {
        let Self { core, channel } = self;
        let established = Established::inherit(cx, &core, from, channel, estate);
        IkeSa::new(core, State::Established(Box::new(established)))
    }

    /// It waits to hear whether it does.
    pub(super) fn wait(self) -> IkeSa {
        let channel = self.channel;
        IkeSa::new(self.core, State::Heir(Box::new(Heir { channel })))
    }

    /// It does not, and it is for us to delete it.
    pub(super) fn close(self, cx: &mut Context<'_>) -> IkeSa {
        let state = Closing::begin(self.channel, cx, &self.core);
        IkeSa::new(self.core, state)
    }
}

impl IkeSa {
    /// It is decided what becomes of an heir.
    pub(crate) fn inherit(&mut self, cx: &mut Context<'_>, bequest: Bequest) {
        let core = &self.core;
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match (state, bequest.estate, bequest.from) {
            (State::Heir(heir), Some(estate), Some(from)) => {
                let established = Established::inherit(cx, core, from, heir.channel, estate);
                State::Established(Box::new(established))
            }
            // Whoever made it deletes it.
            (State::Heir(heir), ..) => State::replaced(heir.channel, cx.now),
            (state, ..) => state,
        };
    }

    /// Its successor has been replaced in turn: the peer has had its time to delete
    /// it.
    pub(crate) fn retire(&mut self) {
        if let State::Replaced(_) = self.state {
            self.state = State::Gone;
        }
    }

    /// Whether it is one of those in whose place another stands.
    pub(crate) fn is_superseded(&self, superseding: &Superseding) -> bool {
        match &self.state {
            State::Established(state) => {
                self.core.id != superseding.by && state.estate.is_between(superseding)
            }
            _ => false,
        }
    }

    /// Its peer has made another, which stands in its place.
    pub(crate) fn supersede(&mut self, cx: &mut Context<'_>, superseding: &Superseding) {
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::Established(state) => state.supersede(cx, &self.core, superseding),
            state => state,
        };
    }

    /// Its peer's other IKE SAs are closed.
    pub(crate) fn succeed(&mut self, cx: &mut Context<'_>) {
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::Succeeding(state) => state.go_on(cx, &self.core),
            state => state,
        };
        self.remember_path_size(cx);
    }

    /// What IKE SAs of one peer are found by, once it has proved who it is.
    pub(crate) fn peer(&self) -> Option<&Identity> {
        match &self.state {
            State::Established(state) => Some(&state.estate.peer),
            _ => None,
        }
    }
}
