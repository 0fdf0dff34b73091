//! Who proves what to whom.

use crate::pki::{CLIENT, Chain, GATEWAY, Pki};

/// The secret of both ends, where a test has no other.
pub const SECRET: &str = "a secret that both know";

/// How an end proves who it is.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// By a secret that both know.
    Psk {
        /// The secret.
        secret: String,
        /// The own identity.
        local_id: String,
        /// The peer's identity.
        remote_id: String,
    },
    /// By a certificate.
    Certificate {
        /// The own certificates, sent along, and key.
        chain: Chain,
        /// The own identity; it is in the certificate.
        local_id: String,
        /// The peer's identity.
        remote_id: String,
        /// The trust anchor for the peer's certificate.
        root: String,
    },
}

impl Credentials {
    /// Both identities of a lab with a common secret, as seen by the client.
    #[must_use]
    pub fn client_psk(secret: &str) -> Self {
        Self::Psk {
            secret: secret.to_owned(),
            local_id: CLIENT.to_owned(),
            remote_id: GATEWAY.to_owned(),
        }
    }

    /// Both identities of a lab with a common secret, as seen by the gateway.
    #[must_use]
    pub fn gateway_psk(secret: &str) -> Self {
        Self::Psk {
            secret: secret.to_owned(),
            local_id: GATEWAY.to_owned(),
            remote_id: CLIENT.to_owned(),
        }
    }

    /// The client's side of a chain.
    #[must_use]
    pub fn client(pki: &Pki) -> Self {
        Self::certificate(pki, &pki.client, CLIENT, GATEWAY)
    }

    /// The gateway's side of a chain.
    #[must_use]
    pub fn gateway(pki: &Pki) -> Self {
        Self::certificate(pki, &pki.gateway, GATEWAY, CLIENT)
    }

    fn certificate(pki: &Pki, chain: &Chain, local_id: &str, remote_id: &str) -> Self {
        Self::Certificate {
            chain: chain.clone(),
            local_id: local_id.to_owned(),
            remote_id: remote_id.to_owned(),
            root: pki.root.clone(),
        }
    }
}
