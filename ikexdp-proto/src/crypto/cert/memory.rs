//! Signatures of certificates that have been verified before.
//!
//! Clients of one authority send the same intermediates, and come back with the same certificates: a
//! signature that was good is good. Only that is remembered: whether a certificate is valid today,
//! leads to an authority and is not revoked is found out each time.

use core::fmt;

use ring::digest::{Context, SHA256};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use super::algorithm::OF_CERTIFICATES;

/// What a signature is remembered by: SHA-256 of its algorithm, the key, what is signed, and itself.
pub type SignatureDigest = [u8; 32];

/// Remembers signatures that are good.
pub trait SignatureMemory: fmt::Debug + Send + Sync {
    /// Whether this one is known to be good.
    fn knows(&self, digest: &SignatureDigest) -> bool;

    /// This one is good. It may be forgotten at any time.
    fn remember(&self, digest: SignatureDigest);
}

/// Remembers nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoMemory;

impl SignatureMemory for NoMemory {
    fn knows(&self, _: &SignatureDigest) -> bool {
        false
    }

    fn remember(&self, _: SignatureDigest) {}
}

/// An algorithm that computes only where memory does not know.
#[derive(Debug)]
pub(super) struct Remembering<'a> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    memory: &'a dyn SignatureMemory,
}

/// Those that certificates may be signed by.
pub(super) fn remembering(
    memory: &dyn SignatureMemory,
) -> [Remembering<'_>; OF_CERTIFICATES.len()] {
    OF_CERTIFICATES.map(|algorithm| Remembering { algorithm, memory })
}

impl SignatureVerificationAlgorithm for Remembering<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let digest = self.digest([public_key, message, signature]);
        if self.memory.knows(&digest) {
            return Ok(());
        }
        self.algorithm
            .verify_signature(public_key, message, signature)?;
        self.memory.remember(digest);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

impl Remembering<'_> {
    /// Each part with its length before it: no other parts make the same octets.
    fn digest(&self, [public_key, message, signature]: [&[u8]; 3]) -> SignatureDigest {
        let mut context = Context::new(&SHA256);
        for part in [
            self.public_key_alg_id().as_ref(),
            self.signature_alg_id().as_ref(),
            public_key,
            message,
            signature,
        ] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut digest = SignatureDigest::default();
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}
