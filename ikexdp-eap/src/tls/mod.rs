//! EAP-TLS (RFC 5216, RFC 9190), the server's side: TLS 1.2 and 1.3 by rustls, in
//! packets of EAP.
//!
//! Every handshake is a whole one. To resume sessions would save some milliseconds
//! and a few datagrams of a peer's day, at the price of tickets that outlive what
//! the certificate was checked against.

mod asserted;
mod fragment;
mod handshake;
mod reason;

use std::sync::Arc;

use ikexdp_proto::crypto::cert::TrustAnchors;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

pub(crate) use handshake::begin;

/// What EAP-TLS needs to know.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    config: Arc<ServerConfig>,
    anchors: Option<Arc<TrustAnchors>>,
}

impl TlsSettings {
    /// Shows peers `chain`, the leaf first, and has `verifier` judge theirs: that of
    /// [`client_verifier`], or one that knows more, say, who is revoked.
    ///
    /// # Errors
    /// [`TlsError`] if the key cannot sign, or is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            config: Arc::new(config),
            anchors: None,
        })
    }

    /// Takes only peers that `anchors` trust as well: they know what was revoked.
    #[must_use]
    pub fn judged_by(self, anchors: Arc<TrustAnchors>) -> Self {
        Self {
            anchors: Some(anchors),
            ..self
        }
    }
}

/// Trusts peers whose certificate leads to one of `authorities`, is in its time, and
/// may be a client's (RFC 5280 §4.2.1.12). To each peer their names are told, so that it
/// can choose among its certificates.
///
/// # Errors
/// [`TlsError`] if there is no authority, or one cannot be read.
pub fn client_verifier(
    authorities: &[CertificateDer<'_>],
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone().into_owned())?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    Ok(builder.build()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Settings of TLS that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate, its key, or an authority.
    #[error("certificate or private key cannot be used for TLS: {0}")]
    Credentials(#[from] rustls::Error),
    /// The authorities together.
    #[error("authorities cannot be used for TLS: {0}")]
    Authorities(#[from] VerifierBuilderError),
}
