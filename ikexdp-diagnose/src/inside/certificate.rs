//! A certificate as far as VPN clients look at it.

use std::net::IpAddr;

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use x509_cert::Certificate as X509;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};

use crate::printable::printable;
use crate::time::Moment;

/// What is read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Octets in DER.
    pub(super) length: usize,
    pub(super) subject: String,
    /// Common names in the subject.
    pub(super) common_names: Vec<String>,
    pub(super) issuer: String,
    pub(super) names: Vec<AlternativeName>,
    /// Extended key usages; nothing if it has no such extension.
    pub(super) usages: Option<Vec<ObjectIdentifier>>,
    pub(super) not_before: Moment,
    pub(super) not_after: Moment,
    /// For people.
    pub(super) validity: String,
    pub(super) key: Key,
    pub(super) is_authority: bool,
    /// Subject and issuer in DER, to see who vouches for whom.
    links: [Vec<u8>; 2],
}

/// A name in subjectAltName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AlternativeName {
    Dns(String),
    Address(IpAddr),
    Mail(String),
    Other(&'static str),
}

/// What kind of key it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa,
    P256,
    P384,
    P521,
    EdDsa,
    Other,
}

pub(super) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(super) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
pub(super) const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const IKE_INTERMEDIATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.8.2.2");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");

impl Certificate {
    /// Reads a certificate in DER.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = X509::from_der(der).ok()?;
        let content = certificate.tbs_certificate();
        let names = match content.get_extension::<SubjectAltName>() {
            Ok(Some((_, SubjectAltName(names)))) => names.iter().map(AlternativeName::of).collect(),
            _ => Vec::new(),
        };
        let usages = match content.get_extension::<ExtendedKeyUsage>() {
            Ok(Some((_, ExtendedKeyUsage(usages)))) => Some(usages),
            _ => None,
        };
        let authority = content.get_extension::<BasicConstraints>();
        let is_authority = matches!(authority, Ok(Some((_, BasicConstraints { ca: true, .. }))));
        let subject = content.subject();
        let common_names = subject.iter_rdn().flat_map(|part| {
            let names = part.iter().filter(|it| it.oid == COMMON_NAME);
            names.filter_map(|it| text(it.value.value()))
        });
        let validity = content.validity();
        let moment = |time: x509_cert::time::Time| {
            let nanoseconds = time.to_unix_duration().as_nanos();
            Moment(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
        };
        Some(Self {
            length: der.len(),
            subject: printable(&subject.to_string()),
            common_names: common_names.collect(),
            issuer: printable(&content.issuer().to_string()),
            names,
            usages,
            not_before: moment(validity.not_before),
            not_after: moment(validity.not_after),
            validity: format!("{} to {}", validity.not_before, validity.not_after),
            key: Key::of(&certificate),
            is_authority,
            links: [subject.to_der().ok()?, content.issuer().to_der().ok()?],
        })
    }

    pub(super) fn is_self_issued(&self) -> bool {
        let [subject, issuer] = &self.links;
        subject == issuer
    }

    /// Whether it says that it is of the owner of `other`.
    pub(super) fn is_issued_by(&self, other: &Self) -> bool {
        let ([_, issuer], [subject, _]) = (&self.links, &other.links);
        issuer == subject
    }

    pub(super) fn is_for(&self, usage: ObjectIdentifier) -> Option<bool> {
        let usages = self.usages.as_ref()?;
        Some(usages.contains(&usage) || usages.contains(&ANY_USAGE))
    }

    /// In a line, for people.
    pub(super) fn says(&self) -> String {
        let mut parts = vec![self.subject.clone()];
        if !self.is_self_issued() {
            parts.push(format!("of {}", self.issuer));
        }
        if self.is_authority {
            parts.push("an authority".to_owned());
        }
        parts.push(self.key.name().to_owned());
        if !self.names.is_empty() {
            let names: Vec<_> = self.names.iter().map(AlternativeName::says).collect();
            parts.push(format!("names: {}", names.join(" ")));
        }
        if let Some(usages) = &self.usages {
            let usages: Vec<_> = usages.iter().map(usage_name).collect();
            parts.push(format!("for: {}", usages.join(" ")));
        }
        parts.push(format!("valid: {}", self.validity));
        parts.join(", ")
    }
}

impl AlternativeName {
    fn of(name: &GeneralName) -> Self {
        match name {
            GeneralName::DnsName(name) => Self::Dns(printable(name.as_str())),
            GeneralName::Rfc822Name(name) => Self::Mail(printable(name.as_str())),
            GeneralName::IpAddress(address) => address_of(address.as_bytes())
                .map_or(Self::Other("malformed address"), Self::Address),
            GeneralName::UniformResourceIdentifier(_) => Self::Other("URI"),
            GeneralName::DirectoryName(_) => Self::Other("directory name"),
            GeneralName::OtherName(_) => Self::Other("other name, as a UPN"),
            _ => Self::Other("another kind of name"),
        }
    }

    fn says(&self) -> String {
        match self {
            Self::Dns(name) => format!("dNSName={name}"),
            Self::Address(address) => format!("iPAddress={address}"),
            Self::Mail(name) => format!("rfc822Name={name}"),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }
}

impl Key {
    fn of(certificate: &X509) -> Self {
        let algorithm = &certificate
            .tbs_certificate()
            .subject_public_key_info()
            .algorithm;
        let curve = algorithm.parameters.as_ref();
        let curve = curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        match (algorithm.oid, curve) {
            (RSA, _) => Self::Rsa,
            (EC, Some(P256)) => Self::P256,
            (EC, Some(P384)) => Self::P384,
            (EC, Some(P521)) => Self::P521,
            (ED25519 | ED448, _) => Self::EdDsa,
            _ => Self::Other,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::P256 => "ECDSA P-256",
            Self::P384 => "ECDSA P-384",
            Self::P521 => "ECDSA P-521",
            Self::EdDsa => "EdDSA",
            Self::Other => "another kind of key",
        }
    }
}

fn usage_name(usage: &ObjectIdentifier) -> String {
    match *usage {
        SERVER_AUTH => "serverAuth".to_owned(),
        CLIENT_AUTH => "clientAuth".to_owned(),
        ANY_USAGE => "anyExtendedKeyUsage".to_owned(),
        IKE_INTERMEDIATE => "ikeIntermediate".to_owned(),
        other => other.to_string(),
    }
}

fn address_of(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// The text of a string of ASN.1 in one of the usual types.
fn text(octets: &[u8]) -> Option<String> {
    std::str::from_utf8(octets).ok().map(printable)
}
