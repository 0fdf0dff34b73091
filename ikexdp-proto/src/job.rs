//! Work that the engine hands out: public-key operations take a millisecond or
//! more, and the loop has other datagrams to look at.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ring::rand::SecureRandom;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::crypto::CryptoError;
use crate::crypto::cert::{
    CertifiedKey, CredentialError, Credentials, Inquiry, SignatureMemory, StatusSource,
    TrustAnchors, Usage,
};
use crate::crypto::kex::{Group, KeyPair};
use crate::crypto::scheme::SignatureScheme;
use crate::crypto::sign::SigningKey;
use crate::data_plane::{Carried, DataPlane, DataPlaneError, EspSaName, Operation, Volume};
use crate::eap::{Account, Conversation, Reply, Respondent, Turn};
use crate::identity::Identity;
use crate::types::Secret;

/// What the kernel does in one go of [`Job::is_short`]: the two SAs of a CHILD SA, and two
/// more in their place.
const SHORT_BATCH: usize = 4;

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
    /// Have the peer's authenticator think about a response.
    Eap {
        /// The conversation so far.
        conversation: Box<dyn Conversation>,
        /// What the peer has said.
        response: Vec<u8>,
    },
    /// Think about what the peer's authenticator says to us.
    Respond {
        /// Who answers.
        respondent: Box<dyn Respondent>,
        /// What was said.
        packet: Vec<u8>,
    },
    /// Ask others whether certificates of a peer have been revoked, which may take
    /// seconds: it comes of [`Job::Verify`].
    Inquire(Inquiry),
    /// Have the kernel carry, or no longer carry, CHILD SAs. These jobs and the
    /// next are done in the order in which they were handed out.
    DataPlane {
        /// What to do, in order.
        batch: Vec<Operation>,
        /// On whose account: the peer's authenticator may want to know what went
        /// through what is removed.
        account: Option<Account>,
    },
    /// Ask the kernel how much has gone through SAs.
    Measure {
        /// Which.
        sas: Vec<EspSaName>,
        /// Whose they are, if it is the host that wants to know.
        account: Option<Account>,
    },
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
    /// Of [`Job::Verify`], and of [`Job::Inquire`].
    Verified(Result<(), CredentialError>),
    /// Of [`Job::Eap`].
    Eap(Turn),
    /// Of [`Job::Respond`].
    Reply(Reply),
    /// Of [`Job::DataPlane`].
    DataPlane(Result<Volume, DataPlaneError>),
    /// Of [`Job::Measure`], in the order asked for.
    Carried(Result<Vec<Carried>, DataPlaneError>),
    /// It takes another job to come to a result.
    Continued(Box<Job>),
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
    /// Where CHILD SAs are kept.
    pub data_plane: &'a dyn DataPlane,
    /// Who knows which certificates have been revoked.
    pub status: &'a dyn StatusSource,
    /// Remembers certificates' signatures.
    pub signatures: &'a dyn SignatureMemory,
}

impl Job {
    /// To be done on nobody's account: nothing is removed.
    pub(crate) const fn data_plane(batch: Vec<Operation>) -> Self {
        let account = None;
        Self::DataPlane { batch, account }
    }

    /// Whether it must be done after those handed out before and before those
    /// handed out later that are such, too.
    #[must_use]
    pub const fn is_ordered(&self) -> bool {
        matches!(self, Self::DataPlane { .. } | Self::Measure { .. })
    }

    /// Whether it waits for others, for as long as they take; it must not hold up
    /// what only computes.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Inquire(_))
    }

    /// Whether a peer's authenticator is asked, which may have to ask others: however
    /// many wait for it, what only computes must not be refused for that.
    #[must_use]
    pub const fn is_eap(&self) -> bool {
        matches!(self, Self::Eap { .. })
    }

    /// Whether it takes no longer than to wake somebody who sleeps: tens of microseconds.
    #[must_use]
    pub fn is_short(&self) -> bool {
        match self {
            Self::GenerateKey(group) | Self::Agree { group, .. } => {
                matches!(group, Group::Curve25519 | Group::Ecp256)
            }
            Self::Sign { key, .. } => {
                matches!(key.key(), SigningKey::EcdsaP256(_) | SigningKey::Ed25519(_))
            }
            Self::DataPlane { batch, .. } => {
                batch.iter().map(Operation::steps).sum::<usize>() <= SHORT_BATCH
            }
            Self::Measure { sas, .. } => sas.len() <= SHORT_BATCH,
            Self::Verify(_) | Self::Eap { .. } | Self::Respond { .. } | Self::Inquire(_) => false,
        }
    }

    /// Does the work, which takes up to some milliseconds unless it is
    /// [remote](Self::is_remote), and hands what came of it to `done`. An
    /// authenticator that asks others may do that later, from another thread; if it
    /// never will, it drops `done`.
    pub fn run(self, host: JobHost<'_>, done: impl FnOnce(JobResult) + Send + 'static) {
        let result = match self {
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
            Self::Verify(verification) => match verification.run(host) {
                Ok(None) => JobResult::Verified(Ok(())),
                Ok(Some(inquiry)) => JobResult::Continued(Box::new(Self::Inquire(inquiry))),
                Err(error) => JobResult::Verified(Err(error)),
            },
            Self::Inquire(inquiry) => JobResult::Verified(inquiry.run(host.status, host.unix_time)),
            Self::DataPlane { batch, .. } => JobResult::DataPlane(host.data_plane.apply(&batch)),
            Self::Measure { sas, .. } => JobResult::Carried(host.data_plane.carried(&sas)),
            Self::Respond { respondent, packet } => JobResult::Reply(respondent.hear(&packet)),
            Self::Eap {
                conversation,
                response,
            } => {
                let done = Box::new(|turn| done(JobResult::Eap(turn)));
                return conversation.hear(response, done);
            }
        };
        done(result);
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
    fn run(&self, host: JobHost<'_>) -> Result<Option<Inquiry>, CredentialError> {
        let credentials = Credentials {
            chain: &self.chain,
            identity: &self.identity,
            scheme: self.scheme,
            signed_octets: &self.octets,
            signature: &self.signature,
        };
        self.anchors.verify(
            &credentials,
            self.usage,
            host.unix_time,
            host.status,
            host.signatures,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::{Binding, Direction, Lineage, Tunnel};
    use crate::types::EspSpi;

    /// Where there is one CPU, everybody waits for these.
    #[test]
    fn short_are_the_curves_that_take_tens_of_microseconds() {
        let short =
            |job: fn(Group) -> Job| Group::ALL.into_iter().filter(move |it| job(*it).is_short());
        let expected = [Group::Curve25519, Group::Ecp256];
        assert!(short(Job::GenerateKey).eq(expected));
        let agree = |group| Job::Agree {
            ours: None,
            group,
            theirs: Vec::new(),
        };
        assert!(short(agree).eq(expected));
    }

    #[test]
    fn short_is_what_the_kernel_does_for_a_child_and_its_heir() {
        let measure = |sas: usize| {
            let end = "192.0.2.1:500".parse().unwrap();
            let name = EspSaName {
                direction: Direction::Inbound,
                spi: EspSpi(7),
                tunnel: Tunnel {
                    local: end,
                    remote: end,
                    in_udp: false,
                },
                lineage: Lineage(1),
                binding: Binding::default(),
            };
            let sas = alloc::vec![name; sas];
            Job::Measure { sas, account: None }
        };
        assert!(measure(SHORT_BATCH).is_short());
        assert!(!measure(SHORT_BATCH + 1).is_short());
    }
}
