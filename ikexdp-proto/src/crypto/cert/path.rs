//! The certificates of a path, each with who issued it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use der::asn1::ObjectIdentifier;
use der::{AnyRef, Decode, Encode, Tag};
use rustls_pki_types::{SubjectPublicKeyInfoDer, TrustAnchor};
use webpki::{Cert, EndEntityCert, RawPublicKeyEntity, VerifiedPath};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, CrlDistributionPoints, KeyUsage, KeyUsages, NameConstraints,
};

use super::CredentialError;
use super::algorithm::OF_CERTIFICATES;
use crate::identity::Identity;
use crate::limits::{STATUS_ADDRESS_LEN_MAX, STATUS_ADDRESSES_MAX};

/// A certificate on a path that has been verified, and who issued it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its issuer.
    pub issuer: Issuer,
    /// Its serial number: the content of the INTEGER.
    pub serial: Vec<u8>,
    /// Its subject, for people.
    pub subject: String,
    /// Whether it is an authority's.
    pub is_authority: bool,
    /// Where lists of what its issuer has revoked can be had, by HTTP.
    pub lists: Vec<String>,
    /// Who can be asked whether it is revoked, by HTTP (RFC 6960).
    pub responders: Vec<String>,
    /// The names of every distribution point, by whatever they are reached.
    pub(super) points: Vec<String>,
}

/// An authority that has issued something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issuer {
    /// The content of its name.
    name: Vec<u8>,
    /// Its SubjectPublicKeyInfo.
    public_key: Vec<u8>,
    /// Whether its key may sign revocation lists (RFC 5280 §4.2.1.3).
    pub(super) signs_lists: bool,
}

/// Octets, and a signature over them as certificates and the like have it.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) octets: Vec<u8>,
    /// The content of the AlgorithmIdentifier.
    pub(super) algorithm: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Issuer {
    /// An authority that we trust.
    pub(super) fn of_anchor(anchor: &TrustAnchor<'_>) -> Self {
        Self {
            name: anchor.subject.to_vec(),
            public_key: sequence(&anchor.subject_public_key_info),
            // An anchor is a name and a key; what else its certificate says
            // binds nobody (RFC 5280 §6.1.1).
            signs_lists: true,
        }
    }

    fn of_intermediate(certificate: &Cert<'_>, parsed: &Certificate) -> Self {
        let usage = parsed.tbs_certificate().get_extension::<KeyUsage>();
        Self {
            name: certificate.subject().to_vec(),
            public_key: certificate.subject_public_key_info().to_vec(),
            signs_lists: match usage {
                Ok(usage) => {
                    usage.is_none_or(|(_, KeyUsage(usage))| usage.contains(KeyUsages::CRLSign))
                }
                Err(_) => false,
            },
        }
    }

    /// The content of its name in DER.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its SubjectPublicKeyInfo in DER.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

/// Whether the owner of `public_key`, a SubjectPublicKeyInfo, signed `signed`.
pub(super) fn has_signed(public_key: &[u8], signed: &Signed) -> bool {
    let public_key = SubjectPublicKeyInfoDer::from(public_key);
    let Ok(key) = RawPublicKeyEntity::try_from(&public_key) else {
        return false;
    };
    // An algorithm does not tell the curve: each is tried until one goes with the
    // key.
    let mut algorithms = OF_CERTIFICATES
        .iter()
        .filter(|it| it.signature_alg_id().as_ref() == signed.algorithm);
    algorithms.any(|algorithm| {
        key.verify_signature(*algorithm, &signed.octets, &signed.signature)
            .is_ok()
    })
}

/// Every certificate of `path`, the leaf first; the anchor is trusted as it is.
pub(super) fn certificates(path: &VerifiedPath<'_>) -> Result<Vec<Issued>, CredentialError> {
    let leaf: &EndEntityCert<'_> = path.end_entity();
    let certificates: Vec<&Cert<'_>> = core::iter::once::<&Cert<'_>>(leaf)
        .chain(path.intermediate_certificates())
        .collect();
    let parsed: Vec<Certificate> = certificates
        .iter()
        .map(|certificate| Certificate::from_der(&certificate.der()))
        .collect::<Result<_, _>>()
        .map_err(|_| CredentialError::Malformed)?;
    let intermediates = certificates.iter().zip(&parsed).skip(1);
    let issuers = intermediates
        .map(|(certificate, parsed)| Issuer::of_intermediate(certificate, parsed))
        .chain(core::iter::once(Issuer::of_anchor(path.anchor())));
    let issued = certificates.iter().zip(&parsed).zip(issuers).enumerate();
    let issued = issued.map(|(place, ((certificate, parsed), issuer))| Issued {
        issuer,
        serial: certificate.serial().to_vec(),
        subject: Identity::DistinguishedName(sequence(certificate.subject())).to_string(),
        is_authority: place > 0,
        lists: reachable(distribution_points(parsed)),
        responders: reachable(responders(parsed)),
        points: distribution_points(parsed),
    });
    Ok(issued.collect())
}

/// Whether an authority on `path` may vouch for mail addresses of some domains
/// only, and the leaf has one in its subject: such a name is bound as well
/// (RFC 5280 §4.2.1.10), which webpki sees to only for alternative names.
pub(super) fn breaks_constraints(path: &VerifiedPath<'_>, leaf: &Certificate) -> bool {
    const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
    let mut attributes = leaf.tbs_certificate().subject().iter();
    if !attributes.any(|attribute| attribute.oid == EMAIL_ADDRESS) {
        return false;
    }
    let of_anchor = path.anchor().name_constraints.as_ref();
    let of_anchor = of_anchor.map(|content| NameConstraints::from_der(&sequence(content)));
    let of_intermediates = path.intermediate_certificates().filter_map(|certificate| {
        let certificate = Certificate::from_der(&certificate.der());
        match certificate.map(|it| it.tbs_certificate().get_extension::<NameConstraints>()) {
            Ok(Ok(constraints)) => constraints.map(|(_, constraints)| Ok(constraints)),
            Ok(Err(error)) | Err(error) => Some(Err(error)),
        }
    });
    let mut constraints = of_anchor.into_iter().chain(of_intermediates);
    // One that cannot be read may be about anything.
    constraints.any(|constraints| constraints.as_ref().map_or(true, is_about_mail))
}

fn is_about_mail(constraints: &NameConstraints) -> bool {
    let subtrees = [
        &constraints.permitted_subtrees,
        &constraints.excluded_subtrees,
    ];
    let mut subtrees = subtrees.into_iter().flatten().flatten();
    subtrees.any(|subtree| matches!(subtree.base, GeneralName::Rfc822Name(_)))
}

/// The distribution points for which `certificate` says that whoever issued it
/// lists all reasons there (RFC 5280 §4.2.1.13).
fn distribution_points(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, CrlDistributionPoints(points)))) =
        certificate.tbs_certificate().get_extension()
    else {
        return Vec::new();
    };
    let whole = points
        .into_iter()
        .filter(|point| point.reasons.is_none() && point.crl_issuer.is_none());
    whole
        .filter_map(|point| point.distribution_point)
        .flat_map(|name| addresses(&name))
        .collect()
}

/// The addresses in the name of a distribution point.
pub(super) fn addresses(name: &DistributionPointName) -> Vec<String> {
    let DistributionPointName::FullName(names) = name else {
        return Vec::new();
    };
    names.iter().filter_map(address).collect()
}

fn responders(certificate: &Certificate) -> Vec<String> {
    const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
    let Ok(Some((_, AuthorityInfoAccessSyntax(ways)))) =
        certificate.tbs_certificate().get_extension()
    else {
        return Vec::new();
    };
    let ways = ways.iter().filter(|way| way.access_method == OCSP);
    ways.filter_map(|way| address(&way.access_location))
        .collect()
}

fn address(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(address) => Some(address.to_string()),
        _ => None,
    }
}

/// Those of `addresses` that are HTTP's: what is there is signed, and to have it
/// by HTTPS would need another certificate to be checked (RFC 5280 §8).
fn reachable(addresses: Vec<String>) -> Vec<String> {
    let is_http = |address: &String| {
        let scheme = address.get(..7).unwrap_or_default();
        scheme.eq_ignore_ascii_case("http://") && address.len() <= STATUS_ADDRESS_LEN_MAX
    };
    let addresses = addresses.into_iter().filter(is_http);
    addresses.take(STATUS_ADDRESSES_MAX).collect()
}

/// A SEQUENCE with this content.
pub(super) fn sequence(content: &[u8]) -> Vec<u8> {
    AnyRef::new(Tag::Sequence, content)
        .and_then(|any| any.to_der())
        .unwrap_or_default()
}
