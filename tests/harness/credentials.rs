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
    /// A client that proves by EAP who it is.
    Eap {
        /// How.
        method: Eap,
        /// Who it says it is, in EAP.
        user: String,
        /// The gateway's identity.
        remote_id: String,
        /// The trust anchor for the gateway's certificate.
        root: String,
    },
    /// A gateway with a certificate whose clients use EAP.
    EapGateway {
        /// The own certificates, sent along, and key.
        chain: Chain,
        /// The own identity; it is in the certificate.
        local_id: String,
        /// Keys of `remote`, in TOML.
        remote: String,
        /// The files that they name, with their contents.
        files: Vec<(&'static str, String)>,
    },
    /// strongSwan as such a gateway, which knows one user.
    EapServer {
        /// The own certificates, sent along, and key.
        chain: Chain,
        /// The own identity; it is in the certificate.
        local_id: String,
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
}

/// A method of EAP, and what a client needs for it.
#[derive(Clone, Debug)]
pub enum Eap {
    /// EAP-MSCHAPv2: the password.
    Mschapv2(String),
    /// EAP-TLS: certificates and key.
    Tls(Chain),
    /// EAP-TTLS, with EAP-MSCHAPv2 inside: the password.
    Ttls(String),
}

impl Eap {
    /// What strongSwan calls it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Mschapv2(_) => "eap-mschapv2",
            Self::Tls(_) => "eap-tls",
            Self::Ttls(_) => "eap-ttls",
        }
    }

    pub(crate) fn password(&self) -> Option<&str> {
        match self {
            Self::Mschapv2(password) | Self::Ttls(password) => Some(password),
            Self::Tls(_) => None,
        }
    }
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

    /// A client that proves by EAP that it is `user`.
    #[must_use]
    pub fn eap(pki: &Pki, user: &str, method: Eap) -> Self {
        Self::Eap {
            method,
            user: user.to_owned(),
            remote_id: GATEWAY.to_owned(),
            root: pki.root.clone(),
        }
    }

    /// A gateway whose clients use EAP, as the keys `remote` and the files they name say.
    #[must_use]
    pub fn eap_gateway(pki: &Pki, remote: &str, files: Vec<(&'static str, String)>) -> Self {
        Self::EapGateway {
            chain: pki.gateway.clone(),
            local_id: GATEWAY.to_owned(),
            remote: remote.to_owned(),
            files,
        }
    }

    /// strongSwan as a gateway that knows one user, by EAP-MSCHAPv2.
    #[must_use]
    pub fn eap_server(pki: &Pki, user: &str, password: &str) -> Self {
        Self::EapServer {
            chain: pki.gateway.clone(),
            local_id: GATEWAY.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
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
