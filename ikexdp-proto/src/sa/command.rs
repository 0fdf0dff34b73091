//! What the host wants of an IKE SA, and what its kernel says.

use super::channel::Channel;
use super::{Context, IkeSa, State};
use crate::data_plane::DataPlaneEvent;
use crate::event::FailureReason;
use crate::job::Job;
use crate::types::EspSpi;

impl IkeSa {
    /// The host wants it gone.
    pub(crate) fn terminate(&mut self, cx: &mut Context<'_>) {
        let core = &self.core;
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::Established(state) => state.terminate(cx, core),
            State::Installing(state) => state.terminate(cx, core),
            State::Denied(state) => state.answer(cx),
            state @ (State::Refused(_)
            | State::Refusing(_)
            | State::Closing(_)
            | State::Heir(_)
            | State::Replaced(_)
            | State::Lingering(_)) => state,
            State::Failed { .. } => State::Gone,
            state => {
                cx.handshake_failed(core, state.progress(), FailureReason::Terminated);
                State::Gone
            }
        };
    }

    /// The host wants one more CHILD SA.
    pub(crate) fn create_child(&mut self, cx: &mut Context<'_>) {
        if let State::Established(state) = &mut self.state {
            state.ask_for_child(cx, &self.core);
        }
    }

    /// The host wants to know whether the peer lives.
    pub(crate) fn probe(&mut self, cx: &mut Context<'_>) {
        if let State::Established(state) = &mut self.state {
            state.probe(cx, &self.core);
        }
    }

    /// Whether the peer owes us a response.
    pub(crate) fn is_asking(&self) -> bool {
        self.state.channel().is_some_and(Channel::is_waiting)
    }

    /// The host wants to know what its CHILD SAs have carried, on the peer's account.
    /// What those have that are gone came of the jobs that removed them.
    pub(crate) fn measure(&self, cx: &mut Context<'_>) {
        let State::Established(state) = &self.state else {
            return;
        };
        let estate = &state.estate;
        let Some(account) = estate.terms.account.clone() else {
            return;
        };
        let children = estate.children.iter();
        let sas = children.flat_map(|child| child.kept(estate.tunnel));
        let (sas, account) = (sas.collect(), Some(account));
        cx.job(self.core.id, Job::Measure { sas, account });
    }

    /// The host wants a CHILD SA, or the IKE SA itself, replaced.
    pub(crate) fn rekey(&mut self, cx: &mut Context<'_>, child: Option<EspSpi>) {
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::Established(state) => state.rekey(cx, &self.core, child),
            state => state,
        };
    }

    /// The kernel has something to say of a CHILD SA.
    pub(crate) fn handle_data_plane(&mut self, cx: &mut Context<'_>, event: &DataPlaneEvent) {
        let state = core::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::Established(state) => state.handle_data_plane(cx, &mut self.core, event),
            state => state,
        };
    }
}
