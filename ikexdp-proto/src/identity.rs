//! Identities: what an ID payload names (RFC 7296 §3.5), as people write it and
//! as a certificate asserts it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use der::{Any, Decode, Encode, Tag, Tagged};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{Name, RelativeDistinguishedName};

use crate::error::{Fault, Malformed};
use crate::wire::iana::IdType;

/// Who somebody says they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// A host name; kept in lower case.
    Fqdn(String),
    /// A mail address; its host is kept in lower case.
    Email(String),
    /// A distinguished name in DER.
    DistinguishedName(Vec<u8>),
    /// Octets that only the two sides understand.
    KeyId(Vec<u8>),
    /// The name of a user, as EAP has it, that is no mail address; in lower case. In no
    /// ID payload.
    User(String),
    /// A kind of identity we have no name for.
    Other(IdType, Vec<u8>),
}

impl Identity {
    /// Reads the type and the data of an ID payload.
    ///
    /// # Errors
    /// [`Malformed`] if an address has the wrong length or a name is not
    /// printable text.
    pub fn decode(kind: IdType, data: &[u8]) -> Result<Self, Malformed> {
        let malformed = Malformed {
            field: "identification data",
            fault: Fault::Value,
        };
        let text = || match core::str::from_utf8(data) {
            Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text),
            _ => Err(malformed),
        };
        Ok(match kind {
            IdType::IPV4_ADDR => {
                let octets: [u8; 4] = data.try_into().map_err(|_| malformed)?;
                Self::Address(Ipv4Addr::from(octets).into())
            }
            IdType::IPV6_ADDR => {
                let octets: [u8; 16] = data.try_into().map_err(|_| malformed)?;
                Self::Address(Ipv6Addr::from(octets).into())
            }
            IdType::FQDN => Self::Fqdn(text()?.to_ascii_lowercase()),
            IdType::RFC822_ADDR => Self::Email(match text()?.rsplit_once('@') {
                // RFC 5280 §7.5: what is before the @ is the host's business.
                Some((user, host)) => format!("{user}@{}", host.to_ascii_lowercase()),
                None => text()?.to_string(),
            }),
            IdType::DER_ASN1_DN => Self::DistinguishedName(data.to_vec()),
            IdType::KEY_ID => Self::KeyId(data.to_vec()),
            other => Self::Other(other, data.to_vec()),
        })
    }

    /// The user that goes by `name` in EAP: a mail address if it looks like one.
    #[must_use]
    pub fn of_user(name: &str) -> Self {
        match name.parse() {
            Ok(email @ Self::Email(_)) => email,
            // No name breaks a line, and users write theirs as they like.
            _ => {
                let name = name.replace(char::is_control, "\u{fffd}");
                Self::User(name.to_ascii_lowercase())
            }
        }
    }

    /// The type in an ID payload; a user's name, which is in none, counts as one
    /// that only the two sides understand.
    #[must_use]
    pub const fn kind(&self) -> IdType {
        match self {
            Self::Address(IpAddr::V4(_)) => IdType::IPV4_ADDR,
            Self::Address(IpAddr::V6(_)) => IdType::IPV6_ADDR,
            Self::Fqdn(_) => IdType::FQDN,
            Self::Email(_) => IdType::RFC822_ADDR,
            Self::DistinguishedName(_) => IdType::DER_ASN1_DN,
            Self::KeyId(_) | Self::User(_) => IdType::KEY_ID,
            Self::Other(kind, _) => *kind,
        }
    }

    /// The data in an ID payload.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Self::Address(IpAddr::V6(address)) => address.octets().to_vec(),
            Self::Fqdn(name) | Self::Email(name) | Self::User(name) => name.as_bytes().to_vec(),
            Self::DistinguishedName(octets) | Self::KeyId(octets) | Self::Other(_, octets) => {
                octets.clone()
            }
        }
    }

    /// Whether both name the same. A distinguished name can be written in more
    /// than one way, so `==` is not enough.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::DistinguishedName(ours), Self::DistinguishedName(theirs)) => {
                match (Name::from_der(ours), Name::from_der(theirs)) {
                    (Ok(ours), Ok(theirs)) => same_name(&ours, &theirs),
                    _ => false,
                }
            }
            _ => self == other,
        }
    }

    /// Whether `certificate` asserts this identity (RFC 4945 §5.1.2, §5.1.3).
    ///
    /// A name is looked for in the subjectAltName only: a common name says
    /// nothing about what kind of name it is. A KEY_ID is in no certificate.
    #[must_use]
    pub fn is_asserted_by(&self, certificate: &Certificate) -> bool {
        let mut names = asserted_names(certificate).into_iter();
        names.any(|name| name.is_same_as(self))
    }
}

/// Every name a certificate asserts, the subject last. Without a subject it has
/// alternative names only (RFC 5280 §4.1.2.6).
pub(crate) fn asserted_names(certificate: &Certificate) -> Vec<Identity> {
    let mut names = alternative_names(certificate);
    let subject = certificate.tbs_certificate().subject();
    if let (false, Ok(octets)) = (subject.is_empty(), subject.to_der()) {
        names.push(Identity::DistinguishedName(octets));
    }
    names
}

fn alternative_names(certificate: &Certificate) -> Vec<Identity> {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate().get_extension() else {
        return Vec::new();
    };
    let identity = |name| {
        let (kind, data) = match &name {
            GeneralName::DnsName(name) => (IdType::FQDN, name.as_bytes()),
            GeneralName::Rfc822Name(name) => (IdType::RFC822_ADDR, name.as_bytes()),
            GeneralName::IpAddress(address) if address.as_bytes().len() == 4 => {
                (IdType::IPV4_ADDR, address.as_bytes())
            }
            GeneralName::IpAddress(address) => (IdType::IPV6_ADDR, address.as_bytes()),
            _ => return None,
        };
        Identity::decode(kind, data).ok()
    };
    names.into_iter().filter_map(identity).collect()
}

/// Compares set by set, attribute by attribute; an empty name, or an empty set in
/// it, names nobody (RFC 5280 §4.1.2.4).
fn same_name(a: &Name, b: &Name) -> bool {
    !a.is_empty()
        && a.len() == b.len()
        && a.iter_rdn().zip(b.iter_rdn()).all(|(a, b)| same_rdn(a, b))
}

/// Whether the distinguished name `name` has all that `pattern` has and no more, where
/// `*` stands for any one value.
pub(crate) fn is_name_like(name: &[u8], pattern: &[u8]) -> bool {
    let (Ok(name), Ok(pattern)) = (Name::from_der(name), Name::from_der(pattern)) else {
        return false;
    };
    let like = |given: &AttributeTypeAndValue, pattern: &AttributeTypeAndValue| {
        (is_open(pattern) && given.oid == pattern.oid) || same_attribute(given, pattern)
    };
    // What a star stands for decides where it is sorted to.
    let all_like = |(given, pattern): (&RelativeDistinguishedName, &RelativeDistinguishedName)| {
        given.len() == pattern.len()
            && given
                .iter()
                .all(|it| pattern.iter().any(|one| like(it, one)))
            && pattern
                .iter()
                .all(|one| given.iter().any(|it| like(it, one)))
    };
    name.len() == pattern.len() && name.iter_rdn().zip(pattern.iter_rdn()).all(all_like)
}

/// How many values of the distinguished name `pattern` are open.
pub(crate) fn open_values(pattern: &[u8]) -> usize {
    Name::from_der(pattern).map_or(0, |name| {
        let attributes = name.iter_rdn().flat_map(RelativeDistinguishedName::iter);
        attributes.filter(|attribute| is_open(attribute)).count()
    })
}

fn is_open(attribute: &AttributeTypeAndValue) -> bool {
    attribute.value.value() == b"*"
}

/// Both are sorted, as DER has it.
fn same_rdn(a: &RelativeDistinguishedName, b: &RelativeDistinguishedName) -> bool {
    !a.is_empty() && a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_attribute(a, b))
}

/// A CA may write with one string type what the client wrote with another
/// (RFC 5280 §7.1); of these, the same text has the same octets.
fn same_attribute(a: &AttributeTypeAndValue, b: &AttributeTypeAndValue) -> bool {
    let is_text = |value: &Any| match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => true,
        // Older clients write whatever is not printable with it.
        Tag::TeletexString => value.value().is_ascii(),
        _ => false,
    };
    a.oid == b.oid
        && (a.value.tag() == b.value.tag() || (is_text(&a.value) && is_text(&b.value)))
        && a.value.value() == b.value.value()
}

impl FromStr for Identity {
    type Err = UnreadableIdentity;

    /// Reads what an operator writes: an address, `user@host`, `@#` and hex
    /// octets for a KEY_ID, a distinguished name with `=`, else a host name.
    fn from_str(text: &str) -> Result<Self, UnreadableIdentity> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Some(hex) = text.strip_prefix("@#") {
            return from_hex(hex).map(Self::KeyId).ok_or(UnreadableIdentity);
        }
        if text.contains('=') {
            let name = Name::from_str(text).map_err(|_| UnreadableIdentity)?;
            let name = name.to_der().map_err(|_| UnreadableIdentity)?;
            return Ok(Self::DistinguishedName(name));
        }
        let kind = if text.contains('@') {
            IdType::RFC822_ADDR
        } else {
            IdType::FQDN
        };
        if text.contains(char::is_whitespace) {
            return Err(UnreadableIdentity);
        }
        Self::decode(kind, text.as_bytes()).map_err(|_| UnreadableIdentity)
    }
}

/// Text that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableIdentity;

impl fmt::Display for UnreadableIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither an address, a host name, user@host, @#hex nor a distinguished name")
    }
}

impl core::error::Error for UnreadableIdentity {}

/// Octets, at least one, of two digits each.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty())
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Fqdn(name) | Self::Email(name) | Self::User(name) => f.write_str(name),
            Self::DistinguishedName(name) => match Name::from_der(name) {
                // The peer wrote the name: no control character reaches a log.
                Ok(name) => write!(f, "{}", name.to_string().escape_debug()),
                Err(_) => write!(f, "malformed distinguished name"),
            },
            Self::KeyId(octets) => write!(f, "@#{}", Hex(octets)),
            Self::Other(kind, octets) => write!(f, "identity of type {kind}: {}", Hex(octets)),
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    #[test]
    fn what_an_operator_writes_is_read() {
        for (text, kind) in [
            ("192.0.2.1", IdType::IPV4_ADDR),
            ("2001:db8::1", IdType::IPV6_ADDR),
            ("vpn.example.com", IdType::FQDN),
            ("user@example.com", IdType::RFC822_ADDR),
            ("@#c0ffee", IdType::KEY_ID),
            ("CN=Client 7,O=Example,C=CH", IdType::DER_ASN1_DN),
        ] {
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.kind(), kind, "{text}");
            assert_eq!(identity.to_string(), text);
            assert_eq!(Identity::decode(kind, &identity.data()), Ok(identity));
        }
        for text in ["", "@#", "@#abc", "@#xy", "two words", "X=", "\u{7}"] {
            assert_eq!(text.parse::<Identity>(), Err(UnreadableIdentity), "{text}");
        }
    }

    /// SAs and addresses are found by the identity: Kim has those of kim.
    #[test]
    fn names_of_users_know_no_case() {
        let user = Identity::of_user("CORP\\kim");
        assert_eq!(user, Identity::of_user("corp\\Kim"));
        assert_ne!(user, Identity::of_user("corp\\lee"));
    }

    #[test]
    fn host_names_know_no_case() {
        let identity = Identity::decode(IdType::FQDN, b"VPN.Example.COM").unwrap();
        assert_eq!(identity, "vpn.example.com".parse().unwrap());
    }

    /// RFC 5280 §7.5: only the part before the @ is the host's own business.
    #[test]
    fn the_host_of_a_mail_address_knows_no_case() {
        let identity = Identity::decode(IdType::RFC822_ADDR, b"Bob@VPN.Example.COM").unwrap();
        assert_eq!(identity, "Bob@vpn.example.com".parse().unwrap());
        assert_ne!(identity, "bob@vpn.example.com".parse().unwrap());
        let mut params = CertificateParams::default();
        let address = "Bob@vpn.EXAMPLE.com".try_into().unwrap();
        params.subject_alt_names = alloc::vec![SanType::Rfc822Name(address)];
        assert!(identity.is_asserted_by(&certificate(params)));
    }

    /// strongSwan once wrote what is not printable as TeletexString.
    #[test]
    fn a_distinguished_name_may_be_written_with_other_string_types() {
        let utf8 = Identity::from_str("CN=a_b").unwrap();
        let with = |tag: u8, last: u8| {
            let mut octets = utf8.data();
            let place = octets.iter().rposition(|octet| *octet == 0x0c).unwrap();
            octets[place] = tag;
            *octets.last_mut().unwrap() = last;
            Identity::DistinguishedName(octets)
        };
        for (tag, last, same) in [
            (0x0c, b'b', true),
            (0x13, b'b', true),
            (0x14, b'b', true),
            (0x16, b'b', true),
            (0x14, 0xe4, false),
            (0x1e, b'b', false),
            (0x0c, b'c', false),
        ] {
            let other = with(tag, last);
            assert_eq!(utf8.is_same_as(&other), same, "{tag:#x} {last}");
        }
    }

    /// A relative distinguished name may have several attributes: who is
    /// another by one of them is another.
    #[test]
    fn a_distinguished_name_is_compared_whole() {
        let certificate = certificate_of(&[
            (DnType::OrganizationName, "Ex"),
            (DnType::CommonName, "alice"),
        ]);
        let asserted = |name: &[u8]| {
            let identity = Identity::decode(IdType::DER_ASN1_DN, name).unwrap();
            identity.is_asserted_by(&certificate)
        };
        let written = |text: &str| Name::from_str(text).unwrap().to_der().unwrap();
        assert!(asserted(&written("CN=alice,O=Ex")));
        for other in [
            "CN=alice+2.5.4.5=2,O=Ex",
            "CN=alice,O=Ex+L=Bern",
            "CN=alice+O=Ex",
            "CN=alice,OU=Ex",
            "CN=Alice,O=Ex",
            "O=Ex,CN=alice",
            "CN=alice,O=Ex,C=CH",
            "CN=alice",
        ] {
            assert!(!asserted(&written(other)), "{other}");
        }
        // As many sets of attributes as the subject has, with none in them.
        assert!(!asserted(&hex!("3004 3100 3100")));
    }

    /// RFC 5280 §4.1.2.6: who has no subject is named elsewhere.
    #[test]
    fn an_empty_name_names_nobody() {
        let nobody = Identity::decode(IdType::DER_ASN1_DN, &hex!("3000")).unwrap();
        assert!(!nobody.is_asserted_by(&certificate_of(&[])));
        assert_eq!(asserted_names(&certificate_of(&[])), []);
    }

    fn certificate_of(subject: &[(DnType, &str)]) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        certificate(params)
    }

    fn certificate(params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Certificate::from_der(certificate.der()).unwrap()
    }

    /// What a peer says ends up in a log.
    #[test]
    fn no_identity_breaks_a_line() {
        for kind in [IdType::FQDN, IdType::RFC822_ADDR] {
            assert!(Identity::decode(kind, b"a\nb").is_err());
            assert!(Identity::decode(kind, b"a\x1b[2Jb").is_err());
            assert!(Identity::decode(kind, b"\xff").is_err());
        }
        for octets in [&b"\n"[..], b"\x30\x00\n", b"CN=\n"] {
            for kind in [IdType::DER_ASN1_DN, IdType::KEY_ID, IdType(99)] {
                let text = Identity::decode(kind, octets).unwrap().to_string();
                assert!(!text.contains('\n'), "{text:?}");
            }
        }
    }

    #[test]
    fn an_address_has_the_length_of_its_family() {
        assert!(Identity::decode(IdType::IPV4_ADDR, &[1, 2, 3]).is_err());
        assert!(Identity::decode(IdType::IPV6_ADDR, &[1; 4]).is_err());
    }
}
