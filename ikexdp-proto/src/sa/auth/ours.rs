//! Who we are to a peer, and which certificate it gets to see.

use alloc::sync::Arc;

use crate::config::{Config, Connection, Credential};
use crate::crypto::cert::{AuthorityHash, CertifiedKey};
use crate::crypto::scheme::SignatureScheme;
use crate::crypto::sign::{SigningKey, Verifier};
use crate::identity::Identity;
use crate::message::auth::AuthRequest;
use crate::sa::init::Handshake;
use crate::wire::iana::ConfigurationAttribute;
use crate::wire::payload::auth::Authentication;

/// Who we say we are, and what we can show for it.
#[derive(Debug)]
pub(super) struct Ours {
    /// What goes into IDr.
    pub(super) identity: Identity,
    /// The certificate, and how we sign; `None` if there is none, or none that the peer
    /// can verify.
    pub(super) certified: Option<(Arc<CertifiedKey>, SignatureScheme)>,
}

impl Ours {
    /// Who we are to whoever sent `request`. It gets the name it asked for
    /// (`find_connection` has seen to it that this is ours), for Apple's clients take no
    /// other.
    pub(super) fn new(
        config: &Config,
        connection: &Connection,
        handshake: &Handshake,
        request: &AuthRequest<'_>,
    ) -> Self {
        let wanted = request.wanted.as_ref().map(|wanted| &wanted.identity);
        let identity = wanted.unwrap_or(&connection.local_identity);
        let audience = Audience {
            verifier: Verifier {
                hashes: &handshake.peer_hashes,
                pss: matches!(
                    request.authentication,
                    Some(Authentication::Signature {
                        scheme: Some(SignatureScheme::RsaPss(_)),
                        ..
                    })
                ),
                rsa_sha1: config.ike.rsa_sha1,
            },
            identity,
            authorities: &request.authorities,
            wants_rsa: wants_rsa(handshake, request),
        };
        let certified = match &connection.credential {
            Credential::SharedKey(_) | Credential::Eap(_) => None,
            Credential::Certificates(keys) => audience.choose(keys),
        };
        Self {
            identity: identity.clone(),
            certified,
        }
    }
}

/// Whether a request is from an iPhone that was set up by hand: that takes no ECDSA
/// certificate of a gateway, which those with a profile do. It knows no hashes, names no
/// authorities, asks for domains, and offers several proposals where a profile has one.
fn wants_rsa(handshake: &Handshake, request: &AuthRequest<'_>) -> bool {
    let attributes = request.configuration.iter().flat_map(|it| &it.attributes);
    let mut kinds = attributes.map(|attribute| attribute.kind);
    handshake.proposals > 1
        && handshake.peer_hashes.is_empty()
        && !handshake.is_windows
        && request.wanted.is_some()
        && request.authorities.is_empty()
        && kinds.any(|kind| kind == ConfigurationAttribute::INTERNAL_DNS_DOMAIN)
}

/// A peer that is to be shown a certificate.
struct Audience<'a> {
    verifier: Verifier<'a>,
    /// Whom it expects.
    identity: &'a Identity,
    /// The authorities that it says it trusts.
    authorities: &'a [AuthorityHash],
    /// Whether it takes RSA alone, without saying so.
    wants_rsa: bool,
}

impl Audience<'_> {
    /// The certificate that suits the peer best, of those whose signature it can verify;
    /// the first of those that suit it as well. One of another authority than it trusts
    /// is better than none: it may have more to say on that than a CERTREQ.
    fn choose(&self, keys: &[Arc<CertifiedKey>]) -> Option<(Arc<CertifiedKey>, SignatureScheme)> {
        let verifiable = keys
            .iter()
            .filter_map(|key| Some((key, key.key().scheme(&self.verifier)?)));
        let (key, scheme) = verifiable.min_by_key(|(key, _)| {
            let is_trusted = key
                .authorities()
                .iter()
                .any(|authority| self.authorities.contains(authority));
            let is_rsa = matches!(key.key(), SigningKey::Rsa(_));
            (
                !key.asserts(self.identity),
                !is_trusted,
                self.wants_rsa && !is_rsa,
            )
        })?;
        Some((Arc::clone(key), scheme))
    }
}
