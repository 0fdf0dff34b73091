//! We prove who we are.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Claimant;
use super::eap::Applicant;
use crate::config::Credential;
use crate::crypto::CryptoError;
use crate::crypto::cert::CertifiedKey;
use crate::crypto::scheme::SignatureScheme;
use crate::event::FailureReason;
use crate::job::Job;
use crate::sa::channel::Channel;
use crate::sa::context::Progress;
use crate::sa::installing::Proof;
use crate::sa::{Context, Core, State};

/// Our signature is being made.
#[derive(Debug)]
pub(in crate::sa) struct Signing {
    purpose: Purpose,
    key: Arc<CertifiedKey>,
    scheme: SignatureScheme,
}

/// Why we prove who we are.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The peer has done so.
    Answer(Box<Claimant>),
    /// So that the peer will do so by EAP.
    Open(Box<Applicant>),
}

impl Signing {
    pub(in crate::sa) fn channel(&self) -> &Channel {
        &self.purpose.claimant().channel
    }

    pub(in crate::sa) fn channel_mut(&mut self) -> &mut Channel {
        &mut self.purpose.claimant_mut().channel
    }

    pub(in crate::sa) fn progress(&self) -> Progress<'_> {
        self.purpose.claimant().progress()
    }

    pub(in crate::sa) fn handle_signature(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        result: Result<Vec<u8>, CryptoError>,
    ) -> State {
        let identifier = self.scheme.to_der();
        let (Ok(signature), Ok(identifier)) = (result, identifier) else {
            return self.purpose.fail(cx, core, FailureReason::OwnKey);
        };
        let proof = Proof::Signature {
            key: self.key,
            method: self.scheme.method(),
            identifier,
            signature,
        };
        self.purpose.proved(cx, core, proof)
    }

    pub(in crate::sa) fn handle_abandoned(self, cx: &mut Context<'_>, core: &Core) -> State {
        self.purpose.fail(cx, core, FailureReason::JobAbandoned)
    }
}

impl Purpose {
    const fn claimant(&self) -> &Claimant {
        match self {
            Self::Answer(claimant) => claimant,
            Self::Open(applicant) => applicant.claimant(),
        }
    }

    const fn claimant_mut(&mut self) -> &mut Claimant {
        match self {
            Self::Answer(claimant) => claimant,
            Self::Open(applicant) => applicant.claimant_mut(),
        }
    }

    pub(super) fn prove_ourselves(self, cx: &mut Context<'_>, core: &Core) -> State {
        let claimant = self.claimant();
        let connection = &claimant.connection;
        let octets = claimant.own_octets();
        match &connection.credential {
            Credential::SharedKey(key) => {
                let mic = claimant.channel.keys.shared_key_auth(key, &octets);
                self.proved(cx, core, Proof::SharedKey(mic))
            }
            // By EAP an initiator proves who it is; as the responder we have nothing to show.
            Credential::Certificates(_) | Credential::Eap(_) => {
                let Some((key, scheme)) = claimant.ours.certified.clone() else {
                    return self.fail(cx, core, FailureReason::NoSignatureHash);
                };
                let sign = Job::Sign {
                    key: Arc::clone(&key),
                    scheme,
                    octets,
                };
                cx.job(core.id, sign);
                State::Signing(Box::new(Signing {
                    purpose: self,
                    key,
                    scheme,
                }))
            }
        }
    }

    /// We have something to show.
    fn proved(self, cx: &mut Context<'_>, core: &Core, proof: Proof) -> State {
        match self {
            Self::Answer(claimant) => claimant.establish(cx, core, proof),
            Self::Open(applicant) => applicant.open(cx, core, Some(&proof)),
        }
    }

    fn fail(self, cx: &mut Context<'_>, core: &Core, reason: FailureReason) -> State {
        match self {
            Self::Answer(claimant) => claimant.fail(cx, core, reason),
            Self::Open(applicant) => applicant.fail(cx, core, reason),
        }
    }
}
