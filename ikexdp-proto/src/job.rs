//! Work that the engine hands out: public-key operations take a millisecond or
//! more, and the loop has other datagrams to look at.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ring::rand::SecureRandom;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::crypto::CryptoError;
use crate::crypto::cert::{CertifiedKey, CredentialError, Credentials, TrustAnchors, Usage};
use crate::crypto::kex::{Group, KeyPair};
use crate::crypto::scheme::SignatureScheme;
use crate::identity::Identity;
use crate::types::Secret;

/// The engine's name of a job; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Something slow to compute.
#[derive(Debug)]
pub enum Job {
    /// Make a key pair for an IKE_SA_INIT request.
    GenerateKey(Group),
    /// Agree on a secret with the peer's public value.
    Agree {
        /// Our key pair; none has been made yet on the responder's side.
        ours: Option<KeyPair>,
        /// The group.
        group: Group,
        /// The peer's public value.
        theirs: Vec<u8>,
    },
    /// Sign our AUTH payload.
    Sign {
        /// The key.
        key: Arc<CertifiedKey>,
        /// The algorithms.
        scheme: SignatureScheme,
        /// What to sign.
        octets: Vec<u8>,
    },
    /// Verify the peer's certificates and its AUTH payload.
    Verify(Verification),
}

/// What a peer presented.
#[derive(Debug)]
pub struct Verification {
    /// Whom we trust to vouch for it.
    pub anchors: Arc<TrustAnchors>,
    /// What it must be allowed to be.
    pub usage: Usage,
    /// Its certificates, the leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Who it says it is.
    pub identity: Identity,
    /// How it signed.
    pub scheme: SignatureScheme,
    /// What it signed.
    pub octets: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// What came of a job.
#[derive(Debug)]
pub enum JobResult {
    /// Of [`Job::GenerateKey`].
    Key(Result<KeyPair, CryptoError>),
    /// Of [`Job::Agree`].
    Secret(Result<Agreed, CryptoError>),
    /// Of [`Job::Sign`].
    Signature(Result<Vec<u8>, CryptoError>),
    /// Of [`Job::Verify`].
    Verified(Result<(), CredentialError>),
    /// The host could not do the job.
    Abandoned,
}

/// A completed key exchange.
#[derive(Debug)]
pub struct Agreed {
    /// Our public value, for the KE payload.
    pub public: Vec<u8>,
    /// g^ir.
    pub shared_secret: Secret<Vec<u8>>,
}

/// What a job needs of the host it runs on.
#[derive(Clone, Copy, Debug)]
pub struct JobHost<'a> {
    /// Randomness for keys and signatures.
    pub random: &'a dyn SecureRandom,
    /// The time of day, for certificates.
    pub unix_time: UnixTime,
}

impl Job {
    /// Does the work; takes up to some milliseconds.
    #[must_use]
    pub fn run(self, host: JobHost<'_>) -> JobResult {
        match self {
            Self::GenerateKey(group) => JobResult::Key(group.generate(host.random)),
            Self::Agree {
                ours,
                group,
                theirs,
            } => JobResult::Secret(agree(ours, group, &theirs, host.random)),
            Self::Sign {
                key,
                scheme,
                octets,
            } => JobResult::Signature(key.key().sign(scheme, &octets, host.random)),
            Self::Verify(verification) => JobResult::Verified(verification.run(host.unix_time)),
        }
    }
}

fn agree(
    ours: Option<KeyPair>,
    group: Group,
    theirs: &[u8],
    random: &dyn SecureRandom,
) -> Result<Agreed, CryptoError> {
    // A value that is none must not cost us a key pair.
    group.check(theirs)?;
    let ours = match ours {
        Some(ours) => ours,
        None => group.generate(random)?,
    };
    Ok(Agreed {
        public: ours.public().to_vec(),
        shared_secret: ours.agree(theirs)?,
    })
}

impl Verification {
    fn run(&self, now: UnixTime) -> Result<(), CredentialError> {
        let credentials = Credentials {
            chain: &self.chain,
            identity: &self.identity,
            scheme: self.scheme,
            signed_octets: &self.octets,
            signature: &self.signature,
        };
        self.anchors.verify(&credentials, self.usage, now)
    }
}
