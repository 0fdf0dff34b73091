//! What is common to all methods.

use std::fmt;

use ikexdp_proto::eap::RejectionReason;
use ikexdp_proto::types::Secret;

use crate::name::PeerName;

/// A method, while it waits for a response.
pub(crate) trait Method: fmt::Debug + Send {
    /// Takes the data of a response to the peer that gave this name.
    fn hear(self: Box<Self>, name: &PeerName, data: &[u8]) -> Result<Step, RejectionReason>;
}

/// What comes of a response, if the peer is not refused.
#[derive(Debug)]
pub(crate) enum Step {
    /// The peer is asked for more.
    Ask(Ask),
    /// The peer is this user.
    Accept {
        /// Who.
        user: String,
        /// The master session key.
        msk: Secret<Vec<u8>>,
    },
}

/// What a peer is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The data of a request.
    pub(crate) data: Vec<u8>,
    /// What takes the response to it.
    pub(crate) next: Box<dyn Method>,
}
