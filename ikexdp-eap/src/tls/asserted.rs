//! The names a certificate asserts, and whether a peer has one of them.

use der::asn1::ObjectIdentifier;
use der::{Any, Decode, Tag, Tagged};
use ikexdp_proto::crypto::cert::CredentialError;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::name::PeerName;

/// The name of a user in Active Directory, an otherName of Microsoft's.
const USER_PRINCIPAL_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// RFC 5280 §4.1.2.4.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The user that the holder of a certificate is: as the certificate spells it, so
/// that nobody is two users. Who gives no name is the first that is asserted.
pub(super) fn user(certificate: &[u8], name: &PeerName) -> Result<String, CredentialError> {
    let certificate = Certificate::from_der(certificate).map_err(|_| CredentialError::Malformed)?;
    let mut names = asserted_names(&certificate);
    let place = if name.is_anonymous() {
        (!names.is_empty()).then_some(0)
    } else {
        names.iter().position(|asserted| asserted.is(name.as_str()))
    };
    match place {
        Some(place) => Ok(names.swap_remove(place).into_text()),
        None => Err(CredentialError::WrongName(
            names.into_iter().map(AssertedName::into_text).collect(),
        )),
    }
}

/// A name of somebody, not of many.
#[derive(Debug)]
enum AssertedName {
    Host(String),
    Email(String),
    PrincipalName(String),
    /// What Windows is called if the certificate has no principal name.
    CommonName(String),
}

impl AssertedName {
    /// The host of a mail address knows no case, what is before it may
    /// (RFC 5280 §7.5).
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Host(text) => text.eq_ignore_ascii_case(name),
            Self::PrincipalName(text) | Self::CommonName(text) => {
                text.to_lowercase() == name.to_lowercase()
            }
            Self::Email(text) => match (text.rsplit_once('@'), name.rsplit_once('@')) {
                (Some((user, host)), Some((given, at))) => {
                    user == given && host.eq_ignore_ascii_case(at)
                }
                _ => text == name,
            },
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Host(text)
            | Self::Email(text)
            | Self::PrincipalName(text)
            | Self::CommonName(text) => text,
        }
    }
}

/// Alternative names as they come, then common names. What cannot be a name that
/// a peer gives, or be printed, is none.
fn asserted_names(certificate: &Certificate) -> Vec<AssertedName> {
    let content = certificate.tbs_certificate();
    let alternatives = match content.get_extension() {
        Ok(Some((_, SubjectAltName(names)))) => names,
        _ => Vec::new(),
    };
    let alternatives = alternatives.into_iter().filter_map(|name| match name {
        GeneralName::DnsName(host) => printable(host.as_bytes()).map(AssertedName::Host),
        GeneralName::Rfc822Name(email) => printable(email.as_bytes()).map(AssertedName::Email),
        GeneralName::OtherName(other) if other.type_id == USER_PRINCIPAL_NAME => {
            text(&other.value).map(AssertedName::PrincipalName)
        }
        _ => None,
    });
    let attributes = content.subject().iter();
    let common_names = attributes
        .filter(|attribute| attribute.oid == COMMON_NAME)
        .filter_map(|attribute| text(&attribute.value).map(AssertedName::CommonName));
    alternatives.chain(common_names).collect()
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => printable(value.value()),
        _ => None,
    }
}

/// A wildcard names many.
fn printable(octets: &[u8]) -> Option<String> {
    let name = PeerName::decode(octets).ok()?;
    let names_one = !name.is_anonymous() && !name.as_str().starts_with("*.");
    names_one.then(|| name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, OtherNameValue, SanType};

    const UPN_OID: [u64; 10] = [1, 3, 6, 1, 4, 1, 311, 20, 2, 3];

    fn host(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn email(name: &str) -> SanType {
        SanType::Rfc822Name(name.try_into().unwrap())
    }

    fn principal(name: &str) -> SanType {
        SanType::OtherName((UPN_OID.to_vec(), OtherNameValue::Utf8String(name.into())))
    }

    fn certificate(common_name: Option<&str>, names: &[SanType]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names.to_vec();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn user_of(certificate: &[u8], name: &str) -> Result<String, CredentialError> {
        user(certificate, &PeerName::decode(name.as_bytes()).unwrap())
    }

    #[test]
    fn who_has_a_name_of_the_certificate_is_that_user() {
        let names = [
            email("Alice@Example.com"),
            host("laptop.example.com"),
            principal("alice.b@corp.example"),
        ];
        let certificate = certificate(Some("Alice B"), &names);
        for (given, user) in [
            ("Alice@Example.com", Some("Alice@Example.com")),
            ("Alice@example.COM", Some("Alice@Example.com")),
            ("alice@example.com", None),
            ("LAPTOP.example.com", Some("laptop.example.com")),
            ("Alice.B@corp.example", Some("alice.b@corp.example")),
            ("alice b", Some("Alice B")),
            ("alice", None),
            ("bob@example.com", None),
            ("example.com", None),
        ] {
            assert_eq!(
                user_of(&certificate, given).ok().as_deref(),
                user,
                "{given}"
            );
        }
    }

    #[test]
    fn who_gives_no_name_has_the_first_one() {
        let both = certificate(
            Some("Alice B"),
            &[host("*.example.com"), email("a@b.example")],
        );
        let common = certificate(Some("Alice B"), &[]);
        let none = certificate(None, &[]);
        for anonymous in ["", "@example.com", "anonymous@example.com"] {
            assert_eq!(user_of(&both, anonymous), Ok("a@b.example".to_owned()));
            assert_eq!(user_of(&common, anonymous), Ok("Alice B".to_owned()));
            assert_eq!(
                user_of(&none, anonymous),
                Err(CredentialError::WrongName(Vec::new()))
            );
        }
    }

    #[test]
    fn the_operator_is_told_which_names_there_are() {
        let certificate = certificate(Some("Alice B"), &[email("a@b.example")]);
        let names = vec!["a@b.example".to_owned(), "Alice B".to_owned()];
        assert_eq!(
            user_of(&certificate, "bob"),
            Err(CredentialError::WrongName(names))
        );
    }

    #[test]
    fn what_cannot_be_somebody_is_no_name() {
        for name in ["*.example.com", "", "@example.com"] {
            let certificate = certificate(None, &[host(name), principal(name)]);
            assert!(user_of(&certificate, name).is_err(), "{name}");
        }
        for name in ["a\nb", "anonymous@example.com"] {
            let certificate = certificate(Some(name), &[principal(name)]);
            assert!(user_of(&certificate, "").is_err(), "{name}");
        }
    }
}
