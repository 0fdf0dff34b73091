//! Certificate revocation lists (RFC 5280 §5).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use der::asn1::BitStringRef;
use der::{AnyRef, Decode, Encode, Reader, Sequence, SliceReader};
use rustls_pki_types::UnixTime;
use webpki::{BorrowedCertRevocationList, CertRevocationList, RevocationReason};
use x509_cert::ext::pkix::crl::IssuingDistributionPoint;
use x509_cert::time::Time;

use super::TrustAnchors;
use super::path::{Issued, Issuer, Signed, addresses, has_signed, sequence};
use super::revocation::{Moment, Revoked, Status, Unknown};
use crate::identity::Identity;

/// How far the clock of whoever signed something may be ahead of ours.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// What an authority has revoked.
#[derive(Clone, Debug)]
pub struct RevocationList {
    /// The content of the authority's name.
    issuer: Vec<u8>,
    signed: Signed,
    /// Whose signature this is, if that was looked at: with a long list it takes
    /// a while.
    signer: Option<Issuer>,
    this_update: UnixTime,
    next_update: UnixTime,
    /// Which certificates it is about, if not all.
    scope: Option<Scope>,
    /// Sorted by serial number.
    revoked: Vec<(Vec<u8>, Revoked)>,
}

#[derive(Clone, Debug)]
struct Scope {
    only_leaves: bool,
    only_authorities: bool,
    points: Vec<String>,
}

/// A SEQUENCE that is signed, as every one of X.509.
#[derive(Sequence)]
struct Envelope<'a> {
    content: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

/// Who made a revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// One of the authorities that are trusted.
    Anchor,
    /// Somebody of the same name as one of them.
    Namesake,
    /// Nobody of them; perhaps an authority below.
    Elsewhere,
}

/// Why something is no revocation list that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationListError {
    /// It cannot be read.
    Unreadable,
    /// It is about what has changed since another one.
    Delta,
    /// It is about certificates of other authorities, too.
    Indirect,
    /// It has something rarer that is not understood.
    Unsupported(webpki::Error),
}

impl RevocationList {
    /// Reads a list in DER.
    ///
    /// # Errors
    /// [`RevocationListError`] if it is none that can be used.
    pub fn from_der(encoded: &[u8]) -> Result<Self, RevocationListError> {
        let list = BorrowedCertRevocationList::from_der(encoded)?;
        let mut revoked = Vec::new();
        for entry in &list {
            let entry = entry?;
            let since = entry.revocation_date;
            let reason = entry.reason_code.map(reason);
            revoked.push((entry.serial_number.to_vec(), Revoked { since, reason }));
        }
        revoked.sort_by(|(a, _), (b, _)| a.cmp(b));
        let list = CertRevocationList::from(list);
        let scope = match list.issuing_distribution_point() {
            Some(content) => Some(Scope::from_der(content)?),
            None => None,
        };
        let (signed, [this_update, next_update]) = read(encoded)?;
        Ok(Self {
            issuer: list.issuer().to_vec(),
            signed,
            signer: None,
            this_update,
            next_update,
            scope,
            revoked,
        })
    }

    /// Looks for whoever made it among `anchors`, and notes that, so that the
    /// signature need not be looked at again.
    pub fn find_signer(&mut self, anchors: &TrustAnchors) -> Signer {
        let issuers = anchors.anchors.iter().map(Issuer::of_anchor);
        let mut signer = Signer::Elsewhere;
        for issuer in issuers.filter(|issuer| issuer.name() == self.issuer) {
            if self.is_of(&issuer) {
                self.signer = Some(issuer);
                return Signer::Anchor;
            }
            signer = Signer::Namesake;
        }
        signer
    }

    /// The list, if it is of `issuer`.
    #[must_use]
    pub fn of(mut self, issuer: &Issuer) -> Option<Self> {
        if !self.is_of(issuer) {
            return None;
        }
        self.signer = Some(issuer.clone());
        Some(self)
    }

    /// Whether `issuer` has made it.
    pub(super) fn is_of(&self, issuer: &Issuer) -> bool {
        self.issuer == issuer.name()
            && issuer.signs_lists
            && (self.signer.as_ref() == Some(issuer)
                || has_signed(issuer.public_key(), &self.signed))
    }

    /// When there will be a newer one, and this one no longer counts.
    #[must_use]
    pub const fn next_update(&self) -> UnixTime {
        self.next_update
    }

    /// When it was made.
    #[must_use]
    pub const fn this_update(&self) -> UnixTime {
        self.this_update
    }

    /// Octets that it takes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        const ENTRY: usize = size_of::<(Vec<u8>, Revoked)>() + 32;
        let entries = self.revoked.len().saturating_mul(ENTRY);
        self.signed.octets.len().saturating_add(entries)
    }

    /// Whether it is about certificates such as `issued` (RFC 5280 §5.2.5).
    #[must_use]
    pub fn is_about(&self, issued: &Issued) -> bool {
        let Some(scope) = &self.scope else {
            return true;
        };
        let of_this_kind = if issued.is_authority {
            !scope.only_leaves
        } else {
            !scope.only_authorities
        };
        let here = |point| scope.points.contains(point);
        of_this_kind && (issued.points.is_empty() || issued.points.iter().any(here))
    }

    /// What it says at `now` of a certificate that it is about. Who is in a list is
    /// revoked even if the list is old.
    #[must_use]
    pub fn status(&self, issued: &Issued, now: UnixTime) -> Status {
        let place = self
            .revoked
            .binary_search_by(|(serial, _)| serial.cmp(&issued.serial));
        if let Some((_, revoked)) = place.ok().and_then(|place| self.revoked.get(place)) {
            return Status::Revoked(*revoked);
        }
        // One of several lists, and nothing says that it is the one.
        let scope = self.scope.as_ref();
        if issued.points.is_empty() && scope.is_some_and(|scope| !scope.points.is_empty()) {
            return Status::Unknown(Unknown::NoSource);
        }
        currency(self.this_update, Some(self.next_update), now)
    }
}

/// What is good by the word of somebody who gave it at `this_update`.
pub(super) fn currency(
    this_update: UnixTime,
    next_update: Option<UnixTime>,
    now: UnixTime,
) -> Status {
    match next_update {
        Some(until) if now >= until => Status::Unknown(Unknown::Expired(until)),
        _ if this_update.as_secs() > now.as_secs().saturating_add(CLOCK_SKEW.as_secs()) => {
            Status::Unknown(Unknown::Early(this_update))
        }
        _ => Status::Good,
    }
}

/// The signature of a list, and its times.
fn read(encoded: &[u8]) -> Result<(Signed, [UnixTime; 2]), der::Error> {
    let envelope = Envelope::from_der(encoded)?;
    let signed = Signed {
        octets: envelope.content.to_der()?,
        algorithm: envelope.algorithm.value().to_vec(),
        signature: envelope.signature.raw_bytes().to_vec(),
    };
    let mut content = SliceReader::new(envelope.content.value())?;
    for _ in ["version", "signature", "issuer"] {
        AnyRef::decode(&mut content)?;
    }
    let times = [Time::decode(&mut content)?, Time::decode(&mut content)?];
    let times = times.map(|time| UnixTime::since_unix_epoch(time.to_unix_duration()));
    // What follows has been read by webpki.
    content.read_slice(content.remaining_len())?;
    Ok((signed, times))
}

impl Scope {
    fn from_der(content: &[u8]) -> Result<Self, der::Error> {
        let point = IssuingDistributionPoint::from_der(content)?;
        Ok(Self {
            only_leaves: point.only_contains_user_certs,
            only_authorities: point.only_contains_ca_certs,
            points: point
                .distribution_point
                .iter()
                .flat_map(addresses)
                .collect(),
        })
    }
}

/// RFC 5280 §5.3.1.
const fn reason(code: RevocationReason) -> &'static str {
    match code {
        RevocationReason::Unspecified => "unspecified",
        RevocationReason::KeyCompromise => "keyCompromise",
        RevocationReason::CaCompromise => "cACompromise",
        RevocationReason::AffiliationChanged => "affiliationChanged",
        RevocationReason::Superseded => "superseded",
        RevocationReason::CessationOfOperation => "cessationOfOperation",
        RevocationReason::CertificateHold => "certificateHold",
        RevocationReason::RemoveFromCrl => "removeFromCRL",
        RevocationReason::PrivilegeWithdrawn => "privilegeWithdrawn",
        RevocationReason::AaCompromise => "aACompromise",
    }
}

impl From<webpki::Error> for RevocationListError {
    fn from(error: webpki::Error) -> Self {
        match error {
            webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
                Self::Unreadable
            }
            webpki::Error::UnsupportedDeltaCrl => Self::Delta,
            webpki::Error::UnsupportedIndirectCrl => Self::Indirect,
            other => Self::Unsupported(other),
        }
    }
}

impl From<der::Error> for RevocationListError {
    fn from(_: der::Error) -> Self {
        Self::Unreadable
    }
}

impl fmt::Display for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = Identity::DistinguishedName(sequence(&self.issuer));
        write!(f, "{issuer} (until {})", Moment(self.next_update))
    }
}

impl fmt::Display for RevocationListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("not a certificate revocation list"),
            Self::Delta => f.write_str("a delta list, which needs another one"),
            Self::Indirect => f.write_str("a list for other authorities as well"),
            Self::Unsupported(error) => {
                write!(f, "a revocation list of a kind that is not taken: {error}")
            }
        }
    }
}

impl core::error::Error for RevocationListError {}
