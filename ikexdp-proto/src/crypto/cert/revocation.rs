//! Whether certificates have been revoked, and what follows from that.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use der::DateTime;
use rustls_pki_types::UnixTime;

use super::CredentialError;
use super::crl::RevocationList;
use super::path::Issued;

/// How it is found out whether the certificates of peers have been revoked.
#[derive(Clone, Debug, Default)]
pub struct Revocation {
    /// What follows from it.
    pub policy: RevocationPolicy,
    /// Lists at hand.
    pub lists: Vec<Arc<RevocationList>>,
    /// Whether those that a certificate names are asked where no list at hand says
    /// anything.
    pub fetch: bool,
}

/// Who is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevocationPolicy {
    /// Nobody: it is not looked at.
    #[default]
    Off,
    /// Whose certificate is known to be revoked.
    Relaxed,
    /// Whose certificate is not known to be good.
    Strict,
}

/// Whether a certificate is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is not.
    Good,
    /// It is.
    Revoked(Revoked),
    /// Nobody says.
    Unknown(Unknown),
}

/// When and why a certificate was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub since: UnixTime,
    /// Why, by its name in RFC 5280 §5.3.1.
    pub reason: Option<&'static str>,
}

/// Why it is not known whether a certificate is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No list of its issuer is at hand, and nobody can be asked.
    NoSource,
    /// The newest list or answer counted until then.
    Expired(UnixTime),
    /// The newest list or answer is of a later time, by our clock.
    Early(UnixTime),
    /// Nobody who was asked gave an answer that stands.
    NoAnswer,
    /// The responder does not know the certificate.
    Responder,
}

/// Knows, or finds out, whether certificates have been revoked.
pub trait StatusSource: fmt::Debug + Send + Sync {
    /// What is known of `issued` without asking anybody; `None` if it takes that.
    fn known(&self, issued: &Issued, now: UnixTime) -> Option<Status>;

    /// Asks those that `issued` names, which may take seconds.
    fn ask(&self, issued: &Issued, now: UnixTime) -> Status;
}

/// Knows nothing, and has nobody to ask.
#[derive(Clone, Copy, Debug)]
pub struct NoStatusSource;

/// What is still to be asked about a peer that is who it says.
#[derive(Debug)]
pub struct Inquiry {
    policy: RevocationPolicy,
    about: Vec<Issued>,
}

impl Revocation {
    /// Looks at each certificate of `path`; what has to be asked about is left.
    pub(super) fn examine(
        &self,
        path: Vec<Issued>,
        source: &dyn StatusSource,
        now: UnixTime,
    ) -> Result<Option<Inquiry>, CredentialError> {
        let policy = self.policy;
        let mut about = Vec::new();
        for issued in path {
            let status = match self.listed(&issued, now) {
                Status::Unknown(_) if self.fetch => source.known(&issued, now),
                status => Some(status),
            };
            match status {
                Some(status) => policy.judge(&issued, status)?,
                None => about.push(issued),
            }
        }
        Ok((!about.is_empty()).then_some(Inquiry { policy, about }))
    }

    /// What the newest list at hand says that is of its issuer, and about it.
    fn listed(&self, issued: &Issued, now: UnixTime) -> Status {
        let lists = self.lists.iter();
        let fitting = lists.filter(|list| list.is_about(issued) && list.is_of(&issued.issuer));
        fitting
            .max_by_key(|list| list.this_update())
            .map_or(Status::Unknown(Unknown::NoSource), |list| {
                list.status(issued, now)
            })
    }
}

impl RevocationPolicy {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Off, Self::Relaxed, Self::Strict];

    fn judge(self, issued: &Issued, status: Status) -> Result<(), CredentialError> {
        let subject = || issued.subject.clone();
        match (self, status) {
            (Self::Off, _) | (_, Status::Good) | (Self::Relaxed, Status::Unknown(_)) => Ok(()),
            (_, Status::Revoked(revoked)) => Err(CredentialError::Revoked {
                subject: subject(),
                revoked,
            }),
            (Self::Strict, Status::Unknown(why)) => Err(CredentialError::StatusUnknown {
                subject: subject(),
                why,
            }),
        }
    }
}

impl Inquiry {
    /// Asks `source` about each certificate.
    ///
    /// # Errors
    /// [`CredentialError`] if one is revoked, or it is not known and has to be.
    pub fn run(&self, source: &dyn StatusSource, now: UnixTime) -> Result<(), CredentialError> {
        let mut about = self.about.iter();
        about.try_for_each(|issued| self.policy.judge(issued, source.ask(issued, now)))
    }
}

impl StatusSource for NoStatusSource {
    fn known(&self, _: &Issued, _: UnixTime) -> Option<Status> {
        Some(Status::Unknown(Unknown::NoSource))
    }

    fn ask(&self, _: &Issued, _: UnixTime) -> Status {
        Status::Unknown(Unknown::NoSource)
    }
}

impl fmt::Display for RevocationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Relaxed => "relaxed",
            Self::Strict => "strict",
        })
    }
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revoked since {}", Moment(self.since))?;
        match self.reason {
            Some(reason) => write!(f, ", {reason}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSource => f.write_str("no revocation list of its issuer, and nobody to ask"),
            Self::Expired(until) => write!(
                f,
                "the newest word of its issuer counted until {}",
                Moment(*until)
            ),
            Self::Early(from) => write!(f, "the newest word of its issuer is of {}", Moment(*from)),
            Self::NoAnswer => f.write_str("nobody whom it names gave an answer that stands"),
            Self::Responder => f.write_str("the responder does not know it"),
        }
    }
}

/// A time, for people.
pub(super) struct Moment(pub(super) UnixTime);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = core::time::Duration::from_secs(self.0.as_secs());
        match DateTime::from_unix_duration(since_epoch) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => f.write_str("a time that is none"),
        }
    }
}
